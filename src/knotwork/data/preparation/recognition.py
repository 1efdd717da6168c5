"""What a column of a table is: numbers, dates, categories, or nothing that helps."""

import re
from collections import Counter
from numbers import Real
from typing import Any

import numpy as np

from knotwork.data.column_values import is_missing, numbers
from knotwork.data.preparation.column import (
    Column,
    Where,
    as_series,
    as_text,
    entries_of,
    is_numeric,
    texts_of,
    without_zone,
)
from knotwork.data.preparation.written_dates import NAMES, TIMES, dates, format_of, unit_for
from knotwork.data.preparation.written_numbers import NumberStyle, style_of
from knotwork.data.settings import DATA
from knotwork.errors import DataError

_IDENTIFIER = re.compile(
    r"(unnamed.*|(row|record)?[ _.-]?(id|index|number|nr|no|names?)|row|.*[ _.-]id|id[ _.-].*)", re.I
)
_TRUE = ("yes", "true", "y", "t")
_FALSE = ("no", "false", "n", "f")
_NOTHING = "it tells nothing about the target"


def recognised(header: str, values: Any, where: Where, asked: bool = False) -> Column:
    """What is done with a column; DataError for one that cannot be read, with the words `where` for its row.

    A column that was `asked` for is never skipped.
    """
    values = values.array if hasattr(values, "array") else values
    if np.ndim(values) > 1:
        shape = tuple(np.shape(values))
        raise DataError(f"Column '{header}' of X has shape {shape}: a column has one value a row.")
    if len(values) and not asked and not as_series(values).notna().any():
        return Column(header, "skipped", f"'{Column(header, 'numbers').name}' was skipped: it holds no values")
    column = _plain(header, values) or _of_entries(header, values, where)
    if asked and column.kind == "skipped":
        return _asked(header, values, column)
    return column


def _plain(header: str, values: Any) -> Column | None:
    """A column whose type says what it is; None for one of texts and objects."""
    series = as_series(values)
    kind = getattr(series.dtype, "kind", "O")
    name = Column(header, "numbers").name
    if hasattr(series, "cat"):
        return _of_categories(header, series)
    if kind in "iu" and _IDENTIFIER.fullmatch(name) and series.is_unique and series.notna().all() and len(series) > 1:
        note = f"'{name}' was skipped: it numbers the rows. To keep it, name it among the inputs or rename it"
        return Column(header, "skipped", note)
    if kind in "iufbc":
        return Column(header, "numbers")
    if kind == "M":
        return _of_moments(header, without_zone(series))
    if kind == "m":
        spans = series.dt.total_seconds()
        unit = unit_for(float(spans.max() - spans.min()) if spans.notna().any() else 0.0)
        return Column(header, "durations", f"'{name}' was read as a duration in {NAMES[unit]}", unit=unit)
    return None


def _of_entries(header: str, values: Any, where: Where) -> Column:
    """A column of texts and objects."""
    name, entries = Column(header, "numbers").name, entries_of(values)
    present = [entry for entry in entries if not is_missing(entry)]
    texts = [as_text(entry) for entry in present if isinstance(entry, (str, bytes))]
    if present and not texts and all(type(entry).__module__ == "datetime" for entry in present):
        import pandas as pd

        return _of_moments(header, without_zone(pd.to_datetime(pd.Series(entries))))
    if not texts or not all(isinstance(entry, (str, bytes, Real, np.bool_)) for entry in present):
        numbers(values, f"Column '{name}'")  # refuses what cannot be read
        return Column(header, "numbers")
    style = style_of(texts)
    if style is not None:
        return _of_style(header, style, len(texts) == len(present), texts)
    form = format_of(texts) if len(texts) == len(present) else None
    if form in TIMES:
        note = f"'{name}' was read as a time of day, in hours since midnight"
        return Column(header, "dates", note, form=form, origin="1900-01-01", unit="h")
    if form is not None:
        return _of_moments(header, dates(texts, form), form, texts[0])
    first = present[: DATA.texts_examined]
    readable = sum(not isinstance(one, (str, bytes)) or style_of([as_text(one)]) is not None for one in first)
    if 2 * readable >= len(first):
        _refuse_mixed(name, entries, where)
    return _of_levels(header, [text for text in texts_of(values) if text is not None])


def _of_style(header: str, style: NumberStyle, all_texts: bool, texts: list[str]) -> Column:
    """Numbers that are written as texts; a note unless they are written as Python writes them."""
    name, known = Column(header, "numbers").name, header != Column(header, "numbers").name
    said = []
    if style.thousands or style.decimal != ".":
        shown = next((text for text in texts if re.search(r"\d[^\de]+\d", text)), texts[0]).strip()
        said.append(f"{shown} is {style.value(shown):g}")
    if style.unit and not known:
        said.append(f"its unit is {style.unit}")
    missing = list(dict.fromkeys(text.strip() for text in texts if text.strip() and style.missing(text)))
    if missing:
        said.append(f"{', '.join(map(repr, missing[:3]))} counts as missing")
    if not all_texts and not said:
        said.append("some of them were texts")
    note = f"'{name}' was read as numbers: {'; '.join(said)}" if said else ""
    return Column(header, "written", note, style=style, unit="" if known else style.unit)


