"""Each constant of a formula has its own value, standard error, unit and place."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import knotwork as kw
from knotwork.expressions import algebra, number, parse, symbol
from knotwork.formulas import Constant, Formula, measured
from knotwork.formulas.constants import Constants, Sample, fitted
from knotwork.symbolic import from_expression

# short numbers would count as known constants
VALUES = st.floats(0.11, 9.9).filter(lambda value: len(repr(value)) > 10)


def lines(slopes, deviations, rows=60):
    """The formula y_n = slope_n * x with rows whose noise has these standard deviations, and the rows."""
    rng = np.random.default_rng(0)
    x = rng.uniform(1, 2, rows)
    noise = rng.normal(size=(rows, len(slopes)))
    noise -= np.outer(x, x @ noise) / (x @ x)  # so that least squares gives exactly these slopes
    y = x[:, None] * np.array(slopes) + noise * np.array(deviations)
    data = kw.Dataset.from_arrays(x[:, None], y, test_size=0, validation_size=0, names=["x"])
    expressions = tuple(number(slope) * symbol("x") for slope in slopes)
    model = from_expression(kw.KAN, expressions, ["x"], data)
    return measured(expressions, model, data), x, y


@given(VALUES, st.lists(st.floats(0.01, 10), min_size=2, max_size=4, unique=True))
@settings(deadline=None, max_examples=15)
def test_equal_constants_of_several_outputs_keep_their_own_errors(slope, deviations):
    formula, x, y = lines([slope] * len(deviations), deviations)
    residuals = y - slope * x[:, None]
    expected = np.sqrt((residuals**2).sum(0) / (len(x) - 1) / (x @ x))
    assert [one.value for one in formula.constants] == [slope] * len(deviations)
    np.testing.assert_allclose([one.error for one in formula.constants], expected, rtol=1e-6)
    assert [one.symbol for one in formula.constants] == [f"c_{n + 1}" for n in range(len(deviations))]
    for n, one in enumerate(formula):
        assert one.constants == formula.constants[n : n + 1]


@given(VALUES, st.integers(1, 4))
@settings(deadline=None, max_examples=15)
def test_constants_that_are_equal_after_rounding_keep_their_own_errors(slope, digits):
    formula, _, _ = lines([slope, slope * (1 + 1e-9)], [0.1, 2.0])
    rounded = formula.round(digits)
    assert len({one.value for one in rounded.constants}) == 1
    assert [one.error for one in rounded.constants] == [one.error for one in formula.constants]
    assert rounded.constants[1].error > 5 * rounded.constants[0].error


def test_symbols_stand_in_the_places_of_the_constants():
    formula, _, _ = lines([1.234567, 0.765432], [0.1, 0.2])
    assert formula.parametric == (parse("c_1*x"), parse("c_2*x"))
    values = {symbol(one.symbol): number(one.value) for one in formula.constants}
    assert tuple(one.xreplace(values) for one in formula.parametric) == formula.expressions
    assert formula[1].parametric == (parse("c_2*x"),)
    assert formula.round(2).parametric == formula.parametric


def test_no_constant_has_the_name_of_a_variable():
    data = kw.sample("1.2345*c_1 + 0.4567*c", c=(1, 2), c_1=(1, 2), size=60, noise=0.01, seed=0)
    formula = kw.KAN.from_expression("1.2345*c_1 + 0.4567*c", data=data).symbolic_formula(data)
    assert [one.symbol for one in formula.constants] == ["cc_1", "cc_2"]
    assert formula.parametric == (parse("cc_1*c + cc_2*c_1"),)


def formula_with_units(text, units, target="s"):
    """The formula of an expression on random rows whose columns have these units."""
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 2, (80, len(units)))
    data = kw.Dataset.from_arrays(
        X, rng.normal(size=80), names=list(units), target_names="T", units={**units, "T": target}
    )
    return measured((parse(text),), from_expression(kw.KAN, text, list(units), data), data)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2.006*sqrt(l)", ["s/m^(1/2)"]),
        ("1.2345*exp(0.3456*t)", ["1/s", "s"]),
        ("t*(1 + 1.5*l)", ["1/m"]),
        ("1.5*t", ["1"]),
        ("1.5*pi*sqrt(l)", ["s/m^(1/2)"]),
        ("0.2006*sqrt(l_cm)", ["10 s/m^(1/2)"]),
        ("2.5*sqrt(l) + 2.5*m", [None]),  # the same number in two places that need different units
        ("2.5*sqrt(l) - 2.5*m", ["s/kg", "s/m^(1/2)"]),
        ("t*exp(1.5*l) + m", [None]),  # units do not agree
        ("t*m**1.004", [None]),
        ("t**1.5", [None]),
    ],
)
def test_constants_have_the_units_that_make_the_formula_consistent(text, expected):
    formula = formula_with_units(text, {"l": "m", "m": "kg", "t": "s", "l_cm": "cm"})
    assert [one.unit for one in formula.constants] == expected
    assert [one.unit for one in formula.round(2).constants] == expected


def test_constants_have_no_units_unless_all_columns_have_units():
    data = kw.sample("1.2345*x", x=(1, 2), size=60, noise=0.01, seed=0)
    (one,) = kw.KAN.from_expression("1.2345*x", data=data).symbolic_formula(data).constants
    assert one.unit is None and str(one) == f"{one.value:.4f} ± {one.error:.4f}"


@pytest.mark.parametrize(
    ("constant", "text"),
    [
        (Constant("c_1", 2.00612, 0.0031, "s/m^(1/2)"), "2.006 ± 0.003 s/m^(1/2)"),
        (Constant("c_1", 2.00612, 0.0017, "1"), "2.0061 ± 0.0017"),
        (Constant("c_1", 0.2006, 0.0003, "10 s/m^(1/2)"), "(0.2006 ± 0.0003) × 10 s/m^(1/2)"),
        (Constant("c_1", -1.5, 4.2, "1/(kg s)"), "-2 ± 4 1/(kg s)"),
        (Constant("c_1", 6.67412e-11, 3.1e-15), "6.6741e-11 ± 3e-15"),
        (Constant("c_1", 123456789.0, 4321.0), "1.23457e+08 ± 4e+03"),
        (Constant("c_1", 0.5, math.inf), "0.5 ± ∞"),
        (Constant("c_1", 0.5, 0.0), "0.5 ± 0"),
        (Constant("c_1", 0.0, 3e-9), "0 ± 3e-09"),
        (Constant("c_1", 0.999, 0.0996), "1.00 ± 0.10"),
    ],
)
def test_a_constant_prints_with_the_digits_that_its_error_determines(constant, text):
    assert str(constant) == text


def test_a_formula_made_by_hand_has_no_constants():
    formula = Formula((parse("1.5*x"),), ("x",), ("y",), 0.0, 1.0, 0.0)
    assert formula.constants == () and formula.parametric == formula.expressions


@pytest.mark.parametrize("size", [1e-40, 1.0, 1e40])
def test_constants_of_any_size_are_fitted_together(size):
    x = torch.linspace(1, 3, 50, dtype=torch.float64)
    columns = {"t": x / size, "u": x**2}
    constant = Constants()
    a, rate, offset = constant(1.0), constant(0.9 * size), constant(2.0)
    template = constant.template(a * symbol("u") * algebra.exp(-rate * symbol("t")) + offset)
    sample = Sample(columns, 1.3 * x**2 * torch.exp(-1.1 * x) + 2.2)
    found = fitted(template, sample)
    np.testing.assert_allclose(list(found.values.values()), [1.3, 1.1 * size, 2.2], rtol=1e-8)
