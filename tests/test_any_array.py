"""The same numbers give the same result, whatever array holds them; anything else is refused in words by every verb."""

import array
import datetime
import decimal
import fractions

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import knotwork as kw
from knotwork import pde
from knotwork.data.preparation import prepare
from knotwork.errors import DataError
from knotwork.expressions import parse

ROWS = 40
X = np.random.default_rng(0).integers(-64, 65, (ROWS, 2)) / 64.0  # exact in every type of number below, as is Y
Y = np.round(32 * (X[:, 0] ** 2 - X[:, 1])) / 32
FRAME = pd.DataFrame(X, columns=["a", "b"])


def spread_out(values):
    """The same values as a view of every second row and column of a larger array."""
    larger = np.zeros((2 * len(values), *(2 * n for n in values.shape[1:])))
    view = larger[(slice(None, None, 2),) * values.ndim]
    view[:] = values
    return view


def read_only(values):
    values = values.copy()
    values.flags.writeable = False
    return values


def in_inference_mode(values):
    with torch.inference_mode():
        return torch.tensor(values)


ARRAYS = {  # of any shape
    "reversed rows": lambda v: v[::-1].copy()[::-1],
    "all axes reversed": lambda v: np.flip(np.flip(v).copy()),
    "view of a larger array": spread_out,
    "Fortran order": np.asfortranarray,
    "big-endian": lambda v: v.astype(">f8"),
    "big-endian float32": lambda v: v.astype(">f4"),
    "float16": lambda v: v.astype(np.float16),
    "long double": lambda v: v.astype(np.longdouble),
    "read-only": read_only,
    "masked, nothing missing": np.ma.array,
    "objects": lambda v: v.astype(object),
    "lists": lambda v: v.tolist(),
    "list of arrays": list,
    "list of tensors that need gradients": lambda v: list(torch.tensor(v, requires_grad=True)),
    "memoryview": lambda v: memoryview(np.ascontiguousarray(v)),
    "tensor": torch.tensor,
    "float32 tensor": lambda v: torch.tensor(v).float(),
    "bfloat16 tensor": lambda v: torch.tensor(v).bfloat16(),
    "tensor that needs gradients": lambda v: torch.tensor(v, requires_grad=True),
    "tensor of inference mode": in_inference_mode,
    "tensor of other strides": lambda v: torch.as_tensor(spread_out(v)),
}
TABLES = {  # with rows and columns
    "structured array": lambda v: np.rec.fromarrays(list(v.T), names="a,b"),
    "structured array of two types": lambda v: np.array(
        list(map(tuple, v)), dtype=[("a", ">f4"), ("b", np.longdouble)]
    ),
    "fractions": lambda v: [[fractions.Fraction(one) for one in row] for row in v.tolist()],
    "decimals": lambda v: [[decimal.Decimal(one) for one in row] for row in v.tolist()],
    "data frame": lambda v: pd.DataFrame(v, columns=["a", "b"]),
    "reversed data frame": lambda v: pd.DataFrame(v[::-1], columns=["a", "b"]).iloc[::-1],
    "data frame with other labels": lambda v: pd.DataFrame(v, columns=["a", "b"], index=range(7, 7 + len(v))),
    "nullable data frame": lambda v: pd.DataFrame(v, columns=["a", "b"]).astype("Float64"),
    "data frame of objects": lambda v: pd.DataFrame(v, columns=["a", "b"]).astype(object),
    "data frame over Arrow": lambda v: pd.DataFrame(v, columns=["a", "b"]).convert_dtypes(dtype_backend="pyarrow"),
    "sparse data frame": lambda v: pd.DataFrame(v, columns=["a", "b"]).astype(pd.SparseDtype("float", 0.0)),
    "table of Arrow": lambda v: pa.table({"a": v[:, 0], "b": v[:, 1]}),
    "dict of columns": lambda v: {"a": v[:, 0], "b": torch.tensor(v[:, 1], requires_grad=True)},
}
COLUMNS = {  # with rows alone
    "series": pd.Series,
    "series with other labels": lambda v: pd.Series(v, index=range(7, 7 + len(v))),
    "nullable series": lambda v: pd.Series(v).astype("Float64"),
    "column of Arrow": pa.array,
    "array of Python": lambda v: array.array("d", v.tolist()),
    "fractions": lambda v: [fractions.Fraction(one) for one in v.tolist()],
    "tuple of single tensors": lambda v: tuple(torch.tensor(v)),
}

