"""Times of all candidates of a case in one process, interleaved round by round, so that their ratios can be trusted."""

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

from knotwork.bench.candidates import Candidate
from knotwork.bench.cases import Case, samples
from knotwork.bench.machine import default_dtype
from knotwork.bench.tasks import Call
from knotwork.errors import KnotworkError

BLOCK = 30e-3  # seconds that one reading takes at least: caches that a neighbour emptied then hardly count
PATIENCE = 10.0  # seconds that a candidate gets in one case; then it sits out the remaining rounds
LIMIT = 60.0  # seconds after which a rival that is being built, or called, is given up


@dataclass(frozen=True)
class Timing:
    """Seconds a call, one number a round, or why there are none."""

    candidate: Candidate
    seconds: tuple[float, ...]
    failure: str | None

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def minimum(self) -> float:
        return min(self.seconds)


def measure(case: Case, candidates: Sequence[Candidate], rounds: int, block: float = BLOCK) -> list[Timing]:
    """One timing a candidate. A rival that fails says why; an error of anybody else is raised."""
    if "torch._dynamo" in sys.modules:
        torch.compiler.reset()  # compilers see this case alone, not the shapes of all cases before
    failures: dict[str, str] = {}
    runners = []
    with default_dtype(case.dtype), _collections_by_hand():
        x, y = samples(case)
        for candidate in candidates:
            with _excused(candidate, failures):
                runners.append(_Runner(candidate, candidate.prepare(case, x, y), block))
        order = Random(0)
        for _ in range(rounds):
            order.shuffle(runners)
            gc.collect()
            for runner in runners:
                if runner.spent < PATIENCE and runner.candidate.name not in failures:
                    with _excused(runner.candidate, failures):
                        runner.read()
    seconds = {runner.candidate.name: tuple(runner.seconds or [runner.pace]) for runner in runners}
    return [Timing(c, () if c.name in failures else seconds[c.name], failures.get(c.name)) for c in candidates]


class _Runner:
    """A candidate under way: `pace` is the seconds of a call once all that happens only once has happened."""

    def __init__(self, candidate: Candidate, call: Call, block: float) -> None:
        self.candidate, self.call = candidate, call
        self.seconds: list[float] = []
        self.spent = 0.0
        self._time(1)  # compilers, caches, first allocations
        self.pace = self.spent = self._time(1)
        if self.pace < PATIENCE:
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
def _excused(candidate: Candidate, failures: dict[str, str]) -> Iterator[None]:
    """Note why a rival fails or takes too long, by its name."""
    if candidate.family != "rival":
        yield
        return
    try:
        with time_limit(LIMIT):
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
def _collections_by_hand() -> Iterator[None]:
    """No garbage collection between two readings of the clock."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
