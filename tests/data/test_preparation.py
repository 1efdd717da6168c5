"""Tables as they come: what becomes of each column, the words for it, and the same for new rows."""

import datetime
import json
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knotwork.data import Dataset, Preparation
from knotwork.data.preparation import prepare
from knotwork.data.preparation.written_dates import format_of
from knotwork.data.preparation.written_numbers import NumberStyle, style_of
from knotwork.data.table_files import choose, read_file
from knotwork.errors import DataError

DAYS = ["2020-03-01", "2020-03-04", "2020-03-11", "2020-03-12"]


def prepared(*values, name="a", **options):
    """The one column that a column of these values becomes, and the notes."""
    preparation = Preparation.of({name: list(values)}, **options)
    return preparation.apply({name: list(values)}), preparation.notes


WRITTEN = {
    ("plain", "."): "{:.3f}",
    ("exponents", "."): "{:.6e}",
    ("comma", ","): "{:.4f}",  # three digits after every comma would be thousands
    ("thousands", ","): "{:,.3f}",
    ("percent", "%"): "{:.3f} %",
    ("dollars", "$"): "${:,.2f}",
    ("unit", "kg"): "{:.3f} kg",
}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.01, 1e6), min_size=3, max_size=12), st.sampled_from(sorted(WRITTEN)), st.booleans())
def test_numbers_are_read_as_they_are_written(values, how, negative):
    """Each way of writing numbers gives the numbers back, as Python rounds them to the digits written."""
    values = [-value if negative and n % 2 else value for n, value in enumerate(values)]
    texts = [WRITTEN[how].format(value).replace("$-", "-$") for value in values]
    wanted = [float(text.replace(",", "").strip("$kg %").replace("-$", "-")) for text in texts]
    if how[0] == "comma":
        texts = [text.replace(".", ",") for text in texts]
    style = style_of(texts)
    assert style is not None
    assert [style.value(text) for text in texts] == wanted


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        (["1,234", "12,345,678", "3"], [1234, 12345678, 3]),
        (["1.234,5", "12.345.678,25"], [1234.5, 12345678.25]),
        (["1 234,5", "0,5"], [1234.5, 0.5]),
        (["1\u00a0234.5", "12"], [1234.5, 12]),
        (["1'234.5", "12"], [1234.5, 12]),
        (["0,123", "1,234"], [0.123, 1.234]),  # no thousands begin with 0
        (["1,000", "2,500"], [1000, 2500]),  # three digits after every comma are thousands
        (["1,5", "2,25"], [1.5, 2.25]),
        (["−1.5", "+2", "(3)"], [-1.5, 2, -3]),
        (["1e3", "2.5E-2", " .5 "], [1000, 0.025, 0.5]),
        (["12%", "7 %"], [12, 7]),
        (["1.5×10^3", "2 x 10^-2", "3*10^(1)"], [1500, 0.02, 30]),
        (["$3.50", "-$1,000"], [3.5, -1000]),
        (["20 °C", "-5 °C"], [20, -5]),
        (["1.5", "n/a", "?", "-", "2"], [1.5, np.nan, np.nan, np.nan, 2]),
    ],
)
def test_ways_of_writing_numbers(texts, wanted):
    found, _ = prepared(*texts)
    np.testing.assert_array_equal(found.iloc[:, 0], wanted)


@pytest.mark.parametrize(
    "texts", [["1.5", "2,5"], ["1 kg", "2 m"], ["12 bananas"], ["1-2"], ["abc"], ["A1", "B2"], ["1,2,3"], ["--1"], [""]]
)
def test_texts_without_one_style_are_no_numbers(texts):
    assert style_of(texts) is None


def test_a_unit_after_every_number_is_the_unit_of_the_column():
    found, notes = prepared("1.5 kg", "2 kg", "3 kg")
    assert list(found.columns) == ["a [kg]"]
    assert notes == ("'a' was read as numbers: its unit is kg",)
    assert list(prepared("20 %", "30 %", name="share [%]")[0].columns) == ["share [%]"]


