"""Simplification of the expression of a network, with unchanged values."""

import math
from collections.abc import Callable
from typing import cast

import numpy as np
import sympy

from knotwork.expressions.evaluation import to_numpy
from knotwork.expressions.parsing import parse

TURN = 2 * math.pi
Samples = dict[str, np.ndarray]


def simplify(expr: sympy.Expr, samples: Samples, negligible: float = 1e-8) -> sympy.Expr:
    """The expression with constants collected, and without terms that are smaller than `negligible` times their sum.

    `samples` holds one array for each variable. The size of terms is measured on these samples alone.
    """
    for _ in range(3):
        new = drop_negligible_terms(collect_constants(expr), samples, negligible)
        if new == expr:
            break
        expr = new
    return expr


def collect_constants(expr: sympy.Expr) -> sympy.Expr:
    """Collect constants: exp(x + 2) → e²·exp(x), log(3x) → log x + log 3, phases into (-π/2, π/2]."""
    if expr.is_Atom:
        return expr
    args = [collect_constants(cast(sympy.Expr, argument)) for argument in expr.args]
    if isinstance(expr, sympy.exp):
        return _collect_exp(args[0])
    if isinstance(expr, sympy.Abs):
        number, rest = _common_factor(args[0])
        return abs(number) * sympy.Abs(rest)
    if isinstance(expr, sympy.log):
        number, rest = _common_factor(args[0])
        return sympy.log(rest) + sympy.log(number) if number > 0 and number != 1 else sympy.log(args[0])
    if isinstance(expr, (sympy.sin, sympy.cos)):
        return _collect_phase(expr.func, args[0])
    if isinstance(expr, sympy.Pow) and args[1].is_Number:
        number, rest = _common_factor(args[0])
        if number < 0 and not float(args[1]).is_integer():
            return sympy.Pow(*args)
        return sympy.Float(float(number) ** float(args[1])) * rest ** args[1] if number != 1 else sympy.Pow(*args)
    if isinstance(expr, sympy.Mul):
        return _collect_product(args)
    return expr.func(*args)


def _collect_product(args: list[sympy.Expr]) -> sympy.Expr:
    """A product with one number in front. Each sum is divided by its first coefficient; a single sum is expanded."""
    numbers = [a for a in args if a.is_Number]
    others = [a for a in args if not a.is_Number]
    if len(others) == 1 and isinstance(others[0], sympy.Add):
        return sympy.Add(*(sympy.Mul(*numbers, term) for term in others[0].args))
    for n, other in enumerate(others):
        base, exponent = other.as_base_exp()
        if isinstance(base, sympy.Add) and exponent == 1:
            number, others[n] = _common_factor(base, signed=True)
            numbers.append(number)
    return sympy.Mul(*numbers, *others)


def _collect_exp(inner: sympy.Expr) -> sympy.Expr:
    """exp of a sum: its constant becomes a factor, and logarithms in it become powers."""
    terms = sympy.Add.make_args(inner)
    factors, rest = [], []
    for term in terms:
        number, other = term.as_coeff_Mul()
        if term.is_Number and abs(float(term)) < 300:
            factors.append(sympy.Float(math.exp(float(term))))
        elif isinstance(other, sympy.log):
            factors.append(other.args[0] ** number)
        else:
            rest.append(term)
    return sympy.Mul(*factors, sympy.exp(sympy.Add(*rest)) if rest else sympy.Integer(1))


def _collect_phase(function: Callable, inner: sympy.Expr) -> sympy.Expr:
    """sin or cos with a positive leading term and a phase of at most π/2."""
    phase, rest = inner.as_coeff_Add()
    shift = float(phase) + (math.pi / 2 if function is sympy.cos else 0.0)  # the phase of a sine
    sign = 1
    if rest.could_extract_minus_sign():
        rest, shift, sign = -rest, -shift, -1
    shift = (shift + math.pi) % TURN - math.pi
    if shift > math.pi / 2 + 1e-12:
        shift, sign = shift - math.pi, -sign
    elif shift <= -math.pi / 2 + 1e-9:
        shift, sign = shift + math.pi, -sign
    if abs(shift - math.pi / 2) < 1e-7:
        return sign * sympy.cos(rest)
    return sign * sympy.sin(rest + sympy.Float(shift)) if shift else sign * sympy.sin(rest)


