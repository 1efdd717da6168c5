"""Arrays, tensors, data frames and lists as a matrix of finite floats, and checks of such matrices."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from knotwork.data.column_names import check_unique, listed, split_units
from knotwork.data.column_values import numbers, rows_listed
from knotwork.errors import DataError, KnotworkWarning


def matrix(
    values: Any, what: str, names: Sequence[str] | None = None, first_row: int = 0
) -> tuple[Tensor, tuple[str, ...] | None]:
    """A float64 copy of shape (N, columns) on the CPU, and its column names; None where it has none.

    `what` ("X", "y_test", ...), `names` and `first_row`, the number of the first row, are used in error messages. Where
    `what` begins with y, an array of one axis is one column. Raises DataError unless all values are finite real
    numbers.
    """
    if hasattr(values, "to_pandas"):  # tables of pyarrow and polars
        values = values.to_pandas()
    own = _own_names(values, what)
    if own is not None and hasattr(values, "columns"):
        columns = [numbers(values[column], f"Column '{column}' of {what}", first_row) for column in values.columns]
        table = torch.stack(columns, dim=1) if columns else torch.empty(len(values), 0)
    else:
        table = _whole(values, what, own or names)
    if table.ndim == 1 and what.startswith("y"):
        table = table[:, None]
    if table.ndim != 2:
        advice = f"for one column pass {what}[:, None]" if table.ndim == 1 else "flatten the other axes"
        raise DataError(f"{what} has shape {tuple(table.shape)}, but needs rows and columns: {advice}.")
    if not table.shape[0]:
        raise DataError(f"{what} has no rows: there is nothing to learn from.")
    if not table.shape[1]:
        raise DataError(f"{what} has {table.shape[0]} rows but no columns: at least one is needed.")
    check_finite(table, what, own or names, first_row)
    return table, own


def check_finite(table: Tensor, what: str, names: Sequence[str] | None = None, first_row: int = 0) -> None:
    """Raises DataError with the first column that holds a NaN or infinity, their number, and the rows."""
    bad = ~torch.isfinite(table)
    if not bad.any():
        return
    column = int(bad.any(dim=0).nonzero()[0])
    rows = bad[:, column].nonzero()[:, 0]
    subject = what if names is None and table.shape[1] == 1 else _subject(what, names, column)
    kind = "missing (NaN)" if table[rows, column].isnan().any() else "infinite"
    values, them = ("value", "it") if len(rows) == 1 else ("values", "them")
    where = rows_listed(rows.tolist(), first_row)
    raise DataError(f"{subject} has {len(rows)} {kind} {values} (in {where}): drop or fill {them}.")


def matching_columns(values: Any, what: str, names: tuple[str, ...]) -> Tensor:
    """Test rows as a matrix. Raises DataError unless their columns are those of the training rows, `names`."""
    table, own = matrix(values, what, names)
    own = None if own is None else split_units(own)[0]
    if table.shape[1] != len(names):
        raise DataError(f"{what} has {table.shape[1]} columns, but the training rows have {len(names)}.")
    if own is not None and hasattr(values, "columns") and set(own) == set(names) and own != names:
        raise DataError(f"The columns of {what} are in another order than those of the training rows: reorder them.")
    return table


def check_same_order(X: Any, y: Any) -> None:
    """Raises DataError where X and y are data frames with the same row labels in different orders."""
    if not (hasattr(X, "iloc") and hasattr(y, "iloc")) or len(X) != len(y) or X.index.equals(y.index):
        return
    if X.index.isin(y.index).all():
        raise DataError("X and y have the same row labels in different orders: align them with y = y.loc[X.index].")


def check_dtype(dtype: Any) -> None:
    """Raises DataError unless this is a floating-point type of torch."""
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise DataError(f"dtype={dtype} cannot hold the data: use torch.float64 or torch.float32.")


def warn_of_constants(table: Tensor, names: Sequence[str], what: str, consequence: str) -> None:
    """Warns of the columns of (N, columns) that have the same value in all rows."""
    if len(table) < 2:
        return
    constant = [name for name, same in zip(names, (table == table[0]).all(dim=0).tolist(), strict=True) if same]
    if constant:
        text = f"{what} {listed(constant)} is constant over the training rows: {consequence}."
        warnings.warn(text, KnotworkWarning, stacklevel=4)


def _own_names(values: Any, what: str) -> tuple[str, ...] | None:
    """Column names of a data frame, or of a series that has a name."""
    if hasattr(values, "columns") and hasattr(values, "__getitem__"):
        names = tuple(str(name) for name in values.columns)
        check_unique(names, f"The columns of {what}")
        return names
    name = getattr(values, "name", None) if hasattr(values, "to_numpy") else None
    return None if name is None else (str(name),)


def _whole(values: Any, what: str, names: Sequence[str] | None) -> Tensor:
    """A float64 copy of a tensor, array, series or nested list, of any shape."""
    if isinstance(values, Tensor):
        if values.is_complex():
            raise DataError(f"{what} holds complex numbers: pass their real and imaginary parts as two columns.")
        return values.detach().to("cpu", torch.float64, copy=True)
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(np.float64), np.nan)
    if hasattr(values, "isna"):
        return numbers(values, _subject(what, names, 0))
    try:
        array = np.asarray(values)
    except ValueError:
        raise DataError(f"The rows of {what} differ in length: each needs one value for every column.") from None
    if array.ndim == 0:
        raise DataError(f"{what} has type {type(values).__name__}: pass an array, tensor, data frame or list of rows.")
    if array.dtype.kind == "U" and not isinstance(values, np.ndarray):
        array = np.array(values, dtype=object)  # NumPy would convert numbers to text where a column holds both
    if array.dtype.kind in "iufb" or array.ndim != 2:
        return numbers(array, what)
    return torch.stack([numbers(array[:, j], _subject(what, names, j)) for j in range(array.shape[1])], dim=1)


def _subject(what: str, names: Sequence[str] | None, column: int) -> str:
    """The name of a column in a message, or its index where it has no name."""
    return f"{what}[:, {column}]" if names is None or column >= len(names) else f"Column '{names[column]}' of {what}"
