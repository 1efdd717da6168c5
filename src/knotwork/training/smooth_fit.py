"""A fit with smooth curves, for rows with noise: the smoothness is fixed, or the one that the evidence supports."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from knotwork.model import FreeParameters, KANNetwork
from knotwork.solvers import Ended, Stop, StopReason
from knotwork.solvers import gauss_newton as minimise
from knotwork.splines import uniform_knots
from knotwork.training.evidence_steps import RegularisedLikelihood, limits
from knotwork.training.grids import adapt_hidden_grids
from knotwork.training.optimizers.optimizer import Task
from knotwork.training.roughness import Roughness
from knotwork.training.row_samples import on_growing_samples
from knotwork.training.rows import Rows, effective_number
from knotwork.training.settings import EVIDENCE, SAMPLES, TRAINING


@dataclass(frozen=True)
class SmoothEnd:
    """How a smooth fit ended.

    `determined` is the number of parameters that the rows determine, `noise` the standard deviation of the noise in the
    units of the targets, and `weights` are those of the roughness (edges, 2).
    """

    ended: Ended
    determined: float
    noise: float
    weights: Tensor


class SmoothFit:
    """One fit of `task.model` in place; with `learn` the weights of the roughness are led to the largest evidence.

    It begins from the present values of the network and from `weight`. Where weights are chosen and there are
    validation rows, each stage ends once their loss does not fall, in its best state, since later steps follow the
    noise bit by bit.

    Attributes:
        task: what is fitted. It keeps the state of this fit too.
    """

    def __init__(self, task: Task, weight: float | Tensor, learn: bool) -> None:
        network = task.model
        assert isinstance(network, KANNetwork)
        self.network, self.rows, self.learn = network, weighted_rows(task), learn
        self.roughness = Roughness(network)
        self.roughness.set_weights(torch.ones_like(self.roughness.weights) * weight)
        self.task = replace(task, beside=self)
        self.follow = learn and len(task.watch.validation_rows[0]) >= TRAINING.rows_to_judge
        self.best = _Best.before(self)

    def on_first(self, rows: int) -> SmoothEnd:
        """Fit to the first `rows` rows only, few steps enough that some are left for all rows."""
        steps = self._most()
        if rows < len(self.rows):
            steps = max(steps - SAMPLES.steps_on_all_rows, steps // 2)
        self.rows = self.rows[:rows]
        stop = self._begin()
        return self._end(stop.after(0) if stop else self._on_rows(None, 0, steps, True, self.task))

    def on_all(self, taken: int = 0) -> SmoothEnd:
        """Fit to growing samples of the rows, then to all of them, after `taken` steps that were made before."""
        size, generator = FreeParameters(self.network).size, self.task.generator
        if stop := self._begin():
            return self._end(stop.after(taken))
        even = effective_number(self.rows.weights) / len(self.rows)
        return self._end(
            on_growing_samples(len(self.rows), size, self._most(), generator, self._on_rows, self.task, even, taken)
        )

    def _begin(self) -> Stop | None:
        """Report that the steps begin; a `Stop` if a callback asks to end."""
        kept = self.task.journal.seen
        again = f", resumed at step {kept['watch']['history'][-1][0]}" if kept else ""
        return self.task.watch.reporter.stage(f"smooth {self.task.title}{again}", self._most())

    def _most(self) -> int:
        return min(self.task.steps, EVIDENCE.steps)

    @torch.no_grad()
    def _on_rows(self, sample: Tensor | None, taken: int, most: int, last: bool, keeper: Task) -> Ended:
        penalty = self.task.objective.penalty
        problem = RegularisedLikelihood(self.network, self.rows, self.roughness, self.learn, sample, last, penalty)
        watch, self.best = self.task.watch, _Best.before(self)
        patience = SAMPLES.slow_steps if taken else EVIDENCE.patience_on_validation

        def each_step(step: int, loss: float) -> Stop | None:
            stop = (watch.record if last else watch.on_sample)(taken + step, problem.mean_loss)
            moving, validation = problem.moved > EVIDENCE.moving, watch.validation or 0.0
            if not self.follow or moving or watch.validation is None or validation < self.best.validation:
                at, known, precision = problem.at, problem.known, problem.precision
                lowest = math.inf if moving else validation
                self.best = _Best(at, self.roughness.weights, known, precision, lowest, 0)
            else:
                self.best = replace(self.best, waited=self.best.waited + 1)
            return stop or out_of_patience(self.best.waited)

        def out_of_patience(waited: int) -> Stop | None:
            sentence = f"converged: {waited} steps in a row did not lower the validation loss"
            return Stop(StopReason.CONVERGED, sentence) if waited >= patience else None

        kept = keeper.journal.seen
        if kept and (stop := out_of_patience(kept["beside"]["best"]["waited"])):
            keeper.resume()
            ended = stop.after(kept["loop"]["step"])
        else:
            ended = minimise(problem, limits(problem, most, EVIDENCE.tolerance, first=not taken), each_step, keeper)
        problem.free.set(self.best.parameters)
        self.roughness.set_weights(self.best.weights)
        return ended

    def _end(self, ended: Ended) -> SmoothEnd:
        task, best = self.task, self.best
        if task.update_grid and self.network.spec.extrapolation == "zero":  # values beyond a grid have no curve
            adapt_hidden_grids(self.network, task.x)
        return SmoothEnd(ended, best.known, task.units.scale * best.precision**-0.5, self.roughness.weights)

    def kept(self) -> dict[str, Any]:
        """What changes from step to step beside the network."""
        return {"weights": self.roughness.weights, "best": vars(self.best)}

    def resume(self, kept: dict[str, Any]) -> None:
        """Go on from what was kept."""
        device = self.roughness.weights.device
        self.roughness.set_weights(kept["weights"].to(device))
        self.best = _Best(**kept["best"])
        self.best = replace(self.best, parameters=self.best.parameters.to(device), weights=self.best.weights.to(device))


@dataclass(frozen=True)
class _Best:
    """The state of lowest validation loss since the last large moves in one stage, or the last if not followed.

    A state that a step with large moves led to takes the place of any state, and the next state takes its place: until
    then chance decides which state has the lowest loss. `waited` is the number of steps since then.
    """

    parameters: Tensor
    weights: Tensor
    known: float
    precision: float
    validation: float
    waited: int

    @classmethod
    def before(cls, fit: SmoothFit) -> _Best:
        """That before any step."""
        free = FreeParameters(fit.network)
        return cls(free.get(), fit.roughness.weights, float(free.size), float("nan"), float("inf"), 0)


def weighted_rows(task: Task) -> Rows:
    """The training rows of a fit, each as often as it counts; all weights together are the effective number of rows."""
    goal, targets = task.objective.likelihood, task.y
    assert goal is not None
    weights = targets.new_ones(len(targets))
    if task.objective.weighted:
        targets, weights = targets[:, :-1], targets[:, -1]
        goal = goal.goal  # type: ignore[attr-defined]
    return Rows(task.x, targets, weights * (effective_number(weights) / weights.sum()), targets.new_zeros(1), goal)


@torch.no_grad()
def straighten(network: KANNetwork, generator: torch.Generator, update_grid: bool, number: int = 0) -> None:
    """Make every free spline a straight line of random slope, in place, with hidden grids where the values then are.

    Smooth curves are reached from everywhere near such lines. The `number` tells apart several draws of one generator.
    """
    size, grid = network.spec.grid + network.spec.k, network.spec.grid
    line = (torch.arange(size, dtype=torch.float64, device=network.fitted.device) - (size - 1) / 2) * 2 / grid
    for l, layer in enumerate(network.layers):
        shape = number + 1, layer.in_features, 1, layer.out_features
        slopes = torch.randn(shape, generator=generator, dtype=torch.float64, device="cpu")[number].to(line.device)
        if not layer.coefficients.requires_grad:
            continue
        layer.coefficients.copy_(slopes / layer.in_features**0.5 * line[:, None] * (layer.mask > 0).unsqueeze(1))
        if layer.base_weights.requires_grad:
            layer.base_weights.zero_()
        if l and update_grid:
            one = layer.knots.new_ones(layer.in_features)
            layer.knots = uniform_knots(-one, one, grid, network.spec.k)
