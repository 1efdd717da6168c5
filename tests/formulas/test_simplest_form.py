"""Among forms with equal values the shortest is chosen."""

import time
from dataclasses import replace

import numpy as np
import pytest
import sympy
import torch

import knotwork as kw
from knotwork.expressions import complexity, equal_forms, function_names, parse, to_numpy
from knotwork.expressions.equal_forms import expanded_terms
from knotwork.formulas import simplest


def test_identities_are_not_tried_where_products_have_too_many_terms(monkeypatch):
    long = parse("(x - 1.3)*(y + 2.7)*(z**2 + 0.4)*(x + 0.1*sin(y) - 2.9*z + 3.7)*(sin(x) - 0.8)")
    assert expanded_terms(long) == 64
    assert expanded_terms(parse("(x + y)**5*(z + 1)")) == 12
    assert expanded_terms(parse("exp((x + 1)*(y + 2))/z")) == 4
    for name in ("factor", "trigsimp"):  # they would take minutes
        monkeypatch.setattr(sympy, name, lambda e: pytest.fail("tried"))
    samples = {name: np.linspace(1, 2, 20) for name in "xyz"}
    assert len(list(equal_forms(long, samples, 60))) == 3


def rows(low, high):
    X = np.random.default_rng(0).uniform(low, high, (200, 3))
    return kw.Dataset.from_arrays(X, X[:, 0], names=["x", "y", "z"], seed=0)


@pytest.mark.parametrize(
    ("strange", "plain"),
    [
        ("x*(tan(y) + tan(z))*cos(y)*cos(z)", "x*sin(y + z)"),
        ("x*(sin(y)*sin(z) + cos(y)*cos(z))", "x*cos(y - z)"),
        ("3*sin(x)**2*y + 3*cos(x)**2*y", "3*y"),
        ("cosh(x)**2*y - y*sinh(x)**2", "y"),
        ("tanh((log(x) - log(y))/2)", "(x - y)/(x + y)"),
        ("tanh(log(x)/2)*z", "z*(x - 1)/(x + 1)"),
        ("-y/2 + y/(tanh(0.25*x - 2.5) + 1) + z", "74.2065795512883*y*exp(-0.5*x) + z"),
        ("-x**2/(y**2 + 1) + ((x + 1/2)**2 - 1/4)/(y**2 + 1)", "x/(y**2 + 1)"),
        ("(x + 1)**2 - x**2 - 1", "2*x"),
        ("1/(1 + 1/y)", "y/(y + 1)"),
        ("1/(1/x + 1/y)", "x*y/(x + y)"),
        ("log((sin(x) + 2)*exp(-y))", "log(sin(x) + 2) - y"),
        ("abs(x + 1) - 1", "x"),
        ("abs(x - 9) - 9", "-x"),
        ("2.0*y**2", "2*y**2"),
        ("(x + y - abs(x - y))*z/2", "z*min(x, y)"),
        ("x + y/2 - abs(y/2 + 1/2 - x) + 1/2", "min(2*x, y + 1)"),
        ("exp((-x**2 + 2*x*y - y**2)/z)", "exp(-(x - y)**2/z)"),
        ("x**2*y**2 + 4*x*y*z + 4*z**2 + x", "x + (x*y + 2*z)**2"),
        ("y*z/(x*sqrt(y**2/x**2 + 1))", "z/sqrt(1 + x**2/y**2)"),
        ("x*(1 + y*z/(x*y**2))/sqrt(1 + z**2/y**2)", "(x + z/y)/sqrt(1 + z**2/y**2)"),
        ("2*x**2*(1 + y/x)**2/(z + 1)", "2*(x + y)**2/(z + 1)"),
    ],
)
def test_the_shortest_of_equal_forms_is_chosen(strange, plain):
    data = rows(0.5, 1.5)
    found = simplest(parse(strange), data)
    assert complexity(found) <= complexity(parse(plain))
    x = data.X_train.numpy().T
    assert np.allclose(to_numpy(found, ["x", "y", "z"])(*x), to_numpy(parse(plain), ["x", "y", "z"])(*x), rtol=1e-9)


