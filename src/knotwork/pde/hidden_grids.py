"""Hidden grids that follow the values they see without changing a curve: their outermost intervals stretch."""

from __future__ import annotations

import torch
from torch import Tensor

from knotwork.model import KANLayer, KANNetwork
from knotwork.splines import adaptive_knots, extend_knots, grid_range, insert_knots

MARGIN, LEAST = 0.05, 0.01  # of the range of values, beyond it: where grids end, and when they are moved
COVERAGE = 0.7  # of its grid that the values must fill
LONGEST, SHORTEST = 2.0, 0.3  # times the mean interval: an outermost one beyond that has the whole grid laid anew


@torch.no_grad()
def follow_values(network: KANNetwork, x: Tensor) -> bool:
    """Move the ends of hidden grids that the values at x (n, coordinates) nearly leave or fill badly; True if any.

    The curves' outermost polynomials go on as they are, so inside the old grid nothing changes, which matters where
    second derivatives count: least squares on new knots would spoil them. Only where an outermost interval would grow
    or shrink too much does the whole grid become even again, its curves kept in L².
    """
    moved = False
    values = network.select_inputs(x)
    for l, layer in enumerate(network.layers):
        if l and layer.has_splines() and bool(values.isfinite().all()):
            moved |= _follow(layer, values)
        values = network.combine(l + 1, layer(values))
    return moved


def _follow(layer: KANLayer, values: Tensor) -> bool:
    low, high = values.amin(0), values.amax(0)
    size = (high - low).clamp_min(1e-6 * (1 + low.abs()))
    first, last = grid_range(layer.knots, layer.k)
    near = (low < first + LEAST * size) | (high > last - LEAST * size) | (size < COVERAGE * (last - first))
    if not bool(near.any()):
        return False
    low, high = low - MARGIN * size, high + MARGIN * size
    knots = layer.knots.clone()
    inner = knots[:, layer.k : knots.shape[1] - layer.k].clone()
    inner[:, 0], inner[:, -1] = low, high
    lengths = inner.diff(dim=1)
    share = lengths[:, [0, -1]] / ((high - low) / layer.grid).unsqueeze(1)
    anew = near & ((share > LONGEST) | (share < SHORTEST)).any(1)
    if layer.grid == 1:
        anew &= False
    stretched = near & ~anew
    knots[stretched] = extend_knots(inner, layer.k)[stretched]
    layer.coefficients.copy_(insert_knots(layer.coefficients, layer.knots, knots, layer.k))
    layer.knots = knots
    if bool(anew.any()):
        even = adaptive_knots(values, low, high, layer.grid, layer.k)
        layer.set_knots(torch.where(anew[:, None], even, knots))
    return True
