"""Edges of inputs that enter linearly: they are named "x" before a network is fitted."""

from collections.abc import Collection, Sequence

import torch

from knotwork.model import KANNetwork


def name_linear_edges(network: KANNetwork, names: Sequence[str], linear: Collection[str]) -> None:
    """Name the edges from linear inputs, in place, in a network of one layer; `names` are those of its input nodes."""
    layer = network.layers[0]
    for i, j in (layer.mask > 0).nonzero().tolist():
        if names[i] in linear:
            layer.name_edge(i, j, "x", torch.tensor([1.0, 0.0, 1.0, 0.0], dtype=torch.float64))
