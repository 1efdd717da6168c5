"""Second-order steps on likelihood and roughness together, while the data say how much roughness they want."""

import torch
from torch import Tensor

from knotwork.estimators.roughness import FASTEST, Roughness
from knotwork.estimators.rows import Rows
from knotwork.model import FreeParameters, KANNetwork, normal_equations
from knotwork.solvers import EachStep, Ended, StopReason
from knotwork.training.damping import Damping
from knotwork.training.likelihood import Normal, weigh

PATIENCE = 3  # steps in a row that hardly move the outputs
STIFFEST = 1e12  # damping at which a step is rounding


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
) -> Ended:
    """Lower precision·loss + roughness by damped Gauss-Newton steps, in place.

    The loss is the negative log-likelihood. After each step the precision (1/σ² of normal targets, else 1) and, with
    `learn`, the weights of the roughness move towards the values under which the data are most probable: the evidence
    framework of MacKay (1992) and Foresee and Hagan (1997). It ends when three steps in a row move the outputs by less
    than `tolerance` of their noise, or when `each_step(step, loss per row)` gives a reason.
    """
    free = FreeParameters(network)
    at, damping, still = free.get(), Damping(1e-2, 1e-12), 0
    outputs = rows.outputs(network)
    loss = float(rows.loss(outputs))
    normal = isinstance(rows.likelihood, Normal)
    count = rows.total * outputs.shape[1]
    precision = _precision(loss, 0.0, count) if normal else 1.0
    for step in range(1, steps + 1):
        curvature, slope = derivatives(network, rows, free)
        curvature, slope = precision * curvature, precision * slope + roughness.slope(at)
        roughness.add_to(curvature)
        before = precision * loss + float(roughness.value(at))
        while True:
            move = _solve(curvature, slope, damping.value)
            free.set(at + move)
            new = rows.outputs(network)
            new_loss = float(rows.loss(new))
            after = precision * new_loss + float(roughness.value(at + move))
            if after <= before:
                break
            damping.rejected()
            if damping.value > STIFFEST:
                free.set(at)
                return Ended(step, StopReason.NO_STEP, "converged: no step lowers the objective any more")
        predicted = -float(slope @ move + 0.5 * move @ (curvature @ move))
        damping.taken(before - after, predicted)
        moved = (precision * float(rows.weights @ (new - outputs).square().sum(1)) / count) ** 0.5
        at, outputs, loss = at + move, new, new_loss
        if learn or normal:
            covariance = torch.cholesky_inverse(_factor(curvature))
            determined = roughness.determined(covariance)
            if learn:
                roughness.learn(at, covariance)
            if normal:
                wanted = _precision(loss, determined, count)
                precision = min(max(wanted, precision / FASTEST), precision * FASTEST)
        stop = each_step(step, loss / rows.total)
        if stop:
            return stop.after(step)
        still = still + 1 if moved < tolerance else 0
        if still == PATIENCE:
            few = f"{PATIENCE} steps in a row moved the outputs by less than {tolerance:g} of the noise"
            return Ended(step, StopReason.CONVERGED, f"converged: {few}")
    return Ended(steps, StopReason.STEP_LIMIT, f"the limit of {steps} steps was reached")


def derivatives(network: KANNetwork, rows: Rows, free: FreeParameters) -> tuple[Tensor, Tensor]:
    """Gauss-Newton curvature (P, P) and slope (P,) of the loss over all rows."""
    even = bool((rows.weights == 1).all())

    def residuals(outputs: Tensor, places: slice) -> tuple[Tensor, Tensor | None]:
        r, directions = rows.likelihood.residuals(outputs + rows.offset, rows.targets[places])
        return (r, directions) if even else weigh(r, directions, rows.weights[places])

    return normal_equations(network, rows.x, residuals, free)


def _precision(loss: float, determined: float, count: float) -> float:
    """1/σ² from the squares left over and the degrees of freedom left over, at least a twentieth of all."""
    return max(count - determined, 0.05 * count) / (2 * loss + 1e-24 * count)


def _solve(curvature: Tensor, slope: Tensor, damping: float) -> Tensor:
    factor = _factor(curvature + torch.diag(damping * curvature.diagonal()))
    return -torch.cholesky_solve(slope[:, None], factor)[:, 0]


def _factor(matrix: Tensor) -> Tensor:
    """The Cholesky factor of a matrix that is positive definite but for rounding; of its diagonal if it is not."""
    diagonal = matrix.diagonal().clamp_min(1e-300)
    for ridge in (1e-13, 1e-11, 1e-9, 1e-7):
        factor, failed = torch.linalg.cholesky_ex(matrix + torch.diag(ridge * diagonal))
        if not int(failed):
            return factor
    return torch.diag(diagonal.sqrt())
