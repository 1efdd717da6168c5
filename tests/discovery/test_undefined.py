"""Formulas that are not defined at some places within the ranges of the rows."""

import importlib
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.discovery.choice import choice, exact, front_of
from knotwork.discovery.entries import built, constant_entry, entry_of
from knotwork.discovery.settings import DISCOVERY
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


@pytest.mark.parametrize(("formula", "needed"), [("sqrt(1.999 - a - b)", "-a - b + 1.999"), ("log(a + b)", "a + b")])
@pytest.mark.parametrize("others", ["", " + c*d*e + f*g*h"])
def test_a_corner_of_the_columns_of_a_formula_is_seen_among_many_columns(formula, needed, others):
    columns = {name: torch.linspace(0, 1, 2, dtype=torch.float64) for name in "abcdefgh"}
    table = Sample({**columns, **sample(2, z=(0, 1)).columns}, torch.zeros(2, dtype=torch.float64))
    found = undefined_within(parse(formula + others), table)
    assert found is not None and found.reason.startswith(f"{needed} must be ")


def test_numbers_are_rounded_where_it_is_said_where_a_formula_is_not_defined():
    found = undefined_within(parse("sqrt(1.8000000000000007 - x - y)"), sample(x=(0, 1), y=(0, 1)))
    assert found is not None and found.reason.startswith("-x - y + 1.8 must be not negative, and is not at ")


def test_a_formula_without_variables_is_defined_at_all_places():
    assert undefined_within(parse("log(2) + sqrt(3)"), sample(x=(0, 1))) is None


def law_with_a_limit(noise, rows=300, seed=0):
    """A table of 2·√(1.8 - x - y), most of whose rows lie in the unit square up to that limit."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(0, 1, (2 * rows, 2))
    X = X[X.sum(1) < 1.8][:rows]
    y = 2 * np.sqrt(1.8 - X.sum(1)) + noise * rng.normal(size=rows)
    return kw.Dataset.from_arrays(X, y, names=["x", "y"], seed=0)


@pytest.mark.parametrize("seed", range(2))
def test_a_law_with_a_limit_is_found_in_noise_although_no_row_shows_the_limit(seed):
    found = kw.discover(law_with_a_limit(0.01, seed=seed), progress=False)
    assert found.formula.expression == parse("2*sqrt(9/5 - x - y)") and found.formula.r2 > 0.99
    (chosen,) = (entry for entry in found.front if entry.formula is found.formula)
    assert chosen.gaps > 0 and "must be not negative" in found.undefined


def test_a_formula_with_gaps_loses_only_to_one_without_that_takes_about_as_few_bits():
    """Up to twice the variance of the residuals, which is half a bit a row."""
    data = law_with_a_limit(0.01)
    constant = constant_entry(data, False)
    formulas = [parse("2*sqrt(1.8 - x - y)"), parse("2.7 - x - y")]
    gapped, free = (entry_of(*_rearranged(built(one, data)), "", data, False) for one in formulas)
    assert gapped.gaps > 0 and free.gaps == 0 and free.bits > gapped.bits + 200
    margin = DISCOVERY.bits_of_gaps * (len(data.y_train) + len(data.y_val))
    assert margin == pytest.approx(math.log2(math.sqrt(2)) * (len(data.y_train) + len(data.y_val)))
    for entries in ([gapped, free], [free, gapped]):
        assert choice(constant, entries, data) is gapped
    near, far = replace(free, bits=gapped.bits + margin - 1), replace(free, bits=gapped.bits + margin + 1)
    assert choice(constant, [gapped, near], data) is near
    assert choice(constant, [gapped, far], data) is gapped
    assert choice(constant, [replace(gapped, gaps=0.0), near], data).bits == gapped.bits


def test_an_exact_formula_with_gaps_is_chosen_before_one_without_that_is_not_exact():
    data = law_with_a_limit(0)
    formulas = [parse("2*sqrt(1.8 - x - y)"), parse("2*sqrt(1.8001 - x - y) + exp(-50*x - 50*y)/10**6")]
    entries = [entry_of(*_rearranged(built(one, data)), "", data, False) for one in formulas]
    entries[1] = replace(entries[1], gaps=0.0)
    assert entries[0].gaps > 0 and exact(entries[0], data) and not exact(entries[1], data)
    assert choice(constant_entry(data, False), entries, data) is entries[0]


def _rearranged(parts):
    symbolic, spline, formula = parts
    return formula, symbolic, spline


def test_the_chosen_formula_is_in_the_front_even_if_a_shorter_one_has_a_smaller_error():
    data = law_with_a_limit(0.01)
    constant = constant_entry(data, False)
    shorter = replace(constant, complexity=5, error=0.01)
    same, chosen = replace(constant, complexity=8, error=0.005), replace(constant, complexity=8, error=0.02)
    longer, better = replace(constant, complexity=9, error=0.015), replace(constant, complexity=12, error=0.001)
    entries = [better, longer, chosen, same, shorter, constant]
    assert front_of(entries, chosen, data) == (constant, shorter, chosen, better)
    assert front_of(entries, shorter, data) == (constant, shorter, same, better)


@pytest.mark.parametrize("seed", range(3))
def test_no_gap_between_the_rows_where_a_formula_without_gaps_is_about_as_good(seed, monkeypatch):
    asked = []
    outliers = importlib.import_module("knotwork.discovery.outliers")
    monkeypatch.setattr(outliers, "choice", lambda *given: asked.append(given) or choice(*given))
    rng = np.random.default_rng(seed)
    X = rng.uniform(0, 1, (100, 3))
    y = np.minimum(X[:, 0], X[:, 1]) * X[:, 2]
    found = kw.discover(X, y, progress=False, time_budget=10)
    constant, others, data, possible = asked[-1]  # earlier ones ask about rows that may be outliers
    chosen = choice(constant, others, data, possible)
    assert chosen.formula is found.formula
    least = min((one.bits for one in others if not one.gaps), default=math.inf)
    assert not chosen.gaps or least > chosen.bits + DISCOVERY.bits_of_gaps * (len(data.y_train) + len(data.y_val))
    fresh = dict(zip(found.data.input_names, rng.uniform(0, 1, (3, 20_000)), strict=True))
    assert chosen.gaps or np.isfinite(found.formula.predict(fresh)).all()


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
