"""Damped Gauss-Newton steps on all residuals: the optimiser that reaches the accuracy of splines."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from knotwork.model import FreeParameters, KANNetwork, Sweep, gradient, normal_equations, product, rows_at_once, sweep
from knotwork.solvers import (
    SOLVER,
    EachStep,
    Ended,
    Keeper,
    NormalEquations,
    Options,
    Problem,
    StagedKeeper,
    Step,
    Stop,
    accelerated_step,
    gauss_newton,
    second_differences,
)
from knotwork.training.fit_result import state_of
from knotwork.training.grids import adapt_hidden_grids, hidden_grids_fit, ruined
from knotwork.training.likelihood import Goal, Normal, Weighted, curved, rounded
from knotwork.training.penalties import Penalty
from knotwork.training.row_samples import on_growing_samples, pick
from knotwork.training.rows import effective_number
from knotwork.training.settings import SAMPLES, TRAINING
from knotwork.training.smoothness import Smoothness

NORMAL = Normal()


def levenberg_marquardt(
    network: KANNetwork,
    x: Tensor,
    y: Tensor,
    each_step: EachStep | None = None,
    *,
    steps: int = 100,
    tolerance: float = 1e-5,
    patience: int = 10,
    target: float = 0.0,
    penalty: Penalty | None = None,
    update_grid: bool = True,
    smoothness: float | None = None,
    likelihood: Goal = NORMAL,
    keeper: StagedKeeper | None = None,
    generator: torch.Generator | None = None,
    each_sample_step: EachStep | None = None,
) -> Ended:
    """Minimise the loss (plus penalty) over the free parameters, in place.

    The loss is that of the `likelihood`, by default the mean squared error. Its second derivatives are approximated by
    the Gauss-Newton matrix. The damped and accelerated steps are those of `knotwork.solvers.gauss_newton`. The
    acceleration saves most of the steps of a network whose layers must change together.

    A step is accepted only if it lowers the loss plus `smoothness` times the roughness of the curves (`Smoothness`).
    This weak penalty determines coefficients that no sample determines. Its weight grows once the loss is so small that
    it can hardly be noise. Hidden grids follow the activations between steps.

    Args:
        network: the network, trained in place.
        x: inputs, (n, in).
        y: targets, (n, out).
        each_step: called after every accepted step on all rows with its number and the loss; a `Stop` ends the fit.
        steps: limit of accepted steps.
        tolerance: relative decrease of the lowest loss so far that counts as progress.
        patience: steps in a row without progress after which the fit has converged.
        target: loss at which only rounding errors are left.
        penalty: added to the loss.
        update_grid: whether hidden grids follow the activations.
        smoothness: weight of the roughness of the curves, relative to the sensitivity of the outputs to them; None:
            that of the settings.
        likelihood: defines the loss.
        keeper: keeps the state of the loop, and gives the one to go on from.
        generator: draws samples of the rows, on which the first steps are made where there are many; None: all steps
            are on all rows.
        each_sample_step: called instead of `each_step` after a step on a sample, with the loss of it.

    Returns:
        The number of accepted steps and why the fit ended.
    """

    def on_rows(sample: Tensor | None, taken: int, most: int, last: bool, keeper: Keeper | None) -> Ended:
        of_all = last or sample is None
        problem = NetworkProblem(
            network,
            x if of_all else x[sample],
            y if of_all else y[sample],
            penalty=penalty,
            update_grid=update_grid,
            smoothness=smoothness,
            likelihood=likelihood,
            sample=sample if of_all else None,
        )
        options = Options(steps=most, tolerance=tolerance, patience=patience, target=target)
        if taken or not last:
            options = replace(options, patience=min(patience, SAMPLES.slow_steps))
            options = options if last else replace(options, tolerance=max(tolerance, SAMPLES.tolerance))
        watch = each_step if last else each_sample_step
        report = watch and (lambda step, loss: watch(taken + step, loss))
        return gauss_newton(problem, options, report, keeper)

    even = effective_number(y[:, -1]) / len(y) if isinstance(likelihood, Weighted) else 1.0
    return on_growing_samples(len(x), FreeParameters(network).size, steps, generator, on_rows, keeper, even)


class NetworkProblem(Problem):
    """The loss of a network on all rows, plus penalty and a weak smoothness penalty, at its present parameters.

    Acceptance of a step depends on `loss`, which does not include the smoothness penalty. With a `sample`, the places
    (m,) of some rows, second derivatives are those on the sample.
    """

    def __init__(
        self,
        network: KANNetwork,
        x: Tensor,
        y: Tensor,
        *,
        penalty: Penalty | None = None,
        update_grid: bool = True,
        smoothness: float | None = None,
        likelihood: Goal = NORMAL,
        sample: Tensor | None = None,
    ) -> None:
        self.network, self.x, self.penalty, self.likelihood = network, x, penalty, likelihood
        self.y, self.targets = rounded(likelihood, y), y
        self.sample, self.free = sample, FreeParameters(network)
        self.update_grid, self.grids_final = update_grid, not update_grid
        self.weight = TRAINING.smoothness if smoothness is None else smoothness
        self.smooth, self.rough = None, 0.0
        self.spread, self.falling = likelihood.spread(y), False

    @property
    def size(self) -> int:
        return self.free.size

    @property
    @torch.no_grad()
    def reported(self) -> float:
        """The loss plus penalty for targets that are not rounded."""
        if self.y is self.targets:
            return self.loss
        outputs = self.network(self.x) if self.seen is None else self.seen.outputs
        both = (self.likelihood.values(outputs, y).sum() for y in (self.targets, self.y))
        return self.loss + self.likelihood.scale(self.y) * float(next(both) - next(both))

    def begin(self) -> None:
        self.loss, self.seen = self._evaluate()
        if self.update_grid:
            self._move_grids(TRAINING.grid_ends)
        self._see_all_bits()
        self.start = self.free.get()

    def kept(self) -> dict[str, Any]:
        """All but the state of the network, which the keeper keeps."""
        smooth = None if self.smooth is None else self.smooth.kept()
        numbers = [self.loss, self.rough, self.falling, self.grids_final, self.y is self.targets]
        return {"numbers": numbers, "smooth": smooth}

    def resume(self, kept: dict[str, Any]) -> None:
        self.loss, self.rough, self.falling, self.grids_final, exact = kept["numbers"]
        self.y = self.targets if exact else self.y
        _, self.seen = self._evaluate()
        self.smooth = None if kept["smooth"] is None else Smoothness.resumed(kept["smooth"], self.x.device)

    def linearise(self) -> NormalEquations:
        matrix, slope = half_derivatives(
            self.network, self.x, self.y, self.free, self.penalty, self.seen, self.likelihood, self.sample
        )
        self.start = self.free.get()
        exact = self.loss <= TRAINING.noise_free * self.spread and not self.falling
        if self.smooth is None or exact > self.smooth.exact:
            self.smooth = Smoothness(self.network, self.free, matrix.diagonal(), self.weight, exact)
        # the rows require curves that are rougher than that
        self.rough = self.smooth.weaken(self.start, TRAINING.most_roughness * self.loss)
        return NormalEquations(*self.smooth.add_to(matrix, slope, self.start))

    @torch.no_grad()
    def accelerated(self, step: Step) -> Tensor:
        if self.sample is not None:  # it would cost more than a step
            return step.vector
        network, free, likelihood = self.network, self.free, self.likelihood
        inputs = network.select_inputs(self.x)
        here = network(self.x) if self.seen is None else self.seen.outputs

        def moved(share: float) -> list[Tensor]:
            free.set(self.start + share * step.vector)
            fast = free.compiled()
            return [network(self.x) if fast is None else fast.values(inputs)]

        second = second_differences([here], moved)[0]
        free.set(self.start)
        second *= likelihood.scale(self.y) / 2 / SOLVER.acceleration_probe**2
        second = curved(likelihood, here, self.y, second)
        return accelerated_step(step, product(network, self.x, here, second, free))

    def attempt(self, vector: Tensor) -> float:
        assert self.smooth is not None
        self.free.set(self.start + vector)
        self.new, self.new_seen = self._evaluate(self.seen)
        self.new_rough = self.smooth.value(self.start + vector)
        return self.loss + self.rough - self.new - self.new_rough

    def accept(self) -> None:
        self.falling = self.new < TRAINING.fast_decrease * self.loss
        self.loss, self.rough, self.seen = self.new, self.new_rough, self.new_seen

    def reject(self) -> None:
        self.free.set(self.start)

    def follow(self) -> None:
        self._see_all_bits()
        if self.update_grid and not hidden_grids_fit(self.network, self.x, self.seen):
            self._move_grids()

    def restart(self, stop: Stop | None, remaining: int | None) -> bool:
        """Adapt the hidden grids once more before the last steps, with a smaller tolerance than between steps."""
        if self.grids_final or not (stop or remaining == TRAINING.final_steps):
            return False
        self.grids_final = True
        return self._move_grids(TRAINING.grid_ends)

    def _see_all_bits(self) -> None:
        """Go on with targets that are not rounded where the loss is so small that rounding could matter."""
        if self.y is not self.targets and self.loss <= TRAINING.exact_targets * self.spread:
            self.y = self.targets
            self.loss, self.seen = self._evaluate(self.seen)

    def _move_grids(self, within: float | None = None) -> bool:
        """Let the hidden grids follow the activations, unless that ruins the fit; whether any has moved.

        The smoothness penalty has new weights then.
        """
        kept, loss, seen = state_of(self.network), self.loss, self.seen
        if not adapt_hidden_grids(self.network, self.x, within=within):
            return False
        self.loss, self.seen = self._evaluate(seen)
        if ruined(loss, self.loss, self.spread):
            self.network.load_state_dict(kept)
            self.loss, self.seen = loss, seen
            return False
        self.smooth = None
        return True

    def _evaluate(self, known: Sweep | None = None) -> tuple[float, Sweep | None]:
        """The loss, and its forward pass where all rows fit in one chunk."""
        network, x, free, penalty = self.network, self.x, self.free, self.penalty
        compiled = free.compiled() is not None  # then the normal equations need no sweep
        few = len(x) <= rows_at_once(free)
        if not (compiled or few):
            return objective_value(network, x, self.y, penalty, self.likelihood), None
        seen = sweep(network, x, known, values_only=compiled and not (penalty and few))
        return _objective(network, seen.outputs, x, self.y, penalty, self.likelihood, seen), seen


def objective_value(
    network: KANNetwork, x: Tensor, y: Tensor, penalty: Penalty | None, likelihood: Goal = NORMAL
) -> float:
    """Loss plus penalty on all rows."""
    with torch.no_grad():
        return _objective(network, network(x), x, y, penalty, likelihood)


@torch.no_grad()
def _objective(
    network: KANNetwork,
    outputs: Tensor,
    x: Tensor,
    y: Tensor,
    penalty: Penalty | None,
    likelihood: Goal,
    seen: Sweep | None = None,
) -> float:
    loss = likelihood.scale(y) * float(likelihood.values(outputs, y).sum())
    if not penalty:
        return loss
    if seen is not None and seen.whole:
        return loss + penalty.value_in(network, seen)
    return loss + float(penalty.value(network, x))


def half_derivatives(
    network: KANNetwork,
    x: Tensor,
    y: Tensor,
    free: FreeParameters,
    penalty: Penalty | None = None,
    seen: Sweep | None = None,
    likelihood: Goal = NORMAL,
    sample: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Half the second derivatives (P, P) of the objective in the Gauss-Newton approximation, and half the first (P,).

    `seen` is a forward pass over all rows at the present parameters, if there is one. With a `sample`, places (m,) of
    some rows, the second derivatives and those of the penalty are the means over these.
    """
    half = likelihood.scale(y) / 2
    few, few_y = pick(x, sample), pick(y, sample)
    seen = seen if sample is None else None
    matrix, slope = normal_equations(
        network, few, lambda outputs, rows: likelihood.residuals(outputs, few_y[rows]), free, seen
    )
    if sample is not None:
        weighted = isinstance(likelihood, Weighted)
        matrix *= float(y[:, -1].sum() / few_y[:, -1].sum()) if weighted else len(x) / len(few)
        slope = gradient(network, x, lambda outputs, rows: likelihood.residuals(outputs, y[rows]), free)
    matrix, slope = matrix.mul_(half), slope.mul_(half)
    if penalty:
        curvature, by_parameter = penalty.quadratic(network, few, free, seen)
        matrix, slope = matrix + curvature / 2, slope + by_parameter / 2
    return matrix, slope
