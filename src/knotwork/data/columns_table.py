"""A data set in a notebook and in one line: its rows, and its columns with their ranges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from knotwork.data.column_names import with_unit
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


def one_line_summary(data: Dataset) -> str:
    """The numbers of rows, the names of the columns, and the type of the numbers."""
    train, validation, test = data.rows()
    title = f"{data.title}: " if data.title else ""
    inputs = f"{data.n_inputs} input{'s' if data.n_inputs > 1 else ''}{' (scaled)' if data.scaling else ''}"
    dtype = str(data.X_train.dtype).removeprefix("torch.")
    return (
        f"Dataset({title}{train:,} training, {validation:,} validation and {test:,} test rows; "
        f"{inputs} {_brief(data.input_names, data.units)} -> {_brief(data.target_names, data.units)}; {dtype})"
    )


def _brief(names: Sequence[str], units: Mapping[str, str]) -> str:
    shown = [with_unit(name, units) for name in names]
    return ", ".join(shown if len(shown) <= 6 else (*shown[:5], "..."))
