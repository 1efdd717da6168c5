"""Functions of indicators, which are 0 or 1: each is a straight line."""

from collections.abc import Collection
from typing import cast

import sympy

from knotwork.expressions.writing import complexity


def with_lines_of_indicators(expr: sympy.Expr, names: Collection[str]) -> sympy.Expr:
    """The expression with x in place of x² and a + b·x in place of f(x), for inputs x of these names, which are 0 or 1.

    A part stays as it is if its line would be longer, or if f is not defined at 0 or 1.
    """
    for name in names:
        x = sympy.Symbol(name)
        if x in expr.free_symbols:
            expr = _with_lines(expr, x)
    return expr


def _with_lines(expr: sympy.Expr, x: sympy.Symbol) -> sympy.Expr:
    if expr.is_Atom or x not in expr.free_symbols:
        return expr
    if expr.free_symbols == {x}:
        return _line(expr, x)
    if isinstance(expr, (sympy.Add, sympy.Mul)):  # the parts with x alone are one function of it
        own = [one for one in expr.args if one.free_symbols <= {x}]
        rest = [_with_lines(cast(sympy.Expr, one), x) for one in expr.args if one not in own]
        alone = [_line(cast(sympy.Expr, expr.func(*own)), x)] if any(one.free_symbols for one in own) else own
        return cast(sympy.Expr, expr.func(*alone, *rest))
    return cast(sympy.Expr, expr.func(*(_with_lines(cast(sympy.Expr, one), x) for one in expr.args)))


def _line(expr: sympy.Expr, x: sympy.Symbol) -> sympy.Expr:
    """The straight line through the values of an expression of x at 0 and 1, if it is not longer."""
    low, high = (expr.subs(x, value) for value in (0, 1))
    if not all(one.is_number and one.is_finite and one.is_real for one in (low, high)):
        return expr
    slope = high - low
    line = low + slope * x
    if expr.atoms(sympy.Float):
        line = cast(sympy.Expr, sympy.N(low) if low else low) + (sympy.N(slope) if abs(slope) != 1 else slope) * x
    return cast(sympy.Expr, line if complexity(line) < complexity(expr) else expr)
