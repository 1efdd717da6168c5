"""Columns that are linear combinations of others."""

from functools import partial

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.discovery.dependent_columns import dependent_columns, shortest_of
from knotwork.discovery.table import sample_of
from knotwork.expressions import parse, symbol, to_numpy
from knotwork.regression import Constraints


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


def times(seed, rows=300):
    rng = np.random.default_rng(seed)
    begin = rng.uniform(0, 3e7, rows)
    return begin, begin + rng.uniform(1, 10, rows), rng


@pytest.mark.parametrize("unit", [1.0, 1e6])
@pytest.mark.parametrize("seed", range(3))
def test_differences_beyond_the_rounding_of_the_numbers_are_differences(seed, unit):
    begin, end, rng = times(seed)
    units = {f"x{n}": unit for n in range(4)}

    def found(*given):
        return dependent_columns({name: one / unit for name, one in columns(np.stack(given, 1)).items()}, units)

    assert not found(begin, end)
    assert not found(begin.round(), begin.round() + rng.integers(1, 10, 300))  # whole numbers are not rounded
    assert not found(begin, begin * (1 + 1e-12 * rng.normal(size=300)))
    assert set(found(begin, end, end - begin)) == {"x2"}
    assert set(found(begin, begin * (1 + 1e-16 * rng.normal(size=300)))) == {"x1"}
    single = begin.astype(np.float32).astype(float)
    assert set(found(single, (single * 1.7).astype(np.float32).astype(float))) == {"x1"}
    assert not found(single, single + rng.uniform(10, 30, 300))  # in double precision
    assert not found(single, (single * (1 + 5e-7 * rng.normal(size=300))).astype(np.float32).astype(float))


def test_a_combination_keeps_its_small_parts_and_has_weights_of_few_digits():
    begin, _, rng = times(0)
    other = rng.uniform(1, 2, 300)
    found = dependent_columns(columns(np.c_[begin, other, begin + 5.5, 2 * begin + 0.25 * other, 1.0000001 * begin]))
    assert found == {
        "x2": parse("x0 + 5.5"), "x3": parse("2*x0 + 0.25*x1"), "x4": parse("1.0000001*x0"),
    }  # fmt: skip


def test_a_law_of_a_small_difference_of_large_inputs_is_found():
    begin, end, _ = times(1)
    found = kw.discover(np.c_[begin, end], (end - begin) ** 2, progress=False)
    assert not found.dependent and found.formula.r2 > 1 - 1e-9


@pytest.mark.parametrize(("rounding", "taken"), [(0.0, True), (1e-5, False)])
def test_a_dependent_column_is_written_only_where_the_values_stay_the_same(rounding, taken):
    rng = np.random.default_rng(0)
    a, b = rng.uniform(1, 3, (2, 200))
    data = kw.Dataset.from_arrays(np.c_[a, b, a + b], a * b, names=["a", "b", "c"], seed=0)
    # the factor multiplies what the column and its combination differ by
    wrong = {"c": parse("a + b") + rounding}
    assert shortest_of(parse("sin(a + b)"), {"c": parse("a + b")}, data) == parse("sin(c)")
    assert (shortest_of(parse("sin(1000*(a + b)) + b"), wrong, data).has(symbol("c"))) is taken


def test_a_rewritten_formula_satisfies_the_constraints():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(1, 3, (2, 200))
    data = kw.Dataset.from_arrays(np.c_[a, b, a + b], a * b, names=["a", "b", "c"], seed=0)
    linear = Constraints.of(None, None, ["c"], data.input_names)
    allowed = partial(linear.allows, sample=sample_of(data))
    for text, shortest in {"(a + b)**2": "(a + b)**2", "sin(a)*(a + b)": "c*sin(a)"}.items():
        assert shortest_of(parse(text), {"c": parse("a + b")}, data, False, allowed) == parse(shortest)


def test_a_linear_input_is_not_taken_out_of_the_search():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(1, 3, (2, 300))
    X = np.c_[a, b, a + b]
    found = kw.discover(X, np.sin(3 * a) * (a + b), names=["a", "b", "c"], linear=["c"], progress=False)
    assert found.dependent == {"b": "-a + c"} and found.formula.expression == parse("c*sin(3*a)")
    for entry in kw.discover(X, (a + b) ** 2, names=["a", "b", "c"], linear=["c"], progress=False).front:
        assert entry.expression.diff(symbol("c"), 2).expand() == 0


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
    assert {name for name, share in found.importance.items() if share} == {str(x) for x in parse(law).free_symbols}


@pytest.mark.parametrize("unit", [1e-9, 1e12])
def test_they_are_named_and_used_in_any_unit(unit):
    a, b = np.random.default_rng(2).uniform(1, 3, (2, 300))
    found = kw.discover(unit * np.c_[a, b, a + 2 * b], a * (a + 2 * b) ** 2, progress=False)
    assert found.dependent == {"x_3": "x_1 + 2*x_2"}
    assert found.formula.expression.free_symbols == parse("x_1*x_3").free_symbols
    assert found.formula.r2 == pytest.approx(1, abs=1e-12)
