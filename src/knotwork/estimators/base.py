"""What KANRegressor and KANClassifier share: settings, the fit, and what can be read off the fitted network."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, count
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from torch import Tensor

from knotwork.data import Dataset
from knotwork.data.column_names import split_units
from knotwork.errors import DataError, TrainingError
from knotwork.estimators.adam import adam
from knotwork.estimators.gauss_newton import gauss_newton
from knotwork.estimators.roughness import Roughness
from knotwork.estimators.rows import Rows
from knotwork.estimators.straight import rescale_outputs, straight
from knotwork.formulas import Formula
from knotwork.kan import KAN
from knotwork.model import Spec, is_whole, parse_width
from knotwork.training import FitResult, Reporter, threads_for
from knotwork.training.objective import Objective
from knotwork.training.watch import Watch

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from typing_extensions import Self

OPTIMIZERS = ("auto", "gauss-newton", "adam")
QUICK = 4e9  # multiplications up to which a Gauss-Newton step is quick
NARROW, WIDE = 5, 64  # hidden nodes for second-order steps, and for mini-batches
AT_ONCE = 16384  # rows that predictions are made for together
MOST_ROWS = 2000  # that importances are estimated on
MEASURED = "How far predictions move, squared and on average, when one column alone is drawn anew from other rows."
COMPARED = 9  # curves of a report that are compared with functions, which takes about a second each
ROUNDED = 1e-10  # of the scale of targets: predictions that move by less stand still
MOST_KEPT = 1000  # training rows that stay with a fitted estimator


class KANEstimator(BaseEstimator, ABC):
    """The manners of scikit-learn around a KAN; subclasses know their targets."""

    model_: KAN
    rows_: Dataset
    n_features_in_: int

    def __init__(
        self,
        hidden: Any = "auto",
        grid: int = 3,
        k: int = 3,
        *,
        alpha: float | str = "auto",
        optimizer: str = "auto",
        max_iter: int = 60,
        tol: float = 1e-2,
        batch_size: int = 200,
        learning_rate: float = 1e-2,
        early_stopping: bool = False,
        validation_size: float = 0.1,
        n_iter_no_change: int = 10,
        random_state: Any = None,
    ) -> None:
        self.hidden = hidden
        self.grid = grid
        self.k = k
        self.alpha = alpha
        self.optimizer = optimizer
        self.max_iter = max_iter
        self.tol = tol
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.early_stopping = early_stopping
        self.validation_size = validation_size
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state

    @abstractmethod
    def _respond(self, outputs: Tensor) -> Tensor:
        """What the network's outputs (n, K) mean, as it is averaged in partial dependence."""

    @abstractmethod
    def _as_targets(self, y: Any) -> Tensor:
        """`y` as targets of the network, (n, K), in the form in which those of `rows_` are kept."""

    @abstractmethod
    def _page(self) -> dict[str, Any]:
        """Options of a report that only one kind of estimator has."""

    # --- fitting ---

    def _checked(self, X: Any, y: Any, sample_weight: Any, **checks: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """X (n, in), y and weights (n,) as arrays, without the rows that weigh nothing."""
        self._check_settings()
        try:
            X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2, **checks)
        except (ValueError, TypeError) as error:
            raise _about_text(X, error) from error
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        kept = weights > 0
        if not kept.any():
            raise DataError("sample_weight is zero for every row: give one row at least a positive weight.")
        return X[kept], y[kept], weights[kept]

    def _check_settings(self) -> None:
        for name in ("max_iter", "batch_size", "n_iter_no_change"):
            value = getattr(self, name)
            if not is_whole(value) or value < 1:
                raise TrainingError(f"{name}={value!r} is not possible: it must be a whole number of at least 1.")
        for name in ("alpha", "tol", "learning_rate"):
            value = getattr(self, name)
            if not (isinstance(value, Real) and 0 < float(value) < float("inf")) and (name, value) != ("alpha", "auto"):
                wanted = "'auto' or a positive number" if name == "alpha" else "a positive number"
                raise TrainingError(f"{name}={value!r} is not possible: it must be {wanted}.")
        size = self.validation_size
        share = isinstance(size, Real) and 0 < float(size) < 1
        if not share and not (is_whole(size) and size >= 1):
            raise TrainingError(
                f"validation_size={size!r} is not possible: give a number of rows (an int of 1 or more) or a share of "
                "the rows (a float between 0 and 1)."
            )
        if self.optimizer not in OPTIMIZERS:
            raise TrainingError(
                f"optimizer={self.optimizer!r} is not known; choose one of {', '.join(map(repr, OPTIMIZERS))}."
            )

    def _train(
        self, rows: Rows, scale: Tensor, center: Tensor, target_names: Sequence[object], classes: Any = None
    ) -> Self:
        """Fit a network to `rows`, whose targets are deviations from `center` in units of `scale`, both (K,).

        The fitted network answers in the targets' own units, and with `center` where `scale` is zero. `classes` (n,)
        are kept in proportion where rows are held out for early stopping.
        """
        began = time.perf_counter()
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        second_order, why, width = self._plan(rows)
        held_out = rows[:0]
        if self.early_stopping:
            places = np.arange(len(rows))
            parts = train_test_split(places, test_size=self.validation_size, random_state=seed, stratify=classes)
            held_out, rows = rows[torch.as_tensor(parts[1])], rows[torch.as_tensor(parts[0])]
        network, generator = straight(width, self.grid, self.k, rows.x, seed), torch.Generator().manual_seed(seed)
        roughness = Roughness(network, 1.0 if self.alpha == "auto" else float(self.alpha))
        watch = _watch(network, rows, held_out, self.n_iter_no_change if self.early_stopping else None, began)
        with threads_for(len(rows) * sum(p.numel() for p in network.parameters())):
            if second_order:
                learning = {"steps": self.max_iter, "tolerance": self.tol, "learn": self.alpha == "auto"}
                steps, reason = gauss_newton(network, rows, roughness, watch, **learning)
            else:
                pace = {"epochs": self.max_iter, "batch_size": self.batch_size, "learning_rate": self.learning_rate}
                steps, reason = adam(network, rows, roughness, watch, **pace, generator=generator)
            if self.early_stopping:
                watch.restore_best()
            with torch.no_grad():
                objective = float(rows.loss(rows.outputs(network))) / rows.total
                rescale_outputs(network, (scale > 0).to(scale), torch.zeros_like(scale))
                effects = self._effects(network, rows, generator)
                rescale_outputs(network, scale, scale * rows.offset + center)
                answers = [self._respond(network(part.x)) for part in (rows, held_out)]
                truths = [part.targets * scale + center for part in (rows, held_out)]
            kept = [part[torch.randperm(len(part), generator=generator)[:MOST_KEPT]] for part in (rows, held_out)]
            tensors = [v for part in kept for v in (part.x, part.targets * scale + center)]
        self.model_, self.n_iter_, self._found, self._n_rows = network, steps, None, len(rows) + len(held_out)
        self.rows_ = self._kept(tensors, target_names)
        self.feature_importances_ = effects / (effects.sum() or 1.0)
        self.fit_result_ = FitResult(
            model=network,
            optimizer="gauss-newton" if second_order else "adam",
            why=why,
            stop_reason=reason,
            objective=objective,
            train_rmse=_rmse(answers[0], truths[0]) or 0.0,
            val_rmse=_rmse(answers[1], truths[1]),
            test_rmse=None,
            steps=steps,
            seconds=time.perf_counter() - began,
            history=tuple(watch.history),
        )
        return self

    def _kept(self, tensors: Sequence[Tensor], target_names: Sequence[object]) -> Dataset:
        """X_train, y_train, X_val and y_val as a Dataset of unique names, with the units that columns bring."""
        n_in = self.n_features_in_
        inputs = list(getattr(self, "feature_names_in_", [f"x_{i + 1}" for i in range(n_in)]))
        names, units = split_units(unique([*inputs, *target_names]))
        x, y, held_x, held_y = tensors
        return Dataset(x, y, held_x, held_y, x[:0], y[:0], names[:n_in], names[n_in:], units=units)

    def _plan(self, rows: Rows) -> tuple[bool, str, list]:
        """Whether to take second-order steps, why, and the width of the network."""
        n_in, n_out = rows.x.shape[1], rows.targets.shape[1]
        auto = isinstance(self.hidden, str) and self.hidden == "auto"
        one, several = is_whole(self.hidden), isinstance(self.hidden, Sequence | np.ndarray)
        if not (auto or one or several):
            raise TrainingError(f"hidden={self.hidden!r} is not known: give 'auto', a number, or one for each layer.")
        hidden: Any = [NARROW] if auto else [self.hidden] if one else list(self.hidden)
        spec = Spec(parse_width([n_in, *hidden, n_out]), self.grid, self.k)
        size = sum(spec.nodes(l) * spec.sums(l + 1) for l in range(spec.depth)) * (spec.grid + spec.k)
        quick = len(rows) * n_out * size**2 + size**3 <= QUICK
        why = f"{len(rows)} rows, {n_out} outputs and {size} parameters are {'few enough' if quick else 'too many'}"
        second_order = self.optimizer == "gauss-newton" or (self.optimizer == "auto" and quick)
        if auto and not second_order:
            hidden = [WIDE]
        why = f"{why} for second-order steps" if self.optimizer == "auto" else "as asked"
        return second_order, why, [n_in, *hidden, n_out]

    def _effects(self, network: KAN, rows: Rows, generator: torch.Generator) -> np.ndarray:
        """How far the responses move, squared and on average, when one column is drawn anew from its rows: (in,).

        Divided by twice the variance that is the total Sobol' index of the column. The shares of attribution scores
        are not used, since what columns give to hidden nodes may cancel on the way to the output.
        """
        rows = rows[torch.randperm(len(rows), generator=generator)[:MOST_ROWS]]
        others = torch.multinomial(rows.weights, len(rows), replacement=True, generator=generator)
        before, effects = self._respond(rows.outputs(network)), []
        for i in range(rows.x.shape[1]):
            x = rows.x.clone()
            x[:, i] = rows.x[others, i]
            moved = self._respond(replace(rows, x=x).outputs(network)) - before
            effects.append(float(rows.weights @ moved.square().sum(1)))
        return np.where(np.array(effects) > ROUNDED**2 * rows.total, effects, 0.0)

    # --- what the fitted network says ---

    def _rows(self, X: Any) -> Tensor:
        """X checked against what was fitted: (n, in)."""
        check_is_fitted(self)
        try:
            return torch.tensor(validate_data(self, X, dtype=np.float64, reset=False))
        except (ValueError, TypeError) as error:
            raise _about_text(X, error) from error

    def _table(self, X: Any) -> Dataset:
        """The rows X with what the network says about them, or the rows that were kept, with their targets."""
        check_is_fitted(self)
        if X is None:
            return self.rows_
        rows = self._rows(X)
        values = torch.tensor(self._values(rows))
        return replace(self.rows_, X_train=rows, y_train=values, X_val=rows[:0], y_val=values[:0])

    @torch.no_grad()
    def _values(self, rows: Tensor) -> np.ndarray:
        """The network's outputs for rows (n, in): (n, K)."""
        return torch.cat([self.model_(part) for part in rows.split(AT_ONCE)]).numpy()

    def plot(self, X: Any = None, beta: float | None = None, **options: Any) -> Figure:
        """The network drawn with its curves over the rows X, or those kept, as one matplotlib Figure.

        Without `beta` it is 3, or more where that would leave all edges of a layer faint. The options are those of
        `knotwork.KAN.plot`.
        """
        from knotwork.outputs.diagram import telling_beta

        rows = self._table(X)
        beta = telling_beta(self.model_.attribute(rows)) if beta is None else beta
        return self.model_.plot(rows, beta, **options)

    @property
    def formula_(self) -> Formula:
        """What the network says as a formula of the columns: that of `formula()`, found when first asked for."""
        check_is_fitted(self)
        if self._found is None:
            self._found = self.formula()
        return self._found

    @abstractmethod
    def formula(self) -> Formula:
        """What the network says as a formula of the columns."""

    def _read(self, data: Dataset, lib: Iterable[str] | None) -> Formula:
        """The formula of the network without its faint edges, with constants fitted to the targets of the data."""
        return self.model_.prune(data).auto_symbolic(data, lib).symbolic_formula(data)

    def report(self, path: str | Path, X: Any = None, y: Any = None, **options: Any) -> Path:
        """Write one HTML page about the fitted network to `path`: accuracy, importance, the network and its curves.

        X and `y` are rows that took no part in the fit, by which it is judged; without them the page judges it on the
        training rows that were kept, and says so. `formula=model.formula_` puts the formula on the page as well; the
        other options are those of `knotwork.outputs.report`, of which `compared=0` makes it quick. Raises DataError for
        a place that cannot be written to, and for X without `y`.
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
        facts = {
            "result": self.fit_result_,
            "importance": dict(zip(data.input_names, self.feature_importances_.tolist(), strict=True)),
            "measured": MEASURED,
            "compared": COMPARED,
            "measure": "loss a row",
            "settings": {
                "Estimator": type(self).__name__,
                "Settings": ", ".join(f"{name}={value!r}" for name, value in settings.items()),
                "Rows of the fit": f"{self._n_rows:,}{kept}",
            },
            "seconds": self.fit_result_.seconds,
        }
        return self.model_.report(path, data, **{**facts, **self._page(), **options})

    @torch.no_grad()
    def partial_dependence(self, feature: int | str, X: Any = None, resolution: int = 100) -> Bunch:
        """Predictions (probabilities) against one feature, averaged over the rows X, or over those kept.

        A Bunch of `grid_values` (resolution,), even over the rows, and `average` (K, resolution). The numbers are those
        of `sklearn.inspection.partial_dependence`, cheaper: the sums of the first layer are computed once for all
        rows, and only the curves of one input change.
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

    def _place(self, feature: int | str) -> int:
        names = list(getattr(self, "feature_names_in_", self.rows_.input_names))
        place = names.index(feature) if feature in names else feature
        if isinstance(place, str) or not is_whole(place) or not 0 <= place < len(names):
            raise DataError(f"there is no feature {feature!r}: give a number from 0 to {len(names) - 1}, or a name.")
        return int(place)


