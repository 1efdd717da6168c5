"""`discover` for labels: boundaries as formulas, classes, probabilities, files, and what is refused."""

import numpy as np
import pandas as pd
import pytest

import knotwork as kw
from knotwork.errors import CheckpointError, DataError, KnotworkWarning, SpecError, TrainingError
from knotwork.expressions import parse, text


def circle(rows=500, wrong=0.0, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1.5, 1.5, (rows, 2))
    return X, ((X**2).sum(1) < 1) ^ (rng.random(rows) < wrong)


@pytest.fixture(scope="module")
def inside():
    X, y = circle()
    return kw.discover(X, np.where(y, "in", "out"), names=["x", "y"], progress=False)


def test_the_boundary_of_texts_is_a_formula_of_the_inputs(inside):
    assert inside.classes == ("in", "out")
    assert (inside.formula.expression - parse("x**2 + y**2 - 1")).expand() == 0
    assert inside.accuracy >= 0.97 > 0.8 > inside.commonest
    assert inside.accuracy_rows == "test"
    assert inside.predict([[0.1, 0.1], [1.2, 1.2]]).tolist() == ["in", "out"]


def test_probabilities_are_those_of_the_stated_formula(inside):
    X = np.random.default_rng(5).uniform(-1.5, 1.5, (50, 2))
    one = inside.boundary
    g = X[:, 0] ** 2 + X[:, 1] ** 2 - 1
    expected = one.wrong + (1 - 2 * one.wrong) / (1 + np.exp(-one.steepness * g))
    found = inside.predict_proba(pd.DataFrame(X, columns=["x", "y"]))
    assert found.shape == (50, 2)
    assert np.allclose(found[:, 1], expected) and np.allclose(found.sum(1), 1)


def test_text_report_and_file_hold_the_boundary(inside, tmp_path):
    assert "out where x**2 + y**2 - 1 > 0" in str(inside)
    assert "the commonest class alone" in str(inside)
    assert "ClassDiscovery(Boundary('out' where" in repr(inside)
    page = inside.report(tmp_path / "page.html").read_text()
    assert "<math>" in page and "As LaTeX" in page
    inside.save(tmp_path / "found.json")
    again = kw.ClassDiscovery.load(tmp_path / "found.json")
    X = np.random.default_rng(6).uniform(-1.5, 1.5, (50, 2))
    assert np.array_equal(again.predict_proba(X), inside.predict_proba(X))
    assert str(again.boundary) == str(inside.boundary) and len(again.boundary.front) == len(inside.boundary.front)
    changed = (tmp_path / "found.json").read_text().replace('"commonest": 0.', '"commonest": 0.1')
    (tmp_path / "changed.json").write_text(changed)
    with pytest.raises(CheckpointError, match="changed or damaged"):
        kw.ClassDiscovery.load(tmp_path / "changed.json")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(CheckpointError, match="no discovery of classes"):
        kw.ClassDiscovery.load(tmp_path / "other.json")


def test_wrong_labels_are_told_apart_from_the_boundary():
    X, y = circle(800, 0.06, seed=1)
    found = kw.discover(X, y, names=["x", "y"], progress=False)
    assert found.classes == (False, True)
    assert (found.formula.expression - parse("1 - x**2 - y**2")).expand() == 0
    assert found.boundary.wrong == pytest.approx(0.06, abs=0.025)


def test_a_boundary_that_is_linear_in_an_input_is_solved_for_it():
    rng = np.random.default_rng(2)
    X = rng.uniform(0, 2, (800, 2))
    y = X[:, 1] > 0.5 + 0.7 * X[:, 0] ** 2
    found = kw.discover(X, y, names=["V", "E"], progress=False)
    solved = found.boundary.solve_for("E")
    assert solved.targets == ("E",) and solved.variables == ("V",)
    V = np.linspace(0, 1.4, 20)
    assert np.allclose(solved.predict({"V": V}), 0.5 + 0.7 * V**2, atol=0.02)
    values = solved.predict({"V": V}, interval=0.99, kind="confidence")
    assert np.all(values.upper - values.lower < 0.1)
    with pytest.raises(SpecError, match="not linear in 'V'"):
        found.boundary.solve_for("V")
    with pytest.raises(SpecError, match="does not hold 'W'"):
        found.boundary.solve_for("W")


def test_labels_that_do_not_depend_on_the_inputs_give_nothing():
    rng = np.random.default_rng(4)
    X, y = rng.uniform(-1, 1, (300, 4)), rng.random(300) < 0.3
    with pytest.warns(KnotworkWarning, match="no boundary"):
        found = kw.discover(X, y, progress=False)
    assert not found.boundary.found
    assert found.accuracy == found.commonest
    assert "nothing found" in str(found)
    assert set(found.predict(X).tolist()) == {False}


def test_more_classes_have_a_boundary_each_against_the_rest():
    X = np.random.default_rng(3).uniform(-1, 1, (300, 1))
    labels = np.where(X[:, 0] < -0.5, "low", np.where(X[:, 0] < 0.4, "middle", "high"))
    found = kw.discover(X, labels, names=["x"], progress=False)
    assert found.classes == ("high", "low", "middle")
    assert [one.label for one in found.boundaries] == ["high", "low", "middle"]
    assert found.accuracy > 0.93
    assert np.allclose(found.predict_proba(X).sum(1), 1)
    with pytest.raises(DataError, match="3 classes have a boundary each"):
        _ = found.boundary


