"""CSV files as people and instruments write them: comments, titles, units under the names, separators, encodings."""

import warnings

import pandas as pd
import pytest

from knotwork.data.csv_layout import units_row
from knotwork.data.table_files import read_file
from knotwork.errors import KnotworkWarning

ROWS = [(0.5, 1.0, 2.5), (1.5, 4.0, 3.5), (2.5, 9.0, 7.25), (3.5, 16.0, 1.0)]
WANTED = pd.DataFrame(ROWS, columns=["t", "x", "y"])


def lines(separator=",", rows=ROWS):
    return "".join(separator.join(map(str, row)) + "\n" for row in rows)


def read(tmp_path, content, name="table.csv", **options):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KnotworkWarning)
        return read_file(path, **options)


LAYOUTS = {
    "plain": "t,x,y\n" + lines(),
    "comments above": "# made by hand\n# on Monday, twice\nt,x,y\n" + lines(),
    "comments between": "# a\nt,x,y\n" + lines(rows=ROWS[:2]) + "# a break, 1, 2\n" + lines(rows=ROWS[2:]),
    "percent comments": "% by MATLAB\nt,x,y\n" + lines(),
    "names in a comment": "# by numpy.savetxt\n# t,x,y\n" + lines(),
    "title": "Experiment 12\n\nt,x,y\n" + lines(),
    "title of a spreadsheet": "Experiment 12,,\n,,\nt,x,y\n" + lines(),
    "titles with commas": "Run 12, by A, B, C, D\nBench 3\nt,x,y\n" + lines(),
    "titles above semicolons": "Instrument: X-3\n\nt;x;y\n" + lines(";").replace(".", ","),
    "empty lines": "\n\nt,x,y\n\n" + lines(),
    "semicolons": "t;x;y\n" + lines(";"),
    "semicolons and decimal commas": "t;x;y\n" + lines(";").replace(".", ","),
    "tabs": "t\tx\ty\n" + lines("\t"),
    "bars": "t|x|y\n" + lines("|"),
    "bars with spaces": "t | x | y\n" + lines(" | "),
    "spaces": "t   x  y\n" + lines("   "),
    "spaces before": "   t   x  y\n" + "".join(f"   {line}\n" for line in lines("  ").splitlines()),
    "mark of UTF-8": "\ufefft,x,y\n" + lines(),
    "UTF-16": ("t\tx\ty\n" + lines("\t")).encode("utf-16"),
    "quotes": '"t","x","y"\n' + lines(),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_table(tmp_path, layout):
    pd.testing.assert_frame_equal(read(tmp_path, LAYOUTS[layout]), WANTED)


def test_text_of_windows_is_read_and_said(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("größe,θ [°C]\n".replace("θ", "t").encode("cp1252") + b"1,2\n3,4\n")
    with pytest.warns(KnotworkWarning, match=r"is not text in UTF-8: it was read as text of Windows \(cp1252\)"):
        assert list(read_file(path).columns) == ["größe", "t [°C]"]


def test_units_under_the_names_are_the_units_of_the_columns(tmp_path):
    frame = read(tmp_path, "t,x,name,y\ns,[m],-,m/s^2\n" + "".join(f"{a},{b},n{a},{c}\n" for a, b, c in ROWS))
    assert list(frame.columns) == ["t [s]", "x [m]", "name", "y [m/s^2]"]
    assert frame["y [m/s^2]"].tolist() == [row[2] for row in ROWS]


@pytest.mark.parametrize(
    "rows",
    [
        [["a", "b"], ["1", "2"], ["3", "4"]],
        [["a", "b"], ["m", "s"], ["p", "q"]],  # letters below: these are categories
        [["a", "b"], ["m", "bananas"], ["3", "4"]],
        [["a", "b"], ["", ""], ["3", "4"]],
        [["a", "b"], ["m", "s"]],
    ],
)
def test_lines_that_are_no_units(rows):
    assert units_row(rows) is None


def test_names_that_would_look_like_numbers_in_a_formula_are_changed(tmp_path):
    frame = read(tmp_path, "x,,2020,y\n1,2,3,4\n5,6,7,8\n")
    assert list(frame.columns) == ["x", "x_1", "x_2020", "y"]


def test_none_may_be_a_category_and_a_missing_number(tmp_path):
    frame = read(tmp_path, "dose,y\nNone,1\nlow,None\nNone,3\n")
    assert frame["dose"].tolist() == ["None", "low", "None"]
    assert frame["y"].tolist() == ["1", "None", "3"]


def test_bars_and_decimal_commas_can_be_asked_for(tmp_path):
    frame = read(tmp_path, "t|y\n1,5|2\n2,5|3\n", separator="|", decimal=",")
    assert frame["t"].tolist() == [1.5, 2.5]
