"""`knotwork bench layers`: tables, JSON, and error messages for bad input."""

import json
import subprocess
import sys

import pytest

from knotwork import kernels
from knotwork.cli import main


@pytest.fixture
def run(capsys, monkeypatch):
    """(exit status, stdout, stderr) of `knotwork bench layers arguments...`."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["knotwork", "bench", "layers", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    return run


def test_json_on_stdout_holds_machine_versions_and_every_number(run):
    status, out, err = run("--quick", "--no-rivals", "--cases", "small-G5", "--json", "-")
    facts = json.loads(out)
    assert status == 0
    first, second = err.splitlines()
    assert first == "small-G5: [2, 5, 1], G=5, 1000 rows, float64: loss and all gradients"
    assert second.startswith("    knotwork") and " ms, MLP " in second
    assert (facts["benchmark"], facts["threads"], facts["rounds"], facts["quick"]) == ("layers", 1, 3, True)
    assert facts["machine"]["cores"] >= 1 and facts["versions"]["torch"] and facts["kernels"]
    (case,) = facts["times"]
    assert (case["case"], case["parameters"], case["mlp_width"]) == ("small-G5", 135, [2, 34, 1])
    for timing in case["candidates"]:
        assert 0 < timing["minimum_ms"] <= timing["median_ms"] and timing["rounds"] == 3
        assert timing["gflops"] > 0
    assert {timing["family"] for timing in case["candidates"]} == {"knotwork", "MLP"}
    # 16 multiply-adds for each edge and row; 10 in the first layer, which needs no gradient by its inputs
    ours = case["candidates"][0]
    assert ours["gflops"] == pytest.approx(2e-6 * 1000 * (10 * 10 + 16 * 5) / ours["median_ms"])


def test_speeds_are_reported_as_shares_of_the_peak(run, monkeypatch):
    monkeypatch.setattr(kernels, "fma_peak", lambda dtype: 1e-3, raising=False)
    _, out, _ = run("--quick", "--no-rivals", "--cases", "small-G5", "--json", "-")
    (case,) = json.loads(out)["times"]
    assert case["fma_peak_gflops"] == 1e-3
    for timing in case["candidates"]:
        assert timing["share_of_peak"] == pytest.approx(1e3 * timing["gflops"])


def test_the_table_is_printed_and_the_json_file_written(run, tmp_path):
    file = tmp_path / "layers.json"
    status, out, _ = run("--quick", "--no-rivals", "--cases", "small-G5,medium-G5-forward", "--json", file)
    assert status == 0
    assert [row["case"] for row in json.loads(file.read_text())["times"]] == ["small-G5", "medium-G5-forward"]
    for piece in ("Time of one call", "small-G5 autograd", "medium-G5-forward", "÷ MLP", "3 rounds"):
        assert piece in out
    assert "Not installed" not in out


def test_the_option_grids_compares_grid_sizes_and_writes_no_file(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, _ = run("--quick", "--cases", "small", "--grids")
    assert status == 0
    assert "Time of one call of ours" in out and "÷ MLP" not in out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cases", "smal"], "There is no case 'smal'; did you mean 'small-G5'?"),
        (["--cases", "refit"], "There is no case 'refit'; the cases are small-G5, "),
        (["--rounds", 0], "rounds=0 is not possible: it must be at least 1."),
        (["--threads", 0], "threads=0 is not possible here: this process may use 1 to "),
        (["--json", "no/such/file.json"], "--json 'no/such/file.json' cannot be written: 'no/such' is not a folder."),
    ],
)
def test_bad_input_ends_with_one_sentence_and_status_two(run, arguments, message):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"knotwork: {message}")
    assert len(err.splitlines()) == 1


def test_importing_knotwork_does_not_import_the_benchmarks():
    program = "import sys, knotwork; assert not [name for name in sys.modules if name.startswith('knotwork.bench')]"
    subprocess.run([sys.executable, "-c", program], check=True)
