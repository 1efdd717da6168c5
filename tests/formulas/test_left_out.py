"""Values of rows from constants that were fitted to the other rows."""

import numpy as np
import pytest
import torch

from knotwork.expressions import algebra, symbol
from knotwork.formulas.constants import Constants, Sample, fitted
from knotwork.formulas.deviations import relative_deviations
from knotwork.formulas.left_out import distinct_rows, left_out


def column(values):
    return torch.as_tensor(np.asarray(values, dtype=float))


def line(sample):
    constants = Constants()
    return fitted(constants.template(constants(1.0) + constants(1.0) * symbol("x")), sample)


def power(sample):
    constants = Constants()
    return fitted(constants.template(constants(1.0) * symbol("x") ** constants(1.0)), sample)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rows", [5, 12, 31])
def test_a_straight_line_predicts_rows_that_numpy_left_out(seed, rows):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 3, rows)
    y = 2 * x - 1 + 0.3 * rng.normal(size=rows)
    sample = Sample({"x": column(x)}, column(y))
    expected = [np.polyval(np.polyfit(np.delete(x, n), np.delete(y, n), 1), x[n]) for n in range(rows)]
    np.testing.assert_allclose(left_out(line(sample), sample), expected, rtol=1e-6, atol=1e-8)


def test_copies_of_a_row_are_left_out_together():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 3, 9)
    y = 2 * x - 1 + 0.3 * rng.normal(size=9)
    some = np.r_[np.arange(9), 2, 5, 5]
    sample = Sample({"x": column(x[some])}, column(y[some]))
    found = left_out(line(sample), sample)
    for n in range(9):
        others = some[some != n]
        expected = np.polyval(np.polyfit(x[others], y[others], 1), x[n])
        np.testing.assert_allclose(found[some == n], expected, rtol=1e-6)
    assert distinct_rows(sample) == 9


@pytest.mark.parametrize("relative", [False, True])
def test_a_power_law_predicts_rows_nearly_as_a_fit_without_them(relative):
    """To first order in the change of the constants: with 20 rows the second order is a hundredth of an error."""
    rng = np.random.default_rng(1)
    x = rng.uniform(1, 9, 20)
    y = 3 * x**1.5 * np.exp(0.1 * rng.normal(size=20))
    sample = Sample({"x": column(x)}, column(y), relative)
    found = left_out(power(sample), sample)
    for n in range(20):
        keep = np.arange(20) != n
        fit = power(Sample({"x": column(x[keep])}, column(y[keep]), relative))
        scale, exponent = fit.values.values()
        shift = abs(scale * x[n] ** exponent - float(found[n]))
        assert shift < 0.02 * abs(y[n] - float(found[n])) + 0.002 * y[n]


def test_a_row_that_alone_determines_a_constant_has_no_value():
    x = column([0, 0, 0, 0, 1])
    sample = Sample({"x": x}, column([1, 2, 1, 2, 5]))
    found = left_out(line(sample), sample)
    assert found[4] == torch.inf and bool(found[:4].isfinite().all())
    assert not bool(relative_deviations(found, sample.y)[:4].isnan().any())


def test_a_formula_without_constants_has_its_own_values():
    sample = Sample({"x": column([1, 2, 3])}, column([1, 4, 10]))
    found = left_out(Constants().template(symbol("x") ** algebra.Integer(2)), sample)
    np.testing.assert_allclose(found, [1, 4, 9])
