"""From a table to a formula: the whole journey (`journey.py`), and its parts."""

from knotwork.discover.discovery import Discovery, Entry
from knotwork.discover.journey import discover

__all__ = ["Discovery", "Entry", "discover"]
