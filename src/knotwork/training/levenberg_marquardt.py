"""Damped Gauss-Newton on all residuals at once: the method that reaches the accuracy splines allow."""

from collections.abc import Callable

import torch
from torch import Tensor

from knotwork.model import FreeParameters, KANNetwork, Sweep, jacobian, sweep
from knotwork.training.grids import adapt_hidden_grids, hidden_grids_fit
from knotwork.training.penalties import Penalty

CHUNK = 2**24  # entries of the Jacobian held at once


def levenberg_marquardt(
    network: KANNetwork,
    x: Tensor,
    y: Tensor,
    each_step: Callable[[int, float], str | None] | None = None,
    *,
    steps: int = 100,
    tolerance: float = 1e-4,
    patience: int = 10,
    target: float = 0.0,
    penalty: Penalty | None = None,
    update_grid: bool = True,
) -> tuple[int, str]:
    """Minimise the mean squared error (plus penalty) over the free parameters, in place; steps taken and why it ended.

    Marquardt's scaling with Nielsen's damping (Madsen, Nielsen, Tingleff 2004, section 3.2); a step is taken only if it
    lowers the loss. Hidden grids follow the activations between steps. Stops when `patience` steps in a row lower the
    loss by less than `tolerance` of it each, when the loss is `target` or less, or when
    `each_step(step, loss)` gives a reason.
    """
    if update_grid:
        adapt_hidden_grids(network, x)
    free = FreeParameters(network)
    if not free.size:
        return 0, "there is no parameter to train"
    loss, seen = _evaluate(network, x, y, free, penalty)
    if loss != loss:
        return 0, "the loss is NaN where the fit began, so no step can be judged"
    damping, growth, slow, taken, rejected = 1e-3, 2.0, 0, 0, 0
    system = None
    while taken < steps:
        if loss <= target:
            return taken, "only rounding errors are left"
        system = system or normal_equations(network, x, y, free, penalty, seen)
        step, predicted = _solve(*system, damping)
        start = free.get()
        new, trial = float("nan"), None
        if step is not None:
            free.set(start + step)
            new, trial = _evaluate(network, x, y, free, penalty, seen)
        if not new < loss:
            free.set(start)
            damping, growth, rejected = damping * growth, growth * 2, rejected + 1
            if rejected > 25:
                return taken, "converged: no step lowers the loss any more"
            continue
        gain = (loss - new) / max(predicted, 1e-300)
        damping = max(damping * max(1 / 3, 1 - (2 * gain - 1) ** 3), 1e-15)
        growth, rejected, taken, system = 2.0, 0, taken + 1, None
        slow = slow + 1 if loss - new < tolerance * loss else 0
        loss, seen = new, trial
        if update_grid and not hidden_grids_fit(network, x, seen):
            adapt_hidden_grids(network, x)
            loss, seen = _evaluate(network, x, y, free, penalty, seen)
        reason = each_step(taken, loss) if each_step is not None else None
        if reason:
            return taken, reason
        if slow >= patience:
            return taken, f"converged: {patience} steps in a row lowered the loss by less than {tolerance:g} of it"
    return taken, f"the limit of {steps} steps was reached"


def _evaluate(
    network: KANNetwork, x: Tensor, y: Tensor, free: FreeParameters, penalty: Penalty | None, known: Sweep | None = None
) -> tuple[float, Sweep | None]:
    """The objective, and the sweep it came from where all rows fit in one chunk."""
    compiled = free.compiled() is not None  # then the normal equations need no sweep
    if not compiled and len(x) > _rows_at_once(free, y):
        return objective_value(network, x, y, penalty), None
    seen = sweep(network, x, known, values_only=compiled)
    loss = float((seen.outputs - y).square().mean())
    return (loss + float(penalty.value(network, x).detach()) if penalty else loss), seen


def _rows_at_once(free: FreeParameters, y: Tensor) -> int:
    return max(1, CHUNK // (y.shape[1] * free.size))


@torch.no_grad()
def objective_value(network: KANNetwork, x: Tensor, y: Tensor, penalty: Penalty | None) -> float:
    """Mean squared error plus penalty on all rows."""
    loss = float((network(x) - y).square().mean())
    return loss + float(penalty.value(network, x).detach()) if penalty else loss


def normal_equations(
    network: KANNetwork,
    x: Tensor,
    y: Tensor,
    free: FreeParameters,
    penalty: Penalty | None,
    seen: Sweep | None = None,
) -> tuple[Tensor, Tensor]:
    """JᵀJ / n and Jᵀr / n over all rows and outputs, a chunk of rows at a time: (P, P) and (P,).

    `seen` is a sweep over all rows at the present parameters, if there is one.
    """
    compiled = free.compiled()
    if compiled is not None:
        matrix, gradient = compiled.normal_equations(network.select_inputs(x), y)
        return _with_penalty(matrix / y.numel(), gradient / y.numel(), network, x, free, penalty)
    rows = len(x) if seen is not None else _rows_at_once(free, y)
    matrix = torch.zeros(free.size, free.size, dtype=y.dtype, device=y.device)
    gradient = torch.zeros(free.size, dtype=y.dtype, device=y.device)
    for at in range(0, len(x), rows):
        outputs, columns = jacobian(network, x[at : at + rows], free, seen)
        columns = columns.flatten(0, 1)
        matrix += columns.T @ columns
        gradient += columns.T @ (outputs - y[at : at + rows]).flatten()
    return _with_penalty(matrix / y.numel(), gradient / y.numel(), network, x, free, penalty)


def _with_penalty(
    matrix: Tensor, gradient: Tensor, network: KANNetwork, x: Tensor, free: FreeParameters, penalty: Penalty | None
) -> tuple[Tensor, Tensor]:
    if penalty:
        curvature, slope = penalty.quadratic(network, x, free)
        matrix, gradient = matrix + curvature / 2, gradient + slope / 2
    return matrix, gradient


def _solve(matrix: Tensor, gradient: Tensor, damping: float) -> tuple[Tensor | None, float]:
    """The damped step and the decrease of the loss that the quadratic model predicts."""
    diagonal = matrix.diagonal()
    scale = diagonal.clamp_min(1e-8 * float(diagonal.max()) + 1e-300)
    factor, failed = torch.linalg.cholesky_ex(matrix + torch.diag(damping * scale))
    if int(failed):
        return None, 0.0
    step = -torch.cholesky_solve(gradient.unsqueeze(-1), factor).squeeze(-1)
    if not bool(step.isfinite().all()):
        return None, 0.0
    return step, float(damping * (step * scale * step).sum() - step @ gradient)
