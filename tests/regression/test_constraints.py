"""Formulas satisfy the constraints of the user, and constraints that make no sense raise an error."""

import sys

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.discovery.task import Found
from knotwork.expressions import contains, function_names, parse, symbol
from knotwork.formulas.constants import Sample
from knotwork.functions import named_function
from knotwork.regression.constraints import Constraints


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("2*tan(x - 1) + y", ["tan"], ["sin", "x^2", "sqrt"]),
        ("sqrt(x + 1)/y", ["sqrt", "1/x"], ["1/sqrt", "x^2"]),
        ("exp(-(x - 1)**2/3)", ["gaussian", "exp", "x^2"], ["log"]),
        ("exp(x**2) + sin(2)*y", ["exp"], ["sin", "1/x"]),
        ("exp(-x)*y", ["exp"], ["gaussian"]),
        ("3/(1 + exp(-2*x))", ["sigmoid", "1/x"], ["tanh"]),
        ("abs(x)**1.5 + pi", ["abs", "x^1.5"], ["x^2"]),
        ("J0(x)", ["J0"], ["cos"]),
    ],
)
def test_functions_are_recognised_in_expressions(text, inside, outside):
    for names, answer in ((inside, True), (outside, False)):
        for name in names:
            assert contains(parse(text), parse(named_function(name).expression, ["x"])) is answer, name


def test_names_of_functions_are_those_of_variables():
    assert function_names(parse("cos(x) + exp(sin(2))*y + sqrt(y)")) == {"sin"}


def test_no_formula_contains_a_forbidden_function():
    data = kw.sample("tanh(2*x) + y**2", x=(-1, 1), y=(-1, 1), size=300, seed=0)
    assert kw.discover(data, seed=0).formula.expression == parse("tanh(2*x) + y**2")
    found = kw.discover(data, seed=0, forbid=["tanh", "exp"], time_budget=20)
    for entry in found.front:
        assert not function_names(entry.formula.expression) & {"tanh", "exp"}
    assert found.formula.r2 > 0.99


def test_formulas_contain_only_functions_of_the_library():
    data = kw.sample("exp(x)*y", x=(0, 2), y=(1, 2), size=200, seed=0)
    front = kw.discover(data, seed=0, lib=["x", "x^2", "sin"], time_budget=10).front
    assert len(front) > 1
    for entry in front:
        assert function_names(entry.formula.expression) <= {"sin"}


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("(1 + 0.5*sin(3*z))*x + z**2", 0.98),  # linear in x
        ("x**3 + 2*z", 0.9),  # not linear in x
        ("z*exp(x)", 0.8),
    ],
)
def test_a_linear_input_enters_linearly(text, least):
    data = kw.sample(text, x=(-1, 1), z=(-1, 1), size=500, noise=0.05, seed=0)
    found = kw.discover(data, seed=0, linear=["x"])
    for entry in found.front:
        assert entry.formula.expression.diff("x", 2).expand() == 0, entry.formula
    assert found.formula.r2 > least


def test_curves_of_linear_inputs_are_straight_lines_in_the_search():
    data = kw.sample("x**3 + 2*z", x=(-1, 1), z=(-1, 1), size=400, test_size=1, validation_size=100, noise=0.05, seed=0)
    rows, y = torch.cat([data.X_train, data.X_val]), torch.cat([data.y_train, data.y_val])[:, 0]
    sample = Sample(dict(zip("xz", rows.unbind(1), strict=True)), y)
    constraints = Constraints.of(None, None, ["x"], ["x", "z"])
    first = next(constraints.search(sample, 400).formulas())
    assert constraints.allows(first.template.filled(), sample)
    assert first.error < 1.2 * float((y - best_line(rows, y)).square().mean().sqrt())


def best_line(rows, y):
    design = torch.cat([rows, torch.ones(len(rows), 1)], dim=1).double()
    return design @ torch.linalg.lstsq(design, y[:, None]).solution[:, 0]


def test_edges_of_linear_inputs_are_straight_lines_in_networks(monkeypatch):
    def nothing(task, importance, front):
        return Found((), front, None)

    monkeypatch.setattr(sys.modules["knotwork.discovery.stages"], "formulas_in_columns", nothing)
    data = kw.sample("x*exp(z)", x=(0, 2), z=(-1, 1), size=300, seed=0)
    found = kw.discover(data, seed=0, linear=["x"])
    assert found.formula.expression == parse("x*exp(z)")
    assert {entry.shape for entry in found.front} <= {
        "a constant", "a straight line of one input", "a sum of functions of one input",
        "a product of functions of one input", "the formula with parts left out",
    }  # fmt: skip
    assert all(entry.expression.diff(symbol("x"), 2) == 0 for entry in found.front)


def test_constraints_are_tested_on_the_rows():
    x = torch.linspace(0, 1, 50, dtype=torch.float64)
    sample = Sample({"x": x, "y": 1 - x}, x)
    constraints = Constraints.of(None, ["exp"], ["x"], ["x", "y"])
    for text, answer in {
        "x*sin(y) + y**2": True,
        "2*x": True,
        "y": True,
        "x**1.001": False,
        "sin(x)": False,
        "x + exp(y)": False,
        "exp(2) + x": True,
        "sqrt(x - 2)": False,  # no real value in any row
    }.items():
        assert constraints.allows(parse(text), sample) is answer, text


def test_the_report_lists_the_constraints(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (100, 2))
    found = kw.discover(X, X[:, 0] + X[:, 1] ** 2, names=["a", "b"], forbid=["tan"], linear=["a"], seed=0)
    page = found.report(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Forbidden" in page and "Linear" in page
    assert "tan" not in found.settings["functions"] and "sin" in found.settings["functions"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"forbid": ["tann"]}, "did you mean 'tan'"),
        ({"forbid": "tan"}, r"give a list of names, forbid=\['tan'\]"),
        ({"forbid": ["x"]}, "'x' cannot be forbidden"),
        ({"lib": ["sin"], "forbid": ["sin"]}, "all functions of lib= are forbidden"),
        ({"linear": ["speeed"]}, "There is no input 'speeed': did you mean 'speed'"),
    ],
)
def test_wrong_constraints_raise_an_error_before_any_work(options, message):
    with pytest.raises(kw.KnotworkError, match=message):
        kw.discover(np.ones((10, 1)) * np.arange(10)[:, None], np.arange(10.0), names=["speed"], **options)