def _of_moments(header: str, moments: Any, form: str = "", example: str = "") -> Column:
    name = Column(header, "numbers").name
    present = moments.dropna()
    if not len(present) or present.nunique() == 1:
        return Column(header, "skipped", f"'{name}' was skipped: it has one date alone, so {_NOTHING}")
    origin = present.min()
    unit = unit_for((present.max() - origin).total_seconds())
    shown = origin.date() if origin == origin.normalize() and unit != "h" else origin
    read = f"; {example.strip()} is {present.iloc[0].date()}" if re.match(r"\d\d?[/.-]", example.strip()) else ""
    note = f"'{name}' was turned into {NAMES[unit]} since {shown}{read}"
    return Column(header, "dates", note, form=form, origin=origin.isoformat(), unit=unit)


def _of_categories(header: str, series: Any) -> Column:
    """A column of pandas' categories: their numbers, their order, or indicators."""
    name, categories = Column(header, "numbers").name, series.cat.categories
    if series.cat.ordered and categories.dtype.kind in "iuf":
        return Column(header, "numbers")
    if series.cat.ordered:
        levels = tuple(map(str, categories))
        order = " < ".join(levels)
        return Column(header, "ordered", f"'{name}' was turned into numbers from 0 in its order, {order}", levels)
    used = [text for text in texts_of(series) if text is not None]
    return _of_levels(header, used, [as_text(one) for one in categories])


def _of_levels(header: str, texts: list[str], order: list[str] | None = None) -> Column:
    """Texts as categories; skipped where they are all equal, all different, or many."""
    name, counts = Column(header, "numbers").name, Counter(texts)
    levels = [one for one in order if one in counts] if order else sorted(counts)
    if not order and len(levels) == 2 and levels[0].lower() in _TRUE and levels[1].lower() in _FALSE:
        levels.reverse()
    if len(levels) < 2:
        only = f"'{levels[0]}' alone" if levels else "no values"
        return Column(header, "skipped", f"'{name}' was skipped: it holds {only}, so {_NOTHING}", tuple(levels))
    if len(levels) == len(texts) > 2:
        note = f"'{name}' was skipped: its {len(levels)} texts are all different, as names of rows are"
        return Column(header, "skipped", note, tuple(levels))
    if len(levels) > DATA.most_categories or len(texts) < DATA.rows_of_category * len(levels):
        note = (
            f"'{name}' was skipped: it holds {len(levels)} different texts in {len(texts)} rows. To keep it, name it "
            f"among the inputs, or search for one law of all of them by discover(X, y, groups='{name}')"
        )
        return Column(header, "skipped", note, tuple(levels))
    return Column(header, "categories", _indicators(name, levels), tuple(levels))


def _indicators(name: str, levels: list[str]) -> str:
    """The note of a column that became indicators."""
    if len(levels) == 2:
        return f"'{name}' was turned into {name}={levels[1]}, which is 1 for {levels[1]} and 0 for {levels[0]}"
    shown = ", ".join(f"{name}={level}" for level in levels[1:4]) + (", ..." if len(levels) > 4 else "")
    return f"'{name}' was turned into {shown}, each 1 or 0; all are 0 for {levels[0]}"


def _asked(header: str, values: Any, column: Column) -> Column:
    """A column that was asked for by name: as numbers or categories where it would have been skipped."""
    if is_numeric(values):
        return Column(header, "numbers")
    if 1 < len(column.levels) <= DATA.most_categories_asked:
        return Column(header, "categories", _indicators(column.name, list(column.levels)), column.levels)
    raise DataError(
        f"Column '{column.name}' cannot be an input, although it was asked for: it holds "
        f"{len(column.levels)} different texts, and 2 to {DATA.most_categories_asked} can become indicators. Leave it "
        "out, or name it in groups=."
    )


def _refuse_mixed(name: str, entries: list[Any], where: Where) -> None:
    """Raise DataError with the cells that are no numbers in a column of numbers, or with what its cells mix."""
    texts = {n: as_text(one) for n, one in enumerate(entries) if isinstance(one, (str, bytes))}
    wrong = {n: text for n, text in texts.items() if style_of([text]) is None and not NumberStyle.missing(text)}
    if wrong:
        first = next(iter(wrong))
        more = f", and {len(wrong) - 1} more such cells" if len(wrong) > 1 else ""
        raise DataError(
            f"Column '{name}' holds {wrong[first][:40]!r} ({where(first)}{more}) among its numbers: correct it, or "
            "leave the cell empty, which counts as a missing value."
        )
    styles = {}
    for n, text in texts.items():
        styles.setdefault(style_of([text]), n)
    (_, one), (_, other) = [(style, n) for style, n in styles.items() if style is not None][:2]
    raise DataError(
        f"Column '{name}' writes numbers in different ways: {texts[one]!r} ({where(one)}) and {texts[other]!r} "
        f"({where(other)}). Write all of them in one way."
    )
