"""What KANRegressor and KANClassifier share: their constructor arguments and the fit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_X_y, validate_data
from torch import Tensor

from knotwork.data import Dataset, tensor_of
from knotwork.data.column_names import split_units
from knotwork.data.matrix import check_same_order
from knotwork.data.preparation import is_plain
from knotwork.data.prepared_data import tell
from knotwork.data.row_split import RowSplit, split_asked
from knotwork.data.splitting import row_count
from knotwork.errors import DataError
from knotwork.estimators.checks import check_settings, numeric, refused
from knotwork.estimators.fitted import FittedNetwork, unique
from knotwork.estimators.importance import effects
from knotwork.estimators.large_tables import adam
from knotwork.estimators.linear_start import linear_network
from knotwork.estimators.planning import planned
from knotwork.estimators.preparing import framed, places, prepared, whole, with_skipped
from knotwork.estimators.settings import ESTIMATORS
from knotwork.kan import KAN
from knotwork.keywords import check_keywords
from knotwork.sizes import root_mean_square
from knotwork.solvers import Ended
from knotwork.training import Callback, FitResult, Reporter, reporting, threads_for
from knotwork.training.evidence_steps import gauss_newton
from knotwork.training.objective import Objective
from knotwork.training.roughness import Roughness
from knotwork.training.rows import Rows
from knotwork.training.standardization import rescale_outputs
from knotwork.training.watch import Watch

if TYPE_CHECKING:
    from typing_extensions import Self


@check_keywords
class KANEstimator(FittedNetwork):
    """An estimator of scikit-learn around a KAN. Subclasses say how targets become numbers and outputs predictions."""

    _kept_rows: RowSplit | None

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
        missing: str = "fill",
        split: str = "random",
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
        self.missing = missing
        self.split = split

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "fill"
        return tags

    def _checked(self, X: Any, y: Any, sample_weight: Any, **checks: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """X (n, in), prepared, y and weights (n,) as arrays, without rows of weight zero and those left out."""
        check_settings(self)
        check_same_order(X, sample_weight, ("X", "sample_weight"))
        rest, self._kept_rows = split_asked(framed(X) if self.split != "random" else X, self.split)
        table, stay = prepared(rest, self.missing), None
        self.preparation_ = None if table is None else with_skipped(table.preparation, X, rest)
        self._of_numbers = table is None or is_plain(X)
        checks = {"dtype": np.float64, "ensure_min_samples": 2, **checks}
        if table is not None and not self._of_numbers:
            tell(self.preparation_)
            validate_data(self, framed(X), skip_check_array=True)
            X, stay = whole(table)
            X, y = check_X_y(X, y, estimator=self, **checks)
        else:
            X, why = numeric(X, "X")
            try:
                X, y = validate_data(self, X, y, **checks)
            except (ValueError, TypeError) as error:
                raise refused(X, error, why) from error
            if why is not None:
                raise why
        if sample_weight is not None and not isinstance(sample_weight, Real):
            sample_weight = tensor_of(sample_weight, "sample_weight").numpy()
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        kept = weights > 0
        if not kept.any():
            raise DataError("sample_weight is zero for every row: give one row at least a positive weight.")
        if stay is not None and not (kept := kept & stay).any():
            raise DataError("Every row with a positive weight has missing values: fill them, or pass missing='fill'.")
        if self._kept_rows is not None:
            self._kept_rows.check(len(kept))
            self._kept_rows = self._kept_rows.taken(kept.nonzero()[0])
        return X[kept], y[kept], weights[kept]

    def _train(
        self,
        rows: Rows,
        scale: Tensor,
        center: Tensor,
        target_names: Sequence[object],
        *,
        moved: Tensor | float = 0.0,
        classes: Any = None,
        callback: Callback | None = None,
        progress: bool | None = False,
    ) -> Self:
        """Fit a network to `rows`, whose targets are deviations from `center` in units of `scale`, both (K,).

        The fitted network predicts in the targets' own units, and `center` where `scale` is zero. Its outputs are then
        moved by `moved` (K,). `classes` (n,) are kept in proportion where rows are split off for early stopping.
        """
        began = time.perf_counter()
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        plan = planned(
            self.hidden, self.grid, self.k, self.optimizer, len(rows), rows.x.shape[1], rows.targets.shape[1]
        )
        rows, validation = self._split(rows, seed, classes)
        network = linear_network(plan.width, self.grid, self.k, rows.x, seed)
        generator = torch.Generator().manual_seed(seed)
        with (
            reporting(progress, callback) as reporter,
            threads_for(len(rows) * sum(p.numel() for p in network.parameters())),
        ):
            watch = _watch(network, rows, validation, self.n_iter_no_change if self.early_stopping else None, reporter)
            optimizer = "gauss-newton" if plan.second_order else "adam"
            stop = reporter.stage(f"fit ({optimizer}), G={self.grid}", self.max_iter)
            ended = stop.after(0) if stop else self._optimize(network, rows, watch, plan.second_order, generator)
            if self.early_stopping:
                watch.restore_best()
            with torch.no_grad():
                objective = float(rows.loss(rows.outputs(network))) / rows.total
                rescale_outputs(network, (scale > 0).to(scale))
                own = places(self.preparation_, self.n_features_in_)
                importances = effects(network, self._respond, rows, generator, own)
                rescale_outputs(network, scale, shift=scale * rows.offset + center + moved)
                answers = [self._respond(network(part.x)) for part in (rows, validation)]
                truths = [part.targets * scale + center for part in (rows, validation)]
            most = ESTIMATORS.rows_kept
            kept = [part[torch.randperm(len(part), generator=generator)[:most]] for part in (rows, validation)]
            tensors = [v for part in kept for v in (part.x, part.targets * scale + center)]
        self.model_, self._found, self._n_rows = network, None, len(rows) + len(validation)
        self.n_iter_ = max(ended.steps, 1)  # scikit-learn expects one iteration at least
        self.rows_ = self._kept(tensors, target_names)
        self.feature_importances_ = importances / (importances.sum() or 1.0)
        self.fit_result_ = FitResult(
            model=network,
            optimizer=optimizer,
            why=plan.why,
            stop=ended.reason,
            stop_reason=ended.sentence,
            objective=objective,
            train_rmse=_rmse(answers[0], truths[0]) or 0.0,
            val_rmse=_rmse(answers[1], truths[1]),
            test_rmse=None,
            steps=ended.steps,
            seconds=time.perf_counter() - began,
            history=tuple(watch.history),
        )
        return self

    def _split(self, rows: Rows, seed: int, classes: Any) -> tuple[Rows, Rows]:
        """Training rows, and validation rows for early stopping (none without it)."""
        if not self.early_stopping:
            return rows, rows[:0]
        if self._kept_rows is not None:
            size = row_count("validation_size", self.validation_size, len(rows))
            train, validation, _ = self._kept_rows.parts(0, size, torch.Generator().manual_seed(seed))
            return rows[train], rows[validation]
        places = np.arange(len(rows))
        train, validation = train_test_split(
            places, test_size=self.validation_size, random_state=seed, stratify=classes
        )
        return rows[torch.as_tensor(train)], rows[torch.as_tensor(validation)]

    def _optimize(
        self, network: KAN, rows: Rows, watch: Watch, second_order: bool, generator: torch.Generator
    ) -> Ended:
        """Fit the network in place; the number of steps or epochs and why it ended."""
        roughness = Roughness(network, 1.0 if self.alpha == "auto" else float(self.alpha))
        if second_order:
            learn = self.alpha == "auto"
            return gauss_newton(
                network,
                rows,
                roughness,
                watch,
                steps=self.max_iter,
                tolerance=self.tol,
                learn=learn,
                generator=generator,
                each_sample_step=watch.on_sample,
            )
        return adam(
            network,
            rows,
            roughness,
            watch,
            epochs=self.max_iter,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            generator=generator,
        )

    def _kept(self, tensors: Sequence[Tensor], target_names: Sequence[object]) -> Dataset:
        """X_train, y_train, X_val and y_val as a Dataset with unique names, and the units found in column names."""
        inputs = self._names()
        n_in = len(inputs)
        names, units = split_units(unique([*inputs, *target_names]))
        x, y, x_val, y_val = tensors
        return Dataset(
            x, y, x_val, y_val, x[:0], y[:0], names[:n_in], names[n_in:], units=units, preparation=self.preparation_
        )


def _watch(network: KAN, rows: Rows, validation: Rows, patience: int | None, reporter: Reporter) -> Watch:
    """The history of a fit and its best state on the validation rows; losses are mean losses per row."""

    def loss(outputs: Tensor, targets_and_weights: Tensor) -> Tensor:
        targets, weights = targets_and_weights[:, :-1], targets_and_weights[:, -1]
        return weights @ rows.likelihood.values(outputs + rows.offset, targets) / weights.sum()

    parts = [(part.x, torch.cat([part.targets, part.weights[:, None]], dim=1)) for part in (rows, validation)]
    return Watch(network, Objective(loss), parts[0], parts[1], patience, reporter, time.perf_counter())


def _rmse(answers: Tensor, truth: Tensor) -> float | None:
    return float(root_mean_square(answers - truth)) if len(truth) else None
