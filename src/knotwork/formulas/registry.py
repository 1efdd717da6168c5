"""Functions of the user for the library, with which edges can then be named."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from knotwork.errors import SpecError
from knotwork.formulas.settings import FORMULAS
from knotwork.functions import NamedFunction, add
from knotwork.keywords import check_keywords

Curve = Callable[..., Tensor]


@check_keywords
def register_function(
    name: str,
    expression: str,
    *,
    cost: float = 3.0,
    domain: tuple[float, float] = (-math.inf, math.inf),
    default: bool = False,
    periodic: bool = False,
    value: Curve | None = None,
    slope: Curve | None = None,
) -> NamedFunction:
    """Add a function to the library until the process ends, and return its record.

    Edges can be named with it, `lib=` can name it, and networks with it can be saved. A process that loads such a
    network must register the function first.

    Args:
        name: the name of the function in `lib=` and on edges.
        expression: text in x, as `knotwork.expressions.parse` reads it. Its derivative is computed symbolically.
        cost: complexity in bits. A function that costs one bit more must halve the unexplained variance to be
            preferred. A square costs 2, a Gaussian 3, and most functions of the library the default.
        domain: (low, high). The function must be real and finite strictly inside. No fit uses values outside.
        default: whether it belongs to the default library, which is used where `lib` is not given.
        periodic: whether f(x + 2π) = f(x). Then many frequencies and few phases are tried.
        value: f in torch, elementwise and differentiable, where the expression itself loses accuracy or overflows.
        slope: f' in torch, for the same reason.

    Returns:
        The record, a `NamedFunction`.

    Raises:
        SpecError: the name is taken or empty, the domain is empty, the cost is negative, value or slope is not finite
            inside the domain, or they are not those of the expression.
        ExpressionError: the text is no expression in x.

    Example:
        >>> import torch, knotwork as kw
        >>> record = kw.register_function("sinc", "sin(x)/x", domain=(0, 20))
        >>> record.value(torch.tensor([1.0, 2.0]))
        tensor([0.8415, 0.4546])
        >>> data = kw.sample("3*sin(4*x)/x", x=(0.5, 4), size=200, seed=0)
        >>> model = kw.KAN([1, 1], seed=0)
        >>> model.fix_symbolic(0, 0, 0, "sinc", params=(4, 0, 12, 0)).function
        'sinc'
        >>> print(model.symbolic_formula(data))
        f = 3*sin(4*x)/x
    """
    from knotwork.expressions import algebra, parse, to_torch

    if not (isinstance(name, str) and name.strip()):
        raise SpecError(f"name={name!r} is no name; give a text such as 'sinc'.")
    low, high = domain
    if not low < high:
        raise SpecError(f"domain={domain} is empty; give (low, high) with low < high.")
    if not cost >= 0:
        raise SpecError(f"cost={cost!r} is not possible: give 0 bits or more.")
    parsed = parse(expression, ["x"])
    own = to_torch(parsed, ["x"]), to_torch(algebra.diff(parsed, algebra.Symbol("x")), ["x"])
    value, slope = value or own[0], slope or own[1]
    _check_inside(name, (value, slope), own, low, high)
    function = NamedFunction(name, expression, value, slope, cost, low, high, periodic=periodic, default=default)
    add(function)
    return function


def _check_inside(name: str, used: tuple[Curve, Curve], own: tuple[Curve, Curve], low: float, high: float) -> None:
    """Raise SpecError where value or slope is not finite, or not that of the expression: 1,000 points and integers."""
    ends = max(low, -10.0), min(high, 10.0)
    ends = ends if ends[0] < ends[1] else ((low, low + 1) if math.isfinite(low) else (high - 1, high))
    whole = torch.arange(-9.0, 10.0, dtype=torch.float64)  # poles are likely at integers
    x = torch.cat([whole[(whole > low) & (whole < high)], torch.linspace(*ends, 1003, dtype=torch.float64)[1:-1]])
    values, expected = ([function(x) for function in pair] for pair in (used, own))
    wrong = ~(values[0].isfinite() & values[1].isfinite())
    if bool(wrong.any()):
        raise SpecError(
            f"{name} or its slope is not a finite real number at x = {float(x[wrong][0]):.4g}; give domain=(low, high) "
            "without such places."
        )
    for what, one, other in zip(("value", "slope"), values, expected, strict=True):
        apart = other.isfinite() & ((one - other).abs() > FORMULAS.same_function * (1 + other.abs()))
        if bool(apart.any()):
            raise SpecError(
                f"{what}= of {name} is not that of its expression at x = {float(x[apart][0]):.4g}: "
                f"{float(one[apart][0]):.6g} in place of {float(other[apart][0]):.6g}."
            )
