"""Whole layers in plain torch and for every instruction set: SciPy's splines and SymPy's base functions."""

import math
from functools import cache

import mpmath
import pytest
import torch

from knotwork.errors import SpecError
from tests.kernels.cases import (
    BASES,
    BOUND,
    base_derivative,
    every_dtype,
    make_case,
    make_knots,
    make_samples,
    normal,
    relative_error,
    scipy_basis,
    twin,
)

both_ways_out = pytest.mark.parametrize("extrapolation", ["linear", "constant", "zero"])
every_order = pytest.mark.parametrize("k", range(8))
GRIDS = [(1, "even"), (5, "uneven"), (20, "even"), (20, "uneven"), (200, "even"), (200, "uneven")]


# --- values ---


@cache
def on_the_knots(k, grid, spacing, dtype, extrapolation):
    """Samples on, next to and between all used knots, coefficients, and SciPy's values of every order."""
    knots = make_knots(k, grid, 2, spacing, dtype)
    low, high = (knots[:, 0], knots[:, -1]) if extrapolation == "zero" else (knots[:, k], knots[:, -k - 1])
    x = make_samples(knots, k, outside=True).clamp(low, high)
    coefficients = normal(2, grid + k, 3, dtype=dtype)
    expected = [
        torch.einsum("nib,ibo->no", scipy_basis(x, knots, k, derivative, extrapolation), coefficients.double())
        for derivative in range(k + 1)
    ]
    return knots, x, coefficients, expected


@every_dtype
@both_ways_out
@every_order
def test_splines_are_those_of_scipy(edge_sums, dtype, extrapolation, k):
    """Every derivative at the rounded knots; of order above k they are zero."""
    for grid, spacing in GRIDS:
        knots, x, coefficients, expected = on_the_knots(k, grid, spacing, dtype, extrapolation)
        base_weights = torch.ones_like(coefficients[:, 0])
        for derivative in range(k + 3):
            y = edge_sums(x, coefficients, base_weights, knots, k, "zero", extrapolation, derivative)
            assert y.dtype == dtype and y.shape == (len(x), 3)
            if derivative > k:
                assert not y.any()
            else:
                assert relative_error(y, expected[derivative]) < BOUND[dtype], (grid, spacing, derivative)


@every_dtype
@pytest.mark.parametrize("derivative", range(9))
@pytest.mark.parametrize("base", BASES)
def test_bases_are_those_of_sympy(edge_sums, dtype, base, derivative):
    """In the grid and far outside; derivatives of order above 5, needed only for k > 5, to one digit less."""
    knots = torch.stack([torch.linspace(*ends, 12, dtype=torch.float64) for ends in [(-4.4, 4.4), (-4.55, 11.95)]])
    knots = knots.to(dtype)  # of order 3, on [-2, 2] and [0.3, 7.1]
    low, high = knots[:, 3].double(), knots[:, -4].double()
    places = torch.linspace(-1, 1, 41, dtype=torch.float64)[:, None] * torch.tensor([1.0, 2.0])
    far = torch.tensor([[-40.0], [-17.3], [-5.1], [5.1], [17.3], [40.0]]) * torch.tensor([1.0, 0.05])
    x = ((low + high) / 2 + torch.cat([places, far]) * (high - low) / 2).to(dtype)
    y = edge_sums(x, torch.zeros(2, 8, 2, dtype=dtype), torch.eye(2, dtype=dtype), knots, 3, base, "zero", derivative)
    exact = base_derivative(base, derivative, "mpmath")
    with mpmath.workdps(60):
        for i in range(2):
            start, half = (low[i].item() + high[i].item()) / 2, (high[i].item() - low[i].item()) / 2
            values = [
                float(exact(mpmath.mpf(v - start) / half) / mpmath.mpf(half) ** derivative) for v in x[:, i].tolist()
            ]
            error = relative_error(y[:, i], torch.tensor(values, dtype=torch.float64))
            assert error < BOUND[dtype] * (1 if derivative <= 5 else 10)


