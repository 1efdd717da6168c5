"""Properties of KANRegressor and KANClassifier beyond scikit-learn's own checks."""

import pickle
import re
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import make_friedman1
from sklearn.exceptions import NotFittedError
from sklearn.inspection import partial_dependence
from sklearn.metrics import log_loss

import knotwork as kw
from knotwork.errors import DataError, SpecError, TrainingError
from knotwork.estimators import KANClassifier, KANRegressor
from knotwork.estimators.linear_start import linear_network
from knotwork.estimators.planning import planned
from knotwork.model import MODEL, FreeParameters
from knotwork.outputs.wording import explained, number
from tests.estimators.conftest import rings, surface

UNNOTICED = 1e-4  # a thousandth of the noise: rounding errors grow during a fit, and depend on the order of sums

BOTH = pytest.mark.parametrize(("kind", "table"), [(KANRegressor, surface), (KANClassifier, rings)])


def said(estimator, X):
    """The numbers that an estimator predicts."""
    return estimator.predict(X) if isinstance(estimator, KANRegressor) else estimator.predict_log_proba(X)


# --- how well ---


def test_predictions_are_closer_to_the_truth_than_the_noise(regressor):
    X, _ = surface(500, 1)
    truth = np.sin(3 * X[:, 0]) + X[:, 1] ** 2
    assert np.sqrt(np.mean((regressor.predict(X) - truth) ** 2)) < 0.05  # half of the noise of 0.1


def test_classes_are_predicted_in_spite_of_wrong_labels(classifier):
    X, y = rings(1000, 1)
    assert classifier.score(X, y) > 0.85  # at most 0.93 is possible: a tenth of the labels is random among three


def test_noise_alone_is_not_learned():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 8)), rng.normal(size=200)
    model = KANRegressor(random_state=0).fit(X, y)
    assert np.std(model.predict(X)) < 0.3


def test_an_exact_linear_function_is_learned_exactly():
    X, _ = surface(400, 0)
    y = 2 + X[:, 0] - 3 * X[:, 1]
    model = KANRegressor(random_state=0).fit(X, y)
    # also outside the range of the rows
    assert np.abs(model.predict(3 * X) - (2 + 3 * X[:, 0] - 9 * X[:, 1])).max() < 1e-4


def test_mini_batches_of_adam_learn_the_function():
    X, y = make_friedman1(1000, noise=0.1, random_state=0)
    model = KANRegressor(optimizer="adam", random_state=0).fit(X, y)
    assert model.fit_result_.optimizer == "adam" and model.model_.spec.nodes(1) == 64
    assert model.score(*make_friedman1(1000, noise=0.1, random_state=1)) > 0.9


# --- laws ---


@BOTH
def test_a_whole_weight_equals_that_number_of_copies_of_a_row(kind, table):
    X, y = table(120, 0)
    rng = np.random.default_rng(1)
    weights = rng.integers(0, 4, len(X))
    copies = rng.permutation(np.repeat(np.arange(len(X)), weights))
    weighted = kind(random_state=0).fit(X, y, sample_weight=weights)
    copied = kind(random_state=0).fit(X[copies], y[copies])
    np.testing.assert_allclose(said(weighted, X), said(copied, X), rtol=0, atol=UNNOTICED)
    np.testing.assert_array_equal(weighted.model_.layers[0].knots, copied.model_.layers[0].knots)


def test_a_class_of_weight_zero_is_absent():
    X, y = rings(90, 0)
    model = KANClassifier(random_state=0).fit(X, y, sample_weight=(y != "middle").astype(float))
    assert list(model.classes_) == ["inner", "outer"]


