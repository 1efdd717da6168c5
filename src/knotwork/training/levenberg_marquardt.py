"""Damped Gauss-Newton on all residuals at once: the method that reaches the accuracy splines allow."""

from collections.abc import Callable

import torch
from torch import Tensor

from knotwork.model import FreeParameters, KANNetwork, Sweep, normal_equations, pull_back, rows_at_once, sweep
from knotwork.training.damping import Damping, bent_step, damped_step
from knotwork.training.grids import adapt_hidden_grids, hidden_grids_fit
from knotwork.training.likelihood import Goal, Normal
from knotwork.training.penalties import Penalty
from knotwork.training.smoothness import WHISPER, Smoothness

NORMAL = Normal()
EXACTLY = 0.003  # of a hidden grid: how far off its ends may be, at first and in the end
SETTLING = 10  # last steps, before which hidden grids are laid as they shall stay
MOST_ROUGH = 3.0  # times the loss, for the part of roughness in what is minimised
EXACT = 1e-8  # of the loss of a constant: what is less is the error of splines, and not noise
ROUNDED = "only rounding errors are left"
NEARLY = 100.0  # times the target: an error ten times as large
FALLING = 1e-3  # of the loss, or less, is left by a step of a network that may fit the rows exactly, to rounding
PROBE = 0.1  # of a step, for second derivatives along it


def levenberg_marquardt(
    network: KANNetwork,
    x: Tensor,
    y: Tensor,
    each_step: Callable[[int, float], str | None] | None = None,
    *,
    steps: int = 100,
    tolerance: float = 1e-5,
    patience: int = 10,
    target: float = 0.0,
    penalty: Penalty | None = None,
    update_grid: bool = True,
    smoothness: float = WHISPER,
    likelihood: Goal = NORMAL,
) -> tuple[int, str]:
    """Minimise the loss (plus penalty) over the free parameters, in place; steps taken and why it ended.

    The loss is that of the `likelihood`, the mean squared error by default, and its second derivatives are those of
    Gauss and Newton. Marquardt's scaling with Nielsen's damping (Madsen, Nielsen, Tingleff 2004, section 3.2), each
    step bent along the valley it follows by geodesic acceleration (Transtrum and Sethna 2012), which saves most of the
    steps of a network whose layers must turn together. A step is taken only if it lowers the loss plus `smoothness`
    times the roughness of the curves (`Smoothness`), which decides what the rows leave open, and continues curves more
    closely once the loss is so small that it can hardly be noise. Hidden grids follow the activations between steps.

    Stops when `patience` steps in a row bring no loss that is lower than all before by `tolerance` of it, when the loss
    is `target` or less, or when `each_step(step, loss)` gives a reason.
    """
    if update_grid:
        adapt_hidden_grids(network, x, within=EXACTLY)
    free = FreeParameters(network)
    if not free.size:
        return 0, "there is no parameter to train"
    loss, seen = _evaluate(network, x, y, free, penalty, likelihood)
    if loss != loss:
        return 0, "the loss is NaN where the fit began, so no step can be judged"
    damping, slow, taken, lowest = Damping(), 0, 0, loss
    smooth = system = None
    splines_own, falling = EXACT * likelihood.spread(y), False
    rough, settled = 0.0, not update_grid
    while taken < steps:
        if loss <= target:
            return taken, ROUNDED
        start, reason = free.get(), None
        if system is None:
            matrix, gradient = half_derivatives(network, x, y, free, penalty, seen, likelihood)
            exact = loss <= splines_own and not falling
            if smooth is None or exact > smooth.exact:
                smooth = Smoothness(network, free, matrix.diagonal(), smoothness, exact)
            rough = smooth.weaken(start, MOST_ROUGH * loss)  # curves rougher than that are what the rows ask for
            system = smooth.add_to(matrix, gradient, start)
        step, predicted, factor = damped_step(*system, damping.value)
        new, new_rough, trial = float("nan"), 0.0, None
        if step is not None:
            step = _bent(network, x, y, free, start, step, factor, seen, likelihood)
            free.set(start + step)
            new, trial = _evaluate(network, x, y, free, penalty, likelihood, seen)
            new_rough = smooth.value(start + step)  # type: ignore[union-attr]
        gained = loss + rough - new - new_rough
        if gained > 0:
            damping.taken(gained, predicted)
            taken, system = taken + 1, None
            falling = new < FALLING * loss
            loss, rough, seen = new, new_rough, trial
            slow = 0 if loss < (1 - tolerance) * lowest else slow + 1
            lowest = min(loss, lowest)
            if update_grid and not hidden_grids_fit(network, x, seen):
                adapt_hidden_grids(network, x)
                loss, seen = _evaluate(network, x, y, free, penalty, likelihood, seen)
                smooth = None
            reason = each_step(taken, loss) if each_step is not None else None
            if reason:
                return taken, reason
            if slow >= patience:
                reason = f"converged: {patience} steps in a row brought no loss lower by {tolerance:g} of it"
        else:
            free.set(start)
            if damping.rejected():
                reason = "converged: no step lowers the loss any more"
        if not settled and (reason or taken == steps - SETTLING):
            settled = True
            if adapt_hidden_grids(network, x, within=EXACTLY):
                loss, seen = _evaluate(network, x, y, free, penalty, likelihood, seen)
                smooth, system, reason = None, None, None
                damping, slow = Damping(), 0
        if reason:  # where rounding decides which step is lower, the last digits of the target are not always to be had
            return taken, ROUNDED if loss <= NEARLY * target else reason
    return taken, f"the limit of {steps} steps was reached"


