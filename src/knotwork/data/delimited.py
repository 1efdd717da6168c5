"""Tables in text, one line a row: CSV, and what is called so."""

import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knotwork.data.columns import is_number
from knotwork.data.names import check_unique
from knotwork.errors import DataError, KnotworkWarning

if TYPE_CHECKING:
    import pandas as pd

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_LINES = 20  # looked at to find out what separates values
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*")


def read_delimited(path: Path, separator: str | None = None, decimal: str | None = None) -> "pd.DataFrame":
    """The table in a CSV file, compressed or not; see `read_file` for what is understood.

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
            return _read(path, separator, decimal)
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


def _read(path: Path, separator: str | None, decimal: str | None) -> "pd.DataFrame":
    import pandas as pd

    found_separator = _separator(path) if separator is None else separator
    header = _head(path, found_separator, 1)
    names = _column_names(path, header.iloc[0])
    found_decimal, example = (decimal, "") if decimal or found_separator == "," else _decimal(path, found_separator)
    exact: Any = {}  # since pandas 3.1 decimals are read to the last bit as they are
    if tuple(int(part) for part in pd.__version__.split(".")[:2]) < (3, 1):
        exact = {"float_precision": "round_trip"}
    frame = pd.read_csv(
        path,
        low_memory=False,
        index_col=False,
        skipinitialspace=True,
        sep=found_separator,
        decimal=found_decimal or ".",
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
        _warn(f"'{path}' was read with {text}; pass {options} to settle it.")
    if not names[0]:
        _warn(f"The first column of '{path}' has no name: it is taken for row numbers and left out.")
        frame = frame.iloc[:, 1:]
    return frame


def _head(path: Path, separator: str, lines: int) -> "pd.DataFrame":
    """The first lines as text."""
    import pandas as pd

    return pd.read_csv(path, header=None, nrows=lines, dtype=str, skipinitialspace=True, sep=separator)


def _separator(path: Path) -> str:
    """What makes a table of two or more columns of the first lines, preferably one without gaps; else the comma."""
    import pandas as pd

    with_gaps = []
    for separator in _SEPARATORS:
        try:
            head = _head(path, separator, _LINES)
        except (pd.errors.ParserError, pd.errors.ParserWarning):
            continue
        if head.shape[1] > 1 and not head.iloc[:, 1:].isna().any(axis=None):
            return separator
        with_gaps += [separator] * (head.shape[1] > 1)
    return [*with_gaps, ","][0]


def _decimal(path: Path, separator: str) -> tuple[str, str]:
    """The mark of decimals, and, where it is the comma, the first number written with it."""
    cells: Iterable[Any] = _head(path, separator, _LINES).iloc[1:].to_numpy().ravel()
    commas = [cell.strip() for cell in cells if isinstance(cell, str) and _DECIMAL_COMMA.fullmatch(cell)]
    return (",", commas[0]) if commas else (".", "")


def _column_names(path: Path, header: Any) -> list[str]:
    """The names in the first line of a file; only the first may be empty."""
    names = ["" if cell != cell else str(cell).strip() for cell in header]
    if len(names) == 1:
        raise DataError(
            f"'{path}' has a single column ('{names[0][:40]}'), but inputs and a target are needed: separate the "
            "values by commas, semicolons or tabs, or say what does with separator=."
        )
    if all(is_number(name.replace(",", ".")) for name in names):
        raise DataError(
            f"The first line of '{path}' holds numbers ({', '.join(names[:3])}, ...): name the columns there."
        )
    for place, name in enumerate(names[1:], start=2):
        if not name:
            raise DataError(f"Column {place} of '{path}' has no name in the first line: name it or remove it.")
    check_unique(names, f"The column names of '{path}'")
    return names


def _warn(text: str) -> None:
    warnings.warn(text, KnotworkWarning, stacklevel=6)


def _is_binary(path: Path) -> bool:
    """Whether the first line holds a zero, which text has in UTF-16 alone."""
    with path.open("rb") as file:
        line = file.readline(2**16)
    return b"\0" in line and not line.startswith((b"\xff\xfe", b"\xfe\xff"))
