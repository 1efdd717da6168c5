"""Functions that are expressions in x, such as "exp(sin(3*x))", in place of a name of the library."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from knotwork.errors import ExpressionError, SpecError
from knotwork.functions.named_functions import LIBRARY, NamedFunction
from knotwork.functions.settings import FUNCTIONS


@functools.lru_cache(FUNCTIONS.known)
def written_function(expression: str) -> NamedFunction:
    """The function of x that a text describes; that of the library, if it is one.

    Its name is the text as `knotwork.expressions.text` writes it. Its domain is where value and slope are finite. No
    code from the text is run.

    Raises:
        SpecError: the text is no expression in x, or does not hold x.

    Example:
        >>> from knotwork.functions import named_function
        >>> named_function("exp(sin(x*3))").name
        'exp(sin(3*x))'
        >>> named_function("sin(x)").name
        'sin'
    """
    from knotwork.expressions import parse, text, to_torch

    try:
        parsed = parse(expression, ["x"])
    except ExpressionError as error:
        raise SpecError(
            f"there is no function {expression!r} in the library, and it is no expression in x: {error}"
        ) from error
    if not parsed.free_symbols:
        raise SpecError(f"{expression!r} does not hold x: give a function of x, such as 'exp(sin(3*x))'.")
    same = [f for f in LIBRARY.values() if _known(f.expression) == parsed]
    if same:
        return same[0]
    name, value = text(parsed), to_torch(parsed, ["x"])
    return NamedFunction(
        name, name, value, _slope_of(value), _cost(parsed), pole=_pole_of(parsed), written=True, default=False
    )


@functools.cache
def _known(expression: str) -> Any:
    """The expression of a function of the library."""
    from knotwork.expressions import parse

    return parse(expression, ["x"])


def _slope_of(value: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """f' by automatic differentiation, which exists for every function that can be read."""

    def slope(u: Tensor) -> Tensor:
        wanted = u.requires_grad and torch.is_grad_enabled()
        with torch.inference_mode(False), torch.enable_grad():
            at = u if u.requires_grad else u.detach().clone().requires_grad_()
            found = torch.autograd.grad(value(at).sum(), at, create_graph=wanted)[0]
        return found

    return slope


def _pole_of(parsed: Any) -> Callable[[Tensor], Tensor] | None:
    """The product of all divisors; None if there is none."""
    from knotwork.expressions import algebra, conditions, to_torch

    divisors = [part for part, need in conditions(parsed) if need == "not zero"]
    return to_torch(algebra.Mul(*divisors), ["x"]) if divisors else None


def _cost(node: Any) -> float:
    """The complexity of an expression in bits."""
    from knotwork.expressions import algebra

    if node.is_Symbol:
        return 0.0
    if not node.free_symbols:
        if abs(node) == 1:
            return 0.0
        return FUNCTIONS.decimal if node.atoms(algebra.Float) else FUNCTIONS.whole_number
    inside = sum(map(_cost, node.args))
    if isinstance(node, (algebra.Add, algebra.Mul)):
        return inside
    if isinstance(node, algebra.Pow):
        simple = node.exp in (2, -1, algebra.Rational(1, 2))
        return _cost(node.base) + (FUNCTIONS.usual if simple else FUNCTIONS.rare + _cost(node.exp))
    usual = isinstance(node, (algebra.exp, algebra.log, algebra.sin, algebra.cos))
    return inside + (FUNCTIONS.usual if usual else FUNCTIONS.rare)
