"""active() reports which kernels run and the reason, for each way to select them."""

import os
import subprocess
import sys

import pytest

from knotwork import kernels

REPORT = "from knotwork import kernels; print(kernels.active(), kernels.basis.__module__, sep='|')"


def test_an_environment_variable_selects_the_reference_kernels():
    done = subprocess.run(
        [sys.executable, "-c", REPORT],
        env=os.environ | {"KNOTWORK_KERNELS": "reference"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "reference: KNOTWORK_KERNELS=reference is set|knotwork.kernels.reference"


def test_the_reference_runs_without_the_compiled_extension(monkeypatch):
    monkeypatch.delenv("KNOTWORK_KERNELS", raising=False)
    monkeypatch.setitem(sys.modules, "knotwork.kernels._compiled", None)  # makes its import fail as if it were missing
    expected = "reference: no compiled extension in this installation (built without a compiler)"
    assert str(kernels._choose()) == expected


def test_the_reference_runs_if_the_extension_does_not_load(monkeypatch):
    class Broken:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == "knotwork.kernels._compiled":
                raise ImportError("libstdc++.so.6: version not found")

    monkeypatch.delenv("KNOTWORK_KERNELS", raising=False)
    monkeypatch.delitem(sys.modules, "knotwork.kernels._compiled", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken, *sys.meta_path])
    expected = "reference: the compiled extension could not be loaded (libstdc++.so.6: version not found)"
    assert str(kernels._choose()) == expected


def test_the_compiled_kernels_run_if_the_extension_loads(monkeypatch):
    compiled = pytest.importorskip("knotwork.kernels._compiled")
    monkeypatch.delenv("KNOTWORK_KERNELS", raising=False)
    best = kernels._choose()
    assert (
        best.name == "compiled" and best.why == f"C++ for {compiled.instruction_set()}, the best this machine can run"
    )


def test_the_instruction_set_can_be_chosen_and_an_impossible_choice_is_reported():
    pytest.importorskip("knotwork.kernels._compiled")
    for asked, expected in [
        ("baseline", "compiled: C++ for baseline, as KNOTWORK_KERNELS=baseline asks"),
        ("sse9", "; KNOTWORK_KERNELS=sse9 is unknown or not possible here"),
    ]:
        environment = os.environ | {"KNOTWORK_KERNELS": asked}
        done = subprocess.run(
            [sys.executable, "-c", REPORT], env=environment, capture_output=True, text=True, check=True
        )
        assert expected in done.stdout and done.stdout.strip().endswith("|knotwork.kernels.compiled")
