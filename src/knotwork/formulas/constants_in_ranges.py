"""Constants of an expression that must lie in ranges: those that the rows draw out of theirs are held at its end."""

import math
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from knotwork.formulas.constants import Sample, Template, fitted, replaced

Range = tuple[float, float]


def fitted_within(template: Template, sample: Sample, ranges: Mapping[Any, Range]) -> tuple[Template, dict[Any, Any]]:
    """The template fitted as `fitted` does, and numbers of constants that are held at an end of their range.

    The constant that is farthest outside is set to its end first, then the others are fitted again.
    """
    held: dict[Any, Any] = {}
    while True:
        template = fitted(template, sample)
        symbol = outermost(template.values, ranges) if math.isfinite(template.mse) else None
        if symbol is None:
            return template, held
        number = end_of(template.values[symbol], ranges[symbol])
        rest = replaced(template, symbol, number)
        if rest is None:
            return replace(template, mse=math.inf), held
        template, held[symbol] = rest, number


def outermost(values: Mapping[Any, float], ranges: Mapping[Any, Range]) -> Any | None:
    """The constant that lies farthest outside its range, in units of its size; None if all lie inside."""

    def outside(symbol: Any) -> float:
        value = values[symbol]
        return abs(value - float(end_of(value, ranges[symbol]))) / abs(value or 1.0)

    worst = max((symbol for symbol in values if symbol in ranges), key=outside, default=None)
    return None if worst is None or outside(worst) == 0 else worst


def end_of(value: float, ends: Range) -> Any:
    """The number in a range that is nearest to a value, as an exact number of an expression."""
    from knotwork.expressions import algebra

    exact = Fraction(repr(min(max(value, ends[0]), ends[1])))
    return algebra.Rational(exact.numerator, exact.denominator)
