"""The errors of the rows of a table, from the arguments sigma= and sample_weight= of `discover`."""

from collections.abc import Sequence
from dataclasses import replace
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from knotwork.data import Dataset
from knotwork.data.arrays import table_of
from knotwork.data.column_names import split_units, unknown_name
from knotwork.data.row_errors import RowErrors
from knotwork.data.row_selection import rows_taken
from knotwork.errors import DataError, TrainingError


def with_errors(data: Dataset, sigma: Any, sample_weight: Any) -> Dataset:
    """The data with the errors of its rows, without rows of weight zero.

    Each argument is an array (rows,) in the order of the table, the name of an input column, which is then no input any
    more, one number for all rows, or None. DataError for other values, TrainingError for both arguments.
    """
    if sigma is not None and sample_weight is not None:
        raise TrainingError("sigma= and sample_weight= were both given: pass the one that is known of the rows.")
    if sigma is not None:
        parts, data = _parts(data, sigma, "sigma")
        if any(bool((part <= 0).any()) for part in parts):
            raise DataError("sigma holds values of 0 or below: give the standard deviation of each row's target.")
        return replace(data, errors=RowErrors.of_sigma(parts))
    if sample_weight is None:
        return data
    parts, data = _parts(data, sample_weight, "sample_weight")
    if any(bool((part < 0).any()) for part in parts):
        raise DataError("sample_weight holds values below 0: say how much each row counts, from 0 on.")
    if not bool((parts[0] > 0).any()):
        raise DataError("sample_weight is 0 for every training row: give some of them a positive weight.")
    kept = [part > 0 for part in parts]
    weights = [part[mask] for part, mask in zip(parts, kept, strict=True)]
    return replace(rows_taken(data, *kept), errors=RowErrors.of_weights(weights))


def _parts(data: Dataset, given: Any, what: str) -> tuple[Sequence[Tensor], Dataset]:
    """The values for training, validation and test rows, and the data without the column that held them."""
    if isinstance(given, str):
        return _of_column(data, given, what)
    if isinstance(given, Real) and not isinstance(given, bool):
        parts = [torch.full((count,), float(given), dtype=torch.float64) for count in data.rows()]
    else:
        parts = _of_rows(data, table_of(given, what)[0].squeeze(), what)
    if not all(bool(part.isfinite().all()) for part in parts):
        raise DataError(f"{what} holds NaN or infinity: give a finite number for each row.")
    return parts, data


def _of_column(data: Dataset, given: str, what: str) -> tuple[Sequence[Tensor], Dataset]:
    name = split_units([given])[0][0]
    if name not in data.input_names:
        raise DataError(f"{what}={given!r}: {unknown_name(name, data.input_names, 'column')}")
    kept = [other for other in data.input_names if other != name]
    if not kept:
        raise DataError(f"{what}={given!r} is the only input column: no input would be left.")
    place = data.input_names.index(name)
    tables = (data.X_train, data.X_val, data.X_test)
    own = (x if data.scaling is None else data.scaling.undo(x) for x in tables)
    return [x[:, place].double() for x in own], data.select(kept)


def _of_rows(data: Dataset, values: Tensor, what: str) -> Sequence[Tensor]:
    """The values (rows,) by their place in the table; test rows that came apart count as the average of others."""
    if data.row_numbers is None:
        raise DataError(
            f"{what}= is an array, but the order of the rows of this Dataset is not known: pass X and y in its place, "
            f"or have {what} as a column and pass its name."
        )
    train, validation, test = data.row_numbers
    fitted = len(train) + len(validation)
    apart = bool(torch.isin(test, torch.cat([train, validation])).any()) or not len(test)
    rows = fitted if apart else fitted + len(test)
    if values.shape != (rows,):
        raise DataError(f"{what} has shape {tuple(values.shape)}, but the table has {rows} rows: give one value each.")
    found = [values[train], values[validation]]
    return [*found, torch.cat(found).mean().expand(len(test)) if apart else values[test]]
