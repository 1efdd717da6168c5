"""From splines to formulas: candidates for an edge, naming in context, shapes worth trying, the formula itself."""

from knotwork.symbolic.agreement import Agreement
from knotwork.symbolic.candidates import Candidate, Candidates, candidates
from knotwork.symbolic.construction import from_expression
from knotwork.symbolic.formula import Formula, measured, simplest, symbolic_formula
from knotwork.symbolic.intervals import Prediction
from knotwork.symbolic.naming import auto_symbolic, description, fix_symbolic, suggest_symbolic, unfix_symbolic
from knotwork.symbolic.registry import register_function
from knotwork.symbolic.relations import Relations, Symmetry, relations

__all__ = [
    "Agreement",
    "Candidate",
    "Candidates",
    "Formula",
    "Prediction",
    "Relations",
    "Symmetry",
    "auto_symbolic",
    "candidates",
    "description",
    "fix_symbolic",
    "from_expression",
    "measured",
    "register_function",
    "relations",
    "simplest",
    "suggest_symbolic",
    "symbolic_formula",
    "unfix_symbolic",
]
