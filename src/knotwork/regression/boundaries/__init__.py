"""The boundary between two classes as a formula g = 0, found from labeled rows."""

from knotwork.regression.boundaries.boundary_search import BoundarySearch

__all__ = ["BoundarySearch"]
