"""Formulas that are not defined at some places within the ranges of the rows."""

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.discovery.undefined import gaps_of, undefined_within
from knotwork.expressions import conditions, parse, text
from knotwork.formulas.constants import Sample


def sample(rows=500, seed=0, **ranges):
    rng = np.random.default_rng(seed)
    columns = {name: torch.as_tensor(rng.uniform(*bounds, rows)) for name, bounds in ranges.items()}
    return Sample(columns, torch.zeros(rows, dtype=torch.float64))


def test_the_conditions_are_those_of_logarithms_roots_divisors_and_inverse_functions():
    found = conditions(parse("log(x + 1) + sqrt(y) + 1/(x - y) + asin(x/2) + (x + y)**(-1/3) + tan(x) + x**3"))
    assert sorted((text(part), need) for part, need in found) == [
        ("cos(x)", "not zero"),
        ("x + 1", "positive"),
        ("x + y", "positive"),
        ("x - y", "not zero"),
        ("x/2", "between -1 and 1"),
        ("y", "not negative"),
    ]


@pytest.mark.parametrize(
    ("formula", "share"),
    [
        ("sqrt(x - y)", 0.5),
        ("log(x + y - 1/2)", 0.125),
        ("asin(2*x)", 0.5),
        ("sqrt(x*y) + exp(x)", None),
        ("1/(1 + x**2 + y)", None),
        ("log(x + 1)/(2 - y)", None),
        ("1/(x - y)", 0.0),
        ("tan(2*x)", 0.0),
    ],
)
def test_the_share_of_places_where_a_formula_is_not_defined(formula, share):
    found = undefined_within(parse(formula), sample(20_000, x=(0, 1), y=(0, 1)))
    assert (found is None) if share is None else found.share == pytest.approx(share, abs=0.02)


def test_a_formula_with_a_gap_that_no_row_hit_is_dropped_and_predictions_are_finite():
    for seed in range(2):
        rng = np.random.default_rng(seed)
        X = rng.uniform(0, 1, (100, 3))
        y = np.minimum(X[:, 0], X[:, 1]) * X[:, 2]
        found = kw.discover(X, y, progress=False, time_budget=10)
        values = found.formula.numpy()(*(rng.uniform(0, 1, (20_000, len(found.formula.variables))).T))
        assert np.isfinite(values).all() or found.undefined


def test_a_law_whose_own_limits_the_rows_respect_is_kept_and_its_limits_are_said():
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 1, (800, 2))
    X = X[(X**2).sum(1) < 1]
    found = kw.discover(X, np.sqrt(1 - X[:, 0] ** 2 - X[:, 1] ** 2), names=["x", "y"], progress=False)
    assert found.formula.expression == parse("sqrt(1 - x**2 - y**2)")
    assert "must be not negative" in str(found)


@pytest.mark.parametrize(("rows", "gaps"), [(40, True), (2000, False)])
def test_whether_rows_avoid_a_part_is_a_question_of_their_number(rows, gaps):
    inside = sample(rows, x=(0, 1), y=(0, 1))
    assert bool(gaps_of(parse("sqrt(x + y - 0.3)"), inside)) is gaps  # 4.5 % of the square
