"""One law for several groups of rows, whose constants may differ between groups."""

from knotwork.regression.groups.grouped_search import GroupedCandidate, GroupedSearch

__all__ = ["GroupedCandidate", "GroupedSearch"]
