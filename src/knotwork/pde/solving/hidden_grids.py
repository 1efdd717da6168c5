"""Hidden grids are adapted to their values without a change of the curves: their outermost intervals stretch."""

from __future__ import annotations

import torch
from torch import Tensor

from knotwork.model import KANLayer, KANNetwork
from knotwork.pde.settings import PDE
from knotwork.splines import adaptive_knots, extend_knots, grid_range, insert_knots


@torch.no_grad()
def update_hidden_grids(network: KANNetwork, x: Tensor) -> bool:
    """Move the ends of hidden grids whose values at x (n, coordinates) nearly leave them or cover too little of them.

    The network is changed in place; returns whether any grid moved. The outermost polynomials of the curves continue,
    so nothing changes inside the old grid. Least squares on new knots would change second derivatives. Only where an
    outermost interval would become too long or too short is the whole grid placed evenly again, with the closest
    curves in L².
    """
    moved = False
    values = network.select_inputs(x)
    for l, layer in enumerate(network.layers):
        if l and layer.has_splines() and bool(values.isfinite().all()):
            moved |= _update(layer, values)
        values = network.combine(l + 1, layer(values))
    return moved


def _update(layer: KANLayer, values: Tensor) -> bool:
    low, high = values.amin(0), values.amax(0)
    size = (high - low).clamp_min(1e-6 * (1 + low.abs()))
    first, last = grid_range(layer.knots, layer.k)
    near = (
        (low < first + PDE.least_hidden_margin * size)
        | (high > last - PDE.least_hidden_margin * size)
        | (size < PDE.hidden_coverage * (last - first))
    )
    if not bool(near.any()):
        return False
    low, high = low - PDE.hidden_margin * size, high + PDE.hidden_margin * size
    knots = layer.knots.clone()
    inner = knots[:, layer.k : knots.shape[1] - layer.k].clone()
    inner[:, 0], inner[:, -1] = low, high
    lengths = inner.diff(dim=1)
    share = lengths[:, [0, -1]] / ((high - low) / layer.grid).unsqueeze(1)
    uneven = near & ((share > PDE.longest_interval) | (share < PDE.shortest_interval)).any(1)
    if layer.grid == 1:
        uneven &= False
    stretched = near & ~uneven
    knots[stretched] = extend_knots(inner, layer.k)[stretched]
    layer.coefficients.copy_(insert_knots(layer.coefficients, layer.knots, knots, layer.k))
    layer.knots = knots
    if bool(uneven.any()):
        even = adaptive_knots(values, low, high, layer.grid, layer.k)
        layer.set_knots(torch.where(uneven[:, None], even, knots))
    return True
