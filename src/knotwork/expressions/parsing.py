"""Text to expression with a safe parser. Nothing in a text is ever executed."""

import ast
import difflib
import keyword
import math
import operator
import re
from collections.abc import Callable, Iterable
from typing import Any

import sympy
from sympy.core.function import AppliedUndef

from knotwork.errors import ExpressionError
from knotwork.expressions.evaluation import CIRCULAR, INVERSE, constant_value, shortened
from knotwork.expressions.settings import EXPRESSIONS

CONSTANTS = {"pi": sympy.pi, "e": sympy.E, "E": sympy.E}


def _without_parts(expr: Any) -> Any:
    """The expression without re(...) and im(...), which SymPy introduces for Abs(exp(x)). All values here are real."""
    return expr.replace(sympy.re, lambda x: x).replace(sympy.im, lambda x: sympy.Integer(0))


_ONE_ARGUMENT = [sympy.exp, sympy.log, sympy.sqrt, sympy.sign, sympy.erf]
# Name in a text: how to build it, fewest and most arguments.
_FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {
    **{function.__name__: (function, 1, 1) for function in (*CIRCULAR, *INVERSE, *_ONE_ARGUMENT)},
    **{"arc" + function.__name__[1:]: (function, 1, 1) for function in INVERSE},
    "ln": (sympy.log, 1, 1),
    "abs": (lambda x: _without_parts(sympy.Abs(x)), 1, 1),
    "sigmoid": (lambda x: 1 / (1 + sympy.exp(-x)), 1, 1),
    "silu": (lambda x: x / (1 + sympy.exp(-x)), 1, 1),
    "gaussian": (lambda x: sympy.exp(-(x**2)), 1, 1),
    "J0": (lambda x: sympy.besselj(0, x), 1, 1),
    "J1": (lambda x: sympy.besselj(1, x), 1, 1),
    "max": (sympy.Max, 2, 20),
    "min": (sympy.Min, 2, 20),
}
FUNCTIONS = tuple(_FUNCTIONS)


def parse(text: str, variables: Iterable[str] | None = None, curves: Iterable[str] = ()) -> sympy.Expr:
    """The expression that a text such as "exp(sin(pi*x) + y^2)" describes. Nothing in the text is executed.

    The text may hold numbers, + - * / ** (or ^), parentheses, variables, pi, e, and the functions in `FUNCTIONS`.

    Args:
        text: the text.
        variables: names of the variables; any other name is then an error. A variable may be called e or pi. None:
            every name except e and pi is a variable.
        curves: names of unknown functions of one variable, which stay as they are.

    Raises:
        ExpressionError: for any other text, and for constants that have no real value or are too large for a float.

    Example:
        >>> from knotwork.expressions import parse
        >>> parse("2*x + y^2")
        2*x + y**2
    """
    names = None if variables is None else {str(name) for name in variables}
    tree = _tree(text)
    try:
        expr = _Reader(text, names, frozenset(curves)).read(tree)
        finite = all(math.isfinite(float(n)) for n in expr.atoms(sympy.Number)) and not expr.has(sympy.I, sympy.zoo)
    except ExpressionError:
        raise
    except (ArithmeticError, MemoryError, RecursionError, TypeError, ValueError) as error:
        raise ExpressionError(
            f"'{shortened(text)}' cannot be evaluated ({type(error).__name__}): simplify it."
        ) from error
    if not finite:
        raise ExpressionError(
            f"'{shortened(text)}' holds a constant that is not a finite real number: rewrite that part."
        )
    return expr


def variable_names(text: str, variables: Iterable[str] = ()) -> tuple[str, ...]:
    """The variables in a text, in order of appearance; pi and e are constants unless listed in `variables`."""
    constants = set(CONSTANTS) - set(variables)
    tree = _tree(text)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called]
    found.sort(key=lambda node: (node.lineno, node.col_offset))
    return tuple(dict.fromkeys(_plain_name(node.id) for node in found if node.id not in constants))


def called_names(text: str) -> tuple[str, ...]:
    """The names that a text calls like functions, and that are none of `FUNCTIONS`, in order of appearance."""
    calls = [node.func for node in ast.walk(_tree(text)) if isinstance(node, ast.Call)]
    found = [name for name in calls if isinstance(name, ast.Name) and name.id not in _FUNCTIONS]
    found.sort(key=lambda name: (name.lineno, name.col_offset))
    return tuple(dict.fromkeys(name.id for name in found))


