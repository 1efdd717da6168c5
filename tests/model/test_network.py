"""Laws of networks: definition node by node, symmetries, exact copies, refining, construction without side effects."""

import copy
import io
import os
import pickle

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.errors import SpecError
from knotwork.model import KANNetwork, NamedEdge, Spec, parse_width, trace
from tests.model import twins
from tests.model.networks import every_kind, random_network, rows

SEEDS = range(50)
every_seed = pytest.mark.parametrize("seed", SEEDS)
every_corner = pytest.mark.parametrize("kind", list(every_kind()))
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}  # of the largest output; float32 has eps 1.2e-7


def equal_everywhere(first, second):
    """Whether two networks have the same structure and bit-for-bit the same values."""
    states = first.state_dict(), second.state_dict()
    assert first.spec == second.spec and list(states[0]) == list(states[1])
    for name, value in states[0].items():
        assert value.equal(states[1][name]) and value.dtype == states[1][name].dtype, name
    x = rows(first)
    assert first(x).equal(second(x))


# --- values ---


@pytest.mark.parametrize("seed", range(25))
def test_a_network_equals_its_definition(seed):
    network = random_network(seed)
    x = rows(network)
    expected = twins.forward(network, x)
    assert np.abs(twins.numbers(network(x)) - expected).max() <= 1e-12 * np.abs(expected).max()


@every_corner
def test_unusual_networks_equal_their_definition(kind):
    network = every_kind()[kind]
    x = rows(network)
    assert np.allclose(twins.numbers(network(x)), twins.forward(network, x), rtol=1e-12, atol=1e-13)


def test_the_random_networks_are_of_every_kind():
    """The networks of the tests below include every feature of a network, and their outputs are not zero."""
    networks = [random_network(seed) for seed in SEEDS]
    specs = [network.spec for network in networks]
    assert any(len(s.inputs) < s.in_features for s in specs) and {s.arity for s in specs} == {2, 3}
    assert {s.k for s in specs} == set(range(6)) and len({s.grid for s in specs}) == 7
    assert {s.extrapolation for s in specs} == {"linear", "zero"} and len({s.base for s in specs}) == 4
    assert sum(any(p for _, p in s.width) for s in specs) > 20 and sum(bool(s.named) for s in specs) > 30
    assert sum(not layer.active().all() for network in networks for layer in network.layers) > 20
    assert sum(network(rows(network)).abs().max().item() > 0.1 for network in networks) > 45


@pytest.mark.parametrize("shape", [(), (1,), (5,), (0,), (2, 3), (3, 0, 2)])
def test_rows_may_have_any_leading_shape(shape):
    for network in every_kind().values():
        n = network.spec.in_features
        x = torch.linspace(-1, 1, n * int(np.prod(shape)), dtype=torch.float64).reshape(*shape, n)
        y = network(x)
        assert y.shape == (*shape, network.spec.nodes(network.spec.depth))
        assert torch.allclose(y.flatten(), network(x.reshape(-1, n)).flatten(), atol=1e-13)


@pytest.mark.parametrize("seed", range(12))
def test_permuting_hidden_nodes_changes_nothing(seed):
    """Sum nodes among themselves, products among themselves, factors within their product."""
    network = random_network(seed, named=False)
    other, rng = network.copy(), np.random.default_rng(seed)
    spec = network.spec
    for l in range(1, spec.depth):
        n_sums, n_products = spec.width[l]
        sums, products = rng.permutation(n_sums), rng.permutation(n_products)
        factors = [n_sums + spec.arity * p + m for p in products for m in rng.permutation(spec.arity)]
        into, out = [*sums, *factors], [*sums, *(n_sums + products)]
        before, after = other.layers[l - 1], other.layers[l]
        with torch.no_grad():
            before.coefficients.copy_(before.coefficients[:, :, into])
            before.base_weights.copy_(before.base_weights[:, into])
            before.mask.copy_(before.mask[:, into])
            for tensor in (after.coefficients, after.base_weights, after.mask, after.knots):
                tensor.copy_(tensor[out])
    x = rows(network)
    assert (other(x) - network(x)).abs().max() <= 1e-12 * network(x).abs().max()


def test_a_product_node_multiplies_its_sums():
    network = KANNetwork(Spec(((2, 0), (1, 1)), arity=2, named=tuple(NamedEdge(0, 0, j, "x") for j in range(3))))
    for j, (slope, shift) in enumerate([(1.0, 0.0), (2.0, 1.0), (-1.0, 3.0)]):
        network.layers[0].remove_edge(1, j)
        network.layers[0].name_edge(0, j, "x", torch.tensor([1.0, 0.0, slope, shift]))
    x = torch.tensor([[0.5, 9.0], [-2.0, 9.0]], dtype=torch.float64)
    assert network(x).tolist() == [[0.5, (2 * 0.5 + 1) * (3 - 0.5)], [-2.0, (2 * -2.0 + 1) * (3 + 2.0)]]


