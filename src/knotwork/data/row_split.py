"""Splits that keep neighbours in time, or the rows of one group, on one side."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from knotwork.data.arrays import columns_by_name
from knotwork.data.column_names import listed, split_units, unknown_name
from knotwork.data.labels import in_order, labels_of
from knotwork.data.preparation.column import Column, as_series, is_numeric
from knotwork.data.preparation.preparation import row_words
from knotwork.data.preparation.recognition import recognised
from knotwork.data.preparation.written_dates import TIMES
from knotwork.data.splitting import order_together
from knotwork.errors import DataError

TIME_NAMES = ("time", "date", "datetime", "timestamp")


@dataclass(frozen=True)
class RowSplit:
    """Which rows of a table stay on one side of a split, and whether the sides follow each other in time.

    Attributes:
        words: the split in words, for results and reports.
        codes: a number for each row of the table, (N,); rows of one number stay together. They rise in time; -1 where
            the time is missing.
        in_time: whether training rows come first and test rows last, in the order of the numbers.
    """

    words: str
    codes: Tensor
    in_time: bool = False

    def taken(self, rows: Any) -> "RowSplit":
        """The split of these rows of the table, by their numbers."""
        return replace(self, codes=self.codes[torch.as_tensor(rows)])

    def check(self, count: int) -> None:
        """Raise DataError unless there is a number for each of `count` rows."""
        if len(self.codes) != count:
            raise DataError(f"split has {len(self.codes)} labels, but X has {count} rows: every row needs one.")
        if (missing := int((self.codes < 0).sum())) > 0:
            raise DataError(
                f"{missing} rows have no time, by which the rows are split: leave them out, or correct them."
            )

    def parts(self, n_test: int, n_val: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Shuffled row numbers of training, validation and test rows, as near to these sizes as whole groups allow.

        Raises DataError where there are fewer groups than parts.
        """
        count = len(self.codes)
        number = torch.unique(self.codes, return_inverse=True)[1]
        needed, groups = 1 + (n_test > 0) + (n_val > 0), int(number.max()) + 1
        if groups < needed:
            raise DataError(
                f"The rows cannot be split ({self.words}): {groups} different value{'s' if groups > 1 else ''} cannot "
                f"give {needed} parts of whole groups. Choose a smaller test_size or validation_size, or 0."
            )
        order = torch.randperm(count, generator=generator, device="cpu")
        if self.in_time:
            order = order[number[order].argsort(stable=True, descending=True)]
        order, n_test, n_val = order_together(order, number, n_test, n_val)
        test, validation, train = order.split([n_test, n_val, count - n_test - n_val])
        mixed = [part[torch.randperm(len(part), generator=generator)] for part in (train, validation, test)]
        return mixed[0], mixed[1], mixed[2]


def split_asked(X: Any, split: Any) -> tuple[Any, RowSplit | None]:
    """The table without a column of groups by which it shall be split, and the split; None for a random one.

    `split` is "random", "time", the name of a column, one label for each row, or a split that was made before.
    Raises DataError for an unknown column, and for labels that are missing.
    """
    if split is None or isinstance(split, RowSplit) or (isinstance(split, str) and split == "random"):
        return X, split if isinstance(split, RowSplit) else None
    if not isinstance(split, str):
        return X, RowSplit("rows of one group stay on one side", _codes(split))
    columns = columns_by_name(X, "X")
    if split == "time":
        return X, _in_time(X, columns or {})
    if columns is None:
        raise DataError(
            f"split={split!r} names a column, but X is an array without names: pass one label for each row, split=X[:, "
            "0] for example, or X as a data frame."
        )
    headers = dict(zip(split_units(list(columns))[0], columns, strict=True)) | {one: one for one in columns}
    if split not in headers:
        raise DataError(unknown_name(split, [*split_units(list(columns))[0], "time", "random"], "column"))
    header = headers[split]
    if (column := _dates(header, columns[header])) is not None:
        return X, _by_time(column, columns[header])
    rest = X.drop(columns=header) if hasattr(X, "drop") else {one: own for one, own in columns.items() if one != header}
    if len(columns) < 2:
        raise DataError(f"X has no column but '{split}', by which the rows are split: at least one input is needed.")
    name = split_units([header])[0][0]
    words = f"rows with the same value of '{name}', which is no input, stay on one side"
    return rest, RowSplit(words, _codes(columns[header]))


def _codes(labels: Any) -> Tensor:
    """A number for each label, in their order."""
    every = labels_of(labels, what="split")
    place = {label: n for n, label in enumerate(in_order(every))}
    return torch.tensor([place[label] for label in every], dtype=torch.int64)


def _in_time(X: Any, columns: Mapping[str, Any]) -> RowSplit:
    """The split by the one column that holds the time, else by the order of the rows."""
    named = [one for one in columns if split_units([one])[0][0].lower() in TIME_NAMES]
    found = named if len(named) == 1 else [one for one, own in columns.items() if _dates(one, own) is not None]
    if len(found) > 1:
        raise DataError(f"split='time' finds several columns of time ({listed(found)}): name one, split={found[0]!r}.")
    if found:
        return _by_time(recognised(found[0], columns[found[0]], row_words, True), columns[found[0]])
    count = len(next(iter(columns.values()))) if columns else len(X)
    words = "rows are split in their order: the first are training rows, the last test rows"
    return RowSplit(words, torch.arange(count), True)


def _by_time(column: Column, values: Any) -> RowSplit:
    """The split in the order of a column of dates or numbers."""
    times = column.codes(values, f"Column '{column.name}'", row_words)
    ranks = np.unique(times, return_inverse=True)[1].reshape(-1)
    codes = torch.as_tensor(np.where(np.isnan(times), -1, ranks), dtype=torch.int64)
    words = f"rows are split in time, by '{column.name}': training rows are the earliest, test rows the latest"
    return RowSplit(words, codes, True)


def _dates(header: str, values: Any) -> Column | None:
    """The column, if it holds dates."""
    if is_numeric(values) and as_series(values).dtype.kind != "M":
        return None
    try:
        column = recognised(header, values, row_words)
    except DataError:
        return None
    return column if column.kind == "dates" and column.form not in TIMES else None
