"""Reading files: accepted formats, and the error message for each file that is not a table."""

import gzip
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from knotwork.data import Dataset, Rows
from knotwork.data.table_files import choose, read_file
from knotwork.errors import DataError, KnotworkWarning

ROWS = "".join(f"{i},{i * i},{i / 7!r}\n" for i in range(10))
GOOD = "a,b,y\n" + ROWS


@pytest.fixture
def file(tmp_path):
    """A function that writes a file and returns its path."""

    def write(content, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        GOOD.replace(",", ", "),
        GOOD.replace("\n", "\r\n"),
        "\ufeff" + GOOD,
        GOOD.replace("a,", '"a",', 1),
    ],
)
def test_csv_dialects_give_the_same_table(file, content):
    frame = read_file(file(content))
    assert list(frame.columns) == ["a", "b", "y"]
    np.testing.assert_allclose(frame["y"], np.arange(10) / 7, rtol=1e-15)


def test_compressed_files_are_read(file):
    assert len(read_file(file(gzip.compress(GOOD.encode()), "table.csv.gz"))) == 10


def test_a_data_set_is_read_from_csv(file):
    path = file(GOOD)
    data = Dataset.from_csv(path, "y", seed=1, test_size=0.3)
    assert (data.input_names, data.target_names, data.title) == (("a", "b"), ("y",), "table.csv")
    assert data.rows() == Rows(train=6, validation=1, test=3)
    assert Dataset.from_csv(str(path), "a", inputs=["y"]).input_names == ("y",)
    assert Dataset.from_csv(path, ["a", "y"]).target_names == ("a", "y")


def test_a_column_of_different_texts_is_skipped_and_said(file):
    path = file("name,a,y\n" + "".join(f"n{i},{i},{i}\n" for i in range(9)))
    assert Dataset.from_csv(path, "y", inputs=["a"]).n_inputs == 1
    with pytest.warns(KnotworkWarning, match="'name' was skipped: its 9 texts are all different, as names of rows are"):
        assert Dataset.from_csv(path, "y").input_names == ("a",)


def test_a_first_column_without_a_name_is_read_as_row_numbers(file):
    pd.DataFrame({"a": [1.5, 2.5], "y": [3, 4]}).to_csv(path := file(""))
    with pytest.warns(KnotworkWarning, match="The first column of '.*' has no name: it is read as row numbers"):
        assert list(read_file(path).columns) == ["a", "y"]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=10))
def test_numbers_are_read_as_they_were_written(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    pd.DataFrame({"a": values, "b": values}).to_csv(path, index=False)
    np.testing.assert_allclose(read_file(path)["a"], values, rtol=1e-15, atol=0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty: a table with column names in its first line is needed"),
        ("\n\n", "is empty"),
        ("a,b,y\n", "has column names but no rows"),
        (ROWS, r"The first line of '.*' holds numbers \(0, 0, 0.0, ...\): name the columns there"),
        ("a,a,y\n" + ROWS, "The column names of '.*' are not unique: 'a' occurs more than once"),
        ("Some prose.\nAnd more.\n", r"has a single column \('Some prose.'\).* by commas, semicolons or tabs"),
        (GOOD + "1,2,3,4\n", "is not a table with the same columns in every line: Expected 3 fields in line 12, saw 4"),
        ("a,b\n" + ROWS, "The lines of '.*' hold more values than its first line has names"),
        ("a,b\n" + ROWS.replace(",", ",,"), "hold more values|is not a table with the same columns"),
        (bytes(range(256)) * 4, "is not text in UTF-8|is a binary file"),
        (b"a,b\0,y\n" + ROWS.encode(), "is a binary file|has no name"),
        ("größe,b,y\n".encode("latin-1") + b"\x81" + ROWS.encode(), "is not text in UTF-8: save the table as CSV"),
    ],
)
def test_files_that_are_not_tables_are_refused(file, content, said):
    with pytest.raises(DataError, match=said):
        read_file(file(content))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.xlsx", b"PK\3\4", "is a spreadsheet: save the sheet as CSV"),
        ("t.csv.gz", b"\x1f\x8b1234", "cannot be read as a table"),
        ("t.parquet", b"PAR1", "is not a Parquet file that can be read"),
    ],
)
def test_other_types_of_files_are_refused(file, name, content, said):
    with pytest.raises(DataError, match=said):
        read_file(file(content, name))


