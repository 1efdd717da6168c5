"""Discoveries of tables as they come: the preparation is kept, saved, and applied to new rows."""

import re

import numpy as np
import pandas as pd
import pytest

import knotwork as kw
from knotwork.discovery import ClassDiscovery, Discovery, GroupedDiscovery
from knotwork.discovery.class_journey import holds_labels
from knotwork.errors import DataError, KnotworkWarning
from knotwork.expressions import latex, parse, symbol, text, variable_names

RNG = np.random.default_rng(3)
ROWS = 120


@pytest.fixture(scope="module")
def table():
    x, kind = RNG.uniform(1, 3, ROWS), np.where(np.arange(ROWS) % 3 == 0, "b", "a")
    table = pd.DataFrame({"name": [f"n{n}" for n in range(ROWS)], "x [m]": x, "kind": kind})
    table["y"] = 3 * x + 2 * (kind == "b")
    table["written"] = [f"{v:.3f} kg" for v in x**2]
    table.loc[[5, 9], "x [m]"] = np.nan
    table.loc[7, "y"] = np.nan
    return table


@pytest.fixture(scope="module")
def found(table):
    with pytest.warns(KnotworkWarning, match="'name' was skipped"):
        return kw.discover(table.drop(columns=["y", "written"]), table["y"], progress=False, units=False)


def test_a_law_with_an_indicator_is_found_and_the_notes_are_shown(found):
    assert found.formula.expression == 3 * symbol("x") + 2 * symbol("kind=b")
    assert "2*[kind=b] + 3*x" in str(found.formula)
    for said in ("'kind' was turned into kind=b", "1 of 120 rows .* 'y' is missing", "2 of 120 rows .* missing: x"):
        assert any(re.search(said, note) for note in found.preparation.notes)
    assert "the table: 'name' was skipped" in str(found)
    assert sum(found.data.rows()) == ROWS - 3


def test_new_rows_are_prepared_as_those_of_the_search(found, tmp_path):
    rows = pd.DataFrame({"kind": ["b", "a"], "x": [1.0, 2.0]})
    np.testing.assert_allclose(found.predict(rows), [5, 6], rtol=1e-9)
    found.save(tmp_path / "law.json")
    again = Discovery.load(tmp_path / "law.json")
    assert again.preparation == found.preparation
    np.testing.assert_array_equal(again.predict(rows), found.predict(rows))
    with pytest.raises(DataError, match=r"the category 'c' .row 1, counting from 0., which no row of the fit had"):
        found.predict(rows.assign(kind=["a", "c"]))
    with pytest.raises(DataError, match="needs every value, but 1 of 2 rows of X have none in 'x'"):
        found.predict(rows.assign(x=[1.0, None]))


def test_outliers_are_numbered_as_in_the_table_that_came(table):
    wrong = table.drop(columns=["written"])
    wrong.loc[60, "y"] *= -1
    with pytest.warns(KnotworkWarning):
        found = kw.discover(wrong.drop(columns="y"), wrong["y"], progress=False, units=False)
    assert [one.row for one in found.outliers] == [60]


def test_a_discovery_of_groups_and_of_classes_keeps_the_preparation(table, tmp_path):
    with pytest.warns(KnotworkWarning, match="its unit is kg"):
        found = kw.discover(
            table[["written", "kind"]],
            table["y"],
            groups="kind",
            form="a*sqrt(written) + b",
            progress=False,
            units=False,
        )
    assert isinstance(found, GroupedDiscovery)
    kept = table.dropna()
    np.testing.assert_allclose(found.predict(kept), kept["y"], atol=2e-3)  # written to three digits
    found.save(tmp_path / "groups.json")
    assert GroupedDiscovery.load(tmp_path / "groups.json").preparation == found.preparation
    with pytest.warns(KnotworkWarning, match="'name' was skipped"):
        classes = kw.discover(
            table[["name", "x [m]", "written"]], np.where(table["written"] > "4", "big", "small"), progress=False,
            units=False, time_budget=3,
        )  # fmt: skip
    assert (classes.predict(kept) == np.where(kept["written"] > "4", "big", "small")).mean() > 0.97
    classes.save(tmp_path / "classes.json")
    assert ClassDiscovery.load(tmp_path / "classes.json").preparation == classes.preparation


