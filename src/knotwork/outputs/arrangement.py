"""The order and the signs of hidden nodes in a diagram: they are free, as none of them changes a value."""

import itertools
from collections.abc import Sequence

import numpy as np
import torch

from knotwork.functions import NamedFunction
from knotwork.outputs.layout import Array

SWEEPS = 8  # up and down through the layers; two or three suffice for networks that can be drawn without a crossing


def nodes_of_sums(n_sums: int, n_products: int, arity: int) -> Array:
    """The node that each sum leads to: its own, or the product of which it is a factor."""
    return np.concatenate([np.arange(n_sums), n_sums + np.repeat(np.arange(n_products), arity)])


def signs_of_nodes(signs: Array, nodes: Array) -> Array:
    """The signs of nodes, from those of the sums that lead to `nodes`: products have that of their factors."""
    found = np.ones(nodes.max(initial=-1) + 1)
    np.multiply.at(found, nodes, signs)
    return found


def untangled(width: Sequence[tuple[int, int]], arity: int, edges: Sequence[Array]) -> list[Array]:
    """The place from left to right of every node, layer by layer, with few crossings of lines.

    Every node goes to the mean place of its neighbours, below and above by turns (Sugiyama et al. 1981). Inputs and
    outputs keep their places, sums are left of products, and all stay where no order has fewer crossings.

    Args:
        width: numbers of sums and of products of each layer of nodes, the inputs first.
        arity: number of factors of a product.
        edges: pairs (n, 2) of a node and a sum of the next layer, layer by layer.
    """
    ends = [
        np.column_stack([layer[:, 0], nodes_of_sums(*nodes, arity)[layer[:, 1]]])
        for layer, nodes in zip(edges, width[1:], strict=True)
    ]
    places = [np.arange(sum(nodes)) for nodes in width]
    best, least = places, crossings(places, ends)
    for sweep in range(SWEEPS if least else 0):
        below, places = sweep % 2 == 0, list(places)
        for layer in range(1, len(ends)) if below else range(len(ends) - 1, 0, -1):
            near, there = (ends[layer - 1], 0) if below else (ends[layer], 1)
            others = places[layer - 1 if below else layer + 1]
            level = (others[near[:, there]] + 0.5) / len(others)
            number = np.bincount(near[:, 1 - there], minlength=len(places[layer]))
            total = np.bincount(near[:, 1 - there], level, minlength=len(places[layer]))
            own = (places[layer] + 0.5) / len(places[layer])
            mean = np.where(number, total / np.maximum(number, 1), own).round(12)
            of_products = np.arange(len(mean)) >= width[layer][0]
            order = np.lexsort((places[layer], mean, of_products))
            places[layer] = np.argsort(order)
        if (found := crossings(places, ends)) < least:
            best, least = places, found
    return best


def places_of_factors(n_products: int, arity: int, factors: Array, below: Array) -> Array:
    """The place from left to right of every factor of a product, by the mean place of the nodes that lead to it.

    Args:
        n_products, arity: number of products, and of factors of each.
        factors: the factor (n,) that each edge leads to, counted through all products.
        below: the place (n,) of the node that it comes from.
    """
    number, total = (np.bincount(factors, weights, n_products * arity) for weights in (None, below))
    mean = np.where(number, total / np.maximum(number, 1), np.inf)  # factors without edges are constant
    return mean.reshape(n_products, arity).argsort(axis=1, kind="stable").argsort(axis=1).ravel()


def crossings(places: Sequence[Array], ends: Sequence[Array]) -> int:
    """How many pairs of straight lines (n, 2) between nodes with these places cross."""
    found = 0
    for layer, (below, above) in zip(ends, itertools.pairwise(places), strict=True):
        x, y = below[layer[:, 0]], above[layer[:, 1]]
        found += int(((x[:, None] - x) * (y[:, None] - y) < 0).sum()) // 2
    return found


def parity(function: NamedFunction) -> int:
    """1 for a function with f(-x) = f(x), -1 for one with f(-x) = -f(x), else 0."""
    x = torch.linspace(0.1, 0.9, 7, dtype=torch.float64)
    left, right = function.value(-x), function.value(x)
    return 1 if torch.allclose(left, right) else -1 if torch.allclose(left, -right) else 0


def signs_of_sums(
    width: Sequence[tuple[int, int]],
    arity: int,
    edges: Sequence[Array],
    named: Sequence[Array],
    scores: Sequence[Array],
) -> list[Array]:
    """1 or -1 for the sums of each layer: what they are multiplied by, so that named curves look as their names say.

    A curve c·f(a·x + b) + d does if c, and a where f is not even, are positive. The edges of a node vote with their
    scores: those that lead to it, and those from it whose f has no parity. Sums of the last layer have sign 1.

    Args:
        width, arity, edges: as in `untangled`.
        named: rows (n, 3) of each layer: a, c and the parity of f; of zeros for an edge without name.
        scores: importance (n,) of each edge.
    """
    signs, of_nodes = [], np.ones(sum(width[0]))
    for layer, ((source, target), (a, c, even), score) in enumerate(
        zip((e.T for e in edges), (n.T for n in named), scores, strict=True)
    ):
        n_sums, n_products = width[layer + 1]
        sums = nodes_of_sums(n_sums, n_products, arity)
        turned = np.where(even < 0, np.sign(a) * of_nodes[source], 1.0)
        votes = np.bincount(target, score * np.sign(c) * turned, minlength=len(sums))
        own = np.ones(len(sums))
        if layer + 1 < len(edges):
            after, (a_after, _, even_after) = edges[layer + 1][:, 0], named[layer + 1].T
            asks = scores[layer + 1] * np.sign(a_after) * (even_after == 0)
            votes[:n_sums] += np.bincount(after, asks, minlength=n_sums + n_products)[:n_sums]
            own = np.where(votes < 0, -1.0, 1.0)
        signs.append(own)
        of_nodes = signs_of_nodes(own, sums)
    return signs