def _tree(text: str) -> ast.expr:
    """The syntax tree of a text, with ^ read as **."""
    if not isinstance(text, str):
        raise ExpressionError(f"An expression is a text such as 'sin(x) + y**2', got {type(text).__name__}.")
    if len(text) > EXPRESSIONS.longest_text:
        raise ExpressionError(
            f"The expression has {len(text):,} characters; at most {EXPRESSIONS.longest_text:,} are read."
        )
    text, given = _normal(text), text.strip().replace("^", "**")
    if not text:
        raise ExpressionError("The expression is empty: write something such as 'sin(x) + y**2'.")
    try:
        return ast.parse(text, mode="eval").body
    except (RecursionError, MemoryError):
        raise ExpressionError(f"'{shortened(given)}' is too deeply nested to be read: split it.") from None
    except (SyntaxError, ValueError) as error:
        raise ExpressionError(f"'{shortened(given)}' is not a formula{_syntax_hint(text, error)}") from None


_BRACKETED = re.compile(r"(?<![\w)\]])\[(?![^\]]*\bfor\b)([^\[\]]*[^\W\d][^\[\]]*)\]")
_CODED = re.compile(r"_name_([0-9a-f]+)_")


def _normal(text: str) -> str:
    """The text as Python reads it: powers with **, and a name in brackets, as in [sex=male], as one word."""
    words = _BRACKETED.sub(lambda found: f"_name_{found[1].strip().encode().hex()}_", text)
    return words.strip().replace("^", "**")


def _plain_name(word: str) -> str:
    """The name that a word stands for."""
    return _CODED.sub(lambda found: bytes.fromhex(found[1]).decode(errors="replace"), word)


def _syntax_hint(text: str, error: Exception) -> str:
    reserved = [name for name in re.findall(r"[^\W\d]\w*", text) if keyword.iskeyword(name)]
    if reserved:
        return f": '{reserved[0]}' is a keyword of Python and cannot be a variable: try '{reserved[0]}_'."
    if "=" in text:
        return ": write the right-hand side alone, without '='."
    place = f" near character {error.offset}" if isinstance(error, SyntaxError) and error.offset else ""
    return f"{place} ({getattr(error, 'msg', error)}). Write products with *, powers with **, and close every bracket."


