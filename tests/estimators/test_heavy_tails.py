"""Columns with heavy tails: fits predict rows that took no part about as well as trees, and curves stay bounded."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.metrics import r2_score

import knotwork as kw

WITHIN = 0.03  # of r², below the better of two kinds of trees

DRAWN = {
    "log-normal": lambda rng, shape: rng.lognormal(0, 1, shape),
    "wide log-normal": lambda rng, shape: rng.lognormal(0, 2, shape),
    "Student's t": lambda rng, shape: rng.standard_t(2, shape),
    "Cauchy": lambda rng, shape: rng.standard_cauchy(shape),
    "Pareto": lambda rng, shape: 1 + rng.pareto(1.2, shape),
    "often zero": lambda rng, shape: rng.lognormal(0, 1.5, shape) * (rng.random(shape) < 0.4),
}
each_kind = pytest.mark.parametrize("kind", DRAWN)


def rows(kind, seed=0, n=500):
    """Training rows with noise, and rows that take no part, without it."""
    rng = np.random.default_rng(seed)
    X = DRAWN[kind](rng, (n + 3000, 2))
    a, b = (X / (1 + np.abs(X))).T
    y = np.sin(3 * a) + b + a * b
    return X[:n], y[:n] + 0.1 * y.std() * rng.standard_normal(n), X[n:], y[n:]


def trees(X, y, others, truth):
    kinds = HistGradientBoostingRegressor(random_state=0), RandomForestRegressor(random_state=0)
    return max(r2_score(truth, kind.fit(X, y).predict(others)) for kind in kinds)


@each_kind
def test_the_regressor_is_about_as_good_as_trees(kind):
    X, y, others, truth = rows(kind)
    found = kw.KANRegressor(random_state=0).fit(X, y).predict(others)
    assert r2_score(truth, found) > trees(X, y, others, truth) - WITHIN


@each_kind
def test_a_fit_is_about_as_good_as_trees(kind):
    X, y, others, truth = rows(kind)
    model = kw.KAN([2, 5, 1], seed=0)
    model.fit((X, y), optimizer=kw.LevenbergMarquardt(starts=4))
    assert r2_score(truth, model.predict(others)) > trees(X, y, others, truth) - WITHIN


@pytest.mark.parametrize("row", [7, 8, 9, 10])  # some are training rows of the pair, some validation rows
def test_one_huge_value_spoils_neither_fits_nor_predictions(row):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 2))
    X[row, 0] = 1e6
    y = np.sin(np.clip(X[:, 0], -3, 3)) + np.tanh(X[:, 1])
    others = rng.standard_normal((1000, 2))
    truth = np.sin(others[:, 0]) + np.tanh(others[:, 1])
    fitted = kw.KAN([2, 5, 1], seed=0)
    fitted.fit((X, y), optimizer=kw.LevenbergMarquardt(starts=2))
    for model in (fitted, kw.KANRegressor(random_state=0).fit(X, y)):
        assert r2_score(truth, model.predict(others)) > 0.98
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert np.abs(model.predict([[-1e9, 0.0], [1e9, 0.0]])).max() < 10


@pytest.mark.parametrize("draw", ["random", "standard_normal"])
def test_other_columns_have_even_knots_and_straight_lines(draw):
    X = getattr(np.random.default_rng(0), draw)((1000, 1))
    model = kw.KANRegressor(random_state=0).fit(X, np.sin(X[:, 0])).model_
    steps = model.layers[0].knots.diff()
    torch.testing.assert_close(steps, steps[:, :1].expand_as(steps))
    assert not bool(model.held.any())
