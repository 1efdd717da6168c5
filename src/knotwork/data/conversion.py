"""Conversion of what a user passes as data to a Dataset or a Stream."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor

from knotwork.data.column_names import listed
from knotwork.data.dataset import PYKAN_KEYS, Dataset
from knotwork.data.matrix import inputs_of
from knotwork.data.stream import Stream, stream_batches
from knotwork.errors import DataError
from knotwork.keywords import check_keywords


@check_keywords
def as_dataset(
    data: Any,
    *,
    test_size: float = 0,
    validation_size: float = 0.2,
    names: Sequence[str] | None = None,
    target_names: Sequence[str] | str | None = None,
    seed: int = 0,
) -> Dataset:
    """A Dataset from any data that `fit` accepts. A Dataset is returned unchanged.

    Args:
        data: A Dataset, a pair (X, y), pykan's dict of four arrays, or a stream, loader or list of batches (x, y), of
            which the sample in memory is taken (at most 10,000 training rows).
        test_size: Test rows of a pair: an int counts rows, a float is a share. Default none, so that every row is used.
        validation_size: Validation rows of a pair or a dict: an int counts rows, a float is a share.
        names: Input names of a pair or a dict.
        target_names: Target names of a pair or a dict.
        seed: Seed of the split.

    Raises:
        DataError: `data` is none of these.

    Example:
        >>> import numpy as np, knotwork as kw
        >>> X = np.linspace(0, 1, 50)[:, None]
        >>> kw.as_dataset((X, X[:, 0] ** 2)).rows()
        Rows(train=40, validation=10, test=0)
    """
    options = {"validation_size": validation_size, "names": names, "target_names": target_names, "seed": seed}
    data = dataset_or_stream(data, test_size=test_size, **options)
    return data.sample if isinstance(data, Stream) else data


def dataset_or_stream(data: Any, *, test_size: float = 0, **options: Any) -> Dataset | Stream:
    """As `as_dataset`, except that a stream or a loader of batches gives a Stream."""
    if isinstance(data, (Dataset, Stream)):
        return data
    if isinstance(data, Mapping):
        return Dataset.from_dict(data, **options)
    if is_pair(data):
        return Dataset.from_arrays(*data, test_size=test_size, **options)
    listed_rows = isinstance(data, (tuple, list, str, bytes)) or hasattr(data, "shape") or hasattr(data, "columns")
    if _are_batches(data) or (isinstance(data, Iterable) and not listed_rows):
        return stream_batches(data)
    raise DataError(
        f"data has type {type(data).__name__}, but a Dataset, a pair (X, y), a torch DataLoader, or a dict with the "
        f"keys {listed(PYKAN_KEYS)} is needed: see knotwork.Dataset.from_arrays and knotwork.stream_batches."
    )


def input_rows(data: Any, columns: int, taker: str) -> tuple[Tensor, Dataset | None]:
    """The rows of inputs in any data that `fit` accepts (its training rows) or in inputs X alone; the data, if any."""
    alone = isinstance(data, Mapping) and not set(PYKAN_KEYS) & data.keys()
    alone = alone or hasattr(data, "shape") or hasattr(data, "columns")
    alone = alone or (isinstance(data, list) and not _are_batches(data) and _axes(data) == 2)
    if alone:
        return inputs_of(data, columns, taker), None
    data = as_dataset(data)
    return data.X_train, data


def is_pair(data: Any) -> bool:
    """Whether data is a pair (X, y), and not a list of two batches."""
    return isinstance(data, (tuple, list)) and len(data) == 2 and not _are_batches(data)


def _are_batches(data: Any) -> bool:
    """Whether data is a list of batches (x, y). The x of a batch has rows and columns; an entry of X is one row."""
    pairs = isinstance(data, (tuple, list)) and len(data) > 0
    return pairs and all(isinstance(one, (tuple, list)) and len(one) == 2 and _axes(one[0]) > 1 for one in data)


def _axes(values: Any) -> int:
    """The number of axes of an array, table or nested list; 0 for anything else."""
    if hasattr(values, "columns") or getattr(getattr(values, "dtype", None), "names", None):
        return 2
    if isinstance(values, (tuple, list)):
        return 1 + (_axes(values[0]) if values else 0)
    return getattr(values, "ndim", 0)
