"""What one pass through a network saw, as a value."""

from dataclasses import dataclass

import torch
from torch import Tensor

from knotwork.model.network import KANNetwork


@dataclass(frozen=True)
class LayerTrace:
    """One layer on a batch.

    `inputs` (batch, in), `edges` (batch, in, sums), `sums` (batch, sums), `nodes` (batch, nodes). `active`
    (in, sums) is False for removed edges, whose values are zero.
    """

    inputs: Tensor
    edges: Tensor
    sums: Tensor
    nodes: Tensor
    active: Tensor


@dataclass(frozen=True)
class Trace:
    """All layers of a network on one batch, first to last."""

    layers: tuple[LayerTrace, ...]

    @property
    def outputs(self) -> Tensor:
        """The network's outputs: (batch, out)."""
        return self.layers[-1].nodes


def trace(network: KANNetwork, x: Tensor) -> Trace:
    """Every edge, sum and node of `network` on x of shape (batch, in_features). Gradients flow through it."""
    values = network.select_inputs(x)
    layers = []
    for l, layer in enumerate(network.layers):
        edges = layer.edges(values)
        sums = edges.sum(1)
        nodes = network.combine(l + 1, sums)
        layers.append(LayerTrace(values, edges, sums, nodes, layer.active()))
        values = nodes
    return Trace(tuple(layers))


def node_ranges(network: KANNetwork, x: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Lowest and highest value entering each layer over the batch, each of shape (in,)."""
    with torch.no_grad():
        return [(layer.inputs.amin(0), layer.inputs.amax(0)) for layer in trace(network, x).layers]
