"""Other forms of an expression: by trigonometric and hyperbolic identities, logarithms, fractions, factors, signs,
squares of sums, completed powers, and the larger or smaller of two sums."""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import sympy

from knotwork.expressions.evaluation import to_numpy
from knotwork.expressions.settings import EXPRESSIONS
from knotwork.expressions.simplification import Samples
from knotwork.expressions.writing import complexity

CIRCULAR = (sympy.sin, sympy.cos, sympy.tan, sympy.cot, sympy.sinh, sympy.cosh)
Form = Callable[[Any], Any]


def equal_forms(expr: Any, samples: Samples, longest: int) -> Iterator[Any]:
    """Expressions that are equal to this one for positive variables, or on the samples, one for each identity.

    Whoever uses one compares its values. Identities that take time are tried for at most `longest` symbols, and
    where products that are multiplied out give few terms.
    """
    forms: list[Form] = [lambda e: _without_abs(e, samples), sympy.together, sympy.cancel]
    if complexity(expr) <= longest and expanded_terms(expr) <= EXPRESSIONS.most_expanded_terms:
        forms += [_factored, _for_positive(_logarithms_apart), _for_positive(_logarithms_together)]
        forms += [
            _for_positive(_squared),
            _for_positive(_moved),
            _for_positive(_same),
            lambda e: _completed(e, samples),
        ]
        if expr.has(sympy.Abs):
            forms.append(_extreme)
        if expr.has(*CIRCULAR):
            forms.append(_circular)
        if expr.has(sympy.tanh):
            forms += [_for_positive(_rational_tanh), _for_positive(lambda e: sympy.expand(_rational_tanh(e)))]
    for form in forms:
        try:
            yield form(expr)
        except (sympy.PolynomialError, NotImplementedError, ZeroDivisionError):  # a form this expression does not have
            continue


def expanded_terms(expr: Any) -> int:
    """About how many terms the largest part of an expression has when its products are multiplied out."""

    def terms(part: Any) -> int:
        if part.is_Add:
            return sum(map(terms, part.args))
        if part.is_Mul:
            return math.prod(map(terms, part.args))
        if part.is_Pow and part.exp.is_Integer:
            several = terms(part.base)
            return math.comb(abs(int(part.exp)) + several - 1, several - 1)
        return 1

    return max(map(terms, sympy.preorder_traversal(expr)))


def _factored(expr: Any) -> Any:
    return sympy.factor(sympy.expand(expr))


def _circular(expr: Any) -> Any:
    """Sines of sums in place of sums of products."""
    return sympy.trigsimp(sympy.expand(expr.replace(sympy.tan, lambda u: sympy.sin(u) / sympy.cos(u))))


def with_double_angles(expr: Any) -> Any:
    """2·sin(u)·cos(u) as sin(2u), and the same of powers."""

    def found(*factors: Any) -> Any:
        powers = [one.as_base_exp() for one in factors]
        for base, power in powers:
            cosine = sympy.cos(*base.args) if isinstance(base, sympy.sin) else None
            if (cosine, power) in powers:
                rest = sympy.Mul(*(b**p for b, p in powers if b not in (base, cosine)))
                return rest * (sympy.sin(2 * cast(Any, base.args[0])) / 2) ** power
        return sympy.Mul(*factors)

    return expr.replace(sympy.Mul, found)


def _logarithms_apart(expr: Any) -> Any:
    return sympy.expand_log(expr, force=True)


def _logarithms_together(expr: Any) -> Any:
    return sympy.logcombine(expr, force=True)


def _rational_tanh(expr: Any) -> Any:
    """tanh(log(x) / 2) as (x - 1) / (x + 1), and 1 / (tanh(x) + 1) - 1/2 as exp(-2x) / 2."""
    fraction = expr.replace(sympy.tanh, lambda u: (sympy.exp(2 * u) - 1) / (sympy.exp(2 * u) + 1))
    return sympy.cancel(sympy.together(sympy.powsimp(sympy.expand(fraction))))


def _squared(expr: Any) -> Any:
    """u² + 2·u·v + v² as (u + v)², for products u and v of numbers and variables."""

    def found(*terms: Any) -> Any:
        for a, b in itertools.combinations(terms, 2):
            sign = 1 if a.could_extract_minus_sign() is False else -1
            u, v = sympy.sqrt(sign * a), sympy.sqrt(sign * b)
            if (u + v).has(sympy.I):
                continue
            for twice in (2 * u * v, -2 * u * v):
                if sign * twice in terms:
                    rest = [one for one in terms if one not in (a, b, sign * twice)]
                    return sign * (u + v * twice / (2 * u * v)) ** 2 + sympy.Add(*rest)
        return sympy.Add(*terms)

    return expr.replace(sympy.Add, found)


