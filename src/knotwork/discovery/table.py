"""The table, as the journey uses it: a dataset of one target, its units, and its columns."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from knotwork.data import Dataset, as_dataset
from knotwork.data.arrays import table_of
from knotwork.data.column_names import check_units
from knotwork.data.matrix import check_same_order
from knotwork.data.row_selection import rows_taken
from knotwork.data.row_split import RowSplit
from knotwork.data.splitting import equal_rows
from knotwork.discovery.errors_of_rows import with_errors
from knotwork.discovery.few_rows import all_in_training, rows_together
from knotwork.discovery.settings import DISCOVERY
from knotwork.errors import DataError, warn
from knotwork.formulas.constants import Sample
from knotwork.formulas.dimensions import Dimensions


def table(
    X: Any,
    y: Any,
    names: Sequence[str] | None,
    units: Mapping[str, str] | Literal[False] | None,
    seed: int,
    sigma: Any = None,
    sample_weight: Any = None,
    split: RowSplit | None = None,
) -> Dataset:
    """The dataset of the arguments of `discover`, with at most 10,000 training rows; DataError for unusable ones.

    Of arrays, a fifth become test rows, unless there are few; of few rows none become validation rows.
    """
    for what, errors in (("sigma", sigma), ("sample_weight", sample_weight)):
        if y is not None and not isinstance(errors, str):
            check_same_order(X, errors, ("X", what))
    if y is None and names is not None:
        raise DataError("names= was given without y=: pass X and y, or a Dataset, which has names of its own.")
    if y is None:
        data = as_dataset(X)
    else:
        few = len(table_of(y, "y")[0]) < DISCOVERY.few_rows_below
        shares: dict[str, Any] = {"test_size": 0, "validation_size": 0} if few else {}
        data = Dataset.from_arrays(X, y, names=names, seed=seed, split=split, **shares)
    if units is not None and units is not False:
        check_units(units, (*data.input_names, *data.target_names))
        data = replace(data, units={**data.units, **units})
    if data.n_outputs != 1:
        raise DataError(f"discover() explains one target, but got {data.n_outputs}: pass one column of y at a time.")
    return first_rows(all_in_training(with_errors(data, sigma, sample_weight)), DISCOVERY.most_rows)


def copies(data: Dataset) -> int:
    """Number of rows that are copies of another row."""
    X, y = torch.cat([data.X_train, data.X_val, data.X_test]), torch.cat([data.y_train, data.y_val, data.y_test])
    return len(X) - int(equal_rows(X, y).max()) - 1


def first_rows(data: Dataset, most: int) -> Dataset:
    """The data with at most this number of training rows, which are in random order."""
    if len(data.X_train) <= most:
        return data
    return rows_taken(data, slice(most), slice(None), slice(None))


def dimensions_of(data: Dataset, given: bool) -> Dimensions | None:
    """The dimensions of the columns; None where a unit is missing or unknown, with a warning if units were `given`."""
    if not given and not all(name in data.units for name in (*data.input_names, *data.target_names)):
        return None
    try:
        return Dimensions.of(data)
    except DataError as error:
        warn(f"{error} The search goes on without units.")
        return None


def decades(y: Tensor) -> float:
    """Decades that targets of one sign run over, without the 2 % smallest and largest; 0 for those of both signs."""
    if not (bool((y > 0).all()) or bool((y < 0).all())):
        return 0.0
    low, high = y.double().abs().log10().quantile(torch.tensor([0.02, 0.98], dtype=torch.float64)).tolist()
    return high - low


def relative_errors(data: Dataset, loss: str) -> bool:
    """Whether errors are relative: asked for, or chosen as the targets run over decades; DataError for targets of 0."""
    y = torch.cat([data.y_train, data.y_val])  # test rows are only reported
    known = data.errors is not None and data.errors.deviation is not None
    if known and loss == "relative":
        raise DataError("sigma= says how large the errors are, and loss='relative' that they are shares: pass one.")
    if loss == "relative" and bool((y == 0).any()):
        raise DataError(
            f"loss='relative' divides errors by the target, but {int((y == 0).sum())} values of "
            f"{data.target_names[0]} are 0: drop these rows, or pass loss='mse'."
        )
    return loss == "relative" or (loss == "auto" and not known and decades(y) >= DISCOVERY.decades_of_target)


def sample_of(data: Dataset, relative: bool = False) -> Sample:
    """Training and validation rows of every input, in the columns' own units, and the target."""
    rows, y = torch.cat([data.X_train, data.X_val]), torch.cat([data.y_train, data.y_val])[:, 0].double()
    rows = (rows if data.scaling is None else data.scaling.undo(rows)).double()
    columns, errors = dict(zip(data.input_names, rows.unbind(1), strict=True)), data.errors
    sample = Sample(columns, y, relative, together=rows_together(data))
    if errors is None:
        return sample
    own = {"weights": errors.fitted.double(), "deviation": errors.deviation, "shares": errors.fitted_shares}
    return replace(sample, **own)


def separated(
    sample: Sample, importance: Mapping[str, float], required: Sequence[str] = ()
) -> tuple[Sample, list[Tensor]]:
    """The sample of the inputs that matter or are `required`, and the columns of the negligible ones."""
    least = least_importance(importance)
    kept = {name: column for name, column in sample.columns.items() if importance[name] >= least or name in required}
    return replace(sample, columns=kept), [column for name, column in sample.columns.items() if name not in kept]


def least_importance(importance: Mapping[str, float]) -> float:
    """The importance below which an input is negligible."""
    return DISCOVERY.negligible_importance * max(importance.values())


def rms(data: Dataset) -> float:
    """Root mean square of the training targets about their mean: the scale of errors."""
    y, weights = data.y_train, None if data.errors is None else data.errors.weights[0][:, None]
    if weights is None:
        return float((y - y.mean(0)).square().mean().sqrt())
    mean = (weights * y).sum(0) / weights.sum()
    return float((weights * (y - mean).square()).mean().sqrt())
