"""Columns that are linear combinations of others."""

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.discovery.dependent_columns import dependent_columns
from knotwork.expressions import parse, to_numpy


def columns(X):
    return {f"x{n}": torch.as_tensor(column).double() for n, column in enumerate(X.T)}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(5))
def test_dependent_columns_are_named_with_their_combination(seed, dtype):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(60, 3)) * 10.0 ** rng.integers(-6, 6, 3)
    weights = [*(rng.integers(1, 4, 2) - 1.5), 0.25]
    X = np.c_[X, X @ weights + 7 * X[:, 0].std(), rng.normal(size=60), np.full(60, 3.0), 2 * X[:, 1]].astype(dtype)
    found = dependent_columns(columns(X))
    assert set(found) == {"x3", "x6"}
    for name, combination in found.items():
        used = [str(one) for one in combination.free_symbols]
        values = to_numpy(combination, used)(*(X[:, int(one[1:])].astype(float) for one in used))
        column = X[:, int(name[1:])].astype(float)
        assert np.abs(values - column).max() < 2e-6 * np.abs(column).max()
    assert found["x6"] == parse("2*x1")


def test_columns_that_are_nearly_dependent_or_have_few_rows_stay():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(1, 3, (2, 200))
    assert not dependent_columns(columns(np.c_[a, b, a + b + 1e-4 * rng.normal(size=200)]))
    assert not dependent_columns(columns(rng.normal(size=(4, 6))))  # fewer rows than columns say nothing


@pytest.mark.parametrize(
    ("build", "law", "dependent"),
    [
        (lambda a, b: (np.c_[a, b, a + b], a * b), "x_1*x_2", {"x_3": "x_1 + x_2"}),
        (lambda a, b: (np.c_[a + b, a, b], a * b), "x_2*x_3", {"x_3": "x_1 - x_2"}),
        (lambda a, b: (np.c_[a, b, 2 * a - b + 4], b / (2 * a - b + 4)), "x_2/x_3", {"x_3": "2*x_1 - x_2 + 4"}),
        (lambda a, b: (np.c_[a, a, b], np.sin(a) + b), "x_3 + sin(x_1)", {"x_2": "x_1"}),
    ],
)
def test_a_law_is_found_among_dependent_columns(build, law, dependent):
    rng = np.random.default_rng(1)
    X, y = build(*rng.uniform(1, 3, (2, 400)))
    found = kw.discover(X, y + 1e-3 * y.std() * rng.normal(size=400), progress=False)
    assert found.dependent == dependent and not found.failures
    assert found.formula.expression == parse(law)
    assert found.remarks["Columns that follow from others"] in str(found)
    assert all(found.importance[name] == 0 for name in dependent)


@pytest.mark.parametrize("unit", [1e-9, 1e12])
def test_they_are_named_and_used_in_any_unit(unit):
    a, b = np.random.default_rng(2).uniform(1, 3, (2, 300))
    found = kw.discover(unit * np.c_[a, b, a + 2 * b], a * (a + 2 * b) ** 2, progress=False)
    assert found.dependent == {"x_3": "x_1 + 2*x_2"}
    assert found.formula.expression.free_symbols == parse("x_1*x_3").free_symbols
    assert found.formula.r2 == pytest.approx(1, abs=1e-12)
