"""Plain laws with a shifted input or values that saturate: their features, and that such laws are found in few rows."""

import warnings

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.expressions import parse, symbol, to_numpy
from knotwork.formulas.constants import Constants, Sample
from knotwork.regression.plain.plain_laws import pole_near
from knotwork.regression.plain.shifted_features import (
    poles,
    poles_beside_inputs,
    saturations,
    shifted_logarithms,
)

KINDS = (poles, poles_beside_inputs, shifted_logarithms, saturations)


@pytest.fixture(scope="module")
def columns():
    generator = torch.Generator().manual_seed(0)
    return [3 + 9 * torch.rand(25, generator=generator).double(), 100 * torch.rand(25, generator=generator).double()]


@pytest.mark.parametrize("kind", KINDS)
def test_the_expression_of_a_feature_has_its_values(kind, columns):
    names = ["x", "z"]
    found = list(kind(columns))
    assert found
    for feature in found:
        template_constants = Constants()
        expression = feature.build([symbol(name) for name in names], template_constants)
        assert feature.inner == len(template_constants.values) and bool(feature.values.isfinite().all())
        filled = template_constants.template(expression).filled()
        values = to_numpy(filled, names)(*(column.numpy() for column in columns))
        np.testing.assert_allclose(feature.scale * feature.values.numpy(), values, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_without_a_zero_are_not_shifted(kind):
    """An input with values of both signs, or with one value only, has no such feature."""
    both, same = torch.linspace(-1, 1, 20).double(), torch.ones(20).double()
    assert list(kind([both])) == [] and list(kind([same])) == [] and list(kind([both, same])) == []


def searched(law, ranges, noise, rows=30, seed=0):
    """The formula that is found in noisy rows of a law, fresh rows, their exact values, and the size of the noise."""
    rng = np.random.default_rng(seed)
    names = list(ranges)
    X, fresh = (np.column_stack([rng.uniform(*ends, n) for ends in ranges.values()]) for n in (rows, 500))
    exact, exact_fresh = (to_numpy(parse(law), names)(*part.T) for part in (X, fresh))
    size = noise * np.sqrt(np.mean(exact**2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", kw.KnotworkWarning)
        found = kw.discover(X, exact + size * rng.normal(size=rows), names=names, progress=False)
    return found.formula, fresh, exact_fresh, size


def test_no_pole_lies_just_beyond_the_rows():
    """A divisor that is zero a little outside the rows is refused, one at zero or far away is not."""
    x = torch.linspace(1, 5, 30).double()
    sample = Sample({"x": x}, 1 / x)
    for place, near in ((0.9, True), (0.4, False), (5.1, True), (6.0, False)):
        constants = Constants()
        law = constants.template(1 / (symbol("x") - constants(place)))
        assert pole_near(law, sample) == near
    from_zero = Sample({"x": torch.linspace(0.1, 5, 30).double()}, 1 / x)
    constants = Constants()
    assert not pole_near(constants.template(1 / (symbol("x") + constants(0.05))), from_zero)
    to_zero = Sample({"x": torch.linspace(-5, -0.1, 30).double()}, -1 / x)
    constants = Constants()
    assert not pole_near(constants.template(1 / (symbol("x") - constants(0.05))), to_zero)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_reciprocal_of_an_input_of_one_sign_is_found(sign):
    x = sign * np.linspace(0.2, 10, 16)
    assert kw.discover(x[:, None], 1 + 3 / x, names=["x"], progress=False).formula.expression == parse("1 + 3/x")


LAWS = {
    "viscosity": ("29.4*v/(w - 2.2)", {"v": (15, 300), "w": (5, 100)}),
    "offset and pole": ("2 + 5/(x + 1.5)", {"x": (0.1, 8)}),
    "pole beyond the rows": ("12/(9 - x)", {"x": (0, 8)}),
    "Antoine": ("exp(18.5 - 3900/(T + 231))", {"T": (5, 100)}),
    "Vogel": ("0.01*exp(900/(T - 180))", {"T": (260, 400)}),
    "Gompertz": ("12*exp(-4*exp(-0.6*t))", {"t": (0, 10)}),
    "Hill": ("5*x**2.6/(8 + x**2.6)", {"x": (0.3, 8)}),
    "light": ("20*tanh(x/150)", {"x": (0, 600)}),
    "delayed growth": ("7*(1 - exp(-(t/4)**1.8))", {"t": (0.2, 10)}),
}


@pytest.mark.parametrize("law", LAWS.values(), ids=list(LAWS))
def test_the_law_is_found_exactly_in_exact_rows(law):
    formula, fresh, exact, _ = searched(*law, noise=0.0)
    assert np.sqrt(np.mean((formula.predict(fresh) - exact) ** 2)) < 1e-5 * np.sqrt(np.mean(exact**2))


@pytest.mark.parametrize("law", LAWS.values(), ids=list(LAWS))
def test_what_is_found_in_noisy_rows_predicts_within_the_noise(law):
    formula, fresh, exact, size = searched(*law, noise=0.02, seed=1)
    assert np.sqrt(np.mean((formula.predict(fresh) - exact) ** 2)) < size
