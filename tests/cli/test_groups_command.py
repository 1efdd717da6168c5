"""`knotwork discover --groups COLUMN` finds one law for all groups and writes what it found."""

import json

import numpy as np
import pandas as pd
import pytest

from knotwork.cli.main import app, main


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(4)
    batch = np.repeat(["one", "two", "three"], 15)
    x = rng.uniform(1, 3, len(batch))
    frame = pd.DataFrame({"x [m]": x, "noise": rng.normal(size=len(x)), "batch": batch})
    frame["force [N]"] = frame["batch"].map({"one": 1.5, "two": 2.5, "three": 4.5}) * x
    frame.to_csv(tmp_path / "table.csv", index=False)
    return tmp_path


def test_the_constants_of_each_group_are_printed_and_written(table, capsys):
    arguments = ["--target", "force", "--groups", "batch", "--exclude", "noise", "--out", str(table / "out")]
    app(["discover", str(table / "table.csv"), *arguments], standalone_mode=False)
    shown = capsys.readouterr().out
    assert "c_1[batch]" in shown and "4.5" in shown
    facts = json.loads((table / "out" / "result.json").read_text())
    values = {name: one["constants"][0]["value"] for name, one in facts["formula"]["groups"].items()}
    assert values == pytest.approx({"one": 1.5, "two": 2.5, "three": 4.5})
    assert facts["formula"]["groups"]["two"]["rows"] == 15
    assert facts["formula"]["groups"]["two"]["constants"][0]["unit"] == "kg/s^2"
    assert "batch" in (table / "out" / "formula.tex").read_text()
    assert "<h1>" in (table / "out" / "report.html").read_text()


def test_json_is_printed_alone(table, capsys):
    arguments = ["--target", "force", "--groups", "batch", "--inputs", "x", "--json"]
    app(["discover", str(table / "table.csv"), *arguments], standalone_mode=False)
    assert set(json.loads(capsys.readouterr().out)["formula"]["groups"]) == {"one", "two", "three"}


def test_an_unknown_column_of_groups_is_told(table, capsys, monkeypatch):
    monkeypatch.setattr(
        "sys.argv", ["knotwork", "discover", str(table / "table.csv"), "--target", "force", "--groups", "bach"]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2 and "did you mean 'batch'" in capsys.readouterr().err
