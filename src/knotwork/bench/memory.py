"""Peak memory of one call, each implementation in a fresh process, so that none includes what another left behind."""

import ctypes
import gc
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from knotwork.bench.cases import MEMORY, Case, samples
from knotwork.bench.implementations import Implementation, mlp, ours
from knotwork.bench.machine import default_dtype, only
from knotwork.bench.rivals import rivals
from knotwork.bench.settings import BENCH
from knotwork.bench.timing import explain, time_limit
from knotwork.errors import KnotworkError

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
MIB = 2**20


def peak(case: Case, candidate: Implementation, threads: int) -> float | str:
    """Peak memory in MiB above the data while the network is built and called, or the reason why that failed.

    Raises KnotworkError where the system does not count memory as Linux does.
    """
    if not CLEAR.exists():
        raise KnotworkError("Peak memory is read from /proc/self/status, which this system does not have; use Linux.")
    program = "import sys; from knotwork.bench.memory import report; report(*sys.argv[1:])"
    try:
        done = subprocess.run(
            [sys.executable, "-c", program, case.name, candidate.name, str(threads)],
            capture_output=True,
            text=True,
            timeout=3 * BENCH.longest_call,  # for calls that never return to Python
        )
    except subprocess.TimeoutExpired:
        return f"took more than {3 * BENCH.longest_call:.0f} s"
    if done.returncode < 0:
        return f"was ended by signal {-done.returncode}, often because memory ran out"
    if done.returncode:
        return f"ended with status {done.returncode}: {done.stderr.strip().splitlines()[-1]}"
    return json.loads(done.stdout.splitlines()[-1])


def report(case_name: str, candidate_name: str, threads: str) -> None:
    """In the fresh process: print the number, or the reason as text, as JSON."""
    case = next(case for case in MEMORY if case.name == case_name)
    candidate = next(c for c in [*ours(case), mlp(case), *rivals()] if c.name == candidate_name)
    try:
        with only(int(threads)), default_dtype(case.dtype), time_limit(2 * BENCH.longest_call):
            answer: float | str = _peak_here(case, candidate) / MIB
    except Exception as error:
        answer = explain(error)
    print(json.dumps(answer))


def _peak_here(case: Case, candidate: Implementation) -> int:
    """Peak memory in bytes. A first call before counting begins loads what libraries load once.

    An implementation with a compiler makes that call at full size, since its compiler works for one size.
    """
    _work(candidate, case if candidate.compiles else replace(case, rows=case.grid * 4))
    x, y = samples(case)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    CLEAR.write_text("5")  # resets the peak
    before = _bytes("VmRSS")
    call = candidate.prepare(case, x, y)
    for _ in range(BENCH.memory_calls):
        call()
    return _bytes("VmHWM") - before


def _work(candidate: Implementation, case: Case) -> None:
    call = candidate.prepare(case, *samples(case))
    for _ in range(BENCH.memory_calls):
        call()


def _bytes(name: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
