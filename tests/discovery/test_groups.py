"""One law for several groups: its form, which constants are shared, errors, predictions, files and messages."""

import json
import pickle
import sys

import numpy as np
import pandas as pd
import pytest

import knotwork as kw
from knotwork.errors import CheckpointError, DataError, TrainingError
from knotwork.expressions import symbol
from knotwork.solvers import StopReason

CITIES = ["Oslo", "Rome", "Lima", "Bonn", "Cairo"]


def saturation(noise=0.02, seed=3):
    """V[city]·s/(0.8 + s) with five values of V."""
    rng = np.random.default_rng(seed)
    V = dict(zip(CITIES, (1.0, 1.7, 2.4, 3.3, 4.1), strict=True))
    city = np.repeat(CITIES, 30)
    s = rng.uniform(0.05, 5, len(city))
    y = np.array([V[c] for c in city]) * s / (0.8 + s) + noise * rng.normal(size=len(s))
    return pd.DataFrame({"s [mol/L]": s, "city": city}), pd.Series(y, name="rate [mol/s]"), V


@pytest.fixture(scope="module")
def found():
    X, y, _ = saturation()
    return kw.discover(X, y, groups="city", progress=False, seed=0)


def test_the_law_is_found_with_one_constant_of_each_group(found):
    _, _, V = saturation()
    formula = found.formula
    assert len(formula.differing) == 1 and len(formula.shared) == 1
    assert formula.labels == tuple(sorted(CITIES)) and formula.group == "city"
    ((name, own),) = formula.differing.items()
    for label, constant in zip(formula.labels, own, strict=True):
        assert abs(constant.value - V[label]) < 4 * constant.error < 0.4, (label, constant)
    assert abs(formula.shared[0].value - 0.8) < 4 * formula.shared[0].error
    assert formula.table().shape == (5, 3) and list(formula.table().index) == sorted(CITIES)
    assert f"{name}[city]" in str(formula.expression)


def test_units_of_constants_are_kept(found):
    """rate = V·s/(K + s): V has the unit of the rate, K that of s."""
    (own,) = found.formula.differing.values()
    assert {one.unit for one in own} == {"mol/s"} and found.formula.shared[0].unit == "1000 mol/m^3"


def test_predictions_take_the_constants_of_each_row(found):
    X, _, _ = saturation()
    whole = found.formula.predict(X)
    for label in ("Rome", "Lima"):
        own = (X["city"] == label).to_numpy()
        np.testing.assert_array_equal(whole[own], found.formula[label].predict(X["s [mol/L]"][own].to_numpy()[:, None]))
    by_array = found.formula.predict(X[["s [mol/L]"]].to_numpy(), groups=X["city"])
    np.testing.assert_array_equal(whole, by_array)
    np.testing.assert_array_equal(found.formula.predict([[1.0], [2.0]], groups="Oslo"),
                                  found.formula.predict([[1.0], [2.0]], groups=["Oslo", "Oslo"]))  # fmt: skip


def test_intervals_cover_new_observations(found):
    X, y, _ = saturation(seed=8)
    mean, lower, upper = found.formula.predict(X, interval=0.95)
    inside = ((lower <= y) & (y <= upper)).mean()
    assert (lower < mean).all() and 0.88 < inside < 1  # 150 rows: 0.95 ± 4 standard deviations


def test_an_unknown_group_is_told_in_words(found):
    with pytest.raises(DataError, match=r"no group 'Roma': did you mean 'Rome'.*no constants"):
        found.formula.predict([[1.0]], groups=["Roma"])
    with pytest.raises(DataError, match="pass groups=, or a column 'city'"):
        found.formula.predict([[1.0]])
    with pytest.raises(KeyError, match="no group 'Roma': did you mean 'Rome'"):
        found.formula["Roma"]
    with pytest.raises(DataError, match="2 labels, but X has 1 rows"):
        found.formula.predict([[1.0]], groups=["Rome", "Oslo"])


