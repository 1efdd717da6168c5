"""Every formula satisfies the limits that a person sets, and limits that make no sense are refused."""

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.expressions import nesting, parse, to_numpy
from knotwork.formulas.constants import Sample
from knotwork.regression import Limits

ROWS = torch.linspace(0.5, 3, 50, dtype=torch.float64)
SAMPLE = Sample({"x": ROWS, "y": ROWS.flip(0)}, ROWS)


@pytest.mark.parametrize(
    ("limits", "inside", "outside"),
    [
        ({"required": ["x"]}, ["x", "x*y"], ["y", "3"]),
        ({"max_complexity": 5}, ["x*y", "x + y + 1"], ["sin(x) + y**2"]),
        ({"constant_range": (-2, 2)}, ["2*x - 1", "x**5/y", "-x"], ["3*x", "x + 2.5", "sin(3*x)", "x - 2.5", "7**x"]),
        ({"constant_range": (None, 2)}, ["x - 100"], ["x + 3"]),
        ({"exponent_range": (-1, 2)}, ["x**2/y", "sqrt(x)", "100*x"], ["x**3", "1/y**2"]),
        ({"nested": {"sin": {"sin": 0}}}, ["sin(x)*sin(y)", "exp(sin(x))"], ["sin(cos(x))", "cos(2*sin(y) + x)"]),
        ({"nested": {"exp": {"sin": 1}}}, ["exp(sin(x))"], ["exp(sin(sin(x)))"]),
        ({"nested": {"cos": {"exp": 0}}}, ["exp(cos(x))"], ["cos(exp(x))", "sin(2*exp(x) + y)"]),
        ({"nested": {"exp": {"cos": 0}}}, ["cos(exp(x))", "exp(x)"], ["exp(cos(x))", "exp(y*sin(x))"]),
        ({"monotone": {"x": "increasing"}}, ["x**2 - y", "y", "log(x)"], ["-x", "sin(2*x)", "(x - 1)**2"]),
        ({"monotone": {"x": -1}}, ["y - x", "1/x"], ["x", "x*y"]),
        ({"positive": True}, ["x", "exp(-y)", "(x - y)**2"], ["x - y", "x - 1", "-x"]),
    ],
)
def test_limits_are_tested_on_expressions(limits, inside, outside):
    limits = Limits.of(["x", "y"], **limits)
    for text in inside:
        assert limits.unmet(parse(text), SAMPLE) is None, text
    for text in outside:
        assert limits.unmet(parse(text), SAMPLE) is not None, text


DECADES = Sample({"x": 10 ** torch.linspace(0, 10, 200, dtype=torch.float64)}, torch.ones(200, dtype=torch.float64))


@pytest.mark.parametrize(
    ("limits", "inside", "outside"),
    [
        ({"positive": True}, ["x", "x - 1", "x**2 - 2*x + 1", "(x - 5)**2"], ["x - 5", "x**2 - 9*x", "1 - 2/x"]),
        ({"monotone": {"x": 1}}, ["x", "x**2 - 2*x", "log(x)", "1 - 1/x"], ["(x - 5)**2", "x + 100/x", "x**2 - 90*x"]),
        ({"monotone": {"x": -1}}, ["1/x", "-x"], ["50/x + x/1e12", "sin(x)"]),
    ],
)
def test_signs_and_slopes_hold_in_every_decade(limits, inside, outside):
    """What rounding may change is a share of the terms in the same row, not of the largest value of all rows."""
    limits = Limits.of(["x"], **limits)
    for text in inside:
        assert limits.unmet(parse(text), DECADES) is None, text
    for text in outside:
        assert limits.unmet(parse(text), DECADES) is not None, text


def test_a_factor_that_is_a_square_up_to_rounding_is_positive():
    row = torch.linspace(0.1, 3.3, 1000, dtype=torch.float64)
    sample = Sample({"x": row, "y": row}, row)
    assert Limits.of(["x", "y"], positive=True).unmet(parse("3*x*(x**2 - 2*x*y + y**2)"), sample) is None


@pytest.mark.parametrize("limits", [{"positive": True}, {"monotone": {"x": 1}}])
def test_what_is_not_defined_everywhere_is_said_to_be_so(limits):
    limits = Limits.of(["x", "y"], **limits)
    assert limits.unmet(parse("sqrt(x - 1)"), SAMPLE) == "it is not defined everywhere"


@pytest.mark.parametrize("ends", [(-2, 2), [-2.0, 2.0], np.array([-2, 2]), torch.tensor([-2.0, 2.0])])
def test_ranges_are_any_two_numbers(ends):
    assert Limits.of(["x"], constant_range=ends, exponent_range=ends) == Limits.of(
        ["x"], constant_range=(-2, 2), exponent_range=(-2, 2)
    )