@every_dtype
@every_order
def test_derivatives_at_the_last_knot_are_those_of_the_last_interval(edge_sums, dtype, k):
    """At every other knot they are those of the interval to its right."""
    knots = make_knots(k, 5, 1, dtype=dtype)
    coefficients, base_weights = normal(1, 5 + k, 2, dtype=dtype), torch.zeros(1, 2, dtype=dtype)
    inner = knots[0, k:-k] if k else knots[0]
    step = torch.cat([inner[:-1], inner[-1:].nextafter(inner[:1])]).nextafter(inner[-1])
    here, beside = (
        edge_sums(x[:, None], coefficients, base_weights, knots, k, "zero", "linear", k) for x in (inner, step)
    )
    assert relative_error(here, beside.double()) < BOUND[dtype]  # the k-th derivative is constant in an interval


# --- outside the grid ---


@every_dtype
@both_ways_out
@every_order
def test_far_outside_the_grid_the_curve_is_a_line_constant_or_zero(edge_sums, dtype, extrapolation, k):
    """A straight line through value and slope at the end of the grid, this value, or zero beyond the last knot."""
    knots = make_knots(k, 5, 2, dtype=dtype)
    sizes = torch.tensor([1.01, 1.5, 3.0, 20.0, 1e4, 1e30], dtype=dtype)
    x = torch.cat([-sizes, sizes])[:, None].expand(-1, 2)
    coefficients, base_weights = normal(2, 5 + k, 8, dtype=dtype), torch.zeros(2, 8, dtype=dtype)
    for derivative in range(k + 2):
        splines = scipy_basis(x, knots, k, derivative, extrapolation)
        expected = torch.einsum("nib,ibo->no", splines, coefficients.double())
        y = edge_sums(x, coefficients, base_weights, knots, k, "identity", extrapolation, derivative).double()
        if derivative and extrapolation == "constant":
            assert not y.any()
        assert ((y - expected).abs().amax(1) <= BOUND[dtype] * expected.abs().amax(1)).all()
        if derivative > 1 and extrapolation == "linear":
            assert not y.any()


def test_the_error_for_a_sample_outside_the_grid_names_the_sample(edge_sums):
    knots = make_knots(3, 5, 3, "even")
    layer = normal(3, 8, 2), normal(3, 2), knots, 3, "silu"
    x = make_samples(knots, 3, outside=False)
    assert edge_sums(x, *layer, "error").equal(edge_sums(x, *layer, "linear"))
    x[4, 1] = 1.25
    with pytest.raises(SpecError, match=r"input 1 is 1\.25 in row 4, outside its grid \[-1, 1\]\. Use"):
        edge_sums(x, *layer, "error")


@every_dtype
@both_ways_out
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e30, -1e30])
@pytest.mark.parametrize("grid", [5, 70])  # the search for an interval differs between few and many intervals
def test_nan_and_infinity_affect_only_their_own_row(edge_sums, dtype, extrapolation, bad, grid):
    knots = make_knots(3, grid, 3, dtype=dtype)
    coefficients, base_weights = normal(3, grid + 3, 4, dtype=dtype), normal(3, 4, dtype=dtype)
    clean = torch.linspace(-1.2, 1.2, 600, dtype=dtype).reshape(200, 3)
    spoiled = clean.clone()
    spoiled[77, 1] = bad
    others = torch.arange(200) != 77
    for derivative in range(5):
        found = []
        for x in (clean, spoiled):
            tensors = [t.clone().requires_grad_() for t in (x, coefficients, base_weights)]
            y = edge_sums(*tensors, knots, 3, "silu", extrapolation, derivative)
            y.backward(normal(200, 4, dtype=dtype))
            found.append((y.detach(), *(t.grad for t in tensors)))
        (y, by_x, *by_weights), (y_bad, by_x_bad, *by_weights_bad) = found
        assert y[others].equal(y_bad[others]) and by_x[others].equal(by_x_bad[others])
        for before, after in zip(by_weights, by_weights_bad, strict=True):
            assert relative_error(after[[0, 2]], before[[0, 2]].double()) < BOUND[dtype]
        assert by_x[77, [0, 2]].equal(by_x_bad[77, [0, 2]])
        if math.isnan(bad):
            assert y_bad[77].isnan().all() and by_x_bad[77, 1].isnan() and by_weights_bad[0][1].isnan().any()
        elif math.isfinite(bad):
            assert y_bad.isfinite().all() and by_x_bad.isfinite().all()


