"""Pruning gives smaller networks with the same outputs and does not change the original."""

import re

import pytest
import torch

from knotwork import KAN, Adam, Dataset, LevenbergMarquardt, sample
from knotwork.errors import TrainingError
from knotwork.model import KANNetwork
from knotwork.simplify import attribute, prune, pruning, without_edges
from knotwork.simplify.attribution import METHODS
from knotwork.training import rmse

EXACT = {"rtol": 0, "atol": 1e-12}


def rows(n=150, inputs=2, seed=0):
    return 2 * torch.rand(n, inputs, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 1


def own_data(network, x, validation=0.2):
    """Data whose targets are the outputs of the network."""
    return Dataset.from_arrays(x, network(x).detach(), test_size=0, validation_size=validation)


def random_network(width, seed=0, **settings):
    return KAN(list(width), seed=seed, init="paper", **settings)


def make_constant(network, layer, source, target, value=0.0):
    """Set an edge to a constant: B-splines with equal coefficients are constant inside and outside the grid."""
    with torch.no_grad():
        network.layers[layer].coefficients[source, :, target] = value
        network.layers[layer].base_weights[source, target] = 0


def state(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def overwide(**settings):
    """A fitted network that is wider than exp(sin(3x) + y²), and its data with an unused third input."""

    def function(x, y, z):
        return torch.exp(torch.sin(3 * x) + y**2) + 0 * z

    data = sample(function, x=(-1, 1), y=(-1, 1), z=(-1, 1), size=200, test_size=100, noise=0.05)
    network = KAN([3, 3, 1], grid=3, seed=0)
    network.fit(data, **{"steps": 25, "optimizer": LevenbergMarquardt(starts=2), **settings})
    return network, data


# --- the original ---


@pytest.mark.parametrize("settings", [{}, {"node_threshold": 0.5, "edge_threshold": 0.3}, {"budget": 0.5}])
def test_pruning_does_not_change_the_original(settings):
    network, x = random_network([2, (2, 1), 1]), rows(60)
    network.fix_symbolic(0, 0, 0, "sin", params=(1.5, 0.25, 1.0, 0.0))
    network.fitted.fill_(True)
    before, spec = state(network), network.spec
    smaller = network.prune(own_data(network, x), **settings)
    assert same(network.state_dict(), before) and network.spec == spec
    assert smaller is not network and isinstance(smaller, KAN)
    with torch.no_grad():
        for parameter in smaller.parameters():
            parameter.fill_(9.0)
    assert same(network.state_dict(), before), "they share memory"


def test_pruning_keeps_the_class_and_the_settings():
    network = KANNetwork(random_network([2, 3, 1], base="sine", extrapolation="zero", k=2, dtype=torch.float32).spec)
    smaller = prune(network, own_data(network, rows()), node_threshold=0.3)
    assert type(smaller) is KANNetwork
    for name in ("base", "extrapolation", "k", "dtype", "grid", "arity", "in_features"):
        assert getattr(smaller.spec, name) == getattr(network.spec, name)
    assert not smaller.fitted
    network.fitted.fill_(True)
    assert prune(network, own_data(network, rows()), node_threshold=0.3).fitted


def test_pruning_does_not_change_the_global_random_generator():
    network = random_network([2, 3, 1])
    data, before = own_data(network, rows()), torch.get_rng_state()
    network.prune(data)
    assert torch.equal(torch.get_rng_state(), before)


# --- dead parts ---


@pytest.mark.parametrize(
    ("method", "value"), [("propagated", 0.0), ("propagated", 0.7), ("propagated", -1.3), ("paper", 0.0)]
)
@pytest.mark.parametrize("edge", [(0, 0, 0), (0, 1, 2), (0, 2, 4), (1, 0, 0), (1, 3, 1)])
def test_pruning_a_constant_edge_keeps_the_outputs(edge, value, method):
    """For edges into sums, factors of products and outputs, on rows that pruning did not use and outside the grid.

    The paper's score of a constant, |φ|₁, is zero only where the constant is.
    """
    network, x = random_network([3, (3, 1), 2]), rows(inputs=3)
    make_constant(network, *edge, value)
    smaller = network.prune(own_data(network, x), node_threshold=0, edge_threshold=0, method=method)
    assert not smaller.layers[edge[0]].active()[edge[1:]]
    assert sum(int(layer.active().sum()) for layer in smaller.layers) == 3 * 5 + 4 * 2 - 1
    probe = 2 * rows(100, inputs=3, seed=1)
    torch.testing.assert_close(smaller(probe), network(probe), **EXACT)


def test_pruning_dead_nodes_keeps_the_outputs():
    """Dead nodes have no incoming or no outgoing edges, are constant, or are a product with a factor zero."""
    network, x = random_network([2, (4, 1), 3, 1]), rows()
    for target, value in ((0, 0.4), (1, 0.0)):
        for source in (0, 1):
            make_constant(network, 0, source, target, value)
    for target in range(3):
        make_constant(network, 1, 2, target, 0.1 * target)
    for source in (0, 1):
        make_constant(network, 0, source, 5, 0.0)
    smaller = network.prune(own_data(network, x), node_threshold=0, edge_threshold=0)
    assert smaller.spec.width == ((2, 0), (1, 0), (3, 0), (1, 0))
    torch.testing.assert_close(smaller(2 * x), network(2 * x), **EXACT)


def test_thresholds_of_zero_keep_the_outputs():
    network, x = random_network([3, (3, 1), 2]), rows(inputs=3)
    smaller = network.prune(own_data(network, x), node_threshold=0, edge_threshold=0)
    assert smaller.spec == network.spec
    assert same(smaller.state_dict(), network.state_dict())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("width", [[2, 5, 1], [3, (2, 2), 3, 1]])
def test_pruning_twice_equals_pruning_once(width, seed):
    """No score is near the thresholds, so the second pruning removes nothing."""
    network, x = random_network(width, seed), rows(inputs=width[0])
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in network.layers:
            weak = torch.rand(layer.mask.shape, generator=generator) < 0.4
            layer.coefficients[:] = torch.where(weak.unsqueeze(1), 1e-6 * layer.coefficients, 3 * layer.coefficients)
            layer.base_weights[:] = torch.where(weak, 1e-6 * layer.base_weights, 3 * layer.base_weights)
    data = own_data(network, x)
    once = network.prune(data, node_threshold=1e-4, edge_threshold=1e-4)
    twice = once.prune(data, node_threshold=1e-4, edge_threshold=1e-4)
    assert once.parameters_in_use() < network.parameters_in_use()
    assert twice.spec == once.spec
    assert same(twice.state_dict(), once.state_dict())
    assert float((once(x) - network(x)).abs().max().detach()) < 1e-3 * float(network(x).std().detach())


def test_edges_and_nodes_with_scores_below_the_thresholds_are_removed():
    network, x = random_network([2, 5, 1]), rows()
    data = own_data(network, x)
    scores = attribute(network, data.X_train)
    middle = float(scores.nodes[1].sort().values[1:3].mean())  # between the second and the third of five scores
    smaller = network.prune(data, node_threshold=middle, edge_threshold=0)
    kept = (scores.nodes[1] > middle).nonzero().flatten()
    assert smaller.spec.width == ((2, 0), (3, 0), (1, 0))
    assert torch.equal(smaller.layers[0].coefficients, network.layers[0].coefficients[:, :, kept])
    edges = torch.cat([scores.edges[0].flatten(), scores.edges[1].flatten()]).sort().values
    least = float(edges[3:5].mean())
    smaller = network.prune(data, node_threshold=0, edge_threshold=least)
    wanted = attribute(network, data.X_train).edges[0] > least
    assert int(smaller.layers[0].active().sum()) <= int(wanted.sum())


def test_the_mean_of_removed_edges_is_kept():
    """A removed edge is replaced by its mean over the training rows, so the mean output of one layer is kept."""
    network, x = random_network([3, 1]), rows(inputs=3)
    data = own_data(network, x, validation=0)
    scores = attribute(network, data.X_train).edges[0][:, 0]
    smaller = network.prune(data, edge_threshold=float(scores.sort().values[:2].mean()))
    assert int(smaller.layers[0].active().sum()) == 2
    torch.testing.assert_close(smaller(data.X_train).mean(), network(data.X_train).mean(), **EXACT)
    assert float((smaller(x) - network(x)).abs().max().detach()) > 1e-3


# --- inputs ---


def test_outputs_do_not_depend_on_pruned_inputs():
    network, x = random_network([4, 3, 1]), rows(inputs=4)
    for source in (0, 2):
        for target in range(3):
            make_constant(network, 0, source, target, 0.2 * source)
    smaller = network.prune(own_data(network, x))
    assert smaller.spec.inputs == (1, 3)
    assert smaller.spec.in_features == 4
    assert smaller.spec.width[0] == (2, 0)
    other = x.clone()
    other[:, 0], other[:, 2] = 100.0, float("nan")
    assert torch.equal(smaller(other), smaller(x))
    again = smaller.copy()
    for target in range(smaller.layers[0].out_features):
        make_constant(again, 0, 0, target)
    # numbered by the original columns, also after the second pruning
    assert again.prune(own_data(again, x)).spec.inputs == (3,)


# --- what must not go ---


@pytest.mark.parametrize("width", [[2, 1], [2, 4, 1], [2, 3, 3, 2], [3, (1, 1), 1], [2, (0, 2), (1, 1), 2]])
@pytest.mark.parametrize("settings", [{"edge_threshold": 1e9}, {"node_threshold": 1e9}, {"budget": 1e9}])
@pytest.mark.parametrize("method", METHODS)
def test_every_output_stays_connected_to_the_inputs(width, settings, method):
    """For any threshold, the strongest edge stays, the strongest edge into its source, and one edge of each factor."""
    network, x = random_network(width), rows(80, width[0])
    network.fitted.fill_(True)
    noise = 0.1 * torch.randn(80, width[-1], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    data = Dataset.from_arrays(x, network(x).detach() + noise, test_size=0)
    smaller = network.prune(data, **settings, method=method)
    spec = smaller.spec
    fed = torch.ones(spec.nodes(0), dtype=torch.bool)
    for l, layer in enumerate(smaller.layers):
        sums = (layer.active() & fed[:, None]).any(0)
        n_sums, n_products = spec.width[l + 1]
        fed = torch.cat([sums[:n_sums], sums[n_sums:].view(n_products, spec.arity).all(1)])
    assert spec.nodes(spec.depth) == network.spec.nodes(network.spec.depth)
    assert bool(fed.all())
    if "node_threshold" not in settings:
        assert smaller.parameters_in_use() < network.parameters_in_use()
        if not any(products for _, products in spec.width) and width[-1] == 1:
            assert [int(layer.active().sum()) for layer in smaller.layers] == [1] * spec.depth


def test_the_edges_with_the_largest_scores_are_kept():
    network, x = random_network([3, 4, 1]), rows(inputs=3)
    data = own_data(network, x)
    scores = attribute(network, data.X_train)
    node = int(scores.edges[1][:, 0].argmax())
    source = int(scores.edges[0][:, node].argmax())
    smaller = network.prune(data, edge_threshold=1e9)
    assert smaller.spec.inputs == (source,)
    assert torch.equal(smaller.layers[1].knots[0], network.layers[1].knots[node])


@pytest.mark.parametrize("threshold", [0.2, 0.9])
def test_every_factor_of_a_product_keeps_an_edge(threshold):
    """x·(1 + 1e-3·y): the second factor hardly varies, but without it the product would be zero."""
    network, x = random_network([2, (0, 1), 1]), rows()
    with torch.no_grad():
        network.layers[0].coefficients[:, :, 1] *= 1e-3
        network.layers[0].base_weights[:, 1] *= 1e-3
        network.layers[0].coefficients[1, :, 1] += 1.0
    smaller = network.prune(own_data(network, x), edge_threshold=threshold)
    assert smaller.spec.width[1] == (0, 1)
    assert bool(smaller.layers[0].active().any(0).all())


def test_a_product_above_the_threshold_keeps_its_factors_with_edges_below_it():
    """(x + y)(x - y) next to a stronger sum: the score of an edge is 0.7 of that of its factor and product."""
    network, x = KAN([2, (1, 1), 1], grid=1, k=1, base="zero", seed=0), rows()
    slopes = torch.tensor([[3.0, 1.0, 1.0], [0.0, 1.0, -1.0]], dtype=torch.float64), torch.tensor([[1.0], [0.9]])
    with torch.no_grad():
        for layer, slope in zip(network.layers, slopes, strict=True):
            layer.coefficients.copy_(torch.stack([-slope, slope], dim=1))
    data = own_data(network, x)
    scores = attribute(network, data.X_train)
    product, factors = float(scores.nodes[1][1]), scores.edges[0][:, 1:]
    threshold = 0.95 * product
    assert float(scores.nodes[1][0]) > product > threshold > float(factors.max())
    smaller = network.prune(data, edge_threshold=threshold)
    assert smaller.spec.width[1] == (1, 1)
    assert smaller.layers[0].active()[:, 1:].sum(0).tolist() == [1, 1]


def test_an_output_without_edges_stays_zero():
    network, x = random_network([2, 2]), rows()
    network.layers[0].remove_edge(0, 1)
    network.layers[0].remove_edge(1, 1)
    smaller = network.prune((x, x))
    assert smaller.spec.width[-1] == (2, 0)
    assert not smaller(x)[:, 1].any()


# --- named edges ---


def test_named_edges_are_kept_with_their_new_numbers():
    network, x = random_network([3, 3, 1]), rows(inputs=3)
    constants = {
        (0, 1, 1): ("sin", (1.5, 0.25, 1.0, 0.5), True),
        (0, 2, 2): ("x^2", (1.0, 0.5, 2.0, 0.0), False),
        (0, 0, 0): ("exp", (1.0, 0.0, 1.0, 0.0), True),  # removed, because input 0 and node 0 are removed
        (1, 2, 0): ("tanh", (1.0, 0.125, 1.0, 0.25), True),
    }
    for edge, (function, params, trainable) in constants.items():
        network.fix_symbolic(*edge, function, params=params, trainable=trainable)
    for target in (1, 2):
        make_constant(network, 0, 0, target)
    make_constant(network, 1, 0, 0, 0.3)
    smaller = network.prune(own_data(network, x), node_threshold=0, edge_threshold=0)
    assert smaller.spec.width == ((2, 0), (2, 0), (1, 0)) and smaller.spec.inputs == (1, 2)
    named = {(e.layer, e.source, e.target): (e.function, e.trainable) for e in smaller.spec.named}
    assert named == {(0, 0, 0): ("sin", True), (0, 1, 1): ("x^2", False), (1, 1, 0): ("tanh", True)}
    assert smaller.layers[0].affine.tolist() == [list(constants[0, 1, 1][1]), list(constants[0, 2, 2][1])]
    torch.testing.assert_close(smaller(2 * x), network(2 * x), **EXACT)


def test_a_removed_constant_is_added_to_d_if_every_edge_is_named():
    network, x = random_network([2, 1]), rows()
    network.fix_symbolic(0, 0, 0, "sin", params=(1.5, 0.25, 1.0, 0.5))
    network.fix_symbolic(0, 1, 0, "x^2", params=(0.0, 0.5, 2.0, 0.125))  # 2 · 0.5² + 0.125 = 0.625
    smaller = network.prune(own_data(network, x), edge_threshold=0)
    assert smaller.layers[0].affine.tolist() == [[1.5, 0.25, 1.0, 1.125]]
    torch.testing.assert_close(smaller(2 * x), network(2 * x), **EXACT)


def test_without_edges_removes_the_given_edges():
    network, x = random_network([2, 2, 1]), rows()
    keep = [torch.tensor([[True, False], [True, True]]), torch.tensor([[True], [True]])]
    other = without_edges(network, keep, x)
    assert [layer.active().tolist() for layer in other.layers] == [k.tolist() for k in keep]
    assert other.spec.width == network.spec.width


# --- within a budget ---


@pytest.mark.parametrize("budget", [0.05, 0.5])
def test_pruning_within_a_budget_raises_the_error_by_at_most_the_budget(budget):
    network, data = overwide()
    before, state_before = rmse(network, data.X_val, data.y_val), state(network)
    smaller = network.prune(data, budget=budget)
    # removing constant parts causes rounding errors
    assert rmse(smaller, data.X_val, data.y_val) <= (1 + budget) * before * (1 + 1e-9)
    assert sum(int(layer.active().sum()) for layer in smaller.layers) < 12
    assert same(network.state_dict(), state_before)


@pytest.mark.parametrize("smoothness", ["auto", None])
def test_a_larger_budget_never_gives_a_larger_network(smoothness):
    network, data = overwide(smoothness=smoothness)
    pruned = [network.prune(data, budget=budget) for budget in (0.0, 0.05, 0.2, 1.0, 1e9)]
    sizes = [one.parameters_in_use() for one in pruned]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 2 * (network.spec.grid + network.spec.k + 1)  # one edge in each of two layers
    before = rmse(network, data.X_val, data.y_val)
    assert all(
        rmse(one, data.X_val, data.y_val) <= (1 + b) * before * (1 + 1e-9)
        for one, b in zip(pruned, (0.0, 0.05, 0.2, 1.0), strict=False)
    )


def test_a_budget_without_validation_rows_uses_the_training_rows():
    network, data = overwide()
    x, y = torch.cat([data.X_train, data.X_val]), torch.cat([data.y_train, data.y_val])
    data = Dataset.from_arrays(x, y, test_size=0, validation_size=0)
    smaller = network.prune(data, budget=0.05)
    assert rmse(smaller, x, y) <= 1.05 * rmse(network, x, y) * (1 + 1e-9)
    assert smaller.parameters_in_use() < network.parameters_in_use()


def test_ctrl_c_ends_pruning_and_keeps_the_network_reached(monkeypatch):
    """The interrupted fit handles the interrupt; no further edge is tried."""
    network, data = overwide()
    fits, tried = [], []

    def edges(of):
        return sum(int(layer.active().sum()) for layer in of.layers)

    def interrupted(model, data, **settings):
        def callback(event):
            if len(fits) == 2 and event.step:
                raise KeyboardInterrupt

        tried.append(edges(model))
        fits.append(fit(model, data, **settings, callback=callback))
        return fits[-1]

    fit = pruning.fit
    monkeypatch.setattr(pruning, "fit", interrupted)
    smaller = network.prune(data, budget=1e9)
    assert len(fits) == len(tried) == 3
    assert edges(smaller) == tried[-1] + 1  # with the edge that was tried when Ctrl-C came


# --- afterwards ---


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "adam"])
def test_a_pruned_network_can_be_fitted(optimizer):
    network, data = overwide(lamb=1e-2)
    smaller = network.prune(data)
    assert smaller.spec.inputs == (0, 1)
    before = rmse(smaller, data.X_train, data.y_train)
    # steps of Adam must be small compared with the values of the hidden node, which the penalty has made small
    result = smaller.fit(data, optimizer=Adam(lr=1e-4) if optimizer == "adam" else optimizer, steps=30)
    assert result.train_rmse < before
    assert smaller.fitted


def test_a_pruned_network_can_be_refined_copied_and_traced():
    network, data = overwide(lamb=1e-2)
    smaller = network.prune(data)
    finer = smaller.refine(2 * network.spec.grid)
    torch.testing.assert_close(finer(data.X_train), smaller(data.X_train), rtol=0, atol=1e-10)
    assert torch.equal(smaller.copy()(data.X_train), smaller(data.X_train))
    torch.testing.assert_close(smaller.trace(data).outputs, smaller(data.X_train))


# --- errors ---


def test_pruning_without_data_is_refused():
    with pytest.raises(
        TrainingError, match=re.escape("prune() measures importance on samples, and a model keeps none: pass data=.")
    ):
        KAN([2, 1]).prune()


@pytest.mark.parametrize("budget", [-0.1, float("nan")])
def test_impossible_budgets_are_refused(budget):
    network = random_network([2, 1])
    with pytest.raises(TrainingError) as caught:
        network.prune(own_data(network, rows()), budget=budget)
    assert str(caught.value) == f"budget={budget!r} is not possible: give the allowed rise of the error, such as 0.05."
