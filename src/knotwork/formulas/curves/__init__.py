"""The formula of one curve."""

from knotwork.formulas.curves.curve_search import CurveSearch, Found

__all__ = ["CurveSearch", "Found"]