class _Reader:
    """Turns the syntax tree of a text into an expression, node by node. Nodes that are not allowed are errors."""

    def __init__(self, text: str, names: set[str] | None, curves: frozenset[str] = frozenset()) -> None:
        self.text, self.shown = _normal(text), shortened(text.strip().replace("^", "**"))
        self.names, self.curves = names, curves

    def read(self, node: ast.expr, depth: int = 0) -> sympy.Expr:
        if depth > EXPRESSIONS.deepest_nesting:
            raise ExpressionError(f"'{self.shown}' is nested over {EXPRESSIONS.deepest_nesting} levels deep: split it.")
        match node:
            case ast.Constant(value=bool() | str() | bytes() | complex() | None):
                raise self.refusal(node, "only real numbers can stand in a formula")
            case ast.Constant(value=int() | float() as value):
                expr = number(value)
            case ast.Name(id=name):
                expr = self.named(_plain_name(name))
            case ast.UnaryOp(op=ast.UAdd() | ast.USub() as sign, operand=operand):
                inner = self.read(operand, depth + 1)
                expr = -inner if isinstance(sign, ast.USub) else inner
            case ast.BinOp(op=ast.Add() | ast.Sub()):
                expr = sympy.Add(*self.chain(node, ast.Add, ast.Sub, operator.neg, depth))
            case ast.BinOp(op=ast.Mult() | ast.Div()):
                expr = sympy.Mul(*self.chain(node, ast.Mult, ast.Div, self.reciprocal, depth))
            case ast.BinOp(op=ast.Pow()):
                expr = self.power(self.read(node.left, depth + 1), self.read(node.right, depth + 1))
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                expr = self.call(name, [self.read(argument, depth + 1) for argument in arguments])
            case _:
                raise self.refusal(node, "only numbers, variables, + - * / **, and functions such as sin(x) can")
        return self.checked(node, expr)

    def chain(self, node: ast.expr, plain: type, inverse: type, invert: Callable, depth: int) -> list[sympy.Expr]:
        """The operands of a chain of operators of equal precedence, such as a + b - c, of any length."""
        operands = []
        while isinstance(node, ast.BinOp) and isinstance(node.op, (plain, inverse)):
            right = self.read(node.right, depth + 1)
            operands.append(invert(right) if isinstance(node.op, inverse) else right)
            node = node.left
        return [self.read(node, depth + 1), *reversed(operands)]

    def reciprocal(self, expr: sympy.Expr) -> sympy.Expr:
        if expr.is_zero:
            raise ExpressionError(f"'{self.shown}' divides by zero.")
        return 1 / expr

    def power(self, base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
        """base ** exponent; an error where it would take too long to compute, as 9**9**9 would."""
        check_power(base, exponent, f"'{self.shown}'")
        if base.is_zero and not exponent.free_symbols and constant_value(exponent) < 0:
            return self.reciprocal(base)
        return base**exponent

    def named(self, name: str) -> sympy.Expr:
        if self.names is not None and name in self.names:
            return symbol(name)
        if name in CONSTANTS:
            return CONSTANTS[name]
        if self.names is None and name not in _FUNCTIONS:
            return symbol(name)
        if name in _FUNCTIONS:
            raise ExpressionError(f"'{name}' is a function: write {name}(x) in '{self.shown}'.")
        known = ", ".join(sorted(self.names or ())) or "none"
        hint = _did_you_mean(name, [*(self.names or ()), *CONSTANTS])
        raise ExpressionError(f"Unknown variable '{name}' in '{self.shown}'{hint} The variables are: {known}.")

    def call(self, name: str, arguments: list[sympy.Expr]) -> sympy.Expr:
        if name in self.curves:
            return self.unknown(name, arguments)
        if name not in _FUNCTIONS:
            hint = _did_you_mean(name, FUNCTIONS)
            if name in (self.names or ()) or name in CONSTANTS:
                hint = f": it is not a function, write products with *, as in {name}*(...)."
            raise ExpressionError(f"Unknown function '{name}' in '{self.shown}'{hint}")
        build, fewest, most = _FUNCTIONS[name]
        if not fewest <= len(arguments) <= most:
            wanted = f"{fewest} argument" if most == 1 else f"{fewest} to {most} arguments"
            raise ExpressionError(f"{name}() takes {wanted}, got {len(arguments)} in '{self.shown}'.")
        return build(*arguments)

    def unknown(self, name: str, arguments: list[sympy.Expr]) -> sympy.Expr:
        """A call of an unknown function of one variable."""
        written = f"{name}({', '.join(map(str, arguments))})"
        if len(arguments) != 1:
            raise ExpressionError(
                f"'{written}' has {len(arguments)} arguments, but an unknown curve is a function of one: write one "
                f"expression, as in {name}(x/y), or a sum or product of curves, as in f(x) + g(y)."
            )
        if arguments[0].atoms(AppliedUndef):
            raise ExpressionError(f"'{written}' holds one unknown curve inside another: give each its own argument.")
        if not arguments[0].free_symbols:
            raise ExpressionError(f"'{written}' is a constant, as its argument holds no input: write a name in place.")
        return sympy.Function(name)(arguments[0])

    def checked(self, node: ast.expr, expr: sympy.Expr) -> sympy.Expr:
        """The expression itself; an error if it is a constant without a finite real value."""
        if not expr.free_symbols and not math.isfinite(constant_value(expr)):
            raise ExpressionError(f"{self.piece(node)} is not a finite real number: rewrite that part.")
        return expr

    def refusal(self, node: ast.expr, reason: str) -> ExpressionError:
        return ExpressionError(f"{self.piece(node)} cannot stand in a formula: {reason}.")

    def piece(self, node: ast.expr) -> str:
        """The part of the text that a node was read from, in quotes."""
        segment = ast.get_source_segment(self.text, node) or type(node).__name__
        return f"'{shortened(_CODED.sub(lambda found: f'[{_plain_name(found[0])}]', segment))}'"


def check_power(base: sympy.Expr, exponent: sympy.Expr, where: str) -> None:
    """Raise ExpressionError for base ** exponent that would take too long to compute, as 9**9**9 would."""
    if exponent.free_symbols:
        return
    size = abs(constant_value(exponent))
    rationals = [n for n in base.atoms(sympy.Rational) if abs(n) != 1]
    bits = max((max(int(n.p).bit_length(), int(n.q).bit_length()) for n in rationals), default=0)
    if size > EXPRESSIONS.largest_exponent or size * bits > EXPRESSIONS.longest_power:
        raise ExpressionError(
            f"{where} holds a power too large to compute: keep exponents within {EXPRESSIONS.largest_exponent} "
            "and constants within a float."
        )


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f": did you mean '{close[0]}'?" if close else "."


def number(value: Any) -> sympy.Expr:
    """The SymPy number for a Python, NumPy or torch scalar: Integer for integers, Float for the rest.

    Raises ExpressionError for NaN and infinity.
    """
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, int):
        return sympy.Integer(value)
    if not isinstance(value, float) or not math.isfinite(value):
        raise ExpressionError(f"{value!r} is not a finite real number.")
    return sympy.Float(value)


def symbol(name: str) -> sympy.Symbol:
    """The variable with this name. Any text is a name: a column called "Z/2 + Z/2" is one variable."""
    return sympy.Symbol(str(name))
