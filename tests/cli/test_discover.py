"""The command line: its output, its files, and its error messages for bad input."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import knotwork as kw
from knotwork.cli import main
from knotwork.cli.reading import Reading, formula_of
from knotwork.errors import DataError
from knotwork.regression import Search


def run(capsys, monkeypatch, *arguments):
    """(exit status, stdout, stderr) of `knotwork arguments...`."""
    monkeypatch.setattr(sys, "argv", ["knotwork", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    return ended.value.code or 0, out, err


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-1, 1, (2, 300))
    path = tmp_path / "table.csv"
    np.savetxt(path, np.stack([a, b, a * b], 1), delimiter=",", header="a,b,force", comments="")
    return path


def test_the_output_shows_accuracy_inputs_formula_and_files(table, tmp_path, capsys, monkeypatch):
    out = tmp_path / "new" / "folder"
    status, text, progress = run(capsys, monkeypatch, "discover", table, "--target", "force", "--out", out)
    assert status == 0
    for piece in ("192 training", "What matters (to the formula)", "force = a*b", str(out / "diagram.svg")):
        assert piece in text
    assert "trying sums of products of powers" in progress
    assert (out / "diagram.svg").read_text().lstrip().startswith("<?xml")
    assert (out / "formula.tex").read_text() == "\\mathrm{force} = a b\n"
    assert kw.load(out / "network.safetensors").spec.named
    assert "<math" in (out / "report.html").read_text(encoding="utf-8")
    assert f"report: {out / 'report.html'}" in text


def test_json_is_one_object_on_stdout_and_no_file_is_written_without_the_option(table, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    status, text, _ = run(capsys, monkeypatch, "discover", table, "--target", "force", "--json", "--time-budget", "0")
    facts = json.loads(text)
    assert status == 0
    assert set(facts["importance"]) == {"a", "b"}
    assert facts["formula"]["r2"] <= 1
    assert facts["files"] == {}
    assert sorted(tmp_path.rglob("*")) == before


def test_a_log_reports_formulas_when_found_without_control_characters(table, tmp_path, capsys, monkeypatch):
    place = tmp_path / "result.json"
    out = tmp_path / "out"
    status, text, progress = run(
        capsys, monkeypatch, "discover", table, "--target", "force", "--json-file", place, "--out", out
    )
    assert status == 0
    assert "\x1b" not in text + progress
    found = [line for line in progress.splitlines() if "found complexity" in line]
    assert "found complexity 1," in found[0]  # the mean
    assert found[-1].endswith(": a*b")
    facts = json.loads(place.read_text())
    assert facts == json.loads((out / "result.json").read_text())
    assert [one["text"] for one in facts["pareto"] if one["chosen"]] == ["a*b"]
    assert facts["formula"]["correlations"] == {"constants": [], "matrix": []}
    assert str(place) in text
    status, _, err = run(capsys, monkeypatch, "discover", table, "--target", "force", "--json-file", tmp_path)
    assert status == 2 and "name a file" in err
    place = tmp_path / f"{'long' * 100}.json"  # the folder exists, but the name is too long
    status, _, err = run(capsys, monkeypatch, "discover", table, "--target", "force", "--json-file", place)
    assert status == 2 and "cannot be written" in err and "looking for inputs" not in err


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo terminal")
def test_a_terminal_shows_the_table_during_the_search(table):
    import pty

    ours, theirs = pty.openpty()
    command = [str(Path(sys.executable).with_name("knotwork")), "discover", str(table), "--target", "force"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "90", "LINES": "40"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=environment) as done:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:  # raised by Linux when the other end is closed
            pass
        assert done.stdout is not None
        out = done.stdout.read()
    os.close(ours)
    assert done.returncode == 0
    assert b"Formulas so far" in shown and b"complexity" in shown and b"\x1b[" in shown
    assert b"looking for inputs that matter" in shown
    assert b"\x1b" not in out and b"force = a*b" in out


def test_constraints_are_passed_to_the_search(tmp_path, capsys, monkeypatch):
    x = np.random.default_rng(0).uniform(-1, 1, (600, 2))
    path = tmp_path / "table.csv"
    rows = np.column_stack([x, np.tanh(2 * x[:, 0]) + x[:, 1] ** 2])
    np.savetxt(path, rows, delimiter=",", header="a,b,force", comments="")
    command = "discover", path, "--target", "force", "--json", "--time-budget", "0"
    status, text, _ = run(capsys, monkeypatch, *command, "--forbid", "tanh,tan", "--linear", "b")
    assert status == 0
    assert "tanh" not in text and "tan(" not in text
    assert "b**2" not in text
    assert "tanh" in run(capsys, monkeypatch, *command)[1]


def test_the_loss_and_places_where_the_formula_is_not_defined_are_in_text_and_json(tmp_path, capsys, monkeypatch):
    X = np.random.default_rng(0).uniform(0, 1, (800, 2))
    X = X[(X**2).sum(1) < 0.99]
    path = tmp_path / "table.csv"
    rows = np.column_stack([X, np.sqrt(1 - (X**2).sum(1))])
    np.savetxt(path, rows, delimiter=",", header="a,b,height", comments="", fmt="%.17g")
    place = tmp_path / "result.json"
    command = "discover", path, "--target", "height", "--json-file", place
    status, text, _ = run(capsys, monkeypatch, *command)
    facts = json.loads(place.read_text())
    assert status == 0 and facts["loss"] == "mse" and facts["copies"] == 0
    assert "must be not negative" in facts["undefined"] and facts["undefined"] in text
    status, text, _ = run(capsys, monkeypatch, *command, "--loss", "relative")
    assert status == 0 and json.loads(place.read_text())["loss"] == "relative" and "shares of the target" in text
    status, _, err = run(capsys, monkeypatch, *command, "--loss", "cauchy")
    assert status == 2 and "--loss cauchy is not possible" in err


def test_ctrl_c_ends_with_the_formulas_found_so_far(tmp_path):
    x = np.random.default_rng(0).uniform(-1, 1, (300, 3))
    path = tmp_path / "table.csv"
    rows = np.column_stack([x[:, :2], x.sum(1)])  # the third summand is noise, so no sum of curves is found immediately
    np.savetxt(path, rows, delimiter=",", header="a,b,force", comments="")
    done = subprocess.Popen(
        [str(Path(sys.executable).with_name("knotwork")), "discover", str(path), "--target", "force", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert done.stderr is not None
    for line in done.stderr:
        if "trying sums of products of powers" in line:
            done.send_signal(signal.SIGINT)
            break
    out, err = done.communicate(timeout=60)
    assert done.returncode == 0, err
    facts = json.loads(out)
    assert facts["stop_reason"] == "interrupted; the best state so far was kept"
    assert len(facts["pareto"]) == 2  # a constant and a straight line
    assert "interrupted; the best state so far was kept" in err


def test_the_baseline_network_is_compared_where_the_search_needed_one(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Search, "formulas", lambda self: iter(()))  # as if the search found no formula
    X = np.random.default_rng(0).uniform(-1, 1, (600, 2))
    path = tmp_path / "table.csv"
    rows = np.column_stack([X, np.exp(X[:, 0]) + X[:, 1]])
    np.savetxt(path, rows, delimiter=",", header="a,b,force [N]", comments="")
    place = tmp_path / "result.json"
    status, text, _ = run(capsys, monkeypatch, "discover", path, "--target", "force", "--json-file", place)
    r2 = json.loads(place.read_text())["baseline"]["r2"]
    assert status == 0 and r2 > 0.99
    assert f"A baseline network [2, 5, 1] predicts force [N] with r² = {r2:.4f}" in text


def test_units_are_shown_and_columns_named_without_them(tmp_path, capsys, monkeypatch):
    path = tmp_path / "table.csv"
    x = np.random.default_rng(0).uniform(-1, 1, 200)
    np.savetxt(path, np.stack([x, x**2], 1), delimiter=",", header="speed [m/s],force (N)", comments="")
    command = "discover", path, "--target", "force", "--inputs", "speed", "--time-budget", "0"
    status, text, _ = run(capsys, monkeypatch, *command)
    assert status == 0
    assert "speed [m/s]" in text and "RMSE in N" in " ".join(text.split())
    status, text, _ = run(capsys, monkeypatch, *command, "--json")
    facts = json.loads(text)
    assert facts["units"] == {"speed": "m/s", "force": "N"}
    assert facts["formula"]["units"] == next(one for one in facts["pareto"] if one["chosen"])["units"]


def test_options_exclude_columns_and_ignore_units(tmp_path, capsys, monkeypatch):
    path = tmp_path / "table.csv"
    x = np.random.default_rng(0).uniform(1, 2, 200)
    rows = "".join(f"run{n},{v},{2 * v}\n" for n, v in enumerate(x))
    path.write_text(f"id,speed [m/s],force [N]\n{rows}")
    command = "discover", path, "--target", "force", "--json", "--time-budget", "0"
    status, text, progress = run(capsys, monkeypatch, *command, "--exclude", "id")
    assert status == 0 and set(json.loads(text)["importance"]) == {"speed"} and "units:" in progress
    status, text, progress = run(capsys, monkeypatch, *command, "--exclude", "id", "--no-units")
    assert status == 0 and "units:" not in progress
    status, _, err = run(capsys, monkeypatch, *command, "--exclude", "idd")
    assert status == 2 and "There is no column 'idd'" in err


def test_units_in_the_header_lead_to_a_formula_with_consistent_units(tmp_path, capsys, monkeypatch):
    rng = np.random.default_rng(0)
    mass, speed = rng.uniform(1, 5, (2, 200))
    path = tmp_path / "table.csv"
    rows = np.column_stack([mass, speed, mass * (speed / 3.6) ** 2 / 2])
    np.savetxt(path, rows, delimiter=",", header="mass [kg],speed [km/h],energy [J]", comments="")
    status, text, progress = run(capsys, monkeypatch, "discover", path, "--target", "energy", "--out", tmp_path / "out")
    assert status == 0
    assert "units: all but one constant follows from those of 'mass', 'speed'" in progress
    assert "energy = 25*mass*speed**2/648" in text and "Units agree." in text
    assert re.search(r"25\*mass\*speed\*\*2/648\s+units agree *\n", text)
    assert "<p>Units agree.</p>" in (tmp_path / "out" / "report.html").read_text()


BAD = {
    "missing": (None, "is neither a file nor a packaged table"),
    "empty": ("", "is empty"),
    "header only": ("a,b,force\n", "no rows"),
    "text": ("a,b,force\n1,foo,3\n2,3,4\n4,5,6\n", "'b' holds 'foo' \\(line 2 of the file\\) among its numbers"),
    "only text": ("a,force\np,3\nq,3\nr,4\n", "'a' was skipped"),
    "one row": ("a,b,force\n1,2,3\n", "1 row"),
    "ragged": ("a,b,force\n1,2,3\n4,5\n6,7,8,9\n", "same columns|more values"),
    "one column": ("force\n1\n2\n", "single column"),
    "no header": ("1,2,3\n4,5,6\n", "name the columns"),
    "wrong target": ("a,b,forse\n1,2,3\n4,5,6\n7,8,9\n", "did you mean 'forse'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_ends_with_one_sentence_and_status_two(name, tmp_path, capsys, monkeypatch):
    content, message = BAD[name]
    path = tmp_path / "table.csv"
    if content is not None:
        path.write_text(content)
    status, out, err = run(capsys, monkeypatch, "discover", path, "--target", "force")
    assert status == 2
    assert out == ""
    assert "Traceback" not in err
    lines = err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("knotwork: ")
    import re

    assert re.search(message, lines[0])


def test_a_file_takes_precedence_over_a_packaged_table_of_the_same_name(tmp_path, monkeypatch):
    data = Reading("knots").data("volume", ["cusp_volume"], test_size=1000, seed=0)
    assert data.rows() == (10530, 2633, 1000)
    (tmp_path / "knots").write_text("a,b\n1,2\n3,4\n5,7\n7,9\n8,9\n")
    monkeypatch.chdir(tmp_path)  # a file wins over a packaged table of the same name
    assert Reading("knots").data("b", None, test_size=1, seed=0).rows() == (3, 1, 1)
    with pytest.raises(DataError, match="'knots' is a file, so the target must be named with --target: a, b"):
        Reading("knots").data(None, None, test_size=0, seed=0)


def test_unusable_files_folders_and_options_end_with_one_sentence(table, tmp_path, capsys, monkeypatch):
    binary = tmp_path / "picture.csv"
    binary.write_bytes(bytes(range(256)) * 20)
    for arguments in (
        [binary, "--target", "x"],
        [tmp_path, "--target", "x"],
        [table, "--target", "force", "--out", binary],
        [table, "--target", "force", "--lib", "sinn"],
        [table, "--target", "force", "--forbid", "tann"],
        [table, "--target", "force", "--linear", "c"],
        [table, "--target", "force", "--inputs", "a,c"],
        [table, "--target", "force", "--test-size", "2.0"],
    ):
        status, out, err = run(capsys, monkeypatch, "discover", *arguments)
        assert (status, out) == (2, "")
        assert len(err.strip().splitlines()) == 1
        assert err.startswith("knotwork: ")


def test_an_unknown_option_ends_with_status_two(capsys, monkeypatch):
    status, _, err = run(capsys, monkeypatch, "discover", "knots", "--targt", "signature")
    assert status == 2
    assert "--target" in err


def test_the_installed_command_runs():
    command = Path(sys.executable).with_name("knotwork")
    shown = subprocess.run(
        [str(command), "--help"], capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "100"}
    )
    assert "discover" in shown.stdout


def test_errors_of_rows_are_a_column_and_wrong_rows_are_named(tmp_path, capsys, monkeypatch):
    rng = np.random.default_rng(0)
    a, sigma = rng.uniform(1, 3, 80), rng.uniform(0.01, 0.3, 80)
    force = 4.7 * a + sigma * rng.normal(size=80)
    force[12] = 1e6
    path = tmp_path / "table.csv"
    np.savetxt(path, np.stack([a, sigma, force], 1), delimiter=",", header="a,err,force", comments="")
    for inputs in ((), ("--inputs", "a"), ("--inputs", "a,err")):
        options = ("--target", "force", "--sigma", "err", *inputs, "--json-file", tmp_path / "facts.json")
        status, text, _ = run(capsys, monkeypatch, "discover", path, *options)
        facts = json.loads((tmp_path / "facts.json").read_text())
        assert status == 0 and set(facts["importance"]) == {"a"}
        assert [one["row"] for one in facts["outliers"]] == [12] and "row 12 (1e+06" in text
        assert 0.5 < facts["reduced_chi2"] < 2 and "χ² per degree of freedom" in text
    status, _, error = run(capsys, monkeypatch, "discover", path, "--target", "force", "--sigma", "error")
    assert status == 2 and "err" in error


def test_a_form_with_a_constant_and_a_curve_is_fitted(table, capsys, monkeypatch):
    options = ("--target", "force", "--form", "c*f(a)*b", "--json")
    status, text, _ = run(capsys, monkeypatch, "discover", table, *options)
    facts = json.loads(text)
    assert status == 0 and facts["formula"]["rounded"] == "a*b"
    assert facts["unknowns"]["f"].startswith("f(t) = t")
    status, _, problem = run(capsys, monkeypatch, "discover", table, "--target", "force", "--form", "f(a, b)")
    assert status == 2 and "an unknown curve is a function of one" in problem


def test_a_search_goes_on_from_a_formula_or_a_result(table, tmp_path, capsys, monkeypatch):
    options = ("--target", "force", "--time-budget", "0", "--json")
    status, text, _ = run(capsys, monkeypatch, "discover", table, *options, "--start", "0.9*a*b")
    facts = json.loads(text)
    assert status == 0 and facts["formula"]["rounded"] == "a*b"
    assert facts["formula"]["shape"] == "the formula to start from"
    (tmp_path / "result.json").write_text(text)
    status, text, _ = run(capsys, monkeypatch, "discover", table, *options, "--start", tmp_path / "result.json")
    assert status == 0 and json.loads(text)["formula"]["rounded"] == "a*b"
    status, _, problem = run(capsys, monkeypatch, "discover", table, *options, "--start", table)
    assert status == 2 and "holds no result" in problem


def test_a_formula_to_start_from_may_be_longer_than_a_file_name():
    assert formula_of(" + ".join(["x"] * 200)) == " + ".join(["x"] * 200)


def test_a_command_goes_on_from_its_file(table, tmp_path, capsys, monkeypatch):
    command = ["discover", table, "--target", "force", "--checkpoint", tmp_path / "search.kw"]
    first, second = (run(capsys, monkeypatch, *command) for _ in range(2))
    assert first[0] == second[0] == 0
    assert "going on from" in second[2]
    assert "going on from" not in first[2]
    status, _, words = run(capsys, monkeypatch, *command, "--seed", "1")
    assert status == 2
    assert "belongs to another calculation" in words