@pytest.mark.parametrize("classes", [2, 3])
def test_weights_of_classes_move_logits_by_their_logarithms(classes):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 2))
    y = np.digitize(np.sin(2 * X[:, 0]) + X[:, 1] + 0.5 * rng.standard_normal(300), [1.0, 2.0][: classes - 1])
    weights = len(y) / np.bincount(y)
    without, balanced = (
        KANClassifier(random_state=0).fit(X, y, sample_weight=w).predict_log_proba(X) for w in (None, weights[y])
    )
    moved = without + np.log(weights)
    np.testing.assert_allclose(balanced, moved - np.logaddexp.reduce(moved, 1)[:, None], rtol=1e-9, atol=1e-9)
    recall = [[(p.argmax(1) == c)[y == c].mean() for c in range(classes)] for p in (without, balanced)]
    assert np.mean(recall[1]) > np.mean(recall[0]), "rare classes are found more often"


@BOTH
def test_units_of_columns_make_no_difference(kind, table):
    X, y = table(100, 0)
    scale, shift = np.array([1e-6, 1e6, 3.0])[: X.shape[1]], np.array([5.0, -1e6, 0.0])[: X.shape[1]]
    model, scaled = kind(random_state=0).fit(X, y), kind(random_state=0).fit(X * scale + shift, y)
    np.testing.assert_allclose(said(scaled, X * scale + shift), said(model, X), rtol=0, atol=UNNOTICED)


@pytest.mark.parametrize("unit", [1e-200, 1e-3, 1e200])
def test_units_of_targets_are_those_of_predictions(unit):
    X, y = surface(100, 0)
    model, scaled = KANRegressor(random_state=0).fit(X, y), KANRegressor(random_state=0).fit(X, unit * (y + 7))
    np.testing.assert_allclose(scaled.predict(X) / unit - 7, model.predict(X), rtol=0, atol=UNNOTICED)


@BOTH
def test_the_seed_determines_the_result(kind, table):
    X, y = table(80, 0)
    first, same, other = (kind(random_state=seed).fit(X, y) for seed in (0, 0, 1))
    assert np.array_equal(said(first, X), said(same, X)) and not np.array_equal(said(first, X), said(other, X))


@BOTH
def test_the_network_gives_the_predictions(kind, table):
    X, y = table(100, 0)
    model = kind(random_state=0).fit(X, y)
    outputs = model.model_(kw.sample("x", x=(0, 1), size=9).X_train.new_tensor(X)).detach().numpy()
    expected = model.predict(X)[:, None] if kind is KANRegressor else model.decision_function(X)
    np.testing.assert_allclose(outputs, expected)


def test_several_targets_keep_their_units_and_axes():
    X, y = surface(150, 0)
    both = KANRegressor(random_state=0).fit(X, np.column_stack([y, 1000 * y + 5]))
    predicted = both.predict(X)
    assert predicted.shape == (150, 2) and both.score(X, np.column_stack([y, 1000 * y + 5])) > 0.95
    np.testing.assert_allclose(predicted[:, 1], 1000 * predicted[:, 0] + 5, rtol=0, atol=100)
    assert KANRegressor(random_state=0).fit(X, y[:, None]).predict(X).shape == (150, 1)


def test_probabilities_logits_and_classes_are_consistent(classifier):
    X, _ = rings(50, 2)
    p = classifier.predict_proba(X)
    np.testing.assert_allclose(p.sum(1), 1)
    np.testing.assert_allclose(np.log(p), classifier.predict_log_proba(X))
    logits = classifier.decision_function(X)
    np.testing.assert_allclose(logits - logits[:, :1], np.log(p) - np.log(p[:, :1]))
    assert np.array_equal(classifier.predict(X), classifier.classes_[p.argmax(1)])


def test_two_classes_have_one_logit():
    X, y = rings(200, 0)
    model = KANClassifier(random_state=0).fit(X, y == "inner")
    logits, p = model.decision_function(X), model.predict_proba(X)
    assert logits.shape == (200,) and model.predict(X).dtype == bool
    np.testing.assert_allclose(p[:, 1], 1 / (1 + np.exp(-logits)))


