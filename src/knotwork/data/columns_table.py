"""A data set in a notebook: its columns with their ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from knotwork.notebooks import table

if TYPE_CHECKING:
    from knotwork.data.dataset import Dataset

SHOWN_COLUMNS = 20


def columns_table(data: Dataset) -> str:
    """The first columns of a data set with the ranges of their training rows, as HTML."""
    names = (*data.input_names, *data.target_names)
    rows = torch.cat([data.X_train, data.y_train.to(data.X_train)], dim=1)
    low, high = rows.amin(0).tolist(), rows.amax(0).tolist()
    cells = [
        (data.label(name), "input" if n < data.n_inputs else "target", f"{low[n]:.4g}", f"{high[n]:.4g}")
        for n, name in enumerate(names[:SHOWN_COLUMNS])
    ]
    head = ("column", "", "least", "largest of the training rows")
    return table(cells, head, repr(data), max(len(names) - SHOWN_COLUMNS, 0))
