"""The numbers that bound the memory of a network's computations. They decide no result."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelSettings:
    """Each number with its unit and the reason for its value. Their one instance is `MODEL`."""

    jacobian_entries: int = 2**24
    """Entries of the Jacobian, or of what its rows are combined with, held at once: 128 MB in float64. Chosen, not
    measured."""

    refitted_values: int = 2**20
    """Values of edges and basis functions held at once while curves are fitted on new knots: 8 MB in float64.
    Chosen, not measured."""


MODEL = ModelSettings()
