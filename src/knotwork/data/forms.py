"""Whatever comes as data, as a Dataset or a Stream."""

from collections.abc import Iterable, Mapping
from typing import Any

from knotwork.data.dataset import PYKAN_KEYS, Dataset
from knotwork.data.names import listed
from knotwork.data.stream import Stream, stream_batches
from knotwork.errors import DataError


def as_dataset(data: Any, seed: int = 0, **options: Any) -> Dataset:
    """A Dataset as it is, or one made from pykan's dict or a pair (X, y); of a stream or a loader, the rows held.

    Of a pair every row is used: a fifth validates, the others train, none is set aside for a test unless the options
    of `Dataset.from_arrays` say so. Raises DataError for anything else.
    """
    data = as_data(data, seed, **options)
    return data.sample if isinstance(data, Stream) else data


def as_data(data: Any, seed: int = 0, **options: Any) -> Dataset | Stream:
    """The same, but a stream as it is, and a loader (a torch DataLoader, say) as a stream of its batches."""
    if isinstance(data, (Dataset, Stream)):
        return data
    if isinstance(data, Mapping):
        return Dataset.from_dict(data, seed=seed, **options)
    if isinstance(data, (tuple, list)) and len(data) == 2:
        return Dataset.from_arrays(*data, **{"test": 0.0, "seed": seed, **options})
    if isinstance(data, Iterable) and not isinstance(data, (tuple, list, str, bytes)) and not hasattr(data, "shape"):
        return stream_batches(data)
    raise DataError(
        f"data has type {type(data).__name__}, but a Dataset, a pair (X, y), a torch DataLoader, or a dict with the "
        f"keys {listed(PYKAN_KEYS)} is needed: see knotwork.Dataset.from_arrays and knotwork.stream_batches."
    )
