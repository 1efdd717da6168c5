"""Memory grows with rows times k, not with rows times intervals."""

import subprocess
import sys

import pytest
import torch

import knotwork as kw
from knotwork import kernels
from knotwork.model.settings import ModelSettings

PEAK = """
import resource, torch, numpy as np, knotwork as kw
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MB
x = np.random.default_rng(0).uniform(-1, 1, (300, 1))
def fitted(grid):
    model = kw.KAN([1, 1], grid=grid, seed=0)
    model.fit((x, np.sin(3 * x)), optimizer="adam", steps=2, progress=False)
    return model
def act(model):
    ACTION
act(fitted(60))
before = peak()
act(fitted(15_000))
print(peak() - before)
"""


@pytest.mark.skipif(kernels.active().name != "compiled", reason="plain torch makes the whole basis")
@pytest.mark.parametrize(
    "action",
    [
        "pass",
        "model.refine(model.spec.grid * 4 // 3)",
        "model.refine(2 * model.spec.grid)",
        "model.layers[0].update_grid(torch.as_tensor(x), 0.3)",
        "model.layers[0].set_knots(model.layers[0].knots * 1.1)",
        "model.trace(x), model.predict(x)",
    ],
)
def test_many_intervals_take_little_memory(action):
    command = [sys.executable, "-c", PEAK.replace("ACTION", action)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(found.stdout) < 200  # a basis at its own 60,001 points would take 7,200 MB


@pytest.mark.parametrize("extrapolation", ["linear", "zero", "constant"])
@pytest.mark.parametrize("named", [False, True])
def test_edges_are_the_same_with_and_without_whole_bases(extrapolation, named, monkeypatch):
    layer = kw.KAN([3, 2], grid=7, k=2, seed=0, extrapolation=extrapolation).layers[0]
    layer.remove_edge(2, 1)
    if named:
        layer.name_edge(0, 1, "sin", torch.tensor([1.0, 0.5, 2.0, 0.1]))
    x = torch.linspace(-1.5, 1.5, 30, dtype=torch.float64).view(10, 3)
    whole = layer.edges(x)
    monkeypatch.setattr(sys.modules["knotwork.model.layer"], "MODEL", ModelSettings(most_intervals_of_bases=1))
    torch.testing.assert_close(layer.edges(x), whole, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(layer.edges(x).sum(1), layer(x), rtol=1e-12, atol=1e-13)
