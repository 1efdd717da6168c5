"""The tables that come with the package, each beside a .md file that says where it is from."""

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from knotwork.data.dataset import Dataset
from knotwork.data.tables import choose, read_file
from knotwork.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd


class Table(NamedTuple):
    """What a packaged table is about, the column it is meant to explain, and the columns that are not inputs."""

    description: str
    target: str
    left_out: tuple[str, ...] = ()


_TABLES = {
    "knots": Table("14,163 hyperbolic knots: 17 invariants and the signature", "signature", ("name", "mirrored")),
}
_FOLDER = Path(__file__).parent


def tables() -> dict[str, Table]:
    """The packaged tables by name."""
    return dict(_TABLES)


def read_table(source: str | PathLike, separator: str | None = None, decimal: str | None = None) -> "pd.DataFrame":
    """All columns of a table: a CSV or Parquet file, a folder of Parquet files, or a packaged table by its name.

    A file wins over a packaged table of the same name. Raises DataError if `source` is neither.
    """
    if _is_packaged(source):
        return read_file(_FOLDER / f"{source}.csv.gz")
    if not Path(source).exists():
        raise DataError(f"'{source}' is neither a file nor a packaged table; packaged: {', '.join(_TABLES)}.")
    return read_file(source, separator, decimal)


def load_table(
    source: str | PathLike,
    target: "str | Sequence[str] | None" = None,
    inputs: "Sequence[str] | None" = None,
    *,
    separator: str | None = None,
    decimal: str | None = None,
    **options: Any,
) -> Dataset:
    """The Dataset of a file or a packaged table; the options are those of `Dataset.from_csv`.

    For a packaged table, `target` and `inputs` default to what it is meant for. A file needs its target named.
    """
    frame = read_table(source, separator, decimal)
    title = Path(source).name
    if _is_packaged(source):
        table = _TABLES[str(source)]
        target = table.target if target is None else target
        if inputs is None:
            targets = [target] if isinstance(target, str) else target
            frame = frame.drop(columns=[name for name in table.left_out if name not in targets])
    if target is None:
        raise DataError(f"'{source}' is not a packaged table, so the target must be named: {', '.join(frame.columns)}.")
    X, y = choose(frame, target, inputs)
    return Dataset.from_arrays(X, y, **{"title": title, **options})


def _is_packaged(source: str | PathLike) -> bool:
    return str(source) in _TABLES and not Path(source).is_file()
