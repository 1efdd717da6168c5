"""The preparation of a table: what is done with each of its columns, and the same for new rows."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from torch import Tensor, strided

from knotwork.data.arrays import columns_by_name, plain
from knotwork.data.column_names import listed, plain_names, split_units, unknown_name
from knotwork.data.column_values import rows_listed
from knotwork.data.preparation.column import Column, Where, is_numeric
from knotwork.data.preparation.recognition import recognised
from knotwork.errors import DataError
from knotwork.keywords import check_keywords

if TYPE_CHECKING:
    import pandas as pd

Missing = Literal["drop", "fill", "error"]
MISSING = ("drop", "fill", "error")


def row_words(row: int) -> str:
    """The words for a row of a table in memory."""
    return f"row {row}, counting from 0"


@check_keywords
@dataclass(frozen=True)
class Preparation:
    """What is done with each column of a table before it is fitted, learned from one table and applied to any rows.

    Numbers stay as they are, also where they are written as texts: 1,234 or 1,5 or 12 % or $3.50. Categories become
    indicators such as `sex=male`, which are 1 or 0; dates become days or years since the first one; columns that number
    or name the rows, and such of one value alone, are skipped.

    Attributes:
        columns: what is done with each column, in the order of the table.
        missing: what is done with missing values: "drop" leaves out their rows, "fill" takes the median, or the most
            frequent category, of the training rows, "error" refuses them.
        others: further notes, on rows.

    Example:
        >>> import pandas as pd, knotwork as kw
        >>> table = pd.DataFrame({"mass": ["1,5", "2,0", "4,5"] * 2, "sex": ["m", "f", "m"] * 2})
        >>> preparation = kw.Preparation.of(table)
        >>> print(*preparation.notes, sep="\\n")
        'mass' was read as numbers: 1,5 is 1.5
        'sex' was turned into sex=m, which is 1 for m and 0 for f
        >>> preparation.apply(table[:2])
           mass  sex=m
        0   1.5    1.0
        1   2.0    0.0
    """

    columns: tuple[Column, ...]
    missing: Missing = "drop"
    others: tuple[str, ...] = ()

    @classmethod
    def of(cls, X: Any, *, missing: Missing = "drop", keep: Collection[str] = ()) -> "Preparation":
        """The preparation that suits a table.

        Args:
            X: a data frame, a dict of columns, or an array (n, columns), whose columns are called x_1, x_2, ...
            missing: what to do with missing values, "drop", "fill" or "error".
            keep: names of columns that must not be skipped.

        Raises:
            DataError: a column cannot be read, or holds texts among its numbers.
        """
        return cls.learned(columns_of_table(X), missing, keep)

    @classmethod
    def learned(
        cls, table: Mapping[str, Any], missing: Missing = "drop", keep: Collection[str] = (), where: Where = row_words
    ) -> "Preparation":
        """As `of`, for columns by name, with the words `where` for a row."""
        checked_missing(missing)
        kept = {short for name in keep for short in (name, split_units([name])[0][0])}
        columns = [
            recognised(header, values, where, bool(kept & {header, split_units([header])[0][0]}))
            for header, values in table.items()
        ]
        if len(columns) == 1 and not any(column.names for column in columns):  # numbers of rows may be the only input
            columns = [
                Column(column.header, "numbers") if is_numeric(values) else column
                for column, values in zip(columns, table.values(), strict=True)
            ]
        return cls(tuple(columns), missing)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done, a sentence each; none where all columns are numbers without gaps."""
        return (*(column.note for column in self.columns if column.note), *self.others)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns that come out, with their units."""
        return tuple(name for column in self.columns for name in column.names)

    @property
    def used(self) -> tuple[Column, ...]:
        """The columns that are not skipped."""
        return tuple(column for column in self.columns if column.kind != "skipped")

    def source(self, name: str) -> str:
        """The column of the table that a column which comes out was made of.

        Args:
            name: the name of the column that comes out, with or without its unit.

        Raises:
            DataError: there is no such column.
        """
        found = {split_units([one])[0][0]: column.name for column in self.columns for one in column.names}
        short = split_units([name])[0][0]
        if short not in found:
            raise DataError(unknown_name(name, list(found), "prepared column"))
        return found[short]

    def apply(self, X: Any) -> "pd.DataFrame":
        """The columns that come out for rows of such a table, in float64. Skipped columns need not be there.

        Args:
            X: a data frame or dict with the columns of the table, or an array of all of them in their order.

        Raises:
            DataError: a column is not there, holds a category that the table did not have, or cannot be read. A missing
                value is NaN in what comes out, unless `missing` is "fill".
        """
        return self.frame(self.codes(X), X)

    def complete(self, X: Any, taker: str) -> "pd.DataFrame":
        """As `apply`, for predictions, which need every value.

        Raises DataError, which names `taker`, where a value is missing.
        """
        found = self.apply(X)
        gaps = found.isna().to_numpy()
        if gaps.any():
            column = self.source(str(found.columns[int(gaps.any(0).argmax())]))
            rows = gaps.any(1).nonzero()[0].tolist()
            raise DataError(
                f"{taker} needs every value, but {len(rows)} of {len(found)} rows of X have none in '{column}' or "
                f"another column ({rows_listed(rows)}): drop these rows, fill the gaps, or fit with missing='fill'."
            )
        return found

    def needed(self, X: Any, names: Collection[str], taker: str) -> "pd.DataFrame":
        """As `complete`, for these prepared columns alone, named without units; only their columns must be in X."""
        own = replace(self, columns=tuple(one for one in self.columns if set(split_units(one.names)[0]) & set(names)))
        found = own.complete(X, taker)
        found.columns = split_units(list(found.columns))[0]
        return found.loc[:, [name for name in found.columns if name in names]]

    def codes(self, X: Any, where: Where = row_words) -> np.ndarray:
        """One number for each row and column in use, (n, columns), NaN where a value is missing."""
        table = columns_of_table(X, [column.header for column in self.columns])
        short = dict(zip(split_units(list(table))[0], table, strict=True))
        found = []
        for column in self.used:
            header = column.header if column.header in table else short.get(column.name)
            if header is None:
                raise DataError(f"X lacks a column: {unknown_name(column.name, list(short), 'column')}")
            found.append(column.codes(table[header], f"Column '{column.name}'", where))
        lengths = sorted({len(one) for one in found})
        if len(lengths) > 1:
            raise DataError(f"The columns of X have {' and '.join(map(str, lengths))} rows: all need as many.")
        return np.stack(found, axis=1) if found else np.empty((len(next(iter(table.values()), ())), 0))

    def filled(self, codes: np.ndarray) -> np.ndarray:
        """Codes (n, columns) with the values that stand in place of missing ones, where there are such values."""
        fill = np.array([np.nan if column.fill is None else column.fill for column in self.used])
        return np.where(np.isnan(codes), fill[None, :], codes) if len(fill) else codes

    def expanded(self, codes: np.ndarray) -> np.ndarray:
        """The columns (n, names) that come out for codes (n, columns)."""
        parts = [column.expanded(codes[:, place]) for place, column in enumerate(self.used)]
        return np.concatenate(parts, axis=1) if parts else codes

    def frame(self, codes: np.ndarray, X: Any) -> "pd.DataFrame":
        """The columns that come out for codes (n, columns) of the rows X, with the labels of these rows."""
        import pandas as pd

        index = X.index if isinstance(X, pd.DataFrame) else None
        return pd.DataFrame(self.expanded(self.filled(codes)), columns=list(self.names), index=index)

    def learning_fill(self, codes: np.ndarray) -> "Preparation":
        """The preparation with a value for missing ones: median or most frequent category of these rows' codes."""
        used = iter(codes.T)
        columns = []
        for column in self.columns:
            if column.kind != "skipped":
                own = next(used)
                own = np.sort(own[~np.isnan(own)])
                column = replace(column, fill=_typical(own, column.kind == "categories") if len(own) else 0.0)
            columns.append(column)
        return replace(self, columns=tuple(columns))

    def without(self, header: str, note: str) -> "Preparation":
        """The preparation that skips this column, too."""
        skipped = [replace(one, kind="skipped", note=note) if one.header == header else one for one in self.columns]
        return replace(self, columns=tuple(skipped))

    def to_dict(self) -> dict[str, Any]:
        """The preparation as values for JSON."""
        return {
            "columns": [column.to_dict() for column in self.columns],
            "missing": self.missing,
            "others": list(self.others),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Preparation":
        """The preparation of which `to_dict` gave the values.

        Args:
            content: what `to_dict` gave.
        """
        return cls(tuple(map(Column.from_dict, content["columns"])), content["missing"], tuple(content["others"]))

    def __str__(self) -> str:
        return "\n".join(self.notes) or f"{listed(self.names)}: numbers, as they came"


def checked_missing(missing: Any) -> Missing:
    """The way of treating missing values; DataError for one that is not known."""
    if missing not in MISSING:
        raise DataError(f"missing={missing!r} is not possible: give one of {', '.join(map(repr, MISSING))}.")
    return missing


def is_plain(values: Any) -> bool:
    """Whether an array without names holds numbers without gaps, or nothing that could be prepared."""
    if isinstance(values, Tensor):
        return values.is_meta or values.layout != strided or values.is_complex() or not bool(values.isnan().any())
    if columns_by_name(values, "X") is not None or hasattr(values, "isna") or hasattr(values, "toarray"):
        return hasattr(values, "toarray")
    try:
        array = plain(values, "X")
    except DataError:
        return True  # what takes the array says why it cannot be used
    return array.dtype.kind in "iubc" or (array.dtype.kind == "f" and not bool(np.isnan(array).any()))


def columns_of_table(X: Any, headers: Sequence[str] | None = None) -> dict[str, Any]:
    """The columns of a table by name; those of an array are called as the headers are, else x_1, x_2, ..."""
    named = columns_by_name(X, "X")
    if named is not None:
        return dict(zip(plain_names(list(named)), named.values(), strict=True))
    array = plain(X, "X")
    if getattr(array, "ndim", 0) == 1 and (name := getattr(array, "name", None)) is not None:
        return {plain_names([str(name)])[0]: array}
    array = np.asarray(array)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2:
        raise DataError(f"X has shape {array.shape}, but needs rows and columns: flatten the other axes.")
    names = headers or [f"x_{place + 1}" for place in range(array.shape[1])]
    if len(names) != array.shape[1]:
        raise DataError(f"X has {array.shape[1]} columns, but {len(names)} names came: {listed(list(names), 20)}.")
    return {str(name): array[:, place] for place, name in enumerate(names)}


def _typical(values: np.ndarray, category: bool) -> float:
    """The lower median of sorted values, or the most frequent one."""
    if not category:
        return float(values[(len(values) - 1) // 2])
    levels, counts = np.unique(values, return_counts=True)
    return float(levels[counts.argmax()])
