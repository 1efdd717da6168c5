"""What a formula is: its constants with errors, intervals and units; and named functions that fit one sampled curve."""

from knotwork.formulas.agreement import Agreement
from knotwork.formulas.candidates import Candidate, Candidates, candidates
from knotwork.formulas.formula import Formula, measured, simplest, symbolic_formula
from knotwork.formulas.intervals import Prediction
from knotwork.formulas.registry import register_function

__all__ = [
    "Agreement",
    "Candidate",
    "Candidates",
    "Formula",
    "Prediction",
    "candidates",
    "measured",
    "register_function",
    "simplest",
    "symbolic_formula",
]
