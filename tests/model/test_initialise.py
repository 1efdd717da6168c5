"""Initial values: their standard deviations, and that only the given generator is used."""

import pytest
import torch

from knotwork.errors import SpecError
from knotwork.model.initialise import INITIALISERS, initialiser

every_name = pytest.mark.parametrize("name", INITIALISERS)


def draw(name, n_in=40, functions=30, n_out=50, dtype=torch.float64, seed=0):
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    shape = (n_in, functions, n_out), (n_in, n_out)
    return initialiser(name)(torch.empty(shape[0], dtype=dtype), torch.empty(shape[1], dtype=dtype), generator)


def spread(values):
    """Standard deviation. Its statistical error is 0.3 % for 60,000 normal values, 1.6 % for 2,000."""
    return values.double().std().item()


def test_the_initialisation_paper_gives_small_splines_and_xavier_bases():
    coefficients, weights = draw("paper")
    assert spread(coefficients) == pytest.approx(0.1, rel=0.02) and abs(coefficients.mean()) < 0.002
    bound = (6 / 90) ** 0.5
    assert weights.abs().max() <= bound and weights.abs().max() > 0.99 * bound
    assert spread(weights) == pytest.approx(bound / 3**0.5, rel=0.08) and abs(weights.mean()) < 0.02


@pytest.mark.parametrize(("n_in", "functions"), [(40, 30), (2, 8), (1, 3)])
def test_the_initialisation_power_gives_standard_deviations_by_the_number_of_terms(n_in, functions):
    coefficients, weights = draw("power", n_in, functions, n_out=2000)
    terms = n_in * (functions + 1)
    assert spread(coefficients) == pytest.approx(terms**-1.75, rel=0.08)
    assert spread(weights) == pytest.approx(terms**-0.25, rel=0.08)


@every_name
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
def test_shapes_dtypes_and_generators(name, dtype):
    before = torch.get_rng_state()
    first, second, third = (draw(name, dtype=dtype, seed=seed) for seed in (0, 0, 1))
    assert torch.get_rng_state().equal(before)
    for one, same, other in zip(first, second, third, strict=True):
        assert one.dtype == dtype and one.equal(same) and not one.equal(other)
    assert first[0].shape == (40, 30, 50) and first[1].shape == (40, 50)


@every_name
def test_without_a_generator_the_one_of_torch_is_used(name):
    with torch.random.fork_rng():
        torch.manual_seed(5)
        first, second = draw(name, seed=None), draw(name, seed=None)
        torch.manual_seed(5)
        third = draw(name, seed=None)
    assert first[0].equal(third[0]) and first[1].equal(third[1]) and not first[0].equal(second[0])


def test_an_unknown_name_raises_an_error_with_the_known_ones():
    with pytest.raises(SpecError) as caught:
        initialiser("xavier")
    assert str(caught.value) == "init='xavier' is not known; choose one of 'paper', 'power'."
