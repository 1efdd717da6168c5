"""Geodesic acceleration: a second-order correction that follows curved valleys (Transtrum and Sethna 2012)."""

from collections.abc import Callable, Sequence

from torch import Tensor

from knotwork.solvers.damping import Step
from knotwork.solvers.settings import SOLVER


def second_differences(here: Sequence[Tensor], at: Callable[[float], Sequence[Tensor]]) -> list[Tensor]:
    """Second derivatives r'' of residuals along a step, by a central difference.

    Args:
        here: the residuals at the present parameters, a tensor for each group of them.
        at: the residuals at a share of the step.

    Returns:
        The second differences, not yet divided by `SOLVER.acceleration_probe` squared.
    """
    found = [-2 * r for r in here]
    for share in (SOLVER.acceleration_probe, -SOLVER.acceleration_probe):
        found = [s + r for s, r in zip(found, at(share), strict=True)]
    return found


def accelerated_step(step: Step, vjp: Tensor) -> Tensor:
    """The step plus half of its acceleration -(JᵀJ + λD)⁻¹ Jᵀ r'', a vector (P,).

    Args:
        step: the damped step.
        vjp: Jᵀ r'' (P,), with r'' the second derivatives of the residuals along the step.

    Returns:
        The plain step where the acceleration is longer than `SOLVER.largest_acceleration` of it, or is not finite.
    """
    acceleration = -step.solve(vjp)
    small = bool(acceleration.norm() <= SOLVER.largest_acceleration * step.vector.norm())  # False for NaN
    return step.vector + acceleration / 2 if small else step.vector
