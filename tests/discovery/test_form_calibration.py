"""Errors of the constants of a form are as large as they say, with and without unknown curves."""

import numpy as np
import pytest

import knotwork as kw

TABLES = 40


def decay(rng, noise):
    x = rng.uniform(0, 4, (60, 1))
    y = 2 * np.exp(-0.8 * x[:, 0]) + 0.5
    return x, y + noise * rng.normal(size=60), "a*exp(-k*x) + c", {"a": 2, "k": 0.8, "c": 0.5}


def curve_without_name(rng, noise):
    x = rng.uniform(0.5, 3, (120, 2))
    curve = np.where(x[:, 0] < 1.4, x[:, 0], 1.4 + 0.2 * np.sin(9 * x[:, 0]))
    return x, curve + 1.5 * x[:, 1] + noise * rng.normal(size=120), "f(x) + c*y", {"c": 1.5}


def curve_with_name(rng, noise):
    x = rng.uniform(0.5, 3, (120, 2))
    y = 2 * np.exp(-0.7 * x[:, 0]) * np.cos(x[:, 1])
    return x, y + noise * rng.normal(size=120), "exp(-k*x)*f(y)", {"k": 0.7}


@pytest.mark.parametrize(("law", "lib"), [(decay, None), (curve_without_name, ["x"]), (curve_with_name, ["x", "sin"])])
def test_errors_of_constants_are_those_of_repeated_tables(law, lib):
    """Over 40 tables (value - truth)/error has a root mean square of 1, within 4 of its standard errors."""
    scores = []
    for seed in range(TABLES):
        x, y, form, truth = law(np.random.default_rng(seed), 0.05)
        found = kw.discover(x, y, names=["x", "y"][: x.shape[1]], form=form, lib=lib, progress=False)
        known = {one.symbol: (one.value, one.error) for one in found.formula.constants}
        scores.append([(known[name][0] - value) / known[name][1] for name, value in truth.items()])
    size = np.sqrt(np.mean(np.square(scores), axis=0))
    assert (abs(size - 1) < 4 / np.sqrt(2 * TABLES)).all(), size
