"""Levenberg-Marquardt for MLPs, so that the baseline of `toys.py` is trained like the KANs.

python benchmarks/mlp_lm.py                 # compares its Jacobian with finite differences
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

import knotwork as kw
from knotwork.solvers import (
    SOLVER,
    NormalEquations,
    Options,
    Step,
    VectorProblem,
    accelerated_step,
    gauss_newton,
    second_differences,
)

RACE = 30  # steps of every start in a race


@torch.no_grad()
def jacobian(model: kw.MLP, x: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs (batch, 1) and their derivatives by the parameters (batch, P), in the order of `parameters()`."""
    linears = [layer for layer in model.layers if isinstance(layer, nn.Linear)]
    values, before = [x], []  # inputs and outputs of each linear map
    for linear in linears:
        before.append(linear(values[-1]))
        values.append(nn.functional.silu(before[-1]))
    by_sum = torch.ones_like(before[-1])
    blocks = []
    for l in reversed(range(len(linears))):
        blocks += [by_sum, (by_sum.unsqueeze(2) * values[l].unsqueeze(1)).flatten(1)]
        if l:
            share = torch.sigmoid(before[l - 1])
            by_sum = (by_sum @ linears[l].weight) * share * (1 + before[l - 1] * (1 - share))
    return before[-1], torch.cat(blocks[::-1], dim=1)


class MLPProblem(VectorProblem):
    """The mean squared error of an MLP with one output, as a function of its parameters in one vector."""

    def __init__(self, model: kw.MLP, x: Tensor, y: Tensor) -> None:
        self.model, self.x, self.y, self.parameters = model, x, y, list(model.parameters())
        super().__init__(parameters_to_vector(self.parameters))

    def outputs(self, at: Tensor) -> Tensor:
        vector_to_parameters(at, self.parameters)
        return self.model(self.x)

    def evaluate(self, at: Tensor) -> tuple[float, Tensor]:
        outputs = self.outputs(at)
        return float((outputs - self.y).square().mean()), outputs

    def linearise(self) -> NormalEquations:
        vector_to_parameters(self.at, self.parameters)
        self.here, self.columns = jacobian(self.model, self.x)
        n = len(self.x)
        gradient = self.columns.T @ (self.here - self.y).squeeze(1) / n
        return NormalEquations(self.columns.T @ self.columns / n, gradient)

    def accelerated(self, step: Step) -> Tensor:
        moved = second_differences([self.here], lambda share: [self.outputs(self.at + share * step.vector)])[0]
        second = (moved / SOLVER.acceleration_probe**2).squeeze(1)
        return accelerated_step(step, self.columns.T @ second / len(self.x))

    def reject(self) -> None:
        super().reject()
        vector_to_parameters(self.at, self.parameters)


@torch.no_grad()
def levenberg_marquardt(
    model: kw.MLP, x: Tensor, y: Tensor, *, steps: int, tolerance: float = 1e-5, patience: int = 10
) -> int:
    """Train an MLP with one output in place, like `knotwork.training.levenberg_marquardt`; the number of steps."""
    options = Options(steps=steps, tolerance=tolerance, patience=patience)
    return gauss_newton(MLPProblem(model, x, y), options).steps


def raced(width: list[int], x: Tensor, y: Tensor, *, starts: int, steps: int, seed: int) -> tuple[kw.MLP, int]:
    """The best of `starts` after a few steps each, trained further, and its number of steps."""
    rivals = [kw.MLP(width, seed=1000 * seed + n) for n in range(starts)]
    for rival in rivals:
        levenberg_marquardt(rival, x, y, steps=RACE)
    with torch.no_grad():
        best = min(rivals, key=lambda rival: float((rival(x) - y).square().mean()))
    return best, levenberg_marquardt(best, x, y, steps=steps)


def check() -> float:
    """The largest difference between the Jacobian of an MLP and finite differences: a rounding error."""
    model, worst, h = kw.MLP([2, 4, 3, 1], seed=0), 0.0, 1e-5
    x = torch.rand(20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    columns, parameters = jacobian(model, x)[1], list(model.parameters())
    start = parameters_to_vector(parameters).detach()
    for n, unit in enumerate(torch.eye(len(start), dtype=torch.float64)):
        ends = []
        for sign in (1, -1):
            vector_to_parameters(start + sign * h * unit, parameters)
            ends.append(model(x).detach())
        worst = max(worst, float(((ends[0] - ends[1]).squeeze(1) / (2 * h) - columns[:, n]).abs().max()))
    assert worst < 1e-9, f"the Jacobian is off by {worst:.1e}"
    assert sum(a * b + b for a, b in pairwise([2, 4, 3, 1])) == columns.shape[1]
    return worst


if __name__ == "__main__":
    print(f"the Jacobian differs from finite differences by at most {check():.1e}")
