"""Tables of few rows: none is kept aside, and no more is claimed than the rows can tell."""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import knotwork as kw
from knotwork.cli import main
from knotwork.discovery.few_rows import most_constants
from knotwork.discovery.table import table
from knotwork.expressions import parse, to_numpy
from knotwork.regression import LINE, POWER_LAW

REAL = Path(__file__).parents[1] / "data" / "real"


def real(name):
    return pd.read_csv(REAL / f"{name}.csv")


@pytest.mark.parametrize("rows", [60, 99, 101, 300])
@pytest.mark.parametrize("kind", [dict, pd.DataFrame, lambda y: y["y"][:, None], lambda y: y["y"].tolist()])
def test_the_kind_of_the_target_decides_nothing_about_the_split(rows, kind):
    x = np.random.default_rng(0).uniform(1, 2, (rows, 2))
    plain, other = (table(x, y, None, None, 0) for y in (x[:, 0], kind({"y": x[:, 0]})))
    assert plain.rows() == other.rows() and (other.rows()[2] > 0) == (rows >= 100)


def quietly(*arguments, **options):
    """`discover`, without the warnings of few rows and of unknown units."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", kw.KnotworkWarning)
        return kw.discover(*arguments, progress=False, **options)


def line_of(rows, seed=0, noise=0.1):
    rng = np.random.default_rng(seed)
    x = rng.uniform(1, 5, (rows, 1))
    return x, 2.345 * x[:, 0] - 6.78 + noise * rng.normal(size=rows)


# --- which rows are used ---


def test_all_of_few_rows_are_in_the_fit():
    found = quietly(*line_of(40), names=["x"])
    assert found.data.rows() == (40, 0, 0)
    slope, offset = np.polyfit(found.data.X_train[:, 0].numpy(), found.data.y_train[:, 0].numpy(), 1)
    values = {round(one.value, 6) for one in found.formula.constants}
    assert values == {round(slope, 6), round(offset, 6)}


def test_errors_of_constants_are_those_of_all_rows():
    X, y = line_of(40)
    found = quietly(X, y, names=["x"])
    _, covariance = np.polyfit(X[:, 0], y, 1, cov="unscaled")
    residuals = found.formula.predict(X) - y
    expected = np.sqrt(np.diag(covariance) * (residuals @ residuals) / (40 - 2))
    assert sorted(one.error for one in found.formula.constants) == pytest.approx(sorted(expected), rel=1e-6)


def test_test_rows_that_are_given_are_respected():
    X, y = line_of(60)
    data = kw.Dataset.from_arrays(X[:40], y[:40], X_test=X[40:], y_test=y[40:], names=["x"])
    found = quietly(data)
    assert found.data.rows() == (40, 0, 20) and found.formula.r2_rows == "test"
    assert "on the 20 test rows" in str(found)


def test_of_many_rows_some_are_kept_aside():
    found = quietly(*line_of(150), names=["x"])
    assert found.data.rows() == (96, 24, 30)


@pytest.mark.parametrize(("options", "rows"), [([], (60, 0, 0)), (["--test-size", "10"], (50, 0, 10))])
def test_the_command_keeps_no_test_rows_of_few_unless_they_are_asked_for(options, rows, tmp_path, capsys, monkeypatch):
    X, y = line_of(60)
    pd.DataFrame({"x": X[:, 0], "y": y}).to_csv(tmp_path / "line.csv", index=False)
    arguments = ["knotwork", "discover", str(tmp_path / "line.csv"), "--target", "y", "--json", *options]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert tuple(json.loads(capsys.readouterr().out)["rows"].values()) == rows


# --- what is said ---


def test_r2_is_that_of_rows_left_out_one_at_a_time():
    X, y = line_of(30)
    found = quietly(X, y, names=["x"])
    assert found.shape == LINE and found.formula.r2_rows == "left-out"
    missed, mean = [], []
    for n in range(30):
        others = np.arange(30) != n
        missed.append(np.polyval(np.polyfit(X[others, 0], y[others], 1), X[n, 0]) - y[n])
        mean.append(y[others].mean() - y[n])
    assert found.formula.r2 == pytest.approx(1 - np.square(missed).sum() / np.square(mean).sum(), rel=1e-6)
    assert found.formula.rmse == pytest.approx(np.sqrt(np.mean(np.square(missed))), rel=1e-6)
    assert f"r² = {found.formula.r2:.5f} on the 30 left-out rows" in str(found)


def test_below_ten_rows_there_is_a_warning_and_no_r2():
    X, y = line_of(9, noise=0.01)
    with pytest.warns(kw.KnotworkWarning, match="9 rows can tell few formulas apart: they have at most 2 constants"):
        found = kw.discover(X, y, names=["x"], progress=False)
    assert np.isnan(found.formula.r2) and "too few rows for r²" in str(found)
    assert len(found.formula.constants) <= 2


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_too_few_rows_for_any_formula_are_refused(rows):
    X, y = line_of(rows)
    word = "row" if rows == 1 else "rows"
    with pytest.raises(kw.KnotworkError, match=f"got {rows} {word}, but a formula with one constant needs at least 4"):
        kw.discover(X, y, progress=False)


@pytest.mark.parametrize(("rows", "most"), [(4, 1), (6, 1), (7, 2), (9, 2), (10, 3), (30, 9), (31, 10)])
def test_constants_are_fewer_than_a_third_of_the_rows(rows, most):
    assert most_constants(rows) == most and most < rows / 3 <= most + 1


@pytest.mark.parametrize("rows", [5, 8, 12])
def test_no_formula_of_the_front_has_a_third_as_many_constants_as_rows(rows):
    rng = np.random.default_rng(rows)
    X = rng.uniform(1, 5, (rows, 2))
    found = quietly(X, np.sin(3 * X[:, 0]) * X[:, 1] + 0.1 * rng.normal(size=rows))
    assert all(3 * len(entry.formula.constants) < rows for entry in found.front)


def test_ten_rows_of_fifteen_columns_of_noise_tell_nothing():
    rng = np.random.default_rng(0)
    with pytest.warns(kw.KnotworkWarning, match="better than a constant does"):
        found = kw.discover(rng.normal(size=(10, 15)), rng.normal(size=10), progress=False)
    assert not found.formula.expression.free_symbols


# --- what is found ---


def test_a_square_root_is_found_in_five_rows():
    found = quietly(np.array([[10, 20, 30, 40, 50.0]]).T, [1.4, 2.1, 2.6, 3.0, 3.3], names=["x"])
    assert found.formula.round(2).expression == parse("0.47*sqrt(x)")
    assert 0 < found.formula.constants[0].error < 0.01


def test_a_straight_line_and_a_power_law_are_always_shown():
    rng = np.random.default_rng(0)
    x = rng.uniform(0.5, 6, (40, 1))
    found = quietly(x, 3 * np.exp(-x[:, 0]) + 1 + 0.02 * rng.normal(size=40), names=["x"])
    assert {LINE, POWER_LAW} <= {entry.shape for entry in found.front}
    assert found.shape not in (LINE, POWER_LAW)


def test_the_period_of_planets_is_the_axis_to_the_power_of_one_and_a_half():
    table = real("kepler")
    found = quietly(table[["semi_major_axis [AU]"]], table[["period [yr]"]])
    assert "semi_major_axis**(3/2)" in str(found.formula)
    (free,) = [entry for entry in found.front if entry.shape == POWER_LAW]
    exponent = max(free.formula.constants, key=lambda one: one.value)
    assert exponent.value == pytest.approx(1.5, abs=2 * exponent.error) and exponent.error < 0.001


def test_the_volume_of_trees_is_girth_squared_times_height():
    table = real("trees")
    found = quietly(table.iloc[:, :2], table.iloc[:, [2]])
    assert found.formula.round(2).expression == parse("0.0021*Girth**2*Height")
    assert all(one.agree for one in found.formula.units)
    (free,) = [entry for entry in found.front if entry.shape == POWER_LAW]
    assert len(free.formula.constants) == 3


def test_the_brain_of_mammals_grows_with_the_power_of_three_quarters():
    table = real("mammals")
    found = quietly(table[["body [kg]"]], table[["brain [g]"]])
    assert "body**(3/4)" in str(found.formula) and found.settings["loss"] == "relative"
    (free,) = [entry for entry in found.front if entry.shape == POWER_LAW]
    exponent = min(free.formula.constants, key=lambda one: one.value)
    body, brain = np.log(table["body [kg]"]), np.log(table["brain [g]"])
    (expected, _), covariance = np.polyfit(body, brain, 1, cov=True)
    assert exponent.value == pytest.approx(0.75, abs=2 * exponent.error)
    assert exponent.value == pytest.approx(expected, abs=0.5 * exponent.error)
    assert exponent.error == pytest.approx(np.sqrt(covariance[0, 0]), rel=0.2)


def test_the_rate_of_an_enzyme_saturates():
    table = real("puromycin").query("state == 'treated'")
    found = quietly(table[["conc"]], table[["rate"]])
    half, most = sorted(found.formula.constants, key=lambda one: one.value)
    expected = most.value * table.conc / (half.value + table.conc)
    np.testing.assert_allclose(found.formula.predict(table[["conc"]]), expected, rtol=1e-9)
    assert (most.value, half.value) == (pytest.approx(212.68, abs=0.01), pytest.approx(0.06412, abs=1e-5))
    assert (most.error, half.error) == (pytest.approx(6.947, rel=0.01), pytest.approx(0.00828, rel=0.01))  # R's nls


@pytest.mark.parametrize(
    "law", ["2.5*x*z", "1.7*x/z", "3.2*x**2*z", "4*x/(1.5 + z)", "2.2*x + 0.7*z**2", "5.5*exp(-0.8*x)"]
)
@pytest.mark.parametrize("seed", range(2))
def test_laws_of_textbooks_are_found_in_thirty_noisy_rows(law, seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(0.5, 4, (30, 3))
    truth = to_numpy(parse(law), ["x", "z", "other"])
    y, fresh = truth(*X.T), rng.uniform(0.5, 4, (300, 3))
    found = quietly(X, y * (1 + 0.03 * rng.normal(size=30)), names=["x", "z", "other"])
    assert {str(one) for one in found.formula.expression.free_symbols} == {str(one) for one in parse(law).free_symbols}
    missed = found.formula.predict(fresh) - truth(*fresh.T)
    assert np.sqrt(np.mean(missed**2)) < 0.03 * np.sqrt(np.mean(truth(*fresh.T) ** 2))


def test_prediction_intervals_of_relative_errors_are_shares_of_the_values():
    rng = np.random.default_rng(0)
    x = 10 ** rng.uniform(0, 3, (60, 1))
    y = 2 * x[:, 0] ** 2 * np.exp(0.1 * rng.normal(size=60))
    found = quietly(x, y, names=["x"])
    mean, low, high = found.formula.predict({"x": np.array([1.0, 1000.0])}, interval=0.95)
    np.testing.assert_allclose((high - low) / mean, 4 * 0.1, rtol=0.3)
    path_read = kw.Formula.from_json(found.formula.to_json())
    np.testing.assert_allclose(path_read.predict({"x": np.array([1.0, 1000.0])}, interval=0.95).upper, high)
