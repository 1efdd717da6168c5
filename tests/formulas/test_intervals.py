"""Intervals have their stated probability, covariances are those of SciPy, undetermined values have infinite errors."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import curve_fit

import knotwork as kw
from knotwork.expressions import parametrise, parse
from knotwork.formulas import Formula, measured
from knotwork.formulas.constants import Sample, Template, fitted
from knotwork.formulas.uncertainty import Uncertainty, constants_of
from knotwork.symbolic import from_expression


def best(text, sample):
    """The expression with the decimal numbers that minimise the squared error of the rows."""
    general, symbols, values = parametrise(parse(text))
    return fitted(Template(general, dict(zip(symbols, values, strict=True))), sample).filled()


def formula_of(text, columns, y):
    """A formula with its constants fitted, without a network."""
    sample = Sample({n: torch.as_tensor(v) for n, v in columns.items()}, torch.as_tensor(y))
    expression = best(text, sample)
    known = (Uncertainty.of(expression, sample),)
    constants = constants_of(known, tuple(columns))
    return Formula((expression,), tuple(columns), ("y",), 0.0, 1.0, 0.0, constants=constants, uncertainty=known)


def noisy(rows=30, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 2, rows)
    return x, 1.7 * np.exp(-2.3 * x) + 0.45 + 0.05 * rng.normal(size=rows)


TEXT = "1.7*exp(-2.3*x) + 0.45"


def test_the_covariance_is_that_of_scipy():
    x, y = noisy()
    formula = formula_of(TEXT, {"x": x}, y)

    def curve(x, b, c, a):
        return a * np.exp(b * x) + c

    def slopes(x, b, c, a):
        return np.stack([a * x * np.exp(b * x), np.ones_like(x), np.exp(b * x)], 1)

    values, expected = curve_fit(curve, x, y, p0=(-2.3, 0.45, 1.7), jac=slopes, xtol=1e-15, ftol=1e-15, gtol=1e-15)
    np.testing.assert_allclose([one.value for one in formula.constants], values, rtol=1e-7)
    np.testing.assert_allclose(formula.covariance, expected, rtol=1e-6)
    deviations = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(formula.correlations, expected / np.outer(deviations, deviations), rtol=1e-6)


def test_intervals_are_those_of_linear_regression():
    rng = np.random.default_rng(0)
    x, new = rng.uniform(1, 2, 15), np.linspace(0, 3, 7)
    y = 1.7 * x + 0.45 + 0.1 * rng.normal(size=15)
    formula = formula_of("1.7*x + 0.45", {"x": x}, y)
    design, at = np.stack([x, np.ones(15)], 1), np.stack([new, np.ones(7)], 1)
    values, (residuals,), _, _ = np.linalg.lstsq(design, y)
    variance = np.einsum("ni,ij,nj->n", at, np.linalg.inv(design.T @ design), at)
    t = 2.160368656461  # Student's t of 13 degrees of freedom, 97.5 % (tables)
    for kind, extra in (("confidence", 0.0), ("prediction", 1.0)):
        mean, lower, upper = formula.predict(new[:, None], interval=0.95, kind=kind)
        half = t * np.sqrt(residuals / 13 * (variance + extra))
        np.testing.assert_allclose(mean, at @ values, rtol=1e-9)
        np.testing.assert_allclose(upper - mean, half, rtol=1e-9)
        np.testing.assert_allclose(mean - lower, half, rtol=1e-9)


def test_intervals_contain_new_observations_and_true_means_with_their_stated_probability():
    fresh, true, total = 0, 0, 0
    for seed in range(400):
        x, y = noisy(rows=12, seed=seed)  # few rows, so that Student's t differs from the normal distribution
        formula = formula_of(TEXT, {"x": x}, y)
        rng = np.random.default_rng(10_000 + seed)
        new = rng.uniform(0, 2, 10)
        truth = 1.7 * np.exp(-2.3 * new) + 0.45
        observed = truth + 0.05 * rng.normal(size=10)
        _, lower, upper = formula.predict(new[:, None], interval=0.95)
        fresh += int(((lower <= observed) & (observed <= upper)).sum())
        _, lower, upper = formula.predict(new[:, None], interval=0.95, kind="confidence")
        true += int(((lower <= truth) & (truth <= upper)).sum())
        total += 10
    assert 0.93 <= fresh / total <= 0.97
    assert 0.93 <= true / total <= 0.97


def test_intervals_of_rows_without_noise_have_width_zero():
    data = kw.sample("1.7*exp(sin(2.3*x) + 0.8*y**2)", x=(-1, 1), y=(-1, 1), size=300, seed=0)
    formula = kw.discover(data, seed=0).formula
    mean, lower, upper = formula.predict(data.X_test.numpy(), interval=0.95)
    np.testing.assert_allclose(mean, data.y_test[:, 0].numpy(), rtol=1e-9)
    assert (upper - lower).max() < 1e-9


def test_only_values_that_depend_on_undetermined_constants_have_infinite_intervals():
    rng = np.random.default_rng(0)
    x = rng.uniform(1, 3, 60)
    formula = formula_of("1.3*log(0.5*x) + 0.7", {"x": x}, np.sin(x) + 0.01 * rng.normal(size=60))
    open_ = np.isinf(np.diag(formula.covariance))
    assert open_.sum() == 2  # the rows determine only the sum of the logarithm's factor and the constant
    assert np.isnan(formula.correlations[open_]).all()
    assert np.isfinite(formula.correlations[~open_][:, ~open_]).all()
    _, lower, upper = formula.predict(x[:, None], interval=0.95)
    assert np.isfinite(upper - lower).all()

    formula = formula_of("1.3*x + 0.7*z", {"x": x, "z": 0 * x}, x)
    width = np.diff(formula.predict([[1.0, 0.0], [1.0, 1.0]], interval=0.95, kind="confidence")[1:], axis=0)[0]
    assert np.isfinite(width[0])
    assert np.isinf(width[1])


def test_intervals_are_infinite_for_as_many_constants_as_rows():
    formula = formula_of("1.7*x + 0.4", {"x": np.array([1.0, 2.0])}, np.array([1.0, 3.0]))
    _, lower, upper = formula.predict([[1.5]], interval=0.9)
    assert (lower, upper) == (-np.inf, np.inf)
    assert np.isinf(np.diag(formula.covariance)).all()


@pytest.fixture(scope="module")
def pendulums():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"mass [kg]": rng.uniform(0.1, 1, 200), "length [m]": rng.uniform(0.1, 2, 200)})
    period = pd.Series(2.006 * np.sqrt(frame["length [m]"]) + 0.01 * rng.normal(size=200), name="period [s]")
    return frame, kw.discover(frame, period, seed=0).formula


def test_columns_can_be_given_by_position_or_by_name(pendulums):
    frame, formula = pendulums
    expected = formula.predict(frame.to_numpy())
    assert formula.variables == ("mass", "length")
    np.testing.assert_array_equal(formula.predict(frame), expected)
    np.testing.assert_array_equal(formula.predict(frame[frame.columns[::-1]]), expected)
    np.testing.assert_array_equal(formula.predict(frame[["length [m]"]]), expected)  # the formula does not use the mass
    np.testing.assert_array_equal(formula.predict({"length": list(frame["length [m]"])}), expected)
    np.testing.assert_array_equal(formula.predict(torch.tensor(frame.to_numpy())), expected)
    assert formula.predict(frame, interval=0.5).mean.shape == (200,)


def test_wrong_columns_and_probabilities_are_refused(pendulums):
    _, formula = pendulums
    with pytest.raises(kw.KnotworkError, match="did you mean 'lenght'"):
        formula.predict({"lenght": [1.0]})
    with pytest.raises(kw.KnotworkError, match=r"X has 3 columns, but the formula takes 2: 'mass', 'length'"):
        formula.predict(np.ones((4, 3)))
    with pytest.raises(kw.KnotworkError, match="have 1 and 2 rows"):
        formula.predict({"mass": [1.0], "length": [1.0, 2.0]})
    with pytest.raises(kw.KnotworkError, match="missing"):
        formula.predict({"length": [1.0, np.nan]})
    for interval in (95, 0, 1.0, True, "wide"):
        with pytest.raises(kw.KnotworkError, match="is no probability"):
            formula.predict([[1.0, 1.0]], interval=interval)
    with pytest.raises(kw.KnotworkError, match="'confidence' for the mean"):
        formula.predict([[1.0, 1.0]], interval=0.9, kind="both")
    bare = Formula((parse("2*x"),), ("x",), ("y",), 0.0, 1.0, 0.0)
    with pytest.raises(kw.KnotworkError, match="was measured on no data"):
        bare.predict([[1.0]], interval=0.9)
    assert bare.predict([[1.0]]) == [2.0]


def test_a_pickled_formula_has_the_same_intervals_and_a_rounded_one_wider_ones(pendulums):
    frame, formula = pendulums
    exact, lower, upper = formula.predict(frame, interval=0.95)
    mean, low, high = formula.round(2).predict(frame, interval=0.95)
    np.testing.assert_allclose(high - low, upper - lower + 2 * np.abs(mean - exact), rtol=1e-9)
    np.testing.assert_allclose(mean, formula.round(2).predict(frame), rtol=1e-15)
    again = pickle.loads(pickle.dumps(formula))
    np.testing.assert_array_equal(again.predict(frame, interval=0.95).upper, upper)
    np.testing.assert_array_equal(again.covariance, formula.covariance)


@pytest.mark.parametrize("options", [{"scale": "standard"}, {"dtype": torch.float32}])
def test_scaled_and_single_precision_rows_give_the_same_errors(options):
    x, y = noisy(200)
    errors = []
    for more in ({}, options):
        data = kw.Dataset.from_arrays(x[:, None], y, test_size=0.0, names=["x"], **more)
        rows = data.X_train if data.scaling is None else data.scaling.undo(data.X_train)
        expression = best(TEXT, Sample({"x": rows[:, 0].double()}, data.y_train[:, 0].double()))
        network = from_expression(kw.KAN, expression, ["x"], data)
        errors.append([one.error for one in measured((expression,), network, data).constants])
    np.testing.assert_allclose(errors[0], errors[1], rtol=1e-5)


def test_the_covariance_of_several_outputs_has_a_block_for_each():
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, 100)
    targets = np.stack([1.7 * x + 0.1 * rng.normal(size=100), 0.3 * x**2 + 0.2 + rng.normal(size=100)], 1)
    data = kw.Dataset.from_arrays(x[:, None], targets, test_size=0.0, names=["x"])
    expressions = tuple(
        best(text, Sample({"x": data.X_train[:, 0]}, data.y_train[:, n]))
        for n, text in enumerate(["1.7*x", "0.3*x**2 + 0.2"])
    )
    formula = measured(expressions, from_expression(kw.KAN, expressions, ["x"], data), data)
    assert formula.covariance.shape == (3, 3)
    assert not formula.covariance[0, 1:].any()
    assert formula.covariance[1, 2] < 0
    assert [one.symbol for one in formula.constants] == ["c_1", "c_2", "c_3"]
    np.testing.assert_allclose(
        [one.error for one in formula.constants], np.sqrt(np.diag(formula.covariance)), rtol=1e-12
    )
    mean, lower, upper = formula.predict([[0.2], [0.5]], interval=0.95)
    assert mean.shape == (2, 2)
    # the noise of the second target is ten times as large
    assert ((upper - lower)[:, 1] > 5 * (upper - lower)[:, 0]).all()