def test_saved_and_loaded_it_says_and_predicts_the_same(found, tmp_path):
    found.save(tmp_path / "law.json")
    again = kw.GroupedDiscovery.load(tmp_path / "law.json")
    X, _, _ = saturation()
    assert str(again) == str(found) and again.formula == found.formula and again.data is None
    for one, other in zip(again.formula.predict(X, interval=0.9), found.formula.predict(X, interval=0.9), strict=True):
        np.testing.assert_array_equal(one, other)
    content = json.loads((tmp_path / "law.json").read_text())
    content["front"][content["chosen"]]["formula"]["shared"][0]["value"] = 9.0
    (tmp_path / "changed.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="changed or damaged"):
        kw.GroupedDiscovery.load(tmp_path / "changed.json")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(CheckpointError, match="no discovery of groups"):
        kw.GroupedDiscovery.load(tmp_path / "other.json")
    assert pickle.loads(pickle.dumps(found.formula)) == found.formula


def test_the_report_shows_the_constants_of_each_group(found, tmp_path):
    page = found.report(tmp_path / "report.html").read_text()
    (own,) = found.formula.differing.values()
    for label, constant in zip(found.formula.labels, own, strict=True):
        assert f"<td>{label}</td>" in page and str(constant) in page
    assert "<svg" in page and "Oslo" in found._repr_html_()
    assert all(label in found.formula.latex_table() for label in CITIES)
    assert r"_{\mathrm{city}}" in found.formula.equation()
    with pytest.raises(DataError, match="cannot be written"):
        found.report(tmp_path / "no" / "report.html")


LAWS = {  # y, the number of constants that differ, the number of shared ones, the expected form at one point
    "decay": (lambda x, g: g * np.exp(-0.7 * x), 1, 1),
    "power": (lambda x, g: g * x**2.3, 1, 1),
    "line": (lambda x, g: 1.3 * x + g, 1, 1),
    "root and offset": (lambda x, g: 1.3 * np.sqrt(x) + g, 1, 1),
    "parabola": (lambda x, g: x**2 - 0.77 * x + g, 1, 1),
    "two": (lambda x, g: g * np.exp(x / (1 + g)), 2, 0),
}


@pytest.mark.parametrize("law", LAWS)
def test_which_constants_are_shared_is_found(law):
    y, differing, shared = LAWS[law]
    rng = np.random.default_rng(5)
    group = np.repeat(np.arange(2010, 2016), 20)
    x = rng.uniform(0.5, 3, len(group))
    truth = y(x, (group - 2008) * 0.71)
    found = kw.discover(x[:, None], truth, names=["x"], groups=group, progress=False)
    fresh = rng.uniform(0.5, 3, len(group))
    error = found.formula.predict(fresh[:, None], groups=group) - y(fresh, (group - 2008) * 0.71)
    assert np.sqrt(np.mean(error**2)) < 1e-6 * np.sqrt(np.mean(truth**2))
    assert (len(found.formula.differing), len(found.formula.shared)) == (differing, shared), str(found)
    assert found.formula.labels == (2010, 2011, 2012, 2013, 2014, 2015)


def test_groups_that_do_not_differ_share_every_constant():
    rng = np.random.default_rng(2)
    x = rng.uniform(0.5, 3, 120)
    y = 1.7 * np.exp(-0.6 * x) + 0.01 * rng.normal(size=120)
    found = kw.discover(x[:, None], y, names=["x"], groups=rng.integers(0, 4, 120), progress=False)
    assert not found.formula.differing and len(found.formula.shared) == 2, str(found)


def test_common_laws_end_with_the_time_budget(monkeypatch):
    module, asked = sys.modules["knotwork.regression.groups.grouped_search"], []
    laws = module.common_laws
    monkeypatch.setattr(module, "common_laws", lambda *given: (asked.append(law) or law for law in laws(*given)))
    X, y, _ = saturation()
    found = kw.discover(X, y, groups="city", progress=False, time_budget=0)
    assert len(asked) == 1 and found.front and found.stop is StopReason.TIME_BUDGET


def test_groups_of_noise_alone_warn():
    rng = np.random.default_rng(2)
    with pytest.warns(kw.KnotworkWarning, match="no law that was tried explains y better than a constant"):
        found = kw.discover(
            rng.normal(size=(60, 1)), rng.normal(size=60), groups=rng.integers(0, 3, 60), progress=False, time_budget=2
        )
    assert symbol("x_1") not in found.formula.template.free_symbols


X, Y = np.linspace(1, 2, 12)[:, None], np.linspace(3, 4, 12)


@pytest.mark.parametrize(
    ("X", "groups", "message"),
    [
        (X, ["a"] * 12, "one label alone"),
        (X, ["a", "b"], "2 labels, but X has 12 rows"),
        (X, ["a"] * 11 + [None], "1 rows have no group, row 11 first"),
        (X, "city", "names a column, but X is an array without names"),
        (pd.DataFrame({"x": X[:, 0], "city": ["a", "b"] * 6}), "town", "There is no column 'town'"),
        (pd.DataFrame({"x": X[:, 0], "city": ["a", "b"] * 6}), "citty", "did you mean 'city'"),
        (pd.DataFrame({"city": ["a", "b"] * 6}), "city", "no column but the groups"),
        (kw.Dataset.from_arrays(X, Y), ["a", "b"] * 6, "needs the rows in their order"),
    ],
)
def test_wrong_groups_are_refused_in_words(X, groups, message):
    with pytest.raises(DataError, match=message):
        kw.discover(X, None if isinstance(X, kw.Dataset) else Y, groups=groups, progress=False)


@pytest.mark.parametrize("given", [{"loss": "huber"}, {"sigma": 0.1}, {"sample_weight": np.ones(12)}])
def test_what_groups_do_not_know_is_refused_in_words(given):
    with pytest.raises(TrainingError, match=f"{next(iter(given))}=.*cannot be given with groups="):
        kw.discover(X, Y, groups=["a", "b"] * 6, progress=False, **given)


def test_rows_in_another_order_give_the_same_law():
    X, y, _ = saturation(noise=0.0)
    order = np.random.default_rng(0).permutation(len(y))
    one = kw.discover(X, y, groups="city", progress=False)
    other = kw.discover(X.iloc[order], y.iloc[order], groups="city", progress=False)
    assert str(one.formula) == str(other.formula)
