"""Times of all implementations of a case, measured in one process and in turn, so that their ratios are reliable."""

import gc
import math
import signal
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import torch

from knotwork.bench.cases import Case, samples
from knotwork.bench.implementations import Implementation
from knotwork.bench.machine import default_dtype
from knotwork.bench.settings import BENCH
from knotwork.bench.tasks import Call
from knotwork.errors import KnotworkError


@dataclass(frozen=True)
class Timing:
    """Seconds per call, one number for each round, or the reason why there are none."""

    candidate: Implementation
    seconds: tuple[float, ...]
    failure: str | None

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def minimum(self) -> float:
        return min(self.seconds)


def measure(case: Case, candidates: Sequence[Implementation], rounds: int, block: float | None = None) -> list[Timing]:
    """One timing for each implementation. A failing rival gives its reason; any other error is raised."""
    if "torch._dynamo" in sys.modules:
        torch.compiler.reset()  # so that compilers do not see the shapes of earlier cases
    block = BENCH.seconds_per_reading if block is None else block
    failures: dict[str, str] = {}
    runners = []
    with default_dtype(case.dtype), _no_garbage_collection():
        x, y = samples(case)
        for candidate in candidates:
            with _failures_noted(candidate, failures):
                runners.append(_Runner(candidate, candidate.prepare(case, x, y), block))
        order = Random(0)
        for _ in range(rounds):
            order.shuffle(runners)
            gc.collect()
            for runner in runners:
                if runner.spent < BENCH.seconds_per_implementation and runner.candidate.name not in failures:
                    with _failures_noted(runner.candidate, failures):
                        runner.read()
    seconds = {runner.candidate.name: tuple(runner.seconds or [runner.pace]) for runner in runners}
    return [Timing(c, () if c.name in failures else seconds[c.name], failures.get(c.name)) for c in candidates]


class _Runner:
    """An implementation that is measured. `pace` is the time of one call after compilation and first allocations."""

    def __init__(self, candidate: Implementation, call: Call, block: float) -> None:
        self.candidate, self.call = candidate, call
        self.seconds: list[float] = []
        self.spent = 0.0
        self._time(1)  # compilers, caches, first allocations
        self.pace = self.spent = self._time(1)
        if self.pace < BENCH.seconds_per_implementation:
            self.pace = min(self.pace, self._time(1))
        self.repeats = max(math.ceil(block / self.pace), 1)

    def read(self) -> None:
        seconds = self._time(self.repeats)
        self.spent += seconds
        self.seconds.append(seconds / self.repeats)

    def _time(self, repeats: int) -> float:
        began = time.perf_counter()
        for _ in range(repeats):
            self.call()
        return time.perf_counter() - began


def explain(error: Exception) -> str:
    """An error in one short line."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")
    kind = "" if isinstance(error, KnotworkError | TimeoutError) else f"{type(error).__name__}: "
    return f"{kind}{first}"[:160]


@contextmanager
def _failures_noted(candidate: Implementation, failures: dict[str, str]) -> Iterator[None]:
    """Records the reason under its name where a rival fails or takes too long."""
    if candidate.family != "rival":
        yield
        return
    try:
        with time_limit(BENCH.longest_call):
            yield
    except Exception as error:
        failures[candidate.name] = explain(error)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """TimeoutError in a block that takes longer, as soon as Python runs in it again."""

    def stop(*_: Any) -> None:
        raise TimeoutError(f"took more than {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """No garbage collection between two readings of the clock."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
