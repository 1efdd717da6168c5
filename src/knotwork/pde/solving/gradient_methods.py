"""L-BFGS and Adam on the objective of a system, for comparison: they need many more steps than least squares."""

from __future__ import annotations

from typing import Any

import torch

from knotwork.pde.settings import PDE
from knotwork.pde.solving.hidden_grids import update_hidden_grids
from knotwork.pde.solving.system import System
from knotwork.solvers import EachStep, Ended, Keeper, StopReason
from knotwork.training import LBFGS, Adam
from knotwork.undisturbed import undisturbed


def minimise(
    system: System,
    optimizer: LBFGS | Adam,
    *,
    steps: int,
    update_grid: bool = True,
    each_step: EachStep | None = None,
    keeper: Keeper | None = None,
) -> Ended:
    """Minimise the objective of a system in place by L-BFGS or Adam; the number of steps and why it ended."""
    parameters = torch.nn.Parameter(system.get())
    stepper = _stepper(optimizer, parameters)

    def closure() -> float:
        system.set(parameters.detach())
        residuals = system.residuals()
        parameters.grad = 2 * system.vjp(residuals)
        return system.objective(residuals)

    begin = 1
    if kept := None if keeper is None else keeper.resume():
        begin = kept["step"] + 1
        system.restore(kept["system"])
        parameters.data.copy_(system.get())
        stepper.load_state_dict(kept["optimizer"])

    def state() -> dict[str, Any]:
        return {"step": taken, "system": system.state(), "optimizer": stepper.state_dict()}

    for taken in range(begin, steps + 1):
        before = system.get()
        try:
            loss = float(stepper.step(closure))  # type: ignore[arg-type]
        except KeyboardInterrupt:
            system.set(before)
            return Ended(taken - 1, StopReason.INTERRUPTED, StopReason.INTERRUPTED.value)
        system.set(parameters.detach())
        if loss != loss:
            return Ended(taken, StopReason.NOT_FINITE, "the objective became NaN")
        if (
            update_grid
            and taken % PDE.steps_between_grid_updates == 0
            and update_hidden_grids(system.network, system.rows)
        ):
            parameters.data.copy_(system.get())
            stepper.state.clear()  # what it knows of the curvature holds for the old grids
        stop = each_step(taken, loss) if each_step is not None else None
        if keeper is not None:
            keeper.keep(state, at_once=stop is not None)
        if stop:
            return stop.after(taken)
    return Ended(steps, StopReason.STEP_LIMIT, f"the limit of {steps} steps was reached")


@undisturbed()
def _stepper(optimizer: LBFGS | Adam, parameters: torch.nn.Parameter) -> torch.optim.Optimizer:
    if isinstance(optimizer, LBFGS):
        return torch.optim.LBFGS(
            [parameters], optimizer.lr, max_iter=1, history_size=PDE.lbfgs_history, line_search_fn="strong_wolfe",
            tolerance_grad=0.0, tolerance_change=0.0, max_eval=PDE.line_search_evaluations,
        )  # fmt: skip
    return torch.optim.Adam([parameters], optimizer.lr)