ONE_START = kw.LevenbergMarquardt(starts=1)
DATA = kw.Dataset.from_arrays(X, Y, names=["a", "b"], test_size=0)
WEIGHTS = np.arange(1.0, ROWS + 1)


def new(**options):
    return kw.KAN([2, 2, 1], grid=3, seed=0, **options)


MODEL = new()
MODEL.fit(DATA, optimizer=ONE_START, steps=5, progress=False)
FORMULA = kw.Formula((parse("a**2 - b"),), ("a", "b"), ("y",), gap=0.0, r2=1.0, rmse=0.0)
REGRESSOR = kw.KANRegressor(random_state=0, max_iter=5).fit(X, Y)
CLASSIFIER = kw.KANClassifier(random_state=0, max_iter=5).fit(X, Y > 0)
GROWTH = pde.Problem(lambda u, t: u.d("t") - u, {"t": (0, 2)}, [pde.initial(1.0)])
SOLUTION = pde.solve(GROWTH, width=[1, 1], grid=3, starts=1, progress=False)


def fit(data, verb=kw.fit, **options):
    model = new()
    verb(model, data, optimizer=ONE_START, steps=3, progress=False, **options)
    return model(X)


def curves(figure):
    lines = [line.get_xydata() for axes in figure.axes for line in axes.lines]
    return np.concatenate([line for line in lines if len(line)]) if lines else len(figure.axes[0].collections)


