"""From a table to a formula: the whole journey (`journey.py`), and its parts."""

from knotwork.discovery.class_discovery import Boundary, BoundaryEntry, ClassDiscovery
from knotwork.discovery.comparison import Comparison, Place
from knotwork.discovery.discovery import Discovery, Entry, Outlier
from knotwork.discovery.grouped_discovery import GroupedDiscovery, GroupedEntry
from knotwork.discovery.journey import discover
from knotwork.discovery.target_discoveries import TargetDiscoveries
from knotwork.discovery.what_matters import Importance

__all__ = [
    "Boundary",
    "BoundaryEntry",
    "ClassDiscovery",
    "Comparison",
    "Discovery",
    "Entry",
    "GroupedDiscovery",
    "GroupedEntry",
    "Importance",
    "Outlier",
    "Place",
    "TargetDiscoveries",
    "discover",
]
