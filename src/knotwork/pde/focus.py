"""Points and knots that go where the residual is, for solutions with thin layers."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from knotwork.kan import KAN
from knotwork.pde.points import Place, inside, spread
from knotwork.pde.problem import Problem
from knotwork.pde.solution import residual_of
from knotwork.splines import extend_knots, insert_knots

CANDIDATES = 8  # times the points wanted
EVEN = 0.5  # share of the points that stay evenly spread
MOST_PARTS = 6  # that an interval is cut into at once
ACROSS = 32  # values of the other coordinates that a derivative is averaged over
LENGTH = 0.1  # of the mean density, that every interval's length counts for


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


@torch.no_grad()
def equal_shares(model: KAN, problem: Problem, coordinate: int) -> Tensor:
    """New knots (G + 2k + 1,) of one input, dense where the field's derivative of order k + 1 by it is large.

    Every interval gets as much of the integral of its (k + 1)-th root, so that errors of a spline are even (de Boor
    1973, "Good approximation by splines with variable knots"), and some for its length alone. The derivative is that of
    order k between knots, differenced; its mean square is over the other coordinates.
    """
    layer = model.layers[0]
    inner = layer.knots[coordinate, layer.k : layer.knots.shape[1] - layer.k]
    lengths, middle = inner.diff(), (inner[1:] + inner[:-1]) / 2
    others = spread(ACROSS, problem.ends(), 0)
    x = others.repeat(len(middle), 1)
    x[:, coordinate] = middle.repeat_interleave(ACROSS)
    direction = torch.eye(x.shape[1], dtype=x.dtype)[coordinate : coordinate + 1]
    highest = model.derivatives(x, layer.k, direction)[-1][:, 0].view(len(middle), ACROSS, -1)
    change = highest.diff(dim=0) / middle.diff().view(-1, 1, 1)
    size = (change.square().mean(1).sqrt() ** (1 / (layer.k + 1))).sum(-1)
    size = torch.cat([size[:1], (size[1:] + size[:-1]) / 2, size[-1:]])
    size += LENGTH * (size * lengths).sum() / lengths.sum()
    reached = torch.cat([size.new_zeros(1), (size * lengths).cumsum(0)])
    places = _along(reached * (layer.grid / reached[-1]), torch.arange(layer.grid + 1, dtype=size.dtype))
    points = _along(torch.arange(layer.grid + 1, dtype=size.dtype), places, inner)
    points[0], points[-1] = inner[0], inner[-1]
    return extend_knots(points.unsqueeze(0), layer.k)[0]


def followed(place: Place, model: KAN, problem: Problem) -> Place:
    """A place with every second of its points, at random, moved so that all intervals of the inputs get as many."""
    generator = torch.Generator().manual_seed(0)
    chosen = torch.rand(len(place.x), generator=generator) < 1 - EVEN
    layer = model.layers[0]

    def moved(x: Tensor) -> Tensor:
        x = x.clone()
        for i, (low, high) in enumerate(problem.ends().T.tolist()):
            column = x[:, i]
            if float(column.min()) == float(column.max()):  # the face
                continue
            inner = layer.knots[i, layer.k : layer.knots.shape[1] - layer.k]
            points = torch.cat([inner[inner < high - 1e-9 * (high - low)], inner.new_tensor([high])])
            share = (column - low) / (high - low) * (len(points) - 1)
            bent = _along(torch.arange(len(points), dtype=x.dtype), share, points)
            x[:, i] = torch.where(chosen, bent, column)
        return x

    return replace(place, x=moved(place.x), apart=None if place.apart is None else moved(place.apart))


def _along(at: Tensor, x: Tensor, values: Tensor | None = None) -> Tensor:
    """The broken line through rising points `at` (m,) and `values` (m,), by default 0, 1, 2, ..., at x (n,)."""
    values = torch.arange(len(at), dtype=at.dtype) if values is None else values
    left = torch.searchsorted(at, x.contiguous(), right=True).clamp(1, len(at) - 1) - 1
    share = (x - at[left]) / (at[left + 1] - at[left])
    return values[left] + share * (values[left + 1] - values[left])


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
