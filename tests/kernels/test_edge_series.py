"""Several derivatives at the same samples in one pass equal one pass for each derivative."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from knotwork.kernels import reference
from tests.kernels.cases import make_case, make_knots, normal, relative_error

EQUAL = {
    torch.float64: 1e-11,
    torch.float32: 2e-3,
}  # as for gradients; derivatives of order 4 in float32

layers = st.fixed_dictionaries(
    {
        "batch": st.sampled_from([1, 17, 511, 512, 513, 1100]),
        "n_in": st.integers(1, 5),
        "n_out": st.sampled_from([1, 3, 4, 5, 16, 20]),
        "grid": st.sampled_from([1, 2, 5, 12, 70]),
        "k": st.integers(0, 7),
        "spacing": st.sampled_from(["even", "uneven"]),
    }
)
ways = st.fixed_dictionaries(
    {
        "base": st.sampled_from(["silu", "identity", "sine", "zero"]),
        "extrapolation": st.sampled_from(["linear", "constant", "zero"]),
        "derivatives": st.sampled_from([[0], [0, 1, 1, 2], [2, 0, 3, 1], [0, 4, 4]]),
    }
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(layer=layers, way=ways)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_rows_and_gradients_are_those_of_the_definition(edge_series, dtype, layer, way):
    knots, (x, coefficients, base_weights, _), _ = make_case(**layer, dtype=dtype)
    count = len(way["derivatives"])
    scales = normal(count - 1, *x.shape, dtype=dtype, seed=5)
    gradient = normal(count, len(x), layer["n_out"], dtype=dtype, seed=6)
    found, expected = [], []
    for call, results in ((edge_series, found), (reference.edge_series, expected)):
        leaves = [t.detach().clone().requires_grad_() for t in (x, coefficients, base_weights, scales)]
        at, c, b, s = leaves
        rows = call(at, c, b, knots, layer["k"], way["base"], way["extrapolation"], way["derivatives"], s)
        results += [*rows.detach(), *torch.autograd.grad(rows, leaves, gradient, allow_unused=True)]
    for one, other in zip(found, expected, strict=True):
        if other is None or not other.numel():
            continue
        assert one is not None or not bool(other.any())
        if one is not None:
            assert relative_error(one, other) < EQUAL[dtype]


@pytest.mark.parametrize(("k", "extrapolation"), [(3, "linear"), (4, "zero"), (3, "constant")])
def test_gradients_are_those_of_finite_differences_twice(edge_series, k, extrapolation):
    knots = make_knots(k, 3, 2)
    x = torch.tensor([[-1.31, 1.17], [-0.77, 0.13], [0.55, -0.21]], dtype=torch.float64)
    leaves = [x, normal(2, 3 + k, 2), normal(2, 2, seed=1), normal(2, 3, 2, seed=2)]
    leaves = [leaf.requires_grad_() for leaf in leaves]

    def call(x, coefficients, base_weights, scales):
        return edge_series(x, coefficients, base_weights, knots, k, "silu", extrapolation, [0, 1, 2], scales)

    torch.autograd.gradcheck(call, leaves)
    torch.autograd.gradgradcheck(call, leaves)


@pytest.mark.parametrize("frozen", [0, 1, 2, 3])
def test_only_the_required_gradients_are_computed(edge_series, frozen):
    knots, (x, coefficients, base_weights, _), _ = make_case(40, 2, 3, 5, 3, torch.float64)
    leaves = [x, coefficients, base_weights, normal(2, *x.shape)]
    every = [leaf.clone().requires_grad_() for leaf in leaves]
    fewer = [leaf.clone().requires_grad_(n != frozen) for n, leaf in enumerate(leaves)]
    for some in (every, fewer):
        at, c, b, s = some
        edge_series(at, c, b, knots, 3, "silu", "linear", [0, 1, 2], s).square().sum().backward()
    assert fewer[frozen].grad is None
    for n, (one, other) in enumerate(zip(every, fewer, strict=True)):
        if n != frozen:
            torch.testing.assert_close(one.grad, other.grad)


def test_a_nan_affects_only_its_own_rows(edge_series):
    knots, (x, coefficients, base_weights, _), _ = make_case(600, 2, 3, 5, 3, torch.float64)
    x[7, 1] = float("nan")
    rows = edge_series(
        x, coefficients, base_weights, knots, 3, "silu", "linear", [0, 2], torch.ones(1, *x.shape).double()
    )
    spoilt = rows.isnan().any(2)
    assert spoilt[:, 7].all() and int(spoilt.sum()) == 2


def test_the_memory_layout_of_arguments_does_not_matter(edge_series):
    knots, (x, coefficients, base_weights, _), _ = make_case(30, 2, 3, 5, 3, torch.float64)
    scales = normal(2, *x.shape)
    plain = edge_series(x, coefficients, base_weights, knots, 3, "silu", "linear", [0, 1, 2], scales)
    strided = [t.transpose(0, 1).contiguous().transpose(0, 1) for t in (x, coefficients, base_weights, scales)]
    torch.testing.assert_close(edge_series(*strided[:3], knots, 3, "silu", "linear", [0, 1, 2], strided[3]), plain)


def test_an_empty_batch_gives_empty_results(edge_series):
    knots, (x, coefficients, base_weights, _), _ = make_case(3, 2, 3, 5, 3, torch.float64)
    rows = edge_series(x[:0], coefficients, base_weights, knots, 3, "silu", "linear", [0, 1], x[None, :0])
    assert rows.shape == (2, 0, 3)
