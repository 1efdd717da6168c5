"""Expressions as text for `parse` and as LaTeX; rounding, and the complexity of an expression."""

import re
import string
from typing import Any, cast

import sympy
from sympy.printing.latex import LatexPrinter, greek_letters_set
from sympy.printing.str import StrPrinter

from knotwork.errors import ExpressionError
from knotwork.expressions.settings import EXPRESSIONS


def text(expr: sympy.Expr) -> str:
    """The expression as a text. `parse` reads the same values back; decimals have all their digits."""
    return _Printer().doprint(expr)


def written_number(value: float) -> str:
    """A decimal as Python writes it, without ".0" where it is whole, and with a power of ten where it ends in zeros."""
    if not value.is_integer() or "e" in repr(value):
        return repr(value)
    digits = str(int(value))
    mantissa = digits.rstrip("0")
    if len(digits) - len(mantissa) < EXPRESSIONS.zeros_before_powers or not mantissa.strip("-"):
        return digits
    first = len(mantissa) - len(mantissa.lstrip("-")) + 1
    fraction = f".{mantissa[first:]}" if mantissa[first:] else ""
    return f"{mantissa[:first]}{fraction}e+{len(digits) - first:02}"


def written_name(name: str) -> str:
    """The name in a text: in brackets, as in [sex=male] and [body mass], where it is more than one word.

    Places that a search holds for its constants stay as they are.
    """
    return name if name.isidentifier() or name.startswith("\0") or re.search(r"[\[\]]", name) else f"[{name}]"


def in_brackets(name: str) -> bool:
    """Whether a name is that of an indicator, such as sex=male, which is written in brackets (those of Iverson)."""
    return bool(re.fullmatch(r"[^=<>\[\]]+=[^=<>\[\]]+", name))


def is_decimal(number: sympy.Rational) -> bool:
    """Whether a fraction is written as a decimal: 273.15, but 3/4."""
    return number.q in (20, 100) and abs(number) > 1


def with_decimals(expr: sympy.Expr) -> sympy.Expr:
    """The expression with decimals in place of the fractions that are written as such."""
    return cast(
        sympy.Expr, expr.xreplace({n: sympy.Float(float(n)) for n in expr.atoms(sympy.Rational) if is_decimal(n)})
    )


class _Printer(StrPrinter):
    """SymPy's printer with knotwork's names of functions, and floats as Python writes them."""

    def _print_Float(self, expr: sympy.Float) -> str:
        return written_number(float(expr))

    def _print_Rational(self, expr: sympy.Rational) -> str:
        return f"{float(expr):g}" if is_decimal(expr) else super()._print_Rational(expr)

    def _print_Symbol(self, expr: sympy.Symbol) -> str:
        return written_name(expr.name)

    def _print_Exp1(self, expr: sympy.Expr) -> str:
        return "exp(1)"  # "e" might be a variable

    def _print_Function(self, expr: Any) -> str:
        name = expr.func.__name__.lower()
        arguments = expr.args
        if isinstance(expr, sympy.besselj):
            name, arguments = f"J{expr.order}", expr.args[1:]
        return f"{name}({self.stringify(arguments, ', ')})"

    _print_Abs = _print_LatticeOp = _print_Function


def latex(expr: sympy.Expr) -> str:
    """LaTeX of the expression. Variables of several letters are upright and taken literally."""
    expr = with_decimals(expr)
    names = {s: _latex_name(s.name) for s in expr.free_symbols if isinstance(s, sympy.Symbol)}
    return _LatexPrinter({"symbol_names": {s: name for s, name in names.items() if name is not None}}).doprint(expr)


class _LatexPrinter(LatexPrinter):
    """SymPy's printer, with floats as in texts: 2, not 2.0."""

    def _print_Float(self, expr: sympy.Float) -> str:
        mantissa, _, power = written_number(float(expr)).partition("e")
        return rf"{mantissa} \cdot 10^{{{int(power)}}}" if power else mantissa


def _latex_name(name: str) -> str | None:
    """LaTeX of a column name; None for names that SymPy writes well: x, x_1, x12, theta, theta_1."""
    letters = re.fullmatch(r"([^\W\d_]+)_?\d*", name)
    if letters and (len(letters[1]) == 1 or letters[1].lower() in greek_letters_set):
        return None
    escapes = {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}
    escaped = "".join(escapes.get(c, "\\" + c if c in "&%$#_{}" else c) for c in name)
    if in_brackets(name):
        return rf"[\text{{{escaped}}}]"
    return rf"\text{{{escaped}}}" if set(name) - set(string.ascii_letters + string.digits) else rf"\mathrm{{{name}}}"


def complexity(expr: sympy.Expr) -> int:
    """Number of operators, functions, constants and variables of the expression as it is usually written.

    x - y, x / y and x**2 are 3, sin(x) and -x are 2, 2*sin(x) + 1 is 6, 1/x is 3, sqrt(x) is 2;
    -3, 1/2 and pi are 1; a maximum of three counts as two maxima of two.
    """
    if expr.is_Atom:
        return 1
    if isinstance(expr, sympy.Add):
        negative = [_is_negative(term) for term in expr.args]
        terms = [
            -term if minus and not term.is_Number else term for term, minus in zip(expr.args, negative, strict=True)
        ]
        return len(terms) - 1 + all(negative) + sum(map(complexity, terms))
    if isinstance(expr, sympy.Mul):
        coefficient, rest = expr.as_coeff_Mul()
        if coefficient == -1:
            return 1 + complexity(rest)
        above = [f for f in expr.args if not _is_reciprocal(f)]
        below = [1 / f for f in expr.args if _is_reciprocal(f)]
        return len(expr.args) - 1 + (0 if above else 2) + sum(map(complexity, [*above, *below]))
    if isinstance(expr, sympy.Pow):
        if _is_reciprocal(expr):
            return 2 + complexity(1 / expr)
        if expr.exp == sympy.S.Half:
            return 1 + complexity(expr.base)
        return 1 + complexity(expr.base) + complexity(expr.exp)
    arguments: Any = expr.args[1:] if isinstance(expr, sympy.besselj) else expr.args
    calls = len(arguments) - 1 if isinstance(expr, (sympy.Max, sympy.Min)) else 1
    return calls + sum(map(complexity, arguments))


def _is_negative(term: sympy.Expr) -> bool:
    return bool(term.as_coeff_Mul()[0] < 0)


def _is_reciprocal(factor: sympy.Expr) -> bool:
    return isinstance(factor, sympy.Pow) and bool(factor.exp.is_Number) and bool(factor.exp < 0)


def float_constants(expr: sympy.Expr) -> list[sympy.Float]:
    """The different decimal constants of the expression, in the order of a traversal."""
    return list(dict.fromkeys(n for n in sympy.preorder_traversal(expr) if isinstance(n, sympy.Float)))


def round_constants(expr: sympy.Expr, digits: int) -> sympy.Expr:
    """The expression with its decimal constants rounded to `digits` significant digits.

    A constant that rounds to an integer of at most `digits` digits is written as an integer: 2.0004 at 3 digits is 2.
    """
    if digits < 1:
        raise ExpressionError(f"Constants are rounded to 1 or more significant digits, got digits={digits}.")

    def rounded(value: float) -> sympy.Expr:
        value = float(f"{value:.{digits - 1}e}")
        return sympy.Integer(int(value)) if value == int(value) and abs(value) < 10**digits else sympy.Float(value)

    exact = {constant: rounded(float(constant)) for constant in float_constants(expr)}
    return cast(sympy.Expr, expr.xreplace(exact))
