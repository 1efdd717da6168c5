"""Invariants of hyperbolic knots, computed with SnapPy and a little of our own: the parts of `tools/make_knots.py`.

Reads upwards: isometries → polyhedron → geodesics, and torsion; then invariants (one knot),
selection (which knots), table (many), check.
"""
