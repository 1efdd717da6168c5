"""Damped Gauss-Newton steps on the objective of a system, with variable projection of the last layer."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from knotwork.pde.settings import PDE
from knotwork.pde.solving.hidden_grids import update_hidden_grids
from knotwork.pde.solving.system import State, System
from knotwork.solvers import (
    SOLVER,
    EachStep,
    Ended,
    Keeper,
    NormalEquations,
    Options,
    Problem,
    Step,
    accelerated_step,
    gauss_newton,
    second_differences,
)


def levenberg_marquardt(
    system: System,
    *,
    steps: int,
    tolerance: float | None = None,
    patience: int | None = None,
    target: float = 0.0,
    update_grid: bool = True,
    each_step: EachStep | None = None,
    keeper: Keeper | None = None,
) -> Ended:
    """Minimise the objective of a system in place, by the steps of `knotwork.solvers.gauss_newton`.

    After every step the last layer is solved for alone (variable projection), and hidden grids are adapted to their
    values. The best state is kept, also where Ctrl-C ends it.

    Args:
        system: the terms of a problem and the network, changed in place.
        steps: limit of accepted steps.
        tolerance: relative decrease of the lowest objective so far that counts as progress; None: as in the settings.
        patience: steps in a row without progress after which it has converged; None: as in the settings.
        target: objective at which only rounding errors are left.
        update_grid: whether hidden grids are adapted to the values at the points.
        each_step: called after every accepted step with its number and the objective; a `Stop` ends it.
        keeper: keeps the state of the loop, and gives the one to go on from.

    Returns:
        The number of accepted steps and why it ended.
    """
    if update_grid:
        update_hidden_grids(system.network, system.rows)
    tolerance = PDE.tolerance if tolerance is None else tolerance
    patience = PDE.patience if patience is None else patience
    options = Options(steps=steps, tolerance=tolerance, patience=patience, target=target, keep_best=True)
    return gauss_newton(SystemProblem(system, update_grid), options, each_step, keeper)


class SystemProblem(Problem):
    """The objective of a system at its present parameters."""

    name = "objective"
    not_finite = "the residual is NaN at the first values, so no step can be judged"

    def __init__(self, system: System, update_grid: bool = True) -> None:
        self.system, self.update_grid = system, update_grid
        self.waited = 0  # steps in a row after which hidden grids were left as they were

    @property
    def size(self) -> int:
        return len(self.system.get())

    def begin(self) -> None:
        self.residuals = self.system.residuals()
        self.loss = self.system.objective(self.residuals)
        self.start = self.system.get()

    def kept(self) -> dict[str, Any]:
        return {"state": self.system.state(), "loss": self.loss, "waited": self.waited}

    def resume(self, kept: dict[str, Any]) -> None:
        self.system.restore(kept["state"])
        self.begin()
        self.loss, self.waited = kept["loss"], kept["waited"]

    def linearise(self) -> NormalEquations:
        self.start = self.system.get()
        return NormalEquations(*self.system.normal_equations())

    def accelerated(self, step: Step) -> Tensor:
        system = self.system

        def moved(share: float) -> list[Tensor]:
            system.set(self.start + share * step.vector)
            return system.residuals()

        second = second_differences(self.residuals, moved)
        system.set(self.start)
        return accelerated_step(step, system.vjp([s / SOLVER.acceleration_probe**2 for s in second]))

    def attempt(self, vector: Tensor) -> float:
        self.system.set(self.start + vector)
        self.new, self.new_residuals = after_projection(self.system)
        return self.loss - self.new

    def accept(self) -> None:
        self.loss, self.residuals = self.new, self.new_residuals

    def reject(self) -> None:
        self.system.set(self.start)

    def follow(self) -> None:
        """Adapt hidden grids to their values, unless that raises the objective much."""
        if not self.update_grid:
            return
        before = self.system.state()
        if not update_hidden_grids(self.system.network, self.system.rows):
            self.waited = 0
            return
        residuals = self.system.residuals()
        value = self.system.objective(residuals)
        early = self.waited < PDE.early_grid_waits
        largest = PDE.grid_increase if early else PDE.late_grid_increase
        if value <= largest * self.loss:
            self.loss, self.residuals, self.waited = value, residuals, 0
        else:
            self.system.restore(before)
            self.waited += 1

    def state(self) -> State:
        return self.system.state()

    def restore(self, state: State) -> None:
        self.system.restore(state)


def after_projection(system: System) -> tuple[float, list[Tensor]]:
    """The objective and the residuals after a step, with an optimal last layer if that lowers the objective.

    A step may then go further in the layers before, whose curves change what the last layer makes of them (variable
    projection; Golub and Pereyra 1973, in Kaufman's form with a joint step first).
    """
    residuals = system.residuals()
    value = system.objective(residuals)
    last = system.network.layers[-1]
    if len(system.network.layers) == 1 or not last.has_splines() or value != value:
        return value, residuals
    parameters = system.get()
    system.solve_layers(len(system.network.layers) - 1)
    others = system.residuals()
    other = system.objective(others)
    if other < value:
        return other, others
    system.set(parameters)
    return value, residuals
