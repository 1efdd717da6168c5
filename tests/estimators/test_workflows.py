"""Workflows of scikit-learn: pipelines, searches, cross-validation, saving."""

import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import StackingRegressor, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import SelectFromModel
from sklearn.inspection import PartialDependenceDisplay, permutation_importance
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import knotwork as kw
from knotwork.estimators import KANClassifier, KANRegressor
from knotwork.solvers import StopReason
from tests.estimators.conftest import rings, surface

BRIEF = {"hidden": 2, "max_iter": 8, "random_state": 0}


def test_a_search_over_a_pipeline_with_a_column_of_text():
    X, y = surface(120, 0)
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(town=np.where(X[:, 2] > 0, "here", "there"))
    columns = make_column_transformer((OneHotEncoder(sparse_output=False), ["town"]), remainder="passthrough")
    pipeline = Pipeline([("columns", columns), ("kan", KANRegressor(random_state=0))])
    search = GridSearchCV(pipeline, {"kan__grid": [1, 3], "kan__hidden": [2, (3,)]}, cv=3).fit(frame, y)
    assert search.best_score_ > 0.9 and len(search.cv_results_["params"]) == 4
    assert search.best_estimator_.predict(frame).shape == (120,)


def test_names_of_columns_pass_through_a_pipeline_of_frames():
    X, y = surface(60, 0)
    pipeline = make_pipeline(StandardScaler(), KANRegressor(max_iter=5, random_state=0)).set_output(transform="pandas")
    pipeline.fit(pd.DataFrame(X, columns=["a", "b", "c"]), y)
    assert list(pipeline[-1].feature_names_in_) == ["a", "b", "c"]


def test_cross_validated_predictions_have_the_cross_validated_score():
    X, y = rings(150, 0)
    model = KANClassifier(random_state=0)
    p = cross_val_predict(model, X, y, cv=3, method="predict_proba", n_jobs=2)
    accuracy = np.mean(np.unique(y)[p.argmax(1)] == y)
    assert abs(accuracy - cross_val_score(model, X, y, cv=3).mean()) < 1e-12 and accuracy > 0.7


