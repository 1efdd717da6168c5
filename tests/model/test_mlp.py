"""The MLP baseline: linear maps and SiLU only."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.special import expit

import knotwork as kw
from knotwork.errors import SpecError


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
@pytest.mark.parametrize("width", [[3, 1], [2, 5, 1], [4, 3, 7, 2]])
def test_an_mlp_equals_its_definition(width, dtype):
    model = kw.MLP(width, seed=0, dtype=dtype)
    x = torch.randn(9, width[0], generator=torch.Generator().manual_seed(0), dtype=dtype)
    values = x.double().numpy()
    weights = [p.detach().double().numpy() for p in model.parameters()]
    assert [w.shape for w in weights[::2]] == [(m, n) for n, m in pairwise(width)]
    for n, (weight, bias) in enumerate(zip(weights[::2], weights[1::2], strict=True)):
        values = values if n == 0 else values * expit(values)
        values = values @ weight.T + bias
    y = model(x)
    assert y.dtype == dtype and y.shape == (9, width[-1])
    assert np.abs(y.detach().double().numpy() - values).max() < 100 * torch.finfo(dtype).eps


def test_the_seed_determines_the_values_and_no_other_generator_changes():
    before = torch.get_rng_state()
    first, second, third = (kw.MLP([2, 5, 1], seed=seed) for seed in (0, 0, 1))
    assert torch.get_rng_state().equal(before)
    x = torch.ones(2)
    assert first(x).equal(second(x)) and not first(x).equal(third(x))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        fourth, fifth = kw.MLP([2, 5, 1]), kw.MLP([2, 5, 1])
    assert not fourth(x).equal(fifth(x))


def test_initial_values_are_those_of_linear_layers():
    """Uniform within ±1/sqrt(inputs), filling that range."""
    model = kw.MLP([100, 400, 25], seed=0)
    for linear, n_in in ((model.layers[0], 100), (model.layers[2], 400)):
        for values in (linear.weight, linear.bias):
            bound = n_in**-0.5
            assert values.abs().max() <= bound and values.abs().max() > 0.8 * bound
            # the standard deviation is bound/sqrt(3), and of 25 values has an error of about 10 %; 30 % are allowed
            assert abs(values.std().item() / (bound / 3**0.5) - 1) < 0.3


def test_rows_may_have_any_leading_shape_and_dtype():
    model = kw.MLP((2, 5, 3), seed=0)
    for shape in ((), (0,), (4,), (2, 3)):
        assert model(torch.zeros(*shape, 2)).shape == (*shape, 3)
    assert model(torch.zeros(4, 2)).dtype == torch.float64
    again = kw.MLP((2, 5, 3))
    again.load_state_dict(model.state_dict())
    assert again(torch.ones(2)).equal(model(torch.ones(2)))


@pytest.mark.parametrize("width", [[], [3]])
def test_a_width_without_a_layer_is_refused(width):
    with pytest.raises(SpecError) as caught:
        kw.MLP(width)
    assert str(caught.value).startswith(f"width={width} does not describe a network: give at least an input and an out")
