"""Scores of eq. 2.21 and propagated scores: computed by hand for small networks, and laws for random ones."""

import dataclasses

import numpy as np
import pytest
import torch

from knotwork import KAN
from knotwork.errors import SpecError
from knotwork.model import trace
from knotwork.simplify import Scores, attribute
from knotwork.simplify.attribution import METHODS

every_method = pytest.mark.parametrize("method", METHODS)

# With k = 1 and G = 1 a curve is the straight line between its two coefficients, at -1 and at 1.
X = torch.tensor([[-1.0, 1.0], [0.0, 0.0], [0.5, -1.0], [1.0, 0.2]], dtype=torch.float64)


def lines(width, *slopes, **settings):
    """A network whose edges are straight lines through zero, with slopes of shapes (in, sums)."""
    network = KAN(width, grid=1, k=1, base="zero", seed=0, **settings)
    with torch.no_grad():
        for layer, slope in zip(network.layers, slopes, strict=True):
            slope = torch.tensor(slope, dtype=torch.float64)
            layer.coefficients.copy_(torch.stack([-slope, slope], dim=1))
    return network


def rows(n=150, inputs=2, seed=0):
    return 2 * torch.rand(n, inputs, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 1


def same(scores, other, rtol=1e-10):
    for one, two in zip(
        (*scores.edges, *scores.nodes, scores.inputs), (*other.edges, *other.nodes, other.inputs), strict=True
    ):
        torch.testing.assert_close(one, two, rtol=rtol, atol=1e-12)


# --- by hand ---


def test_paper_scores_by_hand():
    """h1 = 2x - y and h2 = 0.5x, then 0.1·h1 + 3·h2; the inputs have mean magnitudes 0.625 and 0.55."""
    network = lines([2, 2, 1], [[2.0, 0.5], [-1.0, 0.0]], [[0.1], [3.0]])
    scores = attribute(network, X, "paper")
    h1 = (abs(-2 - 1) + 0 + abs(1 + 1) + abs(2 - 0.2)) / 4  # mean |2x - y| over the four rows
    h2 = 0.5 * 0.625
    expected = [[[1.25, 0.3125], [0.55, 0.0]], [[0.1 * h1], [3 * h2]]]
    for edges, wanted in zip(scores.edges, expected, strict=True):
        torch.testing.assert_close(edges, torch.tensor(wanted, dtype=torch.float64))
    # eq. 2.21: the score of a node is the smaller of its largest incoming and its largest outgoing edge
    hidden = [min(1.25, 0.1 * h1), min(0.3125, 3 * h2)]
    torch.testing.assert_close(scores.nodes[1], torch.tensor(hidden, dtype=torch.float64))
    torch.testing.assert_close(scores.nodes[0], torch.tensor([1.25, 0.55], dtype=torch.float64))
    torch.testing.assert_close(scores.nodes[2], torch.tensor([max(0.1 * h1, 3 * h2)], dtype=torch.float64))
    assert torch.equal(scores.inputs, scores.nodes[0])
    assert scores.method == "paper"


def test_propagated_scores_by_hand():
    """By standard deviations of NumPy, from the output to the inputs: each edge has its share of the sum it enters."""
    slopes = np.array([[2.0, 0.5], [-1.0, 0.0]]), np.array([[0.1], [3.0]])
    scores = attribute(lines([2, 2, 1], slopes[0].tolist(), slopes[1].tolist()), X)
    x = X.numpy()
    h = x @ slopes[0]
    y = h @ slopes[1]
    last = np.abs(slopes[1]) * h.std(0)[:, None] / y.std(0)
    first = np.abs(slopes[0]) * x.std(0)[:, None] / h.std(0) * last.sum(1)
    np.testing.assert_allclose(scores.edges[1].numpy(), last, rtol=1e-12)
    np.testing.assert_allclose(scores.edges[0].numpy(), first, rtol=1e-12, atol=1e-16)
    np.testing.assert_allclose(scores.nodes[1].numpy(), last.sum(1), rtol=1e-12)
    np.testing.assert_allclose(scores.nodes[0].numpy(), first.sum(1), rtol=1e-12)
    assert scores.nodes[2].tolist() == [1.0]
    assert scores.method == "propagated"


def test_propagated_scores_of_deep_networks_equal_a_loop_over_edges():
    network, x = KAN([3, (2, 1), 3, 2], seed=0, init="paper"), rows(inputs=3)
    scores = attribute(network, x)
    node_scores = [1.0, 1.0]
    for l in (2, 1, 0):
        n_sums, _ = network.spec.width[l + 1]
        by_sum = node_scores[:n_sums] + [s for s in node_scores[n_sums:] for _ in range(2)]
        edges = trace(network, x).layers[l].edges.detach().numpy()
        wanted = [
            [edges[:, i, j].std() / edges[:, :, j].sum(1).std() * by_sum[j] for j in range(edges.shape[2])]
            for i in range(edges.shape[1])
        ]
        np.testing.assert_allclose(scores.edges[l].numpy(), wanted, rtol=1e-9)
        node_scores = [sum(row) for row in wanted]
        np.testing.assert_allclose(scores.nodes[l].numpy(), node_scores, rtol=1e-9)


def test_scores_of_factors_and_products():
    """x·y and a sum: each factor has the score of its product; in eq. 2.21 the stronger factor determines it."""
    network = lines([2, (1, 1), 1], [[1.0, 3.0, 0.0], [1.0, 0.0, 0.5]], [[0.2], [1.0]])
    propagated, paper = attribute(network, X), attribute(network, X, "paper")
    assert [edges.shape for edges in propagated.edges] == [(2, 3), (2, 1)]
    product = propagated.nodes[1][1]
    torch.testing.assert_close(propagated.edges[0][:, 1:], torch.eye(2, dtype=torch.float64) * product)
    outgoing = paper.edges[1][1, 0]
    assert float(paper.nodes[1][1]) == pytest.approx(min(3 * 0.625, float(outgoing)), rel=1e-12)
    weak = attribute(lines([2, (0, 1), 1], [[0.1, 0.0], [0.0, 0.01]], [[5000.0]]), X, "paper")
    assert float(weak.nodes[1][0]) == pytest.approx(0.1 * 0.625, rel=1e-12)


def test_a_named_edge_has_the_score_of_its_curve():
    network, x = KAN([2, 2, 1], seed=0, init="paper"), rows()
    a, b, c, d = 1.5, 0.25, 0.75, 0.125
    network.fix_symbolic(0, 1, 0, "sin", params=(a, b, c, d))
    curve = c * np.sin(a * x[:, 1].numpy() + b) + d
    assert float(attribute(network, x, "paper").edges[0][1, 0]) == pytest.approx(np.abs(curve).mean(), rel=1e-12)
    scores = attribute(network, x)
    spline = trace(network, x).layers[0].edges[:, 0, 0].detach().numpy()
    wanted = curve.std() / (curve + spline).std() * float(scores.nodes[1][0])
    assert float(scores.edges[0][1, 0]) == pytest.approx(wanted, rel=1e-12)


# --- laws ---


@every_method
@pytest.mark.parametrize("width", [[2, 1], [2, 3, 1], [3, (2, 2), 2, 2]])
def test_scores_have_the_shapes_of_the_network_and_are_not_negative(width, method):
    network, x = KAN(width, seed=0, init="paper"), rows(inputs=width[0])
    scores, spec = attribute(network, x, method), network.spec
    assert [edges.shape for edges in scores.edges] == [(spec.nodes(l), spec.sums(l + 1)) for l in range(spec.depth)]
    assert [nodes.shape for nodes in scores.nodes] == [(spec.nodes(l),) for l in range(spec.depth + 1)]
    assert scores.inputs.shape == (width[0],)
    assert all(bool((part >= 0).all()) for part in (*scores.edges, *scores.nodes, scores.inputs))
    assert not any(part.requires_grad for part in (*scores.edges, *scores.nodes, scores.inputs))


def silence(network, source):
    with torch.no_grad():
        network.layers[0].coefficients[source] = 0
        network.layers[0].base_weights[source] = 0


@every_method
def test_an_unused_input_scores_zero(method):
    network, x = KAN([3, 3, 1], seed=0, init="paper"), rows(inputs=3)
    silence(network, 1)
    for target in range(3):
        network.layers[0].remove_edge(2, target)
    inputs = attribute(network, x, method).inputs.tolist()
    assert inputs[0] > 0 and inputs[1:] == [0.0, 0.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_score_of_constant_inputs_and_edges_is_zero(dtype):
    """A constant column, a constant edge and a constant network: B-splines sum to one only up to rounding."""
    network, x = KAN([3, 2, 1], seed=0, init="paper", dtype=dtype), rows(inputs=3)
    with torch.no_grad():
        network.layers[0].coefficients[1], network.layers[0].base_weights[1] = 0.7, 0
    x[:, 2] = 0.3
    inputs = attribute(network, x).inputs.tolist()
    assert inputs[0] > 0 and inputs[1:] == [0.0, 0.0]
    with torch.no_grad():
        for layer in network.layers:
            layer.coefficients.fill_(0.3)
            layer.base_weights.zero_()
    scores = attribute(network, x)
    assert not any(part.any() for part in (*scores.edges, *scores.nodes[:-1], scores.inputs))


def test_the_score_of_cancelling_edges_is_zero_and_not_infinite():
    scores = attribute(lines([2, 1], [[1.0], [1.0]]), torch.stack([X[:, 0], -X[:, 0]], 1))
    assert scores.inputs.tolist() == [0.0, 0.0]


@every_method
def test_permuting_hidden_nodes_permutes_their_scores(method):
    network, x = KAN([2, 4, 1], seed=0, init="paper"), rows()
    order = torch.tensor([2, 0, 3, 1])
    permuted = network.copy()
    with torch.no_grad():
        first, last = permuted.layers
        first.coefficients.copy_(network.layers[0].coefficients[:, :, order])
        first.base_weights.copy_(network.layers[0].base_weights[:, order])
        last.coefficients.copy_(network.layers[1].coefficients[order])
        last.base_weights.copy_(network.layers[1].base_weights[order])
    scores = attribute(network, x, method)
    wanted = Scores(
        (scores.edges[0][:, order], scores.edges[1][order]),
        (scores.nodes[0], scores.nodes[1][order], scores.nodes[2]),
        scores.inputs,
        method,
    )
    same(attribute(permuted, x, method), wanted)


@every_method
def test_scores_do_not_depend_on_the_order_of_rows(method):
    network, x = KAN([2, (2, 1), 1], seed=0, init="paper"), rows()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1))
    same(attribute(network, x[order], method), attribute(network, x, method))


