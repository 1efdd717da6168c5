"""Arrays, tensors, data frames and lists as a matrix of finite floats, and checks of such matrices."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from knotwork.data.arrays import as_they_are, columns_by_name, subject, table_of
from knotwork.data.column_names import listed, split_units
from knotwork.data.column_values import rows_listed
from knotwork.errors import DataError, warn


def matrix(
    values: Any,
    what: str,
    names: Sequence[str] | None = None,
    first_row: int = 0,
    only_read: bool = False,
    one_column: bool = False,
) -> tuple[Tensor, tuple[str, ...] | None]:
    """A float64 copy of shape (N, columns) on the CPU, and its column names; None where it has none.

    `what` ("X", "y_test", ...), `names` and `first_row`, the number of the first row, are used in error messages. Where
    `what` begins with y, and for `one_column`, an array of one axis is one column. Rows that are `only_read` are not
    copied where `as_they_are` can give them. Raises DataError unless all values are finite real numbers.
    """
    plain = as_they_are(values) if only_read else None
    table, own = table_of(values, what, names, first_row) if plain is None else (plain, None)
    if table.ndim == 1 and (one_column or what.startswith("y")):
        table = table[:, None]
    if not len(table):
        raise DataError(f"{what} has no rows: there is nothing to learn from.")
    if table.ndim != 2:
        example = f"{what}.to_frame()" if hasattr(values, "to_frame") else f"{what}[:, None]"
        advice = f"for one column pass {example}" if table.ndim == 1 else "flatten the other axes"
        raise DataError(f"{what} has shape {tuple(table.shape)}, but needs rows and columns: {advice}.")
    if not table.shape[1]:
        raise DataError(f"{what} has {table.shape[0]} rows but no columns: at least one is needed.")
    check_finite(table, what, own or names, first_row)
    return table, own


def check_finite(table: Tensor, what: str, names: Sequence[str] | None = None, first_row: int = 0) -> None:
    """Raises DataError with the first column that holds a NaN or infinity, their number, and the rows."""
    if not table.numel() or bool(torch.stack(table.aminmax(dim=0)).isfinite().all()):
        return  # in no more memory than a row
    bad = ~torch.isfinite(table)
    column = int(bad.any(dim=0).nonzero()[0])
    rows = bad[:, column].nonzero()[:, 0]
    whose = what if names is None and table.shape[1] == 1 else subject(what, names, column)
    kind = "missing (NaN)" if table[rows, column].isnan().any() else "infinite"
    values, them = ("value", "it") if len(rows) == 1 else ("values", "them")
    where = rows_listed(rows.tolist(), first_row)
    raise DataError(f"{whose} has {len(rows)} {kind} {values} (in {where}): drop or fill {them}.")


def matching_columns(values: Any, what: str, names: tuple[str, ...]) -> Tensor:
    """Test rows as a matrix. Raises DataError unless their columns are those of the training rows, `names`."""
    table, own = matrix(values, what, names, one_column=len(names) == 1)
    own = None if own is None else split_units(own)[0]
    if table.shape[1] != len(names):
        raise DataError(f"{what} has {table.shape[1]} columns, but the training rows have {len(names)}.")
    if columns_by_name(values, what) is not None and own is not None and set(own) == set(names) and own != names:
        raise DataError(f"The columns of {what} are in another order than those of the training rows: reorder them.")
    return table


def inputs_of(
    values: Any, columns: int, taker: str, names: Sequence[str] | None = None, only_read: bool = False
) -> Tensor:
    """Rows X for a network of this number of inputs, as `matrix` gives them. `taker` is what takes them.

    Rows that are `only_read` are those of `matrix`. Raises DataError for another number of columns.
    """
    table, own = matrix(values, "X", names, only_read=only_read)
    if table.shape[1] != columns:
        came = f" ({listed(own)})" if own else ""
        raise DataError(
            f"X has {table.shape[1]} columns{came}, but {taker} takes {columns}: pass those of its fit, in their order."
        )
    return table


def check_same_order(X: Any, y: Any, names: tuple[str, str] = ("X", "y")) -> None:
    """Raises DataError where X and y are data frames with the same row labels in different orders."""
    if not (hasattr(X, "iloc") and hasattr(y, "iloc")) or len(X) != len(y) or X.index.equals(y.index):
        return
    if X.index.isin(y.index).all():
        first, second = names
        raise DataError(
            f"{first} and {second} have the same row labels in different orders: align them with "
            f"{second} = {second}.loc[{first}.index]."
        )


def plain_tensor(values: Any, what: str) -> Tensor:
    """The tensor without a graph, and out of torch's inference mode, in which nothing can be trained.

    Raises DataError for what is no tensor.
    """
    if not isinstance(values, Tensor):
        kind = type(values).__name__
        raise DataError(f"{what} has type {kind}, but a Dataset holds tensors: make it with Dataset.from_arrays.")
    if values.is_inference():
        with torch.inference_mode(False):
            return values.clone()
    return values.detach() if values.requires_grad else values


def check_dtype(dtype: Any) -> None:
    """Raises DataError unless this is a floating-point type of torch."""
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise DataError(f"dtype={dtype} cannot hold the data: use torch.float64 or torch.float32.")


def moved_to(values: Tensor, kinds: Sequence[torch.dtype | torch.device | str]) -> Tensor:
    """Values in these floating-point types and on these devices; DataError for anything else."""
    for dtype in (kind for kind in kinds if isinstance(kind, torch.dtype)):
        check_dtype(dtype)
        values = values.to(dtype)  # before they move: Apple's GPUs have no float64
    for device in (kind for kind in kinds if not isinstance(kind, torch.dtype)):
        try:
            values = values.to(device)
        except (RuntimeError, TypeError, AssertionError) as error:
            raise DataError(
                f"{device!r} is neither a floating-point type nor a device that can be used here ({error}): pass "
                "torch.float32, torch.float64 or a device such as 'cuda'."
            ) from None
    return values


def warn_of_constants(table: Tensor, names: Sequence[str], what: str, consequence: str) -> None:
    """Warns of the columns of (N, columns) that have the same value in all rows."""
    if len(table) < 2:
        return
    constant = [name for name, same in zip(names, (table == table[0]).all(dim=0).tolist(), strict=True) if same]
    if constant:
        text = f"{what} {listed(constant)} is constant over the training rows: {consequence}."
        warn(text)
