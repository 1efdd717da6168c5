"""Reading of CSV files: separator, decimal mark and column names."""

import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knotwork.data.column_names import check_unique
from knotwork.data.column_values import is_number
from knotwork.data.settings import DATA
from knotwork.errors import DataError, warn

if TYPE_CHECKING:
    import pandas as pd

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
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
    exact: Any = {}  # since pandas 3.1 decimals are read exactly by default
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
        warn(f"'{path}' was read with {text}; pass {options} to read it without this warning.")
    if not names[0]:
        warn(f"The first column of '{path}' has no name: it is read as row numbers and excluded.")
        frame = frame.iloc[:, 1:]
    return frame


def _head(path: Path, separator: str, lines: int) -> "pd.DataFrame":
    """The first lines of the file, as text."""
    import pandas as pd

    return pd.read_csv(path, header=None, nrows=lines, dtype=str, skipinitialspace=True, sep=separator)


def _separator(path: Path) -> str:
    """The separator that splits the first lines into two or more columns, if possible without missing values.

    The comma where there is none.
    """
    import pandas as pd

    with_gaps = []
    for separator in _SEPARATORS:
        try:
            head = _head(path, separator, DATA.lines_examined)
        except (pd.errors.ParserError, pd.errors.ParserWarning):
            continue
        if head.shape[1] > 1 and not head.iloc[:, 1:].isna().any(axis=None):
            return separator
        with_gaps += [separator] * (head.shape[1] > 1)
    return [*with_gaps, ","][0]


def _decimal(path: Path, separator: str) -> tuple[str, str]:
    """The decimal mark, and where it is the comma the first number written with it."""
    cells: Iterable[Any] = _head(path, separator, DATA.lines_examined).iloc[1:].to_numpy().ravel()
    commas = [cell.strip() for cell in cells if isinstance(cell, str) and _DECIMAL_COMMA.fullmatch(cell)]
    return (",", commas[0]) if commas else (".", "")


def _column_names(path: Path, header: Any) -> list[str]:
    """The names in the first line of a file. Only the first one may be empty."""
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
    for place, name in enumerate(names[1:], start=2):
        if not name:
            raise DataError(f"Column {place} of '{path}' has no name in the first line: name it or remove it.")
    check_unique(names, f"The column names of '{path}'")
    return names


def _is_binary(path: Path) -> bool:
    """True if the first line has a zero byte, which occurs in no text except UTF-16."""
    with path.open("rb") as file:
        line = file.readline(2**16)
    return b"\0" in line and not line.startswith((b"\xff\xfe", b"\xfe\xff"))
