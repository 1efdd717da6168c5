"""Many small nonlinear least-squares problems, solved at once by damped Gauss-Newton steps."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from knotwork.solvers.settings import DAMPING, BatchedDamping

State = tuple[Tensor, ...]


class BatchedProblem(Protocol):
    """K least-squares problems of the same form, with P parameters each."""

    def evaluate(self, parameters: Tensor) -> State:
        """The state at parameters (K, P): tensors whose first axis is the problem, mean squared errors (K,) first.

        The error is infinite where the parameters are not allowed. Other tensors are what `normal_equations` needs.
        """
        ...

    def normal_equations(self, state: State) -> tuple[Tensor, Tensor]:
        """JᵀJ (K, Q, Q) and Jᵀr (K, Q), finite, with Q ≥ P; the first P of the Q unknowns are the parameters.

        The others are linear coefficients that `evaluate` determines itself (variable projection).
        """
        ...


@dataclass(frozen=True)
class BatchedSolution:
    """Parameters (K, P) of every problem, their mean squared errors (K,), and the number of steps made."""

    parameters: Tensor
    losses: Tensor
    steps: int


def solve_batched(
    problem: BatchedProblem, start: Tensor, steps: int, damping: BatchedDamping = DAMPING
) -> BatchedSolution:
    """Damped Gauss-Newton steps (Levenberg-Marquardt) of all problems at once, from parameters `start` (K, P).

    Each problem accepts or rejects its own step: its error never grows. The batch ends after `steps` steps, or when no
    problem has made progress for `damping.patience` steps.
    """
    parameters, state = start, problem.evaluate(start)
    scale, idle, done = torch.full_like(state[0], damping.first), 0, 0
    while done < steps and idle < damping.patience:
        done += 1
        matrix, gradient = problem.normal_equations(state)
        trial = parameters + _damped_steps(matrix, gradient, scale, damping.floor)[:, : start.shape[1]]
        new = problem.evaluate(trial)
        better = new[0] < state[0]
        gain = torch.where(better, (state[0] - new[0]) / state[0].clamp_min(1e-300), torch.zeros_like(new[0]))
        parameters = torch.where(better[:, None], trial, parameters)
        state = tuple(_chosen(better, one, other) for one, other in zip(new, state, strict=True))
        scale = torch.where(better, scale / damping.factor, scale * damping.factor)
        scale = scale.clamp(damping.smallest, damping.largest)
        idle = 0 if bool((gain > damping.least_gain).any()) else idle + 1
    return BatchedSolution(parameters, state[0], done)


def _damped_steps(matrix: Tensor, gradient: Tensor, scale: Tensor, floor: float) -> Tensor:
    """Steps (K, Q); zero where a number is not finite."""
    diagonal = matrix.diagonal(dim1=-2, dim2=-1)
    added = torch.diag_embed(scale[:, None] * diagonal + floor * diagonal.amax(-1, keepdim=True) + 1e-300)
    step, _ = torch.linalg.solve_ex(matrix + added, -gradient.unsqueeze(-1))
    return torch.nan_to_num(step.squeeze(-1), nan=0.0, posinf=0.0, neginf=0.0)


def _chosen(better: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """The new values of problems that are better, the old ones of others."""
    return torch.where(better.view(-1, *[1] * (new.ndim - 1)), new, old)
