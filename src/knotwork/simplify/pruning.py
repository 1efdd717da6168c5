"""Smaller networks: unimportant edges, nodes and inputs are removed, by threshold or within an accuracy budget."""

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
            one, the least important first, each followed by a brief fit. A removal is kept if the validation RMSE
            (training RMSE without validation rows) stays below 1 + budget times the present one.
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
    """Greedy removal of edges, the least important first. An edge whose removal costs too much is not tried again."""
    current = network.copy()
    every_node = [
        torch.ones(current.spec.nodes(l), dtype=torch.bool, device=current.fitted.device)
        for l in range(current.spec.depth + 1)
    ]
    objective = make_objective(current, loss, 0.0, 0.0, 0.0)
    optimizer = "adam" if objective.likelihood is None else "lm"
    allowed = (1 + budget) * _held_out(current, data, objective)
    tried: set[tuple[int, int, int]] = set()
    while True:
        scores = attribute(current, data.X_train, method).edges
        active = [layer.active() for layer in current.layers]
        waiting = [
            (float(scores[l][i, j]), l, int(i), int(j))
            for l, alive in enumerate(active)
            for i, j in alive.nonzero()
            if (l, int(i), int(j)) not in tried
        ]
        if not waiting:
            break
        _, l, i, j = min(waiting)
        tried.add((l, i, j))
        keep = [alive.clone() for alive in active]
        keep[l][i, j] = False
        keep, _ = _with_strongest(current, keep, every_node, scores)
        if keep[l][i, j]:
            continue
        smaller = without_edges(current, keep, data.X_train)
        if fit(
            smaller, data, optimizer=optimizer, steps=SIMPLIFICATION.budget_steps, loss=loss, progress=False
        ).stopped_by_caller:
            break
        if _held_out(smaller, data, objective) <= allowed:
            current = smaller
    kept = [layer.active() for layer in current.layers]
    scores = attribute(current, data.X_train, method).edges
    return select(current, _consistent(current, kept, every_node, scores), data.X_train)


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
    return smaller
