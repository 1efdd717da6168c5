"""Parquet files larger than memory, as a stream of batches."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from knotwork.data.assembly import assemble
from knotwork.data.column_names import listed, resolved_names
from knotwork.data.matrix import matrix
from knotwork.data.parquet_files import as_frame, opened, parquet_files
from knotwork.data.randomness import seeded
from knotwork.data.scaling import Scale
from knotwork.data.settings import DATA
from knotwork.data.splitting import check_split, row_count
from knotwork.data.stream import Batch, Stream, shuffled
from knotwork.data.table_files import choose, existing
from knotwork.errors import DataError
from knotwork.keywords import check_keywords


@check_keywords
def stream_parquet(
    path: str | PathLike,
    target: str | Sequence[str],
    inputs: Sequence[str] | None = None,
    *,
    validation_size: float = 0.1,
    test_size: float = 0,
    buffer: int = 100_000,
    scale: Scale = False,
    seed: int = 0,
    units: Mapping[str, str] | None = None,
) -> Stream:
    """A stream of the rows of a Parquet file, or of all Parquet files of a folder, for tables larger than memory.

    A first pass checks every value, finds the range of each input, and draws the rows that stay in memory: the
    validation and test rows, which no batch holds, and a sample of at most 10,000 training rows.

    Args:
        path: The file or folder.
        target: The target column, or several; with or without its unit.
        inputs: The input columns. Default: every column that is no target.
        validation_size: Validation rows: an int counts rows, a float is a share, of which at most 10,000 are drawn.
        test_size: Test rows, in the same form.
        buffer: Rows from which a batch is drawn at random. Each epoch reads the row groups in another order.
            Batches of a file that is sorted over many more rows than this are still roughly sorted.
        scale: "standard", "range" or False, as in `Dataset.from_arrays`, computed from the sample.
        seed: Seed of the rows drawn, a whole number from 0.
        units: Units of columns by name.

    Raises:
        DataError: The files are not a table of finite numbers. The message names the file and the row.

    Example:
        >>> import knotwork as kw, pandas, pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "rows.parquet"
        >>> pandas.DataFrame({"x": range(1000), "y": range(1000)}).to_parquet(path)
        >>> kw.stream_parquet(path, "y", validation_size=100).rows
        900
    """
    path = existing(path)
    if isinstance(buffer, bool) or not isinstance(buffer, int) or buffer < 1:
        raise DataError(f"buffer={buffer!r} is not a number of rows: give a whole number of 1 or more.")
    groups, columns, n_inputs = _layout(path, target, inputs)
    names, target_names, units = resolved_names(
        columns[:n_inputs], columns[n_inputs:], n_inputs, len(columns) - n_inputs, units
    )
    generator = seeded(seed)
    train, *others = _drawn(sum(group.rows for group in groups), validation_size, test_size, generator)
    excluded = np.sort(np.concatenate(others))
    low = torch.full((n_inputs,), torch.inf, dtype=torch.float64)
    high = -low
    shares = [torch.empty(len(numbers), len(columns), dtype=torch.float64) for numbers in (train, *others)]
    for group in groups:
        for first, rows in group.pieces(columns):
            for share, numbers in zip(shares, (train, *others), strict=True):
                here = _within(numbers, first, len(rows))
                share[here] = rows[numbers[here] - first]
            seen = _without(rows, excluded, first)[:, :n_inputs]
            if len(seen):
                low, high = torch.minimum(low, seen.amin(0)), torch.maximum(high, seen.amax(0))
    shares = [share[torch.randperm(len(share), generator=generator)] for share in shares]
    sample = assemble(
        [part for share in shares for part in (share[:, :n_inputs], share[:, n_inputs:])],
        names,
        target_names,
        scale=scale,
        dtype=torch.float64,
        title=path.name,
        ranges=list(zip(low.tolist(), high.tolist(), strict=True)),
        units=units,
    )

    def epoch(size: int, seed: int) -> Iterator[Batch]:
        generator = seeded(seed)
        order = torch.randperm(len(groups), generator=generator).tolist()
        pieces = (piece for place in order for piece in groups[place].pieces(columns))
        training = (_without(rows, excluded, first) for first, rows in pieces)
        for rows in shuffled(training, size, buffer, generator):
            x, y = rows[:, :n_inputs], rows[:, n_inputs:]
            yield (x if sample.scaling is None else sample.scaling.apply(x)), y

    return Stream(sample, epoch, rows=sum(group.rows for group in groups) - len(excluded))


@dataclass(frozen=True)
class _Group:
    """A row group. Its first row has number `first` in its file and number `place` in all files."""

    file: Path
    description: Any
    number: int
    rows: int
    first: int
    place: int

    def pieces(self, columns: Sequence[str]) -> Iterator[tuple[int, Tensor]]:
        """(row number among all files, rows (n, columns) as float64), one piece after another."""
        at = 0
        with opened(
            self.file, metadata=self.description, buffer_size=DATA.bytes_read_at_once, pre_buffer=False
        ) as file:
            for batch in file.iter_batches(
                DATA.rows_read_at_once, row_groups=[self.number], columns=list(columns), use_threads=False
            ):
                frame = batch.to_pandas()[list(columns)]
                yield self.place + at, matrix(frame, f"'{self.file.name}'", first_row=self.first + at)[0]
                at += len(frame)


def _layout(
    path: Path, target: str | Sequence[str], inputs: Sequence[str] | None
) -> tuple[list[_Group], list[str], int]:
    """The row groups, the columns to read (inputs before targets), and the number of inputs."""
    groups: list[_Group] = []
    columns: list[str] = []
    n_inputs = place = 0
    for file in parquet_files(path):
        with opened(file, buffer_size=DATA.bytes_read_at_once, pre_buffer=False) as parquet:
            about = parquet.metadata
            if about.num_rows and not columns:
                first_rows = next(parquet.iter_batches(1000, use_threads=False))
                X, y = choose(as_frame(first_rows, file), target, inputs)
                columns, n_inputs = [*X.columns, *y.columns], len(X.columns)
            missing = [name for name in columns if name not in parquet.schema_arrow.names]
        if missing:
            raise DataError(f"'{file}' has no column {listed(missing)}, which the files before it have.")
        first = 0
        for number in range(about.num_row_groups):
            rows = about.row_group(number).num_rows
            groups.append(_Group(file, about, number, rows, first, place))
            first, place = first + rows, place + rows
    if not columns:
        raise DataError(f"'{path}' has column names but no rows.")
    return groups, columns, n_inputs


def _drawn(count: int, validation_size: float, test_size: float, generator: torch.Generator) -> list[np.ndarray]:
    """Numbers of the rows kept in memory for training, validation and test, each in the order of the file."""
    n_val = _at_most_held("validation_size", validation_size, count)
    n_test = _at_most_held("test_size", test_size, count)
    check_split(count, n_test, n_val, test_size, validation_size)
    sizes = (min(DATA.rows_held, count - n_val - n_test), n_val, n_test)
    random = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    drawn = random.choice(count, sum(sizes), replace=False)
    return [np.sort(part) for part in np.split(drawn, np.cumsum(sizes)[:-1])]


def _at_most_held(name: str, size: float, count: int) -> int:
    """The number of rows for `size`. A share gives at most `DATA.rows_held`; a larger number of rows is an error."""
    rows = row_count(name, size, count)
    if rows > DATA.rows_held and not isinstance(size, float):
        raise DataError(f"{name}={size} is too large: at most {DATA.rows_held:,} rows of a stream stay in memory.")
    return min(DATA.rows_held, rows)


def _within(numbers: np.ndarray, first: int, count: int) -> slice:
    """The slice of the sorted row numbers that lie in first, ..., first + count - 1."""
    return slice(*np.searchsorted(numbers, [first, first + count]).tolist())


def _without(rows: Tensor, numbers: np.ndarray, first: int) -> Tensor:
    """The rows except those with the given sorted numbers. The first row has number `first`."""
    keep = torch.ones(len(rows), dtype=torch.bool)
    keep[numbers[_within(numbers, first, len(rows))] - first] = False
    return rows if bool(keep.all()) else rows[keep]
