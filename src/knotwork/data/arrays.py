"""Whatever a table arrives as (NumPy, torch, pandas, lists) to a matrix of finite floats, with its column names."""

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from knotwork.errors import DataError


def matrix(values: Any, what: str, names: Sequence[str] | None = None) -> tuple[Tensor, tuple[str, ...] | None]:
    """A float64 copy of shape (N, columns) on the CPU, and the column names that came with it (None: it had none).

    `what` ("X", "y_test", ...) and `names` serve the error messages; where `what` begins with y, a single axis is one
    column. Raises DataError for anything but rows and columns of finite real numbers.
    """
    own = _own_names(values, what)
    if own is not None and hasattr(values, "columns"):
        columns = [numbers(values[column], f"Column '{column}' of {what}") for column in values.columns]
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
    check_finite(table, what, own or names)
    return table, own


def numbers(values: Any, subject: str, advice: str = "encode it as numbers, or leave it out") -> Tensor:
    """A float64 copy of an array of numbers, with NaN for what is missing; DataError for entries of other types."""
    kind = getattr(getattr(values, "dtype", None), "kind", "O")
    if kind in "iufb" and hasattr(values, "isna"):
        return torch.from_numpy(values.to_numpy(dtype=np.float64, na_value=np.nan, copy=True))
    if kind in "iufb":
        return torch.from_numpy(np.array(values, dtype=np.float64))
    if kind == "c":
        raise DataError(f"{subject} holds complex numbers: pass their real and imaginary parts as two columns.")
    if kind in "mM":
        raise DataError(f"{subject} holds dates or durations: turn them into numbers, such as days since the first.")
    entries = np.array(values, dtype=object)
    if hasattr(values, "isna"):
        entries[np.asarray(values.isna())] = None
    for row, entry in enumerate(entries):
        if isinstance(entry, (str, bytes)):
            raise DataError(f"{subject} holds text ({str(entry)[:40]!r} in row {row}, counting from 0): {advice}.")
        if entry is not None and not isinstance(entry, Real):
            raise DataError(f"{subject} holds {type(entry).__name__} objects (in row {row}): convert them to numbers.")
    return torch.tensor([math.nan if entry is None else float(entry) for entry in entries], dtype=torch.float64)


def check_finite(table: Tensor, what: str, names: Sequence[str] | None = None) -> None:
    """Raises DataError naming the first column of (N, columns) with a NaN or infinity, how many, and the first row."""
    bad = ~torch.isfinite(table)
    if not bad.any():
        return
    column = int(bad.any(dim=0).nonzero()[0])
    rows = bad[:, column].nonzero()[:, 0]
    subject = what if names is None and table.shape[1] == 1 else _subject(what, names, column)
    kind = "missing (NaN)" if table[rows, column].isnan().any() else "infinite"
    raise DataError(
        f"{subject} has {len(rows)} {kind} value{'s' if len(rows) > 1 else ''}, "
        f"the first in row {int(rows[0])} (counting from 0): drop or fill them."
    )


def check_unique(names: Sequence[str], what: str) -> None:
    """Raises DataError if a name occurs twice."""
    repeated = [name for name in dict.fromkeys(names) if list(names).count(name) > 1]
    if repeated:
        raise DataError(f"{what} are not unique: {listed(repeated)} comes more than once. Rename or drop the repeats.")


def listed(names: Sequence[str], most: int = 8) -> str:
    """The names for a message: 'a', 'b', ... (20 in all)."""
    shown = ", ".join(f"'{name}'" for name in names[:most])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > most else shown


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
        array = np.array(values, dtype=object)  # NumPy turned the numbers beside a text into text
    if array.dtype.kind in "iufb" or array.ndim != 2:
        return numbers(array, what)
    return torch.stack([numbers(array[:, j], _subject(what, names, j)) for j in range(array.shape[1])], dim=1)


def _subject(what: str, names: Sequence[str] | None, column: int) -> str:
    """How to call a column in a message: by its name, or as one would index it."""
    return f"{what}[:, {column}]" if names is None or column >= len(names) else f"Column '{names[column]}' of {what}"
