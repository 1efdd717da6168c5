"""The tables of several targets: one of each target, with the rows in which it is known."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from knotwork.data import Dataset, Stream, as_dataset
from knotwork.data.arrays import columns_by_name, plain, table_of
from knotwork.data.column_names import check_units, resolved_names
from knotwork.data.conversion import is_pair
from knotwork.data.matrix import check_finite, check_same_order
from knotwork.data.row_split import RowSplit
from knotwork.discovery.table import table
from knotwork.errors import DataError


class TargetTable(NamedTuple):
    """The rows of one target, and the number of rows in which it is missing."""

    rows: Dataset
    missing: int = 0

    @property
    def name(self) -> str:
        """The name of the target."""
        return self.rows.target_names[0]


def several_targets(X: Any, y: Any) -> bool:
    """Whether the arguments of `discover` hold more than one target; False for what no table can be made of."""
    try:
        if y is None:
            if isinstance(X, (Dataset, Stream)):
                return (X if isinstance(X, Dataset) else X.sample).n_outputs > 1
            if isinstance(X, Mapping) and "train_label" in X:
                return several_targets(None, X["train_label"])
            return several_targets(*X) if is_pair(X) else False
        named = columns_by_name(y, "y")
        if named is not None:
            return len(named) > 1
        shape = y.shape if isinstance(y, Tensor) else np.shape(plain(y, "y"))
    except DataError:
        return False
    return len(shape) == 2 and shape[1] > 1


def targets_by_name(y: Any) -> dict[str, Any]:
    """The columns of several targets by name; y[:, 0], ... where they have no names."""
    named = columns_by_name(y, "y")
    if named is not None:
        return named
    values = y if isinstance(y, Tensor) else plain(y, "y")
    return {f"y[:, {n}]": values[:, n] for n in range(values.shape[1])}


def tables_of_targets(
    X: Any,
    y: Any,
    names: Sequence[str] | None,
    units: Mapping[str, str] | Literal[False] | None,
    seed: int,
    sigma: Any,
    sample_weight: Any,
    split: RowSplit | None = None,
) -> list[TargetTable]:
    """The table of every target, as `table` makes one of a target alone, without the rows in which it is missing.

    `sigma` and `sample_weight` are those of all targets, or have a column for each. DataError for unusable arguments.
    """
    if y is None:
        data = _with_units(as_dataset(X), units)
        every = (_of_one(data, n) for n in range(data.n_outputs))
        return [TargetTable(table(one, None, names, None, seed, sigma, sample_weight)) for one in every]
    for what, given in (("y", y), ("sigma", sigma), ("sample_weight", sample_weight)):
        check_same_order(X, given, ("X", what))
    inputs, own = table_of(X, "X", names)
    targets, headers = table_of(y, "y")
    if len(inputs) != len(targets):
        raise DataError(f"X has {len(inputs)} rows and y has {len(targets)}: every row needs its targets.")
    if inputs.ndim != 2:  # with the words of a table of one target
        table(X, y, names, units, seed)
    columns, target_names, known = resolved_names(names or own, headers, inputs.shape[1], targets.shape[1])
    if units is not None and units is not False:
        check_units(units, (*columns, *target_names))
        known |= units
    known_rows = ~targets.isnan().all(1)  # inputs of the others do not matter
    check_finite(torch.where(known_rows[:, None], inputs, 0.0), "X", columns)
    errors = {"sigma": sigma, "sample_weight": sample_weight}
    found = []
    for n, name in enumerate(target_names):
        kept = ~targets[:, n].isnan()
        if not bool(kept.any()):
            raise DataError(f"the target '{name}' is missing (NaN) in all rows: leave it out.")
        own_units = False if units is False else {one: known[one] for one in (*columns, name) if one in known}
        parts = {what: _of_target(given, n, target_names, kept, what) for what, given in errors.items()}
        own_split = None if split is None else split.taken(kept.nonzero()[:, 0])
        data = table(inputs[kept], {name: targets[kept, n]}, columns, own_units, seed, split=own_split, **parts)
        assert data.row_numbers is not None
        places = kept.nonzero()[:, 0]
        first, second, third = (places[part] for part in data.row_numbers)
        units_by_name = {one: unit for one, unit in data.units.items() if one in columns or name in known}
        data = replace(
            data, target_names=(name,), units=units_by_name, row_numbers=(first, second, third), row_split=split
        )
        found.append(TargetTable(data, int((~kept).sum())))
    return found


def _with_units(data: Dataset, units: Mapping[str, str] | Literal[False] | None) -> Dataset:
    """The data with these units of its columns, too."""
    if units is None or units is False:
        return data
    check_units(units, (*data.input_names, *data.target_names))
    return replace(data, units={**data.units, **units})


def _of_one(data: Dataset, target: int) -> Dataset:
    """The data with one of its targets alone."""
    name = data.target_names[target]
    parts = {f"y_{part}": getattr(data, f"y_{part}")[:, target : target + 1] for part in ("train", "val", "test")}
    units = {one: unit for one, unit in data.units.items() if one in (*data.input_names, name)}
    return replace(data, **parts, target_names=(name,), units=units)


def _of_target(given: Any, target: int, names: Sequence[str], kept: Tensor, what: str) -> Any:
    """What sigma= or sample_weight= says of the rows of one target, whose column has its name or its place."""
    if given is None or isinstance(given, str) or (not isinstance(given, Mapping) and np.ndim(given) == 0):
        return given
    values, own = table_of(given, what)
    if values.shape == (len(kept), len(names)):
        values = values[:, own.index(names[target]) if own is not None and set(own) == set(names) else target]
    if values.numel() != len(kept) or len(values) != len(kept):
        raise DataError(
            f"{what} has shape {tuple(values.shape)}, but the table has {len(kept)} rows and {len(names)} targets: "
            "give one value for each row, or for each row and target."
        )
    return values.reshape(-1)[kept]