def test_mean_probabilities_are_the_frequencies_of_the_classes():
    X, y = rings(600, 0)
    p = KANClassifier(random_state=0).fit(X, y).predict_proba(X)
    shares = [np.mean(y == label) for label in ("inner", "middle", "outer")]
    # exact without a smoothness penalty, whose effect is small
    np.testing.assert_allclose(p.mean(0), shares, atol=0.02)


# --- figures, formulas, reports ---


def test_importances_sum_to_one_and_are_small_for_an_unused_column(regressor, classifier):
    for model in (regressor, classifier):
        assert model.feature_importances_.shape == (model.n_features_in_,)
        assert model.feature_importances_.sum() == pytest.approx(1)
    assert regressor.feature_importances_[2] < 0.01 < 0.1 < regressor.feature_importances_[:2].min()


def test_the_result_reports_the_fit(regressor, classifier):
    for model in (regressor, classifier):
        result = model.fit_result_
        assert result.model is model.model_ and result.optimizer == "gauss-newton"
        assert len(result.history) == model.n_iter_ == result.steps
        assert result.history[-1].train < result.history[0].train and result.val_rmse is None
    X, y = surface(400, 0)
    assert regressor.fit_result_.train_rmse == pytest.approx(np.sqrt(np.mean((regressor.predict(X) - y) ** 2)))


@pytest.mark.parametrize("feature", [0, 1])
def test_partial_dependence_is_that_of_scikit_learn(regressor, classifier, feature):
    for model, (X, _) in ((regressor, surface(60, 3)), (classifier, rings(60, 3))):
        ours = model.partial_dependence(feature, X, resolution=11)
        theirs = partial_dependence(model, X, [feature], percentiles=(0, 1), grid_resolution=11, method="brute")
        np.testing.assert_allclose(ours.grid_values, theirs.grid_values[0])
        np.testing.assert_allclose(ours.average, theirs.average, atol=1e-12)


def test_a_deep_network_has_partial_dependence():
    X, y = surface(60, 0)
    model = KANRegressor(hidden=((2, 1), 3), random_state=0).fit(X, y)
    ours = model.partial_dependence(1, X, resolution=5)
    theirs = partial_dependence(model, X, [1], percentiles=(0, 1), grid_resolution=5, method="brute")
    np.testing.assert_allclose(ours.average, theirs.average, atol=1e-12)


def test_figures_show_the_names_of_columns_and_classes():
    X, y = rings(80, 0)
    model = KANClassifier(hidden=2, random_state=0).fit(pd.DataFrame(X, columns=["east", "north"]), y)
    figure = model.plot(pd.DataFrame(X, columns=["east", "north"]))
    assert isinstance(figure, Figure)
    texts = " ".join(text.get_text() for axes in figure.axes for text in axes.texts)
    assert all(name in texts for name in ("east", "north", "inner", "outer"))


def test_a_network_of_the_right_shape_gives_the_true_formula():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.uniform(-1, 1, (300, 2)), columns=["x", "z"])
    y = np.exp(np.sin(np.pi * X["x"]) + X["z"] ** 2) + 0.02 * rng.normal(size=300)
    model = KANRegressor(hidden=1, random_state=0).fit(X, y.rename("load"))
    found = model.formula_
    assert found.variables == ("x", "z") and found.targets == ("load",) and model.formula_ is found
    truth = np.exp(np.sin(np.pi * X["x"]) + X["z"] ** 2)
    assert np.sqrt(np.mean((found.numpy()(X["x"], X["z"]) - truth) ** 2)) < 0.02  # the noise
    assert model.fit(X, -y).formula_ is not found
    again = model.formula(X, -y)  # all rows are kept, so these are the same rows in the same order
    assert again.rmse == pytest.approx(model.formula_.rmse, rel=1e-3)


