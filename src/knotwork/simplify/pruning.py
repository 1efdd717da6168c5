"""Smaller networks: unimportant edges, nodes and inputs are removed, by threshold or within an accuracy budget."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from knotwork.data import Dataset, as_dataset
from knotwork.errors import TrainingError
from knotwork.model import KANLayer, KANNetwork, NamedEdge, trace
from knotwork.simplify.attribution import attribute
from knotwork.simplify.settings import SIMPLIFICATION
from knotwork.training import fit
from knotwork.training.loop import error_of
from knotwork.training.objective import Loss, Objective, make_objective

Network = TypeVar("Network", bound=KANNetwork)
Edge = tuple[int, int, int]


@dataclass(frozen=True)
class Selection:
    """What is kept: edges[l] (nodes, sums) and nodes[l] (nodes,) are True for kept edges and nodes."""

    edges: tuple[Tensor, ...]
    nodes: tuple[Tensor, ...]


def prune(
    network: Network,
    data: object,
    node_threshold: float = 1e-2,
    edge_threshold: float = 3e-2,
    *,
    budget: float | None = None,
    method: str = "propagated",
    loss: str | Loss = "mse",
) -> Network:
    """A smaller copy without unimportant edges, nodes and inputs. The network itself is not changed.

    The mean output of a removed edge over the training rows is kept as a constant. Every output and every factor of a
    product keeps its strongest incoming edge, and so on back to an input. The copy takes the same columns as before.

    Args:
        network: a trained network.
        data: the training data, on which importance is measured.
        node_threshold: hidden nodes with a smaller score are removed. Default as in pykan.
        edge_threshold: edges with a smaller score are removed. Default as in pykan.
        budget: allowed relative rise of the error, such as 0.05; thresholds are then not used. Edges are removed one by
            one, each followed by a brief fit, as long as the validation RMSE (training RMSE without validation rows)
            stays below 1 + budget times the present one: first those without which it does not rise, the least
            important first, then always the one that costs least. A larger budget never gives a larger network.
        method: that of `attribute`: "propagated" or "paper".
        loss: that of `fit`. A network that was fitted to labels needs "cross_entropy".

    Returns:
        The copy, of the same class.

    Raises:
        TrainingError: without data, or for a negative budget.

    Example:
        >>> import knotwork as kw
        >>> data = kw.sample("sin(pi*x) + 0.001*y", x=(-1, 1), y=(-1, 1), size=200, seed=0)
        >>> model = kw.KAN.from_expression("sin(pi*x) + 0.001*y", data=data)
        >>> smaller = model.prune(data)
        >>> model.spec.inputs, smaller.spec.inputs
        ((0, 1), (0,))
    """
    if data is None:
        raise TrainingError("prune() measures importance on samples, and a model keeps none: pass data=.")
    data = as_dataset(data)
    if budget is not None:
        if not budget >= 0:
            raise TrainingError(f"budget={budget!r} is not possible: give the allowed rise of the error, such as 0.05.")
        return _prune_within(network, data, budget, method, loss)
    scores = attribute(network, data.X_train, method)
    depth = network.spec.depth
    nodes = [score > node_threshold if 0 < l < depth else score == score for l, score in enumerate(scores.nodes)]
    edges = [score > edge_threshold for score in scores.edges]
    return select(network, _consistent(network, edges, nodes, scores.edges), data.X_train)


def _prune_within(network: Network, data: Dataset, budget: float, method: str, loss: str | Loss) -> Network:
    """Removal of edges one by one, as long as the error stays within the budget.

    The order does not depend on the budget, so that a larger budget goes on from where a smaller one ends. First every
    edge is tried, the least important first, and removed if the error does not rise. Then the edge whose removal costs
    least is removed, again and again. An edge is tried again only where it cost least when it was last tried.
    """
    current = network.copy()
    objective = make_objective(current, loss, 0.0, 0.0, 0.0)
    optimizer = "adam" if objective.likelihood is None else "lm"
    reached = _held_out(current, data, objective)  # the largest error so far
    allowed = (1 + budget) * reached
    costs: dict[Edge, float] = {}  # the error without an edge, when it was last tried
    tried: set[Edge] = set()  # edges tried on the present network
    cheapest: tuple[float, Network] | None = None  # the best of these
    while True:
        scores = attribute(current, data.X_train, method).edges
        waiting = (
            (edge in costs, costs.get(edge, float(scores[edge[0]][edge[1:]])), edge)
            for edge in _edges(current)
            if edge not in tried
        )
        again, expected, edge = min(waiting, default=(True, math.inf, None))
        if again and cheapest is not None and cheapest[0] <= expected:
            error, smaller = cheapest
            if not error <= allowed:
                break
        elif edge is None or (again and not expected <= allowed):
            break
        else:
            tried.add(edge)
            error, costs[edge] = math.inf, math.inf
            smaller = _without(current, edge, scores, data.X_train)
            if smaller is None:
                continue
            fitting = fit(
                smaller, data, optimizer=optimizer, steps=SIMPLIFICATION.budget_steps, loss=loss, progress=False
            )
            if fitting.stopped_by_caller:
                break
            error = costs[edge] = _held_out(smaller, data, objective)
            if not error <= reached:
                cheapest = (error, smaller) if cheapest is None or error < cheapest[0] else cheapest
                continue
        current, reached, cheapest = smaller, max(reached, error), None
        tried.clear()
    kept = [layer.active() for layer in current.layers]
    scores = attribute(current, data.X_train, method).edges
    return select(current, _consistent(current, kept, _every_node(current), scores), data.X_train)


def _edges(network: KANNetwork) -> list[Edge]:
    """The edges that are left."""
    return [(l, i, j) for l, layer in enumerate(network.layers) for i, j in layer.active().nonzero().tolist()]


def _every_node(network: KANNetwork) -> list[Tensor]:
    device, spec = network.fitted.device, network.spec
    return [torch.ones(spec.nodes(l), dtype=torch.bool, device=device) for l in range(spec.depth + 1)]


def _without(network: Network, edge: Edge, scores: Sequence[Tensor], x: Tensor) -> Network | None:
    """A copy without one edge; None where an output or a factor needs it."""
    l, i, j = edge
    keep = [layer.active() for layer in network.layers]
    keep[l][i, j] = False
    keep, _ = _with_strongest(network, keep, _every_node(network), scores)
    return None if keep[l][i, j] else without_edges(network, keep, x)


def _held_out(network: KANNetwork, data: Dataset, objective: Objective) -> float:
    """The error on the validation rows, or on the training rows where there are none."""
    held_out = error_of(network, objective, data.X_val, data.y_val)
    error = error_of(network, objective, data.X_train, data.y_train) if held_out is None else held_out
    assert error is not None
    return error


def _with_strongest(
    network: KANNetwork, edges: Sequence[Tensor], nodes: Sequence[Tensor], scores: Sequence[Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    """The kept edges and nodes, with the strongest path from an input to every output and factor of a kept product."""
    edges, nodes = [e.clone() for e in edges], [n.clone() for n in nodes]
    needed = torch.ones_like(nodes[-1])
    reached = [torch.ones_like(nodes[0])]  # nodes that active edges connect to an input
    for l, layer in enumerate(network.layers):
        fed, n_sums = (layer.active() & reached[l][:, None]).any(0), network.spec.width[l + 1][0]
        reached.append(torch.cat([fed[:n_sums], fed[n_sums:].view(-1, network.spec.arity).all(1)]))
    for l in reversed(range(network.spec.depth)):
        n_sums, _ = network.spec.width[l + 1]
        fed = _factors(network, l + 1, needed)
        fed[n_sums:] |= _factors(network, l + 1, nodes[l + 1])[n_sums:]
        needed = torch.zeros_like(nodes[l])
        alive = network.layers[l].active()
        for j in fed.nonzero().flatten().tolist():
            there = alive[:, j] & reached[l] if bool((alive[:, j] & reached[l]).any()) else alive[:, j]
            choices = (edges[l][:, j] & there & nodes[l], there & nodes[l], there)
            choice = next((c for c in choices if bool(c.any())), None)
            if choice is not None:
                strongest = torch.where(choice, scores[l][:, j], torch.full_like(scores[l][:, j], -1.0)).argmax()
                edges[l][strongest, j] = nodes[l][strongest] = needed[strongest] = True
    return edges, nodes


def _consistent(
    network: KANNetwork, edges: Sequence[Tensor], nodes: Sequence[Tensor], scores: Sequence[Tensor]
) -> Selection:
    """Remove edges of removed nodes, and nodes without an incoming or outgoing edge, until nothing changes."""
    spec = network.spec
    edges, nodes = _with_strongest(network, edges, nodes, scores)
    while True:
        for l in range(spec.depth):
            edges[l] &= nodes[l][:, None] & network.layers[l].active()
            edges[l] &= _factors(network, l + 1, nodes[l + 1])[None, :]
        before = [n.clone() for n in nodes]
        for l in range(spec.depth + 1):
            if l < spec.depth:
                nodes[l] &= edges[l].any(1)
            if 0 < l < spec.depth:
                n_sums, n_products = spec.width[l]
                fed = edges[l - 1].any(0)
                fed = torch.cat([fed[:n_sums], fed[n_sums:].view(n_products, spec.arity).all(1)])
                nodes[l] &= fed
        if all(bool((a == b).all()) for a, b in zip(nodes, before, strict=True)):
            break
    for l in range(spec.depth):  # a network keeps at least one node a layer
        if not bool(nodes[l].any()):
            nodes[l][0] = True
    return Selection(tuple(edges), tuple(nodes))


def _factors(network: KANNetwork, layer: int, nodes: Tensor) -> Tensor:
    """One truth value for each node, repeated for the sums that feed it."""
    n_sums, _ = network.spec.width[layer]
    return torch.cat([nodes[:n_sums], nodes[n_sums:].repeat_interleave(network.spec.arity)])


@torch.no_grad()
def without_edges(network: Network, keep: Sequence[Tensor], x: Tensor) -> Network:
    """A copy without the edges for which `keep` is False.

    The mean of a removed edge over the rows x is added to another edge that feeds the same sum.
    """
    other = network.copy()
    for layer, kept, seen in zip(other.layers, keep, trace(network, x).layers, strict=True):
        gone = seen.active & ~kept
        lost = (seen.edges.mean(0) * gone).sum(0)
        for i, j in gone.nonzero():
            layer.remove_edge(int(i), int(j))
        for j in gone.any(0).nonzero().flatten().tolist():
            _add_constant(layer, j, lost[j])
    return other


def without_node(network: Network, x: Tensor, layer: int, node: int) -> Network:
    """A copy without one hidden node, and without edges and nodes that only it used."""
    scores = attribute(network, x)
    nodes = [torch.ones_like(score, dtype=torch.bool) for score in scores.nodes]
    nodes[layer][node] = False
    edges = [torch.ones_like(score, dtype=torch.bool) for score in scores.edges]
    return select(network, _consistent(network, edges, nodes, scores.edges), x)


def _add_constant(layer: KANLayer, target: int, value: Tensor) -> None:
    """Add a constant to one edge into `target`: to every coefficient of a spline (B-splines sum to one), or to d."""
    splines = (layer.mask[:, target] > 0).nonzero().flatten()
    if len(splines):
        layer.coefficients[splines[0], :, target] += value
        return
    for n, (_, j, _, _) in enumerate(layer.named):
        if j == target:
            layer.affine[n, 3] += value
            return


@torch.no_grad()
def select(network: Network, selection: Selection, x: Tensor) -> Network:
    """The network of the selected nodes and edges alone. The means of removed edges over x are kept as constants."""
    source = without_edges(network, selection.edges, x)
    spec = source.spec
    nodes = [n.nonzero().flatten() for n in selection.nodes]
    sums = [_factors(network, l, selection.nodes[l]).nonzero().flatten() for l in range(spec.depth + 1)]
    place = [{int(old): new for new, old in enumerate(kept)} for kept in nodes]
    to = [{int(old): new for new, old in enumerate(kept)} for kept in sums]
    width = tuple((int((n < s).sum()), int((n >= s).sum())) for n, (s, _) in zip(nodes, spec.width, strict=True))
    named = tuple(
        NamedEdge(e.layer, place[e.layer][e.source], to[e.layer + 1][e.target], e.function, e.trainable)
        for e in spec.named
    )
    inputs = tuple(spec.inputs[i] for i in nodes[0].tolist())
    smaller = type(network).from_spec(replace(spec, width=width, inputs=inputs, named=named))
    for l, (old, new) in enumerate(zip(source.layers, smaller.layers, strict=True)):
        rows, columns = nodes[l], sums[l + 1]
        state = {
            "knots": old.knots[rows],
            "mask": old.mask[rows][:, columns],
            "coefficients": old.coefficients[rows][:, :, columns],
            "base_weights": old.base_weights[rows][:, columns],
            "affine": old.affine,
            "kept": old.kept,
        }
        new.load_state_dict(state)
        new.freeze_like(old)
    smaller.fitted.copy_(network.fitted)
    smaller.held.copy_(network.held[nodes[0]])
    return smaller
