"""A discovery is saved to a file and loaded again, and shown in notebooks and terminals."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.discovery.column_units import Units
from knotwork.discovery.result_files import digest
from knotwork.errors import CheckpointError
from knotwork.regression import Constraints


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
    assert again.baseline is found.baseline is None  # the formula leaves nothing that a network could tell
    assert again.importance.words == found.importance.words and "±" in str(again.importance)


def test_the_general_network_is_kept(found, tmp_path):
    fit = kw.fit(kw.KAN([3, 2, 1], seed=0), found.data, steps=5)
    replace(found, baseline=fit).save(tmp_path / "law.json")
    again = kw.Discovery.load(tmp_path / "law.json").baseline
    assert torch.equal(again.model(found.data.X_test), fit.model(found.data.X_test))
    assert (again.val_rmse, again.history) == (fit.val_rmse, fit.history)


def test_a_file_of_the_earlier_form_is_loaded(found, tmp_path):
    """The form of files before there were dependent columns, failures, places without a value, copies and gaps."""
    place = tmp_path / "law.json"
    found.save(place)
    content = json.loads(place.read_text())
    for name in ("sha256", "dependent", "failures", "undefined", "copies"):
        del content[name]
    content["front"] = [{name: fact for name, fact in one.items() if name != "gaps"} for one in content["front"]]
    place.write_text(json.dumps({**content, "sha256": digest(content)}))
    again = kw.Discovery.load(place)
    assert again.formula.expressions == found.formula.expressions and len(again.front) == len(found.front)
    assert (again.dependent, again.failures, again.undefined, again.copies) == ({}, {}, "", 0)
    assert [entry.gaps for entry in again.front] == [0.0] * len(again.front)


def test_gaps_are_kept_in_files_and_in_other_units(found, tmp_path):
    front = tuple(replace(entry, gaps=0.01 * n) for n, entry in enumerate(found.front))
    assert front[-1].gaps > 0
    replace(found, front=front).save(tmp_path / "law.json")
    again = kw.Discovery.load(tmp_path / "law.json")
    assert [entry.gaps for entry in again.front] == [entry.gaps for entry in front]
    units = Units(10.0, {"c": 100.0})
    own = Units(0.1, {"c": 0.01}).rows(found.data)  # the rows whose columns in these units are those of the search
    chosen, other = units.entries(front[-1], front, own, False, Constraints.of(None, None, None, own.input_names))
    assert other[-1] is chosen
    for shown in (other, units.shown(front)):
        assert [entry.gaps for entry in shown] == [entry.gaps for entry in front]


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
