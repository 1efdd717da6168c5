"""A table and its targets, prepared: which rows stay, and what stands in place of missing values."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from knotwork.data.arrays import columns_by_name
from knotwork.data.column_names import plain_names
from knotwork.data.preparation.column import Where
from knotwork.data.preparation.preparation import Missing, Preparation, columns_of_table, row_words
from knotwork.data.settings import DATA
from knotwork.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class PreparedTable:
    """The rows of a table that stay, prepared.

    Attributes:
        X: the prepared inputs, a data frame of float64.
        y: the targets of these rows, a data frame where they have names, else an array; None where there are none.
        rows: the numbers of these rows in the table, (n,).
        came: the number of rows of the table.
        preparation: what was done.
    """

    X: "pd.DataFrame"
    y: Any
    rows: np.ndarray
    came: int
    preparation: Preparation


def prepare(
    X: Any,
    y: Any = None,
    *,
    names: Sequence[str] | None = None,
    missing: Missing = "drop",
    keep: Collection[str] = (),
    labels: bool = False,
    present: np.ndarray | None = None,
    each: bool = False,
    training: Callable[[PreparedTable], np.ndarray] | None = None,
) -> PreparedTable:
    """Inputs and targets as a table of numbers without gaps, and what was done.

    Targets that are `labels` stay as they are, but for rows without one. Rows that are not `present` are left out,
    and of several targets those without all of them if `each` is searched alone, else those without one of them.
    Values that fill gaps are learned from the rows that `training` names, given the table in which they were learned
    from all rows. Raises DataError for what cannot be read, and for missing values where they are errors.
    """
    known = getattr(X, "attrs", {})  # of a table from a file: the words for its rows, and the columns asked for
    where, keep = known.get("rows", row_words), (*keep, *known.get("asked", ()))
    table = columns_of_table(X, names)
    if names is not None and columns_by_name(X, "X") is not None:
        if len(names) != len(table):
            raise DataError(f"names has {len(names)} names, but X has {len(table)} columns: give one name each.")
        table = dict(zip(map(str, names), table.values(), strict=True))
    if not table:
        raise DataError(f"X has {len(X)} rows but no columns: at least one is needed.")
    preparation = Preparation.learned(table, missing, keep, where)
    if not preparation.names:
        raise DataError(f"No column of X can be an input: {'; '.join(preparation.notes)}.")
    codes = preparation.codes(table, where)
    targets = None if y is None else _targets(y, labels, where)
    gone = np.zeros(len(codes), bool) if targets is None else targets.gaps(each)
    if len(gone) != len(codes):
        raise DataError(f"X has {len(codes)} rows and y has {len(gone)}: every row needs its target.")
    _check_finite(preparation, codes, where)
    if missing == "error":
        _refuse_gaps(preparation, np.isnan(codes), gone, where)
    alone = gone if present is None else gone | ~present
    if missing == "drop":
        preparation = _without_gaps(preparation, np.isnan(codes)[~alone], keep)
        codes = preparation.codes(table, where)
    gaps = np.isnan(codes)
    rows = (~(alone | gaps.any(axis=1)) if missing == "drop" else ~alone).nonzero()[0]
    if not len(rows) and len(codes):
        raise DataError(f"None of the {len(codes)} rows has all its values: fill the gaps, or pass missing='fill'.")
    said = _notes(preparation, gaps, gone, alone, missing, targets)
    if present is None and not labels and not each and y is not None:
        said += _of_groups(preparation)
    preparation = replace(preparation, others=(*_renamed(X, table), *(targets.notes if targets else ()), *said))

    def built(filled: Preparation) -> PreparedTable:
        frame = filled.frame(codes, X).iloc[rows]
        y = None if targets is None else targets.of(rows, frame.index)
        return PreparedTable(frame, y, rows, len(codes), filled)

    if missing != "fill":
        return built(preparation)
    found = built(preparation.learning_fill(codes[rows]))
    return (
        found
        if training is None or not gaps[rows].any()
        else built(preparation.learning_fill(codes[rows][training(found)]))
    )


@dataclass(frozen=True)
class _Targets:
    """The targets of all rows, (n, targets), whether they have names, and notes."""

    values: "pd.DataFrame"
    named: bool
    notes: tuple[str, ...] = ()

    def gaps(self, each: bool) -> np.ndarray:
        """The rows without a target: without one of several, or without all of them if `each` is fitted alone."""
        missing = np.asarray(self.values.isna())
        return missing.min(axis=1, initial=True) if each else missing.max(axis=1, initial=False)

    def of(self, rows: np.ndarray, index: Any) -> Any:
        found = self.values.iloc[rows].set_axis(index)
        return found if self.named else found.to_numpy()


def _targets(y: Any, labels: bool, where: Where) -> _Targets:
    """The targets as columns of numbers, or of labels, with gaps; and notes."""
    import pandas as pd

    own = getattr(y, "name", None) if hasattr(y, "isna") else None
    named = columns_by_name(y, "y") is not None or (isinstance(own, str) and plain_names([own]) == [own])
    table = columns_of_table(y)
    if not named:
        table = {("y" if len(table) == 1 else f"y_{n}"): column for n, column in enumerate(table.values(), start=1)}
    if labels:
        columns = {name: np.asarray(values, dtype=object) for name, values in table.items()}
        return _Targets(pd.DataFrame(columns), named)
    preparation = Preparation.learned(table, "drop", list(table), where)
    for column in preparation.columns:
        if column.kind == "categories":
            raise DataError(
                f"The target '{column.name}' holds the categories {', '.join(map(repr, column.levels[:4]))}: a formula "
                "predicts numbers. Labels are for discover(X, y, loss='cross_entropy'), and for KANClassifier."
            )
    codes = preparation.codes(table, where)
    _check_finite(preparation, codes, where)
    return _Targets(pd.DataFrame(codes, columns=list(preparation.names)), named, preparation.notes)


def _renamed(X: Any, table: Mapping[str, Any]) -> list[str]:
    """A note on columns whose names would look like numbers in formulas."""
    named = columns_by_name(X, "X") or {}
    pairs = [(old, new) for old, new in zip(named, table, strict=False) if old != new]
    return [f"columns are called {', '.join(f'{new} for {old!r}' for old, new in pairs[:4])}"] if pairs else []


def _of_groups(preparation: Preparation) -> list[str]:
    """A note that the constants of one law may differ between categories, if there are some."""
    names = [column.name for column in preparation.columns if column.kind == "categories"]
    others = f" ({', '.join(names[1:4])} likewise)" if names[1:] else ""
    words = "where one law holds for all categories with constants of their own, it is found by discover(X, y, groups="
    return [f"{words}'{names[0]}'){others}"] if names else []


def _check_finite(preparation: Preparation, codes: np.ndarray, where: Where) -> None:
    rows, places = np.isinf(codes).nonzero()
    if len(rows):
        more = f", and {len(rows) - 1} more cells" if len(rows) > 1 else ""
        raise DataError(
            f"Column '{preparation.used[places[0]].name}' holds an infinite value ({where(int(rows[0]))}{more}): "
            "correct it, or leave the cell empty, which counts as a missing value."
        )


def _refuse_gaps(preparation: Preparation, gaps: np.ndarray, gone: np.ndarray, where: Where) -> None:
    """Raise DataError where a value is missing."""
    missing = gaps.any(axis=1) | gone
    if missing.any():
        row = int(missing.argmax())
        names = [column.name for column, gap in zip(preparation.used, gaps[row], strict=True) if gap] or ["the target"]
        raise DataError(
            f"{int(missing.sum())} rows have missing values, the first of them {where(row)}, in {', '.join(names)}: "
            "pass missing='drop' to leave such rows out, or missing='fill'."
        )


def _without_gaps(preparation: Preparation, gaps: np.ndarray, keep: Collection[str]) -> Preparation:
    """The preparation without the columns whose gaps would cost more than half of the rows."""
    used, whole = list(preparation.used), len(gaps)
    while whole and len(used) > 1 and gaps.any(axis=1).mean() > DATA.most_missing:
        counts = [0 if column.name in keep or column.header in keep else int(n) for column, n in
                  zip(used, gaps.sum(axis=0), strict=True)]  # fmt: skip
        place = int(np.argmax(counts))
        asked = [n for n, count in enumerate(counts) if not count]
        if not counts[place] or gaps[:, asked].any(axis=1).mean() > DATA.most_missing:
            break
        column = used.pop(place)
        gaps = np.delete(gaps, place, axis=1)
        note = (
            f"'{column.name}' was skipped: it lacks {counts[place]} of {whole} values, and such rows would be dropped. "
            "To keep it, name it among the inputs, or fill the gaps with missing='fill'"
        )
        preparation = preparation.without(column.header, note)
    return preparation


def _notes(
    preparation: Preparation, gaps: np.ndarray, gone: np.ndarray, alone: np.ndarray, missing: Missing, targets: Any
) -> list[str]:
    """Sentences on the rows that were left out and the values that were filled."""
    columns = zip(preparation.used, gaps[~alone].sum(axis=0), strict=True)
    listed = ", ".join(f"{column.name} ({n})" for column, n in columns if n)
    said, every = [], f"of {len(gone)} rows"
    if gone.any():
        said.append(
            f"{int(gone.sum())} {every} were left out, as their target '{targets.values.columns[0]}' is missing"
        )
    if (alone & ~gone).any():
        said.append(f"{int((alone & ~gone).sum())} {every} were left out, as their group is missing")
    incomplete = int(gaps[~alone].any(axis=1).sum())
    if incomplete and missing == "drop":
        said.append(f"{incomplete} {every} were left out, as values are missing: {listed}")
    if incomplete and missing == "fill":
        said.append(f"missing values were filled with the median or most frequent one of the training rows: {listed}")
    return said
