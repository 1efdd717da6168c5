"""Columns that are linear combinations of columns before them: the search leaves them out, the result names them."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from knotwork.data import Dataset
from knotwork.discovery.settings import DISCOVERY
from knotwork.discovery.table import sample_of
from knotwork.formulas import same_values, simplest


def dependent_columns(columns: Mapping[str, Tensor], units: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Expressions, by name, of those columns (n,) that are linear combinations of columns before them and a constant.

    A column may differ from its combination by the rounding of the columns' numbers, no more. `units` are factors by
    which columns were divided after they were rounded. A constant column is left alone: it tells nothing, but it is no
    combination.
    """
    units = units or {}
    kept: list[str] = []
    basis: list[Tensor] = []  # orthonormal, of the kept columns
    found: dict[str, Any] = {}
    roundings = {name: _rounding(column, units.get(name, 1.0)) for name, column in columns.items()}
    for name, column in columns.items():
        centred = column - column.mean()
        size = float(centred.norm())
        if not size > roundings[name] * len(column) ** 0.5:
            continue
        rest = centred / size
        for _ in range(2):  # twice is enough (Kahan, Parlett): the second removes the rounding of the first
            for one in basis:
                rest = rest - (one @ rest) * one
        left, combination = float(rest.norm()), None
        if left <= DISCOVERY.rounding_of_columns and len(column) > len(kept) + 2:
            combination = _Combination.of(
                column, roundings[name], {one: (columns[one], roundings[one]) for one in kept}
            )
        if combination is not None:
            found[name] = combination.simple().expression()
        elif left > 0:
            kept.append(name)
            basis.append(rest / left)
    return found


def _rounding(column: Tensor, unit: float) -> float:
    """How much the numbers (n,) of a column may be wrong because they were rounded to floats.

    Columns whose numbers are all floats of single precision, and not all whole ones, count as rounded to these.
    """
    own = column * unit
    largest = float(own.abs().max())
    near = DISCOVERY.roundings_of_columns * torch.finfo(torch.float64).eps * largest
    single, whole = (float((own - one).abs().max()) <= near for one in (own.float().double(), own.round()))
    single = single and not whole
    return (torch.finfo(torch.float32).eps * largest if single else near) / unit


@dataclass(frozen=True)
class _Combination:
    """A column (n,) as weights of others, of which the first is 1, all with their roundings."""

    column: Tensor
    rounding: float
    names: tuple[str | None, ...]
    design: Tensor
    roundings: Tensor
    weights: Tensor

    @classmethod
    def of(cls, column: Tensor, rounding: float, others: Mapping[str, tuple[Tensor, float]]) -> "_Combination | None":
        """The combination nearest to the column; None if they differ by more than rounding."""
        design = torch.stack([torch.ones_like(column), *(one for one, _ in others.values())], 1)
        roundings = torch.tensor([0.0, *(one for _, one in others.values())], dtype=column.dtype)
        weights = torch.zeros_like(roundings)
        found = cls(column, rounding, (None, *others), design, roundings, weights)._solved(weights == 0)
        return found if found.fits() else None

    def _solved(self, used: Tensor) -> "_Combination":
        """With the weights of those others that are used at the best fit, and zeros."""
        design = self.design[:, used]
        scale = design.norm(dim=0)
        solution = torch.linalg.lstsq(design / scale, self.column[:, None], driver="gelsd").solution[:, 0] / scale
        return replace(self, weights=torch.zeros_like(self.weights).masked_scatter(used, solution))

    def fits(self) -> bool:
        """Whether rounding explains all that the column differs by."""
        apart = float((self.design @ self.weights - self.column).square().mean().sqrt())
        return apart <= self.rounding + float(self.weights.abs() @ self.roundings)

    def simple(self) -> "_Combination":
        """Without the others that take no part, and with weights of few digits, as far as rounding allows."""
        sizes = self.weights.abs() * self.design.norm(dim=0)
        used = sizes > DISCOVERY.rounding_of_columns * float(self.column.norm())
        best = self._solved(used)
        if not best.fits():  # a small part is needed
            best, used = self, torch.ones_like(used)
            for n in sizes.argsort().tolist():
                without = used.clone()
                without[n] = False
                if bool(without.any()) and (shorter := best._solved(without)).fits():
                    best, used = shorter, without
        rounded = (replace(best, weights=_rounded(best.weights, digits)) for digits in range(1, 16))
        return next((one for one in rounded if one.fits()), best)

    def expression(self) -> Any:
        from knotwork.expressions import algebra, number, symbol

        terms: Any = algebra.Integer(0)
        for weight, name in zip(self.weights.tolist(), self.names, strict=True):
            coefficient = (
                algebra.Integer(int(weight)) if weight.is_integer() and abs(weight) < 2**53 else number(weight)
            )
            terms = terms + (coefficient if name is None else coefficient * symbol(name))
        return terms


def _rounded(weights: Tensor, digits: int) -> Tensor:
    """The weights to this number of significant digits."""
    return torch.tensor([float(f"{weight:.{digits}g}") for weight in weights.tolist()], dtype=weights.dtype)


def shortest_of(
    expression: Any,
    dependent: Mapping[str, Any],
    data: Dataset,
    relative: bool = False,
    allowed: Callable[[Any], bool] = lambda _: True,
) -> Any:
    """The shortest of the expression and those with a dependent column in place of another one that are `allowed`.

    Its values on the rows are those of the expression, but for the rounding of the dependent columns.
    """
    from knotwork.expressions import complexity, to_torch

    best = simplest(expression, data, relative, allowed)
    columns = sample_of(data).columns
    for name, combination in dependent.items():
        values = to_torch(combination, list(columns))(*columns.values())
        apart = float((values - columns[name]).abs().max() / columns[name].abs().max())
        same = same_values(best, data, relative, DISCOVERY.growth_of_rounding * apart)
        for way in _with_column(best, name, combination):
            if same(way) and allowed(way):
                best = min(best, simplest(way, data, relative, allowed), key=complexity)
    return best


def _with_column(expression: Any, name: str, combination: Any) -> Iterator[Any]:
    """The expression with the column `name`, for each column of the combination that it can replace."""
    from knotwork.expressions import algebra, symbol

    for one in sorted(combination.free_symbols & expression.free_symbols, key=str):
        rest, factor = combination.xreplace({one: algebra.Integer(0)}), combination.coeff(one)
        written = expression.xreplace({one: (symbol(name) - rest) / factor})
        yield written
        yield algebra.expand(written)


def of_independent_columns(
    data: Dataset, units: Mapping[str, float], linear: Collection[str]
) -> tuple[tuple[int, ...], dict[str, Any]]:
    """The numbers of the inputs without those that are linear combinations of others, and these combinations.

    Inputs that a formula must be `linear` in come first: others are combinations of them, not the other way round.
    """
    columns = sample_of(data).columns
    ordered = sorted(columns, key=lambda name: name not in linear)  # stable
    dependent = dependent_columns({name: columns[name] for name in ordered}, units)
    return tuple(n for n, name in enumerate(data.input_names) if name not in dependent), dependent
