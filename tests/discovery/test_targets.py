"""Several targets at once: formulas that share terms and constants, order, missing values, endings, files, messages."""

import json
import time
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import knotwork as kw
from knotwork.discovery.targets_journey import _reason
from knotwork.discovery.targets_table import tables_of_targets
from knotwork.errors import CheckpointError, DataError, KnotworkWarning, TrainingError
from knotwork.solvers import StopReason
from knotwork.training import Reporter


def sines(seed=0):
    """Two sums with sin(2x), the second with noise of 35 %, which hides the sine from a search of it alone."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, (300, 2))
    x, z = X.T
    clean, noisy = 1.2 * np.sin(2 * x) + 0.5 * z, 0.3 * np.sin(2 * x) - 0.8 * z**2
    y = np.c_[clean + 0.01 * rng.normal(size=300), noisy + 0.35 * noisy.std() * rng.normal(size=300)]
    return pd.DataFrame(X, columns=["x", "z"]), pd.DataFrame(y, columns=["clean", "noisy"])


def decays(seed=0, rows=40):
    """Two decays with one rate of 1.53, one of them known well."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 3, rows)
    both = np.c_[2.1 * np.exp(-1.53 * t), 0.4 + 0.7 * np.exp(-1.53 * t)]
    return t[:, None], both + np.array([0.02, 0.05]) * rng.normal(size=(rows, 2))


@pytest.fixture(scope="module")
def of_sines():
    return kw.discover(*sines(), progress=False)


@pytest.fixture(scope="module")
def of_decays():
    return kw.discover(*decays(), names=["t"], progress=False)


def test_a_noisy_target_takes_a_term_of_a_clean_one(of_sines):
    """Alone, a formula of z takes the fewest bits; the term of the other target has constants that are known."""
    X, y = sines()
    alone = kw.discover(X, y["noisy"], progress=False).formula
    together = of_sines["noisy"].formula
    fresh = np.random.default_rng(9).uniform(-2, 2, (500, 2))
    true = 0.3 * np.sin(2 * fresh[:, 0]) - 0.8 * fresh[:, 1] ** 2

    def error(formula):
        return float(np.sqrt(np.mean((formula.predict(fresh) - true) ** 2)))

    assert "sin" not in str(alone) and "sin(2*x)" in str(together)
    assert error(together) < error(alone) / 3
    (part,) = of_sines.shared
    assert str(part) == "sin(2*x) in clean, noisy" and part.targets == ("clean", "noisy")


def test_the_order_of_targets_does_not_matter(of_sines):
    X, y = sines()
    other = kw.discover(X, y[["noisy", "clean"]], progress=False)
    assert other.targets == ("noisy", "clean")
    for name in ("clean", "noisy"):
        assert other[name].formula.expression == of_sines[name].formula.expression


def test_a_noisy_decay_takes_the_rate_of_a_clean_one(of_decays):
    """Alone, a shifted pole explains the noisy rows as well."""
    (rate,) = of_decays.constants
    assert rate.targets == ("y_1", "y_2") and abs(rate.value + 1.53) < 3 * rate.error
    alone = kw.discover(decays()[0], decays()[1][:, 1], names=["t"], progress=False).formula
    assert "exp" not in str(alone)
    assert rate.value in [one.value for one in of_decays["y_2"].formula.constants]
    (part,) = of_decays.shared
    assert part.targets == ("y_1", "y_2") and str(part).startswith("exp(")


def test_errors_of_equal_constants_are_those_of_one_fit_of_all_rows(of_decays):
    """Against SciPy's fit of both targets at once, whose residuals are divided by the noise of each."""
    from scipy.optimize import curve_fit

    t, y = decays()
    t = t[:, 0]
    noise = [float(one.formula.uncertainty[0].deviation) for one in of_decays]

    def both(t, rate, a, b, c):
        return np.r_[a * np.exp(rate * t[:40]), c + b * np.exp(rate * t[:40])]

    sigma = np.repeat(noise, 40)
    found, covariance = curve_fit(both, np.r_[t, t], np.r_[y[:, 0], y[:, 1]], [-1, 2, 1, 0], sigma, absolute_sigma=True)
    (rate,) = of_decays.constants
    assert rate.value == pytest.approx(found[0], rel=1e-3)
    assert rate.error == pytest.approx(covariance[0, 0] ** 0.5, rel=0.02)
    offset = next(one for one in of_decays["y_2"].formula.constants if abs(one.value - found[3]) < 1e-3)
    assert offset.error == pytest.approx(covariance[3, 3] ** 0.5, rel=0.02)