@every_dtype
def test_splines_at_infinity_are_zero_infinite_or_nan(edge_sums, dtype):
    """With extrapolation "zero" it is zero, with "linear" it is not finite; NaN gives NaN at every order."""
    x = torch.tensor([[-math.inf], [math.inf]], dtype=dtype)
    for k in range(8):
        knots, base_weights = make_knots(k, 5, 1, dtype=dtype), torch.zeros(1, 1, dtype=dtype)
        coefficients = normal(1, 5 + k, 1, dtype=dtype)
        for derivative in range(k + 2):
            y = edge_sums(
                torch.full_like(x, math.nan), coefficients, base_weights, knots, k, "zero", "zero", derivative
            )
            assert y.isnan().all()
            assert not edge_sums(x, coefficients, base_weights, knots, k, "zero", "zero", derivative).any()
        assert not edge_sums(x, coefficients, base_weights, knots, k, "zero", "linear").isfinite().any()


@every_dtype
def test_silu_vanishes_far_below_and_is_the_identity_far_above(edge_sums, dtype):
    x = torch.tensor([[-1e38], [-1e10], [-200.0], [200.0], [1e10], [1e38]], dtype=dtype)
    knots, coefficients = make_knots(3, 5, 1, "even", dtype), torch.zeros(1, 8, 1, dtype=dtype)
    y = edge_sums(x, coefficients, torch.ones(1, 1, dtype=dtype), knots, 3, "silu", "zero")
    assert y[:3].abs().max() < 1e-25
    assert relative_error(y[3:] / x[3:], torch.ones(3, 1)) < BOUND[dtype]


# --- shapes and layouts ---


def check(edge_sums, knots, k, tensors, gradient, base="silu", extrapolation="linear", derivative=0):
    """Compare sums and gradients of (x, coefficients, base weights, scale or None) with their definitions."""
    *tensors, scale = tensors
    leaves = [None if t is None else t.detach().requires_grad_() for t in (*tensors, scale)]
    x, coefficients, base_weights, scale = leaves
    y = edge_sums(x, coefficients, base_weights, knots, k, base, extrapolation, derivative, scale)
    y.backward(gradient)
    plain = [None if t is None else t.detach().contiguous() for t in leaves]
    expected = twin(*plain[:3], knots, k, base, extrapolation, derivative, plain[3], gradient)
    assert relative_error(y, expected.pop("sums")) < BOUND[x.dtype]
    for (name, value), leaf in zip(expected.items(), leaves, strict=True):
        if leaf is not None:  # gradients are sums over thousands of samples: one digit less
            assert leaf.grad.shape == leaf.shape
            assert relative_error(leaf.grad, value) < 10 * BOUND[x.dtype], name


@every_dtype
@pytest.mark.parametrize(
    ("batch", "n_in", "n_out", "grid", "k", "base", "extrapolation", "derivative", "scaled"),
    [
        (1, 1, 1, 5, 3, "silu", "linear", 0, False),
        (2, 40, 2, 5, 3, "sine", "zero", 0, True),
        (129, 5, 8, 20, 3, "silu", "constant", 0, True),
        (64, 3, 1, 5, 4, "sine", "constant", 2, False),
        (65, 2, 3, 5, 3, "silu", "constant", 1, True),
        (127, 3, 7, 1, 2, "silu", "linear", 1, False),
        (128, 17, 8, 20, 4, "identity", "zero", 0, False),
        (129, 2, 9, 10, 5, "zero", "linear", 0, True),
        (5000, 1, 15, 70, 3, "silu", "zero", 2, False),
        (1, 16, 16, 200, 7, "sine", "linear", 3, True),
        (2, 33, 17, 11, 1, "identity", "linear", 1, True),
        (127, 5, 33, 5, 0, "silu", "zero", 0, True),
        (128, 1, 64, 5, 3, "silu", "linear", 0, False),
        (129, 40, 65, 5, 6, "sine", "linear", 0, False),
        (5000, 4, 130, 20, 3, "silu", "linear", 0, True),
        (5000, 15, 16, 5, 3, "silu", "zero", 0, False),
        (2, 2, 130, 64, 2, "silu", "linear", 4, False),
        (129, 17, 1, 200, 3, "silu", "zero", 1, True),
        (5000, 7, 8, 1, 4, "identity", "linear", 0, False),
        (127, 8, 2, 20, 5, "zero", "zero", 5, True),
        (128, 32, 33, 3, 2, "sine", "zero", 1, True),
    ],
)
def test_sums_and_gradients_of_any_shape_are_those_of_scipy_and_sympy(
    edge_sums, dtype, batch, n_in, n_out, grid, k, base, extrapolation, derivative, scaled
):
    """Sizes around those of vectors, tiles and blocks: sums and gradients against SciPy and SymPy."""
    knots, tensors, gradient = make_case(batch, n_in, n_out, grid, k, dtype, scaled)
    check(edge_sums, knots, k, tensors, gradient, base, extrapolation, derivative)


