"""A grid with a multiple of the intervals: the same curves everywhere, in every extrapolation, or an error in words."""

import numpy as np
import pytest
import torch

from knotwork.errors import SpecError
from knotwork.kernels.reference import EXTRAPOLATIONS
from knotwork.model import KANLayer, KANNetwork, Spec, trace
from knotwork.splines import adaptive_knots, grid_range
from tests.model.networks import rows

WITHOUT_ERRORS = [name for name in EXTRAPOLATIONS if name != "error"]
every_extrapolation = pytest.mark.parametrize("extrapolation", WITHOUT_ERRORS)


def layer(seed, k, extrapolation, dtype=torch.float64, padding="even"):
    """A layer with random uneven grids and large coefficients."""
    rng = np.random.default_rng(seed)
    made = KANLayer(
        3,
        2,
        grid=int(rng.integers(1, 9)),
        k=k,
        base=str(rng.choice(["silu", "sine", "zero"])),
        extrapolation=extrapolation,
        dtype=dtype,
        generator=torch.Generator().manual_seed(seed),
    )
    low = torch.tensor(rng.uniform(-3, 0, 3), dtype=dtype)
    high = low + torch.tensor(10 ** rng.uniform(-1, 2, 3), dtype=dtype)
    samples = low + (high - low) * torch.tensor(rng.random((50, 3)), dtype=dtype)
    knots = adaptive_knots(samples, low, high, made.grid, k, float(rng.random()))
    if padding == "uneven":
        knots[:, :k] -= torch.tensor(rng.uniform(0, 5, (3, k)), dtype=dtype).cumsum(1).flip(1)
    made.knots = knots
    with torch.no_grad():
        made.coefficients.copy_(torch.tensor(rng.normal(0, 1, made.coefficients.shape)))
    return made


def points(made, seed=0):
    """Points in the grid, between and on all knots, and up to a thousand grids away."""
    rng = np.random.default_rng(seed)
    low, high = grid_range(made.knots, made.k)
    size = high - low
    far = torch.tensor(rng.choice([-1, 1], (40, 3)) * 10 ** rng.uniform(-3, 3, (40, 3)), dtype=made.knots.dtype)
    inside = torch.tensor(rng.random((60, 3)), dtype=made.knots.dtype)
    knots = made.knots.T
    return torch.cat([low + size * inside, low + size * far, knots, (knots[1:] + knots[:-1]) / 2])


@every_extrapolation
@pytest.mark.parametrize("k", range(8))
@pytest.mark.parametrize("padding", ["even", "uneven"])
def test_refining_by_a_multiple_keeps_every_curve_everywhere(k, extrapolation, padding):
    for seed in range(6):
        made = layer(seed, k, extrapolation, padding=padding)
        x = points(made)
        before, scale = made.edges(x), _scale(made, x)
        for parts in (1, 2, 3, 2):  # one after the other: twelve times as many intervals
            made.refine(parts * made.grid)
            # roundings of the coefficients; each order differentiates once more for linear continuation
            assert ((made.edges(x) - before).abs() <= 2e-12 * 4**k * scale).all(), (seed, parts)
            assert torch.allclose(made(x), before.sum(1), rtol=0, atol=6e-12 * 4**k * float(scale.max()))


def _scale(made, x):
    """The size of the terms that make up the curves at x: values, and slopes times the distance to the grid."""
    low, high = grid_range(made.knots, made.k)
    beyond = x - torch.minimum(torch.maximum(x, low), high)
    steps = beyond.abs() / made.knots.diff(dim=1).amin(1) if made.extrapolation == "linear" else 0 * beyond
    return (1 + 12 * steps + made.base_values(x).abs()).unsqueeze(-1)


@pytest.mark.parametrize("k", [0, 1, 3, 5])
@every_extrapolation
def test_refining_by_a_multiple_keeps_the_curves_of_float32(k, extrapolation):
    for seed in range(6):
        made = layer(seed, k, extrapolation, torch.float32)
        x = points(made)
        before, scale = made.edges(x), _scale(made, x)
        made.refine(4 * made.grid)
        on_knots = (x.unsqueeze(-1) == made.knots).any(-1, keepdim=True)
        error = (made.edges(x) - before).abs()
        assert (error <= 2e-5 * 3**k * scale)[(k > 0) | ~on_knots.expand_as(error)].all()


@every_extrapolation
@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_refining_by_a_multiple_keeps_a_network_whose_hidden_values_leave_their_grids(k, extrapolation):
    spec = Spec(((2, 0), (3, 1), (2, 0), (1, 0)), grid=4, k=k, extrapolation=extrapolation, grid_range=(-0.5, 0.5))
    network = KANNetwork(spec, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for each in network.layers:
            each.coefficients.mul_(10)
    x = 2 * rows(network, 200)
    for seen, each in zip(trace(network, x).layers, network.layers, strict=True):
        low, high = grid_range(each.knots, k)
        assert ((seen.inputs < low) | (seen.inputs > high)).any()
    before = network(x)
    for grid in (8, 24, 120):
        assert (network.refine(grid)(x) - before).abs().max() <= 1e-9 * before.abs().max()


def test_the_curves_of_named_edges_are_refined_too():
    made = layer(0, 3, "zero")
    plain, x = layer(0, 3, "zero"), points(made)
    made.name_edge(0, 1, "sin", torch.ones(4))
    for one in (made, plain):
        one.refine(3 * one.grid)
    made.unname_edge(0, 1)
    assert made.edges(x).equal(plain.edges(x))


@pytest.mark.parametrize("extrapolation", EXTRAPOLATIONS)
def test_knots_that_cannot_be_told_apart_are_refused_and_nothing_changes(extrapolation):
    made = KANLayer(1, 1, grid=2, grid_range=(1e6, 1e6 + 1), extrapolation=extrapolation, dtype=torch.float32)
    before = {name: value.clone() for name, value in made.state_dict().items()}
    with pytest.raises(SpecError) as caught:
        made.refine(200)
    assert str(caught.value) == (
        "intervals of the grid of input 0, [1000000, 1000001], are too short to be divided into 100 in float32: "
        "use fewer intervals, inputs nearer to zero, or float64."
    )
    assert all(value.equal(before[name]) for name, value in made.state_dict().items())


@pytest.mark.parametrize("k", [0, 1, 3])
def test_the_ends_of_the_grid_stay_where_they_are(k):
    """So that extrapolation="error" refuses the same rows."""
    made = layer(5, k, "error")
    before = [end.clone() for end in grid_range(made.knots, k)]
    made.refine(7 * made.grid)
    assert all(torch.equal(old, new) for old, new in zip(before, grid_range(made.knots, k), strict=True))
    ends = torch.stack(before)
    assert made(ends).isfinite().all()
    with pytest.raises(SpecError, match="outside its grid"):
        made(torch.nextafter(ends, torch.tensor([[-torch.inf], [torch.inf]], dtype=ends.dtype)))
