"""Whether rows hold noise: a fit as close as possible against a smooth one, judged on rows kept aside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass, replace

import torch
from torch import Tensor

from knotwork.journal import Journal, Value
from knotwork.model import FreeParameters, KANNetwork
from knotwork.solvers import Ended, StopReason
from knotwork.training.fit_result import Record, state_of
from knotwork.training.grids import going_on
from knotwork.training.likelihood import Normal
from knotwork.training.optimizers.optimizer import Task
from knotwork.training.rows import effective_number
from knotwork.training.settings import EVIDENCE, TRAINING
from knotwork.training.smooth_fit import SmoothEnd, SmoothFit, straighten, weighted_rows

FollowsNoise = Callable[[KANNetwork, bool], bool]
"""Whether a start of a close fit follows noise; True as second argument where it is the only one yet."""


RACING = Ended(0, StopReason.STEP_LIMIT, "the race goes on")


@dataclass(frozen=True)
class Candidate:
    """The end of one fit.

    `loss` is that on the training rows, or on those of the race, and `losses` (n,) that of each validation row.
    `expected` is the loss that other rows have by generalised cross-validation (Golub, Heath, Wahba 1979). A smooth fit
    has found `noise`, its standard deviation, with these `weights` of its roughness.
    """

    state: dict[str, Tensor]
    loss: float
    losses: Tensor
    expected: float
    ended: Ended
    history: list[Record]
    noise: float = 0.0
    weights: Tensor | None = None

    @property
    def error(self) -> float:
        """The loss on rows that were not fitted, measured or expected."""
        return float(self.losses.mean()) if len(self.losses) else self.expected

    @property
    def of_noise(self) -> float:
        """The loss of the noise alone, as the number of free rows estimates it."""
        return (self.loss * self.expected) ** 0.5

    def as_value(self) -> Value:
        """The candidate as a journal keeps it."""
        history = [astuple(record) for record in self.history]
        return {**vars(self), "ended": self.ended.as_value(), "history": history}

    @classmethod
    def of(cls, value: Value) -> Candidate:
        """The candidate that `as_value` gave."""
        history = [Record(*record) for record in value["history"]]
        return cls(**{**value, "ended": Ended.of(value["ended"]), "history": history})


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

    `close(task, follows_noise)` makes the fit without smoothness. It may end early, with None, where `follows_noise`
    says of a start that it does.

    Smooth fits from straight lines are made on the rows of the race of starts. The best of them goes on on all rows.
    """

    def __init__(self, task: Task, close: Callable[[Task, FollowsNoise], Ended | None]) -> None:
        assert isinstance(task.model, KANNetwork)
        self.task, self.network, self.close = task, task.model, close
        self.goal = weighted_rows(task).likelihood
        self.of_close, of_lines, self.of_smooth = (task.journal.part() for _ in range(3))
        self.of_lines = [of_lines.part() for _ in range(EVIDENCE.lines)]
        self.lines: list[Candidate] = []
        self.from_lines: Candidate | None = None
        self.before = state_of(self.network)

    def run(self) -> tuple[Ended, str]:
        """Leave the better fit in the model and in its watch; how it ended, and what the smoothness is."""
        watch, task = self.task.watch, replace(self.task, journal=self.of_close)
        ended = task.ended
        if ended is None:
            ended = self.close(task, self._follows_noise)
            if ended is None:
                assert self.from_lines is not None
                return self._take(self.from_lines)
            watch.restore_best()
            task.finish(ended)
        close = self._candidate(self.network, watch.rows, ended, FreeParameters(self.network).size, watch.history)
        if ended.reason.by_caller:
            return ended, "off: the fit was stopped"
        mean = self._mean()
        exact = close.error <= EVIDENCE.looks_exact * mean
        overfits = close.error > EVIDENCE.overfits * close.loss
        if exact or (self.task.objective.penalty is not None and not overfits):
            return ended, "off: the rows look exact" if exact else "off: the penalty keeps the curves smooth enough"
        smooth = self._smooth(close)
        if not better(smooth, close, mean):
            return ended, "off: the rows look exact, or too many for noise to matter"
        return self._take(smooth)

    def _smooth(self, close: Candidate) -> Candidate:
        """The better smooth fit: from straight lines or the close fit; of a fitted network from its own values."""
        if not self.task.first:
            return self._on_all(self.before)
        found = [self._from_lines()] if self.network.spec.depth > 1 else []
        return min([*found, self._on_all(close.state)], key=lambda one: one.error)

    def _follows_noise(self, rival: KANNetwork, alone: bool) -> bool:
        """Whether a start follows noise: closer to the rows of the race than their noise is, but worse on others.

        Of a start that is `alone`, with none to compare it with, two smooth fits must say so that end alike. Where
        there are more rows, a smooth fit on all of them must find that noise, too: else the rows are exact, and too few
        of them were seen.
        """
        if self.task.objective.penalty is not None or self.from_lines is not None:
            return False
        x, y = self.task.watch.rows
        rows = x[: TRAINING.race_rows], y[: TRAINING.race_rows]
        with going_on(rival):
            found = self._candidate(rival, rows, RACING, FreeParameters(rival).size, [])
        mean = self._mean()
        if found.error <= max(EVIDENCE.overfits * found.loss, EVIDENCE.looks_exact * mean):
            return False
        smooth = self._line(0)
        if not (found.loss < smooth.of_noise and better(smooth, found, mean)):
            return False
        if alone:
            both = sorted([smooth.error, self._line(1).error])
            if both[1] > EVIDENCE.alike * both[0]:
                return False
        for number in range(EVIDENCE.lines):
            self._line(number)
        return self._from_lines().noise > EVIDENCE.same_noise * smooth.noise

    def _from_lines(self) -> Candidate:
        """The smooth fit to all rows from the best one to those of the race.

        These are all that the race asked for, also where a fit that was killed after its race goes on without one.
        """
        if self.from_lines is None:
            for number, part in enumerate(self.of_lines):
                if part.done:
                    self._line(number)
            start = min(self.lines or [self._line(0)], key=lambda one: one.error)
            self.from_lines = start if len(self.task.x) <= TRAINING.race_rows else self._on_all(start.state, start)
        return self.from_lines

    def _line(self, number: int) -> Candidate:
        """The smooth fit to the rows of the race from straight lines; each `number` has its own slopes."""
        if number < len(self.lines):
            return self.lines[number]

        def run(task: Task) -> SmoothEnd:
            generator = torch.Generator().manual_seed(task.generator.initial_seed())
            straighten(self.network, generator, task.update_grid, number)
            return SmoothFit(task, 1.0, True).on_first(TRAINING.race_rows)

        self.lines.append(self._made(self.of_lines[number], self.before, [], run, TRAINING.race_rows))
        return self.lines[-1]

    def _on_all(self, state: dict[str, Tensor], start: Candidate | None = None) -> Candidate:
        """The smooth fit to all rows from a state, which may be that of one to the rows of the race."""
        weights, taken = (start.weights, start.ended.steps) if start else (1.0, 0)
        assert weights is not None
        return self._made(
            self.of_smooth.part(),
            state,
            start.history if start else [],
            lambda task: SmoothFit(task, weights, True).on_all(taken),
            len(self.task.x),
        )

    def _made(
        self,
        part: Journal,
        state: dict[str, Tensor],
        history: list[Record],
        run: Callable[[Task], SmoothEnd],
        count: int,
    ) -> Candidate:
        """A smooth fit from a state to the first `count` rows; the model and its watch stay as they are."""
        if part.done:
            return Candidate.of(part.value)
        watch, before = self.task.watch, state_of(self.network)
        past, watch.history = watch.history, list(history)
        try:
            self.network.load_state_dict(state)
            with watch.reporter.aside():
                end = run(replace(self.task, journal=part))
            x, y = watch.rows
            rows = x[:count], y[:count]
            found = self._candidate(self.network, rows, end.ended, end.determined, watch.history)
            found = replace(found, noise=end.noise, weights=end.weights)
            if not end.ended.reason.by_caller:
                part.finish(found.as_value())
            return found
        finally:
            watch.history = past
            self.network.load_state_dict(before)

    @torch.no_grad()
    def _candidate(
        self,
        network: KANNetwork,
        rows: tuple[Tensor, Tensor],
        ended: Ended,
        determined: float,
        history: list[Record],
    ) -> Candidate:
        """What there is to know of a fit to some rows, of which they determine a number of parameters."""
        (x, y), (x_val, y_val) = rows, self.task.watch.validation_rows
        objective, targets = self.task.objective, rows[1]
        goal = objective.likelihood
        assert goal is not None
        loss = float(objective.of(network(x), y))
        enough = len(x_val) >= EVIDENCE.rows_to_judge
        losses = goal.values(network(x_val), y_val) * goal.scale(y_val) * len(y_val) if enough else y.new_zeros(0)
        count = float(len(y))
        if objective.weighted:
            targets, count = y[:, :-1], effective_number(y[:, -1])
        left = 1 - determined / (count * (targets.shape[1] if isinstance(self.goal, Normal) else 1))
        return Candidate(state_of(network), loss, losses, loss / left**2 if left > 0 else float("inf"), ended, history)

    def _mean(self) -> float:
        """The loss of the best constant."""
        goal = self.task.objective.likelihood
        assert goal is not None
        return goal.spread(self.task.y)

    def _take(self, one: Candidate) -> tuple[Ended, str]:
        self.task.watch.take(one.state, one.history)
        words = "chosen by the evidence"
        if isinstance(self.goal, Normal):
            words += f": the rows hold noise with a standard deviation of about {one.noise:.2g}"
        return one.ended, words
