"""A form respects what every search respects: limits, bounds, outliers, losses, units, time."""

import time

import numpy as np
import pytest

import knotwork as kw
from knotwork.errors import DataError, KnotworkWarning, SpecError, TrainingError
from knotwork.solvers import StopReason

NAMES = ["x", "y"]


def rows(law, noise=0.0, seed=0, count=200, low=0.5, high=3.0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(low, high, (count, 2))
    y = law(*x.T)
    return x, y + noise * np.sqrt(np.mean(y**2)) * rng.normal(size=count)


def constants(found):
    return {one.symbol: one.value for one in found.formula.constants}


def saturation(x, y):
    return 4 * x / (0.8 + x) + 0.5 * y


def waves(x, y):
    return 3 * np.sin(2 * x) + np.exp(-y)


def find(law, form, noise=0.0, seed=0, count=200, **options):
    x, y = rows(law, noise, seed, count)
    return kw.discover(x, y, names=NAMES, form=form, progress=False, seed=seed, **options)


# --- bounds ---


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_bounds_that_the_law_respects_choose_among_equal_fits(seed):
    found = find(lambda x, y: 3 * np.sin(2 * x) + y, "A*sin(w*x) + c*y", seed=seed, constant_range=(0, None))
    assert constants(found) == pytest.approx({"A": 3, "w": 2, "c": 1}) and not found.unmet


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_a_constant_that_would_leave_its_range_is_held_at_its_end_and_said(noise):
    found = find(saturation, "V*x/(K + x) + c*y", noise, constant_range=(0.9, 10))
    assert found.unknowns["c"] == "c = 0.9, an end of its range" and not found.unmet
    x, y = rows(saturation, noise)
    rest = kw.discover(x, y, names=NAMES, form="V*x/(K + x) + 0.9*y", progress=False, constant_range=(0.9, 10))
    assert constants(found) == pytest.approx(constants(rest), rel=1e-6)
    assert all(0.9 <= value <= 10 for value in constants(found).values())


def test_numbers_in_the_text_of_a_form_are_not_those_of_the_range():
    found = find(lambda x, y: 8.314 * x + 2 * y, "8.314*x + c*y", constant_range=(1, 3))
    assert constants(found) == pytest.approx({"c": 2}) and not found.unmet


def test_exponents_have_a_range_of_their_own():
    found = find(lambda x, y: 20 * x**1.5 + y, "a*x**p + y", exponent_range=(0, 1), constant_range=(0, None))
    assert found.unknowns["p"] == "p = 1, an end of its range"
    assert constants(found)["a"] > 20


def test_bounds_hold_beside_unknown_curves():
    found = find(lambda x, y: np.exp(-0.7 * x) * np.cos(y), "exp(-k*x)*f(y)", 0.01, constant_range=(-5, 0.5))
    assert found.unknowns["k"] == "k = 0.5, an end of its range"
    assert "exp(-x/2)" in str(found.formula)


def test_the_scale_that_is_chosen_for_a_curve_keeps_the_range_of_its_factor():
    """With a root mean square of 1 of the curve, its factor would be 3.4."""
    law = lambda x, y: 5 * np.sin(2 * x) + 2 * y  # noqa: E731
    free, bounded = (find(law, "a*f(x) + b*y", 0.01, lib=["x"], constant_range=one) for one in (None, (-2.5, 2.5)))
    assert abs(constants(free)["a"]) > 3
    assert bounded.unknowns["a"].endswith("2.5, an end of its range") and not bounded.unmet
    assert bounded.formula.rmse == pytest.approx(free.formula.rmse, rel=0.1)


def test_bounds_hold_in_names_of_curves():
    law = lambda x, y: 7 * np.exp(-1.7 * x) + y  # noqa: E731
    assert "7" in str(find(law, "f(x) + y").formula)
    found = find(law, "f(x) + y", constant_range=(-2, 2))
    assert "stays a spline" in found.unknowns["f"] or not found.unmet


@pytest.mark.parametrize(
    ("exponent", "limits", "end"), [("2*c", (0, 2), 1.0), ("-c", (0, 3), 0.0), ("1 - c", (0, 2), -1.0)]
)
def test_the_range_of_exponents_is_that_of_what_stands_in_the_exponent(exponent, limits, end):
    """The law has the exponent 3, or -1.5; that of the formula is the nearest one of the range."""
    power = -1.5 if exponent == "-c" else 3.0
    found = find(lambda x, y: x**power * y, f"a*x**({exponent})*y", exponent_range=limits)
    assert found.unknowns["c"] == f"c = {end:g}, an end of its range" and not found.unmet


def test_an_exponent_that_has_no_such_range_is_said_to_lie_outside():
    with pytest.warns(KnotworkWarning, match="satisfies what was asked"):
        found = find(lambda x, y: x**1.5 + y, "a*x**(1/n) + y", exponent_range=(0, 1))
    assert found.unmet == "the exponent 1/n is 1.5, outside its range"
    inside = find(lambda x, y: x**0.5 + y, "a*x**(1/n) + y", exponent_range=(0, 1))
    assert constants(inside)["n"] == pytest.approx(2) and not inside.unmet


@pytest.mark.parametrize("slope", [0.5, -0.2])
def test_constants_keep_their_range_while_weights_change(slope):
    """One wrong row draws b of the first fit out of the range, and a into it; the loss of Huber tells the contrary."""
    x = np.c_[np.linspace(0.5, 2, 12), np.linspace(1, 2, 12) ** 2]
    y = slope * x[:, 0] + 1.5 * x[:, 1] + 0.01 * np.random.default_rng(0).normal(size=12)
    y[-1] -= 30
    given = {"names": NAMES, "form": "a*x + b*y", "keep_outliers": True, "progress": False}
    free, squares = (kw.discover(x, y, loss=loss, **given) for loss in ("huber", "mse"))
    assert constants(squares)["b"] < 0 < constants(squares)["a"] and constants(free)["b"] > 0
    assert constants(free)["a"] * slope > 0
    found = kw.discover(x, y, loss="huber", constant_range=(0, None), **given)
    assert not found.unmet
    if slope > 0:
        assert constants(found) == pytest.approx(constants(free), rel=1e-3) and not found.unknowns
    else:
        assert found.unknowns == {"a": "a = 0, an end of its range"}
        rest = kw.discover(x, y, loss="huber", **{**given, "form": "b*y"})
        assert constants(found) == pytest.approx(constants(rest), rel=1e-3)


# --- other limits ---


@pytest.mark.parametrize(
    ("form", "options", "message"),
    [
        ("a*x + b", {"required": ["y"]}, "does not hold y"),
        ("a*x + b*y + c", {"max_complexity": 5}, "complexity is"),
        ("a*exp(x) + f(y)", {"forbid": ["exp"]}, "holds exp, which forbid= rules out"),
        ("sin(a*sin(x)) + b", {"nested": {"sin": {"sin": 0}}}, "sin stands inside sin"),
    ],
)
def test_a_form_that_no_limit_allows_is_refused_before_any_fit(form, options, message):
    with pytest.raises(SpecError, match=message):
        find(saturation, form, **options)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("a*f(x) + b*g(x)", "no rows tell them apart"),
        ("f(x)*g(x) + y", "no rows tell them apart"),
        ("a*(x - x) + b*y", "does not depend on 'a'"),
    ],
)
def test_unknowns_that_no_rows_can_tell_are_refused(form, message):
    with pytest.raises(DataError, match=message):
        find(saturation, form)


