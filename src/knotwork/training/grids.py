"""Knots that follow the values they see: input grids set to the data, hidden grids re-fitted as training goes."""

import torch
from torch import Tensor

from knotwork.model import KANLayer, KANNetwork, Sweep, sweep
from knotwork.splines import adaptive_knots, grid_range

MARGIN = 0.02  # of the range, left free at both ends of a hidden grid
SLACK = 0.02  # of its grid that the values of a hidden node may leave it by: the linear continuation serves there
COVERAGE = 0.7  # of its grid that the values of a hidden node must fill


def set_input_grid(network: KANNetwork, ranges: list[tuple[float, float]], x: Tensor, grid_eps: float = 1.0) -> None:
    """Lay the input knots over `ranges` (one pair a used input), blended with the quantiles of x by `grid_eps`.

    The curves keep their coefficients and move with their knots, so the units of an input make no difference.
    """
    layer = network.layers[0]
    low, high = (torch.tensor(v, dtype=layer.knots.dtype) for v in zip(*ranges, strict=True))
    low, high = _widen(low, high)
    layer.knots = adaptive_knots(network.select_inputs(x), low, high, layer.grid, layer.k, grid_eps)


@torch.no_grad()
def adapt_hidden_grids(network: KANNetwork, x: Tensor, grid_eps: float = 1.0) -> bool:
    """Re-fit hidden grids that the values on x leave or fill badly, first layer to last; True if any moved.

    The outgoing curves are kept in L² over the new grid, so the loss may change a little.
    """
    moved = False
    for l, layer in enumerate(network.layers):
        if l == 0:
            values = network.select_inputs(x)
        else:
            low, high, badly = _judge(layer, values)
            if bool(badly.any()) and _usable(values) and _usable(layer(values)):
                margin = MARGIN * (high - low)
                wide_low, wide_high = _widen(low - margin, high + margin)
                knots = adaptive_knots(values, wide_low, wide_high, layer.grid, layer.k, grid_eps)
                layer.set_knots(torch.where(badly[:, None], knots, layer.knots))
                moved = True
        values = network.combine(l + 1, layer(values))
    return moved


def hidden_grids_fit(network: KANNetwork, x: Tensor, seen: Sweep | None = None) -> bool:
    """False if `adapt_hidden_grids` would move a grid; `seen` is a sweep over x at the present parameters."""
    seen = seen or sweep(network, x)
    layers = zip(list(network.layers)[1:], seen.layers[1:], strict=True)
    return not any(bool(_judge(layer, saw.inputs)[2].any()) for layer, saw in layers)


def _judge(layer: KANLayer, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Lowest and highest value entering each input's grid, and whether they leave it or fill it badly: each (in,)."""
    low, high = values.amin(0), values.amax(0)
    grid_low, grid_high = grid_range(layer.knots, layer.k)
    size = grid_high - grid_low
    narrow = (high - low < COVERAGE * size) & (high - low > 1e-6 * size)  # no grid suits a constant better than another
    return low, high, (low < grid_low - SLACK * size) | (high > grid_high + SLACK * size) | narrow


def _usable(values: Tensor) -> bool:
    """False where a fit went astray: NaN, infinity, or numbers whose squares are."""
    return bool(values.square().isfinite().all())


def _widen(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """A grid for every input: a constant column gets half a unit, or half its size, on both sides."""
    least = 1e3 * torch.finfo(low.dtype).eps * torch.maximum(low.abs(), high.abs()) + 1e-300
    flat = high - low <= least
    half = torch.where(low.abs() > 1, 0.5 * low.abs(), torch.full_like(low, 0.5))
    return torch.where(flat, low - half, low), torch.where(flat, high + half, high)
