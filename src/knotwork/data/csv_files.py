"""Reading of CSV files: separator, decimal mark and column names."""

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knotwork.data.column_names import check_unique, plain_names, split_units
from knotwork.data.column_values import is_number
from knotwork.data.csv_layout import Layout, commented_names, encoding_of, layout_of, line_of_row, titles, units_row
from knotwork.data.settings import DATA
from knotwork.errors import DataError, warn

if TYPE_CHECKING:
    import pandas as pd

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars", r"\s+": "spaces"}
_MISSING = ["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A"]
_MISSING += ["NA", "NULL", "NaN", "n/a", "nan", "null"]  # those of pandas but None, which may be a category
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*")


def read_delimited(path: Path, separator: str | None = None, decimal: str | None = None) -> "pd.DataFrame":
    """The table in a CSV file, compressed or not; `read_file` describes the forms that are read.

    Raises DataError for a file that is not a table.
    """
    if decimal not in (None, ".", ","):
        raise DataError(f"decimal={decimal!r} is not possible: give '.' or ','.")
    if separator is not None and (not isinstance(separator, str) or len(separator) != 1 or separator == decimal):
        raise DataError(f"separator={separator!r} is not possible: give one character such as ',', ';' or '\\t'.")
    import pandas as pd

    try:
        if path.suffix.lower() in (".csv", ".tsv", ".txt") and _is_binary(path):
            raise DataError(f"'{path}' is a binary file, not a table.")
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return _in_its_encoding(path, separator, decimal)
    except pd.errors.EmptyDataError:
        raise DataError(f"'{path}' is empty: a table with column names in its first line is needed.") from None
    except pd.errors.ParserError as error:
        reason = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise DataError(f"'{path}' is not a table with the same columns in every line: {reason}.") from None
    except DataError:
        raise
    except pd.errors.ParserWarning:
        raise DataError(f"The lines of '{path}' hold more values than its first line has names.") from None
    except UnicodeDecodeError:
        raise DataError(f"'{path}' is not text in UTF-8: save the table as CSV in UTF-8.") from None
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"'{path}' cannot be read as a table: {error}") from None


@dataclass(frozen=True)
class FileRows:
    """Where the rows of a table stand in its file."""

    path: Path
    layout: Layout
    separator: str

    def __call__(self, row: int) -> str:
        """The words for a row, counted from 0."""
        line = line_of_row(self.path, self.layout.encoding, self.layout.skipped, self.separator, row + 1)
        return f"line {line} of the file" if line else f"row {row}, counting from 0"


def _in_its_encoding(path: Path, separator: str | None, decimal: str | None) -> "pd.DataFrame":
    encoding = encoding_of(path)
    try:
        return _read(path, encoding, separator, decimal)
    except UnicodeDecodeError:
        frame = _read(path, "cp1252", separator, decimal)
        warn(f"'{path}' is not text in UTF-8: it was read as text of Windows (cp1252).")
        return frame