def test_propagated_scores_do_not_depend_on_the_unit_and_offset_of_outputs():
    """For outputs times a hundred plus a constant they are the same. The paper's scores grow with the outputs."""
    network, x = KAN([2, 3, 1], seed=0, init="paper"), rows()
    other = network.copy()
    with torch.no_grad():
        other.layers[1].coefficients *= 100
        other.layers[1].base_weights *= 100
        other.layers[1].coefficients[0] += 7
    same(attribute(other, x), attribute(network, x))
    assert attribute(other, x, "paper").edges[1][1, 0] == pytest.approx(
        100 * float(attribute(network, x, "paper").edges[1][1, 0]), rel=1e-12
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_scores_of_inputs_add_up_to_at_least_those_of_the_outputs(seed):
    """Because the standard deviation of a sum is at most the sum of the standard deviations."""
    network, x = KAN([3, 4, 2], seed=seed, init="paper"), rows(inputs=3, seed=seed)
    scores = attribute(network, x)
    for edges, nodes in zip(scores.edges, scores.nodes[1:], strict=True):
        assert bool((edges.sum(0) >= nodes * (1 - 1e-12)).all())
    assert float(scores.inputs.sum()) >= 2 * (1 - 1e-12)


def test_the_propagated_score_of_a_node_that_does_not_affect_the_output_is_zero():
    """The paper's scores depend on the next layer only, so there the score is not zero."""
    network, x = KAN([2, 2, 2, 1], seed=0, init="paper"), rows()
    network.layers[2].remove_edge(1, 0)
    network.layers[1].remove_edge(0, 0)
    assert attribute(network, x).nodes[1][0] == 0  # node 0 enters only node 1 of the next layer, which enters nothing
    assert attribute(network, x, "paper").nodes[1][0] > 0


def test_scores_of_inputs_are_numbered_by_the_original_columns():
    network, x = KAN([4, 2, 1], seed=0, init="paper"), rows(inputs=4)
    silence(network, 0)
    silence(network, 2)
    smaller = network.prune((x, network(x).detach()), node_threshold=0, edge_threshold=0)
    assert smaller.spec.inputs == (1, 3)
    scores = attribute(smaller, x)
    assert scores.inputs.shape == (4,) and scores.nodes[0].shape == (2,)
    assert scores.inputs.tolist() == [0.0, scores.nodes[0][0], 0.0, scores.nodes[0][1]]
    torch.testing.assert_close(scores.inputs, attribute(network, x).inputs)


def test_attribution_does_not_change_the_network():
    network, x = KAN([2, 3, 1], seed=0), rows()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    scores = attribute(network, x)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    y = network(x).detach()
    data_rows = network.attribute((x, y))  # only the training rows of the pair
    assert data_rows.edges[0].shape == scores.edges[0].shape
    assert not torch.equal(data_rows.edges[0], scores.edges[0])
    with pytest.raises(dataclasses.FrozenInstanceError):
        scores.method = "other"  # pyright: ignore[reportAttributeAccessIssue]


def test_unknown_methods_are_refused():
    with pytest.raises(SpecError) as caught:
        attribute(KAN([2, 1]), rows(), "shapley")
    assert str(caught.value) == "method='shapley' is not known; choose one of 'propagated', 'paper'."
