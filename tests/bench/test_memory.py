"""Peak memory, measured in a new process."""

from pathlib import Path

import pytest
import torch

from knotwork.bench import memory
from knotwork.bench.cases import MEMORY, Case
from knotwork.bench.implementations import Implementation, mlp
from knotwork.errors import KnotworkError

linux = pytest.mark.skipif(not memory.CLEAR.exists(), reason="peak memory is read as Linux counts it")
CASE = Case("any", (2, 1), 5, 10, torch.float64, "forward")


@linux
@pytest.mark.parametrize("mib", [20, 200])
def test_peak_memory_includes_memory_that_was_freed_again(mib):
    def prepare(case, x, y):
        return lambda: torch.ones(mib * memory.MIB // 8 if len(x) == case.rows == 10 else 1).sum()

    with memory.default_dtype(torch.float64):
        peak = memory._peak_here(CASE, Implementation("a", "rival", prepare, compiles=False)) / memory.MIB
    assert mib - 1 < peak < mib + 5  # some pages were free before; Python and the allocator need a few more


@linux
def test_a_new_process_returns_its_peak_or_the_reason_of_its_failure():
    case = next(case for case in MEMORY if case.name == "refit")
    number = memory.peak(case, mlp(case), threads=1)
    parameters = case.mlp_parameters * 4 / memory.MIB
    assert isinstance(number, float)
    # values, gradients and two moments of Adam, and the activations
    assert 4 * parameters < number < 4 * parameters + 100
    reason = memory.peak(case, Implementation("nobody", "rival", mlp(case).prepare), threads=1)
    assert reason == "ended with status 1: StopIteration"


def test_on_other_systems_the_error_recommends_linux(monkeypatch):
    monkeypatch.setattr(memory, "CLEAR", Path("/nowhere/clear_refs"))
    with pytest.raises(KnotworkError, match="which this system does not have; use Linux"):
        memory.peak(MEMORY[0], mlp(MEMORY[0]), threads=1)
