"""Points and knots that go where the residual is, for solutions with thin layers."""

from __future__ import annotations

import torch
from torch import Tensor

from knotwork.kan import KAN
from knotwork.pde.points import spread
from knotwork.pde.problem import Problem
from knotwork.pde.solution import residual_of
from knotwork.splines import adaptive_knots, grid_range

CANDIDATES = 8  # times the points wanted
EVEN = 0.5  # share of the points that stay evenly spread, and of even spacing in the knots


def focused_points(problem: Problem, model: KAN, unknowns: Tensor, n: int, seed: int) -> Tensor:
    """n points (n, coordinates), drawn with a density of one half plus half |residual| / its mean."""
    candidates = spread(CANDIDATES * n, problem.ends(), seed)
    size = residual_of(problem, model, candidates, unknowns).square().sum(0).sqrt()
    density = EVEN + (1 - EVEN) * size / size.mean().clamp_min(1e-300)
    generator = torch.Generator().manual_seed(seed)
    return candidates[torch.multinomial(density, n, generator=generator)]


def move_knots(model: KAN, x: Tensor) -> None:
    """Lay the input knots half evenly, half at quantiles of points x (n, coordinates); the curves are kept in L²."""
    layer = model.layers[0]
    layer.set_knots(adaptive_knots(x, *grid_range(layer.knots, layer.k), layer.grid, layer.k, EVEN))
