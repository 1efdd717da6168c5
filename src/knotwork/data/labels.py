"""Labels of rows, such as the groups they belong to, as plain texts and numbers."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from torch import Tensor

from knotwork.data.arrays import converted
from knotwork.errors import DataError


def labels_of(values: Any, rows: int | None = None, what: str = "groups") -> list[Any]:
    """One text or number for each row; DataError for missing ones, other values, and another number of rows.

    Whole numbers that are stored as floats become whole numbers. `what` is the name of the argument in messages.
    """
    values = converted(values)
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    array = np.asarray(values, dtype=object)
    if array.ndim == 2 and 1 in array.shape:
        array = array.reshape(-1)
    if array.ndim != 1:
        raise DataError(f"{what} has shape {array.shape}: give one label for each row, (n,).")
    if rows is not None and len(array) != rows:
        raise DataError(f"{what} has {len(array)} labels, but X has {rows} rows: every row needs one.")
    labels = [_plain(value) for value in array.tolist()]
    kind = "group" if what == "groups" else f"label in {what}"
    missing = [n for n, label in enumerate(labels) if label is None or label != label]
    if missing:
        raise DataError(
            f"{len(missing)} rows have no {kind}, row {missing[0]} first: give them one, or drop these rows."
        )
    strange = next((label for label in labels if not isinstance(label, (str, int, float, bool))), None)
    if strange is not None:
        raise DataError(f"A label in {what} is a text or a number, but {type(strange).__name__} came: {strange!r:.60}.")
    return labels


def in_order(labels: Iterable[Any]) -> list[Any]:
    """The different labels, in order where they can be ordered."""
    known = list(dict.fromkeys(labels))
    try:
        return sorted(known)
    except TypeError:
        return known


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, (np.generic, Tensor)) else value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return None if type(value).__name__ in ("NAType", "NaTType") else value