def test_paths_that_are_not_files_are_refused(file):
    path = file(GOOD)
    with pytest.raises(DataError, match=r"There is no file '.*tabel.csv': did you mean 'table.csv'"):
        read_file(path.with_name("tabel.csv"))
    with pytest.raises(DataError, match=r"There is no file '.*other.csv'\.$"):
        read_file(path.with_name("other.csv"))
    with pytest.raises(DataError, match="is a folder without Parquet files: give the path of a CSV or Parquet file"):
        read_file(path.parent)


@pytest.mark.parametrize(
    ("target", "inputs", "said"),
    [
        ("mas", None, "There is no column 'mas': did you mean 'mass'"),
        ("q", None, r"There is no column 'q': the columns are 'mass', 'speed', 'label', 'energy'\."),
        ("energy", ["mass", "sped"], "There is no column 'sped': did you mean 'speed'"),
        ("energy", ["mass", "energy"], "'energy' cannot be both target and input: remove it from inputs="),
        ("energy", [], "No inputs were chosen: name some of 'mass'"),
        ([], None, "No targets were chosen"),
        ("energy", ["mass", "mass"], "The inputs are not unique: 'mass'"),
    ],
)
def test_impossible_choices_of_columns_are_refused(target, inputs, said):
    frame = pd.DataFrame({"mass": [1.0, 2.0], "speed": [3.0, 4.0], "label": ["p", "q"], "energy": [5.0, 6.0]})
    with pytest.raises(DataError, match=said):
        choose(frame, target, inputs)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a,b,y\n1,2,3\n1,inf,4\n5,6,7\n", r"Column 'b' holds an infinite value \(line 3 of the file\): correct it"),
        (
            "a,b,y\n1,2,low\n1,3,high\n5,6,low\n8,9,high",
            "The target 'y' holds the categories 'high', 'low': .* numbers",
        ),
    ],
)
def test_infinite_values_and_texts_as_targets_are_refused(file, content, said):
    with pytest.raises(DataError, match=said):
        Dataset.from_csv(file(content), "y")


def test_rows_with_missing_values_are_left_out_filled_or_refused(file):
    path = file("a,b,y\n1,,3\n1,2,4\n5,6,7\n4,8,\n7,3,5\n")
    options = {"test_size": 0, "validation_size": 0}
    with pytest.warns(KnotworkWarning, match="1 of 5 rows .* 'y' is missing; 1 of 5 rows .* missing: b"):
        assert sorted(Dataset.from_csv(path, "y", **options).X_train[:, 1].tolist()) == [2, 3, 6]
    with pytest.warns(KnotworkWarning, match="missing values were filled with the median .*: b"):
        assert sorted(Dataset.from_csv(path, "y", missing="fill", **options).X_train[:, 1].tolist()) == [2, 3, 3, 6]
    with pytest.raises(DataError, match="2 rows have missing values, the first of them line 2 of the file, in b: pass"):
        Dataset.from_csv(path, "y", missing="error")
    with pytest.raises(DataError, match="missing='mean' is not possible: give one of 'drop', 'fill', 'error'"):
        Dataset.from_csv(path, "y", missing="mean")


