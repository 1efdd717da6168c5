"""The law of units: what a verb finds in scaled or shifted columns is what it finds in the plain ones, in units."""

import functools
import re
import warnings

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.errors import DataError

LM = kw.LevenbergMarquardt(starts=1)
R = np.random.default_rng(0)
X = R.uniform(-1, 1, (120, 2))
EXACT = 1.5 * np.exp(X[:, 0]) + X[:, 1] ** 2
Y = EXACT + 1e-3 * R.normal(size=120)
SCALES = {  # factor of the inputs, factor of the target, shift of the target
    "target 1e-200": (1.0, 1e-200, 0.0),
    "target 1e-30": (1.0, 1e-30, 0.0),
    "target 1e30": (1.0, 1e30, 0.0),
    "target 1e200": (1.0, 1e200, 0.0),
    "target + 1e6": (1.0, 1.0, 1e6),
    "inputs 1e-12": (1e-12, 1.0, 0.0),
    "inputs 1e12": (1e12, 1.0, 0.0),
}
SINGLE = {"target 1e-30": (1.0, 1e-30, 0.0), "target 1e-9": (1.0, 1e-9, 0.0), "target 1e30": (1.0, 1e30, 0.0)}


def table(scale, dtype, targets=Y):
    x, y, shift = scale
    return kw.Dataset.from_arrays(x * X, y * targets + shift, seed=0, dtype=dtype)


def fitted(data, width=(2, 1), **options):
    model = kw.KAN(list(width), seed=0, dtype=data.X_train.dtype)
    model.fit(data, optimizer=LM, **{"steps": 20, "smoothness": None, **options})
    return model


def outputs(model, data):
    return np.asarray(model.predict(data.X_train), dtype=float).reshape(-1)


def sparse(data):
    model = kw.KAN([2, 2, 1], seed=0, dtype=data.X_train.dtype)
    found = kw.fit_sparse(model, data, optimizer=LM, steps=10).model
    return found.spec.width, outputs(found, data)


def multilevel(data):
    model = kw.KAN([2, 1], seed=0, dtype=data.X_train.dtype)
    found = kw.fit_multilevel(model, data, grids=[3, 5, 20], optimizer=LM, steps=20).model
    return found.spec.grid, outputs(found, data)


def shapes(data):
    models = [kw.KAN(width, seed=0, dtype=data.X_train.dtype) for width in ([2, 1], [2, 2, 1])]
    found = [one.model for one in kw.fit_shapes(models, data, grids=[3], optimizer=LM, steps=10)]
    return tuple(model.spec.width for model in found), outputs(found[0], data)


def pruned(data):
    found = fitted(data, (2, 3, 1), lamb=1e-2).prune(data)
    return found.spec.width, outputs(found, data)


def pruned_within(data):
    found = fitted(data, (2, 2, 1), steps=10).prune(data, budget=0.5)
    return found.spec.width


def importance(data):
    return (), fitted(data).attribute(data).inputs.double().numpy()


def formula(data):
    found = fitted(data).auto_symbolic(data).symbolic_formula(data)
    skeleton = re.sub(r"[-+]?\d+\.?\d*(e[-+]?\d+)?", "", str(found).replace("x_1", "a").replace("x_2", "b"))
    predicted = found.predict(data.X_train, interval=0.9)
    return (set(re.findall(r"exp|sin|log|tanh|\*\*", skeleton)), round(found.r2, 5)), predicted.mean, predicted.upper


def unfixed(data):
    found = fitted(data).auto_symbolic(data)
    for source in range(2):
        found.unfix_symbolic(0, source, 0)
    return (), outputs(found, data)


def discovered(data):
    found = kw.discover(data).formula
    predicted = found.predict(data.X_train, interval=0.9)
    return (len(found.constants) > 2, round(found.r2, 5)), predicted.mean, predicted.upper


def regressor(data):
    found = kw.KANRegressor(random_state=0).fit(data.X_train, data.y_train[:, 0])
    return (round(found.score(data.X_train, data.y_train[:, 0]), 6),), found.predict(data.X_train)


