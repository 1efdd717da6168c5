"""How much every edge, node and input matters."""

from dataclasses import dataclass

import torch
from torch import Tensor

from knotwork.data import Dataset
from knotwork.errors import SpecError
from knotwork.model import KANNetwork, trace
from knotwork.training import edge_norms

METHODS = ("propagated", "paper")


@dataclass(frozen=True)
class Scores:
    """Importance on one batch; every number is non-negative, and zero for what was removed or never varies.

    `edges[l]` has shape (nodes of layer l, sums of layer l + 1), `nodes[l]` (nodes of layer l,), `inputs`
    (in_features,) counts the original columns.
    """

    edges: tuple[Tensor, ...]
    nodes: tuple[Tensor, ...]
    inputs: Tensor
    method: str


@torch.no_grad()
def attribute(network: KANNetwork, x: Tensor, method: str = "propagated") -> Scores:
    """Scores of `network` on the rows x (batch, in_features).

    "paper": an edge scores |φ|₁ (eq. 2.17), a hidden node the smaller of its largest incoming and largest outgoing
    edge (eq. 2.21, where the outgoing maximum runs over the edges that leave the node). "propagated": outputs score 1,
    an edge the score of the sum it feeds times its share of that sum's spread (standard deviations), a node the sum of
    its outgoing edges (arXiv 2408.10205, section 4.1): what a deep node does counts only as far as the output sees it.
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
        nodes = [torch.ones(seen.outputs.shape[1], dtype=seen.outputs.dtype)]
        for l in reversed(range(len(seen.layers))):
            layer = seen.layers[l]
            rounding = torch.finfo(layer.edges.dtype).eps
            spread = layer.edges.std(0, correction=0)
            spread = torch.where(spread > 10 * rounding * layer.edges.abs().amax(0), spread, torch.zeros_like(spread))
            total = layer.sums.std(0, correction=0)
            varies = total > 100 * rounding * spread.sum(0)  # not so where edges are constant or cancel
            share = torch.where(varies, spread / total, torch.zeros_like(spread))
            edges.insert(0, share * _nodes_to_factors(network, l + 1, nodes[0]))
            nodes.insert(0, edges[0].sum(1))
    inputs = torch.zeros(network.spec.in_features, dtype=nodes[0].dtype)
    inputs[list(network.spec.inputs)] = nodes[0]
    return Scores(tuple(edges), tuple(nodes), inputs, method)


def input_shares(network: KANNetwork, data: Dataset) -> dict[str, float]:
    """Share of every input in the scores on the training rows; they sum to one unless nothing matters."""
    scores = attribute(network, data.X_train).inputs
    total = float(scores.sum()) or 1.0
    return {name: float(score) / total for name, score in zip(data.input_names, scores, strict=True)}


def _nodes_to_factors(network: KANNetwork, layer: int, nodes: Tensor) -> Tensor:
    """A node's score for each of the sums that feed it."""
    n_sums, _ = network.spec.width[layer]
    return torch.cat([nodes[:n_sums], nodes[n_sums:].repeat_interleave(network.spec.arity)])


def _factors_to_nodes(network: KANNetwork, layer: int, sums: Tensor) -> Tensor:
    """The largest number of those of the sums that feed a node."""
    n_sums, n_products = network.spec.width[layer]
    return torch.cat([sums[:n_sums], sums[n_sums:].view(n_products, -1).amax(1)]) if n_products else sums
