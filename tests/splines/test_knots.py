"""Laws of knot vectors: strictly increasing, with exact ends and k more knots on each side."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from knotwork.errors import SpecError
from knotwork.splines import adaptive_knots, graded_knots, grid_range, resample, subdivide, uniform_knots

EPS = torch.finfo(torch.float64).eps
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
few = settings(max_examples=60, deadline=None, derandomize=True)


@st.composite
def ranges(draw):
    """Ends of 1 to 3 grids, each wider than 1e-4 of its distance from zero."""
    inputs = draw(st.integers(1, 3))
    low = [draw(st.floats(-1e6, 1e6)) for _ in range(inputs)]
    width = [draw(st.floats(1e-4, 1e6)) * max(1.0, abs(v)) for v in low]
    low = torch.tensor(low, dtype=torch.float64)
    return low, low + torch.tensor(width, dtype=torch.float64)


def inner(knots, k):
    return knots[:, k : knots.shape[1] - k]


def check(knots, low, high, grid, k):
    """Every knot vector has the right shape, increases, has exact ends, and padding like the outermost intervals."""
    assert knots.shape == (len(low), grid + 2 * k + 1) and knots.dtype == low.dtype
    assert (knots.diff(dim=-1) > 0).all()
    assert inner(knots, k)[:, 0].equal(low) and inner(knots, k)[:, -1].equal(high)
    ends = grid_range(knots, k)
    assert ends[0].equal(low) and ends[1].equal(high)
    steps = knots.diff(dim=-1)
    # a difference of two knots has the rounding error of the knots themselves
    slack = 8 * torch.finfo(knots.dtype).eps * knots.abs().amax()
    if k:
        assert (steps[:, :k] - steps[:, k : k + 1]).abs().max() <= slack
        assert (steps[:, -k:] - steps[:, -k - 1 : -k]).abs().max() <= slack


def random_knots(grid, k, inputs=2, seed=0, dtype=torch.float64):
    """Uneven knots on different ranges."""
    generator = torch.Generator().manual_seed(seed)
    samples = torch.randn(50, inputs, generator=generator, dtype=dtype)
    low, high = samples.amin(0), samples.amax(0) + torch.arange(inputs, dtype=dtype)
    return adaptive_knots(samples, low, high, grid, k, 0.2)


@few
@given(ranges(), st.integers(1, 12), st.integers(0, 7))
def test_uniform_knots_are_equally_spaced(ends, grid, k):
    low, high = ends
    knots = uniform_knots(low, high, grid, k)
    check(knots, low, high, grid, k)
    expected = np.linspace(low.numpy(), high.numpy(), grid + 1, axis=-1)
    scale = torch.maximum(low.abs(), high.abs())[:, None]
    assert ((inner(knots, k) - torch.tensor(expected)).abs() <= 4 * EPS * scale).all()


@every_dtype
def test_uniform_knots_in_both_dtypes(dtype):
    low, high = torch.tensor([0.1, -7.3], dtype=dtype), torch.tensor([0.7, 1.9], dtype=dtype)
    for grid in (1, 3, 10, 101):
        check(uniform_knots(low, high, grid, 3), low, high, grid, 3)


@few
@given(ranges(), st.integers(1, 12), st.integers(0, 5), st.floats(0, 1), st.integers(0, 3), st.integers(0, 10**6))
def test_adaptive_knots_have_a_smallest_distance(ends, grid, k, grid_eps, repeats, seed):
    """For any samples (few, repeated, outside) no interval is shorter than 1 % of its uniform length."""
    low, high = ends
    rng = np.random.default_rng(seed)
    spread = rng.choice([0.0, 1e-9, 0.1, 3.0])
    samples = torch.tensor(rng.normal(size=(5, len(low))) * spread) * (high - low) + (low + high) / 2
    samples = samples.repeat(repeats + 1, 1)
    samples[: len(samples) // 2] = samples[0]
    knots = adaptive_knots(samples, low, high, grid, k, grid_eps)
    check(knots, low, high, grid, k)
    least = 0.01 * (high - low)[:, None] / grid
    slack = 8 * EPS * torch.maximum(low.abs(), high.abs())[:, None]
    assert (inner(knots, k).diff(dim=-1) >= least - slack).all()


@every_dtype
def test_adaptive_knots_are_the_quantiles_at_eps_0_and_uniform_at_1(dtype):
    samples = torch.rand(500, 2, generator=torch.Generator().manual_seed(0), dtype=dtype) ** 2
    low, high = samples.amin(0), samples.amax(0)
    tolerance = 20 * torch.finfo(dtype).eps
    at_0 = inner(adaptive_knots(samples, low, high, 8, 3, 0.0), 3)
    quantiles = np.quantile(samples.double().numpy(), np.linspace(0, 1, 9), axis=0).T
    assert abs(at_0.double().numpy() - quantiles).max() < tolerance
    at_1 = adaptive_knots(samples, low, high, 8, 3, 1.0)
    assert at_1.equal(uniform_knots(low, high, 8, 3))
    half = inner(adaptive_knots(samples, low, high, 8, 3, 0.5), 3)
    assert (half - (at_0 + inner(at_1, 3)) / 2).abs().max() < tolerance


def test_samples_outside_the_range_are_clamped():
    low, high = torch.tensor([0.0]), torch.tensor([1.0])
    samples = torch.tensor([-5.0, -4.0, -3.0, 0.2, 0.5, 0.9, 30.0, 40.0, 41.0])[:, None]
    for grid_eps in (0.0, 0.5):
        knots = adaptive_knots(samples, low, high, 4, 2, grid_eps)
        assert knots.equal(adaptive_knots(samples.clamp(0, 1), low, high, 4, 2, grid_eps))
        assert abs(inner(knots, 2)[0, 2] - 0.5) < 1e-6  # the median


@pytest.mark.parametrize("k", [0, 1, 3, 7])
@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_subdivide_keeps_every_knot_and_divides_intervals_evenly(k, parts):
    knots = random_knots(5, k)
    finer = subdivide(knots, k, parts)
    check(finer, *grid_range(knots, k), 5 * parts, k)
    assert inner(finer, k)[:, ::parts].equal(inner(knots, k))
    lengths = inner(finer, k).diff(dim=-1).unflatten(-1, (5, parts))
    assert (lengths - lengths.mean(-1, keepdim=True)).abs().max() < 1e-14


def test_subdividing_twice_equals_subdividing_once():
    knots = random_knots(3, 2)
    twice = subdivide(subdivide(knots, 2, 2), 2, 3)
    assert (twice - subdivide(knots, 2, 6)).abs().max() < 1e-14


@every_dtype
@pytest.mark.parametrize("grid", [1, 2, 3, 5, 20])
def test_graded_knots_are_even_in_the_logarithm_of_a_log_normal_sample(grid, dtype):
    scores = torch.special.ndtri((torch.arange(1001, dtype=dtype) + 0.5) / 1001)
    samples = scores.exp()
    knots = graded_knots(samples, grid, 3, math.inf)
    steps = knots[3:-3].log().diff()
    assert float(steps.max() / steps.min()) < 1.1


@every_dtype
@pytest.mark.parametrize("grid", [1, 2, 3, 5, 20])
@pytest.mark.parametrize("outlier", [3.0, 1e6, -1e12])
def test_graded_knots_increase_and_leave_a_long_tail_outside(outlier, grid, dtype):
    samples = torch.cat([torch.linspace(0, 1, 99, dtype=dtype).repeat(2), torch.tensor([outlier], dtype=dtype)])
    knots = graded_knots(samples, grid, 3, 2.0)
    steps = knots[3:-3].diff()
    assert bool((knots.diff() > 0).all())
    if grid > 3:
        assert knots[3] > -2 and knots[-4] < 3
        assert steps[0] < 2.01 * steps[1] and steps[-1] < 2.01 * steps[-2]


@pytest.mark.parametrize("k", [0, 3])
@pytest.mark.parametrize("grid", [1, 2, 4, 7, 13, 50])
def test_resample_keeps_the_range_and_the_density(k, grid):
    """New knots interpolate the old ones linearly as a function of their index."""
    knots = random_knots(5, k)
    other = resample(knots, k, grid)
    check(other, *grid_range(knots, k), grid, k)
    for old, new in zip(inner(knots, k).numpy(), inner(other, k).numpy(), strict=True):
        expected = np.interp(np.linspace(0, 5, grid + 1), np.arange(6), old)
        assert abs(new - expected).max() < 1e-14


def test_resampling_to_a_multiple_equals_subdividing():
    knots = random_knots(5, 3)
    assert (resample(knots, 3, 5) - knots)[:, 3:-3].abs().max() == 0
    assert (resample(knots, 3, 15) - subdivide(knots, 3, 3)).abs().max() < 1e-14


@pytest.mark.parametrize(
    ("low", "high"),
    [(1.0, 1.0), (2.0, 1.0), (math.nan, 1.0), (0.0, math.nan), (-math.inf, 0.0), (0.0, math.inf)],
)
def test_an_impossible_range_names_the_input(low, high):
    lows, highs = torch.tensor([0.0, low]), torch.tensor([1.0, high])
    message = rf"^the grid of input 1 would be \[{low}, {high}\], but a grid needs low < high, both finite\.$"
    with pytest.raises(SpecError, match=message):
        uniform_knots(lows, highs, 5, 3)
    with pytest.raises(SpecError, match=message):
        adaptive_knots(torch.zeros(4, 2), lows, highs, 5, 3, 0.5)