def unique(names: Iterable[object]) -> list[str]:
    """The names as text, numbered where one comes again: a, b, a_2."""
    found: dict[str, None] = {}
    for name in map(str, names):
        copies = (f"{name}_{n}" for n in count(2))
        found[next(copy for copy in chain([name], copies) if copy not in found)] = None
    return list(found)


def _watch(network: KAN, rows: Rows, held_out: Rows, patience: int | None, began: float) -> Watch:
    """What keeps the history of a fit and its best state on the held-out rows; losses are those of a row."""

    def loss(outputs: Tensor, targets_and_weights: Tensor) -> Tensor:
        targets, weights = targets_and_weights[:, :-1], targets_and_weights[:, -1]
        return weights @ rows.likelihood.values(outputs + rows.offset, targets) / weights.sum()

    parts = [(part.x, torch.cat([part.targets, part.weights[:, None]], dim=1)) for part in (rows, held_out)]
    return Watch(network, Objective(loss), parts[0], parts[1], patience, Reporter(), began)


def _rmse(answers: Tensor, truth: Tensor) -> float | None:
    return float((answers - truth).square().mean().sqrt()) if len(truth) else None


def _about_text(X: Any, error: Exception) -> Exception:
    """scikit-learn's complaint, or a sentence on what to do with columns of text or dates."""
    if not any(hint in str(error) for hint in ("could not convert string to float", "DateTime64DType")):
        return error
    dtypes = getattr(X, "dtypes", None)
    columns = [] if dtypes is None else [f"'{name}'" for name, kind in dtypes.items() if kind.kind not in "iufb"]
    where = f" (columns {', '.join(columns[:8])})" if columns else ""
    return DataError(
        f"X holds text or dates{where}, but a KAN takes numbers: encode them first, for example with "
        "make_column_transformer((OneHotEncoder(), columns), remainder='passthrough') in a pipeline."
    )
