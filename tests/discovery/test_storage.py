"""A discovery is saved to a file and loaded again, and shown in notebooks and terminals."""

import json

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.errors import CheckpointError


@pytest.fixture(scope="module")
def found():
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 2, (150, 3))
    y = 1.23 * X[:, 0] / X[:, 1] + 0.02 * rng.normal(size=150)
    return kw.discover(X, y, names=["a<b", "c", "noise"], seed=1, forbid=["tan"], time_budget=20)


def test_a_saved_discovery_loads_equal_but_without_data(found, tmp_path):
    place = tmp_path / "law.json"
    found.save(place)
    again = kw.Discovery.load(place)
    assert again.data is None
    for name in ("shape", "importance", "seconds", "stop", "stop_reason", "settings", "dependent", "failures"):
        assert getattr(again, name) == getattr(found, name)
    assert again.formula.expressions == found.formula.expressions
    assert [one.value for one in again.formula.constants] == [one.value for one in found.formula.constants]
    facts = [[(e.complexity, e.error, e.expression, e.shape, e.bits) for e in one.front] for one in (again, found)]
    assert facts[0] == facts[1]
    assert [entry.formula is again.formula for entry in again.front].count(True) == 1
    x = found.data.X_test
    for name in ("symbolic_model", "spline_model"):
        assert torch.equal(getattr(again, name)(x), getattr(found, name)(x))
    assert torch.equal(again.baseline.model(x), found.baseline.model(x))
    assert (again.baseline.val_rmse, again.baseline.history) == (found.baseline.val_rmse, found.baseline.history)


def test_a_loaded_discovery_needs_data_for_figures_and_reports(found, tmp_path):
    found.save(tmp_path / "law.json")
    again = kw.Discovery.load(tmp_path / "law.json")
    for verb in ("plot", "plot_predictions", "relations"):
        with pytest.raises(kw.KnotworkError, match=rf"{verb}\(\) needs rows, and a discovery that was loaded has none"):
            getattr(again, verb)()
    assert again.plot_predictions(data=found.data).axes
    assert again.report(tmp_path / "page.html", data=found.data).exists()


def test_other_files_are_refused(found, tmp_path):
    with pytest.raises(CheckpointError, match="cannot be written"):
        found.save(tmp_path / "missing" / "law.json")
    with pytest.raises(CheckpointError, match="cannot be read"):
        kw.Discovery.load(tmp_path / "law.json")
    (tmp_path / "law.json").write_text("{}")
    with pytest.raises(CheckpointError, match="is no discovery"):
        kw.Discovery.load(tmp_path / "law.json")
    found.save(tmp_path / "law.json")
    content = json.loads((tmp_path / "law.json").read_text())
    for changed in ({"stop": "EXACT"}, {"importance": {"c": -7.0}}, {"shape": "another"}):
        (tmp_path / "changed.json").write_text(json.dumps({**content, **changed}))
        with pytest.raises(CheckpointError, match="was changed or damaged"):
            kw.Discovery.load(tmp_path / "changed.json")
    (tmp_path / "deep.json").write_text("[" * 200_000)
    with pytest.raises(CheckpointError, match="cannot be read"):
        kw.Discovery.load(tmp_path / "deep.json")
    for wrong in ({"stop": "TIRED"}, {"importance": None}, {"spline_model": "AAAA"}, {"front": [{}]}):
        (tmp_path / "law.json").write_text(json.dumps({**content, **wrong}))
        with pytest.raises(CheckpointError):
            kw.Discovery.load(tmp_path / "law.json")


def test_text_and_html_show_the_formula_the_inputs_and_the_front(found):
    text, html = str(found), found._repr_html_()
    assert text.startswith(str(found.formula).splitlines()[0])
    assert text.count("\n→") == 1 and found.stop_reason in text and "noise" in text
    assert html.count("<tr") == 1 + len(found.front) and html.count("<math") == 1 + len(found.front)
    assert "a<b" not in html and "a&lt;b" in html


def test_predictions_are_drawn_for_the_test_rows(found):
    (axes,) = found.plot_predictions().axes
    (points,) = [one for one in axes.collections if one.get_gid() == "points"]
    true, predicted = np.asarray(points.get_offsets()).T
    np.testing.assert_array_equal(true, found.data.y_test[:, 0])
    np.testing.assert_allclose(predicted, found.formula.predict(found.data.X_test.numpy()), rtol=1e-9)
