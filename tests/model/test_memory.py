"""Memory grows with rows times k, not with rows times intervals."""

import subprocess
import sys

import pytest
import torch

import knotwork as kw
from knotwork import kernels
from knotwork.model.settings import ModelSettings

PEAK = """
import resource, numpy as np, knotwork as kw
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MB
x = np.random.default_rng(0).uniform(-1, 1, (300, 1))
kw.KAN([1, 1], grid=5, seed=0).fit((x, np.sin(3 * x)), optimizer="adam", steps=2, progress=False)
before = peak()
kw.KAN([1, 1], grid=15_000, seed=0).fit((x, np.sin(3 * x)), optimizer="adam", steps=2, progress=False)
print(peak() - before)
"""


@pytest.mark.skipif(kernels.active().name != "compiled", reason="plain torch makes the whole basis")
def test_a_fit_on_many_intervals_takes_little_memory():
    found = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
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
