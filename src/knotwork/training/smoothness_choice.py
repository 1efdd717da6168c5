"""Whether rows hold noise: a fit as close as possible against a smooth one, judged on rows kept aside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass

import torch
from torch import Tensor

from knotwork.journal import Value
from knotwork.model import FreeParameters, KANNetwork
from knotwork.solvers import Ended, StopReason
from knotwork.training.fit_result import Record, state_of
from knotwork.training.grids import going_on
from knotwork.training.likelihood import Normal
from knotwork.training.optimizers.optimizer import Task
from knotwork.training.rows import effective_number
from knotwork.training.settings import EVIDENCE, TRAINING
from knotwork.training.smooth_fit import smooth_fit, weighted_rows

FollowsNoise = Callable[[KANNetwork], bool]


@dataclass(frozen=True)
class Candidate:
    """The end of one fit.

    `loss` is that on the training rows and `losses` (n,) that of each validation row. `expected` is the loss that other
    rows have by generalised cross-validation (Golub, Heath, Wahba 1979).
    """

    state: dict[str, Tensor]
    loss: float
    losses: Tensor
    expected: float
    ended: Ended
    history: list[Record]
    words: str

    @property
    def error(self) -> float:
        """The loss on rows that were not fitted, measured or expected."""
        return float(self.losses.mean()) if len(self.losses) else self.expected

    def as_value(self) -> Value:
        """The candidate as a journal keeps it."""
        ended = [self.ended.steps, self.ended.reason.name, self.ended.sentence]
        history = [astuple(record) for record in self.history]
        return {**vars(self), "ended": ended, "history": history}

    @classmethod
    def of(cls, value: Value) -> Candidate:
        """The candidate that `as_value` gave."""
        steps, reason, sentence = value["ended"]
        history = [Record(*record) for record in value["history"]]
        return cls(**{**value, "ended": Ended(steps, StopReason[reason], sentence), "history": history})


def better(smooth: Candidate, close: Candidate, mean: float) -> bool:
    """Whether a smooth fit predicts better than a close one.

    Held-out rows decide where they can, else the mean of them and of what is expected. `mean` is the loss of the best
    constant.
    """
    apart = close.losses - smooth.losses
    if len(apart) > 1:
        clearly = EVIDENCE.clearly * float(apart.std()) / len(apart) ** 0.5
        if abs(float(apart.mean())) > clearly:
            return float(apart.mean()) > 0
    if close.expected == float("inf"):  # it may pass through all rows, and they do not tell how it is between them
        known = len(apart) > 0
        return smooth.error < close.error if known else smooth.expected < TRAINING.already_fitted * mean
    return smooth.expected * smooth.error < EVIDENCE.gain**2 * close.expected * close.error


class SmoothnessChoice:
    """One fit with `smoothness="auto"`.

    `close(follows_noise)` makes the fit without smoothness. It may end early, with None, where `follows_noise` says of
    a network that it does.
    """

    def __init__(self, task: Task, close: Callable[[FollowsNoise], Ended | None]) -> None:
        assert isinstance(task.model, KANNetwork)
        self.task, self.network, self.close = task, task.model, close
        self.goal = weighted_rows(task).likelihood
        self.from_lines: Candidate | None = None
        self.before = state_of(self.network)

    def run(self) -> tuple[Ended, str]:
        """Leave the better fit in the model and in its watch; how it ended, and what the smoothness is."""
        watch = self.task.watch
        ended = self.close(self._follows_noise)
        if ended is None:
            assert self.from_lines is not None
            return self._take(self.from_lines)
        watch.restore_best()
        close = self._candidate(self.network, ended, FreeParameters(self.network).size, watch.history, "")
        if ended.reason.by_caller:
            return ended, "off: the fit was stopped"
        mean = self._mean()
        exact = close.error <= EVIDENCE.looks_exact * mean
        overfits = close.error > EVIDENCE.penalty_overfits * close.loss
        if exact or (self.task.objective.penalty is not None and not overfits):
            return ended, "off: the rows look exact" if exact else "off: the penalty keeps the curves smooth enough"
        smooth = self._smooth(close)
        if not better(smooth, close, mean):
            return ended, "off: the rows look exact, or too many for noise to matter"
        return self._take(smooth)

    def _smooth(self, close: Candidate) -> Candidate:
        """The better smooth fit: from straight lines or the close fit; of a fitted network from its own values."""
        found = []
        if self.task.first:
            if self.network.spec.depth > 1:
                found.append(self.from_lines or self._fitted(None))
            found.append(self._fitted(close.state))
        else:
            found.append(self._fitted(self.before))
        return min(found, key=lambda one: one.error)

    def _follows_noise(self, rival: KANNetwork) -> bool:
        """Whether a start follows noise: closer to the training rows than a smooth fit, but worse on other rows."""
        if self.task.objective.penalty is not None:
            return False
        self.from_lines = self.from_lines or self._fitted(None)
        with going_on(rival):
            found = self._candidate(rival, self.from_lines.ended, FreeParameters(rival).size, [], "")
        return found.loss < self.from_lines.loss and better(self.from_lines, found, self._mean())

    def _fitted(self, start: dict[str, Tensor] | None) -> Candidate:
        """The smooth fit from a state, or from straight lines; the model and its watch stay as they are.

        It is a part of the journal of the fit.
        """
        part = self.task.journal.part()
        if part.done:
            return Candidate.of(part.value)
        watch, state, history = self.task.watch, state_of(self.network), self.task.watch.history
        watch.history = []
        try:
            self.network.load_state_dict(start or self.before)
            end = smooth_fit(self.task, None, start is None)
            words = "chosen by the evidence"
            if isinstance(self.goal, Normal):
                words += f": the rows hold noise with a standard deviation of about {end.noise:.2g}"
            found = self._candidate(self.network, end.ended, end.determined, watch.history, words)
            if not end.ended.reason.by_caller:
                part.finish(found.as_value())
            return found
        finally:
            watch.history = history
            self.network.load_state_dict(state)

    @torch.no_grad()
    def _candidate(
        self, network: KANNetwork, ended: Ended, determined: float, history: list[Record], words: str
    ) -> Candidate:
        (x, y), (x_val, y_val) = self.task.watch.rows, self.task.watch.validation_rows
        objective = self.task.objective
        goal = objective.likelihood
        assert goal is not None
        loss = float(objective.of(network(x), y))
        enough = len(x_val) >= EVIDENCE.rows_to_judge
        losses = goal.values(network(x_val), y_val) * goal.scale(y_val) * len(y_val) if enough else y.new_zeros(0)
        targets, weights = self._targets()
        rows = len(y) if weights is None else effective_number(weights)
        left = 1 - determined / (rows * (targets.shape[1] if isinstance(self.goal, Normal) else 1))
        return Candidate(
            state_of(network), loss, losses, loss / left**2 if left > 0 else float("inf"), ended, history, words
        )

    def _mean(self) -> float:
        """The loss of the best constant."""
        goal = self.task.objective.likelihood
        assert goal is not None
        return goal.spread(self.task.y)

    def _targets(self) -> tuple[Tensor, Tensor | None]:
        y = self.task.y
        return (y[:, :-1], y[:, -1]) if self.task.objective.weighted else (y, None)

    def _take(self, one: Candidate) -> tuple[Ended, str]:
        self.task.watch.take(one.state, one.history)
        return one.ended, one.words
