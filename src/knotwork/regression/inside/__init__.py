"""Sums of terms with constants inside functions."""

from knotwork.regression.inside.formula_inside import formulas_of_inside
from knotwork.regression.inside.terms_inside import InsideFit, InsideTerms

__all__ = ["InsideFit", "InsideTerms", "formulas_of_inside"]