def test_two_curves_of_one_argument_are_told_apart_by_another_input():
    found = find(lambda x, y: np.sin(2 * x) + y * np.exp(-x), "f(x) + y*g(x)")
    assert found.stop is StopReason.EXACT


def test_groups_refuse_limits_that_they_do_not_keep():
    given = {"groups": ["a", "b"] * 100, "constant_range": (0, 1)}
    with pytest.raises(TrainingError, match="are not kept with form= and groups="):
        find(saturation, "V*x/(K + x) + c*y", **given)


def test_names_respect_the_length_of_formulas():
    x, y = rows(lambda x, y: np.exp(-((x - 1.5) ** 2)) * y)
    free = kw.discover(x, y, names=NAMES, form="f(x)*y", progress=False)
    assert free.formula.complexity > 8 and "spline" not in free.unknowns["f"]
    short = kw.discover(x, y, names=NAMES, form="f(x)*y", max_complexity=8, progress=False)
    assert short.formula.complexity <= 8


def test_names_hold_no_forbidden_functions():
    found = find(lambda x, y: np.exp(-x) + y, "f(x) + c*y", forbid=["exp"])
    assert "exp" not in str(found.formula)
    assert found.settings["forbidden"] == ["exp"]


def test_a_formula_that_falls_where_it_shall_grow_is_said_to():
    with pytest.warns(KnotworkWarning, match="satisfies what was asked"):
        found = find(saturation, "a*x + c*y", monotone={"x": "decreasing"})
    assert "does not fall with x" in found.unmet


