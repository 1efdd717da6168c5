"""Names and units of columns: read from headers or given, shown in labels, and kept in copies of a data set."""

import dataclasses
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knotwork.data import Dataset
from knotwork.data.column_names import split_units, with_unit
from knotwork.errors import DataError

ROWS = np.random.default_rng(0).normal(size=(20, 3))


@pytest.mark.parametrize(
    ("header", "name", "unit"),
    [
        ("speed [m/s]", "speed", "m/s"),
        ("speed (m/s)", "speed", "m/s"),
        ("speed[m/s]", "speed", "m/s"),
        (" air speed  [ km h⁻¹ ] ", "air speed", "km h⁻¹"),
        ("k (J/(mol K))", "k", "J/(mol K)"),
        ("humidity [%]", "humidity", "%"),
        ("angle (°)", "angle", "°"),
        ("resistance [Ω]", "resistance", "Ω"),
        ("share [-]", "share", "1"),
        ("share [1]", "share", "1"),
        ("share []", "share", ""),
        ("f(x)", "f(x)", ""),
        ("f(x) [N]", "f(x)", "N"),
        ("x[0]", "x[0]", ""),
        ("run (2)", "run (2)", ""),
        ("[m]", "[m]", ""),
        ("(m)", "(m)", ""),
        ("Z/2 + Z/2", "Z/2 + Z/2", ""),
        ("", "", ""),
    ],
)
def test_a_unit_is_read_from_brackets_at_the_end_of_a_header(header, name, unit):
    assert split_units([header]) == ((name,), {name: unit} if unit else {})


WORDS = st.text("abcxyz_0123456789 äß", min_size=1).map(str.strip).filter(bool)


@given(st.dictionaries(WORDS, st.sampled_from(["m", "m/s²", "kg·m", "%", "°C"]), min_size=1, max_size=5))
def test_headers_made_of_names_and_units_are_split_into_them_again(units):
    assert split_units([with_unit(name, units) for name in units]) == (tuple(units), units)


def test_brackets_are_kept_where_names_without_them_would_be_equal():
    headers = ["T (mean)", "T (max)", "p [Pa]"]
    assert split_units(headers) == (("T (mean)", "T (max)", "p"), {"p": "Pa"})


def test_units_come_from_headers_or_from_the_argument():
    frame = pd.DataFrame(ROWS, columns=["speed [m/s]", "mass (kg)", "force [N]"])
    data = Dataset.from_arrays(frame.iloc[:, :2], frame["force [N]"])
    assert (data.input_names, data.target_names) == (("speed", "mass"), ("force",))
    assert data.units == {"speed": "m/s", "mass": "kg", "force": "N"}
    said = Dataset.from_arrays(ROWS[:, :2], ROWS[:, 2], names=["speed", "mass [g]"], units={"mass": "kg", "y": "N"})
    assert said.units == {"mass": "kg", "y": "N"}
    assert [said.label(name) for name in ("speed", "mass", "y")] == ["speed", "mass [kg]", "y [N]"]
    assert Dataset.from_arrays(frame.iloc[:, :2], ROWS[:, 2], units={"mass": ""}).units == {"speed": "m/s"}
    assert "2 inputs speed [m/s], mass [kg] -> force [N];" in repr(data)


def test_copies_keep_the_units_of_their_columns():
    data = Dataset.from_arrays(ROWS[:, :2], ROWS[:, 2], units={"x_1": "m", "y": "N"})
    assert data.select(["x_2"]).units == {"y": "N"}
    assert pickle.loads(pickle.dumps(data)).units == data.units
    assert dataclasses.replace(data, units={"x_2": "s"}).label("x_2") == "x_2 [s]"


def test_scaled_inputs_are_not_labelled_with_a_unit():
    data = Dataset.from_arrays(ROWS[:, :2], ROWS[:, 2], units={"x_1": "m", "y": "N"}, scale="range")
    assert (data.label("x_1"), data.label("y")) == ("x_1 (scaled)", "y [N]")
    assert data.units["x_1"] == "m"  # what scaling.undo gives


def test_headers_of_test_rows_may_have_units_too():
    train, test = (pd.DataFrame(ROWS[:, :2], columns=names) for names in (["a [m]", "b"], ["b", "a [m]"]))
    with pytest.raises(DataError, match="The columns of X_test are in another order"):
        Dataset.from_arrays(train, ROWS[:, 2], X_test=test, y_test=ROWS[:, 2])


@pytest.mark.parametrize(
    ("units", "said"),
    [
        ({"sped": "m/s"}, "There is no column 'sped': did you mean 'speed'"),
        ({"speed": 3}, "The unit of 'speed' has type int: give text such as 'm/s'"),
        ("m/s", "units='m/s' is not understood: give them by column, such as units={'speed': 'm/s'}"),
    ],
)
def test_impossible_units_are_refused(units, said):
    with pytest.raises(DataError, match=said):
        Dataset.from_arrays(ROWS[:, :2], ROWS[:, 2], names=["speed", "mass"], units=units)


def test_a_label_of_an_unknown_column_is_refused():
    with pytest.raises(DataError, match="There is no column 'z'"):
        Dataset.from_arrays(ROWS[:, :2], ROWS[:, 2]).label("z")
