"""A form that is given: its constants with errors, under their names, for one table and for several groups."""

import numpy as np
import pandas as pd
import pytest

import knotwork as kw
from knotwork.errors import DataError, ExpressionError, TrainingError


def rows(noise, seed=0, count=200):
    rng = np.random.default_rng(seed)
    x = pd.DataFrame({name: rng.uniform(0.5, 3, count) for name in ("x1", "x2", "x3")})
    y = (1 - 0.35) * x["x1"] / (x["x2"] + 1) + x["x3"] / (1.8 + 1)
    return x, y + noise * rng.normal(size=count)


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_constants_of_a_form_are_found_with_errors(noise):
    x, y = rows(noise)
    found = kw.discover(x, y, form="(1-C1)*x1/(x2+1)+x3/(C2+1)", progress=False)
    first, second = found.formula.constants
    assert (first.symbol, second.symbol) == ("C1", "C2")
    allowed = 4 * np.array([first.error, second.error]) if noise else np.array([1e-8, 1e-8])
    assert abs(first.value - 0.35) <= allowed[0] and abs(second.value - 1.8) <= allowed[1]
    assert (0 < first.error < 0.02 and 0 < second.error < 0.05) or not noise
    np.testing.assert_allclose(found.formula.predict(x), rows(0.0)[1], atol=5 * noise + 1e-8)


FORMS = {  # the form, a law of it in x, and its constants
    "saturation": ("V*x/(K + x)", lambda x: 3.2 * x / (40 + x), {"V": 3.2, "K": 40.0}),
    "oscillation": ("A*exp(-b*x)*cos(w*x)", lambda x: 2 * np.exp(-0.02 * x) * np.cos(0.9 * x), {"A": 2, "b": 0.02}),
    "logistic": ("L/(1 + exp(-k*(x - m)))", lambda x: 7 / (1 + np.exp(-0.2 * (x - 37))), {"L": 7, "m": 37, "k": 0.2}),
    "power": ("a*x**p + c", lambda x: 0.3 * x**1.7 + 5, {"a": 0.3, "p": 1.7, "c": 5}),
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_best_of_many_starts_is_found(name, seed):
    form, law, constants = FORMS[name]
    x = np.random.default_rng(seed).uniform(1, 60, 120)
    found = kw.discover(x[:, None], law(x), names=["x"], form=form, seed=seed, progress=False)
    values = {one.symbol: one.value for one in found.formula.constants}
    for constant, value in constants.items():
        assert values[constant] == pytest.approx(value, rel=1e-6), values


def test_constants_that_the_rows_do_not_determine_are_told():
    x, y = rows(0.01)
    with pytest.warns(kw.KnotworkWarning, match="do not determine 'a', 'b'"):
        found = kw.discover(x, y, form="a*b*x1 + c*x3", progress=False)
    errors = {one.symbol: one.error for one in found.formula.constants}
    assert errors["a"] == errors["b"] == float("inf") > errors["c"]


@pytest.mark.parametrize(
    ("form", "error", "message"),
    [
        ("a*lenght + b", DataError, "did you mean 'length'"),
        ("2*length", DataError, "no unknown constant"),
        ("a + b", DataError, "none of the columns, which are 'length'"),
        ("a*sine(length)", ExpressionError, "Unknown function 'sine'"),
        ("log(-1 - a**2 - length**2)", DataError, "not defined on all rows"),
    ],
)
def test_wrong_forms_are_refused_in_words(form, error, message):
    x = np.linspace(1, 2, 20)
    with pytest.raises(error, match=message):
        kw.discover({"length": x}, x, form=form, progress=False)


def test_groups_share_the_constants_that_the_caller_names():
    rng = np.random.default_rng(1)
    day = np.repeat(["a", "b", "c"], 25)
    x = rng.uniform(0.1, 4, 75)
    y = np.repeat([2.0, 3.0, 5.0], 25) * x / (0.7 + x) + 0.01 * rng.normal(size=75)
    given = {"names": ["x"], "groups": day, "form": "V*x/(K + x)", "progress": False}
    found = kw.discover(x[:, None], y, **given)
    assert set(found.formula.differing) == {"V"} and [one.symbol for one in found.formula.shared] == ["K"]
    free = kw.discover(x[:, None], y, shared=[], **given)
    assert set(free.formula.differing) == {"V", "K"} and not free.formula.shared
    same = kw.discover(x[:, None], y, shared=["V"], **given)
    assert set(same.formula.differing) == {"K"} and same.formula.rmse > found.formula.rmse
    with pytest.raises(DataError, match="no constant of the form 'Q'"):
        kw.discover(x[:, None], y, shared=["Q"], **given)
    with pytest.raises(TrainingError, match="pass groups= and form="):
        kw.discover(x[:, None], y, shared=["K"], progress=False)


def test_an_activation_energy_called_e_is_a_constant_to_be_found():
    T = np.linspace(1, 3, 60)
    found = kw.discover(T[:, None], 2.5 * np.exp(-1.7 / T), names=["T"], form="A*exp(-E/T)", seed=0)
    values = {constant.symbol: constant.value for constant in found.formula.constants}
    assert values["E"] == pytest.approx(1.7)
    assert values["A"] == pytest.approx(2.5)
