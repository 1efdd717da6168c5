"""Estimators take a table as it comes: texts, dates, gaps, nullable and object columns."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

import knotwork as kw
from knotwork.errors import DataError, KnotworkWarning
from knotwork.estimators import KANClassifier, KANRegressor
from tests.estimators.conftest import surface

pytestmark = pytest.mark.filterwarnings("ignore:The table was prepared")
BRIEF = {"hidden": (), "max_iter": 10, "random_state": 0}


def measured(n=90, seed=0):
    """A table of seven kinds of columns, and a target that needs three of them."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "id": range(n),
            "mass [kg]": rng.uniform(1, 2, n),
            "town": rng.choice(["Bern", "Graz", "Lund"], n),
            "sold": pd.date_range("2020-01-01", periods=n),
            "rank": pd.array(rng.integers(0, 5, n), dtype="Int64"),
            "price": [f"{value:.2f}".replace(".", ",") for value in rng.uniform(1, 9, n)],
            "flag": np.array(rng.choice([True, False], n), dtype=object),
        }
    )
    return frame, frame["mass [kg]"] ** 2 + 2 * (frame["town"] == "Graz") + 0.1 * np.arange(n)


def test_a_fit_to_a_table_is_the_fit_to_its_prepared_columns():
    frame, y = measured()
    model = KANRegressor(**BRIEF).fit(frame, y)
    columns = kw.Preparation.of(frame).apply(frame)
    plain = KANRegressor(**BRIEF).fit(columns.to_numpy(), y)
    assert np.array_equal(model.predict(frame), plain.predict(columns.to_numpy()))
    assert model.score(frame, y) > 0.999
    assert model.n_features_in_ == 7 and list(model.feature_names_in_) == list(frame)
    assert model.rows_.input_names == ("mass", "town=Graz", "town=Lund", "sold", "rank", "price", "flag")


def test_the_importance_of_a_column_is_that_of_all_its_indicators_together():
    frame, y = measured()
    model = KANRegressor(**BRIEF).fit(frame, y)
    shares = dict(zip(frame, model.feature_importances_, strict=True))
    assert shares["id"] == 0 and abs(sum(shares.values()) - 1) < 1e-12
    assert min(shares[name] for name in ("mass [kg]", "town", "sold")) > 20 * shares["rank"]
    rng = np.random.default_rng(1)
    other = frame.assign(town=rng.permutation(frame["town"]))
    changed = np.mean((model.predict(other) - model.predict(frame)) ** 2)
    dates = np.mean((model.predict(frame.assign(sold=rng.permutation(frame["sold"]))) - model.predict(frame)) ** 2)
    assert 0.6 < (shares["town"] / shares["sold"]) / (changed / dates) < 1.6