def transposed(t):
    return t.mT.contiguous().mT


def every_second(t):
    return torch.stack([t, torch.full_like(t, math.nan)], -1)[..., 0]


def unaligned(t):
    return torch.cat([t.new_zeros(1), t.flatten()])[1:].view(t.shape)


def same_in_every_row(t):
    return t[:1].expand_as(t)


@every_dtype
@pytest.mark.parametrize("layout", [transposed, every_second, unaligned, same_in_every_row])
def test_layout_in_memory_does_not_matter(edge_sums, dtype, layout):
    knots, tensors, gradient = make_case(150, 5, 16, 5, 3, dtype)
    check(edge_sums, layout(knots), 3, [layout(t) for t in tensors], layout(gradient))


def test_the_gradient_of_a_sum_is_that_of_ones(edge_sums):
    """`y.sum().backward()` passes one number, expanded."""
    knots, tensors, _ = make_case(150, 5, 16, 5, 3, torch.float64, scaled=False)
    leaves = [t.requires_grad_() for t in tensors[:3]]
    edge_sums(*leaves, knots, 3).sum().backward()
    by_sum = [t.grad.clone() for t in leaves]
    expected = torch.autograd.grad(edge_sums(*leaves, knots, 3), leaves, torch.ones(150, 16, dtype=torch.float64))
    for actual, value in zip(by_sum, expected, strict=True):
        assert relative_error(actual, value) < 1e-13


def test_views_with_a_negative_bit_are_accepted(edge_sums):
    """A view of a conjugate's imaginary part has the memory of its negative."""

    def negated_view(t):
        return torch.complex(t, -t).conj().imag

    knots, tensors, gradient = make_case(1, 1, 1, 5, 3, torch.float64)
    assert negated_view(gradient).is_neg()
    expected = twin(*tensors[:3], knots, 3, "silu", "linear", 0, tensors[3], gradient)
    views = [negated_view(t) for t in tensors]
    x, coefficients, base_weights = (t.clone().requires_grad_() for t in tensors[:3])
    y = edge_sums(x, coefficients, base_weights, knots, 3, scale=views[3])
    y.backward(negated_view(gradient))
    for actual in (y, edge_sums(*views[:3], knots, 3, scale=views[3])):
        assert relative_error(actual, expected["sums"]) < 1e-13
    assert relative_error(edge_sums(*tensors[:3], negated_view(-knots).neg(), 3, scale=tensors[3]), y) < 1e-13
    for leaf, name in [(x, "by x"), (coefficients, "by coefficients"), (base_weights, "by base weights")]:
        assert relative_error(leaf.grad, expected[name]) < 1e-13


@every_dtype
@pytest.mark.parametrize(("batch", "n_in", "n_out"), [(0, 3, 2), (4, 0, 2), (4, 3, 0), (0, 0, 0)])
def test_empty_arguments_give_empty_or_zero_results(edge_sums, dtype, batch, n_in, n_out):
    knots, tensors, gradient = make_case(batch, n_in, n_out, 5, 3, dtype)
    leaves = [t.requires_grad_() for t in tensors]
    y = edge_sums(*leaves[:3], knots, 3, scale=leaves[3])
    assert y.shape == (batch, n_out) and y.dtype == dtype and not y.any()
    y.backward(gradient)
    assert all(t.grad.shape == t.shape and not t.grad.any() for t in leaves)


