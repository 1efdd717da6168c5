"""Targets of any size: very large and very small ones are explained in another unit, and the result is scaled back."""

import math
from dataclasses import replace

import torch

from knotwork.data import Dataset
from knotwork.discovery.discovery import Entry
from knotwork.discovery.entries import built
from knotwork.discovery.settings import DISCOVERY
from knotwork.kan import KAN
from knotwork.training import FitResult


def target_unit(data: Dataset) -> float:
    """The unit to fit the target in: 1 unless its size is beyond what squares of numbers can hold."""
    size = float(data.y_train.abs().max())
    if not size or 1 / DISCOVERY.largest_target <= size <= DISCOVERY.largest_target:
        return 1.0
    return 10.0 ** math.floor(math.log10(size))


def in_unit(data: Dataset, unit: float) -> Dataset:
    """The data with targets in this unit."""
    if unit == 1:
        return data
    scale = 1 / unit
    return replace(data, y_train=scale * data.y_train, y_val=scale * data.y_val, y_test=scale * data.y_test)


def shown_in_own_unit(front: tuple[Entry, ...], unit: float) -> tuple[Entry, ...]:
    """The front of a running search, for the target in its own unit."""
    from knotwork.expressions import number

    if unit == 1:
        return front
    return tuple(
        replace(one, error=unit * one.error, expression=number(unit) * one.expression, formula=None) for one in front
    )


def all_in_own_unit(
    chosen: Entry, front: tuple[Entry, ...], unit: float, data: Dataset
) -> tuple[Entry, tuple[Entry, ...]]:
    """The chosen entry and the front for the targets of `data`; what is chosen on the front stays the same entry."""
    if unit == 1:
        return chosen, front
    own = _in_own_unit(chosen, unit, data)
    return own, tuple(own if one is chosen else _in_own_unit(one, unit, data) for one in front)


def _in_own_unit(entry: Entry, unit: float, data: Dataset) -> Entry:
    from knotwork.expressions import number

    expression, error = number(unit) * entry.expression, unit * entry.error
    symbolic, spline, formula = built(expression, data)
    return Entry(formula.complexity, error, expression, entry.shape, formula, symbolic, spline, entry.bits)


def baseline_in_own_unit(result: FitResult, unit: float) -> FitResult:
    """The fit of a network whose outputs are sums of splines, for targets in their own unit."""
    if unit == 1:
        return result
    assert isinstance(result.model, KAN)
    model = result.model.copy()
    with torch.no_grad():
        model.layers[-1].coefficients.mul_(unit)
        model.layers[-1].base_weights.mul_(unit)
    errors = {name: getattr(result, name) for name in ("train_rmse", "val_rmse", "test_rmse")}
    errors = {name: None if error is None else unit * error for name, error in errors.items()}
    return replace(result, model=model, objective=unit * unit * result.objective, **errors)