def test_the_formulas_of_a_classifier_are_its_logits():
    X, y = rings(150, 0)
    model = KANClassifier(hidden=(), random_state=0).fit(X, y)
    found = model.formula_
    assert found.targets == ("logit_inner", "logit_middle", "logit_outer")
    values, logits = found.numpy()(*X.T), model.decision_function(X)
    assert np.corrcoef(values.ravel(), logits.ravel())[0, 1] > 0.99
    each = model.class_formulas()
    assert list(each) == ["inner", "middle", "outer"]
    np.testing.assert_array_equal(np.stack([one.numpy()(*X.T) for one in each.values()], 1), values)
    assert each["middle"].targets == ("logit_middle",)


@pytest.mark.parametrize("labels", [["no", "yes"], [3, 7]])
def test_the_formulas_of_two_classes_are_opposite(labels):
    X, y = rings(150, 0)
    y = np.where(y == "outer", *labels)
    model = KANClassifier(hidden=(), random_state=0).fit(X, y)
    first, second = model.class_formulas().values()
    assert list(model.class_formulas()) == list(model.classes_)
    assert (first.targets, second.targets) == tuple((f"logit_{label}",) for label in model.classes_)
    one, other = (formula.predict(X, interval=0.9, kind="confidence") for formula in (first, second))
    np.testing.assert_allclose(one.mean, -other.mean, atol=1e-9 * np.abs(other.mean).max())
    np.testing.assert_allclose(one.upper, -other.lower, atol=1e-9 * np.abs(other.mean).max())
    values, others = ([one.value for one in formula.constants] for formula in (first, second))
    assert sorted(map(abs, values)) == pytest.approx(sorted(map(abs, others)))
    for formula in (first, second):  # values, errors and covariance have the same order
        assert [one.value for one in formula.constants] == sorted(one.value for one in formula.constants)
        errors = [one.error for one in formula.constants]
        np.testing.assert_allclose(np.sqrt(np.diag(formula.covariance)), errors, rtol=1e-9)
    signs = np.array([1.0 if -v in others else -1.0 for v in values])
    places = [others.index(-s * v) for v, s in zip(values, signs, strict=True)]
    moved = second.covariance[np.ix_(places, places)] * np.outer(signs, signs)
    np.testing.assert_allclose(moved, first.covariance, rtol=1e-9, atol=1e-12 * np.abs(moved).max())


@BOTH
def test_early_stopping_uses_validation_rows_and_keeps_the_best_state(kind, table):
    X, y = table(200, 0)
    for optimizer in ("gauss-newton", "adam"):
        model = kind(early_stopping=True, n_iter_no_change=5, optimizer=optimizer, random_state=0).fit(X, y)
        held_out = [record.validation for record in model.fit_result_.history]
        assert model.fit_result_.val_rmse is not None and None not in held_out
        best = int(np.argmin(held_out))
        assert model.n_iter_ <= best + 1 + 5


@BOTH
def test_the_network_keeps_no_rows_and_the_estimator_keeps_a_thousand(kind, table):
    X, y = table(2000, 0)
    model = kind(hidden=2, max_iter=3, early_stopping=True, random_state=0).fit(X, y)
    assert len(pickle.dumps(model.model_)) < 20_000 < X.nbytes
    assert model.rows_.rows() == (1000, 200, 0)
    numbered = {tuple(row): n for n, row in enumerate(X)}
    for rows, targets in ((model.rows_.X_train, model.rows_.y_train), (model.rows_.X_val, model.rows_.y_val)):
        places = [numbered[tuple(row)] for row in rows.tolist()]
        assert len(set(places)) == len(rows)
        expected = y[places][:, None] if kind is KANRegressor else y[places][:, None] == model.classes_
        np.testing.assert_allclose(targets, expected, rtol=0, atol=1e-12)


