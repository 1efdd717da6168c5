"""Rows that contradict the law of all others do not hide it: they are left out and named. True targets never are."""

import cmath

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.discovery.entries import built, entry_of
from knotwork.discovery.outliers import refitted_entry
from knotwork.expressions import parse, to_numpy
from knotwork.formulas.deviations import log_ratios, relative_deviations
from knotwork.regression import suspicious


def table(seed, size, noise=0.0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.5, 2, (size, 2))
    return x, x[:, 0] / x[:, 1] + noise * rng.normal(size=size)


@pytest.mark.parametrize(("size", "noise", "rows"), [(40, 0.0, [7]), (40, 0.02, [7]), (1000, 0.01, [3, 500, 900])])
@pytest.mark.parametrize("blunder", [lambda y: 1e6, lambda y: 1000 * y, lambda y: -y], ids=["1e6", "x1000", "sign"])
def test_blunders_are_named_and_the_law_is_found_without_them(size, noise, rows, blunder):
    x, y = table(size, size, noise)
    clean = y.copy()
    for row in rows:
        y[row] = blunder(y[row])
    found = kw.discover(x, y, names=["u", "r"], progress=False)
    factor = float(found.formula.expression / parse("u/r"))  # of few rows with noise, it stays as it was fitted
    assert factor == (pytest.approx(1, abs=noise) if size == 40 and noise else 1)
    assert [one.row for one in found.outliers] == rows
    assert [one.value for one in found.outliers] == pytest.approx(y[rows])
    assert [one.predicted for one in found.outliers] == pytest.approx(clean[rows], abs=5 * noise + 1e-9)
    assert found.formula.r2 > 0.99
    assert sum(found.data.rows()) == size - len(rows)
    assert f"row {rows[0]} (" in str(found) and "left out" in repr(found)


@pytest.mark.parametrize("blunder", [lambda y: 1e6 * y, lambda y: 1e-6 * y, lambda y: -1e6 * y])
def test_slips_are_named_behind_wide_relative_noise(blunder):
    """Relative deviations have the limit √2, which such noise comes close to; ratios have none."""
    rng = np.random.default_rng(4)
    x = 10 ** rng.uniform(0, 3, (300, 2))
    y = 2.5 * x[:, 0] ** 2 * x[:, 1] * np.exp(0.3 * rng.normal(size=300))
    data = kw.Dataset.from_arrays(x, y, names=["u", "r"], seed=0)
    row = int(data.row_numbers[0][0])
    y[row] = blunder(y[row])
    found = kw.discover(x, y, names=["u", "r"], loss="relative", progress=False)
    assert [one.row for one in found.outliers] == [row]


def test_small_log_ratios_are_relative_deviations_and_large_ones_have_no_limit():
    y = torch.tensor([-2.0, 3.0, 5.0], dtype=torch.float64)
    near = y * torch.tensor([1.001, 0.998, 1.0], dtype=torch.float64)
    assert log_ratios(near, y).numpy() == pytest.approx(relative_deviations(near, y).abs().numpy(), rel=1e-5)
    logarithms = [abs(cmath.log(factor)) for factor in (1e9, -1.0, -1e-9)]
    assert log_ratios(y * torch.tensor([1e9, -1.0, -1e-9]), y).numpy() == pytest.approx(logarithms)
    assert log_ratios(y, torch.zeros(3, dtype=torch.float64)).isnan().all()


def test_formulas_fitted_again_measure_their_errors_as_the_fit_does():
    rng = np.random.default_rng(0)
    x = 10 ** rng.uniform(0, 3, (300, 2))
    y = 2.5 * x[:, 0] * x[:, 1] * np.exp(0.1 * rng.normal(size=300))
    data = kw.Dataset.from_arrays(x, y, names=["u", "r"], seed=0)
    symbolic, spline, formula = built(parse("2.4*u*r"), data, True)
    entry = entry_of(formula, symbolic, spline, "", data, True)
    again = refitted_entry(entry, data, True)
    assert again.formula.uncertainty[0].relative
    constant = again.formula.constants[0]
    assert constant.error / constant.value == pytest.approx(0.1 / len(data.X_train) ** 0.5, rel=0.15)


def test_the_report_and_the_file_name_the_rows(tmp_path):
    x, y = table(0, 60)
    y[11] = 1e6
    found = kw.discover(x, y, names=["u", "r"], progress=False)
    assert "row 11 (1e+06" in found.report(tmp_path / "report.html").read_text()
    found.save(tmp_path / "law.json")
    assert kw.Discovery.load(tmp_path / "law.json").outliers == found.outliers


def test_outliers_are_kept_on_request():
    x, y = table(0, 60)
    y[11] += 5
    found = kw.discover(x, y, keep_outliers=True, time_budget=0, progress=False)
    assert found.outliers == () and sum(found.data.rows()) == 60


def test_a_blunder_among_test_rows_does_not_count_for_r2():
    x, y = table(0, 200)
    test = kw.Dataset.from_arrays(x, y, seed=0).row_numbers[2][0]
    y[test] = -1e6
    found = kw.discover(x, y, progress=False)
    assert [one.row for one in found.outliers] == [int(test)] and found.formula.r2 == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "draw"),
    [
        ("x*y", lambda r: r.standard_cauchy((300, 2))),
        ("x**2 + y", lambda r: r.standard_cauchy((300, 2))),
        ("1/(x - 1)", lambda r: r.uniform(-2, 4, (400, 2))),
        ("x*y/(x - 1)", lambda r: 10 ** r.uniform(-2, 2, (400, 2))),
        ("exp(x) + y", lambda r: r.exponential(2.0, (300, 2))),
        ("x**3*y**2", lambda r: 10 ** r.uniform(-3, 3, (300, 2))),
    ],
)
def test_heavy_tailed_targets_of_a_law_are_not_cut(text, draw):
    rng = np.random.default_rng(1)
    x = draw(rng)
    y = to_numpy(parse(text), ["x", "y"])(*x.T)
    found = kw.discover(x, y, names=["x", "y"], progress=False)
    assert found.formula.expression == parse(text) and found.outliers == ()
    assert sum(found.data.rows()) == len(x)


def test_a_narrow_peak_is_not_cut():
    rng = np.random.default_rng(2)
    x = rng.uniform(-1, 1, (1000, 1))
    y = 0.5 * x[:, 0] + np.exp(-((x[:, 0] - 0.3) ** 2) / 2e-4)
    found = kw.discover(x, y, time_budget=4, progress=False)
    assert found.outliers == ()


def test_normal_noise_holds_no_outliers():
    found = 0
    for seed in range(8):
        x, y = table(seed, 40, noise=0.3)
        found += len(kw.discover(x, y, time_budget=0, progress=False).outliers)
    assert found == 0


def test_rows_at_first_sight_suspicious_are_few_and_far_off():
    rng = np.random.default_rng(0)
    x = torch.as_tensor(rng.uniform(-2, 2, (400, 2)))
    y = torch.sin(x[:, 0]) + x[:, 1] ** 2
    assert not suspicious(list(x.T), y).any()
    assert not suspicious(list(x.T), torch.as_tensor(rng.standard_t(3, 400))).any()
    y[[5, 17]] = 1e3
    assert suspicious(list(x.T), y).nonzero().flatten().tolist() == [5, 17]
    y[50:100] = 1e3  # an eighth of the rows is no slip
    assert not suspicious(list(x.T), y).any()
