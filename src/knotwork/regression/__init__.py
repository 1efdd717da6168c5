"""A table → candidate formulas, without a network.

`Search` fits structures of curves and ridge functions and names their curves, `DimensionlessSearch` does so in
dimensionless groups, `GroupedSearch` for a law whose constants differ by group, `BoundarySearch` for the boundary
between two classes, `targets` chooses formulas of several targets that
share terms, and `Constraints` says what formulas must satisfy.
"""

from knotwork.regression.boundaries import BoundarySearch
from knotwork.regression.candidate_formulas import CandidateFormula
from knotwork.regression.constraints import Constraints
from knotwork.regression.dimensionless_groups import (
    DimensionlessGroups,
    group_choices,
    inputs_of_groups,
    reason_for_no_groups,
)
from knotwork.regression.dimensionless_search import DimensionlessSearch
from knotwork.regression.failures import Failures
from knotwork.regression.groups import GroupedCandidate, GroupedSearch
from knotwork.regression.limits import Limits
from knotwork.regression.plain import LINE, POWER_LAW, bits_of_law, plain_laws
from knotwork.regression.search import Search
from knotwork.regression.settings import REGRESSION, RegressionSettings
from knotwork.regression.suspicious_rows import distances, far_off, smoothed, suspicious

__all__ = [
    "LINE",
    "POWER_LAW",
    "REGRESSION",
    "BoundarySearch",
    "CandidateFormula",
    "Constraints",
    "DimensionlessGroups",
    "DimensionlessSearch",
    "Failures",
    "GroupedCandidate",
    "GroupedSearch",
    "Limits",
    "RegressionSettings",
    "Search",
    "bits_of_law",
    "distances",
    "far_off",
    "group_choices",
    "inputs_of_groups",
    "plain_laws",
    "reason_for_no_groups",
    "smoothed",
    "suspicious",
]