SCALING = kw.Dataset.from_arrays(X, Y, scale="range").scaling
OF_INPUTS = {  # verbs that take rows of inputs
    "KAN.predict": MODEL.predict,
    "KAN()": MODEL,
    "KAN.trace": lambda x: MODEL.trace(x).outputs,
    "KAN.attribute": lambda x: MODEL.attribute(x).inputs,
    "kw.attribute": lambda x: kw.attribute(MODEL, x).inputs,
    "KAN.jacobian": MODEL.jacobian,
    "KAN.derivatives": lambda x: torch.stack([part.sum() for part in MODEL.derivatives(x)]),
    "KAN.loss_and_grad": lambda x: MODEL.loss_and_grad(x, Y)[0],
    "KAN.plot": lambda x: curves(MODEL.plot(x)),
    "KAN.plot_edge": lambda x: curves(MODEL.plot_edge(0, 0, 0, x)),
    "KAN.suggest_symbolic": lambda x: [one.r2 for one in MODEL.suggest_symbolic(0, 0, 0, x, lib=["x", "x^2"])],
    "Formula.predict": FORMULA.predict,
    # a tensor keeps its type
    "Scaling.apply": lambda X: SCALING.apply(X.double() if isinstance(X, torch.Tensor) else X),
    "Dataset.from_arrays": lambda x: kw.Dataset.from_arrays(x, Y).X_train,
    "Dataset.from_arrays, test rows": lambda x: kw.Dataset.from_arrays(X, Y, X_test=x, y_test=Y).X_test,
    "Dataset.from_dict": lambda x: (
        kw.Dataset.from_dict({"train_input": x, "train_label": Y, "test_input": x, "test_label": Y}).X_test
    ),
    "as_dataset": lambda x: kw.as_dataset((x, Y)).X_train,
    "stream_batches": lambda x: kw.stream_batches([(x, Y)]).sample.X_train,
    "KAN.fit": lambda x: fit((x, Y)),
    "KANRegressor.fit": lambda x: kw.KANRegressor(random_state=0, max_iter=2).fit(x, Y).model_(X),
    "KANRegressor.predict": REGRESSOR.predict,
    "KANRegressor.score": lambda x: REGRESSOR.score(x, Y),
    "KANRegressor.partial_dependence": lambda x: REGRESSOR.partial_dependence(0, x).average,
    "KANRegressor.plot": lambda x: curves(REGRESSOR.plot(x)),
    "KANClassifier.fit": lambda x: kw.KANClassifier(random_state=0, max_iter=2).fit(x, Y > 0).model_(X),
    "KANClassifier.predict": CLASSIFIER.predict,
    "KANClassifier.predict_proba": CLASSIFIER.predict_proba,
    "KANClassifier.decision_function": CLASSIFIER.decision_function,
    "KANClassifier.score": lambda x: CLASSIFIER.score(x, Y > 0),
}
OF_COLUMNS = {  # values (n,), and a verb that takes them
    "Dataset.from_arrays": (Y, lambda y: kw.Dataset.from_arrays(X, y).y_train),
    "as_dataset": (Y, lambda y: kw.as_dataset((X, y)).y_train),
    "stream_batches": (Y, lambda y: kw.stream_batches([(X, y)]).sample.y_train),
    "KAN.fit": (Y, lambda y: fit((X, y))),
    "KAN.fit, weights": (WEIGHTS, lambda w: fit((X, Y), sample_weight=w)),
    "KAN.loss_and_grad": (Y, lambda y: MODEL.loss_and_grad(X, y)[0]),
    "Formula.numpy": (Y, lambda y: FORMULA.numpy()(y, 1.0)),
    "Formula.predict": (Y, lambda y: FORMULA.predict({"a": y, "b": 1.0})),
    "KANRegressor.fit": (Y, lambda y: kw.KANRegressor(random_state=0, max_iter=2).fit(X, y).model_(X)),
    "KANRegressor.fit, weights": (
        WEIGHTS,
        lambda w: kw.KANRegressor(random_state=0, max_iter=2).fit(X, Y, sample_weight=w).model_(X),
    ),
    "KANRegressor.score": (Y, lambda y: REGRESSOR.score(X, y)),
    "KANRegressor.score, weights": (WEIGHTS, lambda w: REGRESSOR.score(X, Y, w)),
    "KANClassifier.fit, weights": (
        WEIGHTS,
        lambda w: kw.KANClassifier(random_state=0, max_iter=2).fit(X, Y > 0, sample_weight=w).model_(X),
    ),
    "KANClassifier.score, weights": (WEIGHTS, lambda w: CLASSIFIER.score(X, Y > 0, w)),
    "pde.data": (Y, lambda y: np.shape(pde.data(X, y).points)),
    "pde.Solution": (np.abs(Y), SOLUTION),
}
PAIRS = {  # (X, y) in other arrays
    "reversed": (ARRAYS["reversed rows"](X), ARRAYS["reversed rows"](Y)),
    "structured, big-endian": (TABLES["structured array"](X), Y.astype(">f8")),
    "data frame with other labels": (TABLES["data frame with other labels"](X), list(Y)),
    "need gradients": (torch.tensor(X, requires_grad=True), torch.tensor(Y, requires_grad=True)),
    "of inference mode": (in_inference_mode(X), in_inference_mode(Y)),
    "list of two": [X.tolist(), [[one] for one in Y]],
}


def sums(models):
    return [model(X).sum() for model in models]


QUICK = {"optimizer": ONE_START, "steps": 2, "progress": False}
OF_PAIRS = {
    "kw.fit": lambda d: fit(d),
    "kw.fit by Adam": lambda d: kw.fit(new(), d, optimizer="adam", steps=3, progress=False).train_rmse,
    "KAN.fit by L-BFGS": lambda d: new().fit(d, **{**QUICK, "optimizer": "lbfgs"}, sample_weight=WEIGHTS).val_rmse,
    "kw.fit_multilevel": lambda d: kw.fit_multilevel(new(), d, [3, 6], **QUICK, sample_weight=WEIGHTS).model(X),
    "kw.fit_shapes": lambda d: kw.fit_shapes([new()], d, (3,), **QUICK, sample_weight=WEIGHTS)[0].model(X),
    "kw.fit_sparse": lambda d: kw.fit_sparse(new(), d, **QUICK, sample_weight=WEIGHTS).model(X),
    "KAN.prune": lambda d: MODEL.prune(d)(X),
    "KAN.auto_symbolic": lambda d: MODEL.auto_symbolic(d, ["x", "x^2"])(X),
    "KAN.relations": lambda d: MODEL.relations(d).effects,
    "KAN.attribute": lambda d: MODEL.attribute(d).inputs,
    "KAN.plot": lambda d: curves(MODEL.plot(d)),
}


