"""The observer of a fit: it keeps the history and the best state, and decides when to stop."""

import time

import torch
from torch import Tensor, nn

from knotwork.model import KANNetwork
from knotwork.solvers import Stop, StopReason
from knotwork.training.callbacks import Reporter
from knotwork.training.fit_result import Record
from knotwork.training.objective import Objective, mean_squared_error
from knotwork.training.settings import TRAINING

NAN = float("nan")


class Watch:
    """An optimiser calls it after each step, with the objective on all training rows where it knows this value.

    It keeps the state with the lowest objective, or with the lowest validation loss where `patience` is given. The
    state before the fit counts too. Where rows hold no noise, it keeps the last state whose squared error is within the
    factor `alike` of the lowest and no larger than the first. It returns a `Stop` where the fit is to end.
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
    ) -> None:
        self.model, self.objective, self.rows, self.validation_rows = model, objective, rows, validation_rows
        self.patience, self.reporter, self.began = patience, reporter, began
        self.alike = 1.0
        self.squared = objective.loss is mean_squared_error
        y = rows[1]
        plain = self.squared and objective.penalty is None and len(y) > 0
        self.clean = TRAINING.noise_free * float((y - y.mean(0)).square().mean()) if plain else 0.0
        self.history: list[Record] = []
        self.waited = 0
        start = self._judged()
        self.best = self.first = start if start == start else float("inf")
        self._keep()

    def __call__(self, step: int, value: float = NAN) -> Stop | None:
        known = value == value and self.squared and self.objective.penalty is None
        train = value**0.5 if known else self.objective.report(self.model, *self.rows)
        validation = self._validation()
        grid = self.model.spec.grid if isinstance(self.model, KANNetwork) else 0
        measure = "RMSE" if self.squared else "loss"
        record = Record(step, time.perf_counter() - self.began, grid, train, validation, measure)
        self.history.append(record)
        stop = self.reporter(step, record)
        if self.patience is None:
            self._offer(value if value == value else self._value())
        elif validation is not None:
            self.waited = 0 if self._offer(validation) else self.waited + 1
            if self.waited >= self.patience and stop is None:
                return Stop(StopReason.PATIENCE, f"{self.patience} steps brought no better validation loss")
        return stop

    @property
    def taken(self) -> int:
        """The last step that was observed."""
        return self.history[-1].step if self.history else 0

    def restore_best(self) -> float:
        """Put the best state (or the present one) into the model, and return its objective on the training rows."""
        self._offer(self._judged())
        self.model.load_state_dict(self.state)
        return self._value()

    def _offer(self, value: float) -> bool:
        """Keep the present state if `value` is the lowest so far, or close to it; whether it is the lowest."""
        better = value < self.best
        if better or (self.best < self.clean and value < self.alike * self.best and value <= self.first):
            self._keep()
        if better:
            self.best = value
        return better

    def _keep(self) -> None:
        self.state = {name: v.detach().clone() for name, v in self.model.state_dict().items()}

    def _judged(self) -> float:
        """The value by which the present state is compared with others."""
        validation = None if self.patience is None else self._validation()
        return self._value() if validation is None else validation

    @torch.no_grad()
    def _value(self) -> float:
        return float(self.objective(self.model, *self.rows))

    def _validation(self) -> float | None:
        return self.objective.report(self.model, *self.validation_rows) if len(self.validation_rows[0]) else None
