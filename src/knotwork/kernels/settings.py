"""The numbers that decide how the kernels compute. They change times and rounding, not what is computed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class KernelSettings:
    """Each number with its unit and the reason for its value."""

    sparse_rows_factor: float = 7.0
    """Normal equations come from sparse rows of the Jacobian where P² is at least this factor times the square of the
    entries that one row holds. Below it, BLAS on dense rows is faster: measured on small networks with AVX-512."""

    most_outputs_for_series: int = 16
    """Outputs up to which one pass for all derivatives is faster than one pass a derivative. It is two AVX-512
    registers of float64; measured with the Laplacian cases of `knotwork bench layers`."""

    dense_entries: int = 2**20
    """Entries of dense Jacobian rows held at once: 8 MB in float64, about a level-2 cache. Chosen, not measured."""

    peak_rounds: int = 20
    """Repetitions of which `fma_peak` takes the fastest. Chosen, not measured."""


KERNELS = KernelSettings()