def test_numbers_of_any_type_stay_as_they_are_without_a_note():
    """Columns that hold numbers come out equal and in their order, whatever type holds them."""
    table = pd.DataFrame(
        {
            "float": [1.5, 2.5, 4.0],
            "Int64": pd.array([1, 2, 4], dtype="Int64"),
            "bool": [True, False, True],
            "boolean": pd.array([True, False, True], dtype="boolean"),
            "object": pd.Series([1, 2.5, True], dtype=object),
            "text": pd.array(["1.5", "2", "3e1"], dtype="string"),
        }
    )
    preparation = Preparation.of(table)
    assert preparation.notes == ()
    wanted = [[1.5, 1, 1, 1, 1, 1.5], [2.5, 2, 0, 0, 2.5, 2], [4, 4, 1, 1, 1, 30]]
    np.testing.assert_array_equal(preparation.apply(table), wanted)
    assert list(preparation.names) == list(table.columns)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["low", "mid", "high"]), min_size=8, max_size=30))
def test_categories_become_indicators(texts):
    """The indicator of a category is 1 in exactly the rows of it; one category has none."""
    levels = sorted(set(texts))
    table = {"a": texts, "x": np.arange(len(texts)) / 7}
    preparation = Preparation.of(table)
    found = preparation.apply(table)
    if len(levels) == 1:
        assert preparation.notes == (
            f"'a' was skipped: it holds '{levels[0]}' alone, so it tells nothing about the target",
        )
        return
    assert list(found.columns) == [*(f"a={level}" for level in levels[1:]), "x"]
    for level in levels[1:]:
        assert found[f"a={level}"].tolist() == [float(text == level) for text in texts]


def test_indicators_say_what_they_are():
    assert prepared("m", "f", "m", "f")[1] == ("'a' was turned into a=m, which is 1 for m and 0 for f",)
    assert prepared("yes", "no", "yes", "no")[0].columns == ["a=yes"]
    assert prepared("Y", "N", "Y", "N")[0].columns == ["a=Y"]
    said = "'a' was turned into a=q, a=r, each 1 or 0; all are 0 for p"
    assert prepared("p", "q", "r", "p", "q", "r")[1] == (said,)


def test_ordered_categories_are_numbers_in_their_order():
    ordered = pd.Categorical(["low", "high", None, "mid"], ["low", "mid", "high"], ordered=True)
    preparation = Preparation.of({"a": pd.Series(ordered)})
    np.testing.assert_array_equal(preparation.apply({"a": pd.Series(ordered)})["a"], [0, 2, np.nan, 1])
    assert preparation.notes == ("'a' was turned into numbers from 0 in its order, low < mid < high",)
    numbers = pd.Series(pd.Categorical([10, 30, 10], ordered=True))
    assert Preparation.of({"a": numbers}).apply({"a": numbers})["a"].tolist() == [10, 30, 10]


@pytest.mark.parametrize(
    "texts",
    [
        DAYS,
        ["2020/03/01", "2020/03/04", "2020/03/11", "2020/03/12"],
        ["01.03.2020", "04.03.2020", "11.03.2020", "12.03.2020"],
        ["03/01/2020", "03/04/2020", "03/11/2020", "03/12/2020"],  # rising in both orders; the span is shorter so
        ["01/03/2020", "04/03/2020", "11/03/2020", "12/03/2020"],
        ["1 Mar 2020", "4 Mar 2020", "11 Mar 2020", "12 Mar 2020"],
        ["March 1, 2020", "March 4, 2020", "March 11, 2020", "March 12, 2020"],
        [f"{day}T00:00:00+00:00" for day in DAYS],
        [datetime.date.fromisoformat(day) for day in DAYS],
        list(pd.to_datetime(DAYS)),
        list(pd.to_datetime(DAYS).tz_localize("UTC")),
    ],
)
def test_dates_become_days_since_the_first(texts):
    table = {"day": pd.Series(texts), "x": [1, 2, 3, 4]}
    preparation = Preparation.of(table)
    assert preparation.apply(table)["day [d]"].tolist() == [0, 3, 10, 11]
    assert preparation.notes[0].startswith("'day' was turned into days since 2020-03-01")
    later = {"day": pd.Series(["2020-04-01"]), "x": [5]}
    if isinstance(texts[0], str) and texts[0].startswith("2020-"):
        assert preparation.apply(later)["day [d]"].tolist() == [31]


def test_the_unit_of_dates_follows_their_span():
    years = prepared("2000-01-01", "2010-01-01", "2020-01-01")[0]
    assert list(years.columns) == ["a [yr]"]
    np.testing.assert_allclose(years["a [yr]"], [0, 10, 20], atol=0.003)  # days of leap years
    assert prepared("12:30", "13:00", "18:45")[0]["a [h]"].tolist() == [12.5, 13, 18.75]
    hours = prepared("2020-01-01 00:00", "2020-01-01 06:30", "2020-01-01 07:00")[0]
    assert hours["a [h]"].tolist() == [0, 6.5, 7]
    spans = pd.Series(pd.to_timedelta(["1 days", "3 days", None]))
    np.testing.assert_array_equal(Preparation.of({"a": spans}).apply({"a": spans})["a [d]"], [1, 3, np.nan])


