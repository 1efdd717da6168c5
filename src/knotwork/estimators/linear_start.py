"""The network before a smooth fit, whose edges are straight lines."""

from collections.abc import Sequence

import torch
from torch import Tensor

from knotwork.kan import KAN
from knotwork.training.grids import set_input_grid


def linear_network(width: Sequence, grid: int, k: int, x: Tensor, seed: int) -> KAN:
    """A KAN without base functions, with grids over the rows x (n, in) and edges of random slope."""
    network = KAN(width, grid, k, base="zero", seed=seed)
    set_input_grid(network, list(zip(x.amin(0).tolist(), x.amax(0).tolist(), strict=True)), x)
    network.fitted.fill_(True)
    generator = torch.Generator().manual_seed(seed)
    size = network.spec.grid + network.spec.k
    line = (torch.arange(size, dtype=torch.float64) - (size - 1) / 2) * 2 / network.spec.grid
    with torch.no_grad():
        for layer in network.layers:
            slopes = torch.randn(layer.in_features, 1, layer.out_features, generator=generator, dtype=torch.float64)
            layer.coefficients.copy_(slopes / layer.in_features**0.5 * line[:, None])
    return network
