"""Functions with constants inside, as factors of terms: sin(2·y + 1), exp(-x/3), log(x² + y + 4), 1/(x·y + 2)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Powers = tuple[float, ...]


@dataclass(frozen=True)
class Kind:
    """A function f of a sum of features: `value`, its derivative `slope`, its `text` as a function of x.

    With `sized`, the first feature has a free coefficient; others of f(±u + b) have a size that a factor or a constant
    outside replaces. With `shifted`, the sum has a constant b. `needs` are names of the library, one of which must be
    allowed; none for powers.
    """

    name: str
    needs: tuple[str, ...]
    text: str
    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    sized: bool
    shifted: bool = True
    cost: int = 1


def _positive(u: Array) -> Array:
    return np.where(u > 0, u, np.nan)


def _bell(u: Array) -> Array:
    return np.exp(-u * u)


EXP = Kind("exp", ("exp",), "exp(x)", np.exp, np.exp, sized=True, shifted=False)
SIN = Kind("sin", ("sin", "cos"), "sin(x)", np.sin, np.cos, sized=True)
TANH = Kind("tanh", ("tanh", "sigmoid"), "tanh(x)", np.tanh, lambda u: 1 - np.tanh(u) ** 2, sized=True)
BELL = Kind("bell", ("gaussian", "exp"), "exp(-x**2)", _bell, lambda u: -2 * u * _bell(u), sized=True, cost=4)
LOG = Kind("log", ("log",), "log(x)", lambda u: np.log(_positive(u)), lambda u: 1 / u, sized=False)
INVERSE = Kind("1/", (), "1/x", lambda u: 1 / _positive(u), lambda u: -1 / u**2, sized=False, cost=1)
ROOT = Kind("root", (), "sqrt(x)", lambda u: np.sqrt(_positive(u)), lambda u: 0.5 / np.sqrt(u), sized=False)
INVERSE_ROOT = Kind(
    "1/root", (), "1/sqrt(x)", lambda u: _positive(u) ** -0.5, lambda u: -0.5 * u**-1.5, sized=False, cost=2
)
CORNER = Kind("corner", ("abs",), "abs(x)", np.abs, np.sign, sized=False, cost=2)
SQUARED = Kind("square", (), "x**2", np.square, lambda u: 2 * u, sized=False, cost=2)
KINDS = (EXP, SIN, TANH, BELL, LOG, INVERSE, ROOT, INVERSE_ROOT, CORNER, SQUARED)


@dataclass(frozen=True)
class Feature:
    """A product of powers of the inputs, or the logarithm of the input with power 1 if `logarithm`."""

    powers: Powers
    logarithm: bool = False

    @property
    def cost(self) -> int:
        """Symbols."""
        return cost_of_powers(self.powers) + 2 * self.logarithm


def cost_of_powers(powers: Powers) -> int:
    """Symbols of a product of powers."""
    used = [p for p in powers if p]
    return max(sum(1 if p == 1 else 3 for p in used) + len(used) - 1, 0)


@dataclass(frozen=True)
class Inside:
    """A function of a sum of features: f(Σ aⱼ·featureⱼ + b), with `constants` a, and b if the kind is shifted."""

    kind: Kind
    features: tuple[Feature, ...]
    constants: tuple[float, ...]

    @property
    def cost(self) -> int:
        """Symbols, with two more for every constant."""
        of_features = sum(feature.cost + 4 for feature in self.features) - (1 if self.kind.sized else 4)
        return self.kind.cost + of_features + 4 * self.kind.shifted

    @property
    def shape(self) -> tuple[str, tuple[Feature, ...]]:
        """What it is, whatever its constants."""
        return self.kind.name, self.features


@dataclass(frozen=True)
class Column:
    """A term without its coefficient: a product of powers of the inputs and of functions."""

    powers: Powers
    functions: tuple[Inside, ...] = ()

    @property
    def cost(self) -> int:
        """Symbols, with those of its coefficient and of the sum."""
        return 4 + cost_of_powers(self.powers) + sum(1 + one.cost for one in self.functions)

    def as_value(self) -> Any:
        """The term as numbers, texts and tuples."""
        inside = [
            (one.kind.name, [(f.powers, f.logarithm) for f in one.features], one.constants) for one in self.functions
        ]
        return self.powers, inside

    @classmethod
    def of_value(cls, value: Any) -> "Column":
        """The inverse of `as_value`; KeyError for a kind that does not exist."""
        kinds = {kind.name: kind for kind in KINDS}
        inside = (
            Inside(kinds[name], tuple(Feature(*feature) for feature in features), constants)
            for name, features, constants in value[1]
        )
        return cls(value[0], tuple(inside))

    @property
    def shape(self) -> tuple[Any, ...]:
        """What it is, whatever its constants."""
        return self.powers, *sorted((one.shape for one in self.functions), key=str)

    @property
    def constants(self) -> list[float]:
        """The inner constants that are free."""
        return [c for one in self.functions for c in one.constants[not one.kind.sized :]]

    def with_constants(self, values: Sequence[float]) -> "Column":
        """The same with other free constants."""
        rest, functions = list(values), []
        for one in self.functions:
            fixed = one.constants[: int(not one.kind.sized)]
            count = len(one.constants) - len(fixed)
            functions.append(replace(one, constants=(*fixed, *rest[:count])))
            rest = rest[count:]
        return replace(self, functions=tuple(functions))


class Inputs:
    """Inputs (n,) divided by their typical sizes, with products of powers kept once computed.

    Exponentials are taken of features minus their centres, as those of values far from zero leave the range of floats.
    `whole` are the inputs of all rows, of which these are some.
    """

    def __init__(self, columns: Sequence[Array], scales: Sequence[float], whole: "Inputs | None" = None) -> None:
        self.columns, self.scales, self.whole = list(columns), list(scales), whole or self
        self.kept: dict[Feature, Array] = {}
        self.centres: dict[Feature, float] = {}

    def centre(self, feature: Feature) -> float:
        """The middle of the range of a feature over all rows; 0 of logarithms, whose exponentials are powers."""
        if self.whole is not self:
            return self.whole.centre(feature)
        if feature not in self.centres:
            values = self.feature(feature)
            middle = 0.0 if feature.logarithm else float(values.min() + values.max()) / 2
            self.centres[feature] = middle if math.isfinite(middle) else 0.0
        return self.centres[feature]

    def within(self, one: Inside, feature: Feature) -> Array:
        """The values (n,) of a feature inside a function."""
        values = self.feature(feature)
        return values - self.centre(feature) if one.kind is EXP else values

    def feature(self, feature: Feature) -> Array:
        """The values (n,) of a feature."""
        if feature not in self.kept:
            found = np.ones(len(self.columns[0]))
            for column, p in zip(self.columns, feature.powers, strict=True):
                if p:
                    found = found * column ** (int(p) if p == int(p) else p)
            self.kept[feature] = np.log(found) if feature.logarithm else found
        return self.kept[feature]

    def rows(self, some: Array | slice) -> "Inputs":
        """Some rows alone."""
        return Inputs([column[some] for column in self.columns], self.scales, self.whole)

    def size(self, powers: Powers) -> float:
        """The factor by which a product of powers of the inputs exceeds that of the scaled ones."""
        logs = (p * math.log(scale) for p, scale in zip(powers, self.scales, strict=True) if p)
        return math.exp(math.fsum(logs))

    def argument(self, one: Inside) -> Array:
        """What the function is taken of, (n,)."""
        b = one.constants[-1] if one.kind.shifted else 0.0
        parts = [a * self.within(one, feature) for a, feature in zip(one.constants, one.features, strict=False)]
        return np.sum(parts, 0) + b

    def value(self, column: Column) -> Array:
        """The values (n,) of a term."""
        found = self.feature(Feature(column.powers))
        for one in column.functions:
            found = found * one.kind.value(self.argument(one))
        return found

    def slopes(self, column: Column) -> list[Array]:
        """The derivatives (n,) of a term by its free constants."""
        parts = [one.kind.value(self.argument(one)) for one in column.functions]
        found = []
        for k, one in enumerate(column.functions):
            rest = self.feature(Feature(column.powers)) * one.kind.slope(self.argument(one))
            for other, part in enumerate(parts):
                if other != k:
                    rest = rest * part
            own = [rest * self.within(one, feature) for feature in one.features] + [rest] * one.kind.shifted
            found += own[not one.kind.sized :]
        return found
