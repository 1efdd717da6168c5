"""Arithmetic: whole KAN layers and B-spline bases, in C++ where possible, in plain torch everywhere else.

The compiled kernels use the widest vectors that the machine has. The environment variable KNOTWORK_KERNELS, set before
the import, chooses others: "reference" (plain torch), "baseline", "avx2" or "avx512"; `active()` tells which are in use
and why.
"""

import os
from dataclasses import dataclass
from importlib import import_module

__all__ = [
    "Kernels",
    "LayerArrays",
    "Network",
    "active",
    "base_values",
    "basis",
    "basis_with_slope",
    "edge_series",
    "edge_sums",
    "fma_peak",
    "network",
]


@dataclass(frozen=True)
class Kernels:
    """Which kernels are in use ("compiled" or "reference") and why."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"


def active() -> Kernels:
    """The kernels that this process uses, chosen when `knotwork.kernels` was imported.

    Example:
        >>> from knotwork import kernels
        >>> kernels.active().name in ("compiled", "reference")
        True
    """
    return _active


def _choose() -> Kernels:
    asked = os.environ.get("KNOTWORK_KERNELS", "")
    if asked == "reference":
        return Kernels("reference", "KNOTWORK_KERNELS=reference is set")
    try:
        _compiled = import_module("knotwork.kernels._compiled")
    except ModuleNotFoundError:
        return Kernels("reference", "no compiled extension in this installation (built without a compiler)")
    except ImportError as error:
        return Kernels("reference", f"the compiled extension could not be loaded ({error})")
    if asked and not _compiled.choose(asked):
        _compiled.choose("best")
        found = _compiled.instruction_set()
        return Kernels("compiled", f"C++ for {found}; KNOTWORK_KERNELS={asked} is unknown or not possible here")
    if not asked:
        _compiled.choose("best")
    why = f", as KNOTWORK_KERNELS={asked} asks" if asked else ", the best this machine can run"
    return Kernels("compiled", f"C++ for {_compiled.instruction_set()}{why}")


_active = _choose()
if _active.name == "compiled":
    from knotwork.kernels.compiled import basis, basis_with_slope, edge_series, edge_sums, fma_peak, network
else:
    from knotwork.kernels.reference import basis, basis_with_slope, edge_series, edge_sums, fma_peak, network
from knotwork.kernels.reference import LayerArrays, Network, base_values  # noqa: E402 (one definition serves both)
