"""Simplifying a formula changes its form and not its values."""

import math

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from knotwork.expressions import (
    compose,
    inner_parts,
    parse,
    simplify,
    simplify_constants,
    symbol,
    to_numpy,
    with_double_angles,
)

X = np.random.default_rng(0).uniform(0.2, 2.0, 60)
Y = np.random.default_rng(1).uniform(0.2, 2.0, 60)
SAMPLES = {"x": X, "y": Y}

number = st.floats(0.1, 3.0).map(lambda v: round(v, 3))
signed = st.floats(-3.0, 3.0).map(lambda v: round(v, 3))
inner = st.builds("({}*x + {}*y + {})".format, signed, number, signed)
positive = st.builds("({}*x + {}*y**2 + {})".format, number, number, number)
formula = st.one_of(
    st.builds("{}*exp({}) + {}".format, signed, inner, signed),
    st.builds("{}*sin({}) + {}".format, signed, inner, signed),
    st.builds("{}*cos({}) + {}".format, signed, inner, signed),
    st.builds("{}*log({}*{}) + {}".format, signed, number, positive, signed),
    st.builds("{}*sqrt({}) + {}".format, signed, positive, signed),
    st.builds("{}*{}**2 + {}".format, signed, inner, signed),
    st.builds("{}/{} + tanh({})".format, signed, positive, inner),
    st.builds("exp({}*log(x) + {}*log(y) + {})".format, signed, signed, signed),
)


@settings(max_examples=150, deadline=None)
@given(formula)
def test_a_simplified_expression_has_the_same_values(text):
    expr = parse(text)
    before = to_numpy(expr, ["x", "y"])(X, Y)
    after = to_numpy(simplify(expr, SAMPLES), ["x", "y"])(X, Y)
    # terms below 1e-8 of a sum are dropped; an exponential multiplies that error by its argument
    np.testing.assert_allclose(after, before, rtol=1e-6, atol=1e-6 * np.abs(before).max())


@pytest.mark.parametrize(
    ("text", "shorter"),
    [
        ("exp(x + 2.0)", f"{math.exp(2.0)!r}*exp(x)"),
        ("exp(2.0*log(x) - 1.0*log(y))", "x**2.0*y**(-1.0)"),
        ("sin(3.0 - 2.0*x)", None),
        ("x + 1e-12*y", "x"),
        ("(x + 1e-13)**2", "x**2"),
        ("(2.0*x + 4.0)*(1.0 - 0.5*y)", "-1.0*(x + 2.0)*(y - 2.0)"),
    ],
)
def test_known_simplifications(text, shorter):
    result = simplify(parse(text), SAMPLES)
    if shorter is not None:
        assert sympy.simplify(result - parse(shorter)) == 0
    else:
        phase = next(iter(result.atoms(sympy.sin))).args[0].as_coeff_Add()[0]
        assert abs(float(phase)) <= math.pi / 2


def test_a_product_of_sums_has_one_number_in_front():
    result = simplify(parse("(-2.0*x - 3.0)*(5.0*y + 1.0)*(7.0*sin(x) - 2.0)"), SAMPLES)
    assert sum(factor.is_Number for factor in result.args) == 1
    # that number and one constant in each factor, which is the number that data can determine
    assert len(result.atoms(sympy.Float)) == 4


def test_a_sine_with_a_phase_of_a_quarter_turn_becomes_a_cosine():
    assert simplify(parse(f"sin(2.5*x + {math.pi / 2!r})"), SAMPLES) == parse("cos(2.5*x)")


def test_constants_become_simple_numbers_only_where_that_is_accepted():
    expr = parse("2.000000001*sin(3.1415926535*x) + 0.3333333333")
    assert simplify_constants(expr, lambda e: True) == parse("2*sin(pi*x) + 1/3")
    assert simplify_constants(expr, lambda e: False) == expr
    assert simplify_constants(parse("2.001*x"), lambda e: True) == parse("2.001*x")


def test_compose_substitutes_an_expression_for_x():
    assert compose("exp(-x**2)", parse("2*a + b")) == parse("exp(-(2*a + b)**2)")


@pytest.mark.parametrize(
    ("text", "shorter"),
    [
        ("2*x*sin(x*y/2)*cos(x*y/2)", "x*sin(x*y)"),
        ("3*sin(x)**2*cos(x)**2", "3*sin(2*x)**2/4"),
        ("exp(sin(2*x)*cos(2*x)) + y", "exp(sin(4*x)/2) + y"),
        ("2**x*sin(x)*cos(x)/2", "2**x*sin(2*x)/4"),
        ("exp(y)*sin(x)*cos(x)*sin(y)", "exp(y)*sin(2*x)*sin(y)/2"),
        ("x*sin(x)**2*cos(x)", None),
        ("sin(x)*cos(y)", None),
    ],
)
def test_sine_times_cosine_is_the_sine_of_the_double_angle(text, shorter):
    assert with_double_angles(parse(text)) == parse(shorter or text)


def test_parts_of_an_expression_are_its_functions_and_the_sums_under_fractions_and_roots():
    expr = parse("c*x*sin(y)**2 + sqrt(x + y)/(1 + x**2) + exp(c) + (x + 1)**2")
    assert set(inner_parts(expr, [symbol("c")])) == set(map(parse, ("sin(y)", "x + y", "x**2 + 1")))