@pytest.mark.parametrize("texts", [["2020", "2021"], ["a b", "c d"], ["1.5", "2.5"], ["2020-13-45"], ["3/4"], []])
def test_texts_that_are_no_dates(texts):
    assert format_of(texts) is None


def test_columns_that_name_or_number_the_rows_are_skipped_and_the_note_says_how_to_keep_them():
    table = pd.DataFrame({"id": [4, 5, 6, 7], "name": list("pqrs"), "town": list("abab"), "x": [1.0, 2.0, 4.0, 3.0]})
    preparation = Preparation.of(table)
    assert preparation.names == ("town=b", "x")
    assert preparation.notes[:2] == (
        "'id' was skipped: it numbers the rows. To keep it, name it among the inputs or rename it",
        "'name' was skipped: its 4 texts are all different, as names of rows are",
    )
    assert Preparation.of(table, keep=["id"]).names == ("id", "town=b", "x")
    assert Preparation.of(table.rename(columns={"id": "n"})).names == ("n", "town=b", "x")
    assert Preparation.of(table.assign(id=[4, 4, 5, 5])).names == ("id", "town=b", "x")  # it does not number them
    many = pd.DataFrame({"a": [f"t{n % 20}" for n in range(60)], "x": range(60)})
    said = "'a' was skipped: it holds 20 different texts in 60 rows. To keep it, name it among the inputs, or search"
    assert Preparation.of(many).notes[0].startswith(said)
    assert len(Preparation.of(many, keep=["a"]).names) == 20
    with pytest.raises(DataError, match="'name' cannot be an input, although it was asked for: it holds 99 different"):
        Preparation.of({"name": [f"n{n}" for n in range(99)]}, keep=["name"])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            ["1.5", "2.5", "1.5x", "4"],
            r"'a' holds '1.5x' \(row 2, counting from 0\) among its numbers: correct it, or lea",
        ),
        (
            [1.5, 2.5, 3.5, "oops", "bad"],
            r"'a' holds 'oops' \(row 3, counting from 0, and 1 more such cells\) among its",
        ),
        (
            ["1.5", "2,5", "3.5"],
            r"in different ways: '1.5' \(row 0, .*\) and '2,5' \(row 1, .*\). Write all of them in",
        ),
        (["1 kg", "2 m", "3 kg"], "in different ways: '1 kg' .* and '2 m'"),
        ([1 + 2j, 3 + 0j], "'a' holds complex numbers"),
        ([[1], [2]], r"'a' of X has shape \(2, 1\): a column has one value a row|holds list objects"),
    ],
)
def test_a_column_that_cannot_be_read_names_the_cell(values, said):
    with pytest.raises(DataError, match=said):
        prepared(*values)


def test_new_rows_are_prepared_in_the_same_way():
    table = pd.DataFrame({"sex": ["m", "f"] * 3, "mass [g]": ["1,5", "2,5"] * 3, "name": list("abcdef")})
    preparation = Preparation.of(table)
    found = preparation.apply(pd.DataFrame({"mass": [3.5, "4,5"], "sex": ["f", " m "]}, index=[8, 9]))
    assert found.to_dict("list") == {"sex=m": [0, 1], "mass [g]": [3.5, 4.5]}
    assert list(found.index) == [8, 9]
    again = Preparation.from_dict(json.loads(json.dumps(preparation.to_dict())))
    assert again == preparation
    pd.testing.assert_frame_equal(again.apply(table), preparation.apply(table))
    with pytest.raises(
        DataError, match=r"'sex' holds the category 'x' \(row 1, .*\), which no row of the fit had: its"
    ):
        preparation.apply({"mass": [1, 2], "sex": ["m", "x"]})
    with pytest.raises(DataError, match="X lacks a column: There is no column 'mass': the columns are 'sex'"):
        preparation.apply({"sex": ["m"]})
    with pytest.raises(DataError, match=r"'mass' holds 'a lot' \(row 0, counting from 0\) among its numbers"):
        preparation.apply({"mass": ["a lot"], "sex": ["m"]})
    with pytest.raises(DataError, match=r"predict\(\) needs every value, but 1 of 2 rows of X have none in 'sex'"):
        preparation.complete({"mass": [1, 2], "sex": ["m", None]}, "predict()")
    assert (preparation.source("sex=m"), preparation.source("mass")) == ("sex", "mass")
    with pytest.raises(DataError, match="There is no prepared column 'name'"):
        preparation.source("name")


