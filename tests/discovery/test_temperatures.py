"""Temperatures in °C and °F, which laws count from absolute zero."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch

import knotwork as kw
from knotwork.data.units import absolute_zero
from knotwork.discovery.column_units import Units
from knotwork.expressions import latex, mathml, number, parse, symbol, text

MERCURY = {
    "temperature": [0, 20, 40, 60, 80, 100, 120, 140, 160, 180, 200, 220, 240, 260, 280, 300, 320, 340, 360],
    "pressure": [0.0002, 0.0012, 0.006, 0.03, 0.09, 0.27, 0.75, 1.85, 4.2, 8.8, 17.3, 32.1, 57, 96, 157, 247, 376,
                 558, 806],
}  # fmt: skip


@pytest.mark.parametrize(
    ("unit", "zero"),
    [
        ("degC", (Fraction("273.15"), "K")), ("°C", (Fraction("273.15"), "K")), ("celsius", (Fraction("273.15"), "K")),
        ("deg C", (Fraction("273.15"), "K")), ("degF", (Fraction("459.67"), "degR")), ("K", None), ("m", None),
        ("banana", None), ("1", None), ("delta_degC", None), ("J/degC", None),
    ],
)  # fmt: skip
def test_units_with_another_zero_than_absolute_zero_are_known(unit, zero):
    assert absolute_zero(unit) == zero


@pytest.mark.parametrize("scale", [False, "standard"])
def test_columns_from_absolute_zero_and_back_are_the_same(scale):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {"T [degC]": rng.uniform(-40, 90, 60), "F [degF]": rng.uniform(-40, 90, 60), "p": rng.uniform(size=60)}
    )
    data = kw.Dataset.from_arrays(X, X["p"], scale=scale, target_names="y")
    units = Units.of(data, absolute=True)
    assert dict(units.zeros) == {"T": Fraction("273.15"), "F": Fraction("459.67")} and not units.usual
    assert not Units.of(data).zeros
    inside = units.rows(data)
    own = data.X_train if data.scaling is None else data.scaling.undo(data.X_train)
    kelvin = inside.X_train if inside.scaling is None else inside.scaling.undo(inside.X_train)
    torch.testing.assert_close(kelvin, own + torch.tensor([273.15, 459.67, 0.0]))
    assert dict(inside.units) == {"T": "K", "F": "degR"}
    law = parse("exp(-5.5/T)*F + p", ["T", "F", "p"])
    assert text(units._own(law)) == "p + (F + 459.67)*exp(-5.5/(T + 273.15))"
    assert units.inside(units._own(law)) == law


def test_columns_below_absolute_zero_keep_their_own_zero():
    X = pd.DataFrame({"T [degC]": np.linspace(-300, 10, 40)})
    assert not Units.of(kw.Dataset.from_arrays(X, X["T [degC]"], target_names="y"), absolute=True).zeros


def test_the_vapour_pressure_of_mercury_follows_a_law_in_kelvin():
    X = pd.DataFrame({"temperature [degC]": MERCURY["temperature"]})
    y = pd.Series(MERCURY["pressure"], name="pressure [mmHg]")
    found = kw.discover(X, y, progress=False)
    written = text(found.formula.expression)
    assert "temperature + 273.15" in written and "exp(" in written
    assert "temperature + 273.15" in found.remarks["Temperatures"]
    errors = np.log(found.predict(X) / y)[3:]  # the first three pressures have one or two digits
    assert np.sqrt(np.mean(errors**2)) < 0.05
    heat = 8.314 * 1e-3 * -np.gradient(np.log(found.predict(X)), 1 / (np.array(MERCURY["temperature"]) + 273.15))
    assert 55 < heat[10] < 65  # heat of vaporisation of mercury: 59 to 61 kJ/mol


@pytest.mark.parametrize("unit", ["degC", "degF"])
def test_a_straight_line_keeps_the_zero_of_its_unit(unit):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({f"T [{unit}]": rng.uniform(-10, 40, 40)})
    y = 0.7 * X.iloc[:, 0].to_numpy() + 331.3 + 0.01 * rng.normal(size=40)
    found = kw.discover(X, y, progress=False, time_budget=4)
    assert "273.15" not in text(found.formula.expression) and "459.67" not in text(found.formula.expression)
    assert "Temperatures" not in found.remarks and found.formula.r2 > 0.999


def test_hundredths_are_written_as_decimals():
    law = number(2.5) / (symbol("T") + parse("5463/20", []))
    assert text(law) == "2.5/(T + 273.15)" and "273.15" in latex(law) and "273.15" in "".join(mathml(law))
    assert text(parse("3/4*x", ["x"])) == "3*x/4"
    assert parse(text(law), ["T"]).subs("T", 1).evalf() == pytest.approx(float(law.subs(symbol("T"), 1)))