def _read(path: Path, encoding: str, separator: str | None, decimal: str | None) -> "pd.DataFrame":
    import pandas as pd

    layout = layout_of(path, encoding)
    found_separator = _separator(path, layout) if separator is None else separator
    layout = replace(layout, skipped=(*titles(layout, found_separator), *layout.skipped))
    header = commented_names(layout, found_separator)
    names = _column_names(path, header or _head(path, layout, found_separator, 1).iloc[0])
    rows = layout.cells(found_separator)
    units = None if header else units_row(rows)
    skipped = list(layout.skipped)
    if units:
        names = [f"{name} [{unit}]" if unit and split_units([name])[0][0] == name else name
                 for name, unit in zip(names, units, strict=True)]  # fmt: skip
        lines = (n for n, line in enumerate(layout.lines) if line.strip() and n not in skipped)
        skipped.append([*lines][1])
    found_decimal, example = (
        (decimal, "") if decimal or found_separator == "," else _decimal(path, layout, found_separator)
    )
    exact: Any = {}  # since pandas 3.1 decimals are read exactly by default
    if tuple(int(part) for part in pd.__version__.split(".")[:2]) < (3, 1):
        exact = {"float_precision": "round_trip"}
    frame = pd.read_csv(
        path,
        low_memory=False,
        index_col=False,
        skipinitialspace=True,
        header=None if header else 0,
        sep=found_separator,
        decimal=found_decimal or ".",
        encoding=encoding,
        skiprows=skipped or None,
        keep_default_na=False,
        na_values=_MISSING,
        **exact,
    )
    frame.columns = names
    expected = "\t" if path.name.lower().endswith((".tsv", ".tsv.gz")) else ","
    said = []
    if separator is None and found_separator != expected:
        said.append((f"{_SEPARATORS[found_separator]} between its values", f"separator={found_separator!r}"))
    if example:
        said.append((f"decimal commas ({example} is {example.replace(',', '.')})", "decimal=','"))
    if said:
        text, options = (" and ".join(parts) for parts in zip(*said, strict=True))
        advice = "" if found_separator == r"\s+" else f"; pass {options} to read it without this warning"
        warn(f"'{path}' was read with {text}{advice}.")
    if not names[0]:
        warn(f"The first column of '{path}' has no name: it is read as row numbers and excluded.")
        frame = frame.iloc[:, 1:]
    frame.columns = plain_names(list(frame.columns))
    frame.attrs["rows"] = FileRows(path, replace(layout, skipped=tuple(skipped)), found_separator)
    return frame


def _head(path: Path, layout: Layout, separator: str, lines: int) -> "pd.DataFrame":
    """The first lines of the table, as text."""
    import pandas as pd

    options: Any = {"encoding": layout.encoding, "skiprows": list(layout.skipped) or None}
    return pd.read_csv(path, header=None, nrows=lines, dtype=str, skipinitialspace=True, sep=separator, **options)


def _separator(path: Path, layout: Layout) -> str:
    """The separator that splits the first lines into two or more columns, if possible without missing values.

    Of several, one with fewer lines of titles above the table. Spaces separate only numbers. The comma where there is
    none.
    """
    import pandas as pd

    found = []
    for separator in _SEPARATORS:
        lines = titles(layout, separator)
        above = replace(layout, skipped=(*lines, *layout.skipped))
        try:
            head = _head(path, above, separator, DATA.lines_examined)
        except (pd.errors.ParserError, pd.errors.ParserWarning):
            continue
        if separator == r"\s+" and not all(any(map(is_number, row)) for row in above.cells(separator)[1:]):
            continue
        if head.shape[1] > 1:
            found.append((len(lines), bool(head.iloc[:, 1:].isna().any(axis=None)), len(found), separator))
    return min(found)[-1] if found else ","


def _decimal(path: Path, layout: Layout, separator: str) -> tuple[str, str]:
    """The decimal mark, and where it is the comma the first number written with it."""
    head = _head(path, layout, separator, DATA.lines_examined)
    cells: Iterable[Any] = head.iloc[1:].to_numpy().ravel()
    commas = [cell.strip() for cell in cells if isinstance(cell, str) and _DECIMAL_COMMA.fullmatch(cell)]
    return (",", commas[0]) if commas else (".", "")


def _column_names(path: Path, header: Iterable[Any]) -> list[str]:
    """The names in the first line of a file; empty ones but the first are x_1, x_2, ... by their place."""
    names = ["" if cell != cell else str(cell).strip() for cell in header]
    if len(names) == 1:
        raise DataError(
            f"'{path}' has a single column ('{names[0][:40]}'), but inputs and a target are needed: separate the "
            "values by commas, semicolons or tabs, or name the separator with separator=."
        )
    if all(is_number(name.replace(",", ".")) for name in names):
        raise DataError(
            f"The first line of '{path}' holds numbers ({', '.join(names[:3])}, ...): name the columns there."
        )
    names[1:] = [name or f"x_{place}" for place, name in enumerate(names[1:], start=1)]
    check_unique(names, f"The column names of '{path}'")
    return names


def _is_binary(path: Path) -> bool:
    """True if the first line has a zero byte, which occurs in no text except UTF-16."""
    with path.open("rb") as file:
        line = file.readline(2**16)
    return b"\0" in line and not line.startswith((b"\xff\xfe", b"\xfe\xff"))
