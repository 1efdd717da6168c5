"""The table given to an estimator, prepared: columns of numbers without gaps, and the same for new rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from torch import Tensor

from knotwork.data.arrays import columns_by_name, converted, plain
from knotwork.data.column_names import plain_names
from knotwork.data.preparation import Preparation, PreparedTable, is_plain, prepare
from knotwork.data.preparation.column import Column
from knotwork.errors import DataError


def prepared(X: Any, missing: Any) -> PreparedTable | None:
    """The table, prepared; None for an array of numbers that needs no preparation, or of what scikit-learn refuses.

    Raises DataError for columns by name that cannot be read.
    """
    if hasattr(X, "toarray") or (is_plain(X) and missing != "fill"):  # sparse matrices come back as they are
        return None
    named = False
    try:
        named = columns_by_name(X, "X") is not None or _is_column(X)
        if not named and np.ndim(plain(X, "X")) != 2:
            return None
        return prepare(_with_names(_with_arrays(converted(X))), missing=missing)
    except DataError:
        if named:
            raise
        return None


def framed(X: Any) -> Any:
    """A table as scikit-learn's checks of names and numbers of columns take it: a data frame or an array."""
    from pandas import DataFrame

    if _is_column(X):
        return converted(X).to_frame()
    if columns_by_name(X, "X") is None:
        return plain(X, "X")
    table = _with_arrays(converted(X))
    return table if isinstance(table, DataFrame) else DataFrame(columns_by_name(table, "X"))


def whole(table: PreparedTable) -> tuple[np.ndarray, np.ndarray]:
    """The prepared columns for all rows that came (n, names), zero where a row was left out; which rows stay (n,)."""
    rows, stay = np.zeros((table.came, table.X.shape[1])), np.zeros(table.came, bool)
    rows[table.rows], stay[table.rows] = table.X.to_numpy(), True
    return rows, stay


def with_skipped(preparation: Preparation, X: Any, rest: Any) -> Preparation:
    """The preparation of `rest` as one of X, whose other columns are skipped, since they only split the rows."""
    every, known = columns_by_name(framed(X), "X"), columns_by_name(rest, "X")
    if every is None or known is None or len(every) == len(known):
        return preparation
    own = iter(preparation.columns)
    note = "was skipped: it splits the rows into those of training and validation"
    return replace(
        preparation,
        columns=tuple(next(own) if one in known else Column(one, "skipped", f"'{one}' {note}") for one in every),
    )


def places(preparation: Preparation | None, columns: int) -> list[list[int]]:
    """For each column of the table, the places of the columns that it became: none where it was skipped."""
    if preparation is None:
        return [[place] for place in range(columns)]
    bounds = np.cumsum([0, *(len(column.names) for column in preparation.columns)]).tolist()
    return [list(range(first, last)) for first, last in pairwise(bounds)]


def place_of(feature: int | str, preparation: Preparation | None, names: Sequence[str], came: Sequence[str]) -> int:
    """The place among the prepared columns of a feature that is named, or numbered among the columns that `came`.

    `names` are those of the prepared columns. Raises DataError for an unknown one, and for one of several columns.
    """
    known = list(preparation.names) if preparation is not None else list(came)
    for among in (known, names):
        if feature in among:
            return list(among).index(str(feature))
    number = list(came).index(str(feature)) if feature in came else feature
    if isinstance(number, (str, bool)) or not isinstance(number, (int, np.integer)) or not 0 <= number < len(came):
        raise DataError(f"there is no feature {feature!r}: give a number from 0 to {len(came) - 1}, or a name.")
    found = places(preparation, len(came))[int(number)]
    if len(found) != 1:
        became = ", ".join(known[place] for place in found) or "nothing, as it was skipped"
        raise DataError(f"the column '{came[int(number)]}' became {became}: name one prepared column.")
    return found[0]


def _with_names(X: Any) -> Any:
    """The table, with names in place of labels of columns that are all numbers: scikit-learn counts them as none."""
    labels = list(getattr(X, "columns", []))
    if not labels or any(isinstance(label, str) for label in labels):
        return X
    return X.set_axis(plain_names(list(map(str, labels))), axis=1)


def _with_arrays(X: Any) -> Any:
    """The table, with arrays in place of tensors in a dict, also of those that need derivatives."""
    if not isinstance(X, Mapping):
        return X
    return {name: plain(one, str(name)) if isinstance(one, Tensor) else one for name, one in X.items()}


def _is_column(X: Any) -> bool:
    """Whether this is one column with a name, such as a series of pandas."""
    return hasattr(X, "isna") and np.ndim(X) == 1 and getattr(X, "name", None) is not None
