"""Expressions as nested lists for files, and the exact inverse. Nothing in a list is ever executed."""

import math
from typing import Any, cast

import sympy

from knotwork.errors import ExpressionError
from knotwork.expressions.evaluation import CIRCULAR, INVERSE, constant_value, shortened
from knotwork.expressions.learned import LearnedCurve, learned_curve
from knotwork.expressions.parsing import check_power, number, symbol
from knotwork.expressions.settings import EXPRESSIONS

Tree = Any  # a number, the name of a variable, or [name of an operation, operands ...]

_HEADS: dict[str, Any] = {
    function.__name__: function
    for function in (
        *CIRCULAR, *INVERSE, sympy.Add, sympy.Mul, sympy.Pow, sympy.exp, sympy.log, sympy.sign, sympy.erf, sympy.Abs,
        sympy.Max, sympy.Min, sympy.besselj,
    )
}  # fmt: skip
_NAMES = {function: name for name, function in _HEADS.items()}
_NUMBERS = {"pi": sympy.pi, "E": sympy.E}
_OPERANDS = {"Add": math.inf, "Mul": math.inf, "Max": math.inf, "Min": math.inf, "Pow": 2, "besselj": 2}


def to_tree(expr: sympy.Expr) -> Tree:
    """The expression as nested lists of operations, numbers and names of variables, for JSON.

    Unlike a text it is exact: `from_tree` gives an equal expression, with the same values to the bit.

    Raises:
        ExpressionError: the expression is not real, or holds unknown functions.

    Example:
        >>> from knotwork.expressions import parse
        >>> to_tree(parse("2.5*sin(x)"))
        ['Mul', 2.5, ['sin', 'x']]
    """
    node = cast(Any, expr)
    if isinstance(node, sympy.Symbol):
        return node.name
    if isinstance(node, sympy.Integer):
        return int(node)
    if isinstance(node, sympy.Rational):
        return ["Rational", int(node.p), int(node.q)]
    if isinstance(node, sympy.Float):
        value = float(node)
        if not math.isfinite(value) or sympy.Float(value) != node:
            raise ExpressionError(f"{node} cannot be written to a file: it is outside the range of floats.")
        return value
    for name, constant in _NUMBERS.items():
        if node == constant:
            return [name]
    if isinstance(node, LearnedCurve):
        curve = node.func
        spline = [curve.label, curve.order, list(curve.knots), list(curve.coefficients)]
        return ["curve", spline, to_tree(cast(Any, node.args[0]))]
    if node.func not in _NAMES:
        raise ExpressionError(f"'{shortened(str(node))}' cannot be written to a file: {node.func.__name__} is unknown.")
    return [_NAMES[node.func], *(to_tree(cast(Any, argument)) for argument in node.args)]


def from_tree(tree: Tree, variables: set[str]) -> sympy.Expr:
    """The expression that `to_tree` wrote, with these variables; ExpressionError for anything else."""
    return _read(tree, variables, 0)


def _read(tree: Tree, variables: set[str], depth: int) -> sympy.Expr:
    if depth > EXPRESSIONS.deepest_nesting:
        raise ExpressionError(f"the expression is nested over {EXPRESSIONS.deepest_nesting} levels deep.")
    if isinstance(tree, str):
        if tree not in variables:
            raise ExpressionError(f"{shortened(repr(tree))} is not one of the variables.")
        return symbol(tree)
    if isinstance(tree, (int, float)) and not isinstance(tree, bool):
        return number(tree)
    if not (isinstance(tree, list) and tree and isinstance(tree[0], str)):
        raise ExpressionError(f"{shortened(repr(tree))} is no number, no variable and no operation.")
    head, *rest = tree
    if head in _NUMBERS and not rest:
        return _NUMBERS[head]
    if head == "Rational":
        if len(rest) != 2 or not all(type(part) is int for part in rest) or rest[1] < 1:
            raise ExpressionError(f"{shortened(repr(tree))} is no fraction of whole numbers.")
        return sympy.Rational(*rest)
    if head == "curve":
        return _read_curve(tree, variables, depth)
    if head not in _HEADS:
        raise ExpressionError(f"{shortened(repr(head))} is no operation that a formula can hold.")
    most = _OPERANDS.get(head, 1)
    if len(rest) > most or len(rest) < min(most, 2):
        raise ExpressionError(f"{head} cannot have {len(rest)} operands.")
    operands = [_read(part, variables, depth + 1) for part in rest]
    if head == "Pow":
        check_power(operands[0], operands[1], f"{shortened(repr(tree))}")
    if head == "besselj" and operands[0] not in (sympy.Integer(0), sympy.Integer(1)):
        raise ExpressionError(f"{shortened(repr(tree))} is no Bessel function of order 0 or 1.")
    found = _HEADS[head](*operands, evaluate=False)
    if not found.free_symbols and not math.isfinite(constant_value(found)):
        raise ExpressionError(f"{shortened(repr(tree))} is not a finite real number.")
    return found


def _read_curve(tree: Tree, variables: set[str], depth: int) -> sympy.Expr:
    """A call of a learned curve: ["curve", [name, order, knots, coefficients], argument]."""
    match tree:
        case ["curve", [str() as name, int() as order, list() as knots, list() as coefficients], argument]:
            numbers = [*knots, *coefficients]
            if name.isidentifier() and all(isinstance(one, (int, float)) for one in numbers):
                curve = learned_curve(name, knots, coefficients, order)
                return curve(_read(argument, variables, depth + 1), evaluate=False)
    raise ExpressionError(f"{shortened(repr(tree))} is no learned curve.")
