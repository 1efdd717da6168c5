"""The parameters of a layer are the tensors that have an effect; what edges were as splines is kept beside them."""

import copy
import io
import pickle

import pytest
import torch

import knotwork as kw
from knotwork.model import KANLayer, KANNetwork
from tests.model.distributed import networks
from tests.model.networks import every_kind, random_network, rows

NETWORKS = {**{f"random {seed}": random_network(seed) for seed in range(30)}, **every_kind(), **networks()}
every_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=list(NETWORKS))
DATA = kw.sample("sin(2*x) + y**2", x=(-1, 1), y=(-1, 1), size=150, test_size=0, seed=0)


def layer(n_in=2, n_out=2, **settings):
    return KANLayer(n_in, n_out, generator=torch.Generator().manual_seed(0), dtype=torch.float64, **settings)


# --- which tensors are parameters ---


@every_network
def test_every_parameter_gets_a_gradient(network):
    network.zero_grad()
    y = network(rows(network))
    if y.requires_grad:
        y.square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@every_network
def test_no_buffer_of_splines_has_an_effect(network):
    """Buffers hold what is not trained; only knots, mask and the constants of fixed edges change the output."""
    x, other = rows(network), network.copy()
    for buffers in (layer._buffers for layer in other.layers):
        for name in buffers.keys() - {"knots", "mask", "affine"}:
            buffers[name].add_(1.0)
    assert other(x).equal(network(x))


def test_parameters_come_and_go_with_the_names_of_edges():
    made = layer(2, 1)
    names = lambda: [name for name, _ in made.named_parameters()]  # noqa: E731
    assert names() == ["coefficients", "base_weights"]
    made.name_edge(0, 0, "sin", torch.ones(4))
    assert names() == ["coefficients", "base_weights", "affine"]
    made.name_edge(1, 0, "cos", torch.ones(4), trainable=False)
    assert names() == ["affine"]
    made.name_edge(0, 0, "sin", torch.ones(4), trainable=False)
    assert names() == [] and not made(rows_of(made)).requires_grad
    made.unname_edge(1, 0)
    assert names() == ["coefficients", "base_weights"]
    made.remove_edge(1, 0)
    assert names() == []
    made.unname_edge(0, 0)
    assert names() == ["coefficients", "base_weights"] and made(rows_of(made)).requires_grad
    made.remove_edge(0, 0)  # all are removed, and none is named: the gradients are there, and zero
    assert names() == ["coefficients", "base_weights"] and made(rows_of(made)).requires_grad
    made(rows_of(made)).sum().backward()
    assert not made.coefficients.grad.any() and not made.base_weights.grad.any()
    assert [name for name, _ in layer(base="zero").named_parameters()] == ["coefficients"]


def rows_of(made):
    return 2 * torch.rand(20, made.in_features, generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 1


@every_network
def test_the_names_of_the_state_do_not_depend_on_what_is_used(network):
    names = {"knots", "mask", "coefficients", "base_weights", "affine", "kept"}
    assert all(set(layer.state_dict()) == names for layer in network.layers)


@every_network
@pytest.mark.parametrize("way", [KANNetwork.copy, copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))])
def test_copies_have_the_same_parameters_in_the_same_order(network, way):
    network = network.copy()
    for number, parameter in enumerate(network.parameters()):
        parameter.requires_grad_(number % 2 == 0)
    other = way(network)
    assert [(name, p.requires_grad) for name, p in other.named_parameters()] == [
        (name, p.requires_grad) for name, p in network.named_parameters()
    ]


def test_the_order_of_parameters_does_not_depend_on_the_past():
    made, twin = layer(2, 1), layer(2, 1)
    for place in (0, 1):
        made.name_edge(place, 0, "sin", torch.ones(4))
    made.unname_edge(0, 0)
    twin.name_edge(1, 0, "sin", torch.ones(4))
    assert [n for n, _ in made.named_parameters()] == [n for n, _ in twin.named_parameters()]


