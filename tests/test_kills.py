"""Processes that are killed at random moments lose nothing: a few kills of each kind. benchmarks/kills.py has more."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "kills.py"


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked")
@pytest.mark.parametrize("task", ["save", "report", "fit", "levels", "shapes", "sparse", "solve", "discover"])
def test_after_kills_files_are_whole_and_numbers_the_same(tmp_path, task):
    found = tmp_path / "kills.jsonl"
    command = [sys.executable, str(SCRIPT), "--kills", "3", "--quick", "--only", task, "--out", str(found)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in found.read_text().splitlines()]
    assert [(line["task"], line["good"]) for line in lines] == [(task, True)] * 3
