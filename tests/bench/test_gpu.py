"""The measurement on a GPU runs where there is none, too: it says so and measures the CPU."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


@pytest.mark.skipif(torch.cuda.is_available() or torch.backends.mps.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_cpu_is_measured(tmp_path):
    found = tmp_path / "gpu.jsonl"
    command = [sys.executable, str(SCRIPT), "--quick", "--out", str(found)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == (
        "torch finds no GPU here (neither CUDA nor MPS), so only the CPU is measured."
    )
    lines = [json.loads(line) for line in found.read_text().splitlines()]
    assert [(line["fit"], line["dtype"]) for line in lines] == [
        (fit, dtype) for fit in ("lm", "lm, 8 starts", "adam") for dtype in ("float32", "float64")
    ]
    assert all(line["device"] == "cpu" and line["seconds"] > 0 and line["steps"] == 3 for line in lines)
