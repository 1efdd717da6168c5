"""Functions of an expression that have no name in mathematics: curves learned from rows, held as splines."""

import copyreg
import itertools
import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import sympy
import torch
from torch import Tensor

from knotwork.errors import ExpressionError
from knotwork.kernels import basis

_FunctionClass: Any = type(sympy.Function)


class _CurveClass(_FunctionClass):
    """The type of learned curves, each a class of its own, so that a copy of an expression keeps its curves."""


class LearnedCurve(sympy.Function, metaclass=_CurveClass):
    """A spline of one variable under a name. `learned_curve` makes one; `curve(t)` is an expression that holds it.

    `knots` (G + 2k + 1) and `coefficients` (G + k) are tuples of floats. Beyond its knots the curve is a straight line.
    """

    nargs: Any = 1
    label = ""
    order = 3
    knots: tuple[float, ...] = ()
    coefficients: tuple[float, ...] = ()

    @classmethod
    def eval(cls, t: Any) -> None:
        """Nothing is known of single values, so that every call stays as it is."""

    @classmethod
    def class_key(cls) -> Any:
        """The place among functions in a sum or product: by name."""
        return 4, 0, cls.label

    def _sympystr(self, printer: Any) -> str:
        return f"{self.label}({printer.doprint(self.args[0])})"

    def _latex(self, printer: Any, exp: Any = None) -> str:
        name = self.label if len(self.label) == 1 else rf"\operatorname{{{self.label}}}".replace("_", r"\_")
        power = "" if exp is None else f"^{{{exp}}}"
        return rf"{name}{power}{{\left({printer.doprint(self.args[0])} \right)}}"

    @classmethod
    def torch_values(cls, t: Any) -> Tensor:
        """Values of the curve at t, of the shape and type of t; differentiable by t."""
        at = torch.as_tensor(t)
        knots, coefficients = (torch.tensor(one, dtype=torch.float64) for one in (cls.knots, cls.coefficients))
        design = basis(at.double().reshape(-1, 1), knots[None], cls.order)[:, 0]
        return (design @ coefficients).reshape(at.shape).to(at)

    @classmethod
    def numpy_values(cls, t: Any) -> Any:
        """The same of an array."""
        return cls.torch_values(torch.from_numpy(np.array(t, dtype=np.float64))).numpy()


def learned_curve(name: str, knots: Sequence[float], coefficients: Sequence[float], order: int = 3) -> Any:
    """A new function of one variable with this name: the spline of these knots and coefficients.

    Raises:
        ExpressionError: the numbers are no spline.
    """
    knots, coefficients = tuple(map(float, knots)), tuple(map(float, coefficients))
    rising = all(a < b for a, b in itertools.pairwise(knots))
    finite = all(map(math.isfinite, (*knots, *coefficients)))
    if not (rising and finite and order >= 0 and len(coefficients) == len(knots) - order - 1 > order):
        raise ExpressionError(
            f"{len(knots)} knots and {len(coefficients)} coefficients are no spline of order {order}."
        )
    facts = {"label": name, "knots": knots, "coefficients": coefficients, "order": order, "__module__": __name__}
    return _CurveClass("LearnedCurve", (LearnedCurve,), facts)


def learned_curves(expr: Any) -> list[Any]:
    """The learned curves in an expression, by name."""
    found = {node.func for node in sympy.preorder_traversal(expr) if isinstance(node, LearnedCurve)}
    return sorted(cast(Any, found), key=lambda curve: curve.label)


def unknown_curves(expr: Any) -> list[tuple[str, Any, Any]]:
    """The calls of unknown functions in an expression: name, argument, and the call, by name and argument."""
    from sympy.core.function import AppliedUndef

    calls = [(call.func.__name__, call.args[0], call) for call in expr.atoms(AppliedUndef)]
    return sorted(calls, key=lambda one: (one[0], str(one[1])))


def _made_again(curve: Any) -> Any:
    if not curve.knots:
        return curve.__name__
    return learned_curve, (curve.label, curve.knots, curve.coefficients, curve.order)


copyreg.pickle(cast(Any, _CurveClass), _made_again)
