"""L-BFGS and Adam on the objective of a system, for comparison: they need many more steps."""

from __future__ import annotations

from collections.abc import Callable

import torch

from knotwork.pde.hidden_grids import follow_values
from knotwork.pde.least_squares import System
from knotwork.training import INTERRUPTED

RATES = {"lbfgs": 1.0, "adam": 1e-3}
SEARCH = 30  # evaluations in a line search at most; by default torch allows one in a step like ours
FOLLOW = 10  # steps between two looks at the hidden grids


def minimise(
    system: System,
    optimizer: str,
    *,
    steps: int,
    update_grid: bool = True,
    each_step: Callable[[int, float], str | None] | None = None,
) -> tuple[int, str]:
    """Minimise the objective of a system in place by "lbfgs" or "adam"; steps taken and why it ended."""
    parameters = torch.nn.Parameter(system.get())
    if optimizer == "lbfgs":
        stepper: torch.optim.Optimizer = torch.optim.LBFGS(
            [parameters], RATES[optimizer], max_iter=1, history_size=50, line_search_fn="strong_wolfe",
            tolerance_grad=0.0, tolerance_change=0.0, max_eval=SEARCH,
        )  # fmt: skip
    else:
        stepper = torch.optim.Adam([parameters], RATES[optimizer])

    def closure() -> float:
        system.set(parameters.detach())
        residuals = system.residuals()
        parameters.grad = 2 * system.pull_back(residuals)
        return system.objective(residuals)

    for taken in range(1, steps + 1):
        before = system.get()
        try:
            loss = float(stepper.step(closure))  # type: ignore[arg-type]
        except KeyboardInterrupt:
            system.set(before)
            return taken - 1, INTERRUPTED
        system.set(parameters.detach())
        if loss != loss:
            return taken, "the objective became NaN"
        if update_grid and taken % FOLLOW == 0 and follow_values(system.network, system.rows):
            parameters.data.copy_(system.get())
            stepper.state.clear()  # what was learned of the slope holds for other parameters
        reason = each_step(taken, loss) if each_step is not None else None
        if reason:
            return taken, reason
    return steps, f"the limit of {steps} steps was reached"
