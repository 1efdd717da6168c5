"""Laws of splines: the curve and derivatives of SciPy, and least squares through points."""

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline

from knotwork.splines import adaptive_knots, evaluate, fit_coefficients, grid_range, uniform_knots

every_order = pytest.mark.parametrize("k", range(8))


def make(k, grid=5, inputs=2, outputs=3, seed=0):
    """Splines with normal coefficients on uneven knots."""
    generator = torch.Generator().manual_seed(seed)
    samples = torch.rand(30, inputs, generator=generator, dtype=torch.float64)
    low, high = -torch.ones(inputs, dtype=torch.float64), torch.arange(1, inputs + 1, dtype=torch.float64)
    knots = adaptive_knots(low + (high - low) * samples, low, high, grid, k, 0.3)
    return knots, torch.randn(inputs, grid + k, outputs, generator=generator, dtype=torch.float64)


def rows(knots, k, n=200, seed=1):
    low, high = grid_range(knots, k)
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(n, len(knots), generator=generator, dtype=knots.dtype)


def scipy_curves(x, knots, coefficients, k, derivative=0):
    """(batch, in, out), by one SciPy spline for each input and output."""
    values = torch.zeros(len(x), len(knots), coefficients.shape[2], dtype=torch.float64)
    if derivative <= k:
        for i in range(len(knots)):
            for o in range(coefficients.shape[2]):
                curve = BSpline(knots[i].numpy(), coefficients[i, :, o].numpy(), k)
                values[:, i, o] = torch.tensor(curve(x[:, i].numpy(), nu=derivative))
    return values


@every_order
def test_values_and_derivatives_are_those_of_scipy(k):
    knots, coefficients = make(k)
    x = rows(knots, k)
    for derivative in range(k + 2):
        expected = scipy_curves(x, knots, coefficients, k, derivative)
        actual = evaluate(x, knots, coefficients, k, derivative)
        # k levels of rounding, relative to the largest value of that derivative
        assert (actual - expected).abs().max() <= 1e-12 * expected.abs().max().clamp_min(1)


def test_the_slope_equals_a_finite_difference():
    knots, coefficients = make(4)
    x, step = rows(knots, 4), 1e-5
    slope = (evaluate(x + step, knots, coefficients, 4) - evaluate(x - step, knots, coefficients, 4)) / (2 * step)
    # error: step² times a third derivative of about 1e3, and rounding errors of 1e-16 / step
    assert (evaluate(x, knots, coefficients, 4, 1) - slope).abs().max() < 1e-5


def test_outside_the_grid_the_curve_is_extrapolated_as_specified():
    knots, coefficients = make(3)
    low, high = grid_range(knots, 3)
    for end, sign in ((low, -1), (high, 1)):
        at = evaluate(end[None], knots, coefficients, 3)
        slope = evaluate(end[None], knots, coefficients, 3, 1)
        x = (end + sign * 0.7)[None]
        assert torch.allclose(evaluate(x, knots, coefficients, 3), at + sign * 0.7 * slope, atol=1e-13)
    beyond = torch.stack([knots[:, 0] - 0.1, knots[:, -1] + 0.1])
    assert evaluate(beyond, knots, coefficients, 3, extrapolation="zero").abs().max() == 0


@every_order
@pytest.mark.parametrize("weighted", [False, True])
def test_fitting_samples_of_a_spline_returns_its_coefficients(k, weighted):
    knots, coefficients = make(k)
    x = rows(knots, k, n=120)
    weights = torch.rand(x.shape, generator=torch.Generator().manual_seed(2), dtype=x.dtype) + 0.1
    found = fit_coefficients(x, evaluate(x, knots, coefficients, k), knots, k, weights if weighted else None)
    # rounding errors times the condition number of the basis, which grows about as 2^k
    assert (found - coefficients).abs().max() < 1e-11 * 4**k


def test_a_fit_is_the_least_squares_solution():
    knots, _ = make(3)
    x = rows(knots, 3, n=60)
    y = torch.sin(5 * x).unsqueeze(-1)
    weights = torch.rand(x.shape, generator=torch.Generator().manual_seed(3), dtype=x.dtype)
    found = fit_coefficients(x, y, knots, 3, weights)
    for i in range(2):
        design = BSpline.design_matrix(x[:, i].numpy(), knots[i].numpy(), 3).toarray()
        root = weights[:, i].sqrt().numpy()
        expected = np.linalg.lstsq(design * root[:, None], y[:, i, 0].numpy() * root, rcond=None)[0]
        assert abs(found[i, :, 0].numpy() - expected).max() < 1e-10


def test_points_of_weight_zero_have_no_effect():
    knots, coefficients = make(3)
    x = rows(knots, 3, n=100)
    y, weights = evaluate(x, knots, coefficients, 3), torch.ones_like(x)
    y[:7], weights[:7] = 1e6, 0
    assert (fit_coefficients(x, y, knots, 3, weights) - coefficients).abs().max() < 1e-10


@pytest.mark.parametrize("n", [0, 1, 3, 7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
def test_too_few_points_give_the_smallest_coefficients_through_them(n, dtype):
    """With fewer points than coefficients: finite, exact at the points, and not larger than another solution."""
    knots, coefficients = (v.to(dtype) for v in make(3))
    x = rows(knots, 3, n=n)
    y = evaluate(x, knots, coefficients, 3)
    found = fit_coefficients(x, y, knots, 3)
    assert found.shape == coefficients.shape and found.isfinite().all()
    residual = evaluate(x, knots, found, 3) - y
    assert residual.numel() == 0 or residual.abs().max() < 1e4 * torch.finfo(dtype).eps
    slack = 1 + 1e4 * torch.finfo(dtype).eps
    assert (found.norm(dim=1) <= slack * coefficients.norm(dim=1)).all()


def test_coefficients_that_no_point_determines_are_zero():
    """All samples lie in the first of five intervals; coefficients of the others are zero and not noise."""
    knots = uniform_knots(torch.zeros(1).double(), torch.ones(1).double(), 5, 3)
    x = torch.tensor([0.02, 0.05, 0.05, 0.1, 0.1, 0.15, 0.19], dtype=torch.float64)[:, None]
    found = fit_coefficients(x, torch.ones(7, 1, 1, dtype=torch.float64), knots, 3)
    assert (evaluate(x, knots, found, 3) - 1).abs().max() < 1e-12
    assert found[:, 4:].abs().max() < 1e-12 and found.abs().max() < 1.5


def test_points_and_coefficients_receive_gradients():
    knots, coefficients = make(3, inputs=2, outputs=1)
    x = rows(knots, 3, n=4).requires_grad_()
    coefficients.requires_grad_()
    torch.autograd.gradcheck(lambda x, c: evaluate(x, knots, c, 3), (x, coefficients))