def test_targets_that_share_nothing_keep_what_is_found_for_each_alone():
    rng = np.random.default_rng(0)
    X = rng.uniform(0.5, 2, (300, 2))
    y = np.c_[X[:, 0] / X[:, 1], 3 * np.exp(-X[:, 1])] + 0.01 * rng.normal(size=(300, 2))
    found = kw.discover(X, y, names=["x", "z"], progress=False, seed=3)
    for n, one in enumerate(found):
        alone = kw.discover(X, y[:, n], names=["x", "z"], progress=False, seed=3)
        assert one.formula.expression == alone.formula.expression
        assert one.formula.r2 == alone.formula.r2
    assert found.shared == () and found.constants == ()


def test_noise_and_a_constant_get_no_formula_and_harm_no_other():
    rng = np.random.default_rng(1)
    X = rng.uniform(0.5, 2, (90, 2))
    law = X[:, 0] * X[:, 1] ** 2
    y = {"law": law, "noise": rng.normal(size=90), "same": np.full(90, 2.5)}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = kw.discover(X, y, names=["x", "z"], progress=False)
    assert str(found["law"].formula) == "law = x*z**2"
    assert not found["noise"].formula.expression.free_symbols
    assert str(found["same"].formula) == "same = 5/2"
    said = [str(one.message) for one in caught if "better than a constant" in str(one.message)]
    assert any("explains noise" in text for text in said) and not any("explains law" in text for text in said)


def test_rows_in_which_a_target_is_missing_take_no_part_for_it_alone():
    rng = np.random.default_rng(2)
    X = rng.uniform(0.5, 2, (150, 2))
    y = pd.DataFrame({"a": X[:, 0] * X[:, 1], "b": X[:, 0] / X[:, 1]})
    y.loc[[3, 50, 149], "b"] = np.nan
    y.loc[100, "b"] = 77.0  # a slip
    found = kw.discover(X, y, names=["x", "z"], progress=False)
    assert [str(one) for one in found.formulas] == ["a = x*z", "b = x/z"]
    assert found.missing == {"b": 3} and "3 of b" in str(found)
    assert sum(found["a"].data.rows()) == 150 and sum(found["b"].data.rows()) == 146
    assert [one.row for one in found["b"].outliers] == [100]  # in the table with all rows
    kept = y["b"].notna()
    alone = kw.discover(X[kept], y["b"][kept], names=["x", "z"], progress=False)
    assert found["b"].formula.expression == alone.formula.expression


def test_the_result_is_a_sequence_of_discoveries(of_sines):
    X, _ = sines()
    assert len(of_sines) == 2 and [type(one) for one in of_sines] == [kw.Discovery, kw.Discovery]
    assert of_sines["noisy"] is of_sines[1] is list(of_sines)[1]
    values = of_sines.predict(X)
    assert values.shape == (300, 2)
    np.testing.assert_array_equal(values[:, 1], of_sines["noisy"].formula.predict(X))
    with pytest.raises(KeyError, match=r"there is no target 'dirty': they are 'clean', 'noisy'"):
        of_sines["dirty"]
    with pytest.raises(KeyError, match="neither the name nor the number"):
        of_sines[1.5]
    assert of_sines.latex().count("=") == 2


def test_text_and_page_name_formulas_and_what_they_have_in_common(of_decays, tmp_path):
    shown, html = str(of_decays), of_decays._repr_html_()
    assert "y_2 = " in shown and "in y_1, y_2" in shown and "constants in common" in shown
    assert html.count("<math>") == 2 and "In common" in html
    page = of_decays.report(tmp_path / "report.html").read_text()
    assert "<h2>y_1</h2>" in page and "<h2>y_2</h2>" in page and r"e^{" in page
    with pytest.raises(DataError, match="cannot be written"):
        of_decays.report(tmp_path / "none" / "report.html")


