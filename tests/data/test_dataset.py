"""Laws of Dataset: splits, scaling, accepted types, and error messages."""

import copy
import dataclasses
import datetime
import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from knotwork.data import Dataset, Rows, Scaling, as_dataset
from knotwork.errors import DataError, KnotworkWarning


def table(rows=20, columns=2, seed=0):
    """Inputs and a target, different in every row."""
    X = np.random.default_rng(seed).normal(size=(rows, columns))
    return X, X.sum(axis=1)


@settings(max_examples=50, deadline=None)
@given(st.integers(5, 200), st.floats(0, 0.4), st.floats(0, 0.4), st.integers(0, 5))
def test_parts_are_disjoint_and_cover_every_row(rows, test, validation, seed):
    X = np.arange(rows)[:, None] + 0.5
    data = Dataset.from_arrays(X, X[:, 0], test_size=test, validation_size=validation, seed=seed)
    parts = torch.cat([data.X_train, data.X_val, data.X_test])
    assert sorted(parts[:, 0].tolist()) == X[:, 0].tolist()
    assert torch.equal(parts, torch.cat([data.y_train, data.y_val, data.y_test]))
    assert data.rows().test == (max(1, round(test * rows)) if test else 0)
    assert bool(data.rows().validation) == bool(validation)


def test_default_sizes_of_training_validation_and_test_rows():
    assert Dataset.from_arrays(*table(100)).rows() == Rows(train=64, validation=16, test=20)
    assert Dataset.from_arrays(*table(100), test_size=0, validation_size=0).rows() == Rows(100, 0, 0)
    X, y = table(10)
    assert Dataset.from_arrays(*table(100), X_test=X, y_test=y).rows() == Rows(80, 20, 10)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 5))
def test_whole_numbers_count_rows(test, validation, seed):
    data = Dataset.from_arrays(*table(100), test_size=test, validation_size=np.int64(validation), seed=seed)
    assert data.rows() == Rows(100 - test - validation, validation, test)
    shares = {"test_size": test / 100, "validation_size": validation / (100 - test)}
    share = Dataset.from_arrays(*table(100), **shares, seed=seed)  # the same numbers of rows, given as shares
    assert torch.equal(share.X_train, data.X_train)
    assert torch.equal(share.X_test, data.X_test)


def test_same_seed_same_split():
    first, again, other = (Dataset.from_arrays(*table(), seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first.X_train, again.X_train)
    assert torch.equal(first.y_test, again.y_test)
    assert not torch.equal(first.X_train, other.X_train)


def test_the_global_random_generator_does_not_change():
    before = torch.get_rng_state()
    Dataset.from_arrays(*table())
    assert torch.equal(torch.get_rng_state(), before)


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(["standard", "range"]), st.integers(0, 5), st.floats(-3, 3), st.floats(-3, 3))
def test_scaling_is_undone_and_uses_training_rows_alone(kind, seed, shift, size):
    X, y = table(30, 3, seed)
    X = X * 10**size + 10**shift
    plain, scaled = (Dataset.from_arrays(X, y, scale=scale, seed=seed) for scale in (False, kind))
    for part in ("X_train", "X_val", "X_test"):
        back = scaled.scaling.undo(getattr(scaled, part))
        torch.testing.assert_close(back, getattr(plain, part), rtol=1e-12, atol=1e-12 * 10 ** max(size, shift))
    torch.testing.assert_close(scaled.scaling.apply(plain.X_test), scaled.X_test)
    if kind == "standard":
        assert scaled.X_train.mean(dim=0).abs().max() < 1e-6
        torch.testing.assert_close(scaled.X_train.std(dim=0, correction=0), torch.ones(3, dtype=torch.float64))
    else:
        torch.testing.assert_close(scaled.X_train.amax(dim=0), torch.ones(3, dtype=torch.float64))
        torch.testing.assert_close(scaled.X_train.amin(dim=0), -torch.ones(3, dtype=torch.float64))
    assert torch.equal(scaled.y_train, plain.y_train)


