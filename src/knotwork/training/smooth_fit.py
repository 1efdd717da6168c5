"""A fit with smooth curves, for rows with noise: the smoothness is fixed, or the one that the evidence supports."""

from dataclasses import dataclass

import torch
from torch import Tensor

from knotwork.model import KANNetwork
from knotwork.solvers import Ended, Stop, StopReason
from knotwork.splines import uniform_knots
from knotwork.training.evidence_steps import RegularisedLikelihood, descend
from knotwork.training.grids import adapt_hidden_grids
from knotwork.training.optimizers.optimizer import Task
from knotwork.training.roughness import Roughness
from knotwork.training.rows import Rows, effective_number
from knotwork.training.settings import EVIDENCE, TRAINING


@dataclass(frozen=True)
class SmoothEnd:
    """How a smooth fit ended.

    `determined` is the number of parameters that the rows determine, `noise` the standard deviation of the noise in the
    units of the targets.
    """

    ended: Ended
    determined: float
    noise: float


def smooth_fit(task: Task, weight: float | None, straight: bool) -> SmoothEnd:
    """Fit `task.model` in place; with weight None the weights of the roughness are those that maximise the evidence.

    With `straight` every spline begins as a straight line of random slope, which leads to smooth curves from everywhere
    near; else the fit begins from the present values. Where weights are chosen and there are validation rows, the fit
    ends once their loss does not fall, in its best state, since later steps follow the noise bit by bit.
    """
    network, rows = task.model, weighted_rows(task)
    assert isinstance(network, KANNetwork)
    if straight:
        straighten(network, torch.Generator().manual_seed(task.generator.initial_seed()), task.update_grid)
    roughness, steps = Roughness(network, 1.0 if weight is None else weight), min(task.steps, EVIDENCE.steps)
    problem = RegularisedLikelihood(network, rows, roughness, weight is None, penalty=task.objective.penalty)
    best = _Best(task, problem, follow=weight is None)
    stop = task.watch.reporter.stage(f"smooth {task.title}", steps)
    if stop:
        return SmoothEnd(stop.after(0), problem.size, float("inf"))
    ended = descend(problem, best, steps=steps, tolerance=EVIDENCE.tolerance)
    best.restore()
    if task.update_grid and network.spec.extrapolation == "zero":  # values beyond a grid would have no curve
        adapt_hidden_grids(network, task.x)
    return SmoothEnd(ended, best.known, task.units.scale * best.precision**-0.5)


class _Best:
    """Called after each step: it keeps the state of lowest validation loss, or the last one without such rows."""

    def __init__(self, task: Task, problem: RegularisedLikelihood, follow: bool) -> None:
        self.task, self.problem = task, problem
        self.follow = follow and len(task.watch.validation_rows[0]) >= TRAINING.rows_to_judge
        self.lowest, self.waited = float("inf"), 0
        self.parameters: Tensor | None = None
        self.known, self.precision = float(problem.size), float("nan")

    def __call__(self, step: int, loss: float) -> Stop | None:
        stop, validation = self.task.watch.record(step), self.task.watch.validation
        if self.follow and validation is not None and not validation < self.lowest:
            self.waited += 1
        else:
            self.lowest, self.waited = validation or 0.0, 0
            self.parameters, self.known, self.precision = self.problem.at, self.problem.known, self.problem.precision
        if stop is None and self.waited >= EVIDENCE.patience_on_validation:
            sentence = f"converged: {self.waited} steps in a row did not lower the validation loss"
            return Stop(StopReason.CONVERGED, sentence)
        return stop

    def restore(self) -> None:
        """Put the best state into the network."""
        if self.parameters is not None:
            self.problem.free.set(self.parameters)


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
def straighten(network: KANNetwork, generator: torch.Generator, update_grid: bool) -> None:
    """Make every free spline a straight line of random slope, in place, with hidden grids where the values then are."""
    size, grid = network.spec.grid + network.spec.k, network.spec.grid
    line = (torch.arange(size, dtype=torch.float64, device=network.fitted.device) - (size - 1) / 2) * 2 / grid
    for l, layer in enumerate(network.layers):
        shape = layer.in_features, 1, layer.out_features
        slopes = torch.randn(shape, generator=generator, dtype=torch.float64, device="cpu").to(line.device)
        if not layer.coefficients.requires_grad:
            continue
        layer.coefficients.copy_(slopes / layer.in_features**0.5 * line[:, None] * (layer.mask > 0).unsqueeze(1))
        if layer.base_weights.requires_grad:
            layer.base_weights.zero_()
        if l and update_grid:
            one = layer.knots.new_ones(layer.in_features)
            layer.knots = uniform_knots(-one, one, grid, network.spec.k)
