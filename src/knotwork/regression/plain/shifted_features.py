"""Features of plain laws with a shifted input, such as 1/(x - θ), and of values that saturate."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from knotwork.formulas.constants import Constants
from knotwork.regression.plain.plain_features import Feature
from knotwork.regression.plain.settings import PLAIN


def _feature(
    kind: str, values: Tensor, write: Callable[..., Any], cost: float, inner: Sequence[float], of: int, beside: int = 0
) -> Feature:
    """The feature that `write` writes for the inputs' symbols and its inner constants; `beside` other inputs."""

    def build(symbols: Sequence[Any], constants: Constants) -> Any:
        return write(symbols, *map(constants, inner))

    return Feature(kind, values, build, cost, 1 + beside, len(inner), of=None if beside else of)


def _from_zero(columns: Sequence[Tensor]) -> Iterator[tuple[int, Tensor]]:
    """The inputs that vary, and whose zero means something: no value is below it."""
    for i, column in enumerate(columns):
        if bool(column.min() >= 0) and bool(column.max() > column.min()):
            yield i, column


def _below(column: Tensor) -> list[float]:
    """Places below all values of an input."""
    low, high = float(column.min()), float(column.max())
    return [low - share * (high - low) for share in PLAIN.distances]


def _above(column: Tensor) -> list[float]:
    """Places above all values of an input."""
    low, high = float(column.min()), float(column.max())
    return [high + share * (high - low) for share in PLAIN.distances]


def poles(columns: Sequence[Tensor]) -> Iterator[Feature]:
    """1/(x - θ) and 1/(x - θ)² of every input that varies and has no values below zero."""
    for i, column in _from_zero(columns):
        for order in (1, 2):
            for place in (*_below(column), *_above(column)):

                def write(symbols: Sequence[Any], theta: Any, i: int = i, order: int = order) -> Any:
                    return 1 / (symbols[i] - theta) ** order

                values = 1 / (column - place) ** order
                yield _feature(f"pole {i} {order}", values, write, 3.0 + 2 * order, [place], i)


def poles_beside_inputs(columns: Sequence[Tensor]) -> Iterator[Feature]:
    """z/(x - θ) of every two inputs, θ below all values, where there are few inputs."""
    if len(columns) > PLAIN.most_inputs_of_poles:
        return
    for i, column in _from_zero(columns):
        for j, other in enumerate(columns):
            for place in _below(column) if j != i else ():

                def write(symbols: Sequence[Any], theta: Any, i: int = i, j: int = j) -> Any:
                    return symbols[j] / (symbols[i] - theta)

                yield _feature(f"pole {i} beside {j}", other / (column - place), write, 5.0, [place], i, 1)


def shifted_logarithms(columns: Sequence[Tensor]) -> Iterator[Feature]:
    """log(x - θ) of every input that varies and has no values below zero."""
    from knotwork.expressions import algebra

    for i, column in _from_zero(columns):
        for place in _below(column):

            def write(symbols: Sequence[Any], theta: Any, i: int = i) -> Any:
                return algebra.log(symbols[i] - theta)

            yield _feature(f"shifted log {i}", (column - place).log(), write, 4.0, [place], i)


def saturations(columns: Sequence[Tensor]) -> Iterator[Feature]:
    """tanh(x/θ), 1 - exp(-x/θ), 1 - exp(-(x/θ)^n) and 1/(1 + (θ/x)^n) of every input that varies and has no values
    below zero."""
    from knotwork.expressions import algebra

    def written(kind: str, x: Any, place: Any, n: Any = 1) -> Any:
        if kind == "tanh":
            return algebra.tanh(x / place)
        return x**n / (x**n + place**n) if kind == "Hill" else 1 - algebra.exp(-((x / place) ** n))

    def values_of(kind: str, x: Tensor, place: float, n: float = 1) -> Tensor:
        power = (x / place) ** n
        return power.tanh() if kind == "tanh" else power / (1 + power) if kind == "Hill" else -torch.expm1(-power)

    for i, column in _from_zero(columns):
        for share in PLAIN.places_of_saturation:
            place = share * float(column.max())
            with_exponents = [("delayed growth", 9.0)] + [("Hill", 9.0)] * bool((column > 0).all())
            for kind, cost, *inner in (
                ("tanh", 4.0, place),
                ("growth", 7.0, place),
                *((kind, cost, place, n) for kind, cost in with_exponents for n in PLAIN.exponents_of_saturation),
            ):

                def write(symbols: Sequence[Any], *theta: Any, i: int = i, kind: str = kind) -> Any:
                    return written(kind, symbols[i], *theta)

                one = _feature(f"{kind} {i}", values_of(kind, column, *inner), write, cost, inner, i)
                yield one if kind == "Hill" else replace(one, from_zero=True)
