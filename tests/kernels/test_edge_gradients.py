"""Gradients of whole layers: by every argument, of every order, and only those that are required."""

from itertools import product

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils.checkpoint import checkpoint

from knotwork.kernels import reference
from tests.kernels.cases import make_case, make_knots, normal, relative_error

NAMES = "x", "coefficients", "base_weights", "scale"
EQUAL = (
    1e-11  # two programs in float64 with different orders of summation, and derivatives on grids of up to 70 intervals
)


def leaves_of(tensors):
    return [None if t is None else t.detach().clone().requires_grad_() for t in tensors]


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(
    ("k", "base", "extrapolation"),
    [(3, "silu", "linear"), (4, "sine", "zero"), (5, "silu", "zero"), (3, "silu", "constant")],
)
def test_gradients_are_those_of_finite_differences(edge_sums, k, base, extrapolation, scaled):
    """Of the sums and of their gradients, by every argument, in the grid and outside."""
    knots = make_knots(k, 3, 2)
    x = torch.tensor([[-1.31, 1.17], [-0.77, 0.13], [0.55, -0.21]], dtype=torch.float64)
    leaves = leaves_of([x, normal(2, 3 + k, 2), normal(2, 2, seed=1), normal(3, 2, seed=2) if scaled else None])

    def call(x, coefficients, base_weights, scale=None):
        return edge_sums(x, coefficients, base_weights, knots, k, base, extrapolation, scale=scale)

    given_ = leaves[: 3 + scaled]
    torch.autograd.gradcheck(call, given_)
    torch.autograd.gradgradcheck(call, given_)


