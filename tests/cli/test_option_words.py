"""Sentences on the command line name its options."""

import sys

import pytest

from knotwork.cli import main
from knotwork.cli.option_words import for_command


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("pass separator=';' and decimal=','.", "pass --separator ';' and --decimal ','."),
        ("separator='\\t'", "--separator tab"),
        ("name the separator with separator=.", "name the separator with --separator."),
        ("Labels are for discover(X, y, loss='cross_entropy').", "Labels are for --loss cross_entropy."),
        ("groups='sex', or test_size=0", "--groups sex, or --test-size 0"),
        ("it is found by discover(X, y, groups='sex') (site likewise)", "it is found by --groups sex (site likewise)"),
        ("groups='blood type'", "--groups 'blood type'"),
        ("keep_outliers=True keeps them", "--keep-outliers keeps them"),
        ("y = 3*[groups=b] + seed", "y = 3*[groups=b] + seed"),
        ("my_loss='a', x.split='b', loss = 3*x", "my_loss='a', x.split='b', loss = 3*x"),
    ],
)
def test_arguments_become_options_and_formulas_stay(before, after):
    assert for_command(before) == after


def test_notes_and_errors_of_the_command_name_its_options(tmp_path, capsys, monkeypatch):
    path = tmp_path / "table.csv"
    rows = "".join(f"{n / 7:.4f};{'ab'[n % 2]};{n}\n".replace(".", ",") for n in range(30))
    path.write_text(f"x;kind;y\n{rows}")
    shown = {}
    for target in ("y", "kind"):
        options = ["--time-budget", "0", *(["--loss", "mse"] if target == "kind" else [])]
        monkeypatch.setattr(sys, "argv", ["knotwork", "discover", str(path), "--target", target, *options])
        with pytest.raises(SystemExit):
            main()
        shown[target] = "".join(capsys.readouterr())
    assert "--separator ';'" in shown["y"] and "--groups kind" in shown["y"]
    assert "--loss cross_entropy" in shown["kind"]
    assert "separator=" not in shown["y"] and "loss=" not in shown["kind"]
