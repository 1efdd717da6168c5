"""Rivals: packages that are not installed are excluded, and each adaptor builds the network of its library."""

import sys
import types

import pytest
import torch
from torch import nn

from knotwork.bench import rivals
from knotwork.bench.cases import Case
from knotwork.bench.timing import measure

CASE = Case("any", (2, 3, 1), 4, 10, torch.float64, "gradient")


def test_packages_that_are_not_installed_are_not_compared(monkeypatch):
    there = {"inkan": "0.5.2"}

    def version(package):
        if package not in there:
            raise rivals.PackageNotFoundError(package)
        return there[package]

    monkeypatch.setattr(rivals, "version", version)
    assert rivals.installed() == there
    assert [candidate.name for candidate in rivals.rivals()] == ["inkan", "inkan, eager"]
    there.clear()
    assert rivals.rivals() == []


def test_a_failed_import_is_reported(monkeypatch):
    monkeypatch.setitem(sys.modules, "inkan", None)
    inkan = rivals.RIVALS["inkan"][0]
    (timing,) = measure(CASE, [inkan], rounds=1)
    assert timing.failure == "ModuleNotFoundError: import of inkan halted; None in sys.modules"


@pytest.mark.parametrize(
    ("package", "module", "class_name"),
    [("pykan", "kan", "KAN"), ("inkan", "inkan", "KANNetwork"), ("flashkan", "flashkan", "KANNetwork")],
)
def test_adaptors_build_the_network_of_the_case(package, module, class_name, monkeypatch):
    asked = []

    class Network(nn.Linear):
        def __init__(self, *arguments, **settings):
            super().__init__(2, 1)
            asked.append([*arguments, *settings.values()])

        def speed(self):
            return self

    stand_in = types.ModuleType(module)
    setattr(stand_in, class_name, Network)
    monkeypatch.setitem(sys.modules, module, stand_in)
    timings = measure(CASE, rivals.RIVALS[package], rounds=1, block=0.0)
    assert [(timing.failure, len(timing.seconds)) for timing in timings] == [(None, 1)] * len(timings)
    assert [settings[:3] for settings in asked] == [[[2, 3, 1], 4, 3]] * len(timings)


def test_only_flashkan_is_marked_as_inexact():
    marks = {c.name: c.exact for candidates in rivals.RIVALS.values() for c in candidates}
    assert [name for name, exact in marks.items() if not exact] == ["flashkan"]