def test_names_and_units_come_from_tables_and_duplicate_names_get_a_number():
    X, y = surface(30, 0)
    frame = pd.DataFrame(X, columns=["mass [kg]", "y", "load"])
    model = KANRegressor(max_iter=2).fit(frame, pd.Series(y, name="load"))
    assert model.rows_.input_names == ("mass", "y", "load") and model.rows_.target_names == ("load_2",)
    assert model.rows_.units == {"mass": "kg"}
    assert model.partial_dependence("mass [kg]", resolution=3).average.shape == (1, 3)
    assert KANRegressor(max_iter=2).fit(frame, y).rows_.target_names == ("f",)
    assert KANRegressor(max_iter=2).fit(X, np.column_stack([y, y])).rows_.target_names == ("y_1", "y_2")
    labels = np.where(y > 0.5, "load", "calm")
    assert KANClassifier(max_iter=2).fit(frame, labels).rows_.target_names == ("load_2",)


def test_a_report_evaluates_held_out_rows(classifier, regressor, tmp_path):
    X, y = rings(100, 5)
    page = classifier.report(tmp_path / "rings.html", X, y, compared=0).read_text(encoding="utf-8")
    taken = pd.crosstab(y, classifier.predict(X))
    cells = re.search(r'<table class="grid">.*?</table>', page, re.DOTALL)[0]
    rows = re.findall(r"<tr>(.*?)</tr>", cells, re.DOTALL)[1:]
    counts = [[int(n) for n in re.findall(r">(\d+)</td>", row)] for row in rows]
    assert counts == taken.to_numpy().tolist()
    right, loss = classifier.score(X, y), log_loss(y, classifier.predict_proba(X))
    assert f"{100 * right:g} %" in page.replace(" %", " %")
    assert number(loss, 3) in page and "were not used for fitting" in page
    X, y = surface(100, 5)
    page = regressor.report(tmp_path / "surface.html", X, y, compared=0).read_text(encoding="utf-8")
    assert explained(regressor.score(X, y)) in page
    page = regressor.report(tmp_path / "kept.html", compared=0).read_text(encoding="utf-8")
    assert "No test rows were held out" in page and "loss a row" in page


def test_a_report_without_targets_or_of_unknown_classes_is_refused(classifier, tmp_path):
    X, _ = rings(3, 0)
    with pytest.raises(DataError, match="X and y together"):
        classifier.report(tmp_path / "page.html", X)
    with pytest.raises(DataError, match="y has the class 'purple'"):
        classifier.report(tmp_path / "page.html", X, ["inner", "purple", "outer"])
    with pytest.raises(DataError, match="y without X"):
        KANRegressor(max_iter=2).fit(*surface(20, 0)).formula(y=[1.0])


def test_large_tables_are_fitted_in_mini_batches():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 64)), rng.integers(0, 10, 300)
    model = KANClassifier(max_iter=1, random_state=0).fit(X, y)
    assert model.fit_result_.optimizer == "adam" and "too many" in model.fit_result_.why
    assert model.model_.spec.width == ((64, 0), (64, 0), (10, 0))


def test_the_limit_of_second_order_steps_counts_the_parameters_of_the_network():
    """The network has no base weights."""
    rows = torch.rand(60, 49, dtype=torch.float64)
    assert FreeParameters(linear_network([49, 20, 1], 7, 3, rows, 0)).size == 10_000 == MODEL.second_order_parameters
    assert planned(20, 7, 3, "gauss-newton", 60, 49, 1).second_order
    with pytest.raises(TrainingError, match="it has 10,500 free parameters"):
        planned(21, 7, 3, "gauss-newton", 60, 49, 1)


# --- ugly things ---


def test_a_constant_column_has_no_importance_and_predictions_stay_finite():
    X, y = surface(100, 0)
    X[:, 2] = 7
    model = KANRegressor(random_state=0).fit(X, y)
    assert model.feature_importances_[2] == 0 and model.score(X, y) > 0.95
    assert np.isfinite(KANRegressor(random_state=0).fit(X[:, 2:], y).predict(X[:3, 2:])).all()


