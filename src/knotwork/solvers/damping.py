"""How far a Gauss-Newton step goes: Marquardt's scaling with Nielsen's damping."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from knotwork.solvers.settings import SOLVER


class Damping:
    """λ of the damped normal equations, and how it changes after accepted and rejected steps.

    It falls by a factor up to 3 where the quadratic model predicted the decrease of a step. It rises faster and faster
    where steps are rejected (Madsen, Nielsen, Tingleff 2004, section 3.2).

    Args:
        value: λ at the start; None: `SOLVER.first_damping`.
        least: lower limit of λ; None: `SOLVER.least_damping`.
        largest: λ above which `rejected` says that there is no better step.
    """

    def __init__(self, value: float | None = None, least: float | None = None, largest: float = math.inf) -> None:
        self.first = SOLVER.first_damping if value is None else value
        self.least = SOLVER.least_damping if least is None else least
        self.largest = largest
        self.restart()

    def restart(self) -> None:
        """Go back to the first λ: the problem has changed."""
        self.value, self.growth, self.rejections = self.first, SOLVER.damping_growth, 0

    def accepted(self, decrease: float, predicted: float) -> None:
        """Record an accepted step: the decrease of the objective, and the one that the quadratic model predicted."""
        share = min(decrease / max(predicted, 1e-300), 1.0)  # from there on the factor is the smallest
        factor = max(1 / SOLVER.largest_damping_decrease, 1 - (2 * share - 1) ** 3)
        self.value = max(self.value * factor, self.least)
        self.growth, self.rejections = SOLVER.damping_growth, 0

    def rejected(self) -> bool:
        """Record a rejected step. Returns True if no step is assumed to lower the objective any more."""
        self.value, self.growth, self.rejections = self.value * self.growth, 2 * self.growth, self.rejections + 1
        return self.rejections > SOLVER.most_rejected or self.value > self.largest


@dataclass(frozen=True)
class Step:
    """A damped step.

    Args:
        vector: the change of the parameters, (P,).
        predicted: decrease of the objective that the quadratic model predicts, in the units of the objective.
        solve: multiplies a vector (P,) by (JᵀJ + λD)⁻¹, for the acceleration.
    """

    vector: Tensor
    predicted: float
    solve: Callable[[Tensor], Tensor]


class System(Protocol):
    """The quadratic model of an objective at one place: it gives the step for any damping, as often as asked.

    An implementation may factorise once (an eigendecomposition) and serve several values of λ from that.
    """

    def step(self, damping: float) -> Step | None:
        """The damped step; None where the matrix is not positive definite or a number is not finite."""
        ...


@dataclass(frozen=True)
class NormalEquations:
    """Dense normal equations, solved by a Cholesky factorisation for each λ.

    Args:
        matrix: JᵀJ (P, P), half of the second derivatives of the objective.
        gradient: Jᵀr (P,), half of the first derivatives.
    """

    matrix: Tensor
    gradient: Tensor

    def step(self, damping: float) -> Step | None:
        """The solution of (JᵀJ + λD) s = -Jᵀr with D the diagonal of JᵀJ; None if there is none."""
        diagonal = self.matrix.diagonal()
        scale = diagonal.clamp_min(SOLVER.diagonal_floor * float(diagonal.max()) + 1e-300)
        damped = self.matrix.clone()
        damped.diagonal().add_(damping * scale)
        factor, failed = torch.linalg.cholesky_ex(damped)
        if int(failed):
            return None

        def solve(vector: Tensor) -> Tensor:
            return torch.cholesky_solve(vector.unsqueeze(-1), factor).squeeze(-1)

        step = -solve(self.gradient)
        if not bool(step.isfinite().all()):
            return None
        return Step(step, float(damping * (step * scale * step).sum() - step @ self.gradient), solve)


@dataclass(frozen=True)
class ScaledEquations(NormalEquations):
    """Normal equations of a Jacobian whose columns were divided by `sizes` (P,): parameters of very different sizes.

    Without it, the floor of the scaling diagonal holds those with small derivatives where they are.
    """

    sizes: Tensor

    def step(self, damping: float) -> Step | None:
        """The step of the parameters themselves."""
        step = super().step(damping)
        if step is None:
            return None
        return Step(step.vector / self.sizes, step.predicted, lambda v: step.solve(v / self.sizes) / self.sizes)
