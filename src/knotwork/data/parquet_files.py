"""Reading of Parquet files, and of folders of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from knotwork.data.column_names import check_unique
from knotwork.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

PARQUET = {".parquet", ".pq"}
_ROW_LABELS = "__index_level_"  # columns in which pandas keeps row labels without a name


def read_parquet(path: Path) -> "pd.DataFrame":
    """The table in a Parquet file, or the joined tables of all Parquet files of a folder."""
    import pyarrow as pa

    tables = [opened(file).read() for file in parquet_files(path)]
    try:
        table = pa.concat_tables(tables)
    except pa.ArrowInvalid as error:
        raise DataError(f"The files in '{path}' have different columns: {str(error).splitlines()[0]}") from None
    return as_frame(table, path)


def parquet_files(path: Path) -> list[Path]:
    """The file, or the Parquet files of a folder in the order of their names."""
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in PARQUET)
    if not files:
        raise DataError(f"'{path}' is a folder without Parquet files: give the path of a CSV or Parquet file.")
    return files


def opened(path: Path, **options: Any) -> Any:
    """The file as a pyarrow.parquet.ParquetFile. Only its metadata are read."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        return ParquetFile(path, **options)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"'{path}' is not a Parquet file that can be read: {error}") from None


def as_frame(table: Any, path: Path) -> "pd.DataFrame":
    """An Arrow table as a data frame, without the unnamed row labels that pandas stores."""
    check_unique(table.column_names, f"The column names of '{path}'")
    names = [name for name in table.column_names if not name.startswith(_ROW_LABELS)]
    return table.select(names).to_pandas(ignore_metadata=True)
