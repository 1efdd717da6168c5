"""Predictions: the outputs of the network for any rows, and one warning of the rows beyond those of the fit."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import torch

import knotwork as kw
from knotwork.errors import DataError, KnotworkWarning
from knotwork.model.settings import MODEL

pytestmark = pytest.mark.filterwarnings("error")


def fitted(columns=2, outputs=1, **options):
    X = np.random.default_rng(0).uniform(-1, 1, (60, columns))
    y = np.stack([X[:, 0] + n * X[:, -1] for n in range(1, outputs + 1)], axis=1)
    model = kw.KAN([columns, outputs], grid=3, seed=0, **options)
    model.fit((X, y), steps=3, progress=False)
    return model, X


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_predictions_are_the_outputs_as_an_array(outputs, dtype):
    model, X = fitted(outputs=outputs, dtype=dtype)
    values = model.predict(X)
    assert isinstance(values, np.ndarray)
    assert values.shape == ((60,) if outputs == 1 else (60, outputs))
    np.testing.assert_array_equal(values.reshape(60, -1), model(torch.tensor(X)).detach().numpy())


def test_many_rows_are_predicted_in_parts(monkeypatch):
    model, X = fitted()
    whole = model.predict(X)
    monkeypatch.setattr("knotwork.model.prediction.MODEL", type(MODEL)(rows_predicted_at_once=7))
    np.testing.assert_allclose(model.predict(X), whole, rtol=1e-14, atol=1e-14)  # sums in another order


def test_rows_beyond_those_of_the_fit_are_counted_in_one_warning():
    model, X = fitted()
    rows = X[:10].copy()
    rows[2, 0], rows[3], rows[4, 1] = 5.0, (-4.0, 7.0), np.nextafter(9.0, 10)
    with pytest.warns(KnotworkWarning, match=r"3 of 10 rows lie outside the grids.*: x_1 in 2 \(-4 to 5, grid") as seen:
        model.predict(rows)
    assert len(seen) == 1 and seen[0].filename == __file__
    assert "x_2 in 2" in str(seen[0].message) and "as straight lines" in str(seen[0].message)


@pytest.mark.parametrize("extrapolation", ["linear", "zero"])
def test_the_warning_says_what_holds_beyond(extrapolation):
    model, X = fitted(extrapolation=extrapolation)
    said = {"linear": "straight lines", "zero": "zero there"}[extrapolation]
    with pytest.warns(KnotworkWarning, match=said):
        model.predict(3 * X)


def test_no_warning_for_the_rows_of_the_fit_new_networks_and_names():
    model, X = fitted()
    model.predict(X)
    kw.KAN([2, 1], seed=0).predict(100 * X)
    kw.KAN.from_expression("x + y").predict(100 * X)
    in_single, _ = fitted(dtype=torch.float32)
    in_single.predict(X)


def test_a_warning_of_many_inputs_lists_some():
    model, X = fitted(columns=8)
    with pytest.warns(KnotworkWarning, match=r"x_5 in \d+ \([^)]*\); and 3 more inputs"):
        model.predict(5 * X)


def test_estimators_warn_too_with_the_names_of_columns():
    frame = pd.DataFrame(np.random.default_rng(0).uniform(-1, 1, (60, 2)), columns=["east", "north"])
    labels = frame["east"] > 0
    for model, verbs in (
        (kw.KANRegressor(random_state=0, max_iter=2).fit(frame, frame["east"]), ("predict",)),
        (kw.KANClassifier(random_state=0, max_iter=2).fit(frame, labels), ("predict", "predict_proba")),
    ):
        for verb in verbs:
            with pytest.warns(KnotworkWarning, match=r"1 of 60 rows lies outside the grids.*: north in 1 \(") as seen:
                getattr(model, verb)(frame.assign(north=frame["north"].where(frame.index != 7, 30.0)))
            assert len(seen) == 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.predict(frame)
            model.plot(3 * frame)


def test_other_columns_are_refused_with_their_names():
    model, X = fitted()
    with pytest.raises(
        DataError, match=r"X has 3 columns \('a', 'b', 'y'\), but this KAN takes 2: pass those of its fit"
    ):
        model.predict(pd.DataFrame(np.hstack([X, X[:, :1]]), columns=["a", "b", "y"]))


def arrays_of(X):
    """The same rows as arrays that differ in memory only."""
    big = np.zeros((60, 5))
    big[:, 1:4:2] = X
    locked = X.copy()
    locked.flags.writeable = False
    records = np.zeros(60, dtype=[("flag", "i1"), ("values", "f8", 2)])
    records["values"] = X
    return {
        "as it is": X,
        "by columns": np.asfortranarray(X),
        "reversed twice": X[::-1].copy()[::-1],
        "a part": big[:, 1:4:2],
        "not writeable": locked,
        "another byte order": X.astype(">f8"),
        "of records": records["values"],
        "a list": X.tolist(),
    }


@pytest.mark.parametrize("kind", arrays_of(np.zeros((60, 2))))
def test_predictions_depend_on_the_numbers_only_and_change_none(kind):
    model, X = fitted()
    array = arrays_of(X)[kind]
    np.testing.assert_array_equal(model.predict(array), model.predict(torch.tensor(X)))
    np.testing.assert_array_equal(np.array(array), X)


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("step", [1, -1])
def test_few_rows_are_predicted_in_any_order_in_memory(count, step):
    model, X = fitted()
    if count:
        assert model.predict(X[:count][::step]) == model.predict(X.tolist()[:1])
    else:
        with pytest.raises(DataError, match="X has no rows"):
            model.predict(X[:0][::step])


def test_single_precision_is_exact_in_predictions():
    """Rows in float32 are the same numbers in float64, and their warning counts the same rows."""
    model, X = fitted()
    rows = (3 * X).astype(np.float32)
    with pytest.warns(KnotworkWarning) as of_single:
        values = model.predict(rows)
    with pytest.warns(KnotworkWarning) as of_double:
        np.testing.assert_array_equal(values, model.predict(rows.astype(np.float64)))
    assert str(of_single[0].message) == str(of_double[0].message)


PREDICTS = """
import resource, numpy as np, knotwork as kw
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MB
model = kw.KAN([20, 1], seed=0)
model.fit((np.eye(20), np.ones(20) + np.arange(20)), optimizer="adam", steps=1, progress=False)
model.predict(np.zeros((40_000, 20)))
X = np.zeros((2_000_000, 20), dtype=np.float32)
X[:] = 0.5
before = peak()
model.predict(X)
print(peak() - before)
"""


@pytest.mark.skipif(
    os.environ.get("KNOTWORK_KERNELS") == "reference", reason="plain torch holds the bases of a part, 100 MB and more"
)
def test_predictions_of_many_rows_need_no_copy_of_them():
    found = subprocess.run([sys.executable, "-c", PREDICTS], capture_output=True, text=True, check=True)
    assert float(found.stdout) < 100  # outputs and where inputs lie: 50; the rows themselves have 160 MB
