"""Timing: all run in every round; the failure of a rival is reported, every other error is raised."""

import math
import os
import time

import pytest
import torch

from knotwork.bench import machine, timing
from knotwork.bench.cases import Case
from knotwork.bench.implementations import Implementation
from knotwork.bench.machine import default_dtype, only
from knotwork.bench.settings import BENCH, BenchSettings
from knotwork.bench.timing import measure
from knotwork.errors import KnotworkError

CASE = Case("any", (2, 1), 5, 10, torch.float64, "forward")


@pytest.fixture
def worker(monkeypatch):
    """Implementations that take exactly the given seconds of a simulated clock."""
    clock = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock[0])

    def work(seconds):
        clock[0] += seconds

    return lambda name, seconds: Implementation(name, "rival", lambda case, x, y: lambda: work(seconds))


def test_every_round_measures_the_seconds_of_one_call(worker):
    slow, fast = measure(CASE, [worker("slow", 2.0), worker("fast", 0.5)], rounds=3, block=1.25)
    assert slow.seconds == (2, 2, 2) and fast.seconds == (0.5, 0.5, 0.5)


def test_a_measurement_lasts_as_long_as_requested():
    calls = []
    candidate = Implementation("a", "knotwork", lambda case, x, y: lambda: calls.append(time.sleep(1e-3)))
    measure(CASE, [candidate], rounds=1, block=1e-2)
    # three warm-up calls; a sleep lasts a millisecond, or longer on a busy machine
    assert 3 + 2 <= len(calls) <= 3 + 10


def test_the_median_and_the_minimum():
    facts = timing.Timing(Implementation("a", "rival", fails), (3.0, 1.0, 10.0), None)
    assert (facts.median, facts.minimum) == (3, 1)


def test_every_round_runs_all_implementations_in_random_order():
    turns = []
    candidates = [Implementation(n, "knotwork", lambda case, x, y, n=n: lambda: turns.append(n)) for n in "abc"]
    measure(CASE, candidates, rounds=10, block=0.0)
    turns = turns[9:]  # without the three warm-up calls of each
    rounds = [turns[i : i + 3] for i in range(0, 30, 3)]
    assert all(sorted(turn) == ["a", "b", "c"] for turn in rounds)
    assert len({tuple(turn) for turn in rounds}) > 1  # the order changes between rounds


def fails(case, x, y):
    raise ValueError("no such\nthing")


def works(case, x, y):
    return lambda: None


def fails_when_called(case, x, y):
    def call():
        raise ImportError("libfast.so is missing")

    return call


def test_a_rival_that_fails_reports_one_line_and_the_others_are_measured():
    rivals = [
        Implementation(name, "rival", way) for name, way in (("a", fails), ("b", fails_when_called), ("c", works))
    ]
    a, b, c = measure(CASE, rivals, rounds=2, block=0.0)
    assert (a.failure, b.failure) == ("ValueError: no such", "ImportError: libfast.so is missing")
    assert not a.seconds and not b.seconds
    assert c.failure is None and len(c.seconds) == 2


def test_errors_of_knotwork_itself_are_raised():
    with pytest.raises(ValueError, match="no such"):
        measure(CASE, [Implementation("a", "knotwork", fails)], rounds=1)


def test_a_rival_that_takes_too_long_is_stopped(monkeypatch):
    monkeypatch.setattr(timing, "BENCH", BenchSettings(longest_call=0.05))
    (stuck,) = measure(CASE, [Implementation("stuck", "rival", lambda case, x, y: time.sleep(60))], rounds=1)
    assert stuck.failure == "took more than 0 s"


def test_a_slow_implementation_skips_rounds_but_is_measured_at_least_once(worker):
    limit = BENCH.seconds_per_implementation
    workers = [worker("slow", limit + 1), worker("middling", limit / 4), worker("fast", 1e-3)]
    slow, middling, fast = measure(CASE, workers, rounds=5, block=0.0)
    assert slow.seconds == (limit + 1,)
    assert len(middling.seconds) == 3  # these and one warm-up call reach the limit
    assert len(fast.seconds) == 5


def test_the_default_dtype_is_that_of_the_case_while_it_is_measured():
    seen = []
    candidate = Implementation("a", "knotwork", lambda case, x, y: lambda: seen.append(torch.get_default_dtype()))
    with default_dtype(torch.float32):
        measure(CASE, [candidate], rounds=1, block=0.0)
        assert torch.get_default_dtype() is torch.float32
    assert set(seen) == {torch.float64}


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not pin processes to cores")
def test_threads_and_cores_are_restored(monkeypatch):
    pinned = []
    monkeypatch.setattr(machine.os, "sched_setaffinity", lambda process, cores: pinned.append(set(cores)))
    before = os.sched_getaffinity(0), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with only(1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before[1])
    assert pinned == [{max(before[0])}, before[0]]


@pytest.mark.parametrize("threads", [0, 100_000])
def test_impossible_numbers_of_threads_are_refused(threads):
    message = f"threads={threads} is not possible here: this process may use 1 to"
    with pytest.raises(KnotworkError, match=message), only(threads):
        pass


@pytest.mark.parametrize(("measured", "said"), [(120.0, 120.0), (math.nan, None)])
def test_a_peak_that_cannot_be_measured_is_none(measured, said, monkeypatch):
    monkeypatch.setattr(machine.kernels, "fma_peak", lambda dtype: measured, raising=False)
    assert machine.fma_peak(torch.float32) == said
