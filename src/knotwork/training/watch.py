"""The observer of a fit: it keeps the history and the best state, and decides when to stop."""

import time
from dataclasses import astuple
from typing import Any

import torch
from torch import Tensor, nn

from knotwork.model import KANNetwork, evaluating
from knotwork.solvers import Ended, Stop, StopReason
from knotwork.training.callbacks import Reporter
from knotwork.training.fit_result import Record, state_of
from knotwork.training.objective import Objective, mean_squared_error
from knotwork.training.settings import TRAINING
from knotwork.training.standardization import is_free

NAN = float("nan")


class Watch:
    """An optimiser calls it after each step, with the objective on all training rows where it knows this value.

    Keeps the state with the lowest objective, or with the lowest validation loss where `patience` is given, the state
    before the fit included. Where rows hold no noise, the last of all states is kept whose squared error is within the
    factor `alike` of the lowest and no worse than the first. Returns a `Stop` where the fit is to end.

    The history is in the user's units: a root mean square error of 1 is one of `unit` there.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        rows: tuple[Tensor, Tensor],
        validation_rows: tuple[Tensor, Tensor],
        patience: int | None,
        reporter: Reporter,
        began: float,
        unit: float = 1.0,
    ) -> None:
        self.model, self.objective, self.rows, self.validation_rows = model, objective, rows, validation_rows
        self.patience, self.reporter, self.began = patience, reporter, began
        self.unit = unit
        self.smoothness = ""  # what was chosen, in words
        self.alike = 1.0
        self.squared = objective.loss is mean_squared_error
        y = rows[1]
        plain = self.squared and objective.penalty is None and len(y) > 0
        self.clean = TRAINING.noise_free * float((y - y.mean(0)).square().mean()) if plain else 0.0
        self.history: list[Record] = []
        self.waited, self.validation = 0, None
        self.best = self.first = _or_infinity(self.judged())
        self._keep()
        self.unchanged = True  # whether the state kept is the one that the steps began from
        self.value_before, self.is_new = self.value(), False

    def __call__(self, step: int, value: float = NAN) -> Stop | None:
        stop = self.record(step, value)
        if self.patience is None:
            self._offer(value if value == value else self.value())
        elif self.validation is not None:
            self.waited = 0 if self._offer(self.validation) else self.waited + 1
            stop = stop or self.out_of_patience(self.waited)
        return stop

    def out_of_patience(self, waited: int) -> Stop | None:
        """A `Stop` after so many steps in a row without a lower validation loss, if these are enough."""
        if self.patience is None or waited < self.patience:
            return None
        return Stop(StopReason.PATIENCE, f"{self.patience} steps brought no better validation loss")

    def record(self, step: int, value: float = NAN) -> Stop | None:
        """Add the losses of the present state to the history, without keeping it; a `Stop` if a callback asked."""
        self.validation = self._report(step, value)
        return self.reporter(step, self.history[-1])

    def take(self, state: dict[str, Tensor], history: list[Record]) -> None:
        """Put a state into the model and keep it, whatever its objective is, with the history that led to it."""
        self.model.load_state_dict(state)
        self._keep()
        self.best, self.history, self.alike = _or_infinity(self.judged()), history, 1.0

    def on_sample(self, step: int, value: float) -> Stop | None:
        """Report a step on a sample of the rows, with its loss there. Such a state is not compared with others."""
        self.validation = self._report(step, value)
        return self.reporter(step, self.history[-1])

    def _report(self, step: int, value: float) -> float | None:
        """Add a step with this objective to the history; the validation loss."""
        known = value == value and self.objective.penalty is None
        loss = (value**0.5 if self.squared else value) if known else self.objective.report(self.model, *self.rows)
        validation = self._validation()
        shown = None if validation is None else self.unit * validation
        grid = self.model.spec.grid if isinstance(self.model, KANNetwork) else 0
        measure = "RMSE" if self.squared else "loss"
        seconds = time.perf_counter() - self.began
        self.history.append(Record(step, seconds, grid, self.unit * loss, shown, measure))
        return validation

    @property
    def taken(self) -> int:
        """The last step that was observed."""
        return self.history[-1].step if self.history else 0

    def begin(self) -> None:
        """Take the present state of a new network, in standard units and on its grids, for the one before all steps."""
        self.best = self.first = _or_infinity(self.judged())
        self._keep()
        self.unchanged, self.is_new = True, True

    def kept(self) -> dict[str, Any]:
        """All that changes from step to step, for another process."""
        return {
            "numbers": [self.best, self.first, self.unchanged],
            "waited": self.waited,
            "state": self.state,
            "history": [astuple(record) for record in self.history],
        }

    def resume(self, kept: dict[str, Any]) -> None:
        """Go on from what was kept."""
        self.best, self.first, self.unchanged = kept["numbers"]
        self.waited, self.state = kept["waited"], kept["state"]
        self.history[:] = [Record(*record) for record in kept["history"]]

    def restore_best(self) -> None:
        """Put the best state into the model, the present one included."""
        self._offer(self.judged())
        self.model.load_state_dict(self.state)

    def goes_back(self, ended: Ended) -> bool:
        """Whether the model is to be exactly what it was before the fit: no state was better, or nothing was done."""
        return self.unchanged and (not self.is_new or ended.reason.by_caller or ended.reason is StopReason.NOT_FINITE)

    def explains(self) -> bool:
        """Whether the model as it is explains much of the training targets, so that its values are no random ones."""
        goal = self.objective.likelihood
        return goal is not None and self._loss(*self.rows) < TRAINING.already_fitted * goal.spread(self.rows[1])

    def compared_with_mean(self, ended: Ended) -> Ended:
        """How the fit ended: it has not converged where its error is that of the best constant, or above it.

        The error is that of the model as it is, on training rows and, for squared errors of enough of them, on
        validation rows, where the constant is the mean of the training rows. A least-squares fit without a penalty that
        is above on its training rows is replaced by the mean where the last layer of the network can give it.
        """
        goal = self.objective.likelihood
        if goal is None or ended.reason.by_caller or ended.reason is StopReason.CONSTANT:
            return ended
        poor, constant = [], goal.spread(self.rows[1])  # 0 for constant targets, which a constant describes
        if constant > 0 and not self._loss(*self.rows) < TRAINING.better_than_mean * constant:
            poor.append("training")
            if self.squared and self.objective.penalty is None and not self.goes_back(ended):
                self._try_mean()
        if constant > 0 and self.squared and len(self.validation_rows[0]) >= TRAINING.rows_to_judge:
            x, y = self.validation_rows
            if not self._loss(x, y) < float(self.objective.of(self.mean().expand(len(y), -1), y)):
                poor.append("validation")
        if poor and ended.converged:
            sentence = f"the error on {' and '.join(poor)} rows is that of the best constant, or above it"
            return Ended(ended.steps, StopReason.NO_BETTER_THAN_MEAN, sentence)
        return ended

    def mean(self) -> Tensor:
        """The mean of the training targets, (K,)."""
        y = self.rows[1]
        return (y[:, -1] @ y[:, :-1]) / y[:, -1].sum() if self.objective.weighted else y.mean(0)

    @torch.no_grad()
    def _loss(self, x: Tensor, y: Tensor) -> float:
        with evaluating(self.model):
            return float(self.objective.of(self.model(x), y))

    @torch.no_grad()
    def _try_mean(self) -> None:
        """Keep the network whose last layer is zero, the mean in standard units, if its objective is lower.

        Frozen parameters and fixed edges stay as they are, and so does a product: its gradient would be zero for ever.
        """
        if not isinstance(self.model, KANNetwork):
            return
        layer, before = self.model.layers[-1], self.value()
        if self.model.structure.width[-1][1] or not is_free(layer) or not all(edge[3] for edge in layer.named):
            return
        layer.coefficients.zero_()
        layer.base_weights.zero_()
        layer.affine[:, 2:] = 0
        if self.value() < before:
            self._keep()
        else:
            self.model.load_state_dict(self.state)

    def _offer(self, value: float) -> bool:
        """Keep the present state if `value` is the lowest so far, or close to it; whether it is the lowest."""
        better = value < self.best
        if better or (self.best < self.clean and value < self.alike * self.best and value <= self.first):
            self._keep()
        if better:
            self.best = value
        return better

    def _keep(self) -> None:
        self.unchanged = False
        self.state = state_of(self.model)

    def judged(self) -> float:
        """The value by which the present state is compared with others."""
        validation = None if self.patience is None else self._validation()
        return self.value() if validation is None else validation

    @torch.no_grad()
    def value(self) -> float:
        """The objective of the model as it is, on the training rows."""
        with evaluating(self.model):
            return float(self.objective(self.model, *self.rows))

    def _validation(self) -> float | None:
        return self.objective.report(self.model, *self.validation_rows) if len(self.validation_rows[0]) else None


def _or_infinity(value: float) -> float:
    return value if value == value else float("inf")
