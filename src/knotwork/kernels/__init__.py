"""Arithmetic: the B-spline basis, compiled where it can be, in plain torch everywhere else.

The environment variable KNOTWORK_KERNELS=reference, set before the import, chooses plain torch; `active()` tells which
kernels are in use and why.
"""

import os
from dataclasses import dataclass

__all__ = ["Kernels", "active", "basis", "basis_with_slope"]


@dataclass(frozen=True)
class Kernels:
    """Which kernels are in use ("compiled" or "reference") and why."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"


def active() -> Kernels:
    """The kernels that this process uses, chosen when `knotwork.kernels` was imported."""
    return _active


def _choose() -> Kernels:
    if os.environ.get("KNOTWORK_KERNELS") == "reference":
        return Kernels("reference", "KNOTWORK_KERNELS=reference is set")
    try:
        import knotwork.kernels._compiled  # noqa: F401
    except ModuleNotFoundError:
        return Kernels("reference", "no compiled extension in this installation (built without a compiler)")
    except ImportError as error:
        return Kernels("reference", f"the compiled extension could not be loaded ({error})")
    return Kernels("compiled", "C++ extension found")


_active = _choose()
if _active.name == "compiled":
    from knotwork.kernels.compiled import basis, basis_with_slope
else:
    from knotwork.kernels.reference import basis, basis_with_slope
