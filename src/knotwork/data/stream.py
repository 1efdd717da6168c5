"""Training rows that come in batches: `Stream`, and the stream of a torch DataLoader."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from knotwork.data.assembly import assemble
from knotwork.data.column_names import resolved_names
from knotwork.data.dataset import Dataset
from knotwork.data.matrix import matrix
from knotwork.data.settings import DATA
from knotwork.errors import DataError
from knotwork.keywords import check_keywords

Batch = tuple[Tensor, Tensor]


@check_keywords
@dataclass(frozen=True, eq=False, repr=False)
class Stream:
    """Training rows that come in batches, with a sample of them in memory.

    Made by `stream_parquet` and `stream_batches`.

    Attributes:
        sample: A Dataset of at most 10,000 training rows, and of the validation and test rows, which no batch holds.
            Grids and scaling are computed from it, and training errors are reported on it. Functions that need a
            Dataset use the sample.
        epoch: `epoch(size, seed)` gives each training row once, in batches of x (size, in) and y (size, out) in the
            units of the sample.
        rows: The number of training rows; None where it is not known.
        sized: False where the batches keep the size that their loader gives them.

    Example:
        >>> import torch, knotwork as kw
        >>> x = torch.linspace(0, 1, 100)[:, None]
        >>> stream = kw.stream_batches([(x[:50], x[:50] ** 2), (x[50:], x[50:] ** 2)])
        >>> result = kw.KAN([1, 1], seed=0).fit(stream, steps=10, progress=False)
        >>> result.optimizer
        'adam'
    """

    sample: Dataset
    epoch: Callable[[int, int], Iterator[Batch]] = field(repr=False)
    rows: int | None = None
    sized: bool = True

    def batches(self, size: int, generator: torch.Generator) -> Iterator[Batch]:
        """Batches without end, epoch after epoch.

        Args:
            size: Rows of a batch; not used where the loader sets the size.
            generator: Draws the seed of each epoch.

        Raises:
            DataError: An epoch gives no batch.
        """
        while True:
            batch = None
            for batch in self.epoch(size, int(torch.randint(2**62, (), generator=generator, device="cpu"))):
                yield batch
            if batch is None:
                raise DataError("The loader gave no batches in a later pass: pass one that can be iterated again.")

    def __repr__(self) -> str:
        rows = "training rows" if self.rows is None else f"{self.rows:,} training rows"
        return f"Stream({rows} in batches, in memory: {self.sample!r})"


@check_keywords
def stream_batches(
    batches: Iterable[Any],
    validation: Iterable[Any] | None = None,
    *,
    names: Sequence[str] | None = None,
    target_names: Sequence[str] | str | None = None,
) -> Stream:
    """A stream of the batches of a torch DataLoader, or of any iterable of pairs (x, y) that can be iterated again.

    Args:
        batches: Gives pairs of inputs x (rows, in) and targets y (rows, out) or (rows,). Its first 10,000 rows are kept
            in memory as the sample, so a loader of sorted rows should shuffle.
        validation: Gives pairs of the same form; their first 10,000 rows are the validation rows. Default: none.
        names: Names of the inputs. Default x_1, x_2, ...
        target_names: Names of the targets. Default y.

    Raises:
        DataError: `batches` is an iterator, which ends after one pass, or a batch is no pair of finite numbers.

    Example:
        >>> import torch, knotwork as kw
        >>> x = torch.linspace(0, 1, 100)[:, None]
        >>> kw.stream_batches([(x[:50], x[:50] ** 2), (x[50:], x[50:] ** 2)]).sample.rows()
        Rows(train=100, validation=0, test=0)
    """
    if isinstance(batches, Iterator) or not isinstance(batches, Iterable):
        kind = (
            f"A {type(batches).__name__} {'ends after one pass' if isinstance(batches, Iterator) else 'has no batches'}"
        )
        raise DataError(
            f"{kind}: pass a torch DataLoader, a list of batches, or anything else that can be iterated again."
        )
    X, y = _first_rows(batches, "batches")
    X_val, y_val = (X[:0], y[:0]) if validation is None else _first_rows(validation, "validation")
    if (X_val.shape[1], y_val.shape[1]) != (X.shape[1], y.shape[1]):
        raise DataError(
            f"Batches for validation have {X_val.shape[1]} inputs and {y_val.shape[1]} targets, but those for training "
            f"{X.shape[1]} and {y.shape[1]}."
        )
    names, target_names, units = resolved_names(names, target_names, X.shape[1], y.shape[1])
    parts = (X, y, X_val, y_val, X[:0], y[:0])
    sample = assemble(parts, names, target_names, scale=False, dtype=torch.float64, title="", units=units)
    return Stream(sample, lambda size, seed: map(_pair, batches), sized=False)


def shuffled(chunks: Iterable[Tensor], size: int, buffer: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Batches of `size` rows (the last may be smaller) in random order, through a buffer of about `buffer` rows.

    Whenever the buffer is full, half of its rows are drawn at random and returned.
    """
    waiting, rows = [], 0
    for chunk in chunks:
        waiting.append(chunk)
        rows += len(chunk)
        out = rows // 2 // size * size
        if rows >= buffer and out:
            pool = _permuted(waiting, generator)
            yield from pool[:out].split(size)
            waiting, rows = [pool[out:]], rows - out
    if rows:
        yield from _permuted(waiting, generator).split(size)


def _permuted(chunks: list[Tensor], generator: torch.Generator) -> Tensor:
    pool = torch.cat(chunks)
    return pool[torch.randperm(len(pool), generator=generator, device="cpu")]


def _first_rows(batches: Iterable[Any], what: str) -> Batch:
    """The first rows of the batches, at most `DATA.rows_held`."""
    kept: list[Batch] = []
    rows = 0
    for batch in batches:
        kept.append(_pair(batch))
        rows += len(kept[-1][0])
        if rows >= DATA.rows_held:
            break
    if not kept:
        raise DataError(f"There are no batches in {what}=: at least one is needed.")
    widths = {(x.shape[1], y.shape[1]) for x, y in kept}
    if len(widths) > 1:
        raise DataError(f"Batches differ in their numbers of inputs and targets: {sorted(widths)}.")
    x, y = (torch.cat(part)[: DATA.rows_held] for part in zip(*kept, strict=True))
    return x, y


def _pair(batch: Any) -> Batch:
    """A batch as float64 of shape (rows, in) and (rows, out)."""
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        what = f"{len(batch)} parts" if isinstance(batch, (tuple, list)) else f"type {type(batch).__name__}"
        raise DataError(f"A batch has {what}, but a pair (x, y) of inputs and targets is needed.")
    x, y = (matrix(part, f"{name} of a batch")[0] for part, name in zip(batch, "xy", strict=True))
    if len(x) != len(y):
        raise DataError(f"A batch has {len(x)} rows of inputs and {len(y)} of targets: every row needs its target.")
    return x, y