def as_array(result):
    if isinstance(result, torch.Tensor):
        return result.detach().numpy()
    return np.asarray(result, dtype=float)


WANTED = {}


def check(group, verb, call, plain, form):
    """The result for another form is that for the plain array, to the bit."""
    if (group, verb) not in WANTED:
        WANTED[group, verb] = as_array(call(plain))
    np.testing.assert_array_equal(as_array(call(form)), WANTED[group, verb])


@pytest.mark.filterwarnings("ignore:X has feature names:UserWarning")  # scikit-learn's, as the fit was to an array
@pytest.mark.parametrize("form", ARRAYS | TABLES)
@pytest.mark.parametrize("verb", OF_INPUTS)
def test_inputs_in_any_array_give_the_same_result(verb, form):
    check("inputs", verb, OF_INPUTS[verb], X, (ARRAYS | TABLES)[form](X))


@pytest.mark.parametrize("form", ARRAYS | COLUMNS)
@pytest.mark.parametrize("verb", OF_COLUMNS)
def test_columns_in_any_array_give_the_same_result(verb, form):
    values, call = OF_COLUMNS[verb]
    check("columns", verb, call, values, (ARRAYS | COLUMNS)[form](values))


@pytest.mark.parametrize("form", PAIRS)
@pytest.mark.parametrize("verb", OF_PAIRS)
def test_pairs_in_any_arrays_give_the_same_result(verb, form):
    check("pairs", verb, OF_PAIRS[verb], (X, Y), PAIRS[form])