def test_plain_numbers_are_searched_as_before():
    x = RNG.uniform(1, 2, (150, 2))
    y = x[:, 0] * x[:, 1]
    arrays = kw.discover(x, y, names=["a", "b"], time_budget=0, progress=False)
    frame = kw.discover(pd.DataFrame(x, columns=["a", "b"]), y, time_budget=0, progress=False)
    assert arrays.preparation is None and frame.preparation is not None and frame.preparation.notes == ()
    assert arrays.formula.expression == frame.formula.expression
    assert np.array_equal(arrays.data.X_train, frame.data.X_train)
    assert np.array_equal(arrays.predict(x), frame.predict(pd.DataFrame({"b": x[:, 1], "a": x[:, 0]})))


def test_an_array_of_one_axis_is_one_input():
    x = np.linspace(1, 2, 40)
    found = kw.discover(x, 3 * x**2, progress=False)
    assert found.formula.expression == 3 * symbol("x_1") ** 2
    np.testing.assert_allclose(found.predict(x), 3 * x**2)


def test_columns_called_by_numbers_do_not_look_like_numbers():
    x = RNG.uniform(1, 2, (40, 2))
    with pytest.warns(KnotworkWarning, match="columns are called x_0 for '0', x_1 for '1'"):
        found = kw.discover(pd.DataFrame(x), x[:, 0] + 1, time_budget=0, progress=False)
    assert set(found.importance) == {"x_0", "x_1"}


@pytest.mark.parametrize(
    ("values", "labels"),
    [(["$1,000", "$2,500"], False), (["1,5", "n/a"], False), (["2020-01-01", "2020-02-01"], False), (["p", "q"], True)],
)
def test_numbers_and_dates_that_are_written_are_no_labels(values, labels):
    assert holds_labels(values) == holds_labels(pd.DataFrame({"y": values})) == labels


@pytest.mark.parametrize("name", ["sex=male", "body mass", "a-b", "2 x", "kind=b (old)", "é=ü"])
def test_names_of_several_words_are_read_back(name):
    expression = 3 * symbol(name) ** 2 + symbol("y")
    written = text(expression)
    assert f"[{name}]" in written
    assert parse(written) == parse(written, [name, "y"]) == expression
    assert set(variable_names(written)) == {name, "y"}
    assert (r"[\text{" in latex(expression)) == ("=" in name)


LINE = pd.DataFrame({"x [m]": np.linspace(1, 2, 40), "z": RNG.uniform(size=40), "y [s]": np.linspace(3, 6, 40)})


@pytest.mark.parametrize("target", ["y", "y [s]", ["y"]])
def test_the_target_may_be_the_name_of_a_column(target, tmp_path):
    LINE.to_csv(tmp_path / "line.csv", index=False)
    for given in (LINE, tmp_path / "line.csv", str(tmp_path / "line.csv"), {**LINE}):
        found = kw.discover(given, target, progress=False)
        assert str(found.formula) == "y = 3*x", given
        assert found.data.target_names == ("y",) and found.data.units["y"] == "s"


def test_names_of_columns_that_are_numbers_are_texts_too():
    table = pd.DataFrame({0: LINE["z"], 1: 2 * LINE["z"]})
    with pytest.warns(KnotworkWarning, match="columns are called x_0 for '0'"):
        found = kw.discover(table, "1", progress=False)
    assert "2*x_0" in str(found.formula)


def test_names_of_several_columns_are_several_targets():
    table = LINE.assign(twice=2 * LINE["z"])
    found = kw.discover(table, ["y", "twice"], progress=False)
    assert [str(one.formula) for one in found.discoveries] == ["y = 3*x", "twice = 2*z"]


def test_labels_in_a_list_are_no_names_of_columns():
    labels = ["x [m]" if z > 0.5 else "z" for z in LINE["z"]]
    assert isinstance(kw.discover(LINE[["x [m]", "z"]], labels, progress=False), ClassDiscovery)


@pytest.mark.parametrize(
    ("table", "target", "said"),
    [
        (LINE, "yy", "no column 'yy'.*did you mean"),
        (LINE.to_numpy(), "y", "y='y' names a column, but those of X have no names"),
        (kw.Dataset.from_arrays(LINE[["z"]], LINE["y [s]"]), "y", "A Dataset holds its target .'y'.: leave out y='y'"),
        ({"x": [1, 2, 3], "y": [1, 2]}, "y", "The columns of X make no table"),
        ("nowhere.csv", "y", "There is no file 'nowhere.csv'"),
    ],
)
def test_names_that_are_not_there_are_refused(table, target, said):
    with pytest.raises(DataError, match=said):
        kw.discover(table, target)


def test_a_file_needs_the_name_of_its_target(tmp_path):
    LINE.to_csv(tmp_path / "line.csv", index=False)
    with pytest.raises(DataError, match=r"is a file: name its target column, as in discover\('.*line.csv', 'y'\)"):
        kw.discover(tmp_path / "line.csv")
