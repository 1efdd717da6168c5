"""`knotwork bench layers`: times of layers, MLPs and other libraries, times of different grids, and peak memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from knotwork.bench.cases import Case
from knotwork.bench.implementations import Implementation, mlp, on_grids, ours
from knotwork.bench.machine import fma_peak
from knotwork.bench.memory import peak
from knotwork.bench.timing import Timing, measure

Log = Callable[[str], None]


@dataclass(frozen=True)
class TimeRow:
    """A case with its timings; `peak` is the GFLOP/s that the threads in use can reach."""

    case: Case
    timings: tuple[Timing, ...]
    peak: float | None

    def ours(self) -> list[Timing]:
        return [t for t in self.timings if t.candidate.family == "knotwork"]

    def mlp(self) -> Timing:
        return next(t for t in self.timings if t.candidate.family == "MLP")

    def best_rival(self) -> Timing | None:
        """The fastest rival whose splines are those of the definition, if one is there and did not fail."""
        exact = [t for t in self.timings if t.candidate.family == "rival" and t.candidate.exact and not t.failure]
        return min(exact, key=lambda t: t.median, default=None)

    def failures(self) -> list[tuple[Implementation, str]]:
        """The implementations that could not be measured, with the reason."""
        return [(t.candidate, t.failure) for t in self.timings if t.failure]

    def gflops(self, timing: Timing) -> float | None:
        """GFLOP/s of our network or the MLP, two operations per multiply-add; None where they are not counted."""
        counts = {"knotwork": self.case.multiplications, "MLP": self.case.mlp_multiplications}
        count = counts.get(timing.candidate.family)
        return None if count is None else 2e-9 * count / timing.median

    def share_of_peak(self, timing: Timing) -> float | None:
        gflops = self.gflops(timing)
        return None if gflops is None or self.peak is None else gflops / self.peak

    def facts(self) -> dict[str, Any]:
        """The entry of a result file."""
        sizes = {
            "grid": self.case.grid,
            "parameters": self.case.parameters,
            "mlp_width": list(self.case.mlp_width),
            "mlp_parameters": self.case.mlp_parameters,
        }
        return {**_case_facts(self.case), **sizes, **self._measured()}

    def _measured(self) -> dict[str, Any]:
        return {"fma_peak_gflops": self.peak, "candidates": [self._timing_facts(t) for t in self.timings]}

    def _timing_facts(self, timing: Timing) -> dict[str, Any]:
        who = _implementation_facts(timing.candidate)
        if timing.failure:
            return {**who, "failure": timing.failure}
        return {
            **who,
            "median_ms": 1e3 * timing.median,
            "minimum_ms": 1e3 * timing.minimum,
            "rounds": len(timing.seconds),
            "gflops": self.gflops(timing),
            "share_of_peak": self.share_of_peak(timing),
        }


@dataclass(frozen=True)
class GridRow(TimeRow):
    """A case with the timings of our network on several grids."""

    def facts(self) -> dict[str, Any]:
        return {**_case_facts(self.case), **self._measured()}


@dataclass(frozen=True)
class MemoryRow:
    """A case with the peak memory of each implementation in MiB, or the reason why there is none."""

    case: Case
    peaks: tuple[tuple[Implementation, float | str], ...]

    def failures(self) -> list[tuple[Implementation, str]]:
        """The implementations that could not be measured, with the reason."""
        return [(who, why) for who, why in self.peaks if isinstance(why, str)]

    def facts(self) -> dict[str, Any]:
        """The entry of a result file."""
        candidates = [
            {**_implementation_facts(who), "failure" if isinstance(came, str) else "peak_mib": came}
            for who, came in self.peaks
        ]
        return {**_case_facts(self.case), "grid": self.case.grid, "candidates": candidates}


def times(
    cases: Sequence[Case], others: Sequence[Implementation], rounds: int, block: float, threads: int, log: Log
) -> list[TimeRow]:
    """Times of our network, the MLP and the others in each case: `rounds` readings of at least `block` seconds."""
    rows = []
    for case in cases:
        log(f"{case.name}: {case}")
        timings = measure(case, [*ours(case), mlp(case), *others], rounds, block)
        log(_in_short(timings))
        rows.append(TimeRow(case, tuple(timings), _peak(case, threads)))
    return rows


def grids(cases: Sequence[Case], rounds: int, block: float, threads: int, log: Log) -> list[GridRow]:
    """Our network in each case on few and on many intervals, even and uneven."""
    rows = []
    for case in cases:
        log(f"grids, {case.name}")
        timings = measure(case, on_grids(case), rounds, block)
        log(_in_short(timings))
        rows.append(GridRow(case, tuple(timings), _peak(case, threads)))
    return rows


def memory(cases: Sequence[Case], others: Sequence[Implementation], threads: int, log: Log) -> list[MemoryRow]:
    """Peak memory above the data, each implementation in a fresh process."""
    rows = []
    for case in cases:
        log(f"memory, {case.name}: {case}")
        peaks = []
        for who in [ours(case)[0], mlp(case), *others]:
            came = peak(case, who, threads)
            log(f"    {who.name}: {came if isinstance(came, str) else f'{came:.1f} MiB'}")
            peaks.append((who, came))
        rows.append(MemoryRow(case, tuple(peaks)))
    return rows


def _in_short(timings: Sequence[Timing]) -> str:
    """The medians in one line, shown while the next case is measured."""
    return "    " + ", ".join(f"{t.candidate.name} {1e3 * t.median:.3g} ms" for t in timings if not t.failure)


def _peak(case: Case, threads: int) -> float | None:
    one = fma_peak(case.dtype)
    return None if one is None else threads * one


def _case_facts(case: Case) -> dict[str, Any]:
    dtype = str(case.dtype).removeprefix("torch.")
    return {
        "case": case.name,
        "task": case.task,
        "width": list(case.width),
        "k": case.k,
        "rows": case.rows,
        "dtype": dtype,
    }


def _implementation_facts(candidate: Implementation) -> dict[str, Any]:
    return {"name": candidate.name, "family": candidate.family, "exact": candidate.exact}
