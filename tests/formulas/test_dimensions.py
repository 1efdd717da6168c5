"""Dimensionless groups of inputs have no unit, and formulas are checked for consistent units."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import knotwork as kw
from knotwork.data.units import Unit, base_units, unit_of
from knotwork.discovery.entries import built, entry_of
from knotwork.errors import DataError
from knotwork.expressions import parse, solve_exactly
from knotwork.formulas.agreement import agreement
from knotwork.formulas.dimensions import Dimensions
from knotwork.regression import group_choices, inputs_of_groups

POWERS = st.fractions(-3, 3, max_denominator=2)
MATRICES = st.integers(1, 4).flatmap(
    lambda bases: st.lists(st.lists(POWERS, min_size=bases, max_size=bases), min_size=1, max_size=6)
)


def dimensions_of(matrix, target):
    """Dimensions of inputs x0, x1, ... and of a target, as powers of the base units a, b, ..."""

    def unit(powers):
        return Unit({name: p for name, p in zip("abcd", powers, strict=False) if p}, 1.0)

    return Dimensions({f"x{n}": unit(row) for n, row in enumerate(matrix)}, unit(target))


def total(powers, dimensions):
    """The unit of a product of powers, by adding the powers of its factors."""
    found = {}
    for name, p in powers.items():
        for base, power in dimensions.inputs[name].powers.items():
            found[base] = found.get(base, 0) + p * power
    return {base: power for base, power in found.items() if power}


@given(MATRICES, st.lists(st.integers(-2, 2), min_size=6, max_size=6), st.integers(0, 2**20))
@settings(deadline=None, max_examples=60)
def test_groups_are_dimensionless_and_the_target_scale_has_the_unit_of_the_target(matrix, mixture, seed):
    target = [sum(c * row[b] for c, row in zip(mixture, matrix, strict=False)) for b in range(len(matrix[0]))]
    dimensions = dimensions_of(matrix, target)
    generator = torch.Generator().manual_seed(seed)
    columns = {n: torch.rand(5, generator=generator, dtype=torch.float64) + 0.5 for n in dimensions.inputs}
    rank = np.linalg.matrix_rank(np.array(matrix, dtype=float))
    choices = group_choices(dimensions, columns)
    assume(choices)  # there is none where a power would be too large
    for choice in choices:
        assert total(choice.target_scale, dimensions) == dimensions.target.powers
        assert all(total(group, dimensions) == {} for group in choice.groups)
        assert len(choice.groups) == len(matrix) - rank
        table = [[float(group.get(name, 0)) for name in columns] for group in choice.groups]
        assert not table or np.linalg.matrix_rank(np.array(table)) == len(table)


@given(MATRICES, st.lists(POWERS, min_size=6, max_size=6))
@settings(deadline=None)
def test_linear_systems_are_solved_exactly_or_have_no_solution(columns, mixture):
    combined = [sum(c * column[b] for c, column in zip(mixture, columns, strict=False)) for b in range(len(columns[0]))]
    outside = [*columns[0][:-1], columns[0][-1] + 1]
    found, other, zero = solve_exactly(columns, [combined, outside, [Fraction(0)] * len(combined)])
    assert zero == [0] * len(columns)
    for solution, wanted in ((found, combined), (other, outside)):
        if solution is not None:
            assert [sum(c * v[b] for c, v in zip(solution, columns, strict=True)) for b in range(len(wanted))] == wanted
    assert found is not None
    ranks = [np.linalg.matrix_rank(np.array(rows, dtype=float)) for rows in (columns, [*columns, outside])]
    assert (other is not None) == (ranks[0] == ranks[1])


def test_the_dimensionless_groups_of_a_pendulum_with_its_amplitude():
    units = {"length": "m", "gravity": "m/s^2", "mass": "kg", "swing": "°"}
    dimensions = Dimensions({name: unit_of(unit) for name, unit in units.items()}, unit_of("s"))
    columns = {name: torch.linspace(0.1, 1, 9, dtype=torch.float64) for name in units}
    assert dimensions.unused(list(units)) == ["mass"]
    assert inputs_of_groups(dimensions, {"length": 0.9, "gravity": 0.001, "mass": 0.002, "swing": 0.097}, 0.01) == [
        "length", "gravity", "swing",
    ]  # fmt: skip
    (one,) = group_choices(dimensions, {name: columns[name] for name in ("length", "gravity", "swing")})
    assert one.target_scale == {"length": Fraction(1, 2), "gravity": Fraction(-1, 2)}
    assert one.groups == ({"swing": 1},)
    np.testing.assert_allclose(one.group_values(columns)[0], columns["swing"] * math.pi / 180)


def test_inputs_with_zeros_are_not_in_a_scaling_base_and_signs_are_kept():
    units = {"x": "m", "y": "m", "a": "m^2"}
    dimensions = Dimensions({name: unit_of(unit) for name, unit in units.items()}, unit_of("m"))
    columns = {"x": torch.tensor([-1.0, 0.0, 2.0]), "y": torch.tensor([-1.0, 3.0, 2.0]), "a": torch.tensor([0.0, 1, 2])}
    assert [choice.target_scale for choice in group_choices(dimensions, columns)] == [{"y": 1}]
    assert group_choices(dimensions, {"x": columns["x"]}) == []
    columns["a"] = torch.tensor([1.0, -2.0, 3.0])  # no root of these exists
    assert [choice.target_scale for choice in group_choices(dimensions, columns)] == [{"y": 1}]
    columns["a"] = torch.tensor([1.0, 2.0, 3.0])
    assert {"y": 1, "a": Fraction(-1, 2)} in group_choices(dimensions, columns)[
        -1
    ].groups  # a square would lose the sign


@pytest.mark.parametrize(
    ("text", "expected", "factor"),
    [
        ("m/s", "m/s", 1),
        ("km h⁻¹", "m/s", 1 / 3.6),
        ("m s-1", "m/s", 1),
        ("m s−1", "m/s", 1),
        ("kg·m²", "kg m^2", 1),
        ("J kg-1 K-1", "m^2/(s^2 K)", 1),
        ("W m-2", "kg/s^3", 1),
        ("N·m²/kg²", "m^3/(kg s^2)", 1),
        ("%", "1", 0.01),
        ("°", "1", math.pi / 180),
        ("rad", "1", 1),
        ("1", "1", 1),
        ("-", "1", 1),
        ("m^0.5", "m^(1/2)", 1),
        ("mmHg", "kg/(m s^2)", 133.322387415),
    ],
)
def test_units_are_understood(text, expected, factor):
    unit = unit_of(text)
    assert base_units(unit.powers) == expected
    assert unit.factor == pytest.approx(factor, rel=1e-12)


@pytest.mark.parametrize(
    "text", ["people", "pH", "a.u.", "9**9**9", "m^1000", "(", "m/", "__import__('os')", "x" * 99, "bar(g)", "RH"]
)
def test_an_unknown_unit_raises_an_error_with_its_name(text):
    with pytest.raises(DataError, match=r"The unit .* is not known"):
        unit_of(text)


@pytest.mark.parametrize("text", ["°C", "dB", "dB/m", "mV/dB"])
def test_units_with_an_offset_and_logarithmic_units_are_refused(text):
    with pytest.raises(DataError, match=r"has an offset or is logarithmic.*°C to K"):
        unit_of(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2*pi*sqrt(l/g)", "units agree"),
        ("sin(a)*t", "units agree"),
        ("abs(t)", "units agree"),
        ("sqrt(l_cm/g) + t", "units agree"),
        ("2.006*sqrt(l)", "units agree if 2.006 has the unit s/m^(1/2)"),
        ("2*sqrt(l)", "units agree if 2 has the unit s/m^(1/2)"),
        ("0.2006*sqrt(l_cm)", "units agree if 0.2006 stands for 2.006 s/m^(1/2)"),
        ("1.2*exp(0.3*t)", "units agree if 1.2 has the unit s and 0.3 has the unit 1/s"),
        ("t*(1 + 1.5*l)", "units agree if 1.5 has the unit 1/m"),
        ("t + 0.1", "units agree if 0.1 has the unit s"),
        ("l + m", "units do not agree: l is in m, but m in kg"),
        ("t*exp(l)", "units do not agree: exp takes a pure number, but l is in m"),
        ("t**a", "units do not agree: a power takes a pure number, but t is in s"),
        ("t**2", "units do not agree: T is in s, but the formula in s^2"),
        ("max(t, l)", "units do not agree: l is in m, but t in s"),
        ("exp(0.5*a)", "units do not agree: T is in s, but the formula a pure number"),
        ("t*(3*log(l) + 2.1)", "units agree"),
        ("t*(log(l) - log(l_cm))", "units agree"),
        ("t*(log(l) - log(m))", "units do not agree: log(l) - log(m) takes a pure number, but that is in m/kg"),
        ("t*(log(l) + a)", "units do not agree: log(l) takes a pure number, but that is in m"),
        ("sign(l)*t", "units agree"),
        ("2*sqrt(l) + 2*m", "units agree if a 2 has the unit s/kg and a 2 has the unit s/m^(1/2)"),
        ("8.2*t*m**1.004", "units do not agree: m to the power 1.004 takes a pure number, but it is in kg"),
    ],
)
def test_formulas_are_checked_for_consistent_units(text, words):
    units = {"l": "m", "g": "m/s^2", "m": "kg", "a": "rad", "t": "s", "l_cm": "cm"}
    dimensions = Dimensions({name: unit_of(unit) for name, unit in units.items()}, unit_of("s"))
    found = agreement(parse(text), dimensions, "T")
    assert str(found) == words
    assert found.agree == words.startswith("units agree") and found.strict == (words == "units agree")


def pendulum(length="m", rows=200, seed=0):
    """Periods of pendulums, measured to 0.02 s, for several masses and the gravity of several planets."""
    rng = np.random.default_rng(seed)
    l, g, m = rng.uniform(0.1, 2, rows), rng.uniform(3, 25, rows), rng.uniform(0.1, 1, rows)
    period = 2 * np.pi * np.sqrt(l / g) + 0.02 * rng.normal(size=rows)
    X = np.column_stack([l / unit_of(length).factor, g, m])
    return {"X": X, "y": period, "names": ["l", "g", "m"]}, {"l": length, "g": "m/s^2", "m": "kg", "y": "s"}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_law_of_the_pendulum_is_found_from_200_noisy_rows_without_its_mass(seed):
    table, units = pendulum(seed=seed)
    found = kw.discover(**table, units=units, seed=seed)
    assert (found.formula.expression / parse("2*pi*sqrt(l/g)")).equals(1)
    assert str(found.formula.units[0]) == "units agree"


def test_other_units_change_constants_only():
    forms = []
    for length in ("m", "cm", "km"):
        table, units = pendulum(length)
        found = kw.discover(**table, units=units)
        assert "units agree" in str(found.formula.units[0])
        forms.append(found.formula.expression)
    for form, scale in zip(forms, (1, 100, 0.001), strict=True):
        ratio = (form / forms[0].xreplace({parse("l"): parse("l") / scale})).evalf(12, subs={"l": 2, "g": 3})
        assert float(ratio) == pytest.approx(1, rel=1e-9)


def test_a_law_is_found_with_its_constant_as_a_column_or_unknown():
    rng = np.random.default_rng(0)
    m1, m2, r = rng.uniform(1, 5, (3, 200))
    G = np.full(200, 6.674e-11)
    F = G * m1 * m2 / r**2
    units = {"m1": "kg", "m2": "kg", "r": "m", "F": "N"}
    with pytest.warns(kw.KnotworkWarning, match="'G' is constant"):
        data = kw.Dataset.from_arrays(
            np.column_stack([G, m1, m2, r]), F, names=["G", "m1", "m2", "r"], target_names="F",
            units={**units, "G": "m^3/kg/s^2"},
        )  # fmt: skip
    assert kw.discover(data).formula.expression == parse("G*m1*m2/r**2")
    hidden = kw.Dataset.from_arrays(
        np.column_stack([m1, m2, r]), F, names=["m1", "m2", "r"], target_names="F", units=units
    )
    found = kw.discover(hidden).formula
    assert (found.expression / parse("m1*m2/r**2")).is_number
    assert str(found.units[0]) == "units agree if 6.674e-11 has the unit m^3/(kg s^2)"


def test_an_unknown_unit_is_reported_and_the_search_continues():
    table, units = pendulum()
    said = "Column 'm': The unit 'stone wheels' is not known: write one such as m/s.* The search goes on without units"
    with pytest.warns(kw.KnotworkWarning, match=said):
        found = kw.discover(**table, units={**units, "m": "stone wheels"})
    assert found.formula.units == () and found.formula.r2 > 0.9


@pytest.mark.parametrize("known", [{"linear": ["l"]}, {"forbid": ["sqrt"]}])
def test_constraints_also_hold_in_the_search_with_dimensionless_groups(known):
    """The true law is not allowed, so the search in groups explains nothing and the usual search follows."""
    table, units = pendulum()
    with_units = kw.discover(**table, units=units, **known, time_budget=20)
    without = kw.discover(**table, units=False, **known, time_budget=20)
    assert with_units.formula.rmse <= 1.02 * without.formula.rmse


def test_a_missing_unit_among_the_specified_ones_is_reported():
    table = pendulum()[0]
    with pytest.warns(kw.KnotworkWarning, match="'y' has no unit; pure numbers have 1. The search goes on"):
        kw.discover(**table, units={"l": "m", "g": "m/s^2", "m": "kg"}, time_budget=0)
    with pytest.raises(DataError, match="units=True is not understood"):
        kw.discover(**table, units=True)


def test_units_can_be_excluded_from_the_search_and_are_checked_afterwards():
    table, units = pendulum()
    data = kw.Dataset.from_arrays(**table, units=units)

    def search(**options):
        stages = set()
        found = kw.discover(data, callback=lambda event: stages.add(event.stage), time_budget=0, **options)
        return found, any("unit" in stage for stage in stages)

    assert search()[1]
    found, searched_with_units = search(units=False)
    assert not searched_with_units
    assert len(found.formula.units) == 1
    with pytest.raises(DataError, match="There is no column 'mass'"):
        kw.discover(data, units={"mass": "kg"})


@pytest.mark.parametrize(("text", "unit", "longer"), [("a", "m", 0), ("1.5*a", "s", 1), ("a", "s", 4)])
def test_a_formula_with_inconsistent_units_counts_as_longer(text, unit, longer):
    X = np.random.default_rng(0).uniform(1, 2, (100, 1))
    bits = []
    for units in (None, {"a": "m", "y": unit}):
        data = kw.Dataset.from_arrays(X, X[:, 0] ** 2, names=["a"], units=units, seed=0)
        symbolic, spline, formula = built(parse(text), data)
        bits.append(entry_of(formula, symbolic, spline, "", data, False).bits)
    assert bits[1] - bits[0] == pytest.approx(longer * math.log2(80))


def test_of_two_equal_inputs_the_one_with_the_right_unit_is_chosen():
    rng = np.random.default_rng(0)
    a = rng.uniform(1, 2, 200)
    y = 2 * a + 0.01 * rng.normal(size=200)
    for units in ({"a": "s", "b": "m", "y": "m"}, {"a": "m", "b": "s", "y": "m"}):
        found = kw.discover(np.column_stack([a, a]), y, names=["a", "b"], units=units)
        right = next(name for name in "ab" if units[name] == "m")
        assert {str(s) for s in found.formula.expression.free_symbols} == {right}
        assert found.formula.units[0].strict
