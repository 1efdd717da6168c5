"""KANRegressor: numbers predicted by a smooth KAN, with scikit-learn's manners."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.utils import check_array
from torch import Tensor

from knotwork.data.column_names import default_target
from knotwork.errors import DataError
from knotwork.estimators.base import KANEstimator
from knotwork.estimators.rows import Rows
from knotwork.formulas import Formula
from knotwork.training.likelihood import Normal

ROUNDING = 1e-14  # of the largest target: below it, targets are constant

if TYPE_CHECKING:
    from typing_extensions import Self


class KANRegressor(RegressorMixin, MultiOutputMixin, KANEstimator):
    """A smooth KAN for one target or several: least squares, with a price on slopes and curvatures of its edges.

    `hidden` is the number of hidden nodes, or a list for several layers, () for a sum of one curve an input; "auto" is
    5, or 64 where the table is too large for second-order steps. `grid` is the number of intervals of every edge's
    spline and `k` its order. `alpha` is the weight of roughness, and "auto" learns one for each layer from the same
    rows (evidence, as in Bayesian neural networks), without holding any out. `optimizer` is "gauss-newton" (`max_iter`
    steps at most, until the outputs move by less than `tol` of the noise), "adam" (`max_iter` epochs in batches of
    `batch_size`, with a `learning_rate` that falls to zero; alpha "auto" is 1), or "auto", by the size of the table.
    With `early_stopping`, `validation_size` rows (an int counts rows, a float is a share)
    are held out, the fit ends after `n_iter_no_change` steps
    without gain, and the best state is kept.

    After `fit`: `model_` is the `knotwork.KAN`, from raw columns to targets in their own units; `feature_importances_`
    sum to one (to zero if no column moves anything), by how far predictions move when a column is drawn anew;
    `fit_result_` has losses per row in its history (of standardised targets); `formula_`; `n_iter_`, `n_features_in_`
    and, for data frames, `feature_names_in_`.
    `rows_` is a `knotwork.Dataset` of at most 1,000 of the training rows, drawn at random, which `plot`, `formula_`,
    `partial_dependence` and `report` look at; `model_` holds none. Raises DataError, TrainingError or SpecError, all
    ValueErrors.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to X (n, in) and y (n,) or (n, targets); a row of weight 2 counts as two rows, of weight 0 as none."""
        table = y
        X, y, weights = self._checked(X, y, sample_weight, multi_output=True, y_numeric=True)
        if y.dtype.kind not in "iufb":
            raise DataError(
                f"y holds {y.dtype} values, but a regressor predicts numbers: labels are for KANClassifier."
            )
        self._flat = y.ndim == 1
        x, targets, weights = (torch.tensor(v, dtype=torch.float64) for v in (X, y.reshape(len(X), -1), weights))
        unit = targets.abs().amax(0).clamp_min(1e-300)  # squares of very large and very small numbers stay finite
        targets, shares = targets / unit, weights / weights.sum()
        center = shares @ targets
        spread = (shares @ (targets - center).square()).sqrt()
        scale = torch.where(spread > ROUNDING, spread, 0.0)  # rounding is no target
        apart = torch.where(scale > 0, (targets - center) / scale, 0.0)
        rows = Rows(x, apart, weights, torch.zeros_like(center), Normal())
        names = _names_of_targets(table, getattr(self, "feature_names_in_", ()), len(unit))
        return self._train(rows, unit * scale, unit * center, names)

    def predict(self, X: Any) -> np.ndarray:
        """Predictions for X (n, in): (n,), or (n, targets) if `y` had two axes."""
        outputs = self._values(self._rows(X))
        return outputs[:, 0] if self._flat else outputs

    def formula(self, X: Any = None, y: Any = None, lib: Iterable[str] | None = None) -> Formula:
        """What the network says as a formula of the columns, a `Formula` with its gap to the network.

        Faint edges are pruned, the others named with functions of `lib`, and all constants fitted together: on the rows
        kept, or on the rows X to `y`, or to the predictions there if `y` is not given. It takes a while: about a second
        for every ten edges.
        """
        data = self._table(X)
        if y is not None:
            if X is None:
                raise DataError("formula() got y without X: pass the rows that y belongs to as well.")
            data = replace(data, y_train=self._as_targets(y))
        return self._read(data, lib)

    def _respond(self, outputs: Tensor) -> Tensor:
        return outputs

    def _as_targets(self, y: Any) -> Tensor:
        y = check_array(y, dtype="float64", ensure_2d=False, input_name="y")
        return torch.tensor(y.reshape(len(y), -1))

    def _page(self) -> dict[str, Any]:
        return {}


def _names_of_targets(y: Any, inputs: Sequence[str], n: int) -> list[object]:
    """Names that a table of pandas brings, else y, or y_1, y_2, ..., which no input is called."""
    named = [name for name in getattr(y, "columns", [getattr(y, "name", None)]) if isinstance(name, str)]
    if len(named) == n:
        return list(named)
    stem = default_target(inputs)
    return [stem] if n == 1 else [f"{stem}_{i + 1}" for i in range(n)]