def test_nesting_counts_functions_one_within_the_other():
    sine, exponential = parse("sin(x)"), parse("exp(x)")
    assert nesting(parse("sin(sin(cos(x)))"), sine, sine) == 2
    assert nesting(parse("sin(x) + exp(sin(x))*sin(y)"), sine, sine) == 0
    assert nesting(parse("exp(sin(x)**2)"), exponential, sine) == 1


def table(text, noise=0.0):
    rng = np.random.default_rng(0)
    x = rng.uniform(0.5, 2, (300, 2))
    y = to_numpy(parse(text), ["x", "y"])(*x.T)
    return kw.Dataset.from_arrays(x, y + noise * rng.normal(size=300), names=["x", "y"], seed=0)


@pytest.mark.filterwarnings("ignore:no formula that was tried explains")
@pytest.mark.parametrize(
    ("text", "asked", "least"),
    [
        ("x**3*y", {"exponent_range": (-2, 2)}, 0.8),
        ("7*x*y", {"constant_range": (-5, 5)}, 0.0),
        ("x**2", {"required": ["y"]}, 0.99),
        ("x - y", {"positive": True}, -1.0),
        ("x*y", {"max_complexity": 3}, 0.99),
        ("x**2 - 2*x*y", {"monotone": {"x": "increasing"}}, -1.0),
        ("sin(3*sin(2*x)) + y", {"nested": {"sin": {"sin": 0}}}, 0.3),
    ],
)
def test_every_formula_of_the_front_satisfies_what_was_asked(text, asked, least):
    found = kw.discover(table(text), time_budget=3, progress=False, **asked)
    limits = Limits.of(["x", "y"], **asked)
    sample = Sample(dict(zip("xy", found.data.X_train.unbind(1), strict=True)), found.data.y_train[:, 0])
    assert len(found.front) >= 1 and found.unmet == ""
    for entry in found.front:
        assert limits.unmet(entry.formula.expression, sample) is None, entry.formula
    assert found.formula.r2 > least
    assert found.formula in [entry.formula for entry in found.front]


def test_a_required_input_without_effect_gets_a_small_constant():
    found = kw.discover(table("x**2"), required=["y"], time_budget=3, progress=False)
    values = [found.formula.predict({"x": np.array([1.0]), "y": np.array([y])})[0] for y in (0.5, 2.0)]
    assert values == pytest.approx([1.0, 1.0], abs=1e-2)


def test_a_search_in_which_nothing_satisfies_the_limits_says_so():
    with pytest.warns(kw.KnotworkWarning, match="satisfies what was asked"):
        found = kw.discover(table("-x*y"), positive=True, max_complexity=1, time_budget=0, progress=False)
    assert len(found.front) == 1 and "falls below 0" in found.unmet
    assert any("satisfies what was asked" in title for title in found.remarks)


def test_a_constant_that_is_not_allowed_is_not_on_the_front():
    found = kw.discover(table("x*y", noise=0.3), required=["x", "y"], time_budget=1, progress=False)
    assert all(entry.formula.expression.free_symbols for entry in found.front)


def test_limits_hold_for_columns_of_unusual_units():
    rng = np.random.default_rng(0)
    x = rng.uniform(1, 3, (200, 1)) * 1e9
    found = kw.discover(x, 5e-9 * x[:, 0] + 1, names=["x"], constant_range=(-10, 10), time_budget=1, progress=False)
    assert found.formula.r2 > 0.999
    for entry in found.front:
        assert Limits.of(["x"], constant_range=(-10, 10)).unmet(entry.formula.expression, SAMPLE) is None


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"required": ["z"]}, "z"),
        ({"required": "x"}, r"required='x' is one text: give a list of names, required=\['x'\]"),
        ({"required": [0]}, r"required=\[0\] must be a list of names"),
        ({"constant_range": np.array([1, 2, 3])}, "smallest and the largest"),
        ({"monotone": ["x"]}, "must say which way"),
        ({"max_complexity": 0}, "from 1 on"),
        ({"max_complexity": 2.5}, "from 1 on"),
        ({"constant_range": (3, -3)}, "smallest and the largest"),
        ({"exponent_range": 3}, "smallest and the largest"),
        ({"nested": {"sin": "exp"}}, "needs numbers"),
        ({"nested": {"sin": {"exp": -1}}}, "give 0, 1, 2"),
        ({"nested": {"sine": {"exp": 0}}}, "sin"),
        ({"monotone": {"x": "up"}}, "'increasing' or 'decreasing'"),
        ({"monotone": {"z": 1}}, "z"),
    ],
)
def test_limits_that_make_no_sense_are_refused(asked, message):
    with pytest.raises(kw.KnotworkError, match=message):
        kw.discover(table("x*y"), progress=False, **asked)