@pytest.mark.parametrize("frozen", ["coefficients", "base_weights", "both"])
def test_a_frozen_tensor_is_frozen_after_all_edges_were_named_and_unnamed(frozen):
    made = layer(1, 1)
    both = "coefficients", "base_weights"
    for name in both if frozen == "both" else (frozen,):
        getattr(made, name).requires_grad_(False)
    flags = [getattr(made, name).requires_grad for name in both]
    made.name_edge(0, 0, "sin", torch.ones(4))
    assert made.affine.requires_grad is (frozen != "both")
    other = copy.deepcopy(made)
    other.freeze_like(made)
    for one in (made, other):
        one.unname_edge(0, 0)
        assert [getattr(one, name).requires_grad for name in both] == flags


@pytest.mark.parametrize("whole", [torch.nn.Sequential, lambda made: made], ids=["module around it", "layer"])
@pytest.mark.parametrize("trainable", [True, False])
def test_a_layer_that_is_thawed_while_its_edges_are_named_is_trained_again(whole, trainable):
    made = layer(2, 1)
    whole(made).requires_grad_(False)
    for i in (0, 1):
        made.name_edge(i, 0, "sin", torch.ones(4), trainable or i == 1)
    for one in (made, like(made)):
        assert not any(p.requires_grad for p in one.parameters())
        one = copy.deepcopy(one)
        one.unname_edge(0, 0)
        assert not any(p.requires_grad for p in one.parameters())
    whole(made).requires_grad_(True)
    for one in (made, like(made)):
        one.unname_edge(0, 0)
        assert all(p.requires_grad for p in one.parameters())


def like(made):
    """A copy with all tensors trained, of which `freeze_like` then freezes some."""
    other = copy.deepcopy(made)
    other.requires_grad_(True)
    other.freeze_like(made)
    return other


@pytest.mark.parametrize("flag", [True, False])
@pytest.mark.parametrize("trainable", [True, False])
def test_freezing_and_thawing_reaches_tensors_without_effect(flag, trainable):
    network = kw.KAN([2, 1], seed=0)
    network.layers[0].coefficients.requires_grad_(flag)
    network.layers[0].base_weights.requires_grad_(not flag)
    for i in (0, 1):
        network.fix_symbolic(0, i, 0, "sin", params=(1.0, 0.0, 1.0, 0.0), trainable=trainable)
    assert network.requires_grad_(flag) is network
    network.unfix_symbolic(0, 0, 0)
    assert all(p.requires_grad is flag for p in network.parameters())


def test_gradients_come_in_the_order_of_the_parameters():
    """Also for base="zero", where the compiled gradient has base weights that are no parameters."""
    for network in NETWORKS.values():
        x = rows(network)
        y = torch.ones(len(x), sum(network.spec.width[-1]), dtype=x.dtype)
        loss = (network(x) - y).square().mean()
        moving = list(network.parameters())
        expected = torch.autograd.grad(loss, moving) if moving else ()
        for _ in range(2):  # the second time from the cache
            value, found = kw.model.loss_and_grad(network, x, y)
            torch.testing.assert_close(value, loss.detach())
            torch.testing.assert_close(found, tuple(expected))


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "adam", torch.optim.SGD])
@pytest.mark.parametrize("frozen", [False, True])
def test_a_network_without_anything_to_train_is_left_as_it_is(optimizer, frozen):
    network = kw.KAN([2, 1], seed=0)
    if frozen:
        network.requires_grad_(False)
    else:
        for i in (0, 1):
            network.fix_symbolic(0, i, 0, "sin", params=(1.0, 0.1, 1.2, 0.0), trainable=False)
    before = network(DATA.X_train)
    result = network.fit(DATA, optimizer=optimizer)
    assert result.steps == 0 and network(DATA.X_train).equal(before)


