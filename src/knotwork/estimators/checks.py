"""Whether the settings and the table given to an estimator are usable, and errors that say what to do."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

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


def not_numbers(X: Any, error: Exception) -> Exception:
    """scikit-learn's error, or for columns of text or dates one that says what to do with them."""
    if not any(hint in str(error) for hint in ("could not convert string to float", "DateTime64DType")):
        return error
    dtypes = getattr(X, "dtypes", None)
    columns = [] if dtypes is None else [f"'{name}'" for name, kind in dtypes.items() if kind.kind not in "iufb"]
    where = f" (columns {', '.join(columns[:8])})" if columns else ""
    return DataError(
        f"X holds text or dates{where}, but a KAN takes numbers: encode them first, for example with "
        "make_column_transformer((OneHotEncoder(), columns), remainder='passthrough') in a pipeline."
    )