@pytest.mark.parametrize("seed", [0, 4, 32])  # with these seeds the steps stop up to 4e-7 away from the constant
def test_a_constant_target_is_predicted(seed):
    X, _ = surface(20, 0)
    model = KANRegressor(random_state=seed).fit(X, np.full(20, 3e300))
    assert model.predict(X[:2]) == pytest.approx([3e300, 3e300], rel=1e-14)
    assert model.feature_importances_.tolist() == [0.0] * X.shape[1]  # and not shares of rounding errors


@pytest.mark.parametrize("optimizer", ["adam", "gauss-newton"])
def test_a_fit_under_no_grad_is_the_same(optimizer):
    X, y = surface(50, 0)
    settings = {"optimizer": optimizer, "max_iter": 3, "random_state": 0}
    with torch.no_grad():
        off = KANRegressor(**settings).fit(X, y)
    assert (off.predict(X) == KANRegressor(**settings).fit(X, y).predict(X)).all()


def test_a_class_with_one_member_can_be_fitted():
    X, y = rings(60, 0)
    y = y.astype("<U8")
    y[0] = "lonely"
    model = KANClassifier(random_state=0).fit(X, y)
    assert "lonely" in model.classes_ and model.predict_proba(X).shape == (60, 4)
    with pytest.raises(ValueError, match="only 1 member"):
        KANClassifier(early_stopping=True, random_state=0).fit(X, y)


def test_two_rows_are_enough_and_one_is_not():
    X, y = surface(2, 0)
    assert np.isfinite(KANRegressor().fit(X, y).predict(X)).all()
    with pytest.raises(ValueError, match="minimum of 2 is required by KANRegressor"):
        KANRegressor().fit(X[:1], y[:1])


def test_very_large_columns_work_and_larger_ones_are_refused():
    X, y = surface(60, 0)
    plain = KANRegressor(random_state=0).fit(X, y).predict(X)
    np.testing.assert_allclose(
        KANRegressor(random_state=0).fit(1e300 * X, y).predict(1e300 * X), plain, rtol=0, atol=UNNOTICED
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # scikit-learn's own sum
        with pytest.raises(SpecError, match="finite"):
            KANRegressor().fit(1.7e308 * np.sign(X), y)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_missing_and_infinite_values_are_refused(bad):
    X, y = surface(20, 0)
    wrong = X.copy()
    wrong[3, 1] = bad
    model = KANRegressor(missing="error", max_iter=2).fit(X, y)
    for attempt in (lambda: KANRegressor(missing="error").fit(wrong, y), lambda: model.predict(wrong)):
        with pytest.raises(ValueError, match=r"infinity|NaN"):
            attempt()


def test_infinite_values_are_never_filled(regressor):
    X, y = surface(20, 0)
    X[3, 1] = np.inf
    for attempt in (lambda: KANRegressor().fit(X, y), lambda: regressor.predict(X)):
        with pytest.raises(ValueError, match="infinity"):
            attempt()


def test_numbers_as_objects_are_numbers():
    X, y = surface(50, 0)
    model = KANRegressor(random_state=0).fit(X.astype(object), y.astype(object))
    assert np.array_equal(model.predict(X), KANRegressor(random_state=0).fit(X, y).predict(X))


def test_text_is_also_refused_by_predict(regressor):
    with pytest.raises(DataError, match=r"X\[:, 0\] holds text \('a' in row 0"):
        regressor.predict([["a", "b", "c"]])


def test_sparse_matrices_are_refused(regressor):
    X, y = surface(20, 0)
    for attempt in (lambda: KANRegressor().fit(csr_matrix(X), y), lambda: regressor.predict(csr_matrix(X))):
        with pytest.raises(TypeError, match="dense data is required"):
            attempt()


def test_columns_in_another_order_are_refused():
    X, y = surface(50, 0)
    frame = pd.DataFrame(X, columns=list("abc"))
    model = KANRegressor(max_iter=2).fit(frame, y)
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="must be in the same order"):
        model.predict(frame[["b", "a", "c"]])