def test_a_saved_model_predicts_the_same_in_a_fresh_process(tmp_path, regressor):
    X, _ = surface(20, 5)
    joblib.dump(regressor, tmp_path / "model.joblib")
    np.save(tmp_path / "X.npy", X)
    program = (
        "import joblib, numpy as np, sys; from pathlib import Path; here = Path(sys.argv[1]);"
        "np.save(here / 'y.npy', joblib.load(here / 'model.joblib').predict(np.load(here / 'X.npy')))"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    assert np.array_equal(np.load(tmp_path / "y.npy"), regressor.predict(X))


def test_searches_accept_settings_from_arrays():
    X, y = surface(90, 0)
    halving = HalvingGridSearchCV(KANRegressor(**BRIEF), {"hidden": [1, (2,)]}, min_resources=30, random_state=0)
    assert halving.fit(X, y).score(X, y) > 0.8
    drawn = {"hidden": np.arange(1, 5), "grid": np.array([1, 2]), "alpha": np.logspace(-2, 2, 5)}
    search = RandomizedSearchCV(KANRegressor(**BRIEF), drawn, n_iter=2, cv=2, random_state=0).fit(X, y)
    assert isinstance(search.best_params_["hidden"], np.integer) and search.score(X, y) > 0.8
    assert clone(search.best_estimator_).get_params() == search.best_estimator_.get_params()


def test_the_best_of_a_search_in_a_pipeline_has_its_formula_and_its_report(tmp_path):
    X, y = surface(90, 0)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    search = GridSearchCV(make_pipeline(KANRegressor(random_state=0)), {"kanregressor__hidden": [()]}, cv=2)
    best = search.fit(frame, pd.Series(y, name="height")).best_estimator_[-1]
    assert best.formula_.targets == ("height",) and set(best.formula_.variables) == {"a", "b", "c"}
    page = best.report(tmp_path / "best.html", formula=best.formula_, compared=0).read_text(encoding="utf-8")
    assert "height" in page and "<math" in page


def test_sample_weights_pass_through_cross_validation():
    X, y = surface(90, 0)
    weights = np.random.default_rng(0).uniform(0, 1, 90)
    scores = [
        cross_validate(KANRegressor(**BRIEF), X, y, cv=3, params=params)["test_score"]
        for params in ({}, {"sample_weight": weights})
    ]
    assert not np.allclose(*scores) and min(map(min, scores)) > 0.7


def test_estimators_work_within_other_estimators_of_scikit_learn():
    X, y = surface(90, 0)
    model = KANRegressor(**BRIEF)
    assert StackingRegressor([("kan", model), ("ridge", Ridge())], cv=2).fit(X, y).score(X, y) > 0.8
    assert TransformedTargetRegressor(model, func=np.log, inverse_func=np.exp).fit(X, y + 3).score(X, y + 3) > 0.8
    assert list(SelectFromModel(model, threshold=0.05).fit(X, y).get_support()) == [True, True, False]
    rows, labels = rings(120, 0)
    model = KANClassifier(**BRIEF)
    calibrated = CalibratedClassifierCV(model, cv=2).fit(rows, labels)
    np.testing.assert_allclose(calibrated.predict_proba(rows).sum(1), 1)
    voting = VotingClassifier([("kan", model), ("bell", GaussianNB())], voting="soft")
    assert voting.fit(rows, labels).score(rows, labels) > 0.5


def test_inspection_tools_of_scikit_learn_find_the_unused_column(regressor):
    X, y = surface(400, 0)
    fallen = permutation_importance(regressor, X, y, n_repeats=2, random_state=0).importances_mean
    assert list(fallen.argsort()) == list(regressor.feature_importances_.argsort())
    shown = PartialDependenceDisplay.from_estimator(regressor, X, [0, (0, 1)], grid_resolution=4)
    assert shown.pd_results[1].average.shape == (1, 4, 4)


def test_the_kept_rows_can_be_passed_to_methods_of_the_network(regressor):
    assert regressor.model_.prune(regressor.rows_).spec.nodes(0) >= 2
    assert isinstance(regressor.model_, kw.KAN)
    rows = regressor.rows_.X_train
    with torch.no_grad():
        np.testing.assert_array_equal(regressor.predict(rows), regressor.model_(rows)[:, 0])


@pytest.mark.parametrize("kind", [list, np.float32, torch.tensor, pd.DataFrame])
def test_every_type_of_table_is_accepted(kind):
    X, y = surface(60, 0)
    X, y = X.astype(np.float32), y.astype(np.float32)
    converted = X.tolist() if kind is list else kind(X)
    model = KANRegressor(**BRIEF).fit(converted, y.tolist())
    np.testing.assert_allclose(model.predict(converted), KANRegressor(**BRIEF).fit(X, y).predict(X))


@pytest.mark.parametrize("optimizer", ["gauss-newton", "adam"])
@pytest.mark.parametrize(("kind", "table"), [(KANRegressor, surface), (KANClassifier, rings)])
def test_a_callback_sees_every_step_and_can_end_the_fit(kind, table, optimizer):
    X, y = table(90, 0)
    settings = {**BRIEF, "optimizer": optimizer}
    events = []
    whole = kind(**settings).fit(X, y, callback=events.append)
    assert [event.step for event in events] == list(range(whole.n_iter_ + 1))
    assert {(event.stage, event.steps) for event in events} == {(f"fit ({optimizer}), G=3", 8)}
    assert [event.record for event in events[1:]] == list(whole.fit_result_.history)
    plain = kind(**settings).fit(X, y)
    np.testing.assert_array_equal(plain.predict(X), whole.predict(X))
    ended = kind(**settings).fit(X, y, callback=lambda event: event.step == 2)
    assert ended.n_iter_ == 2 and ended.fit_result_.stopped_by_caller


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("optimizer", ["gauss-newton", "adam"])
@pytest.mark.parametrize(("kind", "table"), [(KANRegressor, surface), (KANClassifier, rings)])
def test_a_callback_that_stops_as_the_fit_begins_leaves_the_linear_start(kind, table, optimizer, early_stopping):
    X, y = table(90, 0)
    events = []
    model = kind(**BRIEF, optimizer=optimizer, early_stopping=early_stopping)
    model.fit(X, y, callback=lambda event: events.append(event) or True)
    assert [event.step for event in events] == [0]
    result = model.fit_result_
    assert (result.steps, result.history, result.stop) == (0, (), StopReason.CALLBACK)
    values = model.predict(X) if kind is KANRegressor else model.decision_function(X)
    line = LinearRegression().fit(X, values)
    np.testing.assert_allclose(line.predict(X), values, atol=1e-9 * np.abs(values).max())
