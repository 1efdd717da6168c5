"""The tables that come with the package. A .md file beside each says where it is from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from knotwork.data.dataset import Dataset
from knotwork.data.scaling import Scale
from knotwork.data.table_files import choose, read_file
from knotwork.errors import DataError
from knotwork.keywords import check_keywords

if TYPE_CHECKING:
    import pandas as pd


class PackagedTable(NamedTuple):
    """What a packaged table is about, its usual target, and the columns that are not used as inputs by default."""

    description: str
    target: str
    excluded: tuple[str, ...] = ()


_TABLES = {
    "knots": PackagedTable(
        "14,163 hyperbolic knots: 17 invariants and the signature", "signature", ("name", "mirrored")
    ),
}
_FOLDER = Path(__file__).parent


def packaged_tables() -> dict[str, PackagedTable]:
    """The packaged tables by name."""
    return dict(_TABLES)


def read_packaged(name: str) -> "pd.DataFrame":
    """All columns of a packaged table. Raises DataError for a name that is not among `packaged_tables()`."""
    if name not in _TABLES:
        raise DataError(
            f"There is no packaged table {name!r}; packaged: {', '.join(_TABLES)}. "
            "A file is read by knotwork.Dataset.from_csv."
        )
    return read_file(_FOLDER / f"{name}.csv.gz")


@check_keywords
def load_dataset(
    name: str,
    target: str | Sequence[str] | None = None,
    inputs: Sequence[str] | None = None,
    *,
    test_size: float = 0.2,
    validation_size: float = 0.2,
    scale: Scale = False,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    title: str | None = None,
    units: Mapping[str, str] | None = None,
) -> Dataset:
    """The Dataset of a table that comes with the package. A table of your own is read by `Dataset.from_csv`.

    Args:
        name: The name of the table: "knots" (14,163 hyperbolic knots, 17 invariants and the signature).
        target: The target column, or several. Default: the usual target of the table.
        inputs: The input columns. Default: all other columns of numbers that describe a knot.
        test_size: Test rows, as in `Dataset.from_arrays`.
        validation_size: Validation rows, as in `Dataset.from_arrays`.
        scale: "standard", "range" or False, as in `Dataset.from_arrays`.
        seed: Seed of the shuffle.
        dtype: Floating-point type of the stored tensors.
        title: What the data are. Default: the name of the table.
        units: Units of columns by name.

    Raises:
        DataError: There is no such table or no such column.

    Example:
        >>> import knotwork as kw
        >>> kw.load_dataset("knots", inputs=["volume", "cusp_volume"], test_size=1000).rows()
        Rows(train=10530, validation=2633, test=1000)
    """
    frame = read_packaged(name)
    table = _TABLES[name]
    target = table.target if target is None else target
    if inputs is None:
        targets = [target] if isinstance(target, str) else target
        frame = frame.drop(columns=[column for column in table.excluded if column not in targets])
    X, y = choose(frame, target, inputs)
    return Dataset.from_arrays(
        X,
        y,
        test_size=test_size,
        validation_size=validation_size,
        scale=scale,
        seed=seed,
        dtype=dtype,
        title=name if title is None else title,
        units=units,
    )
