"""The numbers that decide how times and memory are measured, each with its reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class BenchSettings:
    """Numbers of `knotwork bench`. Their one instance is `BENCH`."""

    seconds_per_reading: float = 30e-3
    """Seconds that one reading of the clock covers at least. Chosen so that caches emptied by the implementation
    measured before it hardly count; not measured."""

    seconds_per_implementation: float = 10.0
    """Seconds that an implementation may use in one case; then it takes no part in the remaining rounds. Chosen, not
    measured."""

    longest_call: float = 60.0
    """Seconds after which building or calling another library is given up. Chosen, not measured."""

    memory_calls: int = 2
    """Calls before peak memory is read: the first allocates the moments of Adam, the second needs them as well."""

    quick_rounds: int = 3
    """Rounds of `--quick`, which only shows that the command runs."""

    quick_seconds_per_reading: float = 1e-4
    """Seconds of a reading with `--quick`."""


BENCH = BenchSettings()
