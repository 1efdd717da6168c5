"""Dates and times of day, as numbers with a unit."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from knotwork.data.preparation.written_numbers import NumberStyle, cleaned
from knotwork.data.settings import DATA
from knotwork.data.units import unit_of

if TYPE_CHECKING:
    import pandas as pd

NAMES = {"yr": "years", "d": "days", "h": "hours", "s": "seconds"}
_FORMATS = (
    "ISO8601", "%Y/%m/%d", "%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S", "%d.%m.%Y", "%d.%m.%y", "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S", "%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y", "%m/%d/%y", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%d-%m-%Y", "%m-%d-%Y", "%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y",
    "%B %d, %Y", "%b %Y", "%B %Y", "%Y %b",
)  # fmt: skip
TIMES = ("%H:%M", "%H:%M:%S")


def format_of(texts: Sequence[str]) -> str | None:
    """The format in which all texts but missing ones are dates or times of day; None where there is none.

    Where day and month could be exchanged, the order in which the dates rise or fall from row to row is taken; of two
    such orders, that of the shorter span; else the day first.
    """
    present = [text for text in map(cleaned, texts) if not NumberStyle.missing(text)]
    if not present or not all(any(c.isdigit() for c in text) and not text.isdigit() for text in present):
        return None
    possible = [one for one in (*_FORMATS, *TIMES) if bool(dates(present[:1], one).notna().all())]
    possible = [one for one in possible if bool(dates(present, one).notna().all())]
    if len(possible) > 1:
        every = {one: dates(present, one) for one in possible}
        ordered = [one for one in possible if every[one].is_monotonic_increasing or every[one].is_monotonic_decreasing]
        possible = [*sorted(ordered, key=lambda one: abs(every[one].iloc[-1] - every[one].iloc[0])), *possible]
    return possible[0] if possible else None


def dates(texts: Sequence[str], form: str) -> "pd.Series":
    """Texts of this format as dates in UTC without a time zone; missing where a text is none."""
    import pandas as pd

    found = pd.to_datetime(pd.Series([cleaned(text) for text in texts]), format=form, errors="coerce", utc=True)
    return found.dt.tz_localize(None)


def unit_for(seconds: float) -> str:
    """The unit in which a span of time is told: years, days, hours or seconds."""
    if seconds >= DATA.fewest_years * unit_of("yr").factor:
        return "yr"
    return next((unit for unit in ("d", "h") if seconds >= DATA.fewest_units * unit_of(unit).factor), "s")


def since(moments: "pd.Series", origin: str, unit: str) -> np.ndarray:
    """Dates as numbers of a unit since the origin, NaN where missing."""
    import pandas as pd

    return durations(moments - pd.Timestamp(origin), unit)


def durations(spans: "pd.Series", unit: str) -> np.ndarray:
    """Spans of time as numbers of a unit, NaN where missing."""
    return spans.dt.total_seconds().to_numpy(np.float64) / unit_of(unit).factor
