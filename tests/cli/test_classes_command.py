"""`knotwork discover` for a target of labels prints the boundary and writes what it found."""

import json

import numpy as np
import pandas as pd
import pytest

from knotwork.cli.main import app, main


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"x": rng.uniform(-1, 1, 300), "y": rng.uniform(-1, 1, 300), "row": np.arange(300)})
    frame["state"] = np.where(frame.x * frame.y > 0.1, "on", "off")
    frame["number"] = (frame.state == "on") + 1
    frame.to_csv(tmp_path / "table.csv", index=False)
    return tmp_path


def test_the_boundary_is_printed_and_written(table, capsys):
    arguments = ["--target", "state", "--exclude", "row,number", "--out", str(table / "out")]
    app(["discover", str(table / "table.csv"), *arguments], standalone_mode=False)
    assert "on where x*y - " in capsys.readouterr().out
    facts = json.loads((table / "out" / "result.json").read_text())
    (boundary,) = facts["boundaries"]
    assert facts["classes"] == ["off", "on"] and boundary["label"] == "on" and facts["accuracy"] > 0.9
    assert abs(boundary["formula"]["constants"][0]["value"]) == pytest.approx(0.1, abs=0.02)
    assert (table / "out" / "formula.tex").read_text().strip().endswith("= 0")
    assert "<h1>" in (table / "out" / "report.html").read_text()


def test_numbers_are_labels_if_asked_for(table, capsys):
    arguments = ["--target", "number", "--inputs", "x,y", "--loss", "cross_entropy", "--json"]
    app(["discover", str(table / "table.csv"), *arguments], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["classes"] == [1, 2]


def test_a_number_of_test_rows_is_refused(table, capsys, monkeypatch):
    arguments = ["--target", "state", "--test-size", "0.3"]
    monkeypatch.setattr("sys.argv", ["knotwork", "discover", str(table / "table.csv"), *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2 and "--test-size cannot be given with labels" in capsys.readouterr().err
