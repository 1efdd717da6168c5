"""From a table to a formula: the whole journey."""

from knotwork.discover.journey import Discovery, discover

__all__ = ["Discovery", "discover"]
