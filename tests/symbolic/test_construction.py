"""From formula to network: networks that compute any expression of the library exactly."""

import csv
from pathlib import Path

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import knotwork as kw
from knotwork.expressions import parse, to_torch
from knotwork.symbolic.construction import splines_of

FEYNMAN = Path(__file__).parents[2] / "benchmarks" / "feynman.csv"


def equations():
    with FEYNMAN.open() as file:
        for row in csv.DictReader(file):
            parts = [part.split(":") for part in row["ranges"].split(";")]
            yield pytest.param(row["formula"], {n: (float(a), float(b)) for n, a, b in parts}, id=row["name"])


@pytest.mark.parametrize(("formula", "ranges"), list(equations()))
def test_the_network_of_a_formula_gives_its_values(formula, ranges):
    data = kw.sample(formula, **ranges, size=50, test_size=1)
    network = kw.KAN.from_expression(formula, list(ranges))
    assert torch.allclose(network(data.X_train).detach(), data.y_train, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("text", ["x*exp(x + 2*y)", "pi*exp(x + y)", "sin(2*pi*y*exp(x + y))", "3*exp(x + y)*(x + y)"])
def test_exponentials_of_sums_in_products_lose_no_accuracy(text):
    data = kw.sample(text, x=(0, 1), y=(0, 1), size=50, test_size=1)
    network = kw.KAN.from_expression(text, ["x", "y"])
    assert torch.allclose(network(data.X_train).detach(), data.y_train, rtol=1e-11, atol=1e-12)


LEAF = st.sampled_from(["x", "y", "2", "0.5", "pi"])
GROWN = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(st.sampled_from(["sin", "tanh", "exp", "cos", "abs"]), inner).map(lambda t: f"{t[0]}({t[1]})"),
        st.tuples(inner, st.sampled_from([2, 3, 6, 7, -1, -5])).map(lambda t: f"(5 + tanh({t[0]}))**({t[1]})"),
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(GROWN)
# here the constant factor differs from the quotient that division gives
@example("exp((5 + tanh(exp(pi)))**3 - (5 + tanh(y + pi))**7)")
def test_the_network_of_any_expression_gives_the_expression(text):
    try:
        expression = parse(f"x + y*({text})")
    except kw.KnotworkError:  # a constant is too large for a float
        return
    x = torch.linspace(-0.9, 0.9, 20, dtype=torch.float64)
    rows = torch.stack([x, x.flip(0) * 0.7], 1)
    truth = to_torch(expression, ["x", "y"])(*rows.unbind(1))
    if not bool((truth.abs() < 1e6).all()):
        return
    network = kw.KAN.from_expression(expression, ["x", "y"])
    assert torch.allclose(network(rows)[:, 0].detach(), truth, rtol=1e-9, atol=1e-9)
    data = kw.Dataset.from_arrays(rows, truth, names=["x", "y"], test_size=0.2)
    back = network.symbolic_formula(data, simplify=False).expression
    assert torch.allclose(to_torch(back, ["x", "y"])(*rows.unbind(1)), truth, rtol=1e-9, atol=1e-9)


def test_the_network_of_a_formula_has_the_known_shape():
    network = kw.KAN.from_expression("exp(sin(pi*x) + y**2)")
    assert network.spec.width == ((2, 0), (1, 0), (1, 0))
    assert sorted(edge.function for edge in network.spec.named) == ["exp", "sin", "x^2"]
    assert kw.KAN.from_expression("x*y").spec.width == ((2, 0), (0, 1))


@pytest.mark.parametrize("text", ["min(2*x, y + 1)", "3*max(x, -y, x*y) - y", "min(x, max(y, 1/2))"])
def test_the_least_and_largest_of_values_are_sums_of_absolute_differences(text):
    data = kw.sample(text, x=(-2, 2), y=(-2, 2), size=50, test_size=1)
    network = kw.KAN.from_expression(text, ["x", "y"])
    assert torch.allclose(network(data.X_train).detach(), data.y_train, rtol=1e-12, atol=1e-12)


def test_several_outputs_keep_their_order():
    network = kw.KAN.from_expression(["x*y", "x + 1", "3"], ["x", "y"])
    assert network(torch.tensor([[2.0, 5.0]]).double()).tolist() == [[10.0, 3.0, 3.0]]


def test_scaled_rows_give_the_values_in_original_units():
    rows = torch.rand(100, 3, generator=torch.Generator().manual_seed(0)).double() + 1
    data = kw.Dataset.from_arrays(rows, rows[:, 0] * rows[:, 2], names=["a", "b", "c"], scale="standard")
    for variables in (None, ["a", "c"]):
        network = kw.KAN.from_expression("a*c", variables, data)
        assert torch.allclose(network(data.X_train).detach(), data.y_train)


def test_a_constructed_network_can_be_perturbed_and_trained():
    data = kw.sample("exp(sin(pi*x) + y**2)", x=(-1, 1), y=(-1, 1), size=300, seed=0)
    network = kw.KAN.from_expression("exp(sin(3*x) + 1.2*y**2)", data=data)
    before = float((network(data.X_test) - data.y_test).detach().square().mean())
    network.fit(data, steps=30)
    assert float((network(data.X_test) - data.y_test).detach().square().mean()) < 1e-12 < before


def test_rows_without_a_value_do_not_disturb_the_splines_of_named_edges(capfd):
    x = torch.linspace(-0.5, 2, 200, dtype=torch.float64)[:, None]
    data = kw.Dataset.from_arrays(x, x[:, 0], names=["x"], test_size=0)
    network = kw.KAN.from_expression("log(x) + 1", data=data, grid=40)
    splines = splines_of(network, x)
    inside = x[:, 0] > 0.1
    assert float((splines(x) - network(x)).detach()[inside].abs().max()) < 0.05
    assert capfd.readouterr() == ("", "")  # LAPACK writes to stderr where a number is not finite


def test_named_edges_can_be_replaced_by_splines_of_the_same_curves():
    data = kw.sample("exp(sin(pi*x) + y**2)", x=(-1, 1), y=(-1, 1), size=500, seed=0)
    network = kw.KAN.from_expression("exp(sin(pi*x) + y**2)", data=data, grid=40)
    splines = splines_of(network, data.X_train)
    assert not [edge for edge in splines.spec.named if edge.function != "x"]
    error = (splines(data.X_train) - data.y_train).detach().square().mean().sqrt() / data.y_train.std()
    assert float(error) < 1e-6
    assert network.spec.named  # the original keeps its names


@pytest.mark.parametrize(
    ("expression", "variables", "message"),
    [
        ("x + z", ["x"], "Unknown variable 'z'"),
        (parse("x + z"), ["x"], "expression uses z"),
        ("3", None, "without variables"),
        ([], ["x"], "no expression"),
        ({}, ["x"], "is no expression"),
        ("x", ["x", "x"], "names an input twice"),
        ("erf(x)", None, "erf is not in the library"),
    ],
)
def test_expressions_that_no_network_computes_are_refused(expression, variables, message):
    with pytest.raises(kw.KnotworkError, match=message):
        kw.KAN.from_expression(expression, variables)