def test_two_numbers_are_a_target_of_numbers_unless_labels_are_asked_for():
    X, y = circle(300)
    found = kw.discover(X, y.astype(int), names=["x", "y"], progress=False, time_budget=0)
    assert isinstance(found, kw.Discovery)
    assert "cross_entropy" in found.remarks["The target has two values"]
    found = kw.discover(X, np.where(y, 7, 3), names=["x", "y"], progress=False, loss="cross_entropy")
    assert found.classes == (3, 7) and set(found.predict(X).tolist()) == {3, 7}
    data = kw.Dataset.from_arrays(X, y.astype(int), names=["x", "y"], test_size=0.2, seed=0)
    assert kw.discover(data, loss="cross_entropy", progress=False).classes == (0, 1)


def test_few_rows_of_one_class_and_few_rows_give_a_plain_result():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (40, 2))
    found = kw.discover(X, X[:, 0] > 0.1, names=["x", "y"], progress=False)
    assert found.accuracy_rows == "training" and found.accuracy > 0.9
    rare = np.zeros(200, dtype=bool)
    rare[[3, 90, 150]] = True
    with pytest.warns(KnotworkWarning, match="no boundary"):
        found = kw.discover(rng.uniform(-1, 1, (200, 2)), rare, progress=False)
    assert not found.boundary.found


def test_what_labels_cannot_have_is_refused():
    X, y = circle(60)
    with pytest.raises(DataError, match="one label alone"):
        kw.discover(X, ["a"] * 60, progress=False)
    with pytest.raises(DataError, match="60 different labels"):
        kw.discover(X, [f"n{n}" for n in range(60)], progress=False)
    with pytest.raises(DataError, match="no label in y"):
        kw.discover(X, ["a"] * 30 + [None] + ["b"] * 29, progress=False)
    with pytest.raises(TrainingError, match="sigma= cannot be given with labels"):
        kw.discover(X, y, sigma=0.1, progress=False)
    with pytest.raises(TrainingError, match="form= cannot be given with labels"):
        kw.discover(X, y, form="a*x_1", progress=False)


def test_constraints_hold_for_the_boundary():
    X, y = circle(400)
    found = kw.discover(X, y, names=["x", "y"], lib=["x"], linear=["y"], progress=False)
    assert all("y**2" not in text(one.expression) for one in found.boundary.front)


def test_the_accuracy_of_scaled_rows_is_that_of_their_predictions():
    X, y = circle(400)
    data = kw.Dataset.from_arrays(X * [100, 0.01], y.astype(float), names=["x", "y"], scale="standard", seed=0)
    found = kw.discover(data, loss="cross_entropy", progress=False)
    rows = data.scaling.undo(data.X_test).numpy()
    assert found.accuracy == np.mean(found.predict(rows) == data.y_test[:, 0].numpy()) > 0.95


def test_bits_a_row_are_those_of_the_stated_probabilities(inside):
    data = inside.data
    rows = np.concatenate([data.X_train, data.X_val])
    labels = np.concatenate([data.y_train, data.y_val])[:, 0]
    p = inside.predict_proba(rows)[:, 1]
    chosen = next(one for one in inside.boundary.front if one.formula is inside.boundary.formula)
    assert chosen.error == pytest.approx(-np.mean(np.log2(np.where(labels == 1, p, 1 - p).clip(1e-12))))


def test_a_class_without_rows_to_fit_is_named():
    X, y = circle(60)
    labels = np.where(y, "in", "out").astype(object)
    labels[0] = "rare"
    with pytest.raises(DataError, match="'rare' are test rows or have weight 0"):
        kw.discover(X, labels, sample_weight=np.arange(60) > 0, progress=False)


def test_arguments_that_are_arrays_are_refused_with_labels_by_name():
    X, y = circle(60)
    for name, value in {
        "groups": np.arange(60) % 3,
        "sigma": np.ones(60),
        "shared": ["a"],
        "keep_outliers": True,
    }.items():
        with pytest.raises(TrainingError, match=f"{name}= cannot be given with labels"):
            kw.discover(X, y, **{name: value})


def test_numbers_with_a_mistyped_cell_are_no_labels():
    X, _ = circle(60)
    ratings = [*map(str, np.arange(59) % 9), "<0.1"]
    with pytest.raises(DataError, match=r"<0\.1"):
        kw.discover(X, ratings, progress=False)


def test_rows_where_the_boundary_is_not_defined_have_no_class():
    rng = np.random.default_rng(0)
    X = rng.uniform(0.2, 3, (500, 2))
    found = kw.discover(X, X[:, 1] > np.log(X[:, 0]) + 1, names=["x", "y"], linear=["y"], progress=False)
    assert found.predict([[1.0, 2.0]]).tolist() == [True]
    assert np.isnan(found.predict_proba([[-1.0, 1.0]])).all()
    with pytest.raises(DataError, match="not defined in 1 of 1 rows"):
        found.predict([[-1.0, 1.0]])


def test_classes_of_different_types_keep_them():
    X, y = circle(300)
    found = kw.discover(X, [True if one else "no" for one in y], progress=False)
    assert set(map(type, found.predict(X[:50]).tolist())) == {bool, str}
