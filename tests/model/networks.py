"""Random networks of every kind: depths, orders, grids, products, named edges, removed edges, dropped inputs."""

import numpy as np
import torch

from knotwork.model import KANNetwork, NamedEdge, Spec, trace
from knotwork.simplify import Selection, select
from knotwork.splines import adaptive_knots
from tests.model.twins import NAMED


def random_network(seed, dtype="float64", *, named=True, pruned=True, orders=range(6)):
    """A network with random settings drawn with `seed`, its uneven grids placed around the values that enter them.

    Half of them lost inputs, hidden nodes and edges through `knotwork.simplify.select`.
    """
    rng = np.random.default_rng(seed)
    depth = int(rng.integers(1, 4))
    width = [(int(rng.integers(1, 5)), 0)]
    for _ in range(depth):
        sums, products = int(rng.integers(0, 4)), int(rng.integers(0, 3))
        width.append((max(sums, 1 - products), products))
    spec = Spec(
        tuple(width),
        grid=int(rng.integers(1, 8)),
        k=int(rng.choice(list(orders))),
        arity=int(rng.integers(2, 4)),
        base=str(rng.choice(["silu", "identity", "sine", "zero"])),
        extrapolation=str(rng.choice(["linear", "zero"])),
        grid_range=(-1.0, 1.0) if rng.random() < 0.5 else None,
        dtype=dtype,
    )
    network = KANNetwork(spec, str(rng.choice(["paper", "power"])), torch.Generator().manual_seed(seed))
    with torch.no_grad():  # curves that bend, as after training
        for layer in network.layers:
            layer.coefficients += torch.tensor(rng.normal(0, 0.5, layer.coefficients.shape))
    if named:
        _name_and_remove(network, rng)
    if pruned and rng.random() < 0.5:
        network = _drop(network, rng)
    _lay_grids(network, rng)
    return network


def rows(network, n=60, seed=0):
    """Random rows inside the input grids of `random_network`."""
    generator = torch.Generator().manual_seed(seed)
    x = 2 * torch.rand(n, network.spec.in_features, generator=generator, dtype=torch.float64) - 1
    return x.to(network.spec.torch_dtype())


def _name_and_remove(network, rng):
    for layer in network.layers:
        for i in range(layer.in_features):
            for j in range(layer.out_features):
                lot = rng.random()
                if lot < 0.2:
                    constants = torch.tensor(rng.uniform(-1, 1, 4))
                    layer.name_edge(i, j, str(rng.choice(list(NAMED))), constants, bool(rng.random() < 0.7))
                elif lot < 0.3:
                    layer.remove_edge(i, j)


def _drop(network, rng):
    nodes = [torch.tensor(rng.random(network.spec.nodes(l)) < 0.7) for l in range(network.spec.depth + 1)]
    nodes[-1][:] = True
    for kept in nodes:
        kept[int(rng.integers(len(kept)))] = True
    edges = []
    for l, layer in enumerate(network.layers):
        s, _ = network.spec.width[l + 1]
        fed = torch.cat([nodes[l + 1][:s], nodes[l + 1][s:].repeat_interleave(network.spec.arity)])
        edges.append(layer.active() & nodes[l][:, None] & fed & torch.tensor(rng.random(layer.mask.shape) < 0.9))
    return select(network, Selection(tuple(edges), tuple(nodes)), rows(network))


def _lay_grids(network, rng):
    x = rows(network, 200)
    for l, layer in enumerate(network.layers):
        values = trace(network, x).layers[l].inputs.detach()
        low, high = values.amin(0) - 0.2, values.amax(0) + 0.2
        layer.set_knots(adaptive_knots(values, low, high, layer.grid, layer.k, float(rng.random())))


def every_kind():
    """Networks chosen by hand, so that unusual cases are certainly tested."""
    one_of_each = KANNetwork(
        Spec(
            ((3, 0), (1, 2), (0, 1)),
            grid=3,
            k=2,
            arity=3,
            in_features=5,
            inputs=(4, 0, 2),
            named=(NamedEdge(0, 0, 1, "sin"), NamedEdge(1, 2, 0, "tanh", False), NamedEdge(1, 0, 2, "x^2")),
        ),
        generator=torch.Generator().manual_seed(0),
    )
    one_of_each.layers[0].remove_edge(1, 2)
    all_named = KANNetwork(Spec(((1, 0), (1, 0)), named=(NamedEdge(0, 0, 0, "sin"),)))
    all_removed = KANNetwork(Spec(((2, 0), (1, 0))), generator=torch.Generator().manual_seed(0))
    all_removed.layers[0].remove_edge(0, 0)
    all_removed.layers[0].remove_edge(1, 0)
    return {"one of each": one_of_each, "all named": all_named, "all removed": all_removed}
