"""Points and knots that go where the residual is, for solutions with thin layers."""

from __future__ import annotations

import torch
from torch import Tensor

from knotwork.kan import KAN
from knotwork.pde.points import inside
from knotwork.pde.problem import Problem
from knotwork.pde.solution import residual_of
from knotwork.splines import extend_knots, insert_knots

CANDIDATES = 8  # times the points wanted
EVEN = 0.5  # share of the points that stay evenly spread
MOST_PARTS = 6  # that an interval is cut into at once


def focused_points(problem: Problem, model: KAN, unknowns: Tensor, n: int, seed: int) -> Tensor:
    """n points (n, coordinates), drawn with a density of one half plus half |residual| / its mean; and the corners."""
    candidates = inside(problem, CANDIDATES * n, seed).x
    size = residual_of(problem, model, candidates, unknowns).square().sum(0).sqrt()
    density = EVEN + (1 - EVEN) * size / size.mean().clamp_min(1e-300)
    generator = torch.Generator().manual_seed(seed)
    density[: 2 ** len(problem.domain)] = 1e3 * density.max()  # the corners, which are first: certain to be drawn
    return candidates[torch.multinomial(density, n, generator=generator)]


@torch.no_grad()
def refined_where(model: KAN, x: Tensor) -> KAN:
    """The same function with twice as many intervals, those of the inputs where points x (n, coordinates) are many.

    Intervals are cut into equal parts, the one with most points a part first, so every old knot stays.
    """
    finer, layer = model.refined(2 * model.spec.grid), model.layers[0]
    inner = layer.knots[:, layer.k : layer.knots.shape[1] - layer.k]
    knots = torch.stack([_cut(points, column) for points, column in zip(inner, x.T, strict=True)])
    first = finer.layers[0]
    first.knots = extend_knots(knots, layer.k)
    first.coefficients.copy_(insert_knots(layer.coefficients, layer.knots, first.knots, layer.k))
    return finer


def _cut(points: Tensor, x: Tensor) -> Tensor:
    """Grid points (G + 1,) with G more between them, where x (n,) are many: (2 G + 1,)."""
    grid = len(points) - 1
    inside = torch.bucketize(x.contiguous(), points[1:-1].contiguous(), right=True)
    count = torch.bincount(inside, minlength=grid).double()
    parts = torch.ones(grid, dtype=torch.long)
    for _ in range(grid):
        parts[torch.where(parts < MOST_PARTS, count / parts, -1.0).argmax()] += 1
    cut = [torch.linspace(0, 1, int(n) + 1, dtype=points.dtype)[:-1] for n in parts]
    inner = [low + share * length for low, share, length in zip(points, cut, points.diff(), strict=False)]
    return torch.cat([*inner, points[-1:]])
