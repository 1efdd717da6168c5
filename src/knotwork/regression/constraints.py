"""What a user knows beforehand: functions that a formula may hold or must not, and inputs that enter linearly."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from knotwork.data.column_names import unknown_name
from knotwork.errors import DataError, SpecError
from knotwork.formulas.constants import Sample
from knotwork.functions import NamedFunction, named_function, select
from knotwork.model import KANNetwork
from knotwork.regression.candidate_formulas import Reading
from knotwork.regression.curve_names import PLAIN
from knotwork.regression.search import Search
from knotwork.regression.structures import Axis, Rows

STRAIGHT = 1e-9  # of the target's spread: how far a linear input may bend it over its range
PLACES = 9  # of its range that are looked at


@dataclass(frozen=True)
class Guidance:
    """The functions that curves may be named with, those no formula may hold, and the inputs that enter linearly.

    `only` says that formulas may hold no function that is not part of one of `functions`; powers are always allowed.
    """

    functions: tuple[NamedFunction, ...]
    forbidden: tuple[NamedFunction, ...] = ()
    linear: tuple[str, ...] = ()
    only: bool = False

    @classmethod
    def of(
        cls,
        lib: Iterable[str] | None,
        forbid: Iterable[str] | None,
        linear: Iterable[str] | None,
        columns: Sequence[str],
    ) -> "Guidance":
        """From names; SpecError and DataError, with the closest names, for those that are not there."""
        forbidden = tuple(named_function(name) for name in _names(forbid, "forbid"))
        if any(function.name == "x" for function in forbidden):
            raise SpecError("'x' cannot be forbidden: every formula holds it. Leave an input out of the table instead.")
        functions = tuple(f for f in select(None if lib is None else _names(lib, "lib")) if f not in forbidden)
        if not functions:
            raise SpecError("all functions of lib= are forbidden: leave at least one, such as 'x'.")
        straight = _names(linear, "linear")
        for name in straight:
            if name not in columns:
                raise DataError(unknown_name(name, columns, "input"))
        return cls(functions, forbidden, straight, lib is not None)

    @property
    def names(self) -> list[str]:
        """Names of the functions that are left."""
        return [function.name for function in self.functions]

    def allows(self, expression: Any, sample: Sample) -> bool:
        """Whether an expression keeps to all of this, as far as the rows of the sample tell."""
        from knotwork.expressions import contains, function_names, parse

        if any(contains(expression, parse(function.expression, ["x"])) for function in self.forbidden):
            return False
        if self.only:
            known = {name for f in self.functions for name in function_names(parse(f.expression, ["x"]))}
            if not function_names(expression) <= known:
                return False
        return all(_is_straight(expression, name, sample) for name in self.linear)

    def search(self, sample: Sample, train: int, *settings: Any) -> Search:
        """A search that keeps to this; `settings` are those of `Search` after the functions."""
        if not (self.forbidden or self.linear or self.only):
            return Search(sample, train, self.functions, *settings)
        return _GuidedSearch(self, sample, train, *settings)

    def straighten(self, network: KANNetwork, names: Sequence[str]) -> None:
        """Name the edges from linear inputs in a network of one layer; the names are those of its input nodes."""
        layer = network.layers[0]
        for i, j in (layer.mask > 0).nonzero().tolist():
            if names[i] in self.linear:
                layer.name_edge(i, j, "x", torch.tensor([1.0, 0.0, 1.0, 0.0], dtype=torch.float64))


class _GuidedSearch(Search):
    """A search in which linear inputs have straight curves, and what is not allowed is passed over."""

    def __init__(self, guidance: Guidance, sample: Sample, train: int, *settings: Any) -> None:
        super().__init__(sample, train, guidance.functions, *settings)
        self.guidance = guidance
        axes = zip(sample.columns, self.rows.axes, strict=True)
        straight = tuple(_StraightAxis(axis) if name in guidance.linear else axis for name, axis in axes)
        self.rows = Rows(straight, self.rows.y, self.rows.train)

    def outer(self) -> list[Any]:
        return [PLAIN] if self.guidance.linear else super().outer()

    def rare(self) -> list[Any]:
        return [] if self.guidance.linear else super().rare()

    def judge(self, reading: Reading) -> None:
        if self.guidance.allows(reading.template.filled(), self.sample):
            super().judge(reading)


class _StraightAxis(Axis):
    """An input whose curves are straight lines; the rest of its basis is zero, to be as wide as that of others."""

    def __init__(self, axis: Axis) -> None:
        self.values, self.positive, self.logarithmic = axis.values, axis.positive, False
        low, high = axis.values.min(), axis.values.max()
        self.half, self.train = float(high - low) / 2 or 1.0, axis.train
        self.at = (axis.values - low) / self.half - 1
        self.basis = torch.zeros_like(axis.basis)
        self.basis[:, 0], self.basis[:, 1] = 1.0, self.at
        self.solver = torch.linalg.pinv(self.basis[: self.train], rtol=1e-10)


def _names(given: Iterable[str] | None, what: str) -> tuple[str, ...]:
    if given is None:
        return ()
    if isinstance(given, str):
        raise SpecError(f"{what}={given!r} is one text: give a list of names, {what}=[{given!r}].")
    given = tuple(given)
    if not all(isinstance(name, str) for name in given):
        raise SpecError(f"{what}={list(given)!r} must be a list of names.")
    return tuple(given)


def _is_straight(expression: Any, name: str, sample: Sample) -> bool:
    """Whether on all rows the values are on a line when this input goes through its range."""
    from knotwork.expressions import symbol, to_torch

    if symbol(name) not in expression.free_symbols:
        return True
    function, column = to_torch(expression, list(sample.columns)), sample.columns[name]
    shares = torch.linspace(0, 1, PLACES, dtype=torch.float64)
    places = column.min() + shares * (column.max() - column.min())
    values = torch.stack(
        [function(*{**sample.columns, name: place.expand_as(column)}.values()) for place in places.unbind()]
    )
    line = values[:1] + shares[:, None] * (values[-1:] - values[:1])
    return float((values - line).abs().nan_to_num(torch.inf).max()) <= STRAIGHT * sample.scale
