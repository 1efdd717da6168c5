"""Tables in files: reading one, and choosing its inputs and targets."""

import difflib
import warnings
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knotwork.data.arrays import check_unique, listed, numbers
from knotwork.data.dataset import unknown_name
from knotwork.errors import DataError, KnotworkWarning

if TYPE_CHECKING:
    import pandas as pd

_LEAVE_OUT = "encode it as numbers, or name the columns to use with inputs="
_NOT_TABLES = {".xlsx", ".xls", ".ods"}
_PARQUET = {".parquet", ".pq"}


def read_file(path: str | PathLike) -> "pd.DataFrame":
    """The table in a CSV file (also .gz, .bz2, .xz, .zip) or a Parquet file, with its column names as text.

    Values are separated by commas, or else by semicolons or tabs; the first line names the columns. A first column
    without a name is taken for row numbers and left out, with a warning. Raises DataError for anything else.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(f"'{path}' is a folder: give the path of a CSV or Parquet file.")
    if not path.is_file():
        close = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*")], n=1, cutoff=0.85)
        raise DataError(f"There is no file '{path}'" + (f": did you mean '{close[0]}'?" if close else "."))
    if path.suffix.lower() in _NOT_TABLES:
        raise DataError(f"'{path}' is a spreadsheet: save the sheet as CSV and read that.")
    frame = _read_parquet(path) if path.suffix.lower() in _PARQUET else _read_csv(path)
    if not len(frame):
        raise DataError(f"'{path}' has column names but no rows.")
    return frame


def choose(
    frame: "pd.DataFrame", target: str | Sequence[str], inputs: Sequence[str] | None = None
) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """The inputs and the targets of a table, as two tables; the inputs default to every column but the targets.

    Raises DataError for names that are not in the table, a target among the inputs, and columns that are not numbers.
    """
    columns = list(frame.columns)
    targets = [target] if isinstance(target, str) else list(target)
    chosen = [name for name in columns if name not in targets] if inputs is None else inputs
    chosen = [chosen] if isinstance(chosen, str) else list(chosen)
    for names, what in ((targets, "targets"), (chosen, "inputs")):
        unknown = [name for name in names if name not in columns]
        if unknown:
            raise DataError(unknown_name(unknown[0], columns, "column"))
        if not names:
            raise DataError(f"No {what} were chosen: name some of {listed(columns, 20)}.")
        check_unique(names, f"The {what}")
    both = [name for name in targets if name in chosen]
    if both:
        raise DataError(f"{listed(both)} cannot be both target and input: take it out of inputs=.")
    for name in (name for name in chosen if not _is_numeric(frame[name])):
        try:
            numbers(frame[name], f"Column '{name}'", _LEAVE_OUT)
        except DataError as error:
            numeric = [other for other in columns if other not in targets and _is_numeric(frame[other])]
            raise DataError(f"{error} The numeric columns are {listed(numeric, 20) or 'none'}.") from None
    return frame.loc[:, chosen], frame.loc[:, targets]


def _is_numeric(column: Any) -> bool:
    return getattr(column.dtype, "kind", "O") in "iufb"


def _read_parquet(path: Path) -> "pd.DataFrame":
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except ImportError:
        raise DataError(f"'{path}' is a Parquet file, which needs pyarrow: pip install pyarrow.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"'{path}' is not a Parquet file that can be read: {error}") from None
    frame.columns = [str(name) for name in frame.columns]
    check_unique(list(frame.columns), f"The column names of '{path}'")
    return frame


def _read_csv(path: Path) -> "pd.DataFrame":
    import pandas as pd

    options: dict[str, Any] = {"skipinitialspace": True, "sep": ","}
    try:
        header = pd.read_csv(path, header=None, nrows=1, dtype=str, **options).iloc[0]
        separators = [s for s in ";\t" if len(header) == 1 and s in str(header[0])]
        if separators:
            options["sep"] = separators[0]
            header = pd.read_csv(path, header=None, nrows=1, dtype=str, **options).iloc[0]
        names = _column_names(path, header)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(path, low_memory=False, index_col=False, **options)
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
    frame.columns = names
    if not names[0]:
        warnings.warn(
            f"The first column of '{path}' has no name: it is taken for row numbers and left out.",
            KnotworkWarning,
            stacklevel=4,
        )
        frame = frame.iloc[:, 1:]
    return frame


def _column_names(path: Path, header: Any) -> list[str]:
    """The names in the first line of a file; only the first may be empty."""
    names = ["" if cell != cell else str(cell).strip() for cell in header]
    if any("\0" in name for name in names):
        raise DataError(f"'{path}' is a binary file, not a table.")
    if len(names) == 1:
        raise DataError(
            f"'{path}' has a single column ('{names[0][:40]}'), but inputs and a target are needed: separate the "
            "values by commas, semicolons or tabs."
        )
    if all(_is_number(name) for name in names):
        raise DataError(
            f"The first line of '{path}' holds numbers ({', '.join(names[:3])}, ...): name the columns there."
        )
    for place, name in enumerate(names[1:], start=2):
        if not name:
            raise DataError(f"Column {place} of '{path}' has no name in the first line: name it or remove it.")
    check_unique(names, f"The column names of '{path}'")
    return names


def _is_number(text: str) -> bool:
    try:
        return float(text) == float(text)
    except ValueError:
        return False