def test_a_formula_that_grows_as_asked_is_taken_before_a_better_one():
    law = lambda x, y: np.sin(3 * x) + 3 * x + 0.05 * np.sin(30 * x) + y  # noqa: E731
    found = find(law, "f(x) + c*y", 0.001, monotone={"x": "increasing"}, lib=["x", "sin"])
    grid = np.c_[np.linspace(0.5, 3, 500), np.ones(500)]
    assert found.unmet or (np.diff(found.formula.predict(grid)) >= -1e-9).all()


# --- rows ---


@pytest.mark.parametrize("form", ["V*x/(K + x) + c*y", "f(x) + c*y"])
@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_one_blunder_in_forty_rows_is_left_out_and_named(form, noise):
    x, y = rows(saturation, noise)
    wrong = np.arange(7, 200, 40)
    y[wrong] = 1e6
    found = kw.discover(x, y, names=NAMES, form=form, progress=False)
    assert sorted(one.row for one in found.outliers) == wrong.tolist()
    clean = np.delete(np.arange(200), wrong)
    alone = kw.discover(x[clean], y[clean], names=NAMES, form=form, progress=False)
    assert constants(found)["c"] == pytest.approx(constants(alone)["c"], abs=0.02 * bool(noise) + 1e-7)
    np.testing.assert_allclose(found.formula.predict(x), saturation(*x.T), atol=0.1 * bool(noise) + 1e-6)
    kept = kw.discover(x, y, names=NAMES, form="a*x + c*y", progress=False, keep_outliers=True)
    assert not kept.outliers


@pytest.mark.parametrize("form", ["V*x/(K + x) + c*y", "f(x) + c*y"])
def test_the_loss_of_huber_holds_for_a_form(form):
    rng = np.random.default_rng(0)
    x, y = rows(saturation)
    y = y + 0.1 * rng.standard_t(1.5, size=200)
    errors = {}
    for loss in ("mse", "huber"):
        options = {"names": NAMES, "form": form, "loss": loss, "keep_outliers": True, "progress": False}
        found = kw.discover(x, y, **options)
        errors[loss] = np.sqrt(np.mean((found.formula.predict(x) - saturation(*x.T)) ** 2))
        assert found.settings["loss"] == loss
    assert errors["huber"] < 0.7 * errors["mse"]


