"""A trace holds the values of a forward pass: edges add to sums, sums give nodes, nodes enter the next layer."""

import numpy as np
import pytest
import torch

from knotwork.model import node_ranges, trace
from tests.model import twins
from tests.model.networks import every_kind, random_network, rows

NETWORKS = {**{f"random {seed}": random_network(seed) for seed in range(12)}, **every_kind()}
every_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=list(NETWORKS))


@every_network
def test_sums_nodes_and_next_inputs_follow_from_the_edges(network):
    x = rows(network)
    seen = trace(network, x)
    spec = network.spec
    assert len(seen.layers) == spec.depth
    expected = x[:, list(spec.inputs)]
    for l, (layer, passed) in enumerate(zip(network.layers, seen.layers, strict=True)):
        assert passed.inputs.equal(expected)
        assert np.allclose(twins.numbers(passed.edges), twins.edges(layer, twins.numbers(passed.inputs)), atol=1e-12)
        assert torch.allclose(passed.sums, sum(passed.edges[:, i] for i in range(layer.in_features)), atol=1e-13)
        n_sums, n_products = spec.width[l + 1]
        assert passed.nodes.shape == (len(x), n_sums + n_products)
        assert passed.nodes[:, :n_sums].equal(passed.sums[:, :n_sums])
        for p in range(n_products):
            first = n_sums + spec.arity * p
            factors = [passed.sums[:, first + m] for m in range(spec.arity)]
            assert torch.allclose(passed.nodes[:, n_sums + p], torch.stack(factors).prod(0), atol=1e-15)
        expected = passed.nodes
    assert seen.outputs.equal(expected)
    assert torch.allclose(seen.outputs, network(x), rtol=1e-12, atol=1e-13)


@every_network
def test_removed_edges_are_inactive_and_zero(network):
    for layer, passed in zip(network.layers, trace(network, rows(network)).layers, strict=True):
        assert passed.active.dtype == torch.bool and passed.active.shape == passed.edges.shape[1:]
        assert passed.edges[:, ~passed.active].eq(0).all()
        for i in range(layer.in_features):
            for j in range(layer.out_features):
                named = any((s, t) == (i, j) for s, t, _, _ in layer.named)
                assert bool(passed.active[i, j]) == (named or layer.mask[i, j] == 1)


@every_network
def test_gradients_of_a_trace_are_those_of_the_network(network):
    x = rows(network)
    parameters = [p for p in network.parameters() if p.numel()]
    options = {"allow_unused": True, "materialize_grads": True}
    by_trace = torch.autograd.grad(trace(network, x).outputs.square().sum(), parameters, **options)
    by_call = torch.autograd.grad(network(x).square().sum(), parameters, **options)
    for one, other in zip(by_trace, by_call, strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-11)


def test_the_trace_of_an_empty_batch_is_empty():
    network = every_kind()["one of each"]
    seen = trace(network, torch.zeros(0, 5))
    assert [tuple(layer.edges.shape) for layer in seen.layers] == [(0, 3, 7), (0, 3, 3)]
    assert seen.outputs.shape == (0, 1)


@every_network
def test_ranges_of_nodes_are_those_of_the_trace(network):
    x = rows(network)
    for (low, high), passed in zip(node_ranges(network, x), trace(network, x).layers, strict=True):
        assert low.equal(passed.inputs.min(0).values) and high.equal(passed.inputs.max(0).values)
        assert not low.requires_grad and not high.requires_grad
