"""Functions of one's own for the library: what an edge can be named."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from knotwork.errors import SpecError
from knotwork.functions import NamedFunction, add

Curve = Callable[..., Tensor]


def register_function(
    name: str,
    expression: str,
    *,
    cost: float = 3.0,
    domain: tuple[float, float] = (-math.inf, math.inf),
    default: bool = False,
) -> NamedFunction:
    """Add a function to the library, for the rest of this process: edges can be named with it, networks saved with it.

        kw.register_function("sinc", "sin(x)/x", domain=(0, 20))
        kw.discover(X, y, lib=["x", "x^2", "sinc"])

    `expression` is text in x, as `knotwork.expressions.parse` reads it; its slope is worked out. It must be real and
    finite strictly inside `domain`. `cost` is in bits: a function that costs one more must halve the unexplained
    variance (a square costs 2, a Gaussian 3). With `default` it is tried wherever `lib` is not given. A process that
    loads a network with such an edge must register the function first.
    Raises SpecError for a name that is taken, a domain that is none, and values or slopes that are not finite in it;
    ExpressionError for text that cannot be read.
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
    value = to_torch(parsed, ["x"])
    slope = to_torch(algebra.diff(parsed, algebra.Symbol("x")), ["x"])
    _check_inside(name, value, slope, low, high)
    function = NamedFunction(name, expression, value, slope, cost, low, high, default=default)
    add(function)
    return function


def _check_inside(name: str, value: Curve, slope: Curve, low: float, high: float) -> None:
    """Raise SpecError where value or slope is not finite inside: looked at are 1,000 points and whole numbers."""
    ends = max(low, -10.0), min(high, 10.0)
    ends = ends if ends[0] < ends[1] else ((low, low + 1) if math.isfinite(low) else (high - 1, high))
    whole = torch.arange(-9.0, 10.0, dtype=torch.float64)  # where poles are likely
    x = torch.cat([whole[(whole > low) & (whole < high)], torch.linspace(*ends, 1003, dtype=torch.float64)[1:-1]])
    wrong = ~(value(x).isfinite() & slope(x).isfinite())
    if bool(wrong.any()):
        raise SpecError(
            f"{name} or its slope is not a finite real number at x = {float(x[wrong][0]):.4g}; give domain=(low, high) "
            "without such places."
        )
