"""How far a second-order step goes: Marquardt's scaling with Nielsen's damping."""

import torch
from torch import Tensor

FIRST = 1e-3
LEAST = 1e-15
BENT = 0.75  # of a step that its correction may be
MOST_REJECTED = 25  # steps in a row, each damped more, after which there is none that helps


class Damping:
    """λ of the damped normal equations, and how it follows steps that are taken or not.

    It falls by a factor up to 3 where the quadratic model foretold the gain of a step, and rises faster and faster
    where steps gain nothing (Madsen, Nielsen, Tingleff 2004, section 3.2).
    """

    def __init__(self, value: float = FIRST, least: float = LEAST) -> None:
        self.value, self.least, self.growth, self.rejections = value, least, 2.0, 0

    def taken(self, gained: float, predicted: float) -> None:
        """A step lowered the objective by `gained`, where the model had `predicted` so much."""
        share = gained / max(predicted, 1e-300)
        self.value = max(self.value * max(1 / 3, 1 - (2 * share - 1) ** 3), self.least)
        self.growth, self.rejections = 2.0, 0

    def rejected(self) -> bool:
        """A step did not help; whether so many did not that there is none."""
        self.value, self.growth, self.rejections = self.value * self.growth, 2 * self.growth, self.rejections + 1
        return self.rejections > MOST_REJECTED


def damped_step(matrix: Tensor, gradient: Tensor, damping: float) -> tuple[Tensor | None, float, Tensor]:
    """The damped step, the decrease of the loss that the quadratic model predicts, and the Cholesky factor.

    `matrix` (P, P) and `gradient` (P,) are halves of second and first derivatives. The step is None where the matrix
    is not positive definite or a number not finite.
    """
    diagonal = matrix.diagonal()
    scale = diagonal.clamp_min(1e-8 * float(diagonal.max()) + 1e-300)
    factor, failed = torch.linalg.cholesky_ex(matrix + torch.diag(damping * scale))
    if int(failed):
        return None, 0.0, factor
    step = -torch.cholesky_solve(gradient.unsqueeze(-1), factor).squeeze(-1)
    if not bool(step.isfinite().all()):
        return None, 0.0, factor
    return step, float(damping * (step * scale * step).sum() - step @ gradient), factor


def bent_step(step: Tensor, pulled: Tensor, factor: Tensor) -> Tensor:
    """The step with half its acceleration -(JᵀJ + λD)⁻¹ Jᵀ r'' (Transtrum and Sethna 2012), `pulled` being Jᵀ r''.

    Where the acceleration is larger than BENT of the step, its series is not to be trusted and it stays straight.
    """
    acceleration = -torch.cholesky_solve(pulled.unsqueeze(-1), factor).squeeze(-1)
    small = bool(acceleration.norm() <= BENT * step.norm())  # False for NaN
    return step + acceleration / 2 if small else step