def _common_factor(expr: sympy.Expr, signed: bool = False) -> tuple[sympy.Expr, sympy.Expr]:
    """A number that divides the expression, and the rest. For a sum it is the size of its first variable term."""
    number, rest = expr.as_coeff_Mul()
    if number != 1 or not isinstance(rest, sympy.Add):
        return number, rest
    factors = [term.as_coeff_Mul()[0] for term in cast(list[sympy.Expr], rest.as_ordered_terms()) if not term.is_Number]
    if not factors or factors[0] == 0:
        return number, rest
    factor = factors[0] if signed else abs(factors[0])
    terms = [term.as_coeff_Mul() for term in rest.args]
    return factor, sympy.Add(*(other if size == factor else size / factor * other for size, other in terms))


def drop_negligible_terms(expr: sympy.Expr, samples: Samples, share: float) -> sympy.Expr:
    """The expression without terms whose largest value on the samples is below `share` times that of their sum."""
    if expr.is_Atom:
        return expr
    args = [drop_negligible_terms(cast(sympy.Expr, argument), samples, share) for argument in expr.args]
    if isinstance(expr, sympy.Add):
        sizes = [_largest(term, samples) for term in args]
        # relative to the range of the sum, where it varies: a small difference of large terms matters
        whole = _largest(sympy.Add(*args), samples)
        kept = [term for term, size in zip(args, sizes, strict=True) if not size < share * whole]
        return sympy.Add(*kept)
    return expr.func(*args)


def _largest(expr: sympy.Expr, samples: Samples) -> float:
    names = sorted(str(s) for s in expr.free_symbols)
    values = to_numpy(expr, names)(*(samples[name] for name in names)) if names else np.asarray(float(expr))
    return float(np.abs(values).max())


def simplify_constants(expr: sympy.Expr, keeps: Callable[[sympy.Expr], bool], tolerance: float = 1e-7) -> sympy.Expr:
    """Replace float constants by nearby simple numbers: integers, small fractions, multiples of π.

    A constant is replaced if its relative difference from the simple number is at most `tolerance`, and `keeps` accepts
    the result.
    """
    for constant in sorted(expr.atoms(sympy.Float), key=lambda c: -abs(float(c))):
        simple = _simple(float(constant), tolerance)
        if simple is None:
            continue
        replaced = cast(sympy.Expr, expr.xreplace({constant: simple}))
        if keeps(replaced):
            expr = replaced
    return expr


def _simple(value: float, tolerance: float) -> sympy.Expr | None:
    """The simple number close to `value`; None if there is none."""
    for unit, of in ((1.0, sympy.Integer(1)), (math.pi, sympy.pi)):
        for denominator in (1, 2, 3, 4, 6):
            numerator = round(value / unit * denominator)
            if numerator and abs(numerator) <= 1000:
                exact = numerator / denominator * unit
                if abs(value - exact) <= tolerance * abs(exact):
                    return sympy.Rational(numerator, denominator) * of
    return None


def parametrise(expr: sympy.Expr) -> tuple[sympy.Expr, list[sympy.Symbol], list[float]]:
    """The expression with a variable in place of each Float constant, those variables, and their values."""
    constants = sorted(expr.atoms(sympy.Float), key=float)
    symbols = [sympy.Symbol(f"\0{n}") for n in range(len(constants))]
    return (
        cast(sympy.Expr, expr.xreplace(dict(zip(constants, symbols, strict=True)))),
        symbols,
        [float(c) for c in constants],
    )


def compose(text: str, inner: sympy.Expr) -> sympy.Expr:
    """The expression that `text` describes, with `inner` substituted for its variable x."""
    return cast(sympy.Expr, parse(text, ["x"]).xreplace({sympy.Symbol("x"): inner}))
