"""Limits of formulas that a person sets: inputs they must hold, their length, constants, exponents, signs, slopes."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from knotwork.data.column_names import unknown_name
from knotwork.errors import DataError, SpecError
from knotwork.formulas.constants import Constants, Sample, Template, fitted
from knotwork.functions import named_function
from knotwork.regression.candidate_formulas import CandidateFormula
from knotwork.regression.settings import REGRESSION

Range = tuple[float, float]
EVERY = (-math.inf, math.inf)


@dataclass(frozen=True)
class Limits:
    """What formulas must satisfy besides the functions that they may hold.

    Args:
        required: inputs that every formula holds.
        max_complexity: operators, functions, constants and variables of a formula at most.
        constants: the smallest and the largest number that may stand in it, but for exponents and signs.
        exponents: the smallest and the largest exponent.
        nested: how often the second function may stand inside the first, one within the other.
        monotone: inputs with which the result grows (1) or falls (-1).
        positive: whether the result must not fall below 0.
    """

    required: tuple[str, ...] = ()
    max_complexity: int | None = None
    constants: Range = EVERY
    exponents: Range = EVERY
    nested: tuple[tuple[str, str, int], ...] = ()
    monotone: tuple[tuple[str, int], ...] = ()
    positive: bool = False

    @classmethod
    def of(
        cls,
        columns: Sequence[str],
        required: Iterable[str] | None = None,
        max_complexity: int | None = None,
        constant_range: Sequence[float] | None = None,
        exponent_range: Sequence[float] | None = None,
        nested: Mapping[str, Iterable[str] | Mapping[str, int]] | None = None,
        monotone: Mapping[str, str | int] | None = None,
        positive: bool = False,
    ) -> "Limits":
        """From the arguments of `discover`.

        Raises:
            SpecError: a limit is not possible, a function is unknown (with the closest name), or a text stands in
                place of a list.
            DataError: an input is unknown (with the closest name).
        """
        names = names_of(required, "required")
        if monotone is not None and not isinstance(monotone, Mapping):
            raise SpecError(f"monotone={monotone!r} must say which way, such as {{'x': 'increasing'}}.")
        slopes = dict(monotone or {})
        for name in (*names, *slopes):
            if name not in columns:
                raise DataError(unknown_name(name, columns, "input"))
        whole = isinstance(max_complexity, Integral) and not isinstance(max_complexity, bool)
        if max_complexity is not None and not (whole and max_complexity >= 1):
            raise SpecError(f"max_complexity={max_complexity!r} is not possible: give a whole number from 1 on.")
        return cls(
            names,
            max_complexity,
            _range(constant_range, "constant_range"),
            _range(exponent_range, "exponent_range"),
            tuple(_nestings(nested or {})),
            tuple((name, _sign(name, way)) for name, way in slopes.items()),
            bool(positive),
        )

    def unmet(self, expression: Any, sample: Sample) -> str | None:
        """Why an expression does not satisfy this, in words; None if it does.

        Signs and slopes are tested on the rows of the sample and on other combinations of its inputs.
        """
        from knotwork.expressions import complexity, nesting, parse

        names = {str(symbol) for symbol in expression.free_symbols}
        for name in self.required:
            if name not in names:
                return f"it does not hold {name}"
        if self.max_complexity is not None and complexity(expression) > self.max_complexity:
            return f"its complexity is {complexity(expression)}"
        for what, numbers, (low, high) in (
            ("constant", _constants(expression), self.constants),
            ("exponent", _exponents(expression), self.exponents),
        ):
            wrong = [number for number in numbers if not low <= number <= high]
            if wrong:
                return f"it holds the {what} {wrong[0]:.6g}"
        for outer, inner, most in self.nested:
            patterns = (parse(named_function(name).expression, ["x"]) for name in (outer, inner))
            if nesting(expression, *patterns) > most:
                return f"{inner} stands inside {outer}"
        if self.positive or self.monotone:
            return self._wrong_values(expression, _combinations(sample))
        return None

    def repaired(self, formula: CandidateFormula, sample: Sample) -> CandidateFormula:
        """The formula with a term for each required input that it lacks, and with its constants and exponents in range.

        Numbers out of range are set to its end, and the others are fitted again, with a factor or an offset in addition
        if they earn their bits.
        """
        from knotwork.expressions import algebra, number, symbol

        expression = formula.template.filled()
        held = {str(one) for one in expression.free_symbols}
        missing = [name for name in self.required if name not in held and name in sample.columns]
        if missing:
            expression = expression + algebra.Add(*(number(1e-3) * symbol(name) for name in missing))
        inside = self._inside(expression)
        if inside == formula.template.filled():
            return formula
        offset = number(1e-3 * float(sample.y.abs().mean()))
        tried = [inside, number(1.0) * inside, number(1.0) * inside + offset] if inside != expression else [inside]
        fits = [fit for one in tried if (fit := self._fitted(one, sample)) is not None]
        found = [CandidateFormula.of(formula.structure, fit, sample) for fit in fits]
        return min(found, key=lambda one: one.bits, default=formula)

    def _fitted(self, expression: Any, sample: Sample) -> Template | None:
        """The expression with its decimals fitted, those out of range set to its ends; None if that has no end."""
        from knotwork.expressions import parametrise

        for _ in range(REGRESSION.rounds_of_repair):
            general, symbols, values = parametrise(expression)
            constants = Constants()
            fresh = {one: constants(value) for one, value in zip(symbols, values, strict=True)}
            template = fitted(constants.template(general.xreplace(fresh)), sample)
            found = template.filled()
            expression = self._inside(found)
            if expression == found:
                return template
        return None

    def _inside(self, expression: Any) -> Any:
        """The expression with numbers and exponents that are out of range set to its ends, which are exact numbers."""
        from knotwork.expressions import algebra

        if not expression.args:
            return _clamped(expression, self.constants) if expression.is_number else expression
        if isinstance(expression, algebra.Pow) and expression.base.free_symbols and not expression.exp.free_symbols:
            return self._inside(expression.base) ** _clamped(expression.exp, self.exponents)
        numbers = [one for one in expression.args if not one.free_symbols]
        others = [self._inside(one) for one in expression.args if one.free_symbols]
        if not isinstance(expression, (algebra.Add, algebra.Mul)) or not numbers:
            return expression.func(*(self._inside(one) if one.free_symbols else one for one in expression.args))
        together = expression.func(*numbers)
        sign = isinstance(expression, algebra.Mul) and together == -1
        return expression.func(together if sign else _clamped(together, self.constants), *others)

    def _wrong_values(self, expression: Any, columns: Mapping[str, Tensor]) -> str | None:
        from knotwork.expressions import to_torch

        function, sizes = to_torch(expression, list(columns)), to_torch(_size(expression), list(columns))
        names, ones = {str(one) for one in expression.free_symbols}, torch.ones_like(next(iter(columns.values())))

        def at(places: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
            """Values (rows,), and what rounding may change in each of them."""
            size = (sizes(*places.values()) * ones).nan_to_num(0, 0, 0)
            return function(*places.values()) * ones, REGRESSION.linear_tolerance * size

        values, rounding = at(columns)
        if bool(values.isnan().any()):
            return "it is not defined everywhere"
        if self.positive and not bool((values >= -rounding).all()):
            return "it falls below 0"
        for name, sign in self.monotone:
            if name not in names:
                continue
            along = [at({**columns, name: place * ones}) for place in _places(columns[name])]
            values, rounding = (torch.stack(part) for part in zip(*along, strict=True))
            if bool(values.isnan().any()):
                return "it is not defined everywhere"
            if not bool((sign * values.diff(dim=0) >= -rounding[1:] - rounding[:-1]).all()):
                return f"it does not {'grow' if sign > 0 else 'fall'} with {name} everywhere"
        return None

    @property
    def any(self) -> bool:
        """Whether there is any limit."""
        return self != Limits()

    def without_units(self) -> "Limits":
        """The limits that hold for columns in other units, too."""
        return replace(self, constants=EVERY)

    def said(self) -> dict[str, str]:
        """The limits that were set, as texts by name."""
        facts = {
            "required": ", ".join(self.required),
            "max_complexity": "" if self.max_complexity is None else str(self.max_complexity),
            "constant_range": "" if self.constants == EVERY else f"{self.constants[0]:g} to {self.constants[1]:g}",
            "exponent_range": "" if self.exponents == EVERY else f"{self.exponents[0]:g} to {self.exponents[1]:g}",
            "nested": ", ".join(f"{inner} in {outer}: {most} at most" for outer, inner, most in self.nested),
            "monotone": ", ".join(f"{name} {'+' if sign > 0 else '-'}" for name, sign in self.monotone),
            "positive": "yes" if self.positive else "",
        }
        return {name: text for name, text in facts.items() if text}


def names_of(given: Iterable[str] | None, argument: str) -> tuple[str, ...]:
    """The names in a list; SpecError for a text, whose letters would count as names, and for a list of other things."""
    if given is None:
        return ()
    if isinstance(given, str):
        raise SpecError(f"{argument}={given!r} is one text: give a list of names, {argument}=[{given!r}].")
    given = tuple(given)
    if not all(isinstance(name, str) for name in given):
        raise SpecError(f"{argument}={list(given)!r} must be a list of names.")
    return given


def _range(given: Sequence[float] | None, what: str) -> Range:
    if given is None:
        return EVERY
    if isinstance(given, np.ndarray | Tensor):
        given = given.tolist()
    ends = tuple(given) if isinstance(given, Sequence) and not isinstance(given, str) else ()
    numbers = [math.copysign(math.inf, 2 * n - 1) if end is None else end for n, end in enumerate(ends)]
    if len(numbers) != 2 or not all(isinstance(one, Real) for one in numbers) or not numbers[0] <= numbers[1]:
        raise SpecError(
            f"{what}={given!r} is not possible: give the smallest and the largest number, such as (-10, 10)."
        )
    return float(numbers[0]), float(numbers[1])


def _sign(name: str, way: str | int) -> int:
    """1 for growth with an input, -1 for fall; SpecError for other words."""
    if way not in ("increasing", "decreasing", 1, -1):
        raise SpecError(f"monotone={{{name!r}: {way!r}}} is not possible: give 'increasing' or 'decreasing'.")
    return 1 if way in ("increasing", 1) else -1


def _nestings(nested: Mapping[str, Iterable[str] | Mapping[str, int]]) -> Iterator[tuple[str, str, int]]:
    if not isinstance(nested, Mapping):
        raise SpecError(f"nested={nested!r} must say what may stand inside what, such as {{'sin': {{'exp': 0}}}}.")
    for outer, inside in nested.items():
        if not isinstance(inside, Mapping):
            raise SpecError(
                f"nested={{{outer!r}: {inside!r}}} needs numbers: {{{outer!r}: {{'exp': 0}}}}, for example."
            )
        for inner, most in inside.items():
            if isinstance(most, bool) or not isinstance(most, Integral) or most < 0:
                raise SpecError(f"nested: {inner!r} inside {outer!r} {most!r} times is not possible: give 0, 1, 2, ...")
            yield named_function(outer).name, named_function(inner).name, int(most)


def _constants(expression: Any) -> Iterator[float]:
    """The numbers in an expression: factors, terms and bases, without exponents and signs."""
    from knotwork.expressions import algebra

    if not expression.free_symbols:
        yield float(expression)
        return
    numbers = [one for one in expression.args if not one.free_symbols]
    if isinstance(expression, (algebra.Add, algebra.Mul)):
        together = float(expression.func(*numbers)) if numbers else 1.0
        if numbers and not (isinstance(expression, algebra.Mul) and together == -1):
            yield together
    elif isinstance(expression, algebra.Pow) and not expression.base.free_symbols:
        yield float(expression.base)
    for one in expression.args:
        if one.free_symbols:
            yield from _constants(one)


def _exponents(expression: Any) -> Iterator[float]:
    from knotwork.expressions import algebra

    if isinstance(expression, algebra.Pow) and expression.base.free_symbols and not expression.exp.free_symbols:
        yield float(expression.exp)
    for one in expression.args:
        yield from _exponents(one)


def _clamped(value: Any, ends: Range) -> Any:
    """A number, or the end of the range beyond which it lies as an exact number."""
    from knotwork.expressions import algebra

    nearest = min(max(float(value), ends[0]), ends[1])
    if nearest == float(value):
        return value
    exact = Fraction(repr(nearest))
    return algebra.Rational(exact.numerator, exact.denominator)


def _size(expression: Any) -> Any:
    """What the terms of an expression amount to without their signs: rounding changes a value by a share of this."""
    from knotwork.expressions import algebra

    if isinstance(expression, (algebra.Add, algebra.Mul)):
        return expression.func(*map(_size, expression.args))
    if isinstance(expression, algebra.Pow) and expression.exp.is_positive and not expression.exp.free_symbols:
        return _size(expression.base) ** expression.exp
    return algebra.Abs(expression, evaluate=False) if expression.free_symbols else abs(expression)


def _places(column: Tensor) -> list[float]:
    """Values from the smallest to the largest of a column (n,): evenly apart, and as dense as its rows."""
    shares = torch.linspace(0, 1, REGRESSION.monotone_points, dtype=torch.float64)
    low, high = column.aminmax()
    ranks = ((len(column) - 1) * shares).long()
    return torch.cat([low + (high - low) * shares, column.sort().values[ranks]]).unique().tolist()


def _combinations(sample: Sample) -> dict[str, Tensor]:
    """The rows of a sample, other combinations of their values, and corners of the box that holds them."""
    generator = torch.Generator().manual_seed(0)
    count = min(len(sample), REGRESSION.rows_of_limits)
    corners = torch.randint(2, (REGRESSION.corners_of_limits, len(sample.columns)), generator=generator).bool()
    found = {}
    for (name, column), ends in zip(sample.columns.items(), corners.unbind(1), strict=True):
        mixed = [column[torch.randperm(len(column), generator=generator)[:count]] for _ in range(2)]
        found[name] = torch.cat([column, *mixed, torch.where(ends, column.max(), column.min())])
    return found