@pytest.mark.parametrize(
    ("changes", "shape"),
    [
        ({"x": (4, 2)}, "(4, 2)"),
        ({"x": (3,)}, "(3,)"),
        ({"x": (2, 4, 3)}, "(2, 4, 3)"),
        ({"coefficients": (2, 8, 2)}, "(2, 8, 2)"),
        ({"coefficients": (3, 7, 2)}, "(3, 7, 2)"),
        ({"coefficients": (3, 8)}, "(3, 8)"),
        ({"coefficients": (3, 8, 2, 5)}, "(3, 8, 2, 5)"),
        ({"coefficients": ()}, "()"),
        ({"base_weights": (3, 4)}, "(3, 4)"),
        ({"base_weights": (3,)}, "(3,)"),
        ({"base_weights": (2, 2)}, "(2, 2)"),
        ({"knots": (12,)}, "(12,)"),
        ({"knots": ()}, "()"),
        ({"knots": (2, 12)}, "(2, 12)"),
        ({"knots": (3, 13)}, "(3, 13)"),
        ({"scale": (4, 2)}, "(4, 2)"),
        ({"scale": (2, 3)}, "(2, 3)"),
        ({"scale": (3,)}, "(3,)"),
        ({"scale": (4, 1)}, "(4, 1)"),
        ({"x": (0, 3), "scale": (4, 3)}, "(4, 3)"),
        ({"x": (0, 2)}, "(0, 2)"),
    ],
)
def test_inconsistent_shapes_are_refused(edge_sums, changes, shape):
    shapes = {"x": (4, 3), "coefficients": (3, 8, 2), "base_weights": (3, 2), "knots": (3, 12), "scale": (4, 3)}
    with pytest.raises(SpecError) as caught:
        edge_sums(k=3, **{name: torch.ones(size) for name, size in (shapes | changes).items()})
    assert shape in str(caught.value) and str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"extrapolation": "cubic"}, "extrapolation is 'cubic'. Use one of 'linear', 'constant', 'zero', 'error'."),
        ({"derivative": -1}, "order k = 3 and derivative = -1 must both be 0 or more."),
        ({"k": -1}, "order k = -1 and derivative = 0 must both be 0 or more."),
        ({"k": 6}, "12 knots an input are too few for order 6: pass at least 14."),
    ],
)
def test_impossible_settings_are_refused(edge_sums, changes, message):
    knots, tensors, _ = make_case(4, 3, 2, 5, 3, torch.float64)
    names = "x", "coefficients", "base_weights", "scale"
    with pytest.raises(SpecError) as caught:
        edge_sums(**dict(zip(names, tensors, strict=True)) | {"knots": knots, "k": 3} | changes)
    assert message in str(caught.value)


@every_dtype
@pytest.mark.parametrize("reach", [1e-3, 1.0, 1e3])
def test_grids_of_any_size_and_position_are_accepted(edge_sums, dtype, reach):
    """Knots of every magnitude and far from zero; the interval of a sample is that of the rounded knots."""
    k = 3
    unit = make_knots(k, 50, 3, dtype=torch.float64)
    knots = (unit * reach + torch.tensor([[0.0], [100 * reach], [-7 * reach]])).to(dtype)
    assert (knots.diff() > 0).all()
    x = make_samples(knots, k, outside=False)
    coefficients, base_weights = normal(3, 53, 2, dtype=dtype), torch.zeros(3, 2, dtype=dtype)
    for derivative in range(2):
        y = edge_sums(x, coefficients, base_weights, knots, k, "zero", "linear", derivative)
        expected = torch.einsum("nib,ibo->no", scipy_basis(x, knots, k, derivative, "linear"), coefficients.double())
        assert relative_error(y, expected) < BOUND[dtype]


def test_unsorted_knots_cause_no_crash(edge_sums):
    """Equal, decreasing, infinite or NaN knots may give a meaningless result of the right shape."""
    x = torch.linspace(-2, 2, 300, dtype=torch.float64).reshape(100, 3).requires_grad_()
    good = make_knots(3, 20, 3)
    for knots in (good.flip(1), good * 0, good * math.inf, good * math.nan, good.clamp(0, 0.5)):
        for extrapolation in ("linear", "zero"):
            leaves = [t.requires_grad_() for t in (normal(3, 23, 2), normal(3, 2))]
            y = edge_sums(x, *leaves, knots.contiguous(), 3, "silu", extrapolation)
            assert y.shape == (100, 2)
            assert all(
                g.shape == t.shape
                for g, t in zip(torch.autograd.grad(y.sum(), [x, *leaves]), [x, *leaves], strict=True)
            )
