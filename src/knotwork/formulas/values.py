"""Values of expressions on rows of a data set, or on columns by name."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from knotwork.data import Dataset, tensor_of
from knotwork.data.arrays import column_of, columns_by_name, is_single
from knotwork.data.column_names import listed, split_units, unknown_name
from knotwork.data.matrix import check_finite, matrix
from knotwork.errors import DataError


def evaluate(expressions: Sequence[Any], data: Dataset, x: Tensor) -> Tensor:
    """Values of the expressions on rows as the data set stores them: (batch, in) → (batch, out)."""
    from knotwork.expressions import to_torch

    columns = original_units(data, x).unbind(-1)
    return torch.stack([to_torch(e, data.input_names)(*columns) for e in expressions], dim=-1)


def original_units(data: Dataset, x: Tensor) -> Tensor:
    """Rows of a data set in the units of the original columns."""
    return x if data.scaling is None else data.scaling.undo(x)


def columns_of(X: Any, variables: Sequence[str], used: Collection[str]) -> tuple[dict[str, Tensor], tuple[int, ...]]:
    """One column (n,) for each variable, in that order, and their shape (n,).

    X is an array, or columns by name: a data frame or dict. A dict may hold numbers, which stand for constant columns.
    With numbers alone, or nothing, n is 1 and the shape is (). Where names are given, variables that are not `used` may
    be missing; they are then zeros. Raises DataError for other columns, and for entries that are not finite numbers.
    """
    X = columns_by_name(X, "X") or X
    if not isinstance(X, Mapping):
        table, _ = matrix(X, "X", variables, one_column=len(variables) == 1)
        if table.shape[1] != len(variables):
            raise DataError(
                f"X has {table.shape[1]} columns, but the formula takes {len(variables)}: {listed(variables)}."
            )
        return dict(zip(variables, table.unbind(1), strict=True)), (len(table),)
    headers = list(X.keys())
    named = dict(zip(split_units([str(header) for header in headers])[0], headers, strict=True))
    for name in variables:
        if name in used and name not in named:
            raise DataError(unknown_name(name, list(named), "column"))
    given = [name for name in variables if name in named] or list(named)[:1]
    single = [name for name in given if is_single(X[named[name]])]
    columns = {
        name: column_of([X[named[name]]] if name in single else X[named[name]], f"Column '{name}' of X")
        for name in given
    }
    lengths = {len(column) for name, column in columns.items() if name not in single} or {1}
    if len(lengths) > 1:
        raise DataError(f"The columns of X have {' and '.join(map(str, sorted(lengths)))} rows: all need as many.")
    n = lengths.pop()
    columns = {name: column.expand(n) if name in single else column for name, column in columns.items()}
    if columns:
        check_finite(torch.stack(list(columns.values()), dim=1), "X", given)
    none = torch.zeros(n, dtype=torch.float64)
    return {name: columns.get(name, none) for name in variables}, (n,) if len(single) < len(given) else ()


def plain_column(values: Any) -> Any:
    """A number, or an array as it is in the floating-point types that formulas are computed in, else as float64."""
    if is_single(values):
        return values.item() if isinstance(values, Tensor) else values
    kept = type(values) is np.ndarray and values.dtype in (np.float32, np.float64) and values.dtype.isnative
    return values if kept else tensor_of(values, "a column").numpy()
