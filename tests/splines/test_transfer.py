"""Laws of moving splines to other knots: exact if these contain the old knots, otherwise closest in L²."""

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline, insert

from knotwork.errors import SpecError
from knotwork.splines import (
    adaptive_knots,
    closest,
    evaluate,
    fit_coefficients,
    grid_range,
    insert_knots,
    project,
    quadrature,
    resample,
    subdivide,
    uniform_knots,
)

every_order = pytest.mark.parametrize("k", range(8))


def make(k, grid=4, inputs=3, outputs=2, seed=0, dtype=torch.float64):
    """Splines with normal coefficients on uneven knots, each input on its own range."""
    generator = torch.Generator().manual_seed(seed)
    samples = torch.randn(40, inputs, generator=generator, dtype=dtype)
    low = samples.amin(0) - torch.arange(inputs, dtype=dtype)
    knots = adaptive_knots(samples, low, samples.amax(0), grid, k, 0.3)
    return knots, torch.randn(inputs, grid + k, outputs, generator=generator, dtype=dtype)


def rows(knots, k, n=300):
    """Random points in the grid, its ends and its knots."""
    low, high = grid_range(knots, k)
    share = torch.rand(n, len(knots), generator=torch.Generator().manual_seed(9), dtype=knots.dtype)
    return torch.cat([low + (high - low) * share, knots[:, k : knots.shape[1] - k].T])


def with_inner(knots, k, inner):
    """Knots with other inner knots and random increasing padding."""
    far = torch.arange(1, k + 1, dtype=knots.dtype) ** 1.5
    return torch.cat([inner[:, :1] - far.flip(0) / 3, inner, inner[:, -1:] + far / 7], dim=-1)


def nested(knots, k, more, seed=0):
    """The same knots and `more` random others between them."""
    low, high = grid_range(knots, k)
    share = torch.rand(len(knots), more, generator=torch.Generator().manual_seed(seed), dtype=knots.dtype)
    inner = torch.cat([knots[:, k : knots.shape[1] - k], low[:, None] + (high - low)[:, None] * share], dim=-1)
    return with_inner(knots, k, inner.sort(dim=-1).values)


@every_order
@pytest.mark.parametrize("parts", [1, 2, 3, 5, 8])
def test_subdividing_keeps_every_curve(k, parts):
    knots, coefficients = make(k)
    finer = subdivide(knots, k, parts)
    moved = insert_knots(coefficients, knots, finer, k)
    x = rows(knots, k)
    assert moved.shape == (3, 4 * parts + k, 2)
    assert (evaluate(x, finer, moved, k) - evaluate(x, knots, coefficients, k)).abs().max() < 1e-12


@every_order
@pytest.mark.parametrize("more", [1, 2, 9])
def test_knots_inserted_anywhere_keep_every_curve_and_its_derivatives(k, more):
    """The polynomial pieces are the same, for any padding."""
    knots, coefficients = make(k)
    finer = nested(knots, k, more)
    moved = insert_knots(coefficients, knots, finer, k)
    x = rows(knots, k)[:300]  # between the knots, where the k-th derivative is one number
    for derivative in range(min(k, 2) + 1):
        expected = evaluate(x, knots, coefficients, k, derivative)
        actual = evaluate(x, finer, moved, k, derivative)
        assert (actual - expected).abs().max() < 1e-12 * expected.abs().max().clamp_min(1) * 100**derivative


def test_insertion_equals_that_of_scipy():
    knots, coefficients = make(3, inputs=1, outputs=1)
    at = float(knots[0, 4] * 0.3 + knots[0, 5] * 0.7)
    t, c, _ = insert(at, (knots[0].numpy(), np.append(coefficients[0, :, 0].numpy(), [0] * 4), 3))
    moved = insert_knots(coefficients, knots, torch.tensor(t)[None], 3)
    assert abs(moved[0, :, 0].numpy() - c[: moved.shape[1]]).max() < 1e-14


@every_order
def test_changing_only_the_padding_keeps_the_curve(k):
    knots, coefficients = make(k)
    other = with_inner(knots, k, knots[:, k : knots.shape[1] - k])
    x = rows(knots, k)
    moved = insert_knots(coefficients, knots, other, k)
    assert (evaluate(x, other, moved, k) - evaluate(x, knots, coefficients, k)).abs().max() < 1e-12


def test_insertion_in_float32_keeps_the_curve():
    knots, coefficients = make(3, dtype=torch.float32)
    finer = subdivide(knots, 3, 4)
    moved = insert_knots(coefficients, knots, finer, 3)
    x = rows(knots, 3)
    assert moved.dtype == torch.float32
    # eps 1.2e-7, a few roundings of coefficients of size 3
    assert (evaluate(x, finer, moved, 3) - evaluate(x, knots, coefficients, 3)).abs().max() < 5e-6


@every_order
def test_projecting_onto_nested_knots_is_exact(k):
    knots, coefficients = make(k)
    for target in (subdivide(knots, k, 3), nested(knots, k, 4)):
        x = rows(knots, k)
        error = evaluate(x, target, project(coefficients, knots, target, k), k) - evaluate(x, knots, coefficients, k)
        # least squares: rounding errors times the condition number of the basis
        assert error.abs().max() < 1e-12 * 4**k