def test_scaling_accepts_leading_axes_and_refuses_other_numbers_of_columns():
    scaling = Scaling(center=(1.0, 2.0), scale=(2.0, 4.0))
    assert scaling.apply([[3, 2]]).tolist() == [[1.0, 0.0]]
    assert scaling.undo(torch.ones(5, 4, 2)).shape == (5, 4, 2)
    with pytest.raises(DataError, match=r"for 2 columns, got an array of shape \(3,\)"):
        scaling.apply([1.0, 2.0, 3.0])


def test_constant_columns_give_a_warning_and_are_scaled_to_zero():
    X, y = table()
    X[:, 1] = 7.0
    with pytest.warns(KnotworkWarning, match="Input 'b' is constant over the training rows"):
        data = Dataset.from_arrays(X, y, names=["a", "b"], scale="standard")
    assert data.X_train[:, 1].tolist() == [0.0] * data.rows().train
    assert data.scaling == dataclasses.replace(data.scaling, scale=(data.scaling.scale[0], 1.0))
    with pytest.warns(KnotworkWarning, match="Target 'y' is constant"):
        Dataset.from_arrays(table()[0], np.zeros(20))


X, Y = table(12)
FORMS = {
    "numpy": (X, Y),
    "float32": (X.astype(np.float32), Y.astype(np.float32)),
    "Fortran order": (np.asfortranarray(X), Y[:, None]),
    "read-only": (np.broadcast_to(X, X.shape), Y),
    "torch": (torch.tensor(X, requires_grad=True), torch.tensor(Y)),
    "torch, reversed": (torch.tensor(X).flip(0), torch.tensor(Y).flip(0)),
    "lists": (X.tolist(), Y.tolist()),
    "list of tensors": ([torch.tensor(row) for row in X], list(torch.tensor(Y))),
    "list of arrays": (list(X), list(Y)),
    "objects": (X.astype(object), Y.astype(object)),
    "pandas": (pd.DataFrame(X, columns=["a", "b"]), pd.Series(Y, name="c")),
    "pandas, other labels": (pd.DataFrame(X), pd.Series(Y, index=range(100, 112))),
    "pandas, nullable": (pd.DataFrame(X).astype("Float64"), pd.Series(Y).astype("Float64")),
    "pandas target frame": (X, pd.DataFrame({"c": Y})),
    "pandas over arrow": (pd.DataFrame(X).convert_dtypes(dtype_backend="pyarrow"), pd.Series(Y)),
    "arrow": (pa.table({"a": X[:, 0], "b": X[:, 1]}), pa.table({"c": Y})),
    "decimals": ([[decimal.Decimal(v) for v in row] for row in X.tolist()], [decimal.Decimal(v) for v in Y.tolist()]),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_type_of_table_gives_the_same_rows(form):
    X, y = FORMS[form]
    before = copy.deepcopy((X, y)) if form not in ("torch", "arrow") else (X, y)
    data = Dataset.from_arrays(X, y, scale="range")
    plain = torch.cat([data.scaling.undo(part) for part in (data.X_train, data.X_val, data.X_test)])
    tolerance = 1e-6 if form == "float32" else 1e-12
    wanted = torch.tensor(FORMS["numpy"][0])
    torch.testing.assert_close(plain.sort(dim=0).values, wanted.sort(dim=0).values, rtol=0, atol=tolerance)
    torch.testing.assert_close(plain.sum(dim=1), torch.cat([data.y_train, data.y_val, data.y_test])[:, 0])
    assert data.X_train.dtype == torch.float64
    assert not data.X_train.requires_grad
    for now, then in zip((X, y), before, strict=True):
        assert as_numbers(now) == as_numbers(then)


def as_numbers(values):
    if isinstance(values, pa.Table):
        return values.to_pydict()
    return values.tolist() if torch.is_tensor(values) else np.asarray(values, dtype=float).tolist()


def test_a_later_change_of_the_array_does_not_change_the_data_set():
    X, y = table()
    data = Dataset.from_arrays(X, y, test_size=0, validation_size=0)
    before = data.X_train.clone()
    X[:] = 0
    assert torch.equal(data.X_train, before)
    tensor = torch.rand(5, 2, dtype=torch.float64)
    data = Dataset.from_arrays(tensor, tensor[:, 0], validation_size=0, X_test=tensor, y_test=tensor[:, 0])
    tensor.zero_()
    assert data.X_test.abs().sum() > 0


def test_names_of_inputs_and_targets():
    X, y = table(columns=3)
    assert Dataset.from_arrays(X, y).input_names == ("x_1", "x_2", "x_3")
    assert Dataset.from_arrays(X, y).target_names == ("y",)
    assert Dataset.from_arrays(X, X).target_names == ("y_1", "y_2", "y_3")
    assert Dataset.from_arrays(X, y, names=["x", "y", "z"]).target_names == ("f",)
    assert Dataset.from_arrays(X, y, target_names="mass").target_names == ("mass",)
    frame = pd.DataFrame(X, columns=["a", 1, "Z/2 + Z/2"])
    data = Dataset.from_arrays(frame, pd.Series(y, name="s"))
    assert (data.input_names, data.target_names) == (("a", "x_1", "Z/2 + Z/2"), ("s",))
    assert Dataset.from_arrays(frame, y, names=["p", "q", "r"]).input_names == ("p", "q", "r")


def test_inputs_of_one_axis_are_one_column():
    x = np.linspace(0, 1, 20)
    given = [Dataset.from_arrays(one, x**2, seed=3) for one in (x, x[:, None], torch.tensor(x), list(x))]
    assert all(torch.equal(data.X_train, given[0].X_train) and data.input_names == ("x_1",) for data in given)
    assert Dataset.from_arrays(pd.Series(x, name="time"), x).input_names == ("time",)


def test_integers_and_booleans_are_numbers():
    frame = pd.DataFrame({"n": range(10), "flag": [True, False] * 5, "m": pd.array(range(10), dtype="Int64")})
    data = Dataset.from_arrays(frame, frame["n"].rename("y"), validation_size=0)
    assert data.X_train.dtype == torch.float64
    assert set(data.X_train[:, 1].tolist()) == {0.0, 1.0}
    objects = np.array([[True, 1], [np.True_, 2], [False, None], [False, pd.NA]], dtype=object)
    assert Dataset.from_arrays(objects[:, :1], range(4), test_size=0, validation_size=0).X_train.sum() == 2
    with pytest.raises(DataError, match=r"2 missing \(NaN\) values \(in rows 2, 3,"):
        Dataset.from_arrays(objects, range(4))


def test_a_data_set_has_the_requested_dtype():
    data = Dataset.from_arrays(*table(), dtype=torch.float32)
    assert {part.dtype for part in (data.X_train, data.y_train, data.X_val, data.X_test)} == {torch.float32}
    assert data.to(torch.float64).y_test.dtype == torch.float64
    with pytest.raises(DataError, match=r"dtype=torch.int64 cannot hold the data: use torch.float64"):
        Dataset.from_arrays(*table(), dtype=torch.int64)
    with pytest.raises(DataError, match="cannot hold"):
        data.to(torch.bool)
    huge = table()[0] * 1e300
    with pytest.raises(DataError, match=r"Column 'x_1' of X_train as float32 has \d+ infinite values"):
        Dataset.from_arrays(huge, huge[:, 0], dtype=torch.float32)


def test_select_returns_the_chosen_inputs():
    data = Dataset.from_arrays(*table(columns=3), names=["a", "b", "c"], scale="standard")
    data = dataclasses.replace(data, ranges=((0, 1), (2, 3), (4, 5)))
    picked = data.select(["c", 0])
    assert picked.input_names == ("c", "a")
    assert torch.equal(picked.X_test, data.X_test[:, [2, 0]])
    assert picked.scaling.center == (data.scaling.center[2], data.scaling.center[0])
    assert picked.ranges == ((4, 5), (0, 1))
    assert data.select("b").n_inputs == 1
    assert data.n_inputs == 3
    with pytest.raises(DataError, match=r"There is no input 'velocity': the inputs are 'a', 'b', 'c'\."):
        data.select(["velocity"])
    with pytest.raises(DataError, match="There is no input 3: the 3 inputs are numbered from 0"):
        data.select([3])
    with pytest.raises(DataError, match="no inputs: name at least one of 'a', 'b', 'c'"):
        data.select([])
    with pytest.raises(DataError, match="'a' occurs more than once"):
        data.select(["a", 0])
    renamed = Dataset.from_arrays(*table(), names=["velocity", "mass"])
    with pytest.raises(DataError, match="There is no input 'velocty': did you mean 'velocity'"):
        renamed.select(["velocty"])


def test_repr_shows_sizes_names_and_dtype():
    data = Dataset.from_arrays(*table(100), names=["a", "b"], scale="range", title="demo")
    wanted = "Dataset(demo: 64 training, 16 validation and 20 test rows; 2 inputs (scaled) a, b -> y; float64)"
    assert repr(data) == wanted
    assert repr(Dataset.from_arrays(*table(columns=9))).count("x_") == 5


def test_a_data_set_is_immutable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Dataset.from_arrays(*table()).X_train = None  # pyright: ignore[reportAttributeAccessIssue]


def with_entry(value):
    X, y = table()
    X[3, 1] = value
    return X, y


FRAME, TARGET = pd.DataFrame(table()[0], columns=["a", "b"]), table()[1]
LONG, WIDE = table(21), table(columns=3)
REFUSED = [
    (
        with_entry(np.nan),
        {},
        r"X\[:, 1\] has 1 missing \(NaN\) value \(in row 3, counting from 0\): drop or fill it\.",
    ),
    (with_entry(np.nan), {"names": ["a", "b"]}, "Column 'b' of X has 1 missing"),
    (with_entry(np.inf), {}, r"X\[:, 1\] has 1 infinite value \(in row 3, "),
    (
        (table()[0], [0.0] * 18 + [None] * 2),
        {},
        r"y has 2 missing \(NaN\) values \(in rows 18, 19, counting from 0\): drop or fill them\.",
    ),
    (
        (FRAME, pd.Series([1, None] * 10, dtype="Int64", name="n")),
        {},
        r"Column 'n' of y has 10 missing .* rows 1, 3, 5, 7, 9, \.\.\. \(10 in all\)",
    ),
    ((FRAME.assign(b=pd.Series([True, None] * 10, dtype="boolean")), TARGET), {}, "Column 'b' of X has 10 missing"),
    ((FRAME.assign(b=pd.Series([1.5, None] * 10, dtype=object)), TARGET), {}, "Column 'b' of X has 10 missing"),
    ((np.ma.masked_less(table()[0], 0), table()[1]), {}, r"X\[:, \d\] has \d+ missing"),
    (
        (FRAME.assign(a=["foo", "bar"] * 10), Y),
        {},
        r"Column 'a' of X holds text \('foo' in row 0, counting from 0; also 'bar'\): turn it into indicators",
    ),
    (
        (FRAME.assign(a=pd.Categorical(["u", "v"] * 10)), TARGET),
        {},
        r"Column 'a' of X holds categories \('u', 'v', 2 in all\): turn it into indicators with knotwork.Prep",
    ),
    ((FRAME.assign(a=pd.Categorical([7, 8] * 10)), TARGET), {}, r"Column 'a' of X holds categories \(7, 8, 2 in all\)"),
    (
        (FRAME.assign(a=["1.5", "2"] * 10), TARGET),
        {},
        r"holds numbers written as text \('1.5' in row 0.*\.astype\(float",
    ),
    (
        (FRAME.assign(a=["1,5", "2"] * 10), TARGET),
        {},
        r"text that looks like numbers with decimal commas .*knotwork.Preparation",
    ),
    (
        (FRAME.assign(a=[*range(18), "n/a", "?"]), TARGET),
        {},
        r"Column 'a' of X holds text among its numbers \('n/a' in rows 18, 19, counting from 0\): correct or drop",
    ),
    (
        (FRAME.assign(a=["2020-01-31"] * 20), TARGET),
        {},
        r"text that looks like dates .*pandas.to_datetime, then turn them",
    ),
    ((FRAME.assign(a=["31.1.2020"] * 20), TARGET), {}, "Column 'a' of X holds text that looks like dates"),
    ((FRAME.assign(a=datetime.date(2020, 1, 31)), TARGET), {}, r"holds dates \(2020-01-31 in row 0\): convert it with"),
    (([[1, 2], [3, "four"]], [1, 2]), {}, r"X\[:, 1\] holds text \('four' in row 1"),
    ((np.array([["1", "2"], ["3", "4"]]), [1, 2]), {}, r"X\[:, 0\] holds numbers written as text"),
    ((table()[0], ["yes", "no"] * 10), {}, r"y holds text \('yes' in row 0"),
    (
        (FRAME.assign(a=pd.date_range("2020", periods=20)), TARGET),
        {},
        "Column 'a' of X holds dates: turn them into days since the first",
    ),
    ((FRAME.assign(a=pd.date_range("2020", periods=20, tz="UTC")), TARGET), {}, "Column 'a' of X holds dates"),
    ((FRAME.assign(a=pd.Timedelta(days=1)), TARGET), {}, "Column 'a' of X holds durations: turn them into numbers"),
    (
        (FRAME.assign(a=[decimal.Decimal(1), {}] * 10), TARGET),
        {},
        r"Column 'a' of X holds dict objects \(in rows 1, 3, 5, 7, 9, \.\.\. \(10 in all\), counting from 0\): convert",
    ),
    ((FRAME + 1j, TARGET), {}, "Column 'a' of X holds complex numbers"),
    ((table()[0] + 1j, TARGET), {}, "holds complex numbers: pass their real and imaginary parts as two columns"),
    ((torch.ones(4, 2) * 1j, torch.ones(4)), {}, "X holds complex numbers"),
    (([[1, 2], [3]], [1, 2]), {}, "The rows of X differ in length"),
    ((np.zeros((4, 2, 2)), np.zeros(4)), {}, r"X has shape \(4, 2, 2\), but needs rows and columns: flatten"),
    ((table()[0], np.zeros((20, 1, 1))), {}, r"y has shape \(20, 1, 1\)"),
    ((np.zeros((0, 2)), np.zeros(0)), {}, "X has no rows"),
    ((np.zeros((4, 0)), np.zeros(4)), {}, "X has 4 rows but no columns"),
    ((FRAME[[]], TARGET), {}, "X has 20 rows but no columns"),
    ((FRAME, "y"), {}, "y has type str: pass an array, tensor, data frame or list of rows"),
    ((None, TARGET), {}, "X has type NoneType"),
    ((LONG[0], table()[1]), {}, "X has 21 rows and y has 20: every row needs its target"),
    ((FRAME, pd.Series(TARGET).iloc[::-1]), {}, "same row labels in different orders: align them"),
    ((np.ones((1, 2)), [1.0]), {}, "1 row cannot be split into training rows, 1 test and 1 validation rows"),
    ((np.eye(2), [1.0, 2.0]), {}, "2 rows cannot be split"),
    (table(), {"names": ["a"]}, "names has 1 names, but X has 2 columns"),
    (table(), {"names": ["a", "a"]}, "The names of inputs and targets are not unique: 'a' occurs more than once"),
    (table(), {"target_names": ["p", "q"]}, "target_names has 2 names, but y has 1 columns"),
    ((FRAME, FRAME["a"] ** 2), {}, r"not unique: 'a' is an input and a target\. A Series .* y\.rename"),
    ((FRAME.set_axis(["a", "a"], axis=1), TARGET), {}, "The columns of X are not unique: 'a'"),
    (
        table(),
        {"test_size": 1.0},
        r"test_size=1.0 is not possible: give a number of rows \(an int of 0 or more\) or a share of the rows "
        r"\(a float from 0 up to, but below, 1\)\.",
    ),
    (table(), {"test_size": -0.1}, "test_size=-0.1 is not possible"),
    (table(), {"test_size": -5}, "test_size=-5 is not possible"),
    (table(), {"test_size": True}, "test_size=True is not possible"),
    (table(), {"validation_size": "half"}, "validation_size='half' is not possible"),
    (table(), {"test_size": float("nan")}, "test_size=nan is not possible"),
    (table(), {"test_size": 0.99, "validation_size": 0.5}, "20 rows cannot be split .* or choose smaller sizes"),
    (table(), {"test_size": 15, "validation_size": 5}, "20 rows cannot be split into training rows, 15 test and 5 val"),
    (table(), {"seed": None}, "seed=None is not possible: give a whole number of 0 or more, such as seed=0"),
    *((table(), {"seed": seed}, f"seed={seed!r} is not possible") for seed in (-1, 1.5, "0", True, 2**63)),
    (table(), {"scale": "minmax"}, "scale='minmax' is not known: use 'standard', 'range' or False"),
    (table(), {"X_test": X}, "X_test and y_test come together"),
    (table(), {"X_test": X, "y_test": Y, "test_size": 0.1}, "test_size=0.1 and X_test were both given"),
    (table(), {"X_test": WIDE[0], "y_test": WIDE[1]}, "X_test has 3 columns, but the training rows have 2"),
    (table(), {"X_test": X, "y_test": WIDE[1]}, "X_test has 12 rows and y_test has 20"),
    ((FRAME, TARGET), {"X_test": FRAME[["b", "a"]], "y_test": TARGET}, "The columns of X_test are in another order"),
    (table(), {"X_test": X * np.nan, "y_test": Y}, "Column 'x_1' of X_test has 12 missing"),
]


@pytest.mark.parametrize(("arrays", "options", "said"), REFUSED)
def test_unusable_arrays_and_options_are_refused(arrays, options, said):
    with pytest.raises(DataError, match=said):
        Dataset.from_arrays(*arrays, **options)


def test_parts_of_different_shapes_are_refused():
    data = Dataset.from_arrays(*table())
    with pytest.raises(
        DataError, match=r"X_val and y_val have shapes \(3, 1\) and \(3, 1\), but \(N, 2\) and \(N, 1\)"
    ):
        dataclasses.replace(data, X_val=data.X_val[:, :1])
    with pytest.raises(DataError, match="X_test has 4 rows and y_test has 3"):
        dataclasses.replace(data, y_test=data.y_test[:3])
    with pytest.raises(DataError, match="There are no training rows"):
        dataclasses.replace(data, X_train=data.X_train[:0], y_train=data.y_train[:0])


def test_dicts_and_pairs_are_converted_to_data_sets():
    X, y = (torch.tensor(part) for part in table(50))
    form = {"train_input": X, "train_label": y[:, None], "test_input": X[:9], "test_label": y[:9, None]}
    data = Dataset.from_dict(form)
    assert data.rows() == Rows(40, 10, 9)
    assert as_dataset(data) is data
    assert torch.equal(as_dataset(form).X_train, data.X_train)
    assert as_dataset((X, y)).rows() == Rows(40, 10, 0)
    assert as_dataset((X, y), test_size=0.2).rows() == Rows(32, 8, 10)
    assert not torch.equal(as_dataset((X, y), seed=1).X_train, as_dataset((X, y), seed=2).X_train)
    with pytest.raises(DataError, match="The dict lacks 'test_input', 'test_label': it needs the keys 'train_input'"):
        as_dataset({"train_input": X, "train_label": y})
    for wrong in (X, None, (X,), "data.csv"):
        with pytest.raises(
            DataError, match=r"data has type \w+, but a Dataset, a pair \(X, y\), a torch DataLoader, or a dict"
        ):
            as_dataset(wrong)