def _moved(expr: Any) -> Any:
    """Factors moved into or out of a power of a sum where it is shorter: x/sqrt(x² - y²) as 1/sqrt(1 - y²/x²)."""

    def found(*factors: Any) -> Any:
        ways = [sympy.Mul(*factors)]
        plain = [one for one in factors if not (one.is_Number or one.as_base_exp()[0].is_Add)]
        for power in factors:
            total, exponent = power.as_base_exp()
            if total.is_Add and exponent.is_Number:
                rest = sympy.Mul(*(one for one in factors if one is not power))
                outside = [one ** (-1 / exponent) for one in (*plain, sympy.Mul(*plain))]
                for by in (*total.args, *outside):
                    inside = sympy.Add(*(term / by for term in total.args))
                    ways.append(rest * by**exponent * inside**exponent)
        return min(ways, key=complexity)

    return expr.replace(sympy.Mul, found)


def _same(expr: Any) -> Any:
    """The expression itself, whose powers of products are products of powers where variables are positive."""
    return expr


def _completed(expr: Any, samples: Samples) -> Any:
    """A polynomial of degree 3 or 4 of one variable as c·(x - s)^n + d, which has three decimals, if it has more."""
    if not expr.is_Add or len(expr.free_symbols) != 1 or len(expr.atoms(sympy.Float)) <= 3 or not expr.is_polynomial():
        return expr
    (variable,) = expr.free_symbols
    degree, (first, second, *_) = int(sympy.degree(expr)), map(float, sympy.Poly(expr, variable).all_coeffs())
    if degree not in (3, 4):
        return expr
    x = np.asarray(samples[variable.name], dtype=float)
    values = to_numpy(expr, [variable.name])(x)
    shift, unit = -second / (degree * first), np.abs(x).max()
    for _ in range(EXPRESSIONS.steps_of_completion):  # Gauss-Newton, from the shift that the coefficients have
        power = ((x - shift) / unit) ** degree
        slope = -degree / unit * ((x - shift) / unit) ** (degree - 1)
        c, step, d = np.linalg.lstsq(np.stack([power, slope, np.ones_like(x)], 1), values, rcond=None)[0]
        shift += step / c
    return sympy.Float(c / unit**degree) * (variable - sympy.Float(shift)) ** degree + sympy.Float(d)


def _extreme(expr: Any) -> Any:
    """r + c·|u| as the larger, or for c < 0 the smaller, of r + c·u and r - c·u, where these have fewer terms."""

    def found(*terms: Any) -> Any:
        for term in terms:
            number, rest = term.as_coeff_Mul()
            if isinstance(rest, sympy.Abs):
                others, inner = [one for one in terms if one is not term], number * rest.args[0]
                sides = [sympy.Add.make_args(sympy.expand(sympy.Add(*others) + sign * inner)) for sign in (1, -1)]
                if sum(map(len, sides)) < len(others) + len(sympy.Add.make_args(rest.args[0])):
                    return _extreme_of(sympy.Max if number > 0 else sympy.Min, *sides)
        return sympy.Add(*terms)

    return expr.replace(sympy.Add, found)


def _extreme_of(function: Any, first: tuple[Any, ...], second: tuple[Any, ...]) -> Any:
    """The larger or smaller of two sums, with the terms and the positive number that they share outside."""
    both = [one for one in first if one in second]
    sides = [sympy.Add(*(one for one in side if one not in both)) for side in (first, second)]
    contents = [side.as_content_primitive()[0] for side in sides]
    common = sympy.gcd(*contents) if all(one.is_Rational and one for one in contents) else sympy.Integer(1)
    return sympy.Add(*both, common * function(*(sympy.expand(side / common) for side in sides)))


def _for_positive(form: Form) -> Form:
    """The form, found as if all variables were positive."""

    def found(expr: Any) -> Any:
        positive = {one: sympy.Symbol(one.name, positive=True) for one in expr.free_symbols}
        return form(expr.xreplace(positive)).xreplace({new: old for old, new in positive.items()})

    return found


def _without_abs(expr: Any, samples: Samples) -> Any:
    """Without absolute values of what has one sign on the samples."""
    signs = {}
    for part in expr.atoms(sympy.Abs):
        inner = cast(sympy.Expr, part.args[0])
        names = sorted(str(one) for one in inner.free_symbols)
        values = np.asarray(to_numpy(inner, names)(*(samples[name] for name in names)))
        if (values >= 0).all():
            signs[part] = inner
        elif (values <= 0).all():
            signs[part] = -inner
    return expr.xreplace(signs)
