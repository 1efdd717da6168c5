"""KANRegressor: a smooth KAN that predicts numbers, with scikit-learn's estimator API."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import check_array
from torch import Tensor

from knotwork.data import tensor_of
from knotwork.data.column_names import default_target
from knotwork.data.matrix import check_same_order, matrix
from knotwork.errors import DataError
from knotwork.estimators.base import KANEstimator
from knotwork.estimators.checks import numeric
from knotwork.estimators.settings import ESTIMATORS
from knotwork.formulas import Formula
from knotwork.keywords import check_keywords
from knotwork.sizes import power_of_two
from knotwork.training import Callback
from knotwork.training.likelihood import Normal
from knotwork.training.rows import Rows, counted

if TYPE_CHECKING:
    from typing_extensions import Self


@check_keywords
class KANRegressor(RegressorMixin, MultiOutputMixin, KANEstimator):
    """A smooth KAN for one target or several: least squares with a penalty on slopes and curvatures of its edges.

    A grid and a smoothness weight need not be searched: by default the weights are learned from the same rows.

    Args:
        hidden: Hidden nodes: a number, a list with one number for each hidden layer, or () for a sum of one curve for
            each input. "auto" is 5, or 64 where the table is too large for Gauss-Newton steps.
        grid: Number of intervals of the spline of every edge. A coarse grid is the default since the penalty, not the
            grid, should decide how smooth a curve is.
        k: Order of the splines, 0 to 7; 3 is cubic.
        alpha: Weight of the smoothness penalty, relative to the noise variance. "auto" learns weights for each edge by
            maximising the evidence (MacKay 1992), without validation rows; with "adam" it is 1.
        optimizer: "gauss-newton", "adam" (mini-batches), or "auto", which chooses by the size of the table.
        max_iter: Largest number of Gauss-Newton steps or of epochs.
        tol: Gauss-Newton steps end when three steps in a row change the outputs by less than this share of the noise.
        batch_size: Rows of a mini-batch ("adam" only).
        learning_rate: First learning rate, which falls linearly to zero ("adam" only).
        early_stopping: True ends the fit when the validation loss no longer falls, and keeps the best state.
        validation_size: Validation rows with `early_stopping`: an int counts rows, a float is a share.
        n_iter_no_change: Steps or epochs without a lower validation loss after which `early_stopping` ends the fit.
        random_state: Seed of the first network, of splits and of mini-batches, as in scikit-learn.
        missing: Missing values: "fill" puts the median, or the most frequent category, of the rows of the fit in their
            place, in predictions too; "drop" leaves their rows out of the fit, and predictions refuse such rows;
            "error" refuses them.
        split: How `early_stopping` takes validation rows: "random", "time" (the latest ones), or the name of a column,
            such as a patient, whose rows stay together and which is no input: see `knotwork.Dataset.from_arrays`.

    Attributes:
        model_: The fitted `knotwork.KAN`, from columns to targets in their own units. It keeps no rows.
        feature_importances_: Importance of each column, (in,), with sum one (zero if no column has an effect): the mean
            squared change of predictions when the column is drawn anew from other rows.
        fit_result_: A `knotwork.FitResult`; the losses in its history are per row, of standardised targets.
        formula_: The network as a `knotwork.Formula` of the columns, computed at first use.
        rows_: A `knotwork.Dataset` of at most 1,000 training rows, drawn at random, which `plot`, `formula_`,
            `partial_dependence` and `report` use.
        n_iter_: Number of steps or epochs taken.
        n_features_in_: Number of columns.
        feature_names_in_: Names of the columns, where a data frame was given.
        preparation_: The `knotwork.Preparation` of the columns; None for an array of numbers whose gaps are not filled.

    Raises:
        ValueError: From `fit`, as DataError, TrainingError or SpecError.

    Example:
        >>> import numpy as np, knotwork as kw
        >>> X = np.random.default_rng(0).uniform(-1, 1, (200, 2))
        >>> model = kw.KANRegressor(random_state=0).fit(X, np.sin(3 * X[:, 0]) + X[:, 1] ** 2)
        >>> model.score(X, np.sin(3 * X[:, 0]) + X[:, 1] ** 2) > 0.999
        True
    """

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        callback: Callback | None = None,
        progress: bool | None = False,
    ) -> Self:
        """Fit to the table; the estimator itself, as scikit-learn wants it.

        Args:
            X: Inputs (n, in), an array or a data frame. Columns of texts, categories, dates and gaps are prepared; a
                warning says how.
            y: Targets (n,) or (n, targets).
            sample_weight: How often each row counts, (n,): 2 counts as two rows, 0 as none. Default 1. Weights that
                are not whole count together as the effective number of rows, (Σw)² / Σw².
            callback: Receives a `knotwork.Event` when the fit begins and after every step; returning True ends the fit
                there, without a further step.
            progress: True shows a bar, None on a terminal and in notebooks. Default False, since searches and ensembles
                fit many estimators at the same time.

        Raises:
            DataError: The table holds anything but finite numbers, or its rows do not match.
            TrainingError: A constructor argument is not possible.
            SpecError: `hidden`, `grid` and `k` describe no network.
        """
        table = y
        check_same_order(X, y)
        y, why = numeric(y, "y")
        X, y, weights = self._checked(X, y, sample_weight, multi_output=True, y_numeric=True)
        if y.dtype.kind not in "iufb":
            raise DataError(
                f"y holds {y.dtype} values, but a regressor predicts numbers: labels are for KANClassifier."
            )
        if why is not None:
            raise why
        self._flat = y.ndim == 1
        x, targets, weights = (torch.tensor(v, dtype=torch.float64) for v in (X, y.reshape(len(X), -1), weights))
        unit = targets.abs().amax(0).clamp_min(1e-300)  # squares of very large and very small numbers stay finite
        targets, shares = targets / unit, weights / weights.sum()
        center = shares @ targets
        spread = (shares @ (targets - center).square()).sqrt()
        scale = torch.where(spread > ESTIMATORS.constant_target, spread, 0.0)
        apart = torch.where(scale > 0, (targets - center) / scale, 0.0)
        rows = Rows(x, apart, counted(weights), torch.zeros_like(center), Normal())
        names = _names_of_targets(table, getattr(self, "feature_names_in_", ()), len(unit))
        return self._train(rows, unit * scale, unit * center, names, callback=callback, progress=progress)

    def predict(self, X: Any) -> np.ndarray:
        """Predictions for X: (n,), or (n, targets) if `y` had two axes.

        Args:
            X: Inputs (n, in), an array or a data frame with the columns of the fit.

        Raises:
            DataError: X has other columns, or values that are not finite.
        """
        outputs = self._predicted(X)
        return outputs[:, 0] if self._flat else outputs

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """r² of the predictions for X, the mean over targets where there are several.

        Args:
            X: Inputs (n, in), an array or a data frame with the columns of the fit.
            y: Their targets (n,) or (n, targets).
            sample_weight: How often each row counts, (n,). Default 1.
        """
        weights = None if sample_weight is None else tensor_of(sample_weight, "sample_weight").numpy()
        truth = check_array(numeric(y, "y")[0], ensure_2d=False, dtype="float64", input_name="y")
        unit = power_of_two(torch.from_numpy(truth), 0).numpy()[0]  # squares of very large numbers stay finite
        return float(r2_score(truth / unit, self.predict(X) / unit, sample_weight=weights))

    def formula(self, X: Any = None, y: Any = None, lib: Iterable[str] | None = None) -> Formula:
        """The network as a formula of the columns: a `Formula` with its distance from the network (`gap`).

        Negligible edges are pruned, the others get names, and all constants are fitted together. It takes about a
        second for every ten edges.

        Args:
            X: Rows (n, in) on which constants are fitted. Default: those kept in `rows_`.
            y: Their targets. Default: the predictions for X.
            lib: Names of the functions that edges may get. Default: the standard library.

        Raises:
            DataError: y was given without X.
        """
        data = self._table(X)
        if y is not None:
            if X is None:
                raise DataError("formula() got y without X: pass the rows that y belongs to as well.")
            data = replace(data, y_train=self._as_targets(y))
        return self._formula_of(data, lib)

    def _respond(self, outputs: Tensor) -> Tensor:
        return outputs

    def _as_targets(self, y: Any) -> Tensor:
        return matrix(y, "y")[0]

    def _page(self) -> dict[str, Any]:
        return {}


def _names_of_targets(y: Any, inputs: Sequence[str], n: int) -> list[object]:
    """Names of the targets: those of a data frame, else y, or y_1, y_2, ..., distinct from the inputs."""
    named = [name for name in getattr(y, "columns", [getattr(y, "name", None)]) if isinstance(name, str)]
    if len(named) == n:
        return list(named)
    stem = default_target(inputs)
    return [stem] if n == 1 else [f"{stem}_{i + 1}" for i in range(n)]
