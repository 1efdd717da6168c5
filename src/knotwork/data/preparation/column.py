"""One column of a table: what it becomes, and its values in any rows."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from knotwork.data.column_names import split_units
from knotwork.data.column_values import is_missing, numbers
from knotwork.data.preparation.written_dates import dates, durations, since
from knotwork.data.preparation.written_numbers import UNKNOWN, NumberStyle, cleaned
from knotwork.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

Where = Callable[[int], str]
"""The words for a row, given its number from 0."""


@dataclass(frozen=True)
class Column:
    """What is done with one column of a table.

    Attributes:
        header: the name of the column in the table, with its unit if it has one.
        kind: "numbers", "written" (numbers as texts), "dates", "durations", "categories", "ordered" (categories as
            numbers 0, 1, ...), or "skipped".
        note: what was done, in words; empty for numbers that stay as they are.
        levels: the texts of the categories; all indicators of the first one are 0.
        style: how numbers are written.
        form: the format of dates that are texts.
        origin: the first date.
        unit: the unit of dates and durations as numbers, and the unit that is written after numbers.
        fill: the value that stands in place of a missing one; None where rows with missing values are dropped.
    """

    header: str
    kind: str
    note: str = ""
    levels: tuple[str, ...] = ()
    style: NumberStyle | None = None
    form: str = ""
    origin: str = ""
    unit: str = ""
    fill: float | None = None

    @property
    def name(self) -> str:
        """The name without the unit."""
        return split_units([self.header])[0][0]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns that it becomes, with units."""
        if self.kind == "skipped":
            return ()
        if self.kind == "categories":
            return tuple(f"{self.name}={level}" for level in self.levels[1:])
        return (f"{self.name} [{self.unit}]",) if self.unit else (self.header,)

    def codes(self, values: Any, what: str, where: Where) -> np.ndarray:
        """One number a row, NaN where a value is missing: the number itself, or the place of the category.

        Raises DataError for an unknown category and for what cannot be read, with the words `where` for its row.
        """
        if self.kind in ("categories", "ordered"):
            return self._places(values, what, where)
        if self.kind == "durations":
            return durations(as_series(values), self.unit)
        if self.kind == "dates":
            return since(self._moments(values, what, where), self.origin, self.unit)
        if self.kind == "written":
            return self._written(values, what, where)
        series = as_series(values)
        return numbers(series.astype(object) if hasattr(series, "cat") else values, what).numpy()

    def expanded(self, codes: np.ndarray) -> np.ndarray:
        """The columns (n, names) of one number a row: the indicators of categories, else the numbers."""
        if self.kind != "categories":
            return codes[:, None]
        found = (codes[:, None] == np.arange(1, len(self.levels))).astype(np.float64)
        found[np.isnan(codes)] = np.nan
        return found

    def to_dict(self) -> dict[str, Any]:
        """The fields as values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "Column":
        """The column of which `to_dict` gave the fields."""
        known = {field.name: content[field.name] for field in fields(cls)}
        style = known["style"] and NumberStyle(**known["style"])
        return cls(**{**known, "levels": tuple(known["levels"]), "style": style})

    def _places(self, values: Any, what: str, where: Where) -> np.ndarray:
        known = {level: float(place) for place, level in enumerate(self.levels)}
        texts = texts_of(values)
        unknown = [n for n, text in enumerate(texts) if text is not None and text not in known]
        if unknown:
            first = texts[unknown[0]]
            levels = ", ".join(map(repr, self.levels))
            raise DataError(
                f"{what} holds the category {first!r} ({where(unknown[0])}), which no row of the fit had: its "
                f"categories are {levels}. Drop {'this row' if len(unknown) == 1 else f'these {len(unknown)} rows'}, "
                "or fit again with such rows."
            )
        return np.array([np.nan if text is None else known[text] for text in texts])

    def _moments(self, values: Any, what: str, where: Where) -> "pd.Series":
        series = as_series(values)
        if series.dtype.kind == "M":
            return without_zone(series)
        texts = texts_of(values)
        found = dates([text or "" for text in texts], self.form or "ISO8601")
        wrong = [n for n, missing in enumerate(found.isna()) if missing and not NumberStyle().missing(texts[n])]
        if wrong:
            raise DataError(f"{what} holds {texts[wrong[0]]!r} ({where(wrong[0])}) among its dates: correct it.")
        return found

    def _written(self, values: Any, what: str, where: Where) -> np.ndarray:
        style = self.style or NumberStyle()
        found = np.empty(len(values))
        for n, entry in enumerate(entries_of(values)):
            number = np.nan if is_missing(entry) else entry
            if isinstance(entry, (str, bytes)):
                number = style.value(as_text(entry))
                if number is None:
                    raise DataError(
                        f"{what} holds {as_text(entry)[:40]!r} ({where(n)}) among its numbers: correct it, or leave "
                        "the cell empty, which counts as a missing value."
                    )
            found[n] = number
        return found


def as_series(values: Any) -> "pd.Series":
    """A column as a series with the rows numbered from 0."""
    import pandas as pd

    return pd.Series(values.array if isinstance(values, pd.Series) else values)


def is_numeric(values: Any) -> bool:
    """Whether a column holds numbers by its type."""
    return getattr(as_series(values).dtype, "kind", "O") in "iufb" and not hasattr(values, "cat")


def without_zone(series: "pd.Series") -> "pd.Series":
    """Dates in UTC without a time zone."""
    return series.dt.tz_convert("UTC").dt.tz_localize(None) if getattr(series.dt, "tz", None) else series


def entries_of(values: Any) -> list[Any]:
    """The entries of a column, None where missing."""
    series = as_series(values)
    return series.astype(object).where(series.notna(), None).tolist()


def as_text(entry: Any) -> str:
    """A text or bytes as a text; whole numbers without a point."""
    if isinstance(entry, bytes):
        return entry.decode(errors="replace")
    whole = isinstance(entry, float) and entry.is_integer()
    return str(int(entry)) if whole else str(entry)


def texts_of(values: Any) -> Sequence[str | None]:
    """The entries of a column of categories as texts without spaces around them, None where missing."""
    texts = [None if is_missing(entry) else cleaned(as_text(entry)) for entry in entries_of(values)]
    return [None if text is None or not text or text.lower() in UNKNOWN else text for text in texts]
