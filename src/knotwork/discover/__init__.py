"""From a table to a formula: the whole journey (`journey.py`), and its parts."""

from knotwork.discover.journey import discover
from knotwork.discover.result import Discovery, Entry

__all__ = ["Discovery", "Entry", "discover"]