def test_a_plain_table_is_read_without_a_warning(file):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = Dataset.from_csv(file(GOOD), "y", test_size=0, validation_size=0)
    rows = sorted(torch.cat([data.X_train, data.y_train], 1).tolist())
    assert rows == [[i, i * i, i / 7] for i in range(10)]


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (GOOD.replace(",", ";"), "separator=';'", "semicolons between its values"),
        (GOOD.replace(",", "\t"), "separator='\\t'", "tabs between its values"),
        (
            GOOD.replace(",", ";").replace(".", ","),
            "separator=';' and decimal=','",
            "semicolons between its values and decimal commas (0,0 is 0.0)",
        ),
        ("Weg [m];Zeit, gemessen [s];y\n" + ROWS.replace(",", ";"), "separator=';'", "semicolons between its values"),
    ],
)
def test_a_warning_says_how_a_file_was_read_and_which_options_avoid_it(file, content, options, said):
    path = file(content)
    with pytest.warns(KnotworkWarning) as caught:
        found = read_file(path)
    assert str(caught[0].message) == f"'{path}' was read with {said}; pass {options} to read it without this warning."
    np.testing.assert_allclose(found["y"], np.arange(10) / 7, rtol=1e-15)
    chosen = dict(option.split("=") for option in options.split(" and "))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        given = read_file(path, **{name: value.strip("'").replace("\\t", "\t") for name, value in chosen.items()})
    pd.testing.assert_frame_equal(found, given)


def test_tabs_in_a_tsv_file_give_no_warning(file):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read_file(file(GOOD.replace(",", "\t"), "table.tsv"))) == 10


def test_decimal_commas_are_read_with_and_without_the_option_decimal(file):
    path = file('a,y\n"1,5",2\n"2,5",3\n"3,5",4\n')
    with pytest.warns(KnotworkWarning, match="'a' was read as numbers: 1,5 is 1.5"):
        assert sorted(Dataset.from_csv(path, "y", test_size=0, validation_size=0).X_train[:, 0]) == [1.5, 2.5, 3.5]
    assert read_file(path, decimal=",")["a"].tolist() == [1.5, 2.5, 3.5]


def test_decimal_commas_in_late_rows_are_read(file):
    path = file("a;y\n" + "1;2\n1;3\n" * 25 + "1,5;2\n")
    with pytest.warns(KnotworkWarning, match="semicolons|1,5 is 1.5"):
        assert Dataset.from_csv(path, "y", test_size=0, validation_size=0).X_train.max() == 1.5
    assert read_file(path, ";", ",")["a"].max() == 1.5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"decimal": ";"}, "decimal=';' is not possible: give '.' or ','."),
        ({"separator": ""}, "separator='' is not possible: give one character such as"),
        ({"separator": ",", "decimal": ","}, "separator=',' is not possible"),
    ],
)
def test_impossible_separators_are_refused(file, options, said):
    with pytest.raises(DataError, match=said):
        read_file(file(GOOD), **options)


def test_columns_can_be_chosen_with_or_without_their_units(file):
    path = file("speed [m/s],mass (kg),force [N]\n" + ROWS)
    with_units = Dataset.from_csv(path, "force [N]", ["mass (kg)"])
    without = Dataset.from_csv(path, "force", ["mass"])
    assert with_units.input_names == without.input_names == ("mass",)
    assert with_units.units == without.units == {"mass": "kg", "force": "N"}
    with pytest.raises(DataError, match="There is no column 'forse': did you mean 'force'"):
        Dataset.from_csv(path, "forse")
    with pytest.raises(DataError, match="The inputs are not unique"):
        Dataset.from_csv(path, "force", ["mass", "mass (kg)"])


def test_a_million_rows_are_read(file):
    """Columns are converted as a whole; a loop over entries would take a minute."""
    x = np.arange(1_000_000) / 8
    pd.DataFrame({"a": x, "b": x > 5, "y": -x}).to_csv(path := file(""), index=False)
    data = Dataset.from_csv(path, "y", test_size=0, validation_size=0)
    assert data.rows().train == 1_000_000
    assert float(data.X_train[:, 0].sum()) == x.sum()
