"""The numbers that decide how curves are fitted on new knots."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SplineSettings:
    """Each number with its unit and the reason for its value. Their one instance is `SPLINES`."""

    dense_intervals: int = 50
    """Intervals up to which curves are moved to other knots by means of whole bases, all inputs together. From about 30
    on, banded equations were measured to take less time; their memory is that of points times k."""

    values_at_once: int = 2**20
    """Points times basis functions that plain torch holds at once for curves on more intervals: 8 MB in float64.
    Chosen, not measured."""

    smallest_weight: float = 1e-300
    """Largest weight of quadrature points up to which they count as none: intervals have no length there. Chosen: above
    it no number that is divided by it is infinite."""


SPLINES = SplineSettings()