@pytest.mark.parametrize("extrapolation", ["linear", "zero"])
@pytest.mark.parametrize("k", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("where", ["same range", "wider", "shifted"])
def test_projecting_onto_other_knots_is_the_minimiser(k, where, extrapolation):
    """Every change of a coefficient increases the L² error on the target grid."""
    knots, coefficients = make(k, inputs=2, outputs=1)
    low, high = grid_range(knots, k)
    length = high - low
    target = {
        "same range": resample(knots, k, 7),
        "wider": uniform_knots(low - 0.3 * length, high + 0.2 * length, 6, k),
        "shifted": uniform_knots(low + 0.3 * length, high + 0.5 * length, 5, k),
    }[where]
    best = project(coefficients, knots, target, k, extrapolation)

    # the midpoint rule with 4,000 pieces for each input is independent of the quadrature that is tested
    low, high = grid_range(target, k)
    x = low + (high - low) * ((torch.arange(4000, dtype=torch.float64) + 0.5) / 4000)[:, None]
    wanted = evaluate(x, knots, coefficients, k, 0, extrapolation)

    def error(candidate):
        return (evaluate(x, target, candidate, k) - wanted).square().mean(0).flatten()

    least = error(best)
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        change = torch.randn(best.shape, generator=generator, dtype=best.dtype)
        assert (error(best + 0.1 * change) > least).all()
        assert (error(best - 0.1 * change) > least).all()
    # at the minimum the gradient is zero, up to the error of the midpoint rule (1 / 4000 where the curve jumps)
    for m in range(best.shape[1]):
        one = torch.zeros_like(best)
        one[:, m] = 1e-3
        slope = (error(best + one) - error(best - one)) / 2e-3
        assert (slope.abs() < 2e-3 * coefficients.abs().max() ** 2).all()


@pytest.mark.parametrize("k", [0, 1, 3, 6])
def test_quadrature_integrates_products_of_both_splines_exactly(k):
    """Compared with SciPy's antiderivative: x^m for m <= 2k + 1, and the splines themselves."""
    knots, coefficients = make(k, inputs=2, outputs=1)
    target = resample(knots, k, 7)
    points, weights = quadrature(knots, target, k)
    low, high = grid_range(target, k)
    assert points.shape == weights.shape and points.shape[1] == 2
    assert (weights >= 0).all() and (points >= low).all() and (points <= high).all()
    for m in range(2 * k + 2):
        exact = (high ** (m + 1) - low ** (m + 1)) / (m + 1)
        assert ((weights * points**m).sum(0) - exact).abs().max() < 1e-13 * exact.abs().max().clamp_min(1)
    for i in range(2):
        curve = BSpline(knots[i].numpy(), coefficients[i, :, 0].numpy(), k)
        by_us = (weights[:, i] * evaluate(points, knots, coefficients, k)[:, i, 0]).sum()
        assert abs(float(by_us) - float(curve.integrate(float(low[i]), float(high[i])))) < 1e-12


def test_projecting_to_finer_knots_and_back_is_the_identity():
    knots, coefficients = make(3)
    finer = subdivide(knots, 3, 2)
    back = project(project(coefficients, knots, finer, 3), finer, knots, 3)
    assert (back - coefficients).abs().max() < 1e-10


# --- many intervals: banded equations ---


@every_order
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
def test_curves_on_many_intervals_are_those_of_scipy(k, dtype):
    knots, coefficients = make(k, grid=83, dtype=dtype)
    x = torch.cat([rows(knots, k), knots[:, :1].T - 1, knots[:, -1:].T + 1])
    for derivative in (0, 1):
        found = evaluate(x, knots, coefficients, k, derivative, "zero")
        for i, j in ((0, 0), (2, 1)):
            t = knots[i].double().numpy()
            curve = BSpline(t, coefficients[i, :, j].double().numpy(), k, extrapolate=False)
            if derivative > k:
                assert (found == 0).all()
                continue
            inside = (x[:, i] >= knots[i, k]) & (x[:, i] < knots[i, -k - 1])
            expected = torch.from_numpy(curve(x[inside, i].double().numpy(), nu=derivative))
            # k levels of rounding, relative to the largest value; a slope has the inverse unit of the shortest interval
            least = 1.0 if derivative == 0 else float(1 / knots[i].diff().min())
            error = (found[inside, i, j] - expected).abs().max()
            assert error <= 2e4 * torch.finfo(dtype).eps * max(least, float(expected.abs().max()))
        assert (found[-2:] == 0).all()


@every_order
def test_banded_and_dense_least_squares_agree(k):
    """As curves. Single coefficients of high orders are less certain: rounding times the condition of the basis."""
    knots, coefficients = make(k, grid=70)
    target = resample(knots, k, 97)
    points, weights = quadrature(knots, target, k)
    values = evaluate(points, knots, coefficients, k)
    banded, dense = closest(points, weights, values, target, k), fit_coefficients(points, values, target, k, weights)
    x = rows(target, k)
    assert (evaluate(x, target, banded, k) - evaluate(x, target, dense, k)).abs().max() < 1e-11
    assert (banded - dense).abs().max() < 1e-12 * 6**k * dense.abs().max().clamp_min(1)


@every_order
def test_many_intervals_keep_curves_of_nested_knots(k):
    knots, coefficients = make(k, grid=60)
    target = nested(knots, k, 31)
    found = project(coefficients, knots, target, k)
    x = rows(knots, k)
    assert (evaluate(x, target, found, k) - evaluate(x, knots, coefficients, k)).abs().max() < 1e-12


def test_intervals_too_short_for_curves_on_them_are_an_error():
    one = torch.ones(1, dtype=torch.float64)
    knots = uniform_knots(-one, one, 60, 3)
    target = uniform_knots(1e6 * one, 1e6 * one + 1e-9, 60, 3)  # eight different numbers of float64
    with pytest.raises(SpecError, match=r"the grid of input 0, .* are too short for curves on them: use f"):
        project(torch.ones(1, 63, 1, dtype=torch.float64), knots, target, 3)
