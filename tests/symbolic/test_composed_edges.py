"""Edges that are compositions of two functions, or any expression in x: found, fitted, saved and written."""

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork import expressions
from knotwork.errors import SpecError
from knotwork.formulas.compositions import compositions
from knotwork.functions import named_function, select
from knotwork.model.free_parameters import FreeParameters
from knotwork.symbolic.inner_constants import _all_inside, _WithInside


def one_edge(expression, x, size=500):
    """A network with one edge, fitted to exact rows, and the rows."""
    data = kw.sample(expression, x=x, size=size, test_size=200, seed=0)
    model = kw.KAN([1, 1], seed=0)
    model.fit(data, progress=False)
    return model, data


def relative_error(formula, data):
    y = data.y_test[:, 0].numpy()
    return np.sqrt(np.mean((formula.predict(data.X_test.numpy()) - y) ** 2)) / y.std()


@pytest.mark.parametrize(
    ("expression", "x"),
    [
        ("exp(sin(3*x))", (-1, 1)),
        ("log(2.1 + sin(2*x))", (-2, 2)),
        ("sqrt(1 + x**2)", (-2, 2)),
        ("1/(1.3 + cos(4*x))", (-1, 1.5)),
        ("sqrt(2.3 + sin(3*x))", (-2, 1)),
    ],
)
def test_an_edge_becomes_exactly_the_composition_that_it_learned(expression, x):
    """Also where the composition has a constant of its own between its functions."""
    model, data = one_edge(expression, x)
    named = model.auto_symbolic(data, depth=2)
    assert named_function(named.spec.named[0].function).written
    assert relative_error(named.symbolic_formula(data), data) < 1e-9


def test_the_formula_of_a_composition_is_the_law_with_its_errors():
    model, data = one_edge("exp(sin(3*x))", (-1, 1))
    formula = model.auto_symbolic(data, depth=2).symbolic_formula(data)
    assert str(formula.expression) == "exp(sin(3*x))"
    noisy = kw.sample("log(2.1 + sin(2*x))", x=(-2, 2), size=500, noise=0.01, seed=0)
    model = kw.KAN([1, 1], seed=0)
    model.fit(noisy, progress=False)
    model.fix_symbolic(0, 0, 0, "log(sin(2*x) + 2.1)", noisy)
    model.fit(noisy, progress=False)
    constants = model.symbolic_formula(noisy).constants
    # the number between the functions, their scale and the offset hang together; frequency and phase are known well
    assert len(constants) == 5 and all(0 < one.error < 1 for one in constants)


def test_a_single_function_stays_where_it_fits():
    model, data = one_edge("exp(-x**2/2)", (-2, 3))
    assert model.auto_symbolic(data, depth=2).spec.named[0].function == "gaussian"
    assert model.suggest_symbolic(0, 0, 0, data, depth=2)[0].function == "gaussian"


def test_the_table_holds_compositions_only_with_depth_2():
    model, data = one_edge("exp(sin(3*x))", (-1, 1))
    table = model.suggest_symbolic(0, 0, 0, data, depth=2)
    assert table[0].function == "exp(sin(x))" and "exp(sin(x))" in str(table)
    plain = model.suggest_symbolic(0, 0, 0, data)
    assert not any(named_function(row.function).written for row in plain)
    assert set(plain) <= set(table)
    for depth in (0, 3, True, 1.5):
        with pytest.raises(SpecError, match="give 1 for single functions, or 2 for compositions"):
            model.suggest_symbolic(0, 0, 0, data, depth=depth)
        with pytest.raises(SpecError, match="give 1 for single functions, or 2 for compositions"):
            model.auto_symbolic(data, depth=depth)


def test_compositions_hold_only_functions_of_lib():
    model, data = one_edge("exp(sin(3*x))", (-1, 1))
    rows = model.suggest_symbolic(0, 0, 0, data, lib=["x", "log", "sin"], depth=2)
    written = [expressions.parse(row.function, ["x"]) for row in rows if named_function(row.function).written]
    assert written and all(expressions.function_names(one) <= {"log", "sin"} for one in written)


def test_a_network_with_a_composition_beside_another_function():
    data = kw.sample("exp(sin(3*x)) + y**2", x=(-1, 1), y=(-1, 1), size=500, test_size=200, seed=0)
    model = kw.KAN([2, 1], grid=10, seed=0)
    model.fit(data, progress=False)
    formula = model.auto_symbolic(data, depth=2).symbolic_formula(data)
    assert str(formula.expression) == "y**2 + exp(sin(3*x))"


