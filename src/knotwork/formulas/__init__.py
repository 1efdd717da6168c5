"""Formulas: constants with errors, intervals and units, and named functions that fit a sampled curve."""

from knotwork.formulas.agreement import Agreement
from knotwork.formulas.candidate_table import Candidate, Candidates
from knotwork.formulas.candidates import candidates
from knotwork.formulas.formula import Formula
from knotwork.formulas.grouped_formula import GroupedFormula
from knotwork.formulas.measuring import measured
from knotwork.formulas.registry import register_function
from knotwork.formulas.simplest_form import same_values, simplest
from knotwork.formulas.uncertainty import Constant, Prediction

__all__ = [
    "Agreement",
    "Candidate",
    "Candidates",
    "Constant",
    "Formula",
    "GroupedFormula",
    "Prediction",
    "candidates",
    "measured",
    "register_function",
    "same_values",
    "simplest",
]