@pytest.mark.parametrize(
    ("strange", "plain"),
    [
        ("x/(1 + x/y)", "x*y/(x + y)"),
        ("3*sqrt(x**(3/2)*sqrt(y))", "3*x**(3/4)*y**(1/4)"),
    ],
)
def test_of_equally_long_forms_one_with_fewer_powers_is_chosen(strange, plain):
    found = simplest(parse(strange), rows(0.5, 1.5))
    powers = [sum(part.is_Pow for part in sympy.preorder_traversal(one)) for one in (found, parse(plain))]
    assert powers[0] <= powers[1], found
    assert complexity(found) <= complexity(parse(strange))


def test_of_equally_long_forms_one_without_functions_is_chosen():
    assert not function_names(simplest(parse("tanh(log(sqrt(x)/sqrt(y)))"), rows(0.5, 1.5)))


@pytest.mark.parametrize(
    "formula",
    [
        "abs(x - 1) - 1",
        "x/(x**2 + y)",
        "sin(x)*cos(y) + z",
        "exp(y**2 + sin(pi*x))",
        "log(x) + 2",
        "tanh(x)*y",
        "2.1*y**2",
    ],
)
def test_a_formula_without_a_shorter_form_stays_as_it_is(formula):
    assert simplest(parse(formula), rows(0.5, 1.5)) == parse(formula)


def test_every_training_and_validation_row_counts():
    x = np.linspace(1, 3, 4000)
    X = np.c_[np.r_[x, -x[:3]], np.r_[x, x[:3]]]
    rest = {"X_test": torch.tensor(X[:5]), "y_test": torch.tensor(X[:5, :1])}
    for last in ("train", "val"):
        count = len(X) if last == "train" else len(x)
        rows = torch.tensor(X)
        data = kw.Dataset.from_arrays(X, X[:, 0], names=["x", "y"], seed=0)
        parts = {"X_train": rows[:count], "X_val": rows[count:], "y_train": rows[:count, :1], "y_val": rows[count:, :1]}
        data = replace(data, **parts, **rest)
        assert simplest(parse("abs(x) + y"), data) == parse("abs(x) + y")


def test_a_form_that_is_not_allowed_is_not_taken():
    data = rows(0.5, 1.5)
    assert simplest(parse("y - y*sin(x)**2"), data, allowed=lambda e: "cos" not in str(e)) == parse("y - y*sin(x)**2")


@pytest.mark.parametrize("terms", [2, 3, 8])  # shorter than the limit for identities, just below it, far above
def test_long_formulas_are_simplified_in_bounded_time(terms):
    long = " + ".join(f"sin({n}.1*x + y)*cos({n}.7*z)/(1 + {n}.3*x*y)" for n in range(1, terms + 1))
    began = time.process_time()
    simplest(parse(long), rows(0.5, 1.5))
    assert time.process_time() - began < 20


@pytest.mark.parametrize(
    ("centre", "power", "form"),
    [(1940, 3, "0.0004*(x - 1940)**3 + 12"), (300, 4, "2.5*(x - 300)**4 - 7"), (0.7, 3, "3.3*(x - 0.7)**3 + 1.9")],
)
def test_polynomials_are_written_as_powers_of_a_difference(centre, power, form):
    x = np.random.default_rng(0).uniform(centre - 20 if centre > 1 else 0, centre + 60, (200, 1))
    data = kw.Dataset.from_arrays(x, x[:, 0], names=["x"], seed=0)
    long = sympy.expand(parse(form))
    assert len(long.args) == power + 1
    found = simplest(long, data)
    assert complexity(found) <= complexity(parse(form))
    values = [to_numpy(one, ["x"])(x[:, 0]) for one in (found, parse(form))]
    np.testing.assert_allclose(*values, rtol=1e-6, atol=1e-6 * np.abs(values[1]).max())
    other = parse("x**3 + x**2 + 1")
    assert simplest(other, data) == other
