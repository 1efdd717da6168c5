"""Equal rows stay in one part of a split."""

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.data.splitting import equal_rows


def parts(data):
    every = (("train", data.X_train, data.y_train), ("val", data.X_val, data.y_val), ("test", data.X_test, data.y_test))
    return {name: {tuple(row) for row in np.c_[x.numpy(), y.numpy()].tolist()} for name, x, y in every}


@pytest.mark.parametrize("seed", range(5))
def test_copies_of_a_row_are_in_one_part(seed):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(20, 3)), rng.normal(size=20)
    times = rng.integers(1, 60, 20)
    order = rng.permutation(int(times.sum()))
    data = kw.Dataset.from_arrays(np.repeat(X, times, 0)[order], np.repeat(y, times)[order], seed=seed)
    found = parts(data)
    assert not found["train"] & found["val"] and not found["train"] & found["test"] and not found["val"] & found["test"]
    assert sum(data.rows()) == times.sum() and all(data.rows())


def test_rows_with_equal_inputs_and_different_targets_are_no_copies():
    X = np.repeat(np.arange(3.0), 100)[:, None]
    data = kw.Dataset.from_arrays(X, np.arange(300.0), seed=0)
    assert data.rows() == (192, 48, 60)


@pytest.mark.parametrize("distinct", [2, 9])
def test_a_table_of_few_different_rows_is_split_as_it_is(distinct):
    X = np.repeat(np.arange(1.0 * distinct), 10)[:, None]
    data = kw.Dataset.from_arrays(X, X[:, 0], test_size=7, validation_size=5, seed=0)
    assert data.rows() == (10 * distinct - 12, 5, 7)


@pytest.mark.parametrize("step", [1.0, 0.25, 1024.0])
@pytest.mark.parametrize("columns", [1, 2, 3])
def test_rows_of_round_numbers_are_equal_only_if_all_their_numbers_are(columns, step):
    """Also in columns that repeat each other; the bits of such numbers are mostly zero."""
    places = np.random.default_rng(0).integers(-40, 40, (5000, columns))
    rows = torch.tensor(step * np.c_[places, places, places.sum(1)])
    _, expected = np.unique(places, axis=0, return_inverse=True)
    found = equal_rows(rows, rows[:, :1]).numpy()
    pairs = np.unique(np.c_[found, expected.reshape(-1)], axis=0)
    assert len(pairs) == found.max() + 1 == expected.max() + 1


def test_zeros_of_both_signs_are_equal():
    X = np.repeat(np.r_[0.0, np.arange(1.0, 12)], 2)[:, None] * np.tile([1.0, 1.0], 12)[:, None]
    X[0] = -0.0
    data = kw.Dataset.from_arrays(X, np.abs(X[:, 0]), test_size=6, validation_size=6, seed=3)
    found = parts(data)
    assert data.rows() == (12, 6, 6)
    assert not found["train"] & found["val"] and not found["train"] & found["test"] and not found["val"] & found["test"]
