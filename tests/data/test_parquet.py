"""Parquet: a table gives the same data set as in CSV, for all types of numbers; other files raise errors."""

import datetime
import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from knotwork.data import Dataset
from knotwork.data.table_files import read_file
from knotwork.errors import DataError, KnotworkWarning

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)


def same(one, other):
    parts = [f"{axis}_{part}" for axis in "Xy" for part in ("train", "val", "test")]
    return all(torch.equal(getattr(one, part), getattr(other, part)) for part in parts) and (
        (one.input_names, one.target_names, one.units) == (other.input_names, other.target_names, other.units)
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(FINITE, st.integers(-99, 99), st.booleans(), FINITE), min_size=4, max_size=20), st.data())
def test_csv_and_parquet_of_one_table_give_equal_data_sets(tmp_path_factory, rows, data):
    folder = tmp_path_factory.mktemp("tables")
    frame = pd.DataFrame(rows, columns=["speed [m/s]", "count", "flag", "force (N)"])
    frame.to_csv(folder / "t.csv", index=False)
    frame.to_parquet(folder / "t.parquet", row_group_size=data.draw(st.integers(1, 9)))
    options = {"seed": data.draw(st.integers(0, 9)), "test_size": 0.25, "validation_size": 0.25}
    frame.to_csv(folder / "t.csv.gz", index=False)
    csv, zipped, parquet = (
        Dataset.from_csv(folder / name, "force", **options) for name in ("t.csv", "t.csv.gz", "t.parquet")
    )
    assert same(csv, parquet)
    assert same(csv, zipped)
    assert same(csv, Dataset.from_parquet(folder / "t.parquet", "force", **options))
    assert csv.units == {"speed": "m/s", "force": "N"}


# random rows may have a constant column; its warning does not matter here
pytestmark = pytest.mark.filterwarnings("ignore:.*is constant over the training rows:knotwork.KnotworkWarning")


@pytest.mark.parametrize(
    "kind",
    [
        pa.int8(),
        pa.uint64(),
        pa.float16(),
        pa.float32(),
        pa.decimal128(9, 2),
        pa.bool_(),
        pa.int64(),
    ],
    ids=str,
)
def test_every_type_of_number_is_read(tmp_path, kind):
    values = [0, 1, 1, 0, 1, 0, 0, 1, 1]
    make = decimal.Decimal if pa.types.is_decimal(kind) else np.float16 if kind == pa.float16() else int
    column = pa.array([make(v) for v in values]).cast(kind)
    pq.write_table(pa.table({"a": column, "y": [float(v) for v in values]}), tmp_path / "t.parquet")
    data = Dataset.from_parquet(tmp_path / "t.parquet", "y")
    assert torch.equal(data.X_train, data.y_train) and data.X_train.dtype == torch.float64


DAY, LATER = datetime.date(2020, 1, 31), datetime.date(2020, 2, 9)
COLUMNS = [
    (pa.array([1, None, 3, 4]), "1 of 4 rows were left out, as values are missing: a \\(1\\)"),
    (pa.array([1.0, None, 3.0, 4.0]), "1 of 4 rows were left out"),
    (pa.array([True, None, False, True]), "1 of 4 rows were left out"),
    (pa.array([decimal.Decimal(1), None, decimal.Decimal(3), None]), "2 of 4 rows were left out"),
    (pa.array(["red", "green", "red", "red"]), "'a' was turned into a=red, which is 1 for red and 0 for green"),
    (pa.array(["red", "green", "red", "red"]).dictionary_encode(), "'a' was turned into a=green, which is 1 for green"),
    (pa.array([DAY, DAY, DAY, DAY]), "'a' was skipped: it has one date alone"),
    (pa.array([DAY, DAY, DAY, LATER]), "'a' was turned into days since 2020-01-31"),
    (pa.array([DAY, DAY, DAY, LATER]).cast(pa.timestamp("ms")), "'a' was turned into days since 2020-01-31"),
    (pa.array([None, None, None, None]), "'a' was skipped: it holds no values"),
]


@pytest.mark.parametrize(("column", "said"), COLUMNS, ids=[str(column.type) for column, _ in COLUMNS])
def test_columns_that_are_not_numbers_are_prepared(tmp_path, column, said):
    pq.write_table(pa.table({"a": column, "b": [1, 2, 3, 5], "y": [1, 2, 4, 3]}), tmp_path / "t.parquet")
    with pytest.warns(KnotworkWarning, match=said):
        Dataset.from_csv(tmp_path / "t.parquet", "y", test_size=0, validation_size=0)
    assert Dataset.from_csv(tmp_path / "t.parquet", "y", ["b"], test_size=0).n_inputs == 1


def test_columns_of_lists_are_refused(tmp_path):
    column = pa.array([[1], [2], [3]])
    pq.write_table(pa.table({"a": column, "b": [1, 2, 3], "y": [1, 2, 4]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"Column 'a' holds \w+ objects \(in rows 0, 1, 2, counting from 0\): convert"):
        Dataset.from_csv(tmp_path / "t.parquet", "y")
    assert Dataset.from_csv(tmp_path / "t.parquet", "y", ["b"], test_size=0).n_inputs == 1


def test_row_labels_are_columns_if_they_have_a_name(tmp_path):
    frame = pd.DataFrame({"a": [1.0, 2.0], "y": [3.0, 4.0]}, index=[7, 8])
    frame.to_parquet(tmp_path / "plain.parquet")
    frame.rename_axis("time").to_parquet(tmp_path / "named.parquet")
    assert list(read_file(tmp_path / "plain.parquet").columns) == ["a", "y"]
    assert sorted(read_file(tmp_path / "named.parquet").columns) == ["a", "time", "y"]


def test_a_folder_is_read_as_its_files_in_order(tmp_path):
    rows = np.arange(12.0).reshape(6, 2)
    for n, part in enumerate(np.split(rows, 3)):
        pd.DataFrame(part, columns=["a", "y"]).to_parquet(tmp_path / f"part-{n}.parquet")
    (tmp_path / "_SUCCESS").touch()
    np.testing.assert_array_equal(read_file(tmp_path), rows)
    pd.DataFrame({"a": [1.0], "z": [2.0]}).to_parquet(tmp_path / "part-9.parquet")
    with pytest.raises(DataError, match=r"The files in '.*' have different columns"):
        read_file(tmp_path)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"a": [1.0]}, r"has a single column \('a'\), but inputs and a target are needed"),
        ({"a": [], "y": []}, "has column names but no rows"),
        ({}, "has column names but no rows"),
    ],
)
def test_tables_without_rows_or_without_inputs_are_refused(tmp_path, columns, said):
    pd.DataFrame(columns).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=said):
        read_file(tmp_path / "t.parquet")


def test_duplicate_column_names_are_refused(tmp_path):
    pq.write_table(pa.table([[1], [2], [3]], names=["a", "a", "y"]), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"The column names of '.*' are not unique: 'a' occurs more than once"):
        read_file(tmp_path / "t.parquet")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"a,y\n1,2\n"])
def test_files_that_are_not_parquet_are_refused(tmp_path, content):
    (tmp_path / "t.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"'.*' is not a Parquet file that can be read: "):
        read_file(tmp_path / "t.parquet")
