"""Other forms of an expression: by trigonometric and hyperbolic identities, logarithms, fractions, factors, signs."""

from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import sympy

from knotwork.expressions.evaluation import to_numpy
from knotwork.expressions.simplification import Samples
from knotwork.expressions.writing import complexity

CIRCULAR = (sympy.sin, sympy.cos, sympy.tan, sympy.cot, sympy.sinh, sympy.cosh)
Form = Callable[[Any], Any]


def equal_forms(expr: Any, samples: Samples, longest: int) -> Iterator[Any]:
    """Expressions that are equal to this one for positive variables, or on the samples, one for each identity.

    Whoever uses one compares its values. Identities that take time are tried for at most `longest` symbols.
    """
    forms: list[Form] = [lambda e: _without_abs(e, samples), sympy.together, sympy.cancel]
    if complexity(expr) <= longest:
        forms += [_factored, _for_positive(_logarithms_apart), _for_positive(_logarithms_together)]
        if expr.has(*CIRCULAR):
            forms.append(_circular)
        if expr.has(sympy.tanh) and expr.has(sympy.log):
            forms.append(_for_positive(_rational_tanh))
    for form in forms:
        try:
            yield form(expr)
        except (sympy.PolynomialError, NotImplementedError, ZeroDivisionError):  # a form this expression does not have
            continue


def _factored(expr: Any) -> Any:
    return sympy.factor(sympy.expand(expr))


def _circular(expr: Any) -> Any:
    """Sines of sums in place of sums of products."""
    return sympy.trigsimp(sympy.expand(expr.replace(sympy.tan, lambda u: sympy.sin(u) / sympy.cos(u))))


def _logarithms_apart(expr: Any) -> Any:
    return sympy.expand_log(expr, force=True)


def _logarithms_together(expr: Any) -> Any:
    return sympy.logcombine(expr, force=True)


def _rational_tanh(expr: Any) -> Any:
    """tanh(log(x) / 2) as (x - 1) / (x + 1)."""
    fraction = expr.replace(sympy.tanh, lambda u: (sympy.exp(2 * u) - 1) / (sympy.exp(2 * u) + 1))
    return sympy.cancel(sympy.together(sympy.powsimp(sympy.expand(fraction))))


def _for_positive(form: Form) -> Form:
    """The form, found as if all variables were positive."""

    def found(expr: Any) -> Any:
        positive = {one: sympy.Symbol(one.name, positive=True) for one in expr.free_symbols}
        return form(expr.xreplace(positive)).xreplace({new: old for old, new in positive.items()})

    return found


def _without_abs(expr: Any, samples: Samples) -> Any:
    """Without absolute values of what has one sign on the samples."""
    signs = {}
    for part in expr.atoms(sympy.Abs):
        inner = cast(sympy.Expr, part.args[0])
        names = sorted(str(one) for one in inner.free_symbols)
        values = np.asarray(to_numpy(inner, names)(*(samples[name] for name in names)))
        if (values >= 0).all():
            signs[part] = inner
        elif (values <= 0).all():
            signs[part] = -inner
    return expr.xreplace(signs)
