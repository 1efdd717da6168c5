"""Streams: each epoch gives every training row once, in an order given by the seed, in limited memory."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, TensorDataset

from knotwork import KnotworkError, as_dataset, stream_batches, stream_parquet
from knotwork.data import Dataset, Stream, dataset_or_stream, stream
from knotwork.data.settings import DataSettings
from knotwork.data.stream import shuffled
from knotwork.errors import DataError

# random rows may have a constant column
pytestmark = pytest.mark.filterwarnings("ignore:.*is constant over the training rows:knotwork.KnotworkWarning")


def numbered(folder, counts, group=7):
    """A folder of Parquet files whose rows are numbered: id, id² and -id."""
    folder.mkdir(exist_ok=True)
    ids = iter(range(sum(counts)))
    for n, count in enumerate(counts):
        a = np.array([next(ids) for _ in range(count)], dtype=float)
        frame = pd.DataFrame({"a": a, "b [m]": a**2, "y": -a})
        frame.to_parquet(folder / f"part-{n}.parquet", row_group_size=group)
    return folder


def epoch(source, size=16, seed=0):
    return list(source.epoch(size, seed))


def ids(x):
    return x[:, 0].tolist()


def ids_of(batches):
    return [i for x, _ in batches for i in ids(x)]


# --- Parquet ---


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(0, 40), min_size=1, max_size=4).filter(lambda counts: sum(counts) > 4),
    group=st.integers(1, 50),
    size=st.integers(1, 50),
    buffer=st.integers(1, 100),
    shares=st.sampled_from([(0.1, 0.0), (0.0, 0.0), (0.3, 0.2)]),
    seed=st.integers(0, 5),
)
def test_every_row_appears_once_in_an_epoch_or_is_held_out(tmp_path_factory, counts, group, size, buffer, shares, seed):
    folder = numbered(tmp_path_factory.mktemp("rows"), counts, group)
    source = stream_parquet(folder, "y", validation_size=shares[0], test_size=shares[1], buffer=buffer, seed=seed)
    data, total = source.sample, sum(counts)
    sizes = [len(x) for x, _ in epoch(source, size, seed)]
    assert sizes[:-1] == [size] * (len(sizes) - 1) and 0 < sizes[-1] <= size
    trained = ids_of(epoch(source, size, seed))
    assert len(trained) == source.rows
    held_out = ids(data.X_val) + ids(data.X_test)
    assert sorted(trained + held_out) == list(range(total))
    assert sorted(ids(data.X_train)) == sorted(trained)  # there are few rows, so all stay in memory
    assert (len(data.X_val), len(data.X_test)) == tuple(max(1, round(s * total)) if s else 0 for s in shares)
    for x, y in [*epoch(source, size, seed), (data.X_train, data.y_train), (data.X_val, data.y_val)]:
        assert x.dtype == y.dtype == torch.float64 and y.shape == (len(x), 1)
        assert torch.equal(x[:, 1], x[:, 0] ** 2) and torch.equal(y[:, 0], -x[:, 0])
    assert data.ranges == ((min(trained), max(trained)), (min(trained) ** 2, max(trained) ** 2))


def test_the_order_depends_on_the_seed_alone(tmp_path):
    folder = numbered(tmp_path, [60, 60])
    source = stream_parquet(folder, "y", buffer=30)
    again = stream_parquet(folder, "y", buffer=30)
    torch.rand(3)
    first, same, other = (ids_of(epoch(*of)) for of in ((source,), (again,), (source, 16, 1)))
    assert first == same != other
    assert sorted(first) == sorted(other) != first
    assert ids(source.sample.X_val) == ids(again.sample.X_val)
    assert sorted(ids(stream_parquet(folder, "y", seed=1).sample.X_val)) != sorted(ids(source.sample.X_val))


def test_every_epoch_has_another_order(tmp_path):
    source = stream_parquet(numbered(tmp_path, [40]), "y", validation_size=0.0)
    batches = source.batches(16, torch.Generator().manual_seed(0))
    epochs = [ids_of(next(batches) for _ in range(3)) for _ in range(3)]  # 16 + 16 + 8
    assert [sorted(rows) for rows in epochs] == [list(range(40))] * 3
    assert epochs[0] != epochs[1] != epochs[2]


def test_rows_in_memory_are_limited_in_number_and_drawn_from_all_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("knotwork.data.parquet_stream.DATA", DataSettings(rows_held=50))
    source = stream_parquet(numbered(tmp_path, [1000, 1000], group=300), "y", test_size=0.1)
    data = source.sample
    assert data.rows() == (50, 50, 50)
    assert source.rows == 1900
    for x in (data.X_train, data.X_val, data.X_test):
        assert ids(x) != sorted(ids(x))  # in random order, because some functions use the first rows only
        assert 600 < np.mean(ids(x)) < 1400  # 1000 ± 82 is expected
    assert stream_parquet(tmp_path, "y", test_size=7, validation_size=50).sample.rows() == (50, 50, 7)
    with pytest.raises(DataError, match="test_size=51 is too large: at most 50 rows of a stream stay in memory"):
        stream_parquet(tmp_path, "y", test_size=51)
    trained = set(ids_of(epoch(source)))
    assert set(ids(data.X_train)) <= trained
    assert not trained & {*ids(data.X_val), *ids(data.X_test)}


def test_batches_are_scaled_like_the_sample(tmp_path):
    folder = numbered(tmp_path, [50])
    plain, scaled = (stream_parquet(folder, "y", scale=scale) for scale in (False, "standard"))
    assert scaled.sample.X_train.mean(0).abs().max() < 1e-12
    for (x, y), (x_scaled, y_scaled) in zip(epoch(plain), epoch(scaled), strict=True):
        torch.testing.assert_close(scaled.sample.scaling.undo(x_scaled), x)
        assert torch.equal(y, y_scaled)


def test_columns_are_chosen_by_name_with_units(tmp_path):
    source = stream_parquet(numbered(tmp_path, [20]), ["y", "a"], "b", units={"y": "N"})
    assert (source.sample.input_names, source.sample.target_names) == (("b",), ("y", "a"))
    assert source.sample.units == {"b": "m", "y": "N"}
    x, y = epoch(source)[0]
    assert torch.equal(x[:, 0], y[:, 1] ** 2)
    assert repr(source).startswith("Stream(18 training rows in batches, in memory: Dataset(")


def write(folder, **parts):
    for name, columns in parts.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet", row_group_size=10)
    return folder


ROWS = {"a": [0.5 * i for i in range(30)], "y": [float(i) for i in range(30)]}


@pytest.mark.parametrize(
    ("parts", "options", "said"),
    [
        (
            {"one": ROWS, "two": {"a": [*ROWS["a"][:29], None], "y": ROWS["y"]}},
            {},
            r"Column 'a' of 'two.parquet' has 1 missing \(NaN\) value \(in row 29, counting from 0\): drop or fill it",
        ),
        (
            {"one": ROWS, "two": {"a": ["0.5"] * 20, "y": [1.0] * 20}},
            {},
            r"Column 'a' of 'two.parquet' holds numbers written as text \('0.5' in row 0",
        ),
        (
            {"one": {"a": ["red"] * 30, "y": ROWS["y"]}},
            {},
            r"Column 'a' of 'one.parquet' holds text \('red' in row 0.*indicators",
        ),
        ({"one": ROWS, "two": {"y": ROWS["y"]}}, {}, r"two.parquet' has no column 'a', which the files before it have"),
        ({"one": ROWS}, {"inputs": ["b"]}, "There is no column 'b': the columns are 'a', 'y'"),
        ({"one": {"a": [1.0], "y": [2.0]}}, {}, "1 row cannot be split into training rows, 0 test and 1 validation"),
        ({"one": {"a": pa.array([], pa.float64()), "y": pa.array([], pa.float64())}}, {}, "column names but no rows"),
        ({"one": ROWS}, {"validation_size": 1.5}, "validation_size=1.5 is not possible"),
        ({"one": ROWS}, {"test_size": -1}, "test_size=-1 is not possible"),
        ({"one": ROWS}, {"buffer": 0}, "buffer=0 is not a number of rows: give a whole number of 1 or more"),
        ({"one": ROWS}, {"seed": None}, "seed=None is not possible"),
        ({"one": ROWS}, {"scale": "max"}, "scale='max' is not known: use 'standard', 'range' or False"),
    ],
)
def test_unusable_files_and_options_are_refused(tmp_path, parts, options, said):
    with pytest.raises(DataError, match=said):
        stream_parquet(write(tmp_path, **parts), "y", **options)


def test_paths_without_parquet_files_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"There is no file '.*t.parquet'"):
        stream_parquet(tmp_path / "t.parquet", "y")
    with pytest.raises(DataError, match="is a folder without Parquet files"):
        stream_parquet(tmp_path, "y")


MEMORY = """
import resource, sys
import torch
torch.set_num_threads(1)
from knotwork import stream_parquet
from knotwork.data import stream

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def epoch(path):
    source = stream_parquet(path, "y", buffer=20_000)
    return sum(len(x) for x, _ in source.epoch(1000, 0))

