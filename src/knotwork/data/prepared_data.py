"""A Dataset from a table as it comes."""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from knotwork.data.dataset import Dataset
from knotwork.data.preparation import Missing, Preparation, PreparedTable, prepare
from knotwork.data.row_split import RowSplit, split_asked
from knotwork.errors import warn


def dataset_of(X: Any, y: Any, missing: Missing = "drop", split: Any = "random", **options: Any) -> Dataset:
    """The data set of inputs and targets that are prepared; `options` are those of `Dataset.from_arrays`."""
    X, kept = split_asked(X, split)

    def own(table: PreparedTable) -> RowSplit | None:
        return None if kept is None else kept.taken(table.rows)

    def training(table: PreparedTable) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = Dataset.from_arrays(table.X, table.y, split=own(table), **options)
        assert data.row_numbers is not None
        return data.row_numbers[0].numpy()

    table = prepare(X, y, missing=missing, training=training)
    return replace(Dataset.from_arrays(table.X, table.y, split=own(table), **options), preparation=table.preparation)


def tell(preparation: Preparation | None) -> None:
    """Give a warning with the notes of a preparation, if there are any."""
    if preparation is not None and preparation.notes:
        warn(f"The table was prepared: {'; '.join(preparation.notes)}.")
