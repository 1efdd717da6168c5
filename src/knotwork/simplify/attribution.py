"""Importance scores of edges, nodes and inputs."""

from dataclasses import dataclass

import torch
from torch import Tensor

from knotwork.data import Dataset
from knotwork.errors import SpecError
from knotwork.keywords import check_keywords
from knotwork.model import KANNetwork, trace
from knotwork.notebooks import one_line, table
from knotwork.sizes import deviation
from knotwork.training import edge_norms

METHODS = ("propagated", "paper")


@check_keywords
@dataclass(frozen=True, repr=False)
class Scores:
    """Importance of edges, nodes and inputs on one batch, as `attribute` returns it.

    Every score is non-negative. It is zero where an edge was removed or a value does not vary over the batch.

    Attributes:
        edges: edges[l] (nodes of layer l, sums of layer l + 1).
        nodes: nodes[l] (nodes of layer l,), inputs first and outputs last.
        inputs: scores of the original columns, (in_features,); 0 for columns that are not used.
        method: "propagated" or "paper".

    Example:
        >>> import knotwork as kw
        >>> data = kw.sample("sin(pi*x) + y**2", x=(-1, 1), y=(-1, 1), size=200, seed=0)
        >>> scores = kw.KAN.from_expression("sin(pi*x) + y**2", data=data).attribute(data)
        >>> scores.edges[0].shape, scores.nodes[-1]
        (torch.Size([2, 1]), tensor([1.], dtype=torch.float64))
    """

    edges: tuple[Tensor, ...]
    nodes: tuple[Tensor, ...]
    inputs: Tensor
    method: str

    def __repr__(self) -> str:
        edges = sum(int((one > 0).sum()) for one in self.edges)
        inputs = ", ".join(f"{score:.3g}" for score in self.inputs.tolist())
        return f"Scores({self.method}: inputs {one_line(inputs, 100)}; {edges} edges above zero)"

    def _repr_html_(self) -> str:
        rows = [(f"input {i + 1}", f"{score:.3g}") for i, score in enumerate(self.inputs.tolist())]
        for l, nodes in enumerate(self.nodes[1:-1], 1):
            shown = ", ".join(f"{score:.3g}" for score in nodes.tolist())
            rows.append((f"nodes of layer {l}", one_line(shown, 100)))
        return table(rows, ("", "score"), f"importance, {self.method}")


@check_keywords
@torch.no_grad()
def attribute(network: KANNetwork, x: Tensor, method: str = "propagated") -> Scores:
    """Scores of the edges, nodes and inputs of a network on a batch of rows.

    Args:
        network: a trained network; it is not changed.
        x: rows (batch, in_features), such as the training rows.
        method: how scores are computed. "propagated", the default, starts from the outputs, each of which scores 1. An
            edge scores that of its sum times the share of its standard deviation in that of the sum. A node scores the
            sum of its outgoing edges (arXiv 2408.10205, section 4.1). So a deep node counts only as far as it affects
            the outputs. With "paper" an edge scores |φ|₁ (eq. 2.17), and a hidden node the smaller of its largest
            incoming and its largest outgoing edge (eq. 2.21; the outgoing maximum runs over edges that leave the node).

    Returns:
        The `Scores`.

    Raises:
        SpecError: for an unknown method, or rows with another number of columns.

    Example:
        >>> import torch, knotwork as kw
        >>> model = kw.KAN.from_expression("3*x + 4*y")
        >>> corners = torch.tensor([[-1.0, -1], [-1, 1], [1, -1], [1, 1]])
        >>> kw.attribute(model, corners).inputs
        tensor([0.6000, 0.8000], dtype=torch.float64)
    """
    if method not in METHODS:
        raise SpecError(f"method={method!r} is not known; choose one of {', '.join(map(repr, METHODS))}.")
    seen = trace(network, x)
    edges: list[Tensor] = []
    if method == "paper":
        edges = [edge_norms(layer) for layer in seen.layers]
        nodes = [edges[0].amax(1)]
        for l in range(1, len(edges)):
            incoming = _factors_to_nodes(network, l, edges[l - 1].amax(0))
            nodes.append(torch.minimum(incoming, edges[l].amax(1)))
        nodes.append(_factors_to_nodes(network, len(edges), edges[-1].amax(0)))
    else:
        nodes = [torch.ones_like(seen.outputs[0])]
        for l in reversed(range(len(seen.layers))):
            layer = seen.layers[l]
            rounding = torch.finfo(layer.edges.dtype).eps
            spread = deviation(layer.edges, 0)
            spread = torch.where(spread > 10 * rounding * layer.edges.abs().amax(0), spread, torch.zeros_like(spread))
            total = deviation(layer.sums, 0)
            varies = total > 100 * rounding * spread.sum(0)  # False where edges are constant or cancel each other
            share = torch.where(varies, spread / total, torch.zeros_like(spread))
            edges.insert(0, share * _nodes_to_factors(network, l + 1, nodes[0]))
            nodes.insert(0, edges[0].sum(1))
    inputs = nodes[0].new_zeros(network.spec.in_features)
    inputs[list(network.spec.inputs)] = nodes[0]
    return Scores(tuple(edges), tuple(nodes), inputs, method)


def input_shares(network: KANNetwork, data: Dataset) -> dict[str, float]:
    """Share of every input in the scores on the training rows. The shares sum to one, or are all zero."""
    scores = attribute(network, data.X_train).inputs
    total = float(scores.sum()) or 1.0
    return {name: float(score) / total for name, score in zip(data.input_names, scores, strict=True)}


def _nodes_to_factors(network: KANNetwork, layer: int, nodes: Tensor) -> Tensor:
    """The score of each node, repeated for each sum that feeds it."""
    n_sums, _ = network.spec.width[layer]
    return torch.cat([nodes[:n_sums], nodes[n_sums:].repeat_interleave(network.spec.arity)])


def _factors_to_nodes(network: KANNetwork, layer: int, sums: Tensor) -> Tensor:
    """For each node, the largest score of the sums that feed it."""
    n_sums, n_products = network.spec.width[layer]
    return torch.cat([sums[:n_sums], sums[n_sums:].view(n_products, -1).amax(1)]) if n_products else sums
