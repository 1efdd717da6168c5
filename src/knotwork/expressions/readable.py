"""Equal expressions with numbers that are easier to read: log(2e68*c - 5e66) as log(c - 0.025) + 157."""

import math
from collections.abc import Callable, Iterator
from typing import Any, cast

import sympy

from knotwork.expressions.settings import EXPRESSIONS
from knotwork.expressions.writing import complexity

Key = tuple[int, int, int, int, int]


def readable(expr: Any, same: Callable[[Any], bool] = lambda _: True) -> Any:
    """An equal expression, no longer than this one, with fewer decimals, or with decimals that are easier to read.

    A power of a power becomes one power, where signs allow it. Numbers in logarithms, powers, exponentials and products
    of sums are moved out, or inside, where they are then of usual sizes. Every change is an identity of real numbers,
    and is made only if it is the `same` for the caller, who may compare values.
    """
    best, key = expr, _key(expr)
    for _ in range(EXPRESSIONS.rounds_of_reading):
        ways = sorted(((_key(way), n, way) for n, way in enumerate(_ways(best))), key=lambda one: one[:2])
        better = next((one for one in ways if one[0] < key and same(one[2])), None)
        if better is None:
            return best
        key, _, best = better
    return best


def _key(expr: Any) -> Key:
    """What is less for an expression that is easier to read.

    These are symbols, decimals, decimals that need a power of ten, digits, and whole turns of phases.
    """
    values = [float(one) for one in expr.atoms(sympy.Float)]
    if not all(math.isfinite(one) for one in values) or expr.has(sympy.zoo, sympy.nan, sympy.oo, sympy.I):
        return (2**31, 0, 0, 0, 0)
    phases = [one.args[0].as_coeff_Add()[0] for one in expr.atoms(sympy.sin, sympy.cos)]
    turns = sum(abs(round(float(one) / math.tau)) for one in phases if one.is_Float)
    digits = sum(len(_mantissa(one)) for one in values)
    return complexity(expr), len(values), sum(map(_powers, values)), digits, turns


def _powers(value: float) -> int:
    """How much the power of ten of a number disturbs a reader: not at all for one of usual size."""
    size = abs(math.log10(abs(value))) if value else 0.0
    usual = 0 <= size < EXPRESSIONS.usual_decades
    return 0 if usual else 1 if size < EXPRESSIONS.extreme_decades else EXPRESSIONS.weight_of_extremes


def _mantissa(value: float) -> str:
    """The digits of a number without zeros at its ends."""
    return f"{abs(value):.{EXPRESSIONS.digits_of_reading - 1}e}".partition("e")[0].replace(".", "").rstrip("0")


def _ways(expr: Any) -> Iterator[Any]:
    """The expression with one of its parts written in another way."""
    for node in dict.fromkeys(sympy.preorder_traversal(expr)):
        for other in _others(node):
            try:
                yield expr.xreplace({node: other})
            except (TypeError, ValueError, OverflowError):  # what the other form makes of the rest is not real
                continue


def _others(node: Any) -> Iterator[Any]:
    try:
        if isinstance(node, sympy.log):
            yield from (sympy.log(rest) + sympy.Float(math.log(size)) for size, rest in _sizes(node.args[0]))
        elif isinstance(node, sympy.Pow) and node.exp.is_number:
            yield from _power_of_power(node)
            exponent = float(node.exp)
            for size, rest in _sizes(node.base):
                yield sympy.Float(size**exponent) * sympy.Pow(rest, node.exp)
        elif isinstance(node, sympy.Mul):
            yield from _product(node)
        elif isinstance(node, sympy.Abs):
            yield from (sympy.Float(size) * sympy.Abs(rest) for size, rest in _sizes(node.args[0]))
        elif isinstance(node, (sympy.sin, sympy.cos)):
            yield from _less_phase(node)
    except (OverflowError, ZeroDivisionError):
        return


def _sizes(inner: Any) -> Iterator[tuple[float, Any]]:
    """Positive numbers that divide a sum or a product, each with the rest: the size of a number in it."""
    if isinstance(inner, sympy.Mul):
        number, rest = inner.as_coeff_Mul()
        if isinstance(number, sympy.Float):
            yield abs(float(number)), rest * sympy.sign(number)
    elif isinstance(inner, sympy.Add):
        sizes = [abs(float(number)) for number in (one.as_coeff_Mul()[0] for one in inner.args) if number.is_Float]
        for size in dict.fromkeys(sizes):
            yield size, _divided(inner, size)


def _divided(total: Any, size: float) -> Any:
    """A sum divided by the size of one of its numbers, which becomes 1 or -1."""
    terms = []
    for term in total.args:
        number, rest = term.as_coeff_Mul()
        value = float(number) / size
        terms.append((sympy.Integer(int(value)) if abs(value) == 1 else sympy.Float(value)) * rest)
    return sympy.Add(*terms)


def _power_of_power(node: Any) -> Iterator[Any]:
    """(x^p)^q as x^(pq), or as |x|^(pq) where p is even and pq is not: only whole powers of x < 0 are real."""
    base, inner = node.base, node.base.exp if isinstance(node.base, sympy.Pow) else None
    if inner is None or not inner.is_number:
        return
    p, q = float(inner), float(node.exp)
    exact = inner.is_Rational and node.exp.is_Rational
    product = inner * node.exp if exact else sympy.Float(p * q)
    even, even_product = (one == int(one) and int(one) % 2 == 0 for one in (p, p * q))
    yield sympy.Pow(sympy.Abs(base.base) if even and not even_product else base.base, product)


def _product(node: Any) -> Iterator[Any]:
    """A number of a sum before the product of this sum and others."""
    for factor in node.args:
        if isinstance(factor, sympy.Add):
            others = [one for one in node.args if one is not factor]
            for size, rest in _sizes(factor):
                yield sympy.Mul(sympy.Float(size), *others, rest)


def _less_phase(node: Any) -> Iterator[Any]:
    """A phase without whole turns."""
    phase, rest = node.args[0].as_coeff_Add()
    turns = round(float(phase) / math.tau) if phase.is_Float else 0
    if turns:
        yield cast(Any, node.func)(rest + sympy.Float(float(phase) - turns * math.tau))
