"""The one error of these tools."""


class KnotError(Exception):
    """The invariants of a knot cannot be computed reliably. The text is the reason; the knot is skipped."""
