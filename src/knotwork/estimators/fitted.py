"""What a fitted estimator shows of its network: figure, formula, report and partial dependence."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import Bunch, check_array
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from knotwork.data import Dataset, Preparation
from knotwork.data.column_names import split_units
from knotwork.errors import DataError
from knotwork.estimators.checks import numeric, refused
from knotwork.estimators.importance import MEASURED
from knotwork.estimators.preparing import framed, place_of
from knotwork.estimators.settings import ESTIMATORS
from knotwork.formulas import Formula
from knotwork.kan import KAN
from knotwork.keywords import check_keywords
from knotwork.model import outputs_of, warn_of_rows_beyond
from knotwork.training import FitResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@check_keywords
class FittedNetwork(BaseEstimator, ABC):
    """The verbs of a fitted estimator that explain its network. Subclasses fit it."""

    model_: KAN
    rows_: Dataset
    fit_result_: FitResult
    feature_importances_: np.ndarray
    n_features_in_: int
    preparation_: Preparation | None
    missing: str
    _of_numbers: bool
    _found: Formula | None
    _n_rows: int

    @abstractmethod
    def _respond(self, outputs: Tensor) -> Tensor:
        """The predictions for the network's outputs (n, K): the outputs themselves, or probabilities."""

    @abstractmethod
    def _as_targets(self, y: Any) -> Tensor:
        """`y` as targets of the network, (n, K), in the form in which those of `rows_` are kept."""

    @abstractmethod
    def _page(self) -> dict[str, Any]:
        """Options of a report that only one kind of estimator has."""

    @abstractmethod
    def formula(self) -> Formula:
        """The network as a formula of the columns."""

    @property
    def formula_(self) -> Formula:
        """The network as a formula of the columns: the result of `formula()`, computed at first use."""
        check_is_fitted(self)
        if self._found is None:
            self._found = self.formula()
        return self._found

    def plot(self, X: Any = None, beta: float | None = None, **options: Any) -> Figure:
        """The network drawn with its curves, as one matplotlib Figure.

        Args:
            X: Rows (n, in) over which the curves are drawn. Default: the rows kept in `rows_`.
            beta: Contrast between strong and weak edges, as in `knotwork.KAN.plot`. Default 3, or more where that would
                leave all edges of a layer nearly invisible.
            **options: Those of `knotwork.KAN.plot`.

        Raises:
            NotFittedError: From scikit-learn, before `fit`.
        """
        from knotwork.outputs.diagram import telling_beta

        rows = self._table(X)
        beta = telling_beta(self.model_.attribute(rows)) if beta is None else beta
        return self.model_.plot(rows, beta, **options)

    def report(self, path: str | Path, X: Any = None, y: Any = None, **options: Any) -> Path:
        """Write one HTML page about the fitted network: accuracy, importance, the network and its curves.

        Args:
            path: The file to write.
            X: Rows that took no part in the fit, (n, in), on which accuracy is computed. Default: the training rows in
                `rows_`; the page says so.
            y: Their targets.
            **options: Those of `knotwork.outputs.report`; `formula=model.formula_` adds the formula, `compared=0`
                skips the comparison of curves with named functions, which takes most of the time.

        Returns:
            The path of the page.

        Raises:
            DataError: The file cannot be written, or only one of X and y was given.
        """
        check_is_fitted(self)
        if (X is None) != (y is None):
            raise DataError("report() needs X and y together, rows that took no part in the fit, or neither.")
        data = self.rows_
        if X is not None:
            data = replace(data, X_test=self._rows(X), y_test=self._as_targets(y))
        settings = {name: value for name, value in self.get_params(deep=False).items() if value is not None}
        n_kept = len(data.X_train) + len(data.X_val)
        kept = "" if self._n_rows == n_kept else f", of which this page shows {n_kept:,} drawn at random"
        notes = "; ".join(self.preparation_.notes) if self.preparation_ is not None else ""
        facts = {
            "result": self.fit_result_,
            "importance": dict(
                zip(unique(split_units(self._came())[0]), self.feature_importances_.tolist(), strict=True)
            ),
            "measured": MEASURED,
            "compared": ESTIMATORS.curves_compared,
            "measure": "loss a row",
            "settings": {
                "Estimator": type(self).__name__,
                "Settings": ", ".join(f"{name}={value!r}" for name, value in settings.items()),
                "Rows of the fit": f"{self._n_rows:,}{kept}",
                **({"The table": notes} if notes else {}),
            },
            "seconds": self.fit_result_.seconds,
        }
        return self.model_.report(path, data, **{**facts, **self._page(), **options})

    @torch.no_grad()
    def partial_dependence(self, feature: int | str, X: Any = None, resolution: int = 100) -> Bunch:
        """Predictions (probabilities) against one feature, averaged over rows.

        The numbers are those of `sklearn.inspection.partial_dependence` at less cost: the sums of the first layer are
        computed once for all rows, and only the curves of one input change.

        Args:
            feature: The column, by name or number; one indicator of a column of categories, by its name.
            X: The rows (n, in) to average over. Default: those kept in `rows_`.
            resolution: Number of values of the feature, at equal distances over its range in the rows.

        Returns:
            A Bunch of `grid_values` (resolution,) and `average` (K, resolution).
        """
        rows = self._table(X).X_train
        i = self._place(feature)
        values = torch.linspace(float(rows[:, i].min()), float(rows[:, i].max()), resolution, dtype=rows.dtype)
        probe = rows[:1].repeat(resolution, 1)
        probe[:, i] = values
        first, *others = self.model_.layers
        rest = first(rows) - first.edges(rows)[:, i]
        averages = []
        for curve in first.edges(probe)[:, i]:
            nodes = self.model_.combine(1, rest + curve)
            for l, layer in enumerate(others, 2):
                nodes = self.model_.combine(l, layer(nodes))
            averages.append(self._respond(nodes).mean(0))
        return Bunch(grid_values=values.numpy(), average=torch.stack(averages, dim=1).numpy())

    def _formula_of(self, data: Dataset, lib: Iterable[str] | None) -> Formula:
        """The formula of the network without negligible edges, with constants fitted to the targets of the data."""
        return self.model_.prune(data).auto_symbolic(data, lib).symbolic_formula(data)

    def _rows(self, X: Any) -> Tensor:
        """X (n, in), checked against the columns of the fit, and prepared as they were."""
        check_is_fitted(self)
        if self.preparation_ is not None and not self._of_numbers:
            X = framed(X)
            validate_data(self, X, skip_check_array=True, reset=False)
            if not hasattr(self, "feature_names_in_") and hasattr(X, "columns"):
                X = X.set_axis(self._came(), axis=1)
            found = self.preparation_.complete(X, f"{type(self).__name__}.predict()")
            return torch.tensor(check_array(found.to_numpy(), estimator=self))
        X, why = numeric(X, "X")
        try:
            gaps = True if self.preparation_ is None else "allow-nan"
            rows = np.asarray(validate_data(self, X, dtype=np.float64, reset=False, ensure_all_finite=gaps))
        except (ValueError, TypeError) as error:
            raise refused(X, error, why) from error
        if why is not None:
            raise why
        return torch.tensor(rows if self.preparation_ is None else self.preparation_.filled(rows))

    def _table(self, X: Any) -> Dataset:
        """The rows X with the network's outputs as targets, or the rows that were kept, with their targets."""
        check_is_fitted(self)
        if X is None:
            return self.rows_
        rows = self._rows(X)
        values = torch.tensor(self._values(rows))
        return replace(self.rows_, X_train=rows, y_train=values, X_val=rows[:0], y_val=values[:0])

    def _predicted(self, X: Any) -> np.ndarray:
        """The network's outputs (n, K) for X, with a warning of rows that lie well beyond those of the fit."""
        rows = self._rows(X)
        warn_of_rows_beyond(self.model_, rows, self._names())
        return self._values(rows)

    def _values(self, rows: Tensor) -> np.ndarray:
        """The network's outputs for rows (n, in): (n, K)."""
        return outputs_of(self.model_, rows).numpy()

    def _names(self) -> Sequence[str]:
        """The names of the network's inputs, with units."""
        return self._came() if self.preparation_ is None else list(self.preparation_.names)

    def _came(self) -> Sequence[str]:
        """The names of the columns of the table."""
        numbered = [f"x_{i + 1}" for i in range(self.n_features_in_)]
        if self.preparation_ is not None:
            numbered = [column.header for column in self.preparation_.columns]
        return list(getattr(self, "feature_names_in_", numbered))

    def _place(self, feature: int | str) -> int:
        return place_of(feature, self.preparation_, self.rows_.input_names, self._came())


def unique(names: Iterable[object]) -> list[str]:
    """The names as text, numbered where one comes again: a, b, a_2."""
    found: dict[str, None] = {}
    for name in map(str, names):
        copies = (f"{name}_{n}" for n in count(2))
        found[next(copy for copy in chain([name], copies) if copy not in found)] = None
    return list(found)
