"""Invariants of hyperbolic knots, computed with SnapPy and code of this folder, for `tools/make_knots.py`.

Imports go in this order: isometries → polyhedron → geodesics, and torsion; then invariants (one knot),
selection (which knots), table (many), check.
"""
