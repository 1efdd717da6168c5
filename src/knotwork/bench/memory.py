"""Peak memory of one call, each candidate in a fresh process, so that nobody pays for what another one left behind."""

import ctypes
import gc
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from knotwork.bench.candidates import Candidate, mlp, ours
from knotwork.bench.cases import MEMORY, Case, samples
from knotwork.bench.machine import default_dtype, only
from knotwork.bench.rivals import rivals
from knotwork.bench.timing import LIMIT, explain, time_limit
from knotwork.errors import KnotworkError

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
CALLS = 2  # the first allocates the moments of Adam, the second meets them
MIB = 2**20


def peak(case: Case, candidate: Candidate, threads: int) -> float | str:
    """MiB above the data at the worst moment of building the network and calling it, or why that failed.

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
            timeout=3 * LIMIT,  # for what does not return to Python, where its own limit would end it
        )
    except subprocess.TimeoutExpired:
        return f"took more than {3 * LIMIT:.0f} s"
    if done.returncode < 0:
        return f"was ended by signal {-done.returncode}, often for want of memory"
    if done.returncode:
        return f"ended with status {done.returncode}: {done.stderr.strip().splitlines()[-1]}"
    return json.loads(done.stdout.splitlines()[-1])


def report(case_name: str, candidate_name: str, threads: str) -> None:
    """In the fresh process: print the number, or the reason as text, as JSON."""
    case = next(case for case in MEMORY if case.name == case_name)
    candidate = next(c for c in [*ours(case), mlp(case), *rivals()] if c.name == candidate_name)
    try:
        with only(int(threads)), default_dtype(case.dtype), time_limit(2 * LIMIT):
            answer: float | str = _peak_here(case, candidate) / MIB
    except Exception as error:
        answer = explain(error)
    print(json.dumps(answer))


def _peak_here(case: Case, candidate: Candidate) -> int:
    """Bytes. What libraries load for their first call, however small, is paid for before counting begins.

    A candidate with a compiler has the whole call to warm up, since its compiler works for one size.
    """
    _work(candidate, case if candidate.compiles else replace(case, rows=case.grid * 4))
    x, y = samples(case)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    CLEAR.write_text("5")  # the peak begins anew
    before = _bytes("VmRSS")
    call = candidate.prepare(case, x, y)
    for _ in range(CALLS):
        call()
    return _bytes("VmHWM") - before


def _work(candidate: Candidate, case: Case) -> None:
    call = candidate.prepare(case, *samples(case))
    for _ in range(CALLS):
        call()


def _bytes(name: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
