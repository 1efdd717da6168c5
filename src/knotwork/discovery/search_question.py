"""Searches in files: what a search is asked, so that a file is not gone on from with another search."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from knotwork.data import Dataset
from knotwork.data.arrays import columns_by_name, converted
from knotwork.discovery.prepared_arguments import Arguments
from knotwork.discovery.task import Asked
from knotwork.journal import digest_of
from knotwork.journal.fingerprints import Fingerprints, without_addresses

LIMITS = "required", "max_complexity", "constant_range", "exponent_range", "nested", "monotone", "positive"
"""The names of the arguments of `Limits.of`, in its order."""


def question(came: Arguments, asked: Asked, names: Any, shared: Iterable[str] | None, missing: str) -> dict[str, str]:
    """All that the result of a search depends on but its budget of time, each part as a text by its name."""
    X, y, groups, _, sigma, sample_weight = came.values
    found = {"the calculation": "discover", "data": _data(X, y)}
    for name, values in (("groups", groups), ("sigma", sigma), ("sample_weight", sample_weight)):
        found[name] = "not given" if values is None else _digest(values)
    found["split"] = "random" if came.split is None else f"{came.split.words} ({_digest(came.split.codes)})"
    settings: dict[str, Any] = {**vars(asked), **dict(zip(LIMITS, asked.limited, strict=True))}
    settings |= {"start": _start(asked.start), "names": names, "shared": shared, "missing": missing}
    settings.pop("limited")
    return {**found, **{name: without_addresses(repr(value)) for name, value in settings.items()}}


def _start(start: Any) -> Any:
    """A formula to go on from, or an earlier discovery, by its expressions."""
    if hasattr(start, "front"):
        return [str(entry.expression) for entry in start.front]
    return start if start is None or isinstance(start, str) else [str(one) for one in getattr(start, "expressions", [])]


def _data(X: Any, y: Any) -> str:
    """What a table is: numbers of rows, names, and a digest of all numbers."""
    if isinstance(X, Dataset):
        train, validation, test = X.rows()
        counts = f"{train} training, {validation} validation and {test} test rows"
        names = f"{', '.join(X.input_names)} -> {', '.join(X.target_names)}"
        tensors = [X.X_train, X.y_train, X.X_val, X.y_val, X.X_test, X.y_test]
        beside = repr((X.ranges, sorted(X.units.items()))), None if X.errors is None else list(X.errors.weights)
        return f"{counts} of {names} (SHA-256 {digest_of([*tensors, *beside])[:16]})"
    named = columns_by_name(X, "X")
    names = "" if named is None else f" of {', '.join(map(str, named))}"
    rows = len(X) if hasattr(X, "__len__") else "unknown"
    return f"{rows} rows{names} (SHA-256 {_digest([X, y])})"


def _digest(values: Any) -> str:
    """A short digest of arrays, tables, numbers and texts; what has none is told when it is used."""
    try:
        return Fingerprints().of(_plain(values))[:16]
    except (TypeError, ValueError):
        return f"unknown ({type(values).__name__})"


def _plain(values: Any) -> Any:
    if values is None or isinstance(values, (str, int, float)):
        return values
    if isinstance(values, list) and values and not isinstance(values[0], (int, float, str)):
        return [_plain(one) for one in values]
    named = columns_by_name(values, "X")
    if named is not None:
        return {str(name): _plain(np.asarray(converted(column))) for name, column in named.items()}
    dense: Any = getattr(values, "toarray", lambda: converted(values))
    array = np.asarray(dense())
    return [repr(one) for one in array.reshape(-1).tolist()] if array.dtype.kind in "OMm" else array
