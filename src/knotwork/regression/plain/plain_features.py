"""Features of plain laws: powers and simple functions of one input, and products of powers of two."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from knotwork.formulas.constants import Constants
from knotwork.regression.plain.settings import PLAIN

Powers = tuple[float, ...]
Build = Callable[[Sequence[Any], Constants], Any]


@dataclass(frozen=True)
class Feature:
    """A function of the inputs: its `values` (n,) on the rows, and `build`, its expression of the inputs' symbols.

    `cost` counts its symbols, `inputs` its inputs and `inner` its own constants. Features of one `kind` differ in these
    constants alone. `powers` are those of the inputs, if it is a product of powers. The expression is `scale` times the
    values. `of` is the number of the one input it depends on, `logarithm_of` that of the input whose logarithm it is.
    With `from_zero` it is zero where its input is, and stands beside no constant.
    """

    kind: str
    values: Tensor
    build: Build
    cost: float
    inputs: int = 1
    inner: int = 0
    powers: Powers | None = None
    scale: float = 1.0
    of: int | None = None
    logarithm_of: int | None = None
    from_zero: bool = False

    def stands_beside(self, other: "Feature") -> bool:
        """Whether a sum may hold both: functions of one input stand beside each other if they are whole powers alone.

        sqrt(x) - x and such sums follow nearly every curve, and no law has them.
        """
        if (self.from_zero and not other.inputs) or (other.from_zero and not self.inputs):
            return False
        if self.of is None or self.of != other.of:
            return True
        return all(one.powers is not None and all(p == int(p) for p in one.powers) for one in (self, other))


def product_of_powers(columns: Sequence[Tensor], powers: Powers) -> Feature:
    """A product of powers of the inputs; that of no powers is the number one."""
    values = torch.ones_like(columns[0])
    for column, p in zip(columns, powers, strict=True):
        values = values * column**p if p else values
    used = [i for i, p in enumerate(powers) if p]
    count, of = len(used), used[0] if len(used) == 1 else None
    cost = sum(1.0 if abs(p) == 1 else 3.0 for p in powers if p) + max(count - 1, 0)

    def build(symbols: Sequence[Any], _: Constants) -> Any:
        return monomial(symbols, powers)

    return Feature(f"powers {powers}", values, build, cost, count, powers=powers, of=of)


def monomial(symbols: Sequence[Any], powers: Sequence[float]) -> Any:
    """The expression of a product of powers."""
    from knotwork.expressions import algebra

    return algebra.Mul(*(s ** algebra.Rational(p) for s, p in zip(symbols, powers, strict=True) if p))


def logarithm(columns: Sequence[Tensor], i: int) -> Feature:
    """The logarithm of an input."""
    from knotwork.expressions import algebra

    def build(symbols: Sequence[Any], _: Constants) -> Any:
        return algebra.log(symbols[i])

    return Feature(f"log {i}", columns[i].log(), build, 2.0, of=i, logarithm_of=i)


def single_powers(columns: Sequence[Tensor], exponents: Sequence[float]) -> list[Feature]:
    """Powers of single inputs, as far as the signs of their values allow."""
    count = len(columns)
    return [
        product_of_powers(columns, tuple(p if j == i else 0.0 for j in range(count)))
        for i, column in enumerate(columns)
        for p in exponents
        if _possible(column, p)
    ]


def pairs_of_powers(columns: Sequence[Tensor], exponents: Sequence[tuple[float, float]]) -> list[Feature]:
    """Products of powers of two inputs."""
    return [
        product_of_powers(columns, tuple(p if k == i else q if k == j else 0.0 for k in range(len(columns))))
        for i, j in itertools.combinations(range(len(columns)), 2)
        for p, q in exponents
        if _possible(columns[i], p) and _possible(columns[j], q)
    ]


def _possible(column: Tensor, p: float) -> bool:
    """Whether this power is defined for every value, and not only beside a pole."""
    if p == int(p):
        return p > 0 or bool((column > 0).all()) or bool((column < 0).all())
    return bool((column > 0).all()) if p < 0 else bool((column >= 0).all())


def shapes(columns: Sequence[Tensor]) -> Iterator[Feature]:
    """Functions of single inputs with constants inside, each for some values of these."""
    for i, column in enumerate(columns):
        size, spread = float(column.abs().max()), float(column.max() - column.min())
        if not spread:
            continue
        for rate in PLAIN.rates:
            if rate * size <= PLAIN.largest_exponent * spread:
                for sign in (-1.0, 1.0):
                    yield _shape(columns, i, "exp", sign * rate / spread)
        if bool((column >= 0).all()):
            for share in PLAIN.shares:
                yield _shape(columns, i, "saturation", share * size)
            if bool((column > 0).all()):
                for p in PLAIN.exponents:
                    yield _shape(columns, i, "power", p)
                for rate in PLAIN.rates:
                    yield _shape(columns, i, "activation", rate / float(1 / column.min() - 1 / column.max()))
        for middle in PLAIN.middles:
            for rate in PLAIN.slopes:
                yield _logistic(columns, i, rate / spread, float(column.min()) + middle * spread)


def origin_of(column: Tensor, rate: float) -> int:
    """The number from which an input is counted in exp(rate·input): 0, or its middle where it is far from zero.

    A factor outside and a rate inside could hardly be fitted together there, as in exp(0.1·year).
    """
    middle = round(float(column.min() + column.max()) / 2)
    return middle if abs(rate * middle) > PLAIN.far_exponent else 0


def _shape(columns: Sequence[Tensor], i: int, kind: str, value: float) -> Feature:
    """exp(θx), x/(x + θ), x^θ or exp(-θ/x), with the value θ."""
    from knotwork.expressions import algebra

    x, origin, cost = columns[i], 0, {"exp": 4.0, "saturation": 6.0, "power": 3.0, "activation": 5.0}[kind]
    if kind == "saturation":
        values, scale = x / (x + value), 1.0
    else:  # exponentials, with the value 1 at one end of the range
        inner = {"exp": x, "power": x.log(), "activation": -1 / x}[kind] * value
        place = float(inner.max())
        values, limit = (inner - place).exp(), PLAIN.largest_exponent
        origin = origin_of(x, value) if kind == "exp" else 0
        scale = math.exp(min(max(place - value * origin, -limit), limit))

    def build(symbols: Sequence[Any], constants: Constants) -> Any:
        s, theta = symbols[i], constants(value)
        if kind == "exp":
            return algebra.exp(theta * (s - origin))
        if kind == "saturation":
            return s / (s + theta)
        return s**theta if kind == "power" else algebra.exp(-theta / s)

    return Feature(f"{kind} {i}", values, build, cost, inner=1, scale=scale, of=i)


def _logistic(columns: Sequence[Tensor], i: int, rate: float, middle: float) -> Feature:
    from knotwork.expressions import algebra

    def build(symbols: Sequence[Any], constants: Constants) -> Any:
        return 1 / (1 + algebra.exp(-constants(rate) * (symbols[i] - constants(middle))))

    return Feature(f"logistic {i}", torch.sigmoid(rate * (columns[i] - middle)), build, 9.0, inner=2, of=i)
