"""Whether the units of a formula agree, and which units its constants need for that."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from knotwork.data.units import Unit, base_units
from knotwork.formulas.dimensions import Dimensions
from knotwork.formulas.settings import FORMULAS

DIGITS = 4  # significant digits of constants in a sentence
KEEPING = ("Abs", "Max", "Min")  # functions whose values have the unit of their arguments
LONGEST = 60  # characters of a part of a formula in a sentence, at most


@dataclass(frozen=True)
class Agreement:
    """Whether the units of a formula agree: `agree`, a sentence about it in `words`, and which `constants` need a unit.

    `constant_units` gives the unit that each decimal constant needs: "1" for a pure number, None for a number that
    would need different units in different places. It is empty where units do not agree. Metres plus kilometres agree,
    because both are lengths.
    """

    agree: bool
    words: str
    constants: tuple[tuple[float, str], ...] = ()
    constant_units: tuple[tuple[float, str | None], ...] = ()

    @property
    def strict(self) -> bool:
        """Whether units agree if all constants are pure numbers."""
        return self.agree and not self.constants

    def __str__(self) -> str:
        return self.words


def agreement(expression: Any, dimensions: Dimensions, target: str = "the target") -> Agreement:
    """Whether the units of the inputs give that of the target, if constants are pure numbers or if some have a unit.

    Numbers that are added or multiplied may be constants with a unit, but powers are pure numbers.
    """
    walk = _Walk(dimensions.inputs)
    found = walk.unit(expression)
    wanted = _Form.of(dimensions.target)
    walk.equate(wanted, found, f"{target} is {wanted.words}, but the formula {found.words}")
    if not any(gap.powers for gap, _ in walk.equations):
        return Agreement(True, "units agree", (), _constant_units(expression, walk.numbers, [PURE] * len(walk.numbers)))
    clash, units = _solved(walk.equations, len(walk.constants))
    if clash:
        return Agreement(False, f"units do not agree: {clash}")
    several = {value for value in walk.constants if walk.constants.count(value) > 1}
    meanings = tuple(
        (value, f"{'a ' if value in several else ''}{_meaning(value, unit)}")
        for value, unit in zip(walk.constants, units, strict=True)
        if unit.powers
    )
    needed = " and ".join(words for _, words in meanings)
    each = _constant_units(expression, walk.numbers, units)
    return Agreement(True, f"units agree if {needed}" if needed else "units agree", meanings, each)


def _constant_units(
    expression: Any, numbers: Sequence[Any], units: Sequence[_Form]
) -> tuple[tuple[float, str | None], ...]:
    """The unit of each decimal constant, from the units of the numbers, such as 2.5*pi, that contain it."""
    from knotwork.expressions import algebra, float_constants

    found: dict[Any, set[str]] = {constant: set() for constant in float_constants(expression)}
    for number, unit in zip(numbers, units, strict=True):
        for constant in number.atoms(algebra.Float):
            # in a product a constant may have the opposite sign of that in the expression
            found.setdefault(constant if constant in found else -constant, set()).add(_unit_text(unit))
    return tuple(
        (float(constant), None if len(every) > 1 else next(iter(every), "1")) for constant, every in found.items()
    )


def _unit_text(unit: _Form) -> str:
    """For example "s/m^(1/2)"; "10 s/m^(1/2)" where the units of columns differ from base units by a factor."""
    if not unit.powers:
        return "1"
    base = base_units(unit.powers)
    return base if abs(unit.factor) < FORMULAS.same_factor else f"{math.exp(unit.factor):.{DIGITS}g} {base}"


def powers_of(expression: Any, inputs: Mapping[str, Unit]) -> Mapping[str, Fraction]:
    """The powers of base units of an expression whose constants are pure numbers and whose units agree."""
    return _Walk(inputs).unit(expression).powers


class _Form(NamedTuple):
    """A unit that may depend on unknown units of constants: powers of base units and of these, and log of a factor."""

    powers: Mapping[str, Fraction]
    open: Mapping[int, Fraction]
    factor: float

    @classmethod
    def of(cls, unit: Unit) -> _Form:
        return cls(unit.powers, {}, math.log(unit.factor))

    def times(self, other: _Form, power: Fraction = Fraction(1)) -> _Form:
        """This unit times a power of the other."""
        factor = self.factor + float(power) * other.factor
        return _Form(_total(self.powers, other.powers, power), _total(self.open, other.open, power), factor)

    @property
    def words(self) -> str:
        return f"in {base_units(self.powers)}" if self.powers else "a pure number"


def _total(one: Mapping[Any, Fraction], other: Mapping[Any, Fraction], power: Fraction) -> dict[Any, Fraction]:
    total = {key: one.get(key, Fraction(0)) + power * other.get(key, Fraction(0)) for key in {*one, *other}}
    return {key: value for key, value in sorted(total.items()) if value}


PURE = _Form({}, {}, 0.0)


def _fraction(power: Any) -> Fraction:
    return Fraction(float(power)).limit_denominator(FORMULAS.largest_denominator)


class _Walk:
    """Traverses an expression. `equations` are forms that must be pure numbers, each with the error message if not."""

    def __init__(self, inputs: Mapping[str, Unit]) -> None:
        self.inputs = inputs
        self.constants: list[float] = []
        self.numbers: list[Any] = []  # the constants as they are written in the expression
        self.equations: list[tuple[_Form, str]] = []

    def equate(self, one: _Form, other: _Form, otherwise: str) -> None:
        self.equations.append((one.times(other, Fraction(-1)), otherwise))

    def unit(self, expression: Any) -> _Form:
        from knotwork.expressions import algebra

        if isinstance(expression, algebra.Symbol):
            return _Form.of(self.inputs[expression.name])
        if expression.is_number:
            self.constants.append(float(expression))
            self.numbers.append(expression)
            return _Form({}, {len(self.constants) - 1: Fraction(1)}, 0.0)
        if expression.is_Add:
            return self.alike(self.without_logarithms(expression.args))
        if type(expression).__name__ in KEEPING:
            return self.alike(expression.args)
        if isinstance(expression, algebra.Mul):
            number, factors = expression.as_independent(*expression.free_symbols)
            result = PURE if abs(number) == 1 else self.unit(number)
            for factor in algebra.Mul.make_args(factors):
                result = result.times(self.unit(factor))
            return result
        if isinstance(expression, algebra.Pow) and expression.exp.is_number:
            power, base = _fraction(expression.exp), self.unit(expression.base)
            if power.denominator <= FORMULAS.largest_root:
                return PURE.times(base, power)
            shown = f"{_part(expression.base)} to the power {float(expression.exp):.{DIGITS}g}"
            self.equate(base, PURE, f"{shown} takes a pure number, but it is {base.words}")
            return PURE
        if type(expression).__name__ == "sign":
            self.unit(expression.args[0])
            return PURE
        for argument in expression.args:
            if argument.free_symbols:
                form = self.unit(argument)
                function = type(expression).__name__ if expression.is_Function else "a power"
                self.equate(form, PURE, f"{function} takes a pure number, but {_part(argument)} is {form.words}")
        return PURE

    def without_logarithms(self, terms: Sequence[Any]) -> Sequence[Any]:
        """Terms of a sum, with multiples of logarithms replaced by 1; together these are the logarithm of a product.

        A number beside them may include the logarithm of a unit: 3·log(t) + 2.1 is 3·log(t/t0).
        """
        from knotwork.expressions import algebra

        split = [term.as_independent(*term.free_symbols) for term in terms]
        logs = [(times, rest) for times, rest in split if isinstance(rest, algebra.log)]
        if not logs:
            return terms
        total = PURE
        for times, rest in logs:
            total = total.times(self.unit(rest.args[0]), _fraction(times))
        if not any(term.is_number for term in terms):
            words = _part(algebra.Add(*(times * rest for times, rest in logs)))
            self.equate(total, PURE, f"{words} takes a pure number, but that is {total.words}")
        others = [term for term, (_, rest) in zip(terms, split, strict=True) if not isinstance(rest, algebra.log)]
        return [*others, algebra.Integer(1)] if any(term.free_symbols for term in others) else [algebra.Integer(1)]

    def alike(self, parts: Sequence[Any]) -> _Form:
        """The common unit of all these parts, which must be the same."""
        if not any(part.free_symbols for part in parts):
            return PURE
        first, *rest = self.forms(parts)
        for part, form in rest:
            self.equate(form, first[1], f"{_part(first[0])} is {first[1].words}, but {_part(part)} {form.words}")
        return first[1]

    def forms(self, parts: Sequence[Any]) -> Iterator[tuple[Any, _Form]]:
        """The parts and their units, those with variables first."""
        for part in sorted(parts, key=lambda part: not part.free_symbols):
            yield part, self.unit(part)


def _solved(equations: Sequence[tuple[_Form, str]], count: int) -> tuple[str, list[_Form]]:
    """The first contradiction, or "" and the units of `count` constants; undetermined ones are pure numbers."""
    pivots: list[tuple[int, _Form]] = []  # each constant's unit as a function of those of later ones
    for form, words in equations:
        for n, unit in pivots:
            form = form._replace(open={k: p for k, p in form.open.items() if k != n}).times(
                unit, form.open.get(n, Fraction(0))
            )
        if form.open:
            n, power = next(iter(form.open.items()))
            rest = form._replace(open={k: p for k, p in form.open.items() if k != n})
            pivots.append((n, PURE.times(rest, -1 / power)))
        elif form.powers:
            return words, []
    units = [PURE] * count
    for n, unit in reversed(pivots):
        total = unit._replace(open={})
        for k, power in unit.open.items():
            total = total.times(units[k], power)
        units[n] = total
    return "", units


def _meaning(value: float, unit: _Form) -> str:
    if abs(unit.factor) < FORMULAS.same_factor:
        return f"{value:.{DIGITS}g} has the unit {base_units(unit.powers)}"
    return f"{value:.{DIGITS}g} stands for {value * math.exp(unit.factor):.{DIGITS}g} {base_units(unit.powers)}"


def _part(expression: Any) -> str:
    from knotwork.expressions import round_constants, text

    shown = text(round_constants(expression, DIGITS))
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 3]}..."