def test_inputs_select_columns():
    narrow = KANNetwork(Spec(((2, 0), (3, 0), (1, 0))), generator=torch.Generator().manual_seed(0))
    wide = KANNetwork(Spec(((2, 0), (3, 0), (1, 0)), in_features=4, inputs=(3, 1)))
    wide.load_state_dict(narrow.state_dict())
    x = torch.rand(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert wide(x).equal(narrow(x[:, [3, 1]]))
    x[:, [0, 2]] = float("nan")
    assert wide(x).equal(narrow(x[:, [3, 1]])) and wide(x).isfinite().all()


def test_rows_are_cast_to_the_dtype_of_the_network():
    for dtype in (torch.float32, torch.float64):
        network = kw.KAN([2, 3, 1], seed=0, dtype=dtype)
        for x in (torch.zeros(4, 2), torch.zeros(4, 2, dtype=torch.float64), torch.zeros(4, 2, dtype=torch.int64)):
            assert network(x).dtype == dtype
    assert kw.KAN([2, 1]).spec.dtype == "float64"


def test_changing_the_dtype_of_the_module_changes_the_spec():
    network = random_network(4)
    x, before = rows(network), random_network(4)(rows(network))
    network.float()
    assert network.spec.dtype == "float32" and network(x).dtype == torch.float32
    assert (network(x) - before).abs().max() < 1e-5 * before.abs().max()
    assert network.copy().spec.dtype == "float32"


# --- copies ---


@every_seed
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_copies_of_every_kind_are_exact(seed, dtype, tmp_path):
    network = random_network(seed, dtype)
    network.fitted.fill_(bool(seed % 2))
    equal_everywhere(network, network.copy())
    equal_everywhere(network, copy.deepcopy(network))
    equal_everywhere(network, pickle.loads(pickle.dumps(network)))
    fresh = KANNetwork.from_spec(network.spec)
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    fresh.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    equal_everywhere(network, fresh)
    kw.save(network, tmp_path / "m.safetensors")
    loaded = kw.load(tmp_path / "m.safetensors")
    assert isinstance(loaded, kw.KAN)
    equal_everywhere(network, loaded)


def test_a_copy_is_independent():
    network = every_kind()["one of each"]
    x = rows(network)
    before = network(x)
    for other in (network.copy(), copy.deepcopy(network)):
        other.layers[0].unname_edge(0, 1)
        other.layers[1].refine(6)
        with torch.no_grad():
            for tensor in (*other.parameters(), *other.buffers()):
                tensor.fill_(1)
    assert network(x).equal(before) and len(network.spec.named) == 3
    assert not network.eval().copy().training and network.train().copy().training
    assert type(kw.KAN([2, 1]).copy()) is kw.KAN


# --- refining ---


@every_seed
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_refining_by_a_multiple_keeps_the_function(seed, dtype):
    network = random_network(seed, dtype)
    x = rows(network)
    before, state = network(x), copy.deepcopy(network.state_dict())
    for parts in (2, 3):
        grid = parts * network.spec.grid
        finer = network.refine(grid)
        assert type(finer) is type(network) and finer.spec.grid == finer.structure.grid == grid
        assert (finer(x) - before).abs().max() <= TOLERANCE[dtype] * before.abs().max()
        equal_everywhere(finer, finer.copy())
    assert all(value.equal(state[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("seed", [s for s in SEEDS if random_network(s).spec.extrapolation == "linear"])
def test_refining_by_a_multiple_keeps_the_linear_extrapolation(seed):
    network = random_network(seed)
    x = 4 * rows(network)
    before = network(x)
    assert (network.refine(2 * network.spec.grid)(x) - before).abs().max() <= 1e-12 * before.abs().max()


def test_refining_by_other_factors_approximates_the_function():
    network = kw.KAN([2, 3, 1], grid=5, seed=0)
    x = rows(network)
    assert (network.refine(8)(x) - network(x)).abs().max() < 0.02 * network(x).abs().max()
    assert (network.refine(64)(x) - network(x)).abs().max() < 1e-4 * network(x).abs().max()
    assert network.refine(3).spec.grid == 3


@pytest.mark.parametrize("grid", [0, -5, 2.5, "10"])
def test_refining_to_no_grid_is_refused(grid):
    with pytest.raises(SpecError) as caught:
        kw.KAN([2, 1]).refine(grid)
    assert str(caught.value) == f"grid={grid!r} is not possible: it must be a whole number of at least 1."


# --- construction ---


def test_the_seed_determines_every_value_and_no_other_generator_changes():
    before, hidden = torch.get_rng_state(), np.random.get_state()[1].copy()
    first, second, third = (kw.KAN([2, (3, 1), 1], seed=seed) for seed in (7, 7, 8))
    equal_everywhere(first, second)
    assert not first(rows(first)).equal(third(rows(first)))
    first.refine(10)
    first.copy()
    KANNetwork.from_spec(first.spec)
    assert torch.get_rng_state().equal(before) and (np.random.get_state()[1] == hidden).all()


def test_without_a_seed_the_generator_of_torch_is_used():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        first, second = kw.KAN([2, 3, 1]), kw.KAN([2, 3, 1])
        torch.manual_seed(3)
        third = kw.KAN([2, 3, 1])
    assert first(torch.ones(2)).equal(third(torch.ones(2))) and not first(torch.ones(2)).equal(second(torch.ones(2)))


def test_construction_changes_no_arguments_and_writes_no_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inner = [3, 1]
    width = [2, inner, 1]
    network = kw.KAN(width, seed=0)
    network(torch.zeros(1, 2))
    assert width == [2, [3, 1], 1] and width[1] is inner and os.listdir(tmp_path) == []


@pytest.mark.parametrize("init", ["paper", "power"])
def test_settings_are_passed_to_the_layers(init):
    network = kw.KAN(
        [2, (1, 1), 1],
        grid=4,
        k=2,
        seed=0,
        arity=3,
        base="sine",
        init=init,
        grid_range=(-2.0, 5.0),
        extrapolation="zero",
        dtype=torch.float32,
    )
    assert network.spec == Spec(
        parse_width([2, (1, 1), 1]), 4, 2, 3, "sine", "zero", (-2.0, 5.0), "float32", in_features=2, inputs=(0, 1)
    )
    for layer in network.layers:
        assert (layer.grid, layer.k, layer.base, layer.extrapolation) == (4, 2, "sine", "zero")
        assert layer.knots[:, [2, -3]].eq(torch.tensor([-2.0, 5.0])).all()
    assert not network.fitted
    with pytest.raises(SpecError, match="init='zeros' is not known"):
        kw.KAN([2, 1], init="zeros")


# --- counting ---


@pytest.mark.parametrize("seed", range(15))
def test_parameters_in_use_are_those_that_the_output_depends_on(seed):
    """A parameter counts exactly if changing it changes an output. (Tested in one layer, where nothing cancels.)"""
    spec = Spec(((3, 0), (2, 0)), grid=3, k=seed % 4, base=["silu", "zero"][seed % 2])
    network = KANNetwork(spec, generator=torch.Generator().manual_seed(seed))
    layer, rng = network.layers[0], np.random.default_rng(seed)
    for i in range(3):
        for j in range(2):
            if (lot := rng.random()) < 0.3:
                layer.name_edge(i, j, "tanh", torch.tensor([1.0, 0.5, 2.0, 0.0]), bool(rng.random() < 0.5))
            elif lot < 0.6:
                layer.remove_edge(i, j)
    x = rows(network, 200)
    before, count = network(x).detach(), 0
    with torch.no_grad():
        for tensor in (layer.coefficients, layer.base_weights, layer.affine):
            flat = tensor.view(-1)
            for n in range(flat.numel()):
                old = flat[n].clone()
                flat[n] += 1
                count += not network(x).equal(before)
                flat[n] = old
    assert network.parameters_in_use() == count


def test_parameters_in_use_of_small_networks_counted_by_hand():
    network = kw.KAN([2, 3, 1], grid=5, k=3, seed=0)
    assert network.parameters_in_use() == 9 * (8 + 1) == sum(p.numel() for p in network.parameters())
    network.layers[0].remove_edge(0, 0)
    network.layers[1].name_edge(2, 0, "sin", torch.ones(4))
    assert network.parameters_in_use() == 7 * 9 + 4
    assert str(network) == "KAN width=[2, 3, 1] grid=5 k=3, 67 parameters in use"


# --- refusals ---


@pytest.mark.parametrize(
    ("x", "came"),
    [
        (torch.zeros(4, 2), "2 input columns (shape (4, 2))"),
        (torch.zeros(4), "4 input columns (shape (4,))"),
        (torch.zeros(0, 5), "5 input columns (shape (0, 5))"),
        (torch.tensor(1.0), "a single number"),
    ],
)
def test_a_wrong_number_of_columns_is_refused(x, came):
    network = kw.KAN([3, 1], seed=0)
    for call in (network, network.trace, network.jacobian):
        with pytest.raises(SpecError) as caught:
            call(x)
        assert str(caught.value) == (
            f"this KAN takes rows of 3 values but got {came}. "
            "Pass a tensor of shape (..., 3), or build the KAN with another width[0]."
        )


def test_a_network_with_pruned_inputs_still_takes_rows_of_all_columns():
    network = every_kind()["one of each"]
    assert network(torch.zeros(2, 5)).shape == (2, 1)
    with pytest.raises(SpecError, match="takes rows of 5 values but got 3 input columns"):
        network(torch.zeros(2, 3))


def test_a_network_keeps_no_samples():
    network = random_network(4)
    kinds = {name: type(value) for name, value in vars(network).items()}
    sizes = {name: value.shape for name, value in network.state_dict().items()}
    x = rows(network, 77)
    network(x)
    trace(network, x)
    assert {name: type(value) for name, value in vars(network).items()} == kinds
    assert {name: value.shape for name, value in network.state_dict().items()} == sizes