layers = st.fixed_dictionaries(
    {
        "batch": st.sampled_from([1, 17, 130, 600]),
        "n_in": st.integers(1, 20),
        "n_out": st.sampled_from([1, 2, 7, 16, 33, 66]),
        "grid": st.sampled_from([1, 3, 5, 12, 70]),
        "k": st.integers(0, 7),
        "scaled": st.booleans(),
        "spacing": st.sampled_from(["even", "uneven"]),
    }
)
ways = st.fixed_dictionaries(
    {
        "base": st.sampled_from(["silu", "identity", "sine", "zero"]),
        "extrapolation": st.sampled_from(["linear", "constant", "zero"]),
        "derivative": st.integers(0, 4),
    }
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(layers, ways)
def test_gradients_of_gradients_are_those_of_plain_torch(edge_sums, layer, way):
    """First the gradients by all arguments, then those of a sum over all of them."""
    knots, tensors, gradient = make_case(**layer, dtype=torch.float64)
    found = []
    for kernel in (reference.edge_sums, edge_sums):
        leaves = leaves_of([*tensors, gradient])
        x, coefficients, base_weights, scale, g = leaves
        y = kernel(x, coefficients, base_weights, knots, layer["k"], scale=scale, **way)
        inputs = [t for t in leaves if t is not None]
        zero = sum(t.sum() for t in inputs) * 0  # plain torch has no graph where a derivative is zero
        first = torch.autograd.grad((y * g).sum() + zero, inputs, create_graph=True)
        total = sum((v * normal(*v.shape, seed=n)).sum() for n, v in enumerate(first))
        found.append([y, *first, *torch.autograd.grad(total + zero, inputs)])
    for expected, actual in zip(*found, strict=True):
        assert relative_error(actual.detach(), expected.detach()) < EQUAL


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize("scaled", [False, True])
def test_a_loss_of_third_derivatives_has_the_gradients_of_plain_torch(edge_sums, k, scaled):
    """Three nested derivatives by x, as for an equation of third order, then gradients by the parameters."""
    knots, tensors, _ = make_case(150, 2, 3, 5, k, torch.float64, scaled)
    found = []
    for kernel in (reference.edge_sums, edge_sums):
        x, coefficients, base_weights, scale = leaves = leaves_of(tensors)
        u = kernel(x, coefficients, base_weights, knots, k, scale=scale).tanh()
        derivatives = []
        for _ in range(3):
            (u,) = torch.autograd.grad(u.sum(), x, create_graph=True)
            derivatives.append(u)
        loss = sum(d.square().mean() for d in derivatives)
        found.append([*derivatives, *torch.autograd.grad(loss, [t for t in leaves if t is not None])])
    for expected, actual in zip(*found, strict=True):
        assert relative_error(actual.detach(), expected.detach()) < EQUAL


def test_repeated_differentiation_equals_the_argument_derivative(edge_sums):
    """Repeated differentiation by x gives what `derivative` gives."""
    knots, (x, coefficients, base_weights, _), _ = make_case(40, 1, 1, 5, 3, torch.float64)
    x.requires_grad_()
    u = edge_sums(x, coefficients, base_weights, knots, 3)
    for derivative in range(1, 7):
        (u,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        expected = edge_sums(x.detach(), coefficients, base_weights, knots, 3, derivative=derivative)
        assert relative_error(u.detach(), expected) < EQUAL


@pytest.mark.parametrize("derivative", [12, 13, 14, 20])
def test_derivatives_of_very_high_order_are_those_of_plain_torch(edge_sums, derivative):
    """The same as in plain torch, which computes what the compiled kernels cannot."""
    knots, (x, coefficients, base_weights, _), _ = make_case(40, 1, 1, 5, 3, torch.float64)
    layer = coefficients, base_weights, knots, 3, "sine", "linear", derivative
    found, expected = [], []
    for sums, values in ((edge_sums, found), (reference.edge_sums, expected)):
        values.append(sums(x.requires_grad_(), *layer))
        for _ in range(3):
            values.append(torch.autograd.grad(values[-1].sum(), x, create_graph=True)[0])
        values.append(torch.autograd.grad(values[-1].sum(), x)[0])
    for value, wanted in zip(found, expected, strict=True):
        assert relative_error(value.detach(), wanted.detach()) < EQUAL


@pytest.mark.parametrize("wanted", [w for w in product([False, True], repeat=4) if any(w)])
def test_only_the_required_gradients_are_computed(edge_sums, wanted):
    """Each gradient is the same if computed alone or together with all others, also with create_graph."""
    knots, tensors, gradient = make_case(130, 3, 5, 5, 3, torch.float64)

    def call(x, coefficients, base_weights, scale):
        return edge_sums(x, coefficients, base_weights, knots, 3, scale=scale)

    everything = leaves_of(tensors)
    expected = torch.autograd.grad(call(*everything), everything, gradient)
    some = [t.clone().requires_grad_(want) for t, want in zip(tensors, wanted, strict=True)]
    inputs = [t for t, want in zip(some, wanted, strict=True) if want]
    by_graph = torch.autograd.grad(call(*some), inputs, gradient, create_graph=True)
    call(*some).backward(gradient)
    expected = [value for value, want in zip(expected, wanted, strict=True) if want]
    for value, leaf, graph in zip(expected, inputs, by_graph, strict=True):
        assert relative_error(leaf.grad, value) < EQUAL and relative_error(graph.detach(), value) < EQUAL
    assert all((t.grad is None) != want for t, want in zip(some, wanted, strict=True))


@pytest.mark.filterwarnings("ignore:Using backward:UserWarning")  # create_graph makes a reference cycle, see below
@pytest.mark.parametrize("leaf", [True, False])
@pytest.mark.parametrize("asked", [*NAMES, "all", "backward"])
def test_a_graph_can_be_made_of_some_of_the_gradients(edge_sums, leaf, asked):
    """`torch.autograd.grad` for a part of what requires a gradient, parameters of a layer or computed ones alike."""
    knots, tensors, gradient = make_case(130, 3, 5, 5, 3, torch.float64)
    found = []
    for kernel in (reference.edge_sums, edge_sums):
        parameters = dict(zip(NAMES, leaves_of(tensors), strict=True))
        arguments = parameters if leaf else {name: p * 1.5 for name, p in parameters.items()}
        y = kernel(knots=knots, k=3, **arguments)
        if asked == "backward":
            y.backward(gradient, create_graph=True)
            first = [p.grad for p in parameters.values()]
        else:
            inputs = list(arguments.values()) if asked == "all" else [arguments[asked]]
            first = torch.autograd.grad(y, inputs, gradient, create_graph=True)
            assert all(p.grad is None for p in parameters.values())
        total = sum(v.square().sum() for v in first)
        second = torch.autograd.grad(total, list(parameters.values()), materialize_grads=True)
        found.append([*first, *second])
        for p in parameters.values():
            p.grad = None  # ends the reference cycle of a gradient, its graph and its parameter
    for expected, actual in zip(*found, strict=True):
        assert relative_error(actual.detach(), expected.detach()) < EQUAL


def test_a_graph_can_be_used_twice_only_with_retain_graph(edge_sums):
    knots, tensors, gradient = make_case(130, 3, 5, 5, 3, torch.float64)
    leaves = leaves_of(tensors)
    y = edge_sums(*leaves[:3], knots, 3, scale=leaves[3])
    first = torch.autograd.grad(y, leaves, gradient, retain_graph=True)
    second = torch.autograd.grad(y, leaves, gradient)
    assert all(a.equal(b) for a, b in zip(first, second, strict=True))
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        torch.autograd.grad(y, leaves, gradient)


@pytest.mark.parametrize("name", [*NAMES, "knots"])
def test_changing_an_argument_in_place_is_detected(edge_sums, name):
    """A gradient after an argument was overwritten raises an error or uses the saved values."""
    knots, tensors, gradient = make_case(130, 3, 5, 5, 3, torch.float64)
    arguments = dict(zip(NAMES, leaves_of(tensors), strict=True)) | {"knots": knots.clone()}
    leaves = [arguments[n] for n in NAMES]
    expected = torch.autograd.grad(edge_sums(k=3, **arguments), leaves, gradient)
    y = edge_sums(k=3, **arguments)
    with torch.no_grad():
        arguments[name].add_(0.25)
    try:
        found = torch.autograd.grad(y, leaves, gradient)
    except RuntimeError as error:
        if "modified by an inplace operation" not in str(error):
            raise
    else:
        assert all(a.equal(b) for a, b in zip(found, expected, strict=True))


def test_batched_gradients_equal_single_ones(edge_sums):
    """As vectorised Jacobians and Hessians compute them."""
    knots, tensors, _ = make_case(6, 3, 4, 5, 3, torch.float64)
    leaves = leaves_of(tensors)
    y = edge_sums(*leaves[:3], knots, 3, scale=leaves[3])
    gradients = normal(5, 6, 4, seed=9)
    batched = torch.autograd.grad(y, leaves, gradients, is_grads_batched=True, retain_graph=True)
    for n, gradient in enumerate(gradients):
        for together, alone in zip(batched, torch.autograd.grad(y, leaves, gradient, retain_graph=True), strict=True):
            assert relative_error(together[n], alone) < EQUAL

    def loss(*leaves):
        return edge_sums(*leaves[:3], knots, 3, scale=leaves[3]).square().sum()

    one_by_one = torch.autograd.functional.hessian(loss, tuple(leaves))
    at_once = torch.autograd.functional.hessian(loss, tuple(leaves), vectorize=True)
    for expected, actual in zip(sum(one_by_one, ()), sum(at_once, ()), strict=True):
        assert relative_error(actual, expected) < EQUAL


def test_checkpointing_and_saved_tensor_hooks_give_the_same_gradients(edge_sums):
    """torch.utils.checkpoint computes values again; hooks store saved tensors elsewhere."""
    knots, tensors, gradient = make_case(130, 3, 5, 5, 3, torch.float64)
    leaves = leaves_of(tensors)

    def call(x, coefficients, base_weights, scale):
        return edge_sums(x.sin(), coefficients, base_weights, knots, 3, scale=scale).sin()

    expected = torch.autograd.grad(call(*leaves), leaves, gradient)
    checkpointed = torch.autograd.grad(checkpoint(call, *leaves, use_reentrant=False), leaves, gradient)
    with torch.autograd.graph.save_on_cpu():
        y = call(*leaves)
    for value, *others in zip(expected, checkpointed, torch.autograd.grad(y, leaves, gradient), strict=True):
        assert all(other.equal(value) for other in others)


def test_saved_tensors_survive_other_calls_until_the_backward_pass(edge_sums):
    """Other calls between forward and backward pass must not overwrite them."""
    knots, tensors, gradient = make_case(300, 4, 9, 5, 3, torch.float64)
    leaves = leaves_of(tensors)
    expected = torch.autograd.grad(edge_sums(*leaves[:3], knots, 3, scale=leaves[3]), leaves, gradient)
    y = edge_sums(leaves[0] * 1, leaves[1] * 1, leaves[2] * 1, knots.clone(), 3, scale=leaves[3] * 1)
    for batch, n_in, n_out, grid in [(700, 3, 40, 5), (10, 20, 3, 70), (129, 1, 1, 1)]:
        other_knots, others, other_gradient = make_case(batch, n_in, n_out, grid, 3, torch.float64)
        others = leaves_of(others)
        edge_sums(*others[:3], other_knots, 3, scale=others[3]).backward(other_gradient)
    for value, actual in zip(expected, torch.autograd.grad(y, leaves, gradient), strict=True):
        assert actual.equal(value)
