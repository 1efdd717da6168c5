"""The one door through which arrays come in: anything that holds numbers, as float64 tensors on the CPU."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from knotwork.data.column_names import check_unique
from knotwork.data.column_values import numbers
from knotwork.errors import DataError

SCALARS = frozenset({int, float, bool, str, type(None), np.float64, np.float32, np.int64})
"""The usual types of the values of a list. Values of other types are looked at one by one."""


def table_of(
    values: Any, what: str, names: Sequence[str] | None = None, first_row: int = 0
) -> tuple[Tensor, tuple[str, ...] | None]:
    """`tensor_of`, and the names of the columns; None where they have none. Columns by name become a matrix."""
    columns = columns_by_name(values, what)
    if columns is None:
        values = converted(values)
        name = getattr(values, "name", None) if hasattr(values, "isna") else None
        own = None if name is None else (str(name),)
        return tensor_of(values, what, own or names, first_row), own
    found = [column_of(column, f"Column '{name}' of {what}", first_row) for name, column in columns.items()]
    lengths = sorted({len(column) for column in found})
    if len(lengths) > 1:
        raise DataError(f"The columns of {what} have {' and '.join(map(str, lengths))} rows: all need as many.")
    return torch.stack(found, dim=1) if found else torch.empty(len(values), 0), tuple(columns)


def tensor_of(values: Any, what: str, names: Sequence[str] | None = None, first_row: int = 0) -> Tensor:
    """A float64 copy on the CPU of a tensor, array, series or nested list of any shape; NaN where a value is missing.

    `what` ("X", "sample_weight", ...), the `names` of columns and `first_row`, the number of the first row, are used in
    error messages. Raises DataError for anything but real numbers.
    """
    if isinstance(values, Tensor):
        return _of_tensor(values, what)
    array = plain(values, what)
    if array.ndim == 2 and array.dtype.kind not in "iufb":
        columns = [numbers(array[:, j], subject(what, names, j), first_row) for j in range(array.shape[1])]
        return torch.stack(columns, dim=1) if columns else torch.empty(array.shape, dtype=torch.float64)
    if array.ndim == 1:
        return numbers(array, subject(what, names, 0) if names and len(names) == 1 else what, first_row)
    return numbers(array.reshape(-1), what).reshape(array.shape)


def as_they_are(values: Any) -> Tensor | None:
    """An array of float32 or float64 as a tensor that shares its memory; None for anything that `tensor_of` must copy.

    For rows that are only read: a copy of a large table would take as much memory again.
    """
    if type(values) is not np.ndarray or values.dtype not in (np.float32, np.float64):
        return None
    readable = values.dtype.isnative and values.flags.behaved and values.flags.forc
    if not readable or min(values.strides, default=0) < 0:  # of an axis of length one
        return None
    return torch.from_numpy(values)


def column_of(values: Any, what: str, first_row: int = 0) -> Tensor:
    """One column (n,), as `tensor_of` gives it; DataError for another number of axes."""
    column = tensor_of(values, what, None, first_row)
    if column.ndim != 1:
        raise DataError(f"{what} has shape {tuple(column.shape)}: a column has one value a row.")
    return column


def plain(values: Any, what: str) -> Any:
    """A series as it is, and anything else as a NumPy array of one axis or more, with NaN or None for masked entries.

    Raises DataError for what holds no rows.
    """
    values = converted(values)
    if hasattr(values, "isna"):
        return values
    if hasattr(values, "toarray") and hasattr(values, "nnz"):
        raise DataError(f"{what} is a sparse matrix: pass all its values, {what}.toarray().")
    if isinstance(values, Iterator):
        raise DataError(f"{what} is a {type(values).__name__}, which can be read only once: pass list({what}).")
    kind, values = type(values).__name__, _without_tensors(values, what)
    try:
        array = np.asarray(values)
    except ValueError:
        raise DataError(f"The rows of {what} differ in length: each needs one value for every column.") from None
    except Exception as error:  # other libraries raise many types of error for what is no array of theirs
        raise DataError(f"{what} has type {kind}, which NumPy cannot read: {error}") from error
    if array.ndim == 0:
        raise DataError(f"{what} has type {kind}: pass an array, tensor, data frame or list of rows.")
    if array.dtype.kind == "U" and not isinstance(values, np.ndarray):
        return np.array(values, dtype=object)  # NumPy would convert numbers to text where a column holds both
    return array


def columns_by_name(values: Any, what: str) -> dict[str, Any] | None:
    """The columns of a data frame, a table of Arrow, a structured array or a dict; None where columns have no names.

    Raises DataError where a name occurs twice.
    """
    values = converted(values)
    if isinstance(values, Mapping):
        return {str(name): column for name, column in values.items()}
    if isinstance(values, np.ndarray):
        return {name: values[name] for name in values.dtype.names} if values.dtype.names else None
    if not hasattr(values, "columns") or not hasattr(values, "__getitem__"):
        return None
    names = [str(name) for name in values.columns]
    check_unique(names, f"The columns of {what}")
    return {name: values[column] for name, column in zip(names, values.columns, strict=True)}


def is_single(values: Any) -> bool:
    """Whether this is one number, and no array or list."""
    return not isinstance(values, (list, tuple)) and np.ndim(values) == 0


def converted(values: Any) -> Any:
    """Tables and columns of Arrow and Polars as those of pandas; anything else as it is."""
    return values.to_pandas() if hasattr(values, "to_pandas") else values


def subject(what: str, names: Sequence[str] | None, column: int) -> str:
    """The name of a column in a message, or its index where it has no name."""
    return f"{what}[:, {column}]" if names is None or column >= len(names) else f"Column '{names[column]}' of {what}"


def _of_tensor(values: Tensor, what: str) -> Tensor:
    if values.is_nested:
        raise DataError(f"The rows of {what} differ in length: each needs one value for every column.")
    if values.layout != torch.strided:
        raise DataError(f"{what} is a sparse tensor: pass all its values, {what}.to_dense().")
    if values.is_meta:
        raise DataError(f"{what} is on the device 'meta', where tensors hold no values: pass one that does.")
    if values.is_complex():
        raise DataError(f"{what} holds complex numbers: pass their real and imaginary parts as two columns.")
    if values.ndim == 0:
        raise DataError(f"{what} is a single number: pass an array, tensor, data frame or list of rows.")
    values = values.detach()
    with torch.inference_mode(False):  # a copy made in inference mode could not be trained on outside of it
        return (values.dequantize() if values.is_quantized else values).to("cpu", torch.float64, copy=True)


def _without_tensors(values: Any, what: str) -> Any:
    """Masked arrays, and tensors and masked arrays in lists, as plain arrays; anything else as it is."""
    if isinstance(values, np.ma.MaskedArray):
        number = values.dtype.kind in "iufb"
        return np.ma.filled(values.astype(np.float64 if number else object), np.nan if number else None)
    if isinstance(values, Tensor):
        return values.item() if values.ndim == 0 else _of_tensor(values, what).numpy()
    if isinstance(values, list | tuple):
        if SCALARS.issuperset(map(type, values)):
            return values
        return [_without_tensors(value, what) for value in values]
    return values