epoch(sys.argv[1])
before = peak()
rows = epoch(sys.argv[2])
print(rows, peak() - before)
"""


def test_memory_does_not_grow_with_the_file(tmp_path):
    """60 MB of numbers, 75 times the buffer, need less than 30 MB more memory than a tenth of these numbers."""
    for name, pieces in (("small", 10), ("large", 100)):
        with pq.ParquetWriter(tmp_path / name, pa.schema([(c, pa.float64()) for c in "abcdy"])) as writer:
            for piece in range(pieces):
                columns = np.random.default_rng(piece).normal(size=(5, 15_000))
                writer.write_table(pa.table(dict(zip("abcdy", columns, strict=True))))
    files = [tmp_path / name for name in ("small", "large")]
    done = subprocess.run([sys.executable, "-c", MEMORY, *files], capture_output=True, text=True, check=True)
    rows, growth = done.stdout.split()
    assert int(rows) == 1_500_000 - 10_000
    assert float(growth) < 30


# --- a buffer ---


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 30), max_size=8), st.integers(1, 20), st.integers(1, 60))
def test_shuffling_returns_every_row_once(counts, size, buffer):
    rows = torch.arange(sum(counts), dtype=torch.float64)[:, None]
    batches = list(shuffled(rows.split(counts), size, buffer, torch.Generator().manual_seed(0)))
    assert sorted(i for batch in batches for i in ids(batch)) == ids(rows)
    assert all(len(batch) == size for batch in batches[:-1])


def test_shuffling_mixes_rows_over_the_length_of_the_buffer():
    rows = torch.arange(10_000, dtype=torch.float64)[:, None]
    batches = list(shuffled(rows.split(10), 10, 1000, torch.Generator().manual_seed(0)))
    spread = np.array([batch.std().item() for batch in batches])
    assert np.median(spread) > 100  # it would be 3 without shuffling
    assert max(ids(batches[0])) < 1000


# --- loaders ---


X = torch.rand(50, 3, generator=torch.Generator().manual_seed(0))
Y = X.sum(1)


def test_a_loader_is_a_stream_of_its_batches():
    source = dataset_or_stream(DataLoader(TensorDataset(X, Y), batch_size=8))
    assert isinstance(source, Stream) and not source.sized
    assert source.sample.rows() == (50, 0, 0)
    assert torch.equal(source.sample.X_train, X.double())
    batches = epoch(source, size=999)
    assert [len(x) for x, _ in batches] == [8] * 6 + [2]
    assert torch.equal(torch.cat([x for x, _ in batches]), X.double())
    assert torch.equal(torch.cat([y for _, y in batches])[:, 0], Y.double())
    assert as_dataset(source) is source.sample
    assert isinstance(as_dataset(DataLoader(TensorDataset(X, Y))), Dataset)


def test_batches_may_be_arrays_frames_and_lists():
    frame = pd.DataFrame(X.numpy())
    for form in (lambda i: (X[i : i + 10], Y[i : i + 10]), lambda i: [frame[i : i + 10], Y.numpy()[i : i + 10, None]]):
        source = stream_batches([form(i) for i in range(0, 50, 10)], names=["a", "b [m]", "c"], target_names="z")
        assert torch.equal(source.sample.y_train[:, 0], Y.double())
        assert (source.sample.input_names, source.sample.units) == (("a", "b", "c"), {"b": "m"})
        assert source.sample.target_names == ("z",)


def test_all_validation_rows_and_the_first_training_rows_stay_in_memory(monkeypatch):
    monkeypatch.setattr(stream, "DATA", DataSettings(rows_held=20))
    loader = DataLoader(TensorDataset(X, Y), batch_size=8)
    data = stream_batches(loader, validation=[(X[:9], Y[:9])]).sample
    assert data.rows() == (20, 9, 0)
    assert torch.equal(data.X_train, X[:20].double())


def test_an_endless_loader_is_read_only_as_far_as_needed(monkeypatch):
    monkeypatch.setattr(stream, "DATA", DataSettings(rows_held=20))

    class Endless:
        def __iter__(self):
            while True:
                yield X[:8], Y[:8]

    assert stream_batches(Endless()).sample.rows().train == 20


class Emptied:
    """A loader that gives batches in its first pass and none later."""

    def __init__(self):
        self.left = [(X, Y)]

    def __iter__(self):
        while self.left:
            yield self.left.pop()


def test_a_loader_without_batches_in_a_later_pass_raises_an_error():
    batches = stream_batches(Emptied()).batches(1, torch.Generator())
    with pytest.raises(DataError, match="The loader gave no batches in a later pass"):
        next(batches)


@pytest.mark.parametrize(
    ("batches", "said"),
    [
        (iter([(X, Y)]), "A list_iterator ends after one pass: pass a torch DataLoader, a list of batches"),
        (((x, x) for x in X), "A generator ends after one pass"),
        (3, "A int has no batches"),
        ([], "There are no batches in batches=: at least one is needed"),
        ([(X,)], r"A batch has 1 parts, but a pair \(x, y\) of inputs and targets is needed"),
        ([X], r"A batch has type Tensor, but a pair \(x, y\)"),
        ([(X, Y[:3])], "A batch has 50 rows of inputs and 3 of targets"),
        ([(X, Y), (X[:, :2], Y)], r"Batches differ in their numbers of inputs and targets: \[\(2, 1\), \(3, 1\)\]"),
        ([(X * float("nan"), Y)], r"x of a batch\[:, 0\] has 50 missing \(NaN\) values"),
        ([(X[:, :, None], Y)], r"x of a batch has shape \(50, 3, 1\), but needs rows and columns: flatten"),
    ],
)
def test_objects_that_are_not_loaders_are_refused(batches, said):
    with pytest.raises(DataError, match=said):
        stream_batches(batches)


def test_validation_batches_with_another_number_of_inputs_are_refused():
    with pytest.raises(DataError, match="Batches for validation have 2 inputs and 1 targets, but those for training 3"):
        stream_batches([(X, Y)], validation=[(X[:, :2], Y)])
    with pytest.raises(KnotworkError, match="no batches in validation="):
        stream_batches([(X, Y)], validation=[])