@pytest.mark.parametrize("kind", [KANRegressor, KANClassifier])
def test_rows_with_gaps_are_left_out_of_the_fit_or_filled(kind):
    frame, y = measured()
    y = y if kind is KANRegressor else np.where(y > y.median(), "much", "little")
    gaps = frame.copy()
    gaps.loc[[3, 50], "mass [kg]"] = np.nan
    gaps.loc[[50, 51], "town"] = None
    whole = ~frame.index.isin([3, 50, 51])
    weights = np.where(frame["rank"] > 1, 2.0, 1.0)
    dropped = kind(missing="drop", **BRIEF).fit(gaps, y, weights)
    alone = kind(**BRIEF).fit(frame[whole], np.asarray(y)[whole], weights[whole])
    assert np.array_equal(dropped.predict(frame), alone.predict(frame))
    with pytest.raises(DataError, match=r"3 of 90 rows of X have none in 'mass'.*missing='fill'"):
        dropped.predict(gaps)
    filled = kind(**BRIEF).fit(gaps, y, weights)
    middle = np.sort(gaps["mass [kg]"].dropna())[(len(gaps) - 3) // 2]
    frequent = gaps["town"].mode()[0]
    by_hand = gaps.fillna({"mass [kg]": middle, "town": frequent})
    assert np.array_equal(filled.predict(gaps), filled.predict(by_hand))
    with pytest.raises(DataError, match="3 rows have missing values"):
        kind(missing="error", **BRIEF).fit(gaps, y)


def test_gaps_of_new_rows_are_filled_also_where_the_fit_had_none():
    X, y = surface(60, 0)
    model = KANRegressor(**BRIEF).fit(X, y)
    assert np.array_equal(model.predict(X), KANRegressor(missing="drop", **BRIEF).fit(X, y).predict(X))
    gap = X[:1].copy()
    gap[0, 1] = np.nan
    by_hand = X[:1].copy()
    by_hand[0, 1] = np.sort(X[:, 1])[29]
    assert np.array_equal(model.predict(gap), model.predict(by_hand))


def test_frames_of_numbers_alone_are_fitted_as_arrays_and_without_a_warning():
    X, y = surface(60, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", KnotworkWarning)
        model = KANRegressor(**BRIEF).fit(pd.DataFrame(X, columns=["a", "b", "c"]), y)
    array = KANRegressor(**BRIEF).fit(X, y)
    assert KANRegressor(missing="drop", **BRIEF).fit(X, y).preparation_ is None
    assert np.array_equal(model.predict(pd.DataFrame(X, columns=["a", "b", "c"])), array.predict(X))
    assert np.array_equal(model.feature_importances_, array.feature_importances_)


def test_labels_that_are_numbers_count_as_no_names():
    X, y = surface(60, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = KANRegressor(**BRIEF).fit(pd.DataFrame(X), y)
        assert not hasattr(model, "feature_names_in_")
        assert np.array_equal(model.predict(pd.DataFrame(X)), KANRegressor(**BRIEF).fit(X, y).predict(X))


def test_a_series_is_one_column_and_a_nameless_array_of_one_axis_is_refused():
    days = pd.Series(pd.date_range("2021-03-01", periods=60), name="day")
    y = np.sin(np.arange(60) / 9)
    model = KANRegressor(random_state=0).fit(days, y)
    assert model.n_features_in_ == 1 and list(model.feature_names_in_) == ["day"]
    assert model.score(days, y) > 0.95 and model.rows_.input_names == ("day",)
    with pytest.raises(ValueError, match="Expected 2D array"):
        KANRegressor().fit(np.arange(60.0), y)


def test_arrays_of_objects_are_prepared_by_the_place_of_their_columns():
    frame, y = measured()
    array = frame.drop(columns="id").to_numpy()
    model = KANRegressor(**BRIEF).fit(array, y)
    assert model.n_features_in_ == 6 and not hasattr(model, "feature_names_in_")
    assert model.rows_.input_names[1] == "x_2=Graz"
    with pytest.warns(UserWarning, match="fitted without feature names"):
        assert np.array_equal(model.predict(frame.drop(columns="id")), model.predict(array))


def test_figures_formulas_and_reports_name_the_prepared_columns(tmp_path):
    frame, y = measured()
    model = KANRegressor(**BRIEF).fit(frame, y)
    found = model.partial_dependence("town=Graz", resolution=2)
    assert np.allclose(np.diff(found.average[0]), 2, atol=0.1)
    by_header, by_name, by_number = (model.partial_dependence(name).average for name in ("mass [kg]", "mass", 1))
    assert np.array_equal(by_header, by_name) and np.array_equal(by_header, by_number)
    with pytest.raises(DataError, match=r"'town' became town=Graz, town=Lund: name one"):
        model.partial_dependence("town")
    with pytest.raises(DataError, match=r"'id' became nothing, as it was skipped"):
        model.partial_dependence(0)
    page = model.report(tmp_path / "page.html", frame, y, compared=0).read_text(encoding="utf-8")
    assert "was turned into town=Graz" in page


def test_cross_validation_and_clones_keep_the_way_of_missing_values():
    frame, y = measured()
    frame.loc[::20, "mass [kg]"] = np.nan
    assert clone(KANRegressor(missing="drop")).missing == "drop"
    model = KANRegressor(**BRIEF)
    assert cross_val_score(model, frame, y, cv=3, error_score="raise").shape == (3,)
    with pytest.raises(DataError, match="missing='fil' is not possible"):
        KANRegressor(missing="fil").fit(frame, y)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"town": ["Ulm"] * 90}, "holds the category 'Ulm' .row 0, counting from 0.*which no row of the fit had"),
        ({"price": ["cheap"] * 90}, "holds 'cheap' .row 0.* among its numbers"),
        ({"mass [kg]": [np.inf] * 90}, "infinity"),
    ],
)
def test_new_rows_that_cannot_be_prepared_are_refused_in_words(change, said):
    frame, y = measured()
    model = KANRegressor(**BRIEF).fit(frame, y)
    with pytest.raises(ValueError, match=said):
        model.predict(frame.assign(**change))


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ([f"town {n}" for n in range(90)], "No column of X can be an input: 'a' was skipped: its 90 texts are all"),
        (["x"] * 90, "No column of X can be an input: 'a' was skipped: it holds 'x' alone"),
        (["1.5"] * 89 + ["much"], "Column 'a' holds 'much' .row 89"),
        ([1j] * 90, "complex"),
        ([1.0] * 89 + [np.inf], "infinite value .row 89"),
    ],
)
def test_tables_that_cannot_be_prepared_are_refused_in_words(column, said):
    with pytest.raises(DataError, match=said):
        KANRegressor().fit(pd.DataFrame({"a": column}), np.arange(90.0))


@pytest.mark.parametrize("kind", [KANRegressor, KANClassifier])
@pytest.mark.parametrize("split", ["time", "patient"])
def test_early_stopping_keeps_groups_and_neighbours_in_time_on_one_side(kind, split):
    frame, y = measured(120)
    frame = frame.assign(patient=[f"P{n % 12}" for n in range(120)]).drop(columns="id")
    y = y if kind is KANRegressor else np.where(y > y.median(), "much", "little")
    model = kind(early_stopping=True, validation_size=0.25, split=split, **BRIEF).fit(frame, y)
    train, validation = ({tuple(row) for row in part.tolist()} for part in (model.rows_.X_train, model.rows_.X_val))
    columns = model.preparation_.apply(frame).to_numpy()
    sides = np.array([tuple(row) in train for row in columns.tolist()])
    assert sides.sum() == len(train) and (~sides).sum() == len(validation) > 20
    if split == "time":
        assert frame["sold"][sides].max() < frame["sold"][~sides].min()
    else:
        assert not set(frame["patient"][sides]) & set(frame["patient"][~sides])
        assert "'patient' was skipped: it splits the rows" in str(model.preparation_)
        assert model.feature_importances_[-1] == 0 and model.n_features_in_ == 7
    assert model.predict(frame).shape == (120,)
