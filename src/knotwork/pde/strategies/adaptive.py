"""Adaptive refinement: more points and knots where the residual or the curvature is large, for thin layers."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from knotwork.kan import KAN
from knotwork.pde.problems.points import PointSet, domain_points, sobol_points
from knotwork.pde.problems.problem import Problem
from knotwork.pde.settings import PDE
from knotwork.pde.solution import residual_of
from knotwork.splines import extend_knots, insert_knots


def adaptive_points(problem: Problem, model: KAN, unknowns: Tensor, n: int, seed: int) -> Tensor:
    """n points (n, coordinates), drawn with a density of 1/2 + |residual| / (2·mean |residual|); and the corners."""
    candidates = domain_points(problem, PDE.candidates_per_point * n, seed).x
    size = residual_of(problem, model, candidates, unknowns).square().sum(0).sqrt()
    density = PDE.even_share + (1 - PDE.even_share) * size / size.mean().clamp_min(1e-300)
    generator = torch.Generator().manual_seed(seed)
    corners = 2 ** len(problem.domain)  # they are first among the candidates
    density[:corners] = PDE.corner_density * density.max()  # the corners, which are first: certain to be drawn
    return candidates[torch.multinomial(density, n, generator=generator)]


@torch.no_grad()
def refined_adaptively(model: KAN, x: Tensor) -> KAN:
    """The same function with twice as many intervals; on the inputs they are short where points x are dense.

    Points are (n, coordinates). Intervals are divided into equal parts, the one with most points a part first, so
    every old knot stays. A new model is returned.
    """
    finer, layer = model.refine(2 * model.spec.grid), model.layers[0]
    inner = layer.knots[:, layer.k : layer.knots.shape[1] - layer.k]
    knots = torch.stack([_subdivided(points, column) for points, column in zip(inner, x.T, strict=True)])
    first = finer.layers[0]
    first.knots = extend_knots(knots, layer.k)
    first.coefficients.copy_(insert_knots(layer.coefficients, layer.knots, first.knots, layer.k))
    return finer


@torch.no_grad()
def equidistributed_knots(model: KAN, problem: Problem, coordinate: int) -> Tensor:
    """Equidistributed knots (G + 2k + 1,) of one input: dense where the field's derivative of order k + 1 is large.

    All intervals have equal integrals of that derivative's (k + 1)-th root, which makes the errors of a spline even (de
    Boor 1973, "Good approximation by splines with variable knots"), plus a share for their length. The derivative is
    the difference of that of order k between neighbouring intervals, its root mean square over the other coordinates.
    """
    layer = model.layers[0]
    inner = layer.knots[coordinate, layer.k : layer.knots.shape[1] - layer.k]
    lengths, middle = inner.diff(), (inner[1:] + inner[:-1]) / 2
    others = sobol_points(PDE.equidistribution_samples, problem.ends(), 0)
    x = others.repeat(len(middle), 1)
    x[:, coordinate] = middle.repeat_interleave(PDE.equidistribution_samples)
    direction = torch.eye(x.shape[1], dtype=x.dtype)[coordinate : coordinate + 1]
    highest = model.derivatives(x, layer.k, direction)[-1][:, 0].view(len(middle), PDE.equidistribution_samples, -1)
    change = highest.diff(dim=0) / middle.diff().view(-1, 1, 1)
    size = (change.square().mean(1).sqrt() ** (1 / (layer.k + 1))).sum(-1)
    size = torch.cat([size[:1], (size[1:] + size[:-1]) / 2, size[-1:]])
    size += PDE.length_weight * (size * lengths).sum() / lengths.sum()
    reached = torch.cat([size.new_zeros(1), (size * lengths).cumsum(0)])
    places = _interpolated(reached * (layer.grid / reached[-1]), torch.arange(layer.grid + 1, dtype=size.dtype))
    points = _interpolated(torch.arange(layer.grid + 1, dtype=size.dtype), places, inner)
    points[0], points[-1] = inner[0], inner[-1]
    return extend_knots(points.unsqueeze(0), layer.k)[0]


def moved_to_knots(points: PointSet, model: KAN, problem: Problem) -> PointSet:
    """A set of points of which a random half is moved so that all intervals of the inputs get equally many."""
    generator = torch.Generator().manual_seed(0)
    chosen = torch.rand(len(points.x), generator=generator) < 1 - PDE.even_share
    layer = model.layers[0]

    def moved(x: Tensor) -> Tensor:
        x = x.clone()
        for i, (low, high) in enumerate(problem.ends().T.tolist()):
            column = x[:, i]
            if float(column.min()) == float(column.max()):  # the face
                continue
            inner = layer.knots[i, layer.k : layer.knots.shape[1] - layer.k]
            ends = torch.cat([inner[inner < high - 1e-9 * (high - low)], inner.new_tensor([high])])
            share = (column - low) / (high - low) * (len(ends) - 1)
            nearby = _interpolated(torch.arange(len(ends), dtype=x.dtype), share, ends)
            x[:, i] = torch.where(chosen, nearby, column)
        return x

    return replace(points, x=moved(points.x), opposite=None if points.opposite is None else moved(points.opposite))


def _interpolated(at: Tensor, x: Tensor, values: Tensor | None = None) -> Tensor:
    """Linear interpolation at x (n,) of `values` (m,), by default 0, 1, 2, ..., at rising points `at` (m,)."""
    values = torch.arange(len(at), dtype=at.dtype) if values is None else values
    left = torch.searchsorted(at, x.contiguous(), right=True).clamp(1, len(at) - 1) - 1
    share = (x - at[left]) / (at[left + 1] - at[left])
    return values[left] + share * (values[left + 1] - values[left])


def _subdivided(points: Tensor, x: Tensor) -> Tensor:
    """Grid points (G + 1,) with G more between them where x (n,) are dense: (2 G + 1,)."""
    grid = len(points) - 1
    inside = torch.bucketize(x.contiguous(), points[1:-1].contiguous(), right=True)
    count = torch.bincount(inside, minlength=grid).double()
    parts = torch.ones(grid, dtype=torch.long)
    for _ in range(grid):
        parts[torch.where(parts < PDE.most_parts, count / parts, -1.0).argmax()] += 1
    cut = [torch.linspace(0, 1, int(n) + 1, dtype=points.dtype)[:-1] for n in parts]
    inner = [low + share * length for low, share, length in zip(points, cut, points.diff(), strict=False)]
    return torch.cat([*inner, points[-1:]])
