"""Expressions as presentation MathML, which browsers display as mathematics."""

import html
import re
from typing import Any, cast

import sympy
from sympy.printing.mathml import MathMLPresentationPrinter
from sympy.printing.pretty.pretty_symbology import greek_unicode

from knotwork.expressions.writing import in_brackets, with_decimals, written_number

MINUS = '<mo form="prefix">−</mo>'
TIMES = '<mo form="infix" lspace="0" rspace="0.15em">&InvisibleTimes;</mo>'


class _Exponential(sympy.Function):
    """exp under another name, because SymPy would write a·exp(-x) as a fraction."""


def mathml(expr: sympy.Expr) -> list[str]:
    """The contents of several <math> elements. A browser can break the line of a long formula between any two of them.

    They are the terms of the outermost sum, and the brackets and functions that a term multiplies. Names of variables
    are escaped, so that the result holds MathML elements only.
    """
    words = any(isinstance(s, sympy.Symbol) and not _variable(s.name) for s in expr.free_symbols)
    printer = _Printer({"mul_symbol": "dot" if words else None})
    times = '<mo form="infix">·</mo>' if words else TIMES
    expr = cast(sympy.Expr, with_decimals(expr).replace(sympy.exp, _Exponential))
    terms = expr.as_ordered_terms() if isinstance(expr, sympy.Add) else [expr]
    pieces = []
    for term in cast(list[sympy.Expr], terms):
        minus = bool(term.as_coeff_Mul()[0] < 0)
        first, *others = _groups(-term if minus else term)
        sign = f'<mo form="infix">{"−" if minus else "+"}</mo>' if pieces else MINUS if minus else ""
        pieces.append(sign + printer.content(first, bool(others)))
        pieces += [times + printer.content(group, True) for group in others]
    return pieces


def _groups(term: sympy.Expr) -> list[sympy.Expr]:
    """The factors of a term, with numbers and variables in one group. A fraction stays whole."""
    if not isinstance(term, sympy.Mul) or sympy.fraction(term)[1] != 1:
        return [term]
    groups: list[sympy.Expr] = []
    for factor in cast(list[sympy.Expr], term.as_ordered_factors()):
        simple = factor.as_base_exp()[0].is_Atom
        if groups and simple and groups[-1].as_base_exp()[0].is_Atom | isinstance(groups[-1], sympy.Mul):
            groups[-1] = groups[-1] * factor
        else:
            groups.append(factor)
    return groups


def _variable(name: str) -> tuple[str, str] | None:
    """Letter and index of a name that is shown as a variable: x, x_1, x12, theta, theta_1."""
    found = re.fullmatch(r"([^\W\d_]+)_?(\d*)", name)
    if found and (len(found[1]) == 1 or found[1] in greek_unicode):
        return greek_unicode.get(found[1]) or found[1], found[2]
    return None


class _Printer(MathMLPresentationPrinter):
    """SymPy's printer, with texts unchanged and names escaped."""

    def content(self, expr: sympy.Expr, factor: bool) -> str:
        """MathML of an expression. A `factor` is put in brackets where it needs them."""
        if factor and isinstance(expr, sympy.Add):
            written = self._bracketed(expr).toxml()
        else:
            written = cast(Any, self._print(expr)).toxml()
        written = re.sub(r"<mn>-(.*?)</mn>", r"<mrow><mo>-</mo><mn>\1</mn></mrow>", written).replace(">-<", ">−<")
        return re.sub(r"<mn>(\d+)\.0</mn>", r"<mn>\1</mn>", written).replace("<mo>&InvisibleTimes;</mo>", TIMES)

    def _print_Symbol(self, expr: Any, style: str = "plain") -> Any:
        variable = _variable(expr.name)
        if variable is None:
            name = f"[{expr.name}]" if in_brackets(expr.name) else expr.name
            return self._token("mtext", html.escape(name))
        letter, index = variable
        token = self._token("mi", letter)
        return self._element("msub", token, self._token("mn", index)) if index else token

    def _print_Float(self, expr: Any) -> Any:
        mantissa, _, power = written_number(float(expr)).partition("e")
        if not power:
            return self._token("mn", mantissa)
        ten = self._element("msup", self._token("mn", "10"), self._print(sympy.Integer(int(power))))
        return self._element("mrow", self._token("mn", mantissa), self._token("mo", "\u00b7"), ten)

    def _print_Pow(self, expr: Any) -> Any:
        """sin²(x), not sin(x)²."""
        function, power = expr.as_base_exp()
        if not (isinstance(function, sympy.Function) and power.is_Integer and power > 0):
            return super()._print_Pow(expr)
        call = cast(Any, self._print(function))
        name = call.firstChild
        if name.nodeName != "mi":  # |x|
            return super()._print_Pow(expr)
        call.replaceChild(self._element("msup", name.cloneNode(True), self._print(power)), name)
        return call

    def _print__Exponential(self, expr: Any) -> Any:
        return self._element("msup", self._token("mi", "e"), self._print(expr.args[0]))

    def _print_besselj(self, expr: Any) -> Any:
        name = self._element("msub", self._token("mi", "J"), self._print(expr.order))
        return self._element("mrow", name, self._bracketed(expr.args[1]))

    def _print_sign(self, expr: Any) -> Any:
        return self._element("mrow", self._token("mi", "sgn"), self._bracketed(expr.args[0]))

    def _print_LearnedCurve(self, expr: Any) -> Any:
        return self._element("mrow", self._token("mi", expr.label), self._bracketed(expr.args[0]))

    def _bracketed(self, expr: Any) -> Any:
        return self._element("mrow", self._token("mo", "("), self._print(expr), self._token("mo", ")"))

    def _token(self, tag: str, text: str) -> Any:
        element = self.dom.createElement(tag)
        element.appendChild(self.dom.createTextNode(text))
        return element

    def _element(self, tag: str, *children: Any) -> Any:
        element = self.dom.createElement(tag)
        for child in children:
            element.appendChild(child)
        return element