@pytest.mark.parametrize(
    ("kind", "y", "message"),
    [
        (KANRegressor, ["a"] * 20, "labels are for KANClassifier"),
        (KANClassifier, ["a"] * 20, r"y has one class only \(a\)"),
        (KANClassifier, np.linspace(0, 1, 20), "Unknown label type: continuous"),
        (KANClassifier, np.zeros((20, 2)), "y should be a 1d array"),
    ],
)
def test_unsuitable_targets_are_refused(kind, y, message):
    with pytest.raises(ValueError, match=message):
        kind().fit(surface(20, 0)[0], y)


@pytest.mark.parametrize("weights", [-np.ones(20), np.zeros(20), np.full(20, np.nan)], ids=["negative", "zero", "nan"])
def test_negative_zero_and_missing_weights_are_refused(weights):
    with pytest.raises(ValueError, match=r"[wW]eight"):
        KANRegressor().fit(*surface(20, 0), sample_weight=weights)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"hidden": 2.5}, TrainingError, "hidden=2.5 is not known"),
        ({"hidden": 0}, SpecError, "does not describe a network"),
        ({"hidden": ["a"]}, SpecError, "is not understood"),
        ({"grid": 0}, SpecError, "grid=0 is not possible"),
        ({"k": 9}, SpecError, "k=9 is not possible"),
        ({"alpha": 0}, TrainingError, "alpha=0 is not possible: it must be 'auto' or a positive number"),
        ({"alpha": "none"}, TrainingError, "alpha='none' is not possible"),
        ({"optimizer": "lbfgs"}, TrainingError, "optimizer='lbfgs' is not known; choose one of 'auto'"),
        ({"max_iter": 0}, TrainingError, "max_iter=0 is not possible: it must be a whole number of at least 1"),
        ({"batch_size": 2.0}, TrainingError, "batch_size=2.0 is not possible"),
        ({"n_iter_no_change": 0}, TrainingError, "n_iter_no_change=0 is not possible"),
        ({"tol": 0}, TrainingError, "tol=0 is not possible: it must be a positive number"),
        ({"learning_rate": np.inf}, TrainingError, "learning_rate=inf is not possible"),
        (
            {"validation_size": 1.0},
            TrainingError,
            r"validation_size=1.0 is not possible: give a number of rows \(an int of",
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_impossible_settings_are_refused_by_fit(settings, error, message):
    estimator = clone(KANRegressor(**settings))  # the constructor checks nothing
    with pytest.raises(error, match=message):
        estimator.fit(*surface(20, 0))


@pytest.mark.parametrize(
    "settings",
    [
        {"hidden": ()},
        {"hidden": [3, 2]},
        {"hidden": np.array([3])},
        {"hidden": np.int64(3)},
        {"hidden": np.array(3)},
        {"alpha": 10.0},
    ],
)
def test_possible_settings_are_accepted(settings):
    X, y = surface(100, 0)
    assert KANRegressor(random_state=0, **settings).fit(X, y).score(X, y) > 0.9


@pytest.mark.parametrize("verb", ["predict", "plot", "formula", "report", "partial_dependence"])
def test_methods_raise_an_error_before_fit(verb):
    with pytest.raises(NotFittedError, match="Call 'fit' with appropriate arguments"):
        getattr(KANRegressor(), verb)(surface(20, 0)[0])
    assert not hasattr(KANRegressor(), "formula_")


def test_partial_dependence_of_an_unknown_feature_is_refused(regressor):
    for feature in (3, -1, "wind", True):
        with pytest.raises(DataError, match="there is no feature"):
            regressor.partial_dependence(feature)


@pytest.mark.parametrize("name", ["KANRegressor", "KANClassifier"])
def test_the_package_exports_the_estimators(name):
    assert getattr(kw, name).__name__ == name and name in dir(kw)
