"""`knotwork discover --target A,B` finds formulas of several targets and writes what it found."""

import json

import numpy as np
import pandas as pd
import pytest

from knotwork.cli.main import app, main


@pytest.fixture
def table(tmp_path):
    x, z = np.random.default_rng(4).uniform(0.5, 2, (2, 120))
    frame = pd.DataFrame({"x [m]": x, "z [m]": z, "area [m^2]": x * z, "rest, all [m^2]": x * z + x**2, "day": 3.0})
    frame.loc[7, "area [m^2]"] = np.nan
    frame.to_csv(tmp_path / "table.csv", index=False)
    return tmp_path


def test_formulas_of_all_targets_are_printed_and_written(table, capsys):
    frame = pd.read_csv(table / "table.csv").rename(columns={"rest, all [m^2]": "rest [m^2]"})
    frame.to_csv(table / "table.csv", index=False)
    arguments = ["--target", "area, rest", "--exclude", "day", "--out", str(table / "out")]
    app(["discover", str(table / "table.csv"), *arguments], standalone_mode=False)
    shown = capsys.readouterr().out
    assert "area = x*z" in shown and "x*z in area, rest" in shown
    facts = json.loads((table / "out" / "result.json").read_text())
    assert set(facts["targets"]) == {"area", "rest"} and facts["targets"]["area"]["formula"]["text"] == "x*z"
    assert facts["shared"] == [{"text": "x*z", "targets": ["area", "rest"]}] and facts["missing"] == {"area": 1}
    assert (table / "out" / "formula.tex").read_text().count("=") == 2
    assert "<h2>rest</h2>" in (table / "out" / "report.html").read_text()


def test_the_name_of_one_target_may_hold_a_comma(table, capsys):
    arguments = ["--target", "rest, all", "--inputs", "x,z", "--json"]
    app(["discover", str(table / "table.csv"), *arguments], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["target"] == "rest, all"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--target", "area,rust"], "There is no column 'rust'"),
        (["--target", "area,day", "--groups", "x"], "--groups cannot be given with several targets"),
        (["--target", "area,day", "--test-size", "0.2"], "--test-size cannot be given with several targets"),
    ],
)
def test_what_is_not_possible_is_told(table, capsys, monkeypatch, more, words):
    monkeypatch.setattr("sys.argv", ["knotwork", "discover", str(table / "table.csv"), *more])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2 and words in capsys.readouterr().err
