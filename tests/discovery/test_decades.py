"""Targets and inputs that run over decades, and formulas that are worse than the mean."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.discovery.choice import choice, exact
from knotwork.discovery.entries import built, constant_entry, description_length, entry_of
from knotwork.errors import DataError, TrainingError
from knotwork.expressions import complexity, parse, symbol, to_numpy
from knotwork.formulas import simplest
from knotwork.formulas.constants import Constants, Sample, fitted
from knotwork.formulas.deviations import relative_deviations


def log_uniform(seed, decades, low=0.0, rows=1000):
    return 10 ** (low + np.random.default_rng(seed).uniform(0, 1, (rows, len(decades))) * decades)


@pytest.mark.parametrize(
    ("law", "decades", "low"),
    [
        ("x_1*x_2/x_3**2", (8, 5, 5), 0),
        ("6.674e-11*x_1*x_2/x_3**2", (6, 5, 4), 3),
        ("x_1*(x_2**2 + x_3**2)", (6, 3, 3), 0),
        ("-sqrt(x_1)*x_2**3", (6, 4), -2),
    ],
)
@pytest.mark.parametrize("seed", range(2))
def test_a_law_over_decades_is_found_by_relative_errors(seed, law, decades, low):
    X = log_uniform(seed, decades, low)
    names = [f"x_{n + 1}" for n in range(len(decades))]
    truth = parse(law)
    y = to_numpy(truth, names)(*X.T)
    found = kw.discover(X, y, progress=False)
    assert found.settings["loss"] == "relative" and "shares of the target" in str(found)
    fresh = log_uniform(100 + seed, decades, low)
    values = to_numpy(found.formula.expression, names)(*fresh.T)
    exact = to_numpy(truth, names)(*fresh.T)
    assert np.abs(values / exact - 1).max() < 1e-9
    assert found.formula.complexity <= complexity(truth)


def test_relative_errors_find_the_law_of_small_targets_in_relative_noise():
    rng = np.random.default_rng(3)
    X = rng.uniform(0, 10, (600, 1))
    y = np.exp(-2 * X[:, 0]) * (1 + 0.01 * rng.normal(size=600))
    found = kw.discover(X, y, names=["t"], loss="relative", progress=False)
    values = found.formula.numpy()(np.linspace(0, 10, 50))
    assert np.abs(values / np.exp(-2 * np.linspace(0, 10, 50)) - 1).max() < 0.01


@pytest.mark.parametrize("spread", [0.1, 0.3])
@pytest.mark.parametrize("seed", range(2))
def test_relative_noise_shifts_no_constant(seed, spread):
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(1, 3, (2, 600))
    y = 3 * a**2 * b * np.exp(spread * rng.normal(size=600))
    found = kw.discover(np.c_[a, b], y, names=["a", "b"], loss="relative", progress=False)
    shift = np.log(found.formula.numpy()(a, b) / (3 * a**2 * b))
    assert abs(shift.mean()) < 4 * spread / np.sqrt(600)  # four standard errors of a factor


def test_relative_deviations_are_odd_in_the_ratio_and_have_the_slopes_of_logarithms():
    ratio = torch.logspace(-8, 8, 101, dtype=torch.float64)
    y = torch.tensor(-3.0, dtype=torch.float64)
    torch.testing.assert_close(relative_deviations(ratio * y, y), -relative_deviations(y / ratio, y))
    small = torch.linspace(-0.01, 0.01, 11, dtype=torch.float64)
    torch.testing.assert_close(relative_deviations(y * small.exp(), y), small, rtol=1e-4, atol=0)
    assert relative_deviations(-y, y) == -2


def test_constants_of_relative_errors_have_the_slopes_and_errors_of_repeated_tables():
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.uniform(1, 3, 200))
    found = []
    for _ in range(200):
        y = 3 * x**2 * torch.tensor(np.exp(0.3 * rng.normal(size=200)))
        constants = Constants()
        template = constants.template(constants(50.0) * symbol("x") ** constants(1.0))
        fit = fitted(template, Sample({"x": x}, y, True))
        found.append([*fit.values.values(), *fit.errors().values()])
    values, errors = np.split(np.array(found), 2, axis=1)
    assert np.abs(values.mean(0) - [3, 2]).max() < 4 * (values.std(0) / np.sqrt(200)).max()
    np.testing.assert_allclose(errors.mean(0), values.std(0), rtol=0.2)  # four standard errors of a deviation


@pytest.mark.parametrize("decades", [5, 7])
def test_small_terms_that_matter_for_small_targets_stay(decades):
    X = log_uniform(0, (decades, decades), -3)
    found = kw.discover(X, X[:, 0] ** 4 + 3 * X[:, 1], progress=False)
    fresh = log_uniform(1, (decades, decades), -3)
    values = found.formula.numpy()(*fresh.T)
    assert np.abs(values / (fresh[:, 0] ** 4 + 3 * fresh[:, 1]) - 1).max() < 1e-9


def test_a_formula_that_is_wrong_for_small_targets_is_not_exact():
    x = log_uniform(0, (7,), -3)
    data = kw.Dataset.from_arrays(x, x[:, 0] ** 4 + 3 * x[:, 0], names=["x"], seed=0)
    assert simplest(parse("x**4 + 3*x"), data, True) == parse("x**4 + 3*x")
    for text, relative in {"x**4": False, "x**4 + 3*x": True}.items():
        symbolic, spline, formula = built(parse(text), data)
        entry = entry_of(formula, symbolic, spline, "", data, True)
        assert exact(entry, data) and exact(entry, data, relative=True) is relative


@pytest.mark.parametrize(
    ("y", "chosen"),
    [
        (lambda x: x, "mse"),  # zero to one: less than four decades without the smallest
        (lambda x: 10 ** (5 * x), "relative"),
        (lambda x: -(10 ** (5 * x)), "relative"),
        (lambda x: 10 ** (5 * x) - 2, "mse"),  # both signs
    ],
)
def test_the_search_chooses_relative_errors_for_targets_over_decades(y, chosen):
    x = np.random.default_rng(0).uniform(0.001, 1, (200, 1))
    assert kw.discover(x, y(x[:, 0]), time_budget=0, progress=False).settings["loss"] == chosen


def test_relative_errors_of_zeros_and_unknown_losses_are_refused():
    x = np.linspace(0, 1, 50)[:, None]
    with pytest.raises(DataError, match=r"loss='relative' divides errors by the target, but 1 values of y are 0"):
        kw.discover(x, x[:, 0], loss="relative")
    with pytest.raises(TrainingError, match=r"loss='cauchy' is not possible: give one of 'auto', .*, 'huber'"):
        kw.discover(x, x[:, 0], loss="cauchy")


def test_a_formula_that_is_worse_than_the_mean_on_validation_rows_is_never_chosen():
    x = np.random.default_rng(0).uniform(-1, 1, 200)
    rows = kw.Dataset.from_arrays(x[:, None], x, names=["x"], seed=0)
    data = replace(rows, y_val=-rows.y_val)
    constant = constant_entry(data, False)
    symbolic, spline, formula = built(parse("x"), data)
    entry = replace(entry_of(formula, symbolic, spline, "", data, False), bits=-1e9)
    assert choice(constant, [entry], data) is constant
    good = replace(constant, bits=-1e6)
    assert choice(constant, [entry, good], data) is good
    assert choice(constant, [entry, replace(good, error=float("nan"))], data) is constant


def _entry(text, data):
    symbolic, spline, formula = built(parse(text), data)
    return entry_of(formula, symbolic, spline, "", data, False)


def test_a_decimal_counts_as_two_symbols_and_never_makes_room_for_the_constant():
    x = np.random.default_rng(0).uniform(-1, 1, 250)
    data = kw.Dataset.from_arrays(x[:, None], 1.7 * x, names=["x"], test_size=0, seed=0)
    constant = replace(constant_entry(data, False), bits=90.0)
    decimal, simple = (_entry(one, data) for one in ("1.7*x", "2*x"))
    bits = [description_length(one.formula, 0.1, 250, 1.0) for one in (decimal, simple)]
    assert decimal.complexity == simple.complexity and bits[0] - bits[1] == pytest.approx(math.log2(250))
    decimal, simple = replace(decimal, bits=100.0, error=0.0), replace(simple, bits=96.0, error=0.0)
    assert choice(constant, [decimal], data) is decimal
    assert choice(constant, [decimal, simple], data) is simple


@pytest.mark.parametrize("law", ["1.25*x*y", "x**3*y**4"])
def test_test_rows_are_only_reported(law):
    """Whatever their targets are, loss, formula and front are the same; a remark says that the formula fails there."""
    X = 10 ** np.random.default_rng(0).uniform(0, 1, (300, 2))
    data = kw.Dataset.from_arrays(X, to_numpy(parse(law), ["x", "y"])(*X.T), names=["x", "y"], seed=0)
    plain, other = (
        kw.discover(rows, progress=False) for rows in (data, replace(data, y_test=-data.y_test + (data.y_test > 5)))
    )
    assert plain.settings == other.settings and plain.settings["loss"] == ("relative" if "**" in law else "mse")
    assert plain.formula.expression == other.formula.expression
    assert [(one.expression, one.error) for one in plain.front] == [(one.expression, one.error) for one in other.front]
    title = "Worse than their mean on the test rows"
    assert title not in plain.remarks and plain.formula.r2 > 0.99
    assert other.formula.r2 < 0 and other.remarks[title].startswith(f"r² = {other.formula.r2:.3g}")


@pytest.mark.parametrize("loss", ["mse", "relative"])
def test_errors_of_the_front_of_a_running_search_are_those_on_the_validation_rows(loss):
    rng = np.random.default_rng(1)
    X = 10 ** rng.uniform(-2, 1, (300, 2))
    y = (X[:, 0] ** 2 + 3 * X[:, 1]) * (1 + 0.05 * rng.normal(size=300))
    data = kw.Dataset.from_arrays(X, y, names=["x", "y"], seed=0)
    fronts = []
    kw.discover(data, loss=loss, progress=False, time_budget=10, callback=lambda event: fronts.append(event.front))
    entries = {entry for front in fronts for entry in front}
    assert len(entries) > 1  # the mean is one of them
    for entry in entries:
        values = to_numpy(entry.expression, ["x", "y"])(*data.X_val.numpy().T)
        assert entry.error == pytest.approx(np.sqrt(np.mean((values - data.y_val[:, 0].numpy()) ** 2)), rel=1e-6)