def test_any_expression_of_x_names_an_edge_and_is_saved(tmp_path):
    model, data = one_edge("log(2 + sin(2*x))", (-2, 2))
    fit = model.fix_symbolic(0, 0, 0, "log(2 + sin(2*x))", data)
    assert fit.r2 > 0.99 and fit.constants[0] == pytest.approx(1, abs=0.01)  # as far as five intervals can follow it
    kw.save(model, tmp_path / "model.safetensors")
    loaded = kw.load(tmp_path / "model.safetensors")
    assert loaded.spec == model.spec and loaded.spec.named[0].function == "log(sin(2*x) + 2)"
    x = data.X_test
    assert torch.equal(loaded(x), model(x))
    assert model.plot(data) is not None and model.plot_edge(0, 0, 0, data) is not None
    derivative = torch.autograd.functional.jacobian(lambda v: model(v).sum(), x)
    step = 1e-6
    assert torch.allclose(derivative, (model(x + step) - model(x - step)) / (2 * step), atol=1e-7)
    model.unfix_symbolic(0, 0, 0)
    assert model.spec.named == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "sin(y)",
            r"there is no function 'sin\(y\)' in the library, and it is no expression in x: Unknown variable 'y'",
        ),
        ("2 + 3", "'2 \\+ 3' does not hold x"),
        ("sin(", "is not a formula"),
        ("exec(x)", "Unknown function 'exec'"),
    ],
)
def test_a_text_that_is_no_function_is_refused(text, message):
    with pytest.raises(SpecError, match=message):
        kw.KAN([1, 1]).fix_symbolic(0, 0, 0, text)


def test_a_text_of_the_library_is_the_function_of_the_library():
    for text, name in (("sin(x)", "sin"), ("exp(-x^2)", "gaussian"), ("x**5", "x^5"), ("1/sqrt(x)", "1/sqrt")):
        assert named_function(text).name == name


def test_written_functions_know_their_domain_and_their_slope():
    u = torch.linspace(-3, 3, 301, dtype=torch.float64)
    root = named_function("sqrt(2 - log(x + 2))")
    inside = (u > -2) & (u < np.exp(2) - 2)
    assert torch.equal(root.in_domain(u), inside)
    with torch.no_grad():
        slope = root.slope(u[inside])
    assert not slope.requires_grad
    expected = -1 / (2 * (u[inside] + 2) * torch.sqrt(2 - torch.log(u[inside] + 2)))
    assert torch.allclose(slope, expected)
    pole = named_function("1/(x**2 - 2)")
    assert pole.pole is not None and float(pole.pole(torch.zeros(1))) * float(pole.pole(torch.full((1,), 2.0))) < 0
    assert torch.allclose(pole.derivative(u[:5], 2), (6 * u[:5] ** 2 + 4) / (u[:5] ** 2 - 2) ** 3)


def test_no_fit_leads_over_a_pole():
    x = torch.linspace(-1, 1, 200, dtype=torch.float64)
    for row in compositions(x, torch.tanh(8 * x), select(["x", "1/x", "sin", "exp", "1/x^2", "x^2"])):
        a, b, c, d = row.constants
        dense = c * named_function(row.function).value(a * torch.linspace(-1, 1, 5001).double() + b) + d
        assert dense.abs().max() < 5


@pytest.mark.parametrize("function", ["log(sin(x) + 2.3)", "tanh(1.7*exp(x) - 0.9)"])
def test_slopes_by_decimals_are_those_of_differences(function):
    """The columns of the Jacobian for numbers inside functions, beside those of the network, in a deeper network."""
    data = kw.sample("x + y", x=(-1, 1), y=(-1, 1), size=50, seed=0)
    model = kw.KAN([2, 2, 1], seed=0)
    model.fix_symbolic(0, 1, 0, function, params=(0.7, 0.1, 1.3, 0.2))
    model.fix_symbolic(1, 0, 0, "sin", params=(0.5, 0.3, 1.1, 0.0))
    free = FreeParameters(model)
    problem = _WithInside(model, data.X_train, data.y_train, free, _all_inside(model, free))
    problem.begin()
    gradient, step = problem.linearise().gradient, 1e-6
    for k in range(problem.size):
        move = torch.zeros(problem.size).double()
        move[k] = step
        sides = [problem.evaluate(problem.at + sign * move)[0] for sign in (1, -1)]
        assert float(gradient[k]) == pytest.approx((sides[0] - sides[1]) / (2 * step) / 2, abs=1e-7)
