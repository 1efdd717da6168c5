"""A known form of the law: its text as an expression with unknown constants and curves, and what limits ask of it."""

import difflib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from knotwork.data.column_names import listed
from knotwork.errors import DataError, ExpressionError, SpecError, TrainingError
from knotwork.formulas.constants import Sample
from knotwork.formulas.settings import FORMULAS
from knotwork.regression import Constraints, Limits
from knotwork.regression.limits import EVERY, Range


@dataclass(frozen=True)
class KnownForm:
    """`text` as an `expression` of columns, symbols of `constants` and calls of unknown curves.

    `constraints` hold for the whole formula. Functions that the text itself holds need not be among those of names, and
    the range of constants is that of unknown ones and of those in names, not that of numbers in the text.
    """

    text: str
    expression: Any
    constants: tuple[Any, ...]
    constraints: Constraints

    @classmethod
    def of(cls, text: str, columns: Sequence[str], constraints: Constraints, start: Any = None) -> "KnownForm":
        """The form of a text, beside which there is nothing to `start` from.

        Raises:
            TrainingError: there is.
            DataError, ExpressionError: as `form_of`.
            SpecError: no formula of this form satisfies the constraints.
        """
        from knotwork.expressions import contains, parse

        if start is not None:
            raise TrainingError("start= goes on from a formula and form= keeps to one: pass one of them.")
        expression, constants = form_of(text, columns)
        unmet = _fixed(constraints.limits).unmet(expression, Sample({}, torch.zeros(0)))
        for function in constraints.forbidden:
            if contains(expression, parse(function.expression, ["x"])):
                unmet = f"it holds {function.name}, which forbid= rules out"
        if unmet is not None:
            raise SpecError(
                f"no formula of form={text!r} can be what was asked for, as {unmet}: change the form or the limit."
            )
        return cls(text, expression, tuple(constants), constraints)

    @property
    def exponents(self) -> tuple[Any, ...]:
        """The exponents of columns that follow from constants alone."""
        from knotwork.expressions import algebra

        own = set(self.constants)
        powers = [one for one in self.expression.atoms(algebra.Pow) if one.base.free_symbols - own]
        return tuple(one.exp for one in powers if one.exp.free_symbols and one.exp.free_symbols <= own)

    @property
    def ranges(self) -> dict[Any, Range]:
        """The range of every constant that has one: that of exponents for an exponent of columns, else of constants.

        A constant c of an exponent such as -c or 2*c + 1 has the range in which this is one of exponents.
        """
        from knotwork.expressions import algebra

        limits = self.constraints.limits
        known: dict[Any, Range] = {}
        for exponent in self.exponents if limits.exponents != EVERY else ():
            constant = next(iter(exponent.free_symbols))
            slope, offset = algebra.diff(exponent, constant), exponent.xreplace({constant: algebra.Integer(0)})
            if slope.is_number and offset.is_number:
                own, ends = known.get(constant, EVERY), [(end - offset) / slope for end in limits.exponents]
                low, high = max(own[0], float(min(ends))), min(own[1], float(max(ends)))
                known[constant] = (low, high) if low <= high else own
        usual = {one: EVERY if one in self.exponents else limits.constants for one in self.constants}
        return {one: ends for one, ends in {**usual, **known}.items() if ends != EVERY}

    def outside(self, values: Mapping[Any, float]) -> str | None:
        """Which of these constants, or which exponent that follows from them, leaves its range, in words."""
        from knotwork.expressions import number

        for symbol, (low, high) in self.ranges.items():
            if not low <= values.get(symbol, low) <= high:
                return f"{symbol} is {values[symbol]:.6g}, outside its range"
        low, high = self.constraints.limits.exponents
        for exponent in self.exponents:
            value = exponent.xreplace({symbol: number(value) for symbol, value in values.items()})
            near = FORMULAS.exact_error * abs(value)
            if value.is_number and not (value.is_finite and low - near <= value <= high + near):
                shown = f"{float(value):.6g}" if value.is_finite else "infinite"
                return f"the exponent {exponent} is {shown}, outside its range"
        return None

    def allows(self, whole: Any, names: Sequence[Any], sample: Sample, complete: bool) -> bool:
        """Whether a formula of this form, and the names of its curves, satisfy the constraints.

        Of a formula that is not `complete`, as some of its curves have no name yet, signs and slopes are not asked.
        """
        return self.unmet(whole, names, sample, complete) is None

    def unmet(self, whole: Any, names: Sequence[Any], sample: Sample, complete: bool = True) -> str | None:
        """What of the constraints they do not satisfy, in words; None if they satisfy all."""
        limits = self.constraints.limits
        numbers = Limits(constants=limits.constants, exponents=limits.exponents)
        for name in names:
            unmet = numbers.unmet(name, sample)
            if unmet is not None or not replace(self.constraints, limits=Limits(), linear=()).allows(name, sample):
                return unmet or "it holds a function that is not allowed"
        if not complete:
            return _fixed(limits).unmet(whole, sample)
        if not replace(self.constraints, only=False, linear=(), limits=Limits()).allows(whole, sample):
            return "it holds a function that forbid= rules out"
        if not Constraints((), linear=self.constraints.linear).allows(whole, sample):
            return f"{listed(self.constraints.linear)} of linear= does not enter linearly"
        return replace(limits, constants=EVERY, exponents=EVERY).unmet(whole, sample)


