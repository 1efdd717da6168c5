"""The one error of these tools."""


class KnotError(Exception):
    """A knot whose invariants cannot be had, or not beyond doubt. Its text says why; the knot is left out."""
