"""Every basis kernel: SciPy's BSpline on the grid, every type of extrapolation, gradients by x."""

import math
import warnings

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from knotwork import kernels
from knotwork.errors import SpecError
from knotwork.kernels import reference
from tests.kernels.cases import every_dtype, make_knots, make_samples, scipy_basis

try:
    from knotwork.kernels import compiled
except ImportError:
    compiled = None

KERNELS = [
    pytest.param(reference, id="reference"),
    pytest.param(compiled, id="compiled", marks=pytest.mark.skipif(compiled is None, reason="built without compiler")),
]
every_kernel = pytest.mark.parametrize("kernel", KERNELS)
every_extrapolation = pytest.mark.parametrize("extrapolation", ["linear", "constant", "zero", "error"])


def assert_close(actual, expected, dtype):
    """Equal up to rounding: k <= 7 levels of sums, each with an error of a few eps of the row's largest entry."""
    scale = expected.abs().amax(-1, keepdim=True).clamp_min(1)
    assert ((actual.double() - expected).abs() / scale).max() < 200 * torch.finfo(dtype).eps


@every_kernel
@every_dtype
@every_extrapolation
@pytest.mark.parametrize("spacing", ["even", "uneven"])
@pytest.mark.parametrize("k", range(8))
def test_the_basis_equals_that_of_scipy(kernel, dtype, extrapolation, spacing, k):
    for grid in (1, 5):
        knots = make_knots(k, grid, spacing=spacing, dtype=dtype)
        x = make_samples(knots, k, outside=extrapolation != "error")
        for derivative in range(k + 2):
            actual = kernel.basis(x, knots, k, derivative, extrapolation)
            assert actual.dtype == dtype and actual.shape == (*x.shape, grid + k)
            assert_close(actual, scipy_basis(x, knots, k, derivative, extrapolation), dtype)
        values, slopes = kernel.basis_with_slope(x, knots, k, extrapolation)
        assert_close(values, scipy_basis(x, knots, k, 0, extrapolation), dtype)
        assert_close(slopes, scipy_basis(x, knots, k, 1, extrapolation), dtype)


@every_kernel
@every_extrapolation
@pytest.mark.parametrize("batch", [0, 1, 15, 16, 17, 63, 64, 65])
def test_any_number_of_rows_and_of_inputs(kernel, extrapolation, batch):
    for inputs in (0, 1, 2, 33):
        knots = make_knots(3, grid=50, inputs=inputs, seed=batch)
        x = torch.linspace(-1, 1, batch * inputs, dtype=torch.float64).reshape(batch, inputs)
        actual = kernel.basis(x, knots, 3, 0, extrapolation)
        assert actual.shape == (batch, inputs, 53)
        if actual.numel():
            assert_close(actual, scipy_basis(x, knots, 3, 0, extrapolation), torch.float64)


@every_kernel
@every_dtype
@pytest.mark.parametrize("k", range(8))
def test_sums_to_one_and_slopes_to_zero(kernel, dtype, k):
    """Inside the grid, and with linear extrapolation everywhere."""
    knots = make_knots(k, dtype=dtype)
    x = torch.linspace(-1.5, 1.5, 301, dtype=dtype)[:, None].expand(-1, 3)
    values, slopes = kernel.basis_with_slope(x, knots, k)
    tolerance = 200 * torch.finfo(dtype).eps
    assert (values.sum(-1) - 1).abs().max() < tolerance * values.abs().amax().clamp_min(1)
    assert slopes.sum(-1).abs().max() < tolerance * slopes.abs().amax().clamp_min(1)


@every_kernel
@pytest.mark.parametrize("extrapolation", ["linear", "constant", "zero"])
@pytest.mark.parametrize("k", [2, 3, 5])
def test_first_and_second_derivatives_are_those_of_finite_differences(kernel, extrapolation, k):
    """By autograd, between the knots (at a knot the k-th derivative is discontinuous)."""
    knots = make_knots(k, inputs=2)
    x = torch.tensor([[-1.31, 1.47], [-0.77, 0.13], [0.55, -0.21], [0.98, -0.93]], dtype=torch.float64)
    x.requires_grad_()
    torch.autograd.gradcheck(lambda x: kernel.basis(x, knots, k, 0, extrapolation), x)
    torch.autograd.gradgradcheck(lambda x: kernel.basis(x, knots, k, 0, extrapolation), x)


@every_kernel
@every_extrapolation
def test_autograd_gives_every_derivative(kernel, extrapolation):
    """Differentiating k + 1 times by autograd equals the argument `derivative`, also on the knots and at the ends."""
    k = 3
    knots = make_knots(k)
    x = make_samples(knots, k, outside=extrapolation != "error").requires_grad_()
    weights = torch.linspace(-1, 2, knots.shape[1] - k - 1, dtype=torch.float64)
    y = kernel.basis(x, knots, k, 0, extrapolation) @ weights
    for derivative in range(1, k + 2):
        # Plain torch has no graph where the polynomial has become constant, hence the `if`.
        y = torch.autograd.grad(y.sum(), x, create_graph=True)[0] if y.requires_grad else torch.zeros_like(x)
        expected = kernel.basis(x.detach(), knots, k, derivative, extrapolation) @ weights
        torch.testing.assert_close(y.detach(), expected, rtol=1e-9, atol=1e-9)  # terms of 1e3 cancel at derivative 3


@every_kernel
def test_knots_receive_no_gradient(kernel):
    knots = make_knots(3).requires_grad_()
    x = make_samples(knots.detach(), 3, outside=True)
    assert not kernel.basis(x, knots, 3).requires_grad
    assert kernel.basis(x.requires_grad_(), knots, 3).requires_grad
    with torch.no_grad():
        assert not kernel.basis(x, knots, 3).requires_grad


