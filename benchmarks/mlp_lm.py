"""Levenberg-Marquardt for MLPs, so that the baseline of `toys.py` is trained as our networks are.

python benchmarks/mlp_lm.py                 # compares its Jacobian with finite differences
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

import knotwork as kw
from knotwork.training.damping import BENT, FIRST, LEAST, MOST_REJECTED
from knotwork.training.levenberg_marquardt import PROBE

RACE = 30  # steps of every start in a race


@torch.no_grad()
def jacobian(model: kw.MLP, x: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs (batch, 1) and their derivatives by the parameters (batch, P), as `parameters()` has them."""
    linears = [layer for layer in model.layers if isinstance(layer, nn.Linear)]
    values, before = [x], []  # what enters each linear map, and what leaves it
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


@torch.no_grad()
def levenberg_marquardt(
    model: kw.MLP, x: Tensor, y: Tensor, *, steps: int, tolerance: float = 1e-5, patience: int = 10
) -> int:
    """The steps of `knotwork.training.levenberg_marquardt` for an MLP with one output, in place; steps taken."""
    parameters = list(model.parameters())
    damping, growth, slow, rejected, taken = FIRST, 2.0, 0, 0, 0
    here, columns = jacobian(model, x)
    loss = lowest = float((here - y).square().mean())
    matrix, gradient = columns.T @ columns / len(x), columns.T @ (here - y).squeeze(1) / len(x)
    while taken < steps and slow < patience and rejected <= MOST_REJECTED:
        start, diagonal = parameters_to_vector(parameters), matrix.diagonal()
        scale = diagonal.clamp_min(1e-8 * float(diagonal.max()) + 1e-300)
        factor, failed = torch.linalg.cholesky_ex(matrix + torch.diag(damping * scale))
        new, predicted = float("nan"), 0.0
        if not int(failed):
            step = -torch.cholesky_solve(gradient.unsqueeze(1), factor).squeeze(1)
            predicted = float(damping * (step * scale * step).sum() - step @ gradient)
            second = -2 * here
            for share in (PROBE, -PROBE):
                vector_to_parameters(start + share * step, parameters)
                second += model(x)
            pulled = columns.T @ (second / PROBE**2).squeeze(1) / len(x)
            bend = -torch.cholesky_solve(pulled.unsqueeze(1), factor).squeeze(1) / 2
            if bool(2 * bend.norm() <= BENT * step.norm()):
                step = step + bend
            vector_to_parameters(start + step, parameters)
            new = float((model(x) - y).square().mean())
        if new < loss:
            damping = max(damping * max(1 / 3, 1 - (2 * (loss - new) / max(predicted, 1e-300) - 1) ** 3), LEAST)
            growth, rejected, taken, loss = 2.0, 0, taken + 1, new
            slow = 0 if loss < (1 - tolerance) * lowest else slow + 1
            lowest = min(loss, lowest)
            here, columns = jacobian(model, x)
            matrix, gradient = columns.T @ columns / len(x), columns.T @ (here - y).squeeze(1) / len(x)
        else:
            vector_to_parameters(start, parameters)
            damping, growth, rejected = damping * growth, growth * 2, rejected + 1
    return taken


def raced(width: list[int], x: Tensor, y: Tensor, *, starts: int, steps: int, seed: int) -> tuple[kw.MLP, int]:
    """The best of `starts` after a few steps each, trained on; with the steps it took."""
    rivals = [kw.MLP(width, seed=1000 * seed + n) for n in range(starts)]
    for rival in rivals:
        levenberg_marquardt(rival, x, y, steps=RACE)
    with torch.no_grad():
        best = min(rivals, key=lambda rival: float((rival(x) - y).square().mean()))
    return best, levenberg_marquardt(best, x, y, steps=steps)


def check() -> float:
    """The largest difference between the Jacobian of an MLP and finite differences, which must be rounding."""
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
