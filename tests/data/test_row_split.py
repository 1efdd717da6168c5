"""Splits that keep the rows of a group, or neighbours in time, on one side."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import knotwork as kw
from knotwork.data.row_split import RowSplit, split_asked
from knotwork.errors import DataError


def parts_of(values, data):
    """The values of the table's rows in each part of the data."""
    return [np.asarray(values)[rows.numpy()] for rows in data.row_numbers]


@given(
    labels=st.lists(st.integers(0, 30), min_size=30, max_size=200),
    seed=st.integers(0, 5),
    in_time=st.booleans(),
)
def test_rows_of_one_number_stay_together_and_parts_are_near_their_sizes(labels, seed, in_time):
    codes = torch.tensor(labels)
    if len(codes.unique()) < 3:
        return
    sizes = len(codes) // 5, len(codes) // 5
    found = RowSplit("", codes, in_time).parts(*sizes, torch.Generator().manual_seed(seed))
    assert sorted(torch.cat(found).tolist()) == list(range(len(codes)))
    train, validation, test = (set(codes[rows].tolist()) for rows in found)
    assert train and validation and test
    assert not train & validation and not train & test and not validation & test
    if in_time:
        assert max(train) < min(validation) and max(validation) < min(test)
    largest = int(torch.bincount(codes).max())
    assert abs(len(found[2]) - sizes[0]) <= largest and abs(len(found[1]) - sizes[1]) <= 2 * largest


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    n = 200
    days = pd.Timestamp("2021-01-01") + pd.to_timedelta(rng.permutation(n), unit="D")
    return pd.DataFrame(
        {
            "patient": [f"P{k}" for k in rng.integers(0, 20, n)],
            "seen": days.strftime("%d.%m.%Y"),
            "dose [mg]": rng.uniform(1, 5, n),
            "y": rng.normal(size=n),
        }
    )


def read(table, tmp_path, **options):
    path = tmp_path / "table.csv"
    table.to_csv(path, index=False)
    return kw.Dataset.from_csv(path, "y", **options)


@pytest.mark.filterwarnings("ignore:The table was prepared")
def test_a_column_of_groups_splits_a_file_and_is_no_input(table, tmp_path):
    data = read(table, tmp_path, split="patient")
    train, validation, test = map(set, parts_of(table["patient"], data))
    assert not (train & validation or train & test or validation & test)
    assert data.input_names == ("seen", "dose")
    assert "'patient'" in data.row_split.words and "stay on one side" in data.row_split.words
    mixed = read(table, tmp_path, inputs=["dose"])
    train, _, test = map(set, parts_of(table["patient"], mixed))
    assert train & test and mixed.row_split is None
    assert read(table, tmp_path, inputs=["dose"], split="patient").input_names == ("dose",)


@pytest.mark.filterwarnings("ignore:The table was prepared")
@pytest.mark.parametrize("split", ["time", "seen"])
def test_a_column_of_dates_splits_a_file_in_time_and_stays_an_input(table, tmp_path, split):
    data = read(table, tmp_path, split=split)
    moments = pd.to_datetime(table["seen"], format="%d.%m.%Y")
    train, validation, test = parts_of(moments, data)
    assert train.max() < validation.min() and validation.max() < test.min()
    assert "seen" in data.input_names and "in time, by 'seen'" in data.row_split.words


@pytest.mark.filterwarnings("ignore:The table was prepared")
def test_rows_that_are_left_out_keep_the_others_in_their_groups(table, tmp_path):
    table.loc[::7, "dose [mg]"] = np.nan
    data = read(table, tmp_path, split="patient")
    stay = table.index[table["dose [mg]"].notna()]
    train, validation, test = map(set, parts_of(table["patient"].loc[stay], data))
    assert not (train & validation or train & test or validation & test)


def test_without_a_column_of_time_the_order_of_the_rows_counts():
    X = np.random.default_rng(0).normal(size=(100, 2))
    data = kw.Dataset.from_arrays(X, X[:, 0], split="time")
    train, validation, test = (rows.numpy() for rows in data.row_numbers)
    assert (train.max(), validation.min(), validation.max(), test.min()) == (63, 64, 79, 80)
    assert "in their order" in data.row_split.words
    assert not np.array_equal(train, np.sort(train))  # within a part the order is random
    named = pd.DataFrame({"time [s]": X[::-1, 0], "x": X[:, 1]})
    data = kw.Dataset.from_arrays(named, X[:, 0], split="time")
    train, validation, test = parts_of(named["time [s]"], data)
    assert train.max() < validation.min() and validation.max() < test.min()


def test_labels_may_be_an_array_and_the_split_follows_its_seed():
    X = np.random.default_rng(0).normal(size=(60, 2))
    labels = np.arange(60) // 6
    data = kw.Dataset.from_arrays(X, X[:, 0], split=labels, seed=1)
    train, validation, test = map(set, parts_of(labels, data))
    assert not (train & validation or train & test or validation & test)
    again, other = (kw.Dataset.from_arrays(X, X[:, 0], split=labels, seed=seed) for seed in (1, 2))
    assert all(torch.equal(a, b) for a, b in zip(data.row_numbers, again.row_numbers, strict=True))
    assert not torch.equal(data.row_numbers[0], other.row_numbers[0])
    assert torch.equal(data.X_test, torch.tensor(X)[data.row_numbers[2]])


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ("pateint", r"'pateint' is not.*did you mean 'patient'|no column 'pateint'.*patient"),
        (np.arange(7), "split has 7 labels, but X has 30 rows"),
        ([None] + ["a"] * 29, "1 rows have no label in split, row 0 first"),
        (np.repeat(["a", "b"], 15), "2 different values cannot give 3 parts of whole groups"),
    ],
)
def test_splits_that_are_not_possible_are_refused_in_words(split, said):
    frame = pd.DataFrame({"patient": np.arange(30), "x": np.arange(30.0)})
    X = frame if isinstance(split, str) else frame[["x"]]
    with pytest.raises(DataError, match=said):
        kw.Dataset.from_arrays(X, np.arange(30.0), split=split)


def test_several_columns_of_dates_and_arrays_without_names_are_refused():
    frame = pd.DataFrame({name: pd.date_range("2020", periods=9) for name in ("sown", "cut")})
    with pytest.raises(DataError, match=r"several columns of time .*: name one, split='sown'"):
        split_asked(frame, "time")
    with pytest.raises(DataError, match="X is an array without names: pass one label for each row"):
        split_asked(np.zeros((9, 2)), "patient")
    gaps = pd.DataFrame({"cut": pd.date_range("2020", periods=9).to_series().mask(np.arange(9) < 2).to_numpy()})
    with pytest.raises(DataError, match="2 rows have no time, by which the rows are split"):
        split_asked(gaps, "time")[1].check(9)
    with pytest.raises(DataError, match="no column but 'patient'"):
        split_asked(pd.DataFrame({"patient": range(9)}), "patient")