def test_what_is_saved_is_loaded(of_decays, tmp_path):
    of_decays.save(tmp_path / "laws.json")
    again = kw.TargetDiscoveries.load(tmp_path / "laws.json")
    assert again.formulas == of_decays.formulas and again.shared == of_decays.shared
    assert again.constants == of_decays.constants and again.stop is of_decays.stop
    np.testing.assert_array_equal(again.predict([[1.0]]), of_decays.predict([[1.0]]))
    content = json.loads((tmp_path / "laws.json").read_text())
    content["seconds"] = 0.0
    (tmp_path / "laws.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="changed or damaged"):
        kw.TargetDiscoveries.load(tmp_path / "laws.json")
    of_decays[0].save(tmp_path / "one.json")
    with pytest.raises(CheckpointError, match=r"TargetDiscoveries.save\(\) wrote"):
        kw.TargetDiscoveries.load(tmp_path / "one.json")


def test_errors_belong_to_targets_by_the_names_of_their_columns():
    rng = np.random.default_rng(7)
    X, y = rng.uniform(0.5, 2, (60, 1)), {"a": rng.normal(size=60), "b": rng.normal(size=60)}
    sigma = pd.DataFrame({"b": np.full(60, 3.0), "a": np.full(60, 0.5)})
    for given in (sigma, sigma[["a", "b"]], dict(sigma), np.c_[np.full(60, 0.5), np.full(60, 3.0)]):
        tables = tables_of_targets(X, y, None, None, 0, given, None)
        assert [one.rows.errors.deviation for one in tables] == [0.5, 3.0]
    (_, of_b) = tables_of_targets(X, y, None, None, 0, sigma[["a"]], None)  # one column: of all targets
    assert of_b.rows.errors.deviation == 0.5


def test_rows_of_wrong_inputs_are_those_of_the_whole_table():
    """Rows before them in which a target is missing do not change their numbers; rows without targets do not matter."""
    X, y = np.random.default_rng(0).uniform(1, 2, (2, 40, 2))
    y[3, 0] = np.nan
    X[30, 1] = np.nan
    with pytest.raises(
        DataError, match=r"Column 'x_2' of X has 1 missing \(NaN\) value \(in row 30, counting from 0\)"
    ):
        tables_of_targets(X, y, None, None, 0, None, None)
    y[30] = np.nan
    assert [one.missing for one in tables_of_targets(X, y, None, None, 0, None, None)] == [2, 1]


def test_what_is_found_alone_stays_where_the_choice_of_all_formulas_fails(monkeypatch):
    def broken(*args):
        raise ZeroDivisionError("float division by zero")

    monkeypatch.setattr("knotwork.discovery.targets_journey.joint_choice", broken)
    X = np.random.default_rng(0).uniform(0.5, 2, (60, 1))
    found = kw.discover(X, np.c_[2 * X, 3 * X], names=["x"], progress=False)
    assert [str(one) for one in found.formulas] == ["y_1 = 2*x", "y_2 = 3*x"]
    assert found.failures == {"ZeroDivisionError: float division by zero": 1} and "float division" in str(found)


def test_equal_seeds_give_equal_results(of_decays):
    assert kw.discover(*decays(), names=["t"], progress=False).formulas == of_decays.formulas


def test_a_dataset_of_several_targets_is_searched_like_arrays():
    rng = np.random.default_rng(4)
    X = rng.uniform(0.5, 2, (200, 2))
    data = kw.Dataset.from_arrays(
        X, np.c_[X[:, 0] * X[:, 1], X[:, 0] + X[:, 1]], names=["x [m]", "z [m]"], target_names=["area [m^2]", "sum [m]"]
    )
    found = kw.discover(data, progress=False)
    assert [str(one) for one in found.formulas] == ["area = x*z", "sum = x + z"]
    assert [str(one.units[0]) for one in found.formulas if one.units] and all(one.units for one in found.formulas)


def test_units_and_errors_belong_to_each_target():
    rng = np.random.default_rng(5)
    X = pd.DataFrame(rng.uniform(0.5, 2, (120, 2)), columns=["x", "z"])
    y = pd.DataFrame({"area": X["x"] * X["z"], "sum": X["x"] + X["z"]})
    sigma = np.c_[np.full(120, 0.01), np.full(120, 0.3)]
    y += sigma * rng.normal(size=y.shape)
    units = {"x": "m", "z": "m", "area": "m^2", "sum": "m"}
    found = kw.discover(X, y, units=units, sigma=sigma, progress=False)
    assert all(one.units[0].agree for one in found.formulas)
    assert [one.data.errors.deviation for one in found] == pytest.approx([0.01, 0.3])
    with pytest.raises(DataError, match="There is no column 'aera'"):
        kw.discover(X, y, units={"aera": "m"})
    with pytest.raises(DataError, match="one value for each row, or for each row and target"):
        kw.discover(X, y, sigma=np.ones((120, 3)))


def test_the_time_budget_is_that_of_all_targets():
    rng = np.random.default_rng(6)
    X = rng.uniform(0.5, 2, (400, 3))
    y = np.sin(3 * X[:, :1] * X[:, 1:2]) * np.exp(X[:, 2:]) * np.arange(1, 5) + 0.1 * rng.normal(size=(400, 4))
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so little time may find nothing
        found = kw.discover(X, y, time_budget=4.0, progress=False)
    assert time.process_time() - began < 4 + 2 * 4  # "within two seconds or so" for each
    assert found.stop.name == "TIME_BUDGET" and len(found) == 4
    assert all(one.settings["time budget"] == 4.0 for one in found)


@pytest.mark.parametrize("during", ["target y_2", "looking for terms that targets share"])
def test_a_callback_ends_the_whole_search_and_keeps_what_was_found(during):
    """What was found for the first target stays; the second one has what there was so far."""
    stages = []

    def stop(event):
        stages.append(event.stage)
        return event.stage == during

    X, y = sines()
    with warnings.catch_warnings():
        warnings.simplefilter("error", KnotworkWarning)  # of a search that was ended, nothing is said
        found = kw.discover(X.to_numpy(), y.to_numpy(), names=["x", "z"], progress=False, callback=stop)
    assert found.stop.name == "CALLBACK"
    assert "sin(2*x)" in str(found[0].formula)
    assert bool(found[1].formula.expression.free_symbols) == (during != "target y_2")


def test_ctrl_c_ends_the_whole_search_and_keeps_what_was_found():
    pressed = []

    def press(event):
        if event.within.startswith("target y_1") and len(event.front) > 1 and not pressed:
            pressed.append(event.stage)
            raise KeyboardInterrupt

    X, y = decays()
    found = kw.discover(X, y, names=["t"], progress=False, callback=press)
    assert pressed and found.stop.name == "INTERRUPTED"
    assert found[0].formula.expression.free_symbols and not found[1].formula.expression.free_symbols


def test_labels_among_targets_and_other_arguments_are_refused():
    X = np.random.default_rng(0).uniform(size=(30, 2))
    y = pd.DataFrame({"size": X[:, 0], "kind": ["a", "b", "c"] * 10})
    with pytest.raises(DataError, match="kind of y holds labels, and several targets must all be numbers"):
        kw.discover(X, y)
    with pytest.raises(DataError, match=r"y\[:, 0\] and y\[:, 1\] of y holds labels"):
        kw.discover(X, X > 0.5)
    for name, value in {"groups": [0, 1] * 15, "form": "a*x_1", "start": "x_1"}.items():
        with pytest.raises(TrainingError, match=f"{name}= cannot be given with several targets"):
            kw.discover(X, X, **{name: value})
    with pytest.raises(TrainingError, match="loss='cross_entropy' cannot be given with several targets"):
        kw.discover(X, X, loss="cross_entropy")
    with pytest.raises(DataError, match="X has 30 rows and y has 29"):
        kw.discover(X, X[1:])
    with pytest.raises(DataError, match=r"the target 'y_2' is missing \(NaN\) in all rows"):
        kw.discover(X, np.c_[X[:, 0], np.full(30, np.nan)])
    with pytest.raises(DataError, match=r"infinite value"):
        kw.discover(X, np.c_[X[:, 0], np.full(30, np.inf)])


def test_predictions_prepare_rows_as_the_table_was_and_as_each_target_does(tmp_path):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"x": rng.uniform(1, 3, 120).round(3).astype(str), "kind": rng.choice(["a", "b"], 120)})
    x, b = X["x"].astype(float), X["kind"] == "b"
    y = pd.DataFrame({"first": 2 * x + 3 * b, "second": x**2 - b})
    with pytest.warns(KnotworkWarning, match="'kind' was turned into kind=b"):
        found = kw.discover(X, y, progress=False)
    found.save(tmp_path / "laws.json")
    for one in (found, kw.TargetDiscoveries.load(tmp_path / "laws.json")):
        assert np.allclose(one.predict(X), y, atol=1e-9)
        assert np.array_equal(one.predict(X)[:, 1], one["second"].predict(X))


def test_the_least_conclusive_end_of_a_target_is_that_of_all():
    def reason(*stops):
        return _reason([SimpleNamespace(stop=one) for one in stops], Reporter())

    assert reason(StopReason.EXACT, StopReason.NO_MORE_TO_EXPLAIN) is StopReason.NO_MORE_TO_EXPLAIN
    assert reason(StopReason.NO_MORE_TO_EXPLAIN, StopReason.EXHAUSTED) is StopReason.EXHAUSTED
    assert reason(StopReason.EXACT, StopReason.RANDOM_RESIDUAL) is StopReason.RANDOM_RESIDUAL
