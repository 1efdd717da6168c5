"""What matters: shares of inputs in what a formula or a network predicts, their spread, inputs that move together."""

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.discovery.baseline import accurate_baseline, sparse_baseline
from knotwork.discovery.table import table
from knotwork.discovery.what_matters import better, correlated_inputs, importance_of
from knotwork.formulas import Formula
from knotwork.training import Reporter


def rows_of(columns, noise, rows=400, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (rows, columns))
    return X, noise * rng.normal(size=rows)


def test_shares_of_a_sum_are_those_of_its_variances():
    """Total Sobol' indices of 3x + 4z with equal spreads are 9 and 16 of 25; what the formula omits has none."""
    X, noise = rows_of(3, 0.1)
    found = kw.discover(X, 3 * X[:, 0] + 4 * X[:, 2] + noise, names=["x", "y", "z"])
    assert found.importance.source == "the formula" and found.baseline is None
    assert found.importance["y"] == 0 and sum(found.importance.values()) == pytest.approx(1)
    assert found.importance["x"] == pytest.approx(9 / 25, abs=4 * found.importance.spread["x"])
    assert 0.001 < found.importance.spread["x"] < 0.05
    assert list(found.importance.words) == ["z", "x", "y"] and found.importance.words["y"] == "0.0%"
    assert f"importance (of the formula): z {found.importance.words['z']}" in str(found)


def test_the_spread_is_that_of_tables_drawn_anew():
    """The standard deviation that one table tells is near that of the shares of thirty tables."""
    shares, spreads = [], []
    for seed in range(30):
        X, noise = rows_of(2, 0.5, rows=60, seed=seed)
        data = table(X, X[:, 0] + X[:, 1] + noise, None, False, 0, None, None)
        found = importance_of(fitted_line(data), None, data, False, Reporter())
        shares.append(found["x_1"])
        spreads.append(found.spread["x_1"])
    assert 0.5 < np.median(spreads) / np.std(shares) < 2


def fitted_line(data):
    """The formula c + a*x_1 + b*x_2, fitted to the rows."""
    from knotwork.discovery.entries import built
    from knotwork.discovery.formula_search import straight_line
    from knotwork.discovery.table import sample_of
    from knotwork.regression import Constraints

    constraints = Constraints.of(None, None, None, data.input_names)
    (line,) = straight_line(sample_of(data), constraints)
    return built(line.template.filled(), data, False)[2]


def test_where_the_network_predicts_better_the_importance_is_its_own():
    X, noise = rows_of(3, 0.02, rows=500)
    data = table(X, np.sin(4 * X[:, 0]) * X[:, 1] + X[:, 1] / 2 + noise, ["a", "b", "c"], False, 0, None, None)
    sparse = sparse_baseline(data, (0, 1, 2), 0, Reporter())
    network = accurate_baseline(sparse.model, data, Reporter())
    line = fitted_line(data)
    assert isinstance(line, Formula) and better(network, line, data, False)
    found = importance_of(line, network, data, False, Reporter())
    assert found.source == "the baseline network"
    assert found["a"] > 0.2 and found["b"] > 0.2 and found["c"] < 0.05
    late = importance_of(line, network, data, False, Reporter().before(0.0))
    assert late.told == {} and "±" not in str(late)  # no time for refits


@pytest.mark.parametrize("rows", [120, 400])
def test_the_baseline_network_does_not_follow_noise(rows):
    """Ten inputs, three of which matter: without smoothness its r² on other rows is -1 or worse."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(rows + 1000, 10))
    y = X[:, 0] * X[:, 1] + X[:, 2] + rng.normal(size=rows + 1000)
    data = table(X[:rows], y[:rows], None, False, 0, None, None)
    network = accurate_baseline(sparse_baseline(data, tuple(range(10)), 0, Reporter()).model, data, Reporter()).model
    with torch.no_grad():
        missed = network(torch.tensor(X[rows:]))[:, 0].numpy() - y[rows:]
    assert 1 - np.mean(missed**2) / np.var(y[rows:]) > (0.0 if rows == 120 else 0.3)


def test_inputs_that_move_together_are_named():
    rng = np.random.default_rng(0)
    a, c = rng.uniform(1, 2, (2, 300))
    X = np.c_[a, a**3 + 0.02 * rng.normal(size=300), c]
    assert correlated_inputs(torch.tensor(X), ["a", "b", "c"], [0.5, 0.0, 0.5]) == ("a and b (rank correlation 1.00)",)
    assert correlated_inputs(torch.tensor(X), ["a", "b", "c"], [0.0, 0.0, 1.0]) == ()  # neither of them matters
    found = kw.discover(X, a * c + 0.01 * rng.normal(size=300), names=["a", "b", "c"])
    assert "a and b (rank correlation 1.00)" in str(found)


def test_nothing_found_gives_no_shares():
    rng = np.random.default_rng(0)
    with pytest.warns(kw.KnotworkWarning, match="better than a constant"):
        found = kw.discover(rng.normal(size=(15, 2)), rng.normal(size=15))
    assert set(found.importance.values()) == {0.0}
