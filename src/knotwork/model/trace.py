"""The values of every edge, sum and node in one forward pass."""

from dataclasses import dataclass

import torch
from torch import Tensor

from knotwork.keywords import check_keywords
from knotwork.model.network import KANNetwork


@dataclass(frozen=True)
class LayerTrace:
    """The values in one layer on a batch of rows.

    Attributes:
        inputs: values that enter the layer, (batch, in).
        edges: value of every edge, (batch, in, sums); 0 for removed edges.
        sums: sums of the edges over the inputs, (batch, sums).
        nodes: sum nodes, then product nodes, (batch, nodes).
        active: False for removed edges, (in, sums).
    """

    inputs: Tensor
    edges: Tensor
    sums: Tensor
    nodes: Tensor
    active: Tensor


@check_keywords
@dataclass(frozen=True)
class Trace:
    """The values in all layers of a network on one batch, as `KAN.trace` returns them.

    Attributes:
        layers: one `LayerTrace` for each layer, first to last.

    Example:
        >>> import torch, knotwork as kw
        >>> seen = kw.KAN([2, 5, 1], seed=0).trace(torch.zeros(10, 2))
        >>> seen.layers[0].edges.shape, seen.outputs.shape
        (torch.Size([10, 2, 5]), torch.Size([10, 1]))
    """

    layers: tuple[LayerTrace, ...]

    @property
    def outputs(self) -> Tensor:
        """The network's outputs: (batch, out)."""
        return self.layers[-1].nodes


def trace(network: KANNetwork, x: Tensor) -> Trace:
    """Every edge, sum and node of a network on a batch. Gradients flow through it.

    Args:
        network: the network; it is not changed.
        x: rows (batch, in_features).

    Returns:
        A `Trace`.

    Raises:
        SpecError: x has another number of columns.
    """
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
