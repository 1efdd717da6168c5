"""Weights of rows in a fit."""

import warnings
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from knotwork.data import Batch, Dataset, Stream, dataset_or_stream
from knotwork.errors import KnotworkWarning, TrainingError


def weighed(data: object, sample_weight: object) -> tuple[Dataset | Stream, tuple[Tensor, Tensor] | None]:
    """The data without rows of weight zero, and the weights of training and validation rows; None if all are equal.

    For a Dataset `sample_weight` holds the weights of the training rows, for a pair (X, y) those of all rows.
    Raises TrainingError for anything but one finite number from 0 on for each row.
    """
    rows = dataset_or_stream(data)
    if sample_weight is None:
        return rows, None
    is_pair = isinstance(data, (tuple, list))
    if isinstance(rows, Stream) or not (is_pair or isinstance(data, Dataset)):
        raise TrainingError(
            "sample_weight= weighs the training rows of a Dataset or the rows of a pair (X, y), but data has type "
            f"{type(data).__name__}; make it a knotwork.Dataset first."
        )
    train = torch.arange(len(rows.X_train))
    validation = train[:0]
    if is_pair:
        train, validation = _places(data[0])  # type: ignore[index]
    weights = _checked(sample_weight, len(train) + len(validation), is_pair)
    of_train = weights[train]
    of_validation = weights[validation] if is_pair else torch.ones(len(rows.X_val), dtype=weights.dtype)
    if not bool((of_train > 0).any()):
        raise TrainingError("sample_weight is zero for every training row: give one row at least a positive weight.")
    counted, judged = of_train > 0, of_validation > 0
    kept = {"X_train": rows.X_train[counted], "y_train": rows.y_train[counted]}
    kept |= {"X_val": rows.X_val[judged], "y_val": rows.y_val[judged]}
    return replace(rows, **kept), (of_train[counted], of_validation[judged])


def with_weights(rows: Batch, weights: Tensor | None = None) -> Batch:
    """Rows (x, y) with one more column of targets: the weights (n,) divided by their mean, or ones."""
    x, y = rows
    weights = y.new_ones(len(y)) if weights is None else weights.to(y)
    return x, torch.cat([y, (weights / weights.mean()).unsqueeze(1)], 1)


def _places(X: object) -> tuple[Tensor, Tensor]:
    """The rows of X that train and the rows that validate, for a pair (X, y)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KnotworkWarning)  # the warning of constant columns was given already
        numbered = dataset_or_stream((X, torch.arange(len(X))))  # type: ignore[arg-type]
    assert isinstance(numbered, Dataset)
    return numbered.y_train[:, 0].long(), numbered.y_val[:, 0].long()


def _checked(sample_weight: object, rows: int, is_pair: bool) -> Tensor:
    try:
        values = sample_weight if isinstance(sample_weight, Tensor) else np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TrainingError(f"sample_weight does not hold numbers: {error}") from None
    weights = torch.as_tensor(values).detach().to("cpu", torch.float64)
    which = "rows" if is_pair else "training rows"
    if weights.shape != (rows,):
        raise TrainingError(f"sample_weight has shape {tuple(weights.shape)}, but the data has {rows} {which}: (N,).")
    if not bool((weights.isfinite() & (weights >= 0)).all()):
        raise TrainingError("sample_weight holds numbers below zero, NaN or infinity: say how often each row counts.")
    return weights
