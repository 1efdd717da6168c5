"""Where an expression is defined: what its parts must satisfy, so that its values are real and finite."""

from typing import Any

import sympy

POSITIVE, NOT_NEGATIVE, WITHIN_ONE, NOT_ZERO = "positive", "not negative", "between -1 and 1", "not zero"
_ARGUMENTS: dict[Any, str] = {
    sympy.log: POSITIVE,
    sympy.asin: WITHIN_ONE,
    sympy.acos: WITHIN_ONE,
    sympy.atanh: WITHIN_ONE,
}


def conditions(expr: Any) -> list[tuple[Any, str]]:
    """Parts of an expression with what each must be, the innermost first: log(x) needs x to be positive.

    A divisor must not be zero; the base of a power that is no whole number must not be negative.
    """
    found: list[tuple[Any, str]] = []
    nodes: Any = sympy.postorder_traversal(expr)
    for node in nodes:
        if not node.free_symbols:
            continue
        need, part = _ARGUMENTS.get(node.func), node.args[0] if node.args else node
        if isinstance(node, sympy.Pow):
            whole = bool(node.exp.is_number) and float(node.exp).is_integer()
            negative = bool(node.exp.is_number) and float(node.exp) < 0
            need = NOT_ZERO if whole and negative else None if whole else POSITIVE if negative else NOT_NEGATIVE
        elif isinstance(node, (sympy.tan, sympy.cot)):
            need, part = NOT_ZERO, (sympy.cos if isinstance(node, sympy.tan) else sympy.sin)(node.args[0])
        elif node.func is sympy.acosh:
            need, part = NOT_NEGATIVE, node.args[0] - 1
        if need is not None and part.free_symbols and (part, need) not in found:
            found.append((part, need))
    return found