MIXED = [[1.0, 2.0], [3.0, "four"]]
REFUSED = {  # what is no table of numbers, and what is said about it
    "dates": (FRAME.assign(a=pd.date_range("2020", periods=ROWS)), r"'a' of X holds dates: turn them into days since"),
    "dates alone": (pd.DataFrame({n: pd.date_range("2020", periods=ROWS) for n in "ab"}), "'a' of X holds dates"),
    "array of dates": (np.full((ROWS, 2), "2020-01-01", "M8[D]"), "holds dates"),
    "objects of NumPy's dates": (np.full((ROWS, 2), np.datetime64("2020-01-01"), object), "holds dates"),
    "durations": (FRAME.assign(b=pd.Timedelta(days=1)), "'b' of X holds durations: turn them into numbers"),
    "list of durations": (
        [[datetime.timedelta(1), 1.0]] * ROWS,
        r"holds durations \(1 day, 0:00:00 in row 0",
    ),
    "categories": (
        FRAME.assign(b=pd.Categorical(["u", "v"] * 20)),
        r"categories \('u', 'v', 2 in all\): turn it into ind",
    ),
    "numbered categories": (FRAME.assign(b=pd.Categorical([1, 2] * 20)), r"if they are amounts, \.astype\(float\)"),
    "text": (FRAME.assign(b=["u", "v"] * 20), r"'b' of X holds text \('u' in row 0.*: turn it into indicators"),
    "text of Arrow": (pa.table({"a": X[:, 0], "b": ["u", "v"] * 20}), "'b' of X holds text"),
    "structured text": (np.array([(1.0, "u")] * ROWS, [("a", float), ("b", "U1")]), "'b' of X holds text"),
    "text of bytes": (np.full((ROWS, 2), b"1.5"), "numbers written as text"),
    "mixed list": (MIXED * 20, r"holds text among its numbers \('four' in|holds text \('four' in row"),
    "list of complex numbers": (
        [[1j, 1.0]] * ROWS,
        "holds complex numbers: pass their real",
    ),
    "complex tensor": (torch.tensor(X) + 0j, "X holds complex numbers: pass their real"),
    "sparse tensor": (torch.tensor(X).to_sparse(), r"X is a sparse tensor: pass all its values, X.to_dense\(\)"),
    "tensor without values": (torch.empty(ROWS, 2, device="meta"), "'meta', where tensors hold no values"),
    "ragged list": ([*X.tolist()[1:], [1.0]], "The rows of X differ in length"),
    "ragged dict": ({"a": X[:, 0], "b": X[1:, 1]}, "The columns of X have 39 and 40 rows"),
    "matrix in a column": (np.zeros(ROWS, [("a", float, 2), ("b", float)]), r"'a' of X has shape \(40, 2\)"),
    "generator": ((row for row in X), "can be read only once|ends after one pass"),
    "set": ({1.0, 2.0}, "has type set|A batch has type"),
    "text alone": ("table.csv", "has type str"),
    "two columns of one name": (FRAME.set_axis(["a", "a"], axis=1), "columns of X are not unique: 'a'"),
    "missing": (np.ma.masked_equal(X, X[3, 1]), r"missing \(NaN\) value"),
    "missing in a table": (FRAME.mask(X[3, 1] == FRAME).astype("Float64"), r"missing \(NaN\) value"),
    "None": ([*X.tolist()[1:], [None, 1.0]], r"has 1 missing \(NaN\) value \(in row 39"),
    "too large": ([*X.tolist()[1:], [10**400, 1.0]], r"has 1 infinite value \(in row 39"),
    "no rows": (X[:0], "X has no rows"),
    "no columns": (FRAME[[]], "X has 40 rows but no columns"),
    "one axis": (X[:, 0], r"for one column pass X\[:, None\]|expects 2|takes 2"),
    "series": (FRAME["a"], r"for one column pass X.to_frame\(\)|expects 2|takes 2"),
    "three axes": (X[None], "flatten the other axes"),
    "another column": (np.hstack([X, X[:, :1]]), r"3 columns|3 input columns"),
}
PREPARED = [  # what `discover` makes numbers of
    "dates", "dates alone", "durations", "list of durations", "categories", "numbered categories", "text",
    "text of Arrow", "structured text", "text of bytes", "missing", "missing in a table", "None", "one axis", "series",
]  # fmt: skip
OTHERWISE = {  # what `discover` says in other words
    "array of dates": "No column of X can be an input: 'x_1' was skipped: it has one date alone",
    "objects of NumPy's dates": "No column of X can be an input",
    "mixed list": "'x_2' holds 'four' .row 1, counting from 0, and 19 more such cells. among its numbers: correct",
    "list of complex numbers": "holds complex numbers: pass their real",
    "too large": "holds an infinite value .row 39",
    "text alone": "There is no file 'table.csv'",
}
TAKES = {  # a verb of each kind, by what it refuses in the words above
    "Dataset.from_arrays": lambda x: kw.Dataset.from_arrays(x, Y),
    "KAN.predict": MODEL.predict,
    "KAN.attribute": MODEL.attribute,
    "KAN.fit": lambda x: new().fit((x, Y), progress=False),
    "discover": lambda x: kw.discover(x, Y, time_budget=0, progress=False),
    "Formula.predict": FORMULA.predict,
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("verb", TAKES)
def test_what_is_no_table_of_numbers_is_refused_in_words(verb, kind):
    values, said = REFUSED[kind]
    if kind == "another column" and verb in ("Dataset.from_arrays", "discover"):
        pytest.skip("a new table may have any number of columns")
    if verb == "Dataset.from_arrays" and kind in ("one axis", "series"):
        assert TAKES[verb](values).n_inputs == 1
        return
    said = OTHERWISE.get(kind, said) if verb == "discover" else said
    if verb == "discover" and kind in PREPARED:
        assert prepare(values, Y).preparation.columns
        return
    values = (row for row in X) if kind == "generator" else values
    with pytest.raises((DataError, kw.KnotworkError), match=said):
        TAKES[verb](values)


@pytest.mark.filterwarnings("ignore:X has feature names", "ignore::knotwork.KnotworkWarning")
@pytest.mark.parametrize("kind", REFUSED)
def test_estimators_refuse_the_same(kind):
    """scikit-learn prescribes some of the words, and one axis; no error is one of NumPy, pandas or torch."""
    if kind in PREPARED and kind != "one axis":
        fitted = kw.KANRegressor(max_iter=2).fit(REFUSED[kind][0], Y)
        assert np.isfinite(fitted.predict(REFUSED[kind][0])).all()
        return
    for call in (lambda x: kw.KANRegressor(max_iter=2).fit(x, Y), REGRESSOR.predict, CLASSIFIER.predict_proba):
        values = (row for row in X) if kind == "generator" else REFUSED[kind][0]
        if kind == "another column" and call is not REGRESSOR.predict:
            continue
        with pytest.raises(ValueError, match=r"X|column|feature|array|sample|infinity"):
            call(values)
