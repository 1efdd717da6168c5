"""Parquet files larger than memory, as a stream of batches."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from knotwork.data.arrays import matrix
from knotwork.data.dataset import Scale, assemble, check_share, resolved_names
from knotwork.data.names import listed
from knotwork.data.parquet import as_frame, opened, parquet_files
from knotwork.data.randomness import seeded
from knotwork.data.stream import HELD, Batch, Stream, shuffled
from knotwork.data.tables import choose, existing
from knotwork.errors import DataError

_PIECE = 16_384  # rows that are read at once
_CACHE = 2**20  # bytes of a column that are read at once


def stream_parquet(
    path: str | PathLike,
    target: str | Sequence[str],
    inputs: Sequence[str] | None = None,
    *,
    validation: float = 0.1,
    test: float = 0.0,
    buffer: int = 100_000,
    scale: Scale = False,
    seed: int = 0,
    units: Mapping[str, str] | None = None,
) -> Stream:
    """Rows of a Parquet file, or of all those in a folder, for fits that hold only a part of them at a time.

    Columns are chosen as in `Dataset.from_csv`. A first pass checks every value, notes the range of the inputs, and
    keeps rows drawn by `seed`: for validation and test the shares of these names, at most 10,000 rows each, which no
    batch has; and a sample of at most 10,000 training rows, whose figures `scale` uses. In each epoch the row groups
    come in another order, and their rows are drawn from a buffer of `buffer` rows; rows that are sorted over much
    more than that stay roughly sorted.
    Raises DataError for what is not a table of finite numbers, with the file and the row.
    """
    path = existing(path)
    check_share("validation", validation)
    check_share("test", test)
    if isinstance(buffer, bool) or not isinstance(buffer, int) or buffer < 1:
        raise DataError(f"buffer={buffer!r} is not a number of rows: give a whole number of 1 or more.")
    groups, columns, n_inputs = _laid_out(path, target, inputs)
    names, target_names, units = resolved_names(
        columns[:n_inputs], columns[n_inputs:], n_inputs, len(columns) - n_inputs, units
    )
    generator = seeded(seed)
    train, *held_out = _drawn(sum(group.rows for group in groups), validation, test, generator)
    apart = np.sort(np.concatenate(held_out))
    low = torch.full((n_inputs,), torch.inf, dtype=torch.float64)
    high = -low
    shares = [torch.empty(len(numbers), len(columns), dtype=torch.float64) for numbers in (train, *held_out)]
    for group in groups:
        for first, rows in group.pieces(columns):
            for share, numbers in zip(shares, (train, *held_out), strict=True):
                here = _within(numbers, first, len(rows))
                share[here] = rows[numbers[here] - first]
            seen = _without(rows, apart, first)[:, :n_inputs]
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
        training = (_without(rows, apart, first) for first, rows in pieces)
        for rows in shuffled(training, size, buffer, generator):
            x, y = rows[:, :n_inputs], rows[:, n_inputs:]
            yield (x if sample.scaling is None else sample.scaling.apply(x)), y

    return Stream(sample, epoch, rows=sum(group.rows for group in groups) - len(apart))


@dataclass(frozen=True)
class _Group:
    """A row group: its rows begin with row `first` of its file and row `place` of all files."""

    file: Path
    description: Any
    number: int
    rows: int
    first: int
    place: int

    def pieces(self, columns: Sequence[str]) -> Iterator[tuple[int, Tensor]]:
        """(row number among all files, rows (n, columns) as float64), one piece after another."""
        at = 0
        with opened(self.file, metadata=self.description, buffer_size=_CACHE, pre_buffer=False) as file:
            for batch in file.iter_batches(_PIECE, row_groups=[self.number], columns=list(columns), use_threads=False):
                frame = batch.to_pandas()[list(columns)]
                yield self.place + at, matrix(frame, f"'{self.file.name}'", first_row=self.first + at)[0]
                at += len(frame)


def _laid_out(
    path: Path, target: str | Sequence[str], inputs: Sequence[str] | None
) -> tuple[list[_Group], list[str], int]:
    """The row groups, the columns to read, inputs before targets, and how many of them are inputs."""
    groups: list[_Group] = []
    columns: list[str] = []
    n_inputs = place = 0
    for file in parquet_files(path):
        with opened(file, buffer_size=_CACHE, pre_buffer=False) as parquet:
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


def _drawn(count: int, validation: float, test: float, generator: torch.Generator) -> list[np.ndarray]:
    """Row numbers of the rows that are held, for training, validation and test, each in the order of the file."""
    n_val, n_test = (min(HELD, max(1, round(share * count))) if share else 0 for share in (validation, test))
    if n_val + n_test >= count:
        raise DataError(
            f"{count} rows cannot be split into training rows, {n_test} test and {n_val} validation rows "
            f"(test={test}, validation={validation}): bring more rows or set smaller shares."
        )
    sizes = (min(HELD, count - n_val - n_test), n_val, n_test)
    random = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    drawn = random.choice(count, sum(sizes), replace=False)
    return [np.sort(part) for part in np.split(drawn, np.cumsum(sizes)[:-1])]


def _within(numbers: np.ndarray, first: int, count: int) -> slice:
    """Where the numbers first, ..., first + count - 1 are among sorted row numbers."""
    return slice(*np.searchsorted(numbers, [first, first + count]).tolist())


def _without(rows: Tensor, numbers: np.ndarray, first: int) -> Tensor:
    """The rows, of which the first has number `first`, without those of the sorted row numbers."""
    keep = torch.ones(len(rows), dtype=torch.bool)
    keep[numbers[_within(numbers, first, len(rows))] - first] = False
    return rows if bool(keep.all()) else rows[keep]
