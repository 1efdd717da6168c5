"""Normal equations with the shape of an arrow: groups of parameters that meet only through shared parameters."""

from dataclasses import dataclass

import torch
from torch import Tensor

from knotwork.solvers.damping import Step
from knotwork.solvers.settings import SOLVER


@dataclass(frozen=True)
class ArrowEquations:
    """Normal equations of S shared parameters and of V parameters in each of G groups, in this order.

    A step costs one factorisation of V by V for each group and one of S by S (the Schur complement of the shared
    parameters), so time grows linearly with the number of groups (Nocedal and Wright, Numerical Optimization, 2006,
    section 10.3).

    Args:
        corner: JᵀJ of the shared parameters, (S, S).
        sides: JᵀJ of shared parameters with those of each group, (G, S, V).
        blocks: JᵀJ of the parameters of each group, (G, V, V).
        gradient: Jᵀr, (S + G V,).
    """

    corner: Tensor
    sides: Tensor
    blocks: Tensor
    gradient: Tensor

    def step(self, damping: float) -> Step | None:
        """The solution of (JᵀJ + λD) s = -Jᵀr with D the diagonal of JᵀJ; None if there is none."""
        diagonal = torch.cat([self.corner.diagonal(), self.blocks.diagonal(dim1=1, dim2=2).flatten()])
        scale = diagonal.clamp_min(SOLVER.diagonal_floor * float(diagonal.max()) + 1e-300)
        shared, (groups, own) = len(self.corner), self.blocks.shape[:2]
        added = damping * scale
        blocks = self.blocks + torch.diag_embed(added[shared:].view(groups, own))
        factors, failed = torch.linalg.cholesky_ex(blocks)
        solved = torch.cholesky_solve(self.sides.mT, factors)  # (G, V, S)
        schur = self.corner + torch.diag(added[:shared]) - (self.sides @ solved).sum(0)
        factor, failed_too = torch.linalg.cholesky_ex(schur)
        if bool(failed.any()) or bool(failed_too):
            return None

        def solve(vector: Tensor) -> Tensor:
            first, rest = vector[:shared, None], vector[shared:].view(groups, own, 1)
            top = torch.cholesky_solve(first - (solved.mT @ rest).sum(0), factor)
            return torch.cat([top, (torch.cholesky_solve(rest, factors) - solved @ top).view(-1, 1)])[:, 0]

        step = -solve(self.gradient)
        if not bool(step.isfinite().all()):
            return None
        return Step(step, float(damping * (step * scale * step).sum() - step @ self.gradient), solve)
