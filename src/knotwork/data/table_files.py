"""Reading of a table from a file, and the choice of its inputs and targets."""

import difflib
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knotwork.data.arrays import columns_by_name, converted
from knotwork.data.column_names import check_unique, listed, split_units, unknown_name
from knotwork.data.csv_files import read_delimited
from knotwork.data.parquet_files import PARQUET, read_parquet
from knotwork.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_NOT_TABLES = {".xlsx", ".xls", ".ods"}


def read_file(path: str | PathLike, separator: str | None = None, decimal: str | None = None) -> "pd.DataFrame":
    """The table in a CSV file (also .gz, .bz2, .xz, .zip), a Parquet file or a folder of these, with names as text.

    The first line of a CSV file names the columns. Values are separated by commas, semicolons or tabs, and the decimal
    mark is a point or a comma. Anything else than comma and point gives a warning, unless `separator` and `decimal`
    specify it. A first column without a name is taken as row numbers and excluded, with a warning.
    Raises DataError for anything else.
    """
    path = existing(path)
    if path.suffix.lower() in _NOT_TABLES:
        raise DataError(f"'{path}' is a spreadsheet: save the sheet as CSV and read that.")
    parquet = path.is_dir() or path.suffix.lower() in PARQUET
    frame = read_parquet(path) if parquet else read_delimited(path, separator, decimal)
    if not len(frame):
        raise DataError(f"'{path}' has column names but no rows.")
    if len(frame.columns) < 2:
        raise DataError(
            f"'{path}' has a single column ({listed(list(frame.columns))}), but inputs and a target are needed."
        )
    return frame


def existing(path: str | PathLike) -> Path:
    """The path of a file or folder; DataError with the most similar name in that folder if it does not exist."""
    path = Path(path)
    if not path.exists():
        close = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*")], n=1, cutoff=0.85)
        raise DataError(f"There is no file '{path}'" + (f": did you mean '{close[0]}'?" if close else "."))
    return path


def choose(
    frame: "pd.DataFrame", target: str | Sequence[str], inputs: Sequence[str] | None = None
) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """The inputs and the targets of a table, as two tables. By default all columns except the targets are inputs.

    Columns are named with or without their unit. Raises DataError for names that are not in the table, and a target
    among the inputs.
    """
    columns = [str(name) for name in frame.columns]
    targets = _columns(columns, [target] if isinstance(target, str) else target, "targets")
    others = [name for name in columns if name not in targets]
    chosen = _columns(columns, [inputs] if isinstance(inputs, str) else others if inputs is None else inputs, "inputs")
    both = [name for name in targets if name in chosen]
    if both:
        raise DataError(f"{listed(both)} cannot be both target and input: remove it from inputs=.")
    X = frame.loc[:, chosen]
    X.attrs["asked"] = () if inputs is None else tuple(chosen)  # prepared columns that were asked for are not skipped
    return X, frame.loc[:, targets]


def named_targets(X: Any, y: Any) -> tuple[Any, Any]:
    """The inputs and the targets where `X` is the path of a table, or `y` names columns of it; else both as they are.

    A list of names has another length than the table: labels have one for each row. Raises DataError for names that
    are not in the table, and for a path without the name of a target.
    """
    names = [y] if isinstance(y, str) else list(y) if isinstance(y, (list, tuple)) else []
    names = names if names and all(isinstance(name, str) for name in names) else []
    if isinstance(X, (str, PathLike)):
        frame = read_file(X)
        if not names:
            last = split_units([str(frame.columns[-1])])[0][0]
            raise DataError(f"'{X}' is a file: name its target column, as in discover('{X}', '{last}').")
        return choose(frame, names)
    columns = columns_by_name(X, "X") if names else None
    if columns is None:
        if isinstance(y, str) and hasattr(X, "target_names"):
            raise DataError(f"A Dataset holds its target ({listed(list(X.target_names))}): leave out y='{y}'.")
        if isinstance(y, str):
            raise DataError(f"y='{y}' names a column, but those of X have no names: pass a data frame.")
        return X, y
    import pandas as pd

    try:
        frame = converted(X) if isinstance(converted(X), pd.DataFrame) else pd.DataFrame(columns)
    except ValueError as error:
        raise DataError(f"The columns of X make no table: {error}.") from None
    frame = frame.set_axis(list(columns), axis=1)  # names that are numbers as texts
    return (X, y) if not isinstance(y, str) and len(names) == len(frame) else choose(frame, names)


def _columns(columns: list[str], chosen: Sequence[str], what: str) -> list[str]:
    """The full names of the chosen columns, in the order chosen. They are given with or without units."""
    short, _ = split_units(columns)
    places = {name: place for names in (short, columns) for place, name in enumerate(names)}
    for name in chosen:
        if name not in places:
            raise DataError(unknown_name(name, short, "column"))
    if not chosen:
        raise DataError(f"No {what} were chosen: name some of {listed(short, 20)}.")
    found = [columns[places[name]] for name in chosen]
    check_unique(found, f"The {what}")
    return found