def _evaluate(
    network: KANNetwork,
    x: Tensor,
    y: Tensor,
    free: FreeParameters,
    penalty: Penalty | None,
    likelihood: Goal,
    known: Sweep | None = None,
) -> tuple[float, Sweep | None]:
    """The objective, and the sweep it came from where all rows fit in one chunk."""
    compiled = free.compiled() is not None  # then the normal equations need no sweep
    if not compiled and len(x) > rows_at_once(free):
        return objective_value(network, x, y, penalty, likelihood), None
    seen = sweep(network, x, known, values_only=compiled)
    return _objective(network, seen.outputs, x, y, penalty, likelihood), seen


def objective_value(
    network: KANNetwork, x: Tensor, y: Tensor, penalty: Penalty | None, likelihood: Goal = NORMAL
) -> float:
    """Loss plus penalty on all rows."""
    with torch.no_grad():
        return _objective(network, network(x), x, y, penalty, likelihood)


@torch.no_grad()
def _objective(
    network: KANNetwork, outputs: Tensor, x: Tensor, y: Tensor, penalty: Penalty | None, likelihood: Goal
) -> float:
    loss = likelihood.scale(y) * float(likelihood.values(outputs, y).sum())
    return loss + float(penalty.value(network, x)) if penalty else loss


def half_derivatives(
    network: KANNetwork,
    x: Tensor,
    y: Tensor,
    free: FreeParameters,
    penalty: Penalty | None = None,
    seen: Sweep | None = None,
    likelihood: Goal = NORMAL,
) -> tuple[Tensor, Tensor]:
    """Half the second derivatives (P, P) of the objective, those of Gauss and Newton, and half the first (P,).

    `seen` is a sweep over all rows at the present parameters, if there is one.
    """
    half = likelihood.scale(y) / 2
    sums = normal_equations(network, x, lambda outputs, rows: likelihood.residuals(outputs, y[rows]), free, seen)
    matrix, gradient = sums[0].mul_(half), sums[1].mul_(half)
    if penalty:
        curvature, slope = penalty.quadratic(network, x, free)
        matrix, gradient = matrix + curvature / 2, gradient + slope / 2
    return matrix, gradient


@torch.no_grad()
def _bent(
    network: KANNetwork,
    x: Tensor,
    y: Tensor,
    free: FreeParameters,
    start: Tensor,
    step: Tensor,
    factor: Tensor,
    seen: Sweep | None,
    likelihood: Goal,
) -> Tensor:
    """The step bent by the second derivatives of the residuals along it."""
    compiled, inputs = free.compiled(), network.select_inputs(x)
    here = network(x) if seen is None else seen.outputs
    second = -2 * here
    for share in (PROBE, -PROBE):
        free.set(start + share * step)
        moved = free.compiled()
        second += network(x) if moved is None else moved.values(inputs)
    free.set(start)
    second *= likelihood.scale(y) / 2 / PROBE**2
    directions = likelihood.residuals(here, y)[1]
    if directions is not None:
        second = (directions.transpose(1, 2) @ (directions @ second.unsqueeze(2))).squeeze(2)
    if compiled is not None:  # from the gradient of the mean of |second|²
        pulled = compiled.loss_and_gradient(inputs, here - second)[1] * (second.numel() / 2)
    else:
        rows = rows_at_once(free)
        parts = zip(x.split(rows), second.split(rows), strict=True)
        pulled = torch.stack([pull_back(network, sweep(network, some), by, free) for some, by in parts]).sum(0)
    return bent_step(step, pulled, factor)
