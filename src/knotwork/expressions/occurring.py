"""Which functions occur in an expression, and whether an expression contains a pattern."""

from collections.abc import Iterable
from typing import Any

import sympy


def function_names(expr: sympy.Expr) -> set[str]:
    """Names of the functions in an expression that depend on a variable. A cosine counts as "sin"."""
    found = {node.func.__name__ for node in sympy.preorder_traversal(expr) if node.is_Function and node.free_symbols}
    return {"sin" if name == "cos" else name for name in found}


def contains(expr: Any, pattern: Any) -> bool:
    """Whether a function of one variable, such as exp(-x**2), occurs in an expression.

    Arguments and constants may differ. The functions and powers of the pattern must be nested as in the pattern.
    """
    if pattern.is_Symbol:
        return bool(expr.free_symbols)
    return any(_is_like(node, pattern) for node in sympy.preorder_traversal(expr))


def nesting(expr: Any, outer: Any, inner: Any) -> int:
    """How many functions like `inner` stand one within the other inside a function like `outer`; the most of them.

    Both are functions of one variable, such as exp(x). A cosine counts as a sine.
    """

    def depth(node: Any) -> int:
        return max((depth(part) for part in node.args), default=0) + _is_like(node, inner)

    expr, outer, inner = (one.replace(sympy.cos, sympy.sin) for one in (expr, outer, inner))
    inside = (part for node in sympy.preorder_traversal(expr) if _is_like(node, outer) for part in node.args)
    return max((depth(part) for part in inside), default=0)


def _is_like(node: Any, pattern: Any) -> bool:
    if node.func is not pattern.func or not node.free_symbols:
        return False
    if isinstance(pattern, sympy.Pow) and not pattern.exp.free_symbols:
        same = node.args[1].is_number and abs(float(node.args[1]) - float(pattern.exp)) < 1e-9
        return same and contains(node.args[0], pattern.base)
    parts = [part for part in pattern.args if part.free_symbols]
    return all(any(contains(argument, part) for argument in node.args) for part in parts)


def inner_parts(expr: Any, constants: Iterable[Any]) -> list[Any]:
    """The functions in an expression, and the sums under its roots and fractions, that depend on a variable.

    `constants` are the symbols that are no variables. A function comes before those inside it.
    """
    known = set(constants)
    found: list[Any] = []
    node: Any
    for node in sympy.preorder_traversal(expr):
        root = node.is_Pow and node.base.is_Add and not (node.exp.is_Integer and node.exp > 0)
        part = node.base if root else node
        if (root or node.is_Function) and part.free_symbols - known and part not in found:
            found.append(part)
    return found