@pytest.mark.parametrize("shape", [[2, 1], [2, 2, 1], [2, 2, 2, 1]])
@pytest.mark.parametrize("train", ["lm", "lbfgs", "adam", "loss_and_grad"])
def test_a_layer_may_lose_all_its_splines_between_two_fits(shape, train):
    """Named or removed, whatever was computed for the layer as it was before."""
    y = DATA.y_train

    def fit(network):
        if train == "loss_and_grad":
            value, gradients = kw.model.loss_and_grad(network, DATA.X_train, y)
            torch.testing.assert_close(value, (network(DATA.X_train) - y).square().mean())
            assert len(gradients) == len(list(network.parameters()))
        else:
            optimizer = kw.LevenbergMarquardt(starts=1) if train == "lm" else train
            assert network.fit(DATA, optimizer=optimizer, steps=2).steps > 0

    for l in range(len(shape) - 1):
        network = kw.KAN(shape, seed=0)
        fit(network)
        for i in range(shape[l]):
            for j in range(shape[l + 1]):
                network.fix_symbolic(l, i, j, "sin", params=(1.0, 0.1, 0.5, 0.0))
        fit(network)
        network = kw.KAN(shape, seed=0)
        fit(network)
        for i in range(shape[l]):
            for j in range(shape[l + 1]):
                network.layers[l].remove_edge(i, j)
        network(DATA.X_train)
        kw.model.loss_and_grad(network, DATA.X_train, y)


# --- what an edge was as a spline ---


def named(everything):
    """A network with one named edge in each layer, or all edges of the last layer named."""
    network = kw.KAN([2, 2, 1], seed=0)
    network.fix_symbolic(0, 0, 1, "sin", params=(1.0, 0.1, 0.5, 0.0))
    network.fix_symbolic(1, 0, 0, "tanh", params=(1.0, 0.1, 0.5, 0.0))
    if everything:
        network.fix_symbolic(1, 1, 0, "x^2", params=(1.0, 0.1, 0.5, 0.0))
    return network


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize(
    "train",
    [
        lambda network: decay(network),
        lambda network: network.fit(DATA, optimizer=kw.LevenbergMarquardt(starts=4), steps=3, update_grid=False),
        lambda network: network.fit(DATA, optimizer=torch.optim.AdamW, steps=5, update_grid=False),
        lambda network: network.fit(DATA, optimizer="lbfgs", steps=3, update_grid=False),
        lambda network: [layer.reset_parameters("power") for layer in network.layers],
        lambda network: network.load_state_dict(torch.load(io.BytesIO(saved(network)), weights_only=True)),
    ],
    ids=["weight decay", "races", "AdamW", "lbfgs", "reset", "state"],
)
def test_unnaming_gives_back_the_spline_exactly_whatever_was_trained(train, everything):
    network = named(everything)
    edges = [(0, 0, 1), (1, 0, 0)]
    plain = kw.KAN([2, 2, 1], seed=0)
    train(network)
    for l, i, j in edges:
        network.unfix_symbolic(l, i, j)
        mine, its = network.layers[l], plain.layers[l]
        assert mine.coefficients[i, :, j].equal(its.coefficients[i, :, j])
        assert mine.base_weights[i, j].equal(its.base_weights[i, j])


def decay(network):
    stepper = torch.optim.AdamW(network.parameters(), lr=0.1, weight_decay=1.0)
    for _ in range(5):
        stepper.zero_grad()
        network(DATA.X_train).square().mean().backward()
        stepper.step()


def saved(network):
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    return file.getvalue()


# --- states of other structures ---


def refusal(module, state):
    with pytest.raises(RuntimeError) as caught:
        module.load_state_dict(state)
    return str(caught.value)


WHAT_TO_DO = (
    "Build the network from the structure of the saved one, KAN.from_spec(saved.spec), before load_state_dict; "
    "or keep structure and values in one file, by kw.save and kw.load."
)


