"""Weights of rows in a fit."""

import torch
from torch import Tensor

from knotwork.data import Batch, Dataset, Stream, dataset_or_stream, is_pair, seeded, table_of
from knotwork.data.matrix import check_same_order, matrix
from knotwork.data.row_selection import rows_taken
from knotwork.data.splitting import equal_rows, split_rows
from knotwork.errors import TrainingError


def weighed(data: object, sample_weight: object) -> tuple[Dataset | Stream, tuple[Tensor, Tensor] | None]:
    """The data without rows of weight zero, and the weights of training and validation rows; None if all are equal.

    Without `sample_weight`, the weights are those of the errors of a `Dataset` that has some.

    For a Dataset `sample_weight` holds the weights of the training rows, for a pair (X, y) those of all rows.
    Raises DataError for what holds no numbers, and TrainingError for anything but one finite number from 0 on for each
    row.
    """
    rows = dataset_or_stream(data)
    if sample_weight is None:
        errors = rows.errors if isinstance(rows, Dataset) else None
        return rows, None if errors is None else errors.weights[:2]
    pair = is_pair(data)
    if isinstance(rows, Stream) or not (pair or isinstance(data, Dataset)):
        raise TrainingError(
            "sample_weight= weighs the training rows of a Dataset or the rows of a pair (X, y), but data has type "
            f"{type(data).__name__}; make it a knotwork.Dataset first."
        )
    train = torch.arange(len(rows.X_train), device="cpu")
    validation = train[:0]
    if pair:
        check_same_order(data[0], sample_weight, ("X", "sample_weight"))  # type: ignore[index]
        train, validation = _places(*data)  # type: ignore[misc]
    weights = _checked(sample_weight, len(train) + len(validation), pair)
    of_train = weights[train]
    of_validation = weights[validation] if pair else torch.ones(len(rows.X_val), dtype=weights.dtype, device="cpu")
    if not bool((of_train > 0).any()):
        raise TrainingError("sample_weight is zero for every training row: give one row at least a positive weight.")
    counted, judged = of_train > 0, of_validation > 0
    kept = rows_taken(rows, counted, judged, slice(None))
    return kept, (of_train[counted], of_validation[judged])


def with_weights(rows: Batch, weights: Tensor | None = None) -> Batch:
    """Rows (x, y) with one more column of targets: the weights (n,) divided by their mean, or ones."""
    x, y = rows
    weights = y.new_ones(len(y)) if weights is None else weights.to(y)
    return x, torch.cat([y, (weights / weights.mean()).unsqueeze(1)], 1)


def weighs_pair(data: object, sample_weight: object) -> bool:
    """Whether the weights are those of all rows of a pair (X, y), which every fit then has to split itself."""
    return sample_weight is not None and is_pair(data)


def _places(X: object, y: object) -> tuple[Tensor, Tensor]:
    """The numbers of the rows of a pair that train and of those that validate, as `dataset_or_stream` splits them."""
    equal = equal_rows(matrix(X, "X")[0], matrix(y, "y")[0])
    return split_rows(len(equal), 0, 0.2, seeded(0), equal)[:2]


def _checked(sample_weight: object, rows: int, of_all: bool) -> Tensor:
    weights = table_of(sample_weight, "sample_weight")[0]  # in words, also for a data frame
    which = "rows" if of_all else "training rows"
    if weights.shape != (rows,):
        raise TrainingError(f"sample_weight has shape {tuple(weights.shape)}, but the data has {rows} {which}: (N,).")
    if not bool((weights.isfinite() & (weights >= 0)).all()):
        raise TrainingError("sample_weight holds numbers below zero, NaN or infinity: say how often each row counts.")
    return weights