def form_of(form: str, columns: Sequence[str]) -> tuple[Any, list[Any]]:
    """The expression of a form, and its constants: the names that are no columns; E is one, as in Arrhenius' law.

    Names that are called like functions, and are none, are unknown curves.

    Raises:
        DataError: a name is almost that of a column, there is no constant, or no column.
        ExpressionError: for a text that is no formula.
    """
    from knotwork.expressions import CONSTANTS, FUNCTIONS, called_names, parse, symbol, variable_names

    curves = [
        name
        for name in called_names(form)
        if name not in columns and name not in CONSTANTS and not (len(name) > 2 and close_to(name, FUNCTIONS))
    ]
    for name in set(called_names(form)) & set(columns):
        raise DataError(f"form={form!r} calls the column {name!r} like a function: write products with *.")
    known = variable_names(form, [*columns, "E"])
    constants = [name for name in known if name not in columns]
    for name in constants:
        close = close_to(name, columns) if len(name) > 2 else []
        if close:
            raise DataError(
                f"form={form!r} holds {name!r}, which is no column and would be a constant: did you mean "
                f"'{close[0]}'? Otherwise call the constant something else."
            )
    if not constants and not curves:
        raise DataError(
            f"form={form!r} holds no unknown constant or curve: write a name for each, as in 'a*x + b' or 'f(x) + c*y'."
        )
    if len(constants) == len(known):
        raise DataError(f"form={form!r} holds none of the columns, which are {listed(columns, 20)}.")
    expression = parse(form, known, curves)
    check_calls(expression, columns, constants, form)
    lost = [name for name in constants if symbol(name) not in expression.free_symbols]
    if lost:
        raise DataError(f"form={form!r} does not depend on {listed(lost)}, whatever the rows are: leave it out.")
    return expression, [symbol(name) for name in constants]


def close_to(name: str, known: Sequence[str]) -> list[str]:
    """The most similar of the known names, if one is close."""
    return difflib.get_close_matches(name, known, n=1, cutoff=0.75)


def check_calls(expression: Any, columns: Sequence[str], constants: Sequence[str], form: str) -> None:
    """Raises ExpressionError for a curve whose argument holds no input, or that is called like a constant."""
    from knotwork.expressions import unknown_curves

    for name, argument, _ in unknown_curves(expression):
        if name in constants:
            raise ExpressionError(
                f"form={form!r} holds {name!r} as a curve and as a constant: call one of them something else."
            )
        if not {str(one) for one in argument.free_symbols} & set(columns):
            raise ExpressionError(
                f"'{name}({argument})' in form={form!r} is a constant, as its argument holds no column: write a name "
                "in its place."
            )
    for one, other in itertools.combinations(unknown_curves(expression), 2):
        if one[1] == other[1] and _alike(expression, one[2], other[2], constants):
            raise DataError(
                f"form={form!r} depends on '{one[2]}' and '{other[2]}' in one way, so that no rows tell them apart: "
                "write one curve in place of both."
            )


def _alike(expression: Any, one: Any, other: Any, constants: Sequence[str]) -> bool:
    """Whether two curves of one argument act through a function of both alone, such as their sum or product."""
    from knotwork.expressions import algebra

    u, v = (algebra.Symbol(f"\0{n}", real=True) for n in (1, 2))
    plain = expression.xreplace({one: u, other: v})
    ratio = algebra.cancel(algebra.diff(plain, u) / algebra.diff(plain, v))
    known = {str(u), str(v), *constants}
    return {str(free) for free in ratio.free_symbols} <= known and not ratio.atoms(algebra.Function)


def _fixed(limits: Limits) -> Limits:
    """Those of the limits that do not depend on numbers."""
    return Limits(limits.required, limits.max_complexity, nested=limits.nested)