@every_kernel
@every_dtype
@every_extrapolation
def test_nan_and_infinity_stay_in_their_row(kernel, dtype, extrapolation):
    knots = make_knots(3, dtype=dtype)
    x = make_samples(knots, 3, outside=extrapolation != "error")[:20]
    clean = kernel.basis(x, knots, 3, 0, extrapolation)
    for bad in (math.nan, math.inf, -math.inf) if extrapolation != "error" else (math.nan,):
        spoiled = x.clone()
        spoiled[7, 1] = bad
        for derivative in range(5):
            actual = kernel.basis(spoiled, knots, 3, derivative, extrapolation)
            assert actual[7, 1].isnan().all() or not math.isnan(bad)
            if derivative == 0:
                actual[7, 1] = clean[7, 1]
                assert actual.equal(clean)
    values, slopes = kernel.basis_with_slope(torch.full_like(x, math.nan), knots, 3, extrapolation)
    assert values.isnan().all() and slopes.isnan().all()


@every_kernel
def test_layout_in_memory_does_not_matter(kernel):
    knots, x = make_knots(3, inputs=4), torch.linspace(-1.2, 1.2, 40, dtype=torch.float64).reshape(10, 4)
    expected = kernel.basis(x, knots, 3)
    assert kernel.basis(x.T.contiguous().T, knots.T.contiguous().T, 3).equal(expected)
    assert kernel.basis(x[::2], knots, 3).equal(expected[::2])
    assert kernel.basis(torch.nn.Parameter(x), knots, 3).equal(expected)
    one = x[:1, :1]
    negative = torch.complex(one, -one).conj().imag  # torch stores the sign of this view as a bit and not in memory
    assert negative.is_neg() and kernel.basis(negative, knots[:1], 3).equal(expected[:1, :1])


@every_kernel
def test_transforms_of_torch_differentiate_the_basis(kernel):
    """torch.func, forward mode, torch.compile and tracing do not treat the basis as a constant."""
    knots, x = make_knots(3, inputs=2), torch.tensor([[0.3, -0.7], [1.4, 0.1]], dtype=torch.float64)
    values, slopes = kernel.basis_with_slope(x, knots, 3)

    def f(x):
        return kernel.basis(x, knots, 3)

    ones = torch.ones_like(x)
    torch.testing.assert_close(torch.func.vmap(lambda row: f(row[None])[0])(x), values)
    torch.testing.assert_close(torch.func.jvp(f, (x,), (ones,))[1], slopes)
    torch.testing.assert_close(torch.func.grad(lambda x: (f(x) * values).sum())(x), (slopes * values).sum(-1))
    jacobian = torch.autograd.functional.jacobian(f, x, vectorize=True)
    torch.testing.assert_close(jacobian.sum((-1, -2)), slopes)
    with torch.autograd.forward_ad.dual_level():
        dual = f(torch.autograd.forward_ad.make_dual(x, ones))
        torch.testing.assert_close(torch.autograd.forward_ad.unpack_dual(dual).tangent, slopes)
    torch.testing.assert_close(torch.compile(f, backend="eager", fullgraph=True)(x + 0), values)
    torch.testing.assert_close(make_fx(f)(torch.zeros_like(x))(x), values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.testing.assert_close(torch.jit.trace(f, torch.zeros_like(x))(x), values)


@every_kernel
def test_half_precision_and_mixed_dtypes_are_accepted(kernel):
    knots, x = make_knots(3, inputs=1), torch.linspace(-1, 1, 9, dtype=torch.float64)[:, None]
    expected = kernel.basis(x, knots, 3)
    torch.testing.assert_close(kernel.basis(x.float(), knots, 3), expected, rtol=0, atol=1e-6)  # x rounded to float32
    half = kernel.basis(x.bfloat16(), knots.bfloat16(), 3)
    torch.testing.assert_close(half.double(), expected, rtol=0, atol=0.1)  # x and knots of 3 decimal digits


@every_kernel
def test_the_error_for_a_sample_outside_the_grid_names_the_sample(kernel):
    knots = make_knots(3, spacing="even")
    x = torch.zeros(4, 3, dtype=torch.float64)
    x[2, 1] = 1.25
    for call in (kernel.basis, kernel.basis_with_slope):
        with pytest.raises(SpecError, match=r"input 1 is 1\.25 in row 2, outside its grid \[-1, 1\]\. Use"):
            call(x, knots, 3, extrapolation="error")


@every_kernel
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"extrapolation": "cubic"}, "extrapolation is 'cubic'. Use one of 'linear', 'constant', 'zero', 'error'."),
        ({"derivative": -1}, "order k = 3 and derivative = -1 must both be 0 or more."),
        ({"x": torch.zeros(4, 2)}, "x has shape (4, 2) and knots (3, 12)."),
        ({"x": torch.zeros(3)}, "x has shape (3,) and knots (3, 12)."),
        ({"k": 6}, "12 knots an input are too few for order 6: pass at least 14."),
    ],
)
def test_inconsistent_arguments_are_refused(kernel, changes, message):
    arguments = {"x": torch.zeros(4, 3), "knots": make_knots(3, dtype=torch.float32), "k": 3} | changes
    with pytest.raises(SpecError) as caught:
        kernel.basis(**arguments)
    assert message in str(caught.value)


def test_the_package_exports_the_active_kernels():
    module = compiled if kernels.active().name == "compiled" else reference
    assert kernels.basis is module.basis and kernels.basis_with_slope is module.basis_with_slope
