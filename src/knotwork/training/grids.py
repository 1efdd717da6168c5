"""Knots that follow the data: input grids are placed over the rows, hidden grids over the activations."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from knotwork.model import KANLayer, KANNetwork, Sweep, sweep
from knotwork.splines import adaptive_knots, graded_knots, grid_range
from knotwork.training.settings import TRAINING


@contextmanager
def going_on(model: nn.Module) -> Iterator[None]:
    """While a network is fitted and evaluated, extrapolation="error" is replaced by straight lines."""
    layers = [layer for layer in model.modules() if isinstance(layer, KANLayer) and layer.extrapolation == "error"]
    for layer in layers:
        layer.extrapolation = "linear"
    try:
        yield
    finally:
        for layer in layers:
            layer.extrapolation = "error"


def set_input_grid(
    network: KANNetwork, ranges: list[tuple[float, float]], x: Tensor, grid_eps: float | None = None
) -> None:
    """Place the input knots over `ranges`, one pair for each input in use, blended with quantiles of x by `grid_eps`.

    None: even knots, but knots where the rows are for inputs whose even grid would be nearly empty (`concentrated`).
    These grids leave long tails outside; the network holds such inputs at their ends, unless all curves end there. The
    curves keep their coefficients and scale with their knots, so that the unit of an input has no effect.
    """
    network.held.zero_()
    layer, x = network.layers[0], network.select_inputs(x)
    low, high = (torch.tensor(v, dtype=layer.knots.dtype, device=layer.knots.device) for v in zip(*ranges, strict=True))
    low, high = _widen(low, high)
    layer.knots = adaptive_knots(x, low, high, layer.grid, layer.k, 1.0 if grid_eps is None else grid_eps)
    if grid_eps is None and network.structure.extrapolation in ("linear", "constant"):
        longest, some = TRAINING.longest_end, _some(x)
        for i in concentrated(x):
            layer.knots[i] = graded_knots(some[:, i], layer.grid, layer.k, longest)
            network.held[i] = True


def concentrated(x: Tensor) -> list[int]:
    """The columns of x (n, in) whose values fill only a small share of their range: heavy tails, or distant clusters.

    That share is the length of the shortest intervals, of equally many distinct values each, that hold 90 % of them.
    """
    found = []
    for i, column in enumerate(_some(x).T):
        distinct = column.unique()  # sorted
        parts = min(TRAINING.parts_of_column, len(distinct) - 1)
        if parts < TRAINING.least_parts_of_column:
            continue
        ends = torch.linspace(0, len(distinct) - 1, parts + 1, device=x.device).round().long()
        lengths = distinct[ends].diff().sort().values
        densest = lengths[: int(TRAINING.densest_values * parts)].sum()
        if bool(densest < TRAINING.smallest_share_of_range * (x[:, i].max() - x[:, i].min())):
            found.append(i)
    return found


def _some(x: Tensor) -> Tensor:
    """Rows of x (n, in), at equal distances, that are enough to see how its columns are distributed."""
    return x[:: 1 + len(x) // TRAINING.rows_for_quantiles]


@torch.no_grad()
def adapt_hidden_grids(network: KANNetwork, x: Tensor, grid_eps: float = 1.0, within: float | None = None) -> bool:
    """Refit hidden grids that the activations on x leave or fill badly, first layer to last; True if any changed.

    A grid is wider than the activations on x, so that it covers other rows within the ranges of the inputs. With
    `within` every grid is refitted whose ends differ from the wanted ones by more than this share of it. The outgoing
    curves change as little as possible in L² over the new grid, so the loss may change a little.
    """
    moved = False
    values = network.select_inputs(x)
    ends = values.amin(0), values.amax(0)
    for l, layer in enumerate(network.layers):
        if l:
            ends = _wanted(values, *ends)
            badly = ~_fits(layer, values)
            if within is not None:
                grid_low, grid_high = grid_range(layer.knots, layer.k)
                off = torch.maximum((grid_low - ends[0]).abs(), (grid_high - ends[1]).abs())
                badly |= off > within * (ends[1] - ends[0])
            if bool(badly.any()) and _usable(values) and _usable(layer(values)):
                knots = adaptive_knots(values, *ends, layer.grid, layer.k, grid_eps)
                layer.set_knots(torch.where(badly[:, None], knots, layer.knots))
                moved = True
        values = network.combine(l + 1, layer(values))
        ends = _reach(network, l, *ends)
    return moved


def _wanted(values: Tensor, least: Tensor, most: Tensor) -> tuple[Tensor, Tensor]:
    """Ends (nodes,) of the grids for nodes with values (batch, nodes), which may range from `least` to `most`."""
    low, high = values.amin(0), values.amax(0)
    beyond = TRAINING.grid_reach * (high - low)
    low = torch.where(least.isfinite(), least, low).clamp(low - beyond, low)
    high = torch.where(most.isfinite(), most, high).clamp(high, high + beyond)
    margin = TRAINING.grid_margin * (high - low)
    return _widen(low - margin, high + margin)


def _reach(network: KANNetwork, l: int, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """The least and greatest values of the nodes after layer l for inputs from low to high; NaN where not computed."""
    layer = network.layers[l]
    if layer.in_features > TRAINING.inputs_near_corners:
        unknown = low.new_full((network.structure.nodes(l + 1),), float("nan"))
        return unknown, unknown
    share = torch.linspace(0, 1, 4 * layer.grid + 1, dtype=low.dtype, device=low.device).unsqueeze(-1)
    edges = layer.edges(low + share * (high - low))
    low, high = edges.amin(0).sum(0), edges.amax(0).sum(0)
    n_sums, n_products = network.structure.width[l + 1]
    if not n_products:
        return low, high
    least, *lows = low[n_sums:].view(n_products, -1).T
    most, *highs = high[n_sums:].view(n_products, -1).T
    for a, b in zip(lows, highs, strict=True):
        corners = torch.stack([least * a, least * b, most * a, most * b])
        least, most = corners.amin(0), corners.amax(0)
    return torch.cat([low[:n_sums], least]), torch.cat([high[:n_sums], most])


def ruined(before: float, after: float, constant: float) -> bool:
    """Whether moved grids spoil a fit: from `before` its loss rises far above that of the best `constant`.

    A few values far from all others, as products of inputs with long tails are, leave the others no grid. The fit is
    better where its grid is, and goes on as a straight line beyond. A loss that is no number after the move is worse
    than any before.
    """
    return before == before and not after <= TRAINING.ruined_by_grids * max(before, constant)


def hidden_grids_fit(network: KANNetwork, x: Tensor, seen: Sweep | None = None) -> bool:
    """False if `adapt_hidden_grids` would change a grid; `seen` is a forward pass over x at the present parameters."""
    seen = seen or sweep(network, x, values_only=True)
    layers = zip(list(network.layers)[1:], seen.layers[1:], strict=True)
    return all(bool(_fits(layer, saw.inputs).all()) for layer, saw in layers)


def _fits(layer: KANLayer, values: Tensor) -> Tensor:
    """Whether values (batch, in) stay in each input's grid and fill enough of it, (in,)."""
    low, high = values.amin(0), values.amax(0)
    grid_low, grid_high = grid_range(layer.knots, layer.k)
    size = grid_high - grid_low
    full = (high - low >= TRAINING.grid_coverage * size) | (
        high - low <= 1e-6 * size
    )  # for a constant every grid is as good
    return (low >= grid_low) & (high <= grid_high) & full


def _usable(values: Tensor) -> bool:
    """False where a fit has diverged: NaN, infinity, or numbers whose squares are infinite."""
    return bool(values.square().isfinite().all())


def _widen(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """A grid for every input: a constant column gets half a unit, or half its size, on both sides."""
    least = TRAINING.constant_input * torch.finfo(low.dtype).eps * torch.maximum(low.abs(), high.abs())
    flat = high - low <= least
    half = torch.where(low.abs() > 1, 0.5 * low.abs(), torch.full_like(low, 0.5))
    return torch.where(flat, low - half, low), torch.where(flat, high + half, high)
