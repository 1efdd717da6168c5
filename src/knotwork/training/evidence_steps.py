"""Second-order steps on likelihood and roughness together, while the data choose the weight of the roughness."""

from __future__ import annotations

import torch
from torch import Tensor

from knotwork.model import FreeParameters, KANNetwork, Residuals, gradient, jacobian, normal_equations
from knotwork.solvers import EachStep, Ended, Keeper, Options, Problem
from knotwork.solvers import gauss_newton as minimise
from knotwork.training.evidence import determined, noise_precision, update_weights, updated_precision
from knotwork.training.likelihood import Normal, weigh
from knotwork.training.penalties import Penalty
from knotwork.training.regularised_systems import ByParameters, ByRows, RegularisedSystem, rows_suffice
from knotwork.training.roughness import Roughness
from knotwork.training.row_samples import on_growing_samples
from knotwork.training.rows import Rows
from knotwork.training.settings import EVIDENCE, SAMPLES


@torch.no_grad()
def gauss_newton(
    network: KANNetwork,
    rows: Rows,
    roughness: Roughness,
    each_step: EachStep,
    *,
    steps: int,
    tolerance: float,
    learn: bool,
    generator: torch.Generator | None = None,
    each_sample_step: EachStep | None = None,
) -> Ended:
    """Lower precision·loss + roughness by damped Gauss-Newton steps, in place.

    The loss is the negative log-likelihood. After each step the precision (1/σ² of normal targets, else 1) and, with
    `learn`, the weights of the roughness move towards the values under which the data are most probable
    (`knotwork.training.evidence`). Where there are many rows, the first steps are made on samples of them.

    Args:
        network: the network, trained in place.
        rows: inputs, targets, weights and likelihood.
        roughness: the penalty; with `learn` its weights change in place.
        each_step: called after every accepted step on all rows with its number and the loss per row; a `Stop` ends the
            fit.
        steps: limit of accepted steps.
        tolerance: change of the outputs, in units of their noise, below which a step counts as no progress.
        learn: whether the weights of the roughness are chosen from the data.
        generator: draws the samples of many rows; None: all steps are on all rows.
        each_sample_step: called instead of `each_step` after a step on a sample, with the loss per row of it.

    Returns:
        The number of accepted steps and why it ended.
    """

    def on_rows(sample: Tensor | None, taken: int, most: int, last: bool, _: Keeper | None) -> Ended:
        problem = RegularisedLikelihood(network, rows, roughness, learn, sample, last)
        watch = each_step if last else each_sample_step
        report = watch and (lambda step, loss: watch(taken + step, loss))
        return minimise(problem, limits(problem, most, tolerance, first=not taken), report)

    return on_growing_samples(len(rows), FreeParameters(network).size, steps, generator, on_rows)


def limits(problem: RegularisedLikelihood, steps: int, tolerance: float, first: bool) -> Options:
    """When the steps on some rows end, the `first` ones of a fit or later ones, which begin near their minimum."""
    curved = problem.sample
    if curved is not None:  # standard errors are smaller, too
        tolerance *= (curved.total / problem.rows.total) ** 0.5
    return Options(
        steps=steps,
        tolerance=tolerance,
        patience=EVIDENCE.patience if first else SAMPLES.patience,
        target=-torch.inf,
        accept_equal=True,
        first_damping=EVIDENCE.first_damping,
        least_damping=EVIDENCE.least_damping,
        largest_damping=EVIDENCE.largest_damping,
    )