@pytest.mark.parametrize("form", ["A*exp(-k*x)", "f(x)"])
def test_counts_of_a_form_are_fitted_by_their_likelihood(form):
    rng = np.random.default_rng(1)
    x = rng.uniform(0, 4, (400, 1))
    mean = 50 * np.exp(-1.2 * x[:, 0])
    found = kw.discover(x, rng.poisson(mean), names=["x"], form=form, loss="poisson", progress=False)
    assert found.settings["loss"] == "poisson"
    few = x[:, 0] > 2.5
    assert np.mean(found.formula.predict(x[few])) == pytest.approx(mean[few].mean(), rel=0.1)


def test_rows_of_a_form_count_as_their_errors_say():
    rng = np.random.default_rng(2)
    x = rng.uniform(0.5, 3, (200, 2))
    sigma = np.where(x[:, 0] < 1.5, 0.01, 1.0)
    y = saturation(*x.T) + sigma * rng.normal(size=200)
    found = kw.discover(x, y, names=NAMES, form="V*x/(K + x) + c*y", sigma=sigma, progress=False)
    for symbol, truth in {"V": 4, "K": 0.8, "c": 0.5}.items():
        one = next(one for one in found.formula.constants if one.symbol == symbol)
        assert abs(one.value - truth) < 4 * one.error
    assert 0.5 < found.formula.reduced_chi2 < 1.5


def test_fewer_rows_than_constants_are_refused():
    x, y = rows(saturation, count=5)
    with pytest.warns(KnotworkWarning), pytest.raises(DataError, match="6 constants, but there are 5 rows: add rows"):
        kw.discover(x, y, names=NAMES, form="a + b*x + c*y + d*x*y + h*x**2 + g*y**2", progress=False)


def test_places_where_a_form_is_not_defined_are_said():
    rng = np.random.default_rng(3)
    x = rng.uniform(0, 2, (200, 2))
    x = x[x[:, 0] > x[:, 1]]
    found = kw.discover(x, 2 * np.sqrt(x[:, 0] - x[:, 1]), names=NAMES, form="a*sqrt(x - y)", progress=False)
    assert "not negative" in found.undefined


# --- units, time ---


def test_constants_of_a_form_have_units():
    rng = np.random.default_rng(4)
    c = rng.uniform(0.1, 5, (60, 1))
    y = 3 * c[:, 0] / (0.7 + c[:, 0])
    units = {"c": "mol/m^3", "v": "mol/s"}
    X, target = {"c": c[:, 0]}, {"v": y}
    found = kw.discover(X, target, units=units, form="V*c/(K + c)", progress=False)
    known = {one.symbol: one.unit for one in found.formula.constants}
    assert known == {"V": "mol/s", "K": "mol/m^3"}
    without = kw.discover(X, target, units=False, form="V*c/(K + c)", progress=False)
    assert all(one.unit is None for one in without.formula.constants)


def test_units_that_do_not_agree_are_said():
    t = np.linspace(1, 2, 50)
    X, units = {"t": t, "l": t**2 + 1}, {"t": "s", "l": "m", "v": "m"}
    found = kw.discover(X, {"v": 2 * t + t**2 + 1}, units=units, form="a*t + l", progress=False)
    assert found.formula.units[0].agree
    wrong = kw.discover(X, {"v": 2 * t + (t**2 + 1) ** 2}, units=units, form="a*t + l**2", progress=False)
    assert not wrong.formula.units[0].agree


@pytest.mark.parametrize("form", ["a*sin(b*x) + c*exp(-y)", "a*f(x) + g(y)"])
def test_a_form_ends_with_the_time_budget(form):
    began = time.process_time()
    found = find(waves, form, 0.01, count=2000, time_budget=0.2)
    assert time.process_time() - began < 2.5
    assert found.formula.constants


def test_a_callback_ends_the_fit_of_a_form():
    stages = []

    def stop(event):
        stages.append(event.stage)
        return "naming" in event.stage

    found = find(waves, "a*f(x) + g(y)", 0.01, callback=stop)
    assert found.stop is StopReason.CALLBACK and all("spline" in found.unknowns[one] for one in "fg")
    assert stages[-1]
