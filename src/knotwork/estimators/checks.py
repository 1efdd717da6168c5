"""Whether the settings and the table given to an estimator are usable, and errors that say what to do."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from knotwork.data import table_of
from knotwork.data.arrays import converted
from knotwork.data.preparation import checked_missing
from knotwork.errors import DataError, TrainingError
from knotwork.model import is_whole

if TYPE_CHECKING:
    from knotwork.estimators.base import KANEstimator

OPTIMIZERS = ("auto", "gauss-newton", "adam")


def check_settings(estimator: KANEstimator) -> None:
    """Raises TrainingError for a constructor argument outside its range. `hidden`, `grid` and `k` are checked later."""
    for name in ("max_iter", "batch_size", "n_iter_no_change"):
        value = getattr(estimator, name)
        if not is_whole(value) or value < 1:
            raise TrainingError(f"{name}={value!r} is not possible: it must be a whole number of at least 1.")
    for name in ("alpha", "tol", "learning_rate"):
        value = getattr(estimator, name)
        if not (isinstance(value, Real) and 0 < float(value) < float("inf")) and (name, value) != ("alpha", "auto"):
            wanted = "'auto' or a positive number" if name == "alpha" else "a positive number"
            raise TrainingError(f"{name}={value!r} is not possible: it must be {wanted}.")
    checked_missing(estimator.missing)
    size = estimator.validation_size
    share = isinstance(size, Real) and 0 < float(size) < 1
    if not share and not (is_whole(size) and size >= 1):
        raise TrainingError(
            f"validation_size={size!r} is not possible: give a number of rows (an int of 1 or more) or a share of "
            "the rows (a float between 0 and 1)."
        )
    if estimator.optimizer not in OPTIMIZERS:
        raise TrainingError(
            f"optimizer={estimator.optimizer!r} is not known; choose one of {', '.join(map(repr, OPTIMIZERS))}."
        )


def numeric(values: Any, what: str) -> tuple[Any, DataError | None]:
    """A table as scikit-learn's own checks take it: float64, with the names of its columns; or why it holds no numbers.

    What holds no numbers, and sparse matrices, come back as they are: scikit-learn says what it has against them.
    """
    if hasattr(values, "toarray") and hasattr(values, "nnz"):
        return values, None
    try:
        table, names = table_of(values, what)
    except DataError as error:
        return values, error
    if names is None or table.ndim != 2:
        return table.numpy(), None
    from pandas import DataFrame

    return DataFrame(table.numpy(), columns=list(getattr(converted(values), "columns", names))), None


def labels(y: Any) -> Any:
    """Labels as scikit-learn takes them: a tensor as an array, anything else as it is."""
    if not isinstance(y, Tensor):
        return y
    y = y.detach().cpu().resolve_neg()
    return (y.double() if y.is_floating_point() else y).numpy()


def refused(X: Any, error: Exception, why: DataError | None) -> Exception:
    """What to raise where scikit-learn's checks raise `error`: that error, or `why` X holds no numbers.

    scikit-learn prescribes its own errors for arrays of complex numbers and of objects.
    """
    named = why is not None and any(kind in str(why) for kind in ("text", "dates", "durations", "Column"))
    if why is None or (isinstance(X, np.ndarray) and not named):
        return error
    encoded = "make_column_transformer((OneHotEncoder(), columns), remainder='passthrough')"
    return DataError(f"{why} In a pipeline: {encoded}.") if "indicators" in str(why) else why
