"""The machine: its processor, its peak speed, and how a measurement is limited to some of its cores."""

import math
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from knotwork import kernels
from knotwork.errors import KnotworkError

EXTENSIONS = (
    *("sse2", "sse4_2", "avx", "fma", "avx2", "avx_vnni", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_fp16"),
    *("asimd", "sve", "sve2"),
)


def machine() -> dict[str, Any]:
    """The processor, the instruction sets that kernels can use, cores and memory."""
    facts = _cpuinfo()
    flags = (facts.get("flags") or facts.get("Features") or "").split()
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": facts.get("model name") or platform.processor(),
        "vendor": facts.get("vendor_id"),
        "instruction_sets": [name for name in EXTENSIONS if name in flags],
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
    }


def versions() -> dict[str, str | None]:
    """Versions of Python and of the libraries measured; None for one that is not installed as a package."""
    return {"python": platform.python_version(), **{name: _version(name) for name in ("knotwork", "torch", "numpy")}}


def fma_peak(dtype: torch.dtype) -> float | None:
    """GFLOP/s that one thread reaches with fused multiply-adds only; None where no kernel measures it."""
    peak = getattr(kernels, "fma_peak", lambda dtype: math.nan)(dtype)
    return peak if math.isfinite(peak) else None


@contextmanager
def only(threads: int) -> Iterator[None]:
    """Limits torch to this number of threads and, where possible, the process to as many cores; undone afterwards.

    Raises KnotworkError for more threads than cores.
    """
    can_pin = hasattr(os, "sched_setaffinity")
    cores = os.sched_getaffinity(0) if can_pin else set(range(os.cpu_count() or 1))
    if not 1 <= threads <= len(cores):
        raise KnotworkError(f"threads={threads} is not possible here: this process may use 1 to {len(cores)} cores.")
    before = torch.get_num_threads()
    try:
        if can_pin:
            os.sched_setaffinity(0, sorted(cores)[-threads:])
        torch.set_num_threads(threads)
        yield
    finally:
        torch.set_num_threads(before)
        if can_pin:
            os.sched_setaffinity(0, cores)


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Sets the default dtype of torch, for libraries with no other way to choose one; undone afterwards."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _cpuinfo() -> dict[str, str]:
    """/proc/cpuinfo of the first core; empty on systems without it."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    lines = path.read_text().split("\n\n")[0].splitlines()
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