def test_the_state_of_a_network_of_another_structure_is_refused_with_what_to_do():
    network = kw.KAN([2, 5, 1], seed=0)
    pruned, deeper = kw.KAN([2, 1, 1], seed=0), kw.KAN([2, 5, 5, 1], seed=0)
    with_name = network.copy()
    with_name.fix_symbolic(1, 2, 0, "sin", params=(1.0, 0.0, 1.0, 0.0))
    five = "2 inputs, 5 outputs, grid=5, k=3 and 0 named edges"
    for other, message in (
        (network.refine(10), f"layers.0 has {five}, but the values are of a layer with 2 inputs, 5 outputs, grid=10,"),
        (pruned, f"layers.0 has {five}, but the values are of a layer with 2 inputs, 1 outputs, grid=5, k=3"),
        (with_name, "but the values are of a layer with 5 inputs, 1 outputs, grid=5, k=3 and 1 named edges."),
        (deeper, "this KAN has 2 layers of edges, the values have 3."),
    ):
        for mine, its in ((network, other), (other, network)):
            before = {name: value.clone() for name, value in mine.state_dict().items()}
            text = refusal(mine, its.state_dict())
            assert WHAT_TO_DO in text and (mine is other or message in text)
            if mine.spec.depth == its.spec.depth and mine.layers[0].out_features != its.layers[0].out_features:
                assert all(value.equal(before[name]) for name, value in mine.state_dict().items())
        again = kw.KAN.from_spec(other.spec)
        again.load_state_dict(other.state_dict())
        assert again(DATA.X_train).equal(other(DATA.X_train))


def test_a_part_of_a_state_is_taken_over_where_the_rest_may_be_missing():
    """As torch's own modules do: strict=False leaves what is not given as it is."""
    whole, other = torch.nn.Sequential(kw.KAN([2, 2, 1], seed=0), torch.nn.Linear(1, 1)), kw.KAN([2, 2, 1], seed=1)
    before = {name: value.clone() for name, value in whole.state_dict().items()}
    missing, unexpected = whole.load_state_dict({"1.weight": torch.full((1, 1), 7.0)}, strict=False)
    assert whole[1].weight.item() == 7 and unexpected == [] and set(missing) == before.keys() - {"1.weight"}
    first = {name: value for name, value in other.state_dict().items() if name.startswith("layers.0.")}
    whole[0].load_state_dict(first, strict=False)
    for name, value in whole[0].state_dict().items():
        assert value.equal(first.get(name, before[f"0.{name}"]))
    for part in (first, {}):
        assert "Missing key" in refusal(whole[0], part)
    deeper = kw.KAN([2, 2, 1, 1], seed=0).state_dict()
    with pytest.raises(RuntimeError, match="this KAN has 2 layers of edges, the values have 3"):
        whole[0].load_state_dict(deeper, strict=False)


def test_the_state_of_other_named_edges_is_refused():
    first, second = kw.KAN([2, 2], seed=0), kw.KAN([2, 2], seed=0)
    first.fix_symbolic(0, 0, 0, "sin", params=(1.0, 0.0, 1.0, 0.0))
    second.fix_symbolic(0, 1, 0, "sin", params=(1.0, 0.0, 1.0, 0.0))
    text = refusal(first, second.state_dict())
    assert f"edge (0, 0) of layers.0 is 'sin' here but a spline there. {WHAT_TO_DO}" in text


def test_the_state_of_a_layer_is_refused_too():
    text = refusal(torch.nn.Sequential(KANLayer(2, 3)), torch.nn.Sequential(KANLayer(2, 3, grid=7, k=2)).state_dict())
    assert "0 has 2 inputs, 3 outputs, grid=5, k=3 and 0 named edges, but the values are of a layer with" in text
    assert "Missing key" in refusal(KANLayer(2, 3), {})
    state = {**KANLayer(2, 3).state_dict(), "mask": torch.ones(2)}
    assert "tensors of the shapes knots (2, 12), mask (2,), coefficients (2, 8, 3), affine (0, 4)." in refusal(
        KANLayer(2, 3), state
    )


def test_a_state_with_removed_edges_is_taken_over():
    first, second = kw.KAN([2, 2], seed=0), kw.KAN([2, 2], seed=1)
    second.layers[0].remove_edge(0, 1)
    first.load_state_dict(second.state_dict())
    assert first(DATA.X_train).equal(second(DATA.X_train))