def test_a_column_that_lacks_most_values_costs_no_rows():
    x = np.arange(10.0)
    table = pd.DataFrame({"x": x, "rare": [1.0, 2.0, *[None] * 8], "some": [None, *x[1:]]})
    found = prepare(table, x)
    assert list(found.X.columns) == ["x", "some"]
    assert found.rows.tolist() == list(range(1, 10))
    assert found.preparation.notes[0].startswith("'rare' was skipped: it lacks 8 of 10 values, and such rows would be")
    assert found.preparation.notes[1] == "1 of 10 rows were left out, as values are missing: some (1)"
    assert prepare(table, x, keep=["rare"]).rows.tolist() == [1]
    filled = prepare(table, x, missing="fill")
    assert filled.X["rare"].tolist() == [1, 2, *[1] * 8]  # the lower one of two medians is a value of the column
    assert len(filled.rows) == 10


def test_gaps_are_filled_with_values_of_the_training_rows(tmp_path):
    """Neither validation nor test rows have a say in what stands in place of a missing value."""
    rng = np.random.default_rng(0)
    x = rng.permutation(400) / 3
    gaps = rng.choice(400, 90, replace=False)
    kind = np.where(rng.uniform(size=400) < 0.55, "p", "q").astype(object)
    table = pd.DataFrame({"x": x, "kind": kind, "z": rng.uniform(size=400), "y": np.arange(400.0)})
    table.loc[gaps, ["x", "kind"]] = None
    table.to_csv(tmp_path / "t.csv", index=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = Dataset.from_csv(tmp_path / "t.csv", "y", missing="fill", seed=5)
    assert data.row_numbers is not None and data.preparation is not None
    train = np.setdiff1d(data.row_numbers[0].numpy(), gaps)
    everywhere = np.concatenate([rows.numpy() for rows in data.row_numbers])
    values = np.concatenate([data.X_train.numpy(), data.X_val.numpy(), data.X_test.numpy()])
    filled = values[np.isin(everywhere, gaps)]
    assert set(filled[:, 0]) == {np.sort(x[train])[(len(train) - 1) // 2]}
    assert set(filled[:, 1]) == {float((kind[train] == "q").mean() > 0.5)}
    new = data.preparation.apply({"x": [None], "kind": [None], "z": [0.5]})
    assert new.iloc[0].tolist() == [*filled[0][:2], 0.5]


def test_missing_values_can_be_refused():
    with pytest.raises(DataError, match="1 rows have missing values, the first of them row 1, counting from 0, in a: "):
        prepare({"a": [1, None, 3]}, [1, 2, 3], missing="error")
    with pytest.raises(DataError, match="None of the 2 rows has all its values: fill the gaps, or pass missing='fill'"):
        prepare({"a": [1, None], "b": [None, 2.0]}, [1, 2], keep=["a", "b"])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1e300, 1e300), min_size=4, max_size=9), st.integers(1, 3))
def test_a_table_of_numbers_comes_out_as_it_went_in(values, columns):
    table = pd.DataFrame({f"x{n}": np.roll(values, n) for n in range(columns)})
    found = prepare(table, table["x0"].rename("y"))
    pd.testing.assert_frame_equal(found.X, table)
    assert found.preparation.notes == ()


def test_the_style_of_missing_texts_alone_is_none():
    assert style_of(["-", "?", "n/a"]) is None
    assert NumberStyle().value("n/a") != NumberStyle().value("n/a")  # NaN
    assert NumberStyle().value("text") is None


def test_wrong_cells_of_a_file_are_named_by_their_line(tmp_path):
    """Comments, empty lines, units and line breaks in quotes are counted as the person sees them in an editor."""
    content = '# made by hand\nname,a,y\n,m,s\n\n"two\nlines",1.5,2\n# again\np,2.5,3\nq,wrong,4\nr,3.5,5\n'
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(DataError, match=r"'a' holds 'wrong' \(line 9 of the file\)"):
        prepare(*choose(read_file(tmp_path / "t.csv"), "y"))
