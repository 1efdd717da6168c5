"""Expressions: parsed from text, evaluated with torch and NumPy, simplified and written. Only this room imports SymPy.

Everything here is real-valued: outside the domain of a function the value is NaN, never complex.
"""

from knotwork.undisturbed import loading, undisturbed

with loading(), undisturbed():
    import sympy  # noqa: F401

from knotwork.expressions.domain import conditions
from knotwork.expressions.equal_forms import equal_forms, with_double_angles
from knotwork.expressions.evaluation import constant_value, to_numpy, to_torch
from knotwork.expressions.exact import solve_exactly
from knotwork.expressions.indicators import with_lines_of_indicators
from knotwork.expressions.learned import learned_curve, learned_curves, unknown_curves
from knotwork.expressions.mathml import mathml
from knotwork.expressions.occurring import contains, function_names, inner_parts, nesting
from knotwork.expressions.parsing import CONSTANTS, FUNCTIONS, called_names, number, parse, symbol, variable_names
from knotwork.expressions.readable import readable
from knotwork.expressions.simplification import compose, parametrise, simplify, simplify_constants
from knotwork.expressions.trees import from_tree, to_tree
from knotwork.expressions.writing import complexity, float_constants, latex, round_constants, text

__all__ = [
    "CONSTANTS",
    "FUNCTIONS",
    "called_names",
    "complexity",
    "compose",
    "conditions",
    "constant_value",
    "contains",
    "equal_forms",
    "float_constants",
    "from_tree",
    "function_names",
    "inner_parts",
    "latex",
    "learned_curve",
    "learned_curves",
    "mathml",
    "nesting",
    "number",
    "parametrise",
    "parse",
    "readable",
    "round_constants",
    "simplify",
    "simplify_constants",
    "solve_exactly",
    "symbol",
    "text",
    "to_numpy",
    "to_torch",
    "to_tree",
    "unknown_curves",
    "variable_names",
    "with_double_angles",
    "with_lines_of_indicators",
]