def related(data):
    return tuple(fitted(data).relations(data).sentences())


def reported(data, path):
    model = fitted(data)
    model.auto_symbolic(data).report(path, data, splines=model)
    text = path.read_text()
    assert not re.search(r"\b(nan|inf)\b", re.sub(r"<(style|svg|script).*?</\1>", "", text, flags=re.S))
    return tuple(re.findall(r"is a sum of functions of [^<]*", text)), len(re.findall("<svg", text))


OF_MODELS = (sparse, multilevel, shapes, pruned, pruned_within, importance, formula, unfixed, related)
NETWORK = {f.__name__: f for f in OF_MODELS}
VERBS = {**NETWORK, "regressor": regressor, "discovered": discovered}
TARGETS = {"discovered": EXACT}  # a search in noisy rows takes long
# Rounding errors of the targets grow along directions that hardly matter to fits of noisy rows.
SAME = {torch.float64: 1e-4, torch.float32: 1e-3}


@functools.cache
def plain(verb, dtype):
    return VERBS[verb](table((1.0, 1.0, 0.0), dtype, TARGETS.get(verb, Y)))


def check(verb, scale, dtype):
    own, found = plain(verb, dtype), VERBS[verb](table(scale, dtype, TARGETS.get(verb, Y)))
    if not isinstance(own, tuple) or not any(isinstance(part, np.ndarray) for part in own):
        assert found == own
        return
    assert found[0] == own[0]
    _, factor, shift = (1.0, 1.0, 0.0) if verb == "importance" else scale
    for a, b in zip(found[1:], own[1:], strict=True):
        assert np.abs((np.asarray(a) - shift) / factor - b).max() < SAME[dtype]


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
@pytest.mark.parametrize("verb", VERBS)
def test_scaled_columns_give_the_scaled_result(verb, scale):
    check(verb, scale, torch.float64)


@pytest.mark.parametrize("scale", SINGLE.values(), ids=SINGLE)
@pytest.mark.parametrize("verb", NETWORK)
def test_so_do_those_of_float32(verb, scale):
    check(verb, scale, torch.float32)


@pytest.mark.parametrize("width", [(2, 1), (2, 2)])
@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e-60, 1e60, 1e200, 1e300])
def test_an_edge_that_is_named_and_unfixed_is_its_spline_again(scale, width):
    targets = scale * np.stack([EXACT, 3 * EXACT][: width[1]], axis=1)
    data = kw.Dataset.from_arrays(X, targets, seed=0)
    model = fitted(data, width)
    named = model.auto_symbolic(data, lib=["exp", "x^2"], r2_threshold=0.9)
    for source, target in [(i, j) for i in range(2) for j in range(width[1])]:
        named.unfix_symbolic(0, source, target)
    difference = np.abs(outputs(named, data) - outputs(model, data)).max()
    assert difference <= 1e-3 * np.abs(targets).max()  # splines that were named later were refitted before


@pytest.mark.parametrize("factor", [1e-12, 1e12, 1e200])
def test_classes_do_not_depend_on_the_unit_of_the_inputs(factor):
    labels = (X.sum(1) > 0).astype(int)
    own, found = (kw.KANClassifier(random_state=0).fit(f * X, labels).predict_proba(f * X) for f in (1.0, factor))
    assert np.abs(own - found).max() < 1e-4


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
def test_reports_and_figures_do_not_overflow(scale, tmp_path):
    data = table(scale, torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert reported(data, tmp_path / "b.html") == reported(
            table((1.0, 1.0, 0.0), torch.float64), tmp_path / "a.html"
        )
        fitted(data).plot(data)


def test_inputs_whose_squares_no_number_holds_are_refused_by_discover():
    with pytest.raises(DataError, match=r"'x_1' has values up to 9\.\d+e\+199, whose powers no number holds: use"):
        kw.discover(1e200 * X, Y)