class RegularisedLikelihood(Problem):
    """precision·(loss + penalty) + roughness of a network on rows, at its present parameters.

    `loss` is the negative log-likelihood alone. The penalty is one that is added to the mean loss of `fit`. Progress is
    measured by how far a step moves the outputs, since precision and weights change what is minimised. With a `sample`,
    places of the rows, the rows are those of the sample; or, if `of_all`, the curvature is that of the sample, times
    the ratio of the numbers of rows.
    """

    name = "objective"

    def __init__(
        self,
        network: KANNetwork,
        rows: Rows,
        roughness: Roughness,
        learn: bool,
        sample: Tensor | None = None,
        of_all: bool = True,
        penalty: Penalty | None = None,
    ) -> None:
        picked = None if sample is None else rows[sample]
        self.rows, self.sample = (rows, picked) if of_all or picked is None else (picked, None)
        self.network, self.roughness, self.learn, self.penalty = network, roughness, learn, penalty
        self.free = FreeParameters(network)
        self.normal = isinstance(rows.likelihood, Normal)
        self.known = 0.0  # coefficients that the rows determine

    @property
    def size(self) -> int:
        return self.free.size

    @property
    def reported(self) -> float:
        """The loss per row."""
        return self.loss / self.rows.total

    @property
    def mean_loss(self) -> float:
        """The loss as `fit` reports it, without penalty."""
        return self.loss / self._rows()

    def begin(self) -> None:
        self._evaluate()
        self.precision = noise_precision(self.loss, 0.0, self.count) if self.normal else 1.0

    def _evaluate(self) -> None:
        self.at = self.free.get()
        self.outputs = self.rows.outputs(self.network)
        self.loss = float(self.rows.loss(self.outputs))
        self.count = self.rows.total * self.outputs.shape[1]

    def kept(self) -> list[float]:
        """All but the states of the network and of the roughness, which the keeper keeps."""
        return [self.precision, self.known]

    def resume(self, kept: list[float]) -> None:
        self._evaluate()
        self.precision, self.known = kept

    def linearise(self) -> RegularisedSystem:
        self.before = self._objective(self.at, self.loss)
        self.system = self._by_rows() or self._by_parameters()
        return self.system

    def _by_rows(self) -> ByRows | None:
        """The system of a Jacobian, where that takes less time."""
        if self.penalty or self.sample is not None or not rows_suffice(self.outputs.numel(), self.size, self.roughness):
            return None
        outputs, columns = jacobian(self.network, self.rows.x, self.free)
        r, directions = _residuals(self.rows)(outputs, slice(None))
        columns = (columns if directions is None else directions @ columns).flatten(0, 1)
        slope = self.precision * (columns.T @ r.flatten()) + self.roughness.slope(self.at)
        return ByRows(self.precision**0.5 * columns, slope, self.roughness)

    def _by_parameters(self) -> ByParameters:
        if self.sample is None:
            curvature, slope = derivatives(self.network, self.rows, self.free)
        else:
            curvature = derivatives(self.network, self.sample, self.free)[0] * (self.rows.total / self.sample.total)
            slope = gradient(self.network, self.rows.x, _residuals(self.rows), self.free)
        if self.penalty:
            more = self.penalty.quadratic(self.network, self.rows.x, self.free)
            curvature, slope = curvature + self._rows() * more[0], slope + self._rows() * more[1]
        curvature = self.precision * curvature
        slope = self.precision * slope + self.roughness.slope(self.at)
        self.roughness.add_to(curvature)
        return ByParameters(curvature, slope, self.roughness)

    def attempt(self, vector: Tensor) -> float:
        self.new = self.at + vector
        self.free.set(self.new)
        self.new_outputs = self.rows.outputs(self.network)
        self.new_loss = float(self.rows.loss(self.new_outputs))
        return self.before - self._objective(self.new, self.new_loss)

    def accept(self) -> None:
        squares = self.rows.squared_move(self.outputs, self.new_outputs)
        self.moved = (self.precision * squares / self.count) ** 0.5
        self.at, self.outputs, self.loss = self.new, self.new_outputs, self.new_loss

    def reject(self) -> None:
        self.free.set(self.at)

    def progressed(self, lowest: float, tolerance: float) -> bool:
        """Whether the step moved the outputs by as much as `tolerance` of their noise."""
        return not self.moved < tolerance

    def no_progress(self, patience: int, tolerance: float) -> str:
        return f"converged: {patience} steps in a row moved the outputs by less than {tolerance:g} of the noise"

    def follow(self) -> None:
        """Update the weights of the roughness and the precision."""
        if not (self.learn or self.normal):
            return
        left = self.system.freedom()
        self.known = known = determined(self.roughness, self.size, left)
        if self.learn:
            update_weights(self.roughness, self.at, left, together=self.moved > EVIDENCE.moving)
        if self.normal:
            self.precision = updated_precision(self.precision, self.loss, known, self.count)

    def _objective(self, at: Tensor, loss: float) -> float:
        """What a step lowers, for the parameters of the network, which are `at`."""
        if self.penalty:
            loss += self._rows() * float(self.penalty.value(self.network, self.rows.x))
        return self.precision * loss + float(self.roughness.value(at))

    def _rows(self) -> float:
        """The ratio of the loss to the mean loss of `fit`, which is that of squares for normal targets."""
        return self.count / 2 if self.normal else self.rows.total


def derivatives(network: KANNetwork, rows: Rows, free: FreeParameters) -> tuple[Tensor, Tensor]:
    """Gauss-Newton curvature (P, P) and slope (P,) of the loss over all rows."""
    return normal_equations(network, rows.x, _residuals(rows), free)


def _residuals(rows: Rows) -> Residuals:
    """The residuals of some rows and their derivatives by the network's outputs."""
    even = bool((rows.weights == 1).all())

    def residuals(outputs: Tensor, places: slice) -> tuple[Tensor, Tensor | None]:
        r, directions = rows.likelihood.residuals(outputs + rows.offset, rows.targets[places])
        return (r, directions) if even else weigh(r, directions, rows.weights[places])

    return residuals
