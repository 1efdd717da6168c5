"""One column as numbers, or an error that says what the column holds and what to do."""

import datetime
import math
import re
from collections.abc import Iterable
from decimal import Decimal
from numbers import Complex, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from knotwork.errors import DataError

_ONE_HOT = "turn it into indicators with knotwork.Preparation.of(X).apply(X), or choose other inputs"
_PREPARE = "convert it with knotwork.Preparation.of(X).apply(X)"
_LABELS = "classes are predicted by knotwork.KANClassifier, or number them from 0 and fit with loss='cross_entropy'"
_DURATIONS = "turn them into numbers, such as column / numpy.timedelta64(1, 's')"
_REAL = "pass their real and imaginary parts as two columns"
_DAYS = "turn them into days since the first, (column - column.min()) / numpy.timedelta64(1, 'D')"
_DATE = re.compile(r"\d{4}-\d\d-\d\d|\d{1,2}[./]\d{1,2}[./](\d{4}|\d\d)\b")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?")


def numbers(values: Any, subject: str, first_row: int = 0) -> Tensor:
    """A float64 copy of an array of numbers, with NaN for missing values. DataError for entries of other types.

    Truth values count as 0 and 1. `subject` and `first_row`, the number of the first row, are used in error messages.
    """
    kind = getattr(getattr(values, "dtype", None), "kind", "O")
    if hasattr(values, "cat"):
        some = ", ".join(repr(category) for category in list(values.cat.categories)[:3])
        amounts = ", or, if they are amounts, .astype(float)" if values.cat.categories.dtype.kind in "iuf" else ""
        count = len(values.cat.categories)
        raise DataError(f"{subject} holds categories ({some}, {count} in all): {_encode(subject)}{amounts}.")
    if kind in "iufb" and hasattr(values, "isna"):
        return torch.from_numpy(values.to_numpy(dtype=np.float64, na_value=np.nan, copy=True))
    if kind in "iufb":
        with np.errstate(over="ignore"):  # numbers of more digits, beyond the range of float64, become infinite
            return torch.from_numpy(np.array(values, dtype=np.float64))
    if kind == "c":
        raise DataError(f"{subject} holds complex numbers: {_REAL}.")
    if kind == "M":
        raise DataError(f"{subject} holds dates: {_DAYS}.")
    if kind == "m":
        raise DataError(f"{subject} holds durations: {_DURATIONS}.")
    entries = np.array(values, dtype=object)
    entries[[is_missing(entry) for entry in entries]] = math.nan
    if hasattr(values, "isna"):
        entries[np.asarray(values.isna())] = math.nan
    strange = [row for row, entry in enumerate(entries) if not isinstance(entry, (Real, np.bool_, Decimal))]
    if strange:
        raise DataError(f"{subject} holds {_what(entries, strange, first_row, _encode(subject))}.")
    return torch.tensor([_float(entry) for entry in entries], dtype=torch.float64)


def is_number(text: str) -> bool:
    """True for a text that is a number other than NaN."""
    try:
        return float(text) == float(text)
    except ValueError:
        return False


def rows_listed(rows: Iterable[int], first_row: int = 0, most: int = 5) -> str:
    """Row numbers for a message: row 3, or rows 3, 7, ... (20 in all)."""
    rows = [first_row + int(row) for row in rows]
    shown = ", ".join(str(row) for row in rows[:most])
    more = f", ... ({len(rows):,} in all)" if len(rows) > most else ""
    return f"row{'s' if len(rows) > 1 else ''} {shown}{more}, counting from 0"


def is_missing(entry: Any) -> bool:
    """Whether an entry says that a value is missing, but for NaN."""
    return entry is None or type(entry).__name__ in ("NAType", "NaTType")


def _float(entry: Any) -> float:
    """The number; infinite where float64 cannot hold it, and NaN for a signalling one of Decimal."""
    try:
        return float(entry)
    except OverflowError:
        return math.inf if entry > 0 else -math.inf
    except ValueError:
        return math.nan


def _encode(subject: str) -> str:
    """What to do with a column of names: as an input, or as a target."""
    return _LABELS if re.search(r"(^|of )y", subject) else _ONE_HOT


def _what(entries: np.ndarray, strange: list[int], first_row: int, encode: str) -> str:
    """What a column holds in the rows that are not numbers, and what to do about it."""
    first = entries[strange[0]]
    where = rows_listed(strange, first_row)
    if isinstance(first, (datetime.date, np.datetime64)):
        return f"dates ({first} in row {first_row + strange[0]}): convert it with pandas.to_datetime, then {_DAYS}"
    if isinstance(first, (datetime.timedelta, np.timedelta64)):
        return f"durations ({first} in row {first_row + strange[0]}): {_DURATIONS}"
    if isinstance(first, Complex):
        return f"complex numbers ({first} in row {first_row + strange[0]}): {_REAL}"
    if not isinstance(first, (str, bytes)):
        return f"{type(first).__name__} objects (in {where}): convert them to numbers"
    texts = [
        (entry.decode(errors="replace") if isinstance(entry, bytes) else str(entry)).strip()
        for entry in entries[strange]
    ]
    shown = f"{texts[0][:40]!r} in row {first_row + strange[0]}, counting from 0"
    if all(is_number(text) for text in texts):
        return f"numbers written as text ({shown}): convert it with .astype(float)"
    if all(_DECIMAL_COMMA.fullmatch(text) or is_number(text) for text in texts):
        return f"text that looks like numbers with decimal commas ({shown}): {_PREPARE}"
    if all(_DATE.match(text) for text in texts):
        return f"text that looks like dates ({shown}): convert it with pandas.to_datetime, then {_DAYS}"
    present = sum(entry == entry for entry in entries)
    if sum(is_number(text) for text in texts) + present - len(strange) > present / 2:
        wrong = [(row, text) for row, text in zip(strange, texts, strict=True) if not is_number(text)]
        shown = f"{wrong[0][1][:40]!r} in {rows_listed((row for row, _ in wrong), first_row)}"
        return f"text among its numbers ({shown}): correct or drop what is not a number"
    others = ", ".join(repr(text[:40]) for text in list(dict.fromkeys(texts))[1:4])
    return f"text ({shown}{f'; also {others}' if others else ''}): {encode}"
