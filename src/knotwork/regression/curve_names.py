"""Names for the curve of a single variable, also through an outer function: 1/(exp(t) - 1), sqrt(1 - t**2)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from knotwork.formulas.candidates import Target, candidates_of_many
from knotwork.functions import NamedFunction

POINTS = 120  # of a curve that are looked at
OUTER_COST = 1.5  # bits for an outer function
CONSTANTS = 2.0  # bits for the inner constants
FLOOR = 1e-5  # share of its size that a spline may be off its curve
INNER = ("x", "x^2", "x^3", "exp", "sin", "cosh", "sqrt", "1/x", "tanh")  # named under an outer function
FINISHED = 3  # of each outer function
HALVES = (-4.0, -3.0, -2.0, -1.5, -1.0, -0.5, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0)


@dataclass(frozen=True)
class Outer:
    """A function of the whole: the curve is `apply` of what is named, and what is named is `undo` of the curve."""

    words: str
    undo: Callable[[Tensor], Tensor]
    apply: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]  # |d apply / d undone|, by the curve
    expression: Callable[[Any], Any]
    positive: bool = True  # whether the curve must be

    def fits(self, y: Tensor) -> bool:
        """Whether the curve can be undone everywhere, and everything comes back."""
        if self.positive:
            return bool((y > 0).all())
        undone = self.undo(y)
        back = self.apply(undone)
        return bool(undone.isfinite().all()) and bool(torch.allclose(back, y, rtol=1e-6))


def _half(v: Any) -> Any:
    from knotwork.expressions import algebra

    return v ** algebra.Rational(1, 2)


def _exponential(v: Any) -> Any:
    from knotwork.expressions import algebra

    return algebra.exp(v)


def _arcsine(v: Any) -> Any:
    from knotwork.expressions import algebra

    return algebra.asin(v)


def _hyperbolic(v: Any) -> Any:
    from knotwork.expressions import algebra

    return algebra.tanh(v)


def _logarithm(v: Any) -> Any:
    from knotwork.expressions import algebra

    return algebra.log(v)


PLAIN = Outer("", lambda y: y, lambda v: v, torch.ones_like, lambda v: v, positive=False)
INVERSE = Outer("1 over ", torch.reciprocal, torch.reciprocal, torch.square, lambda v: 1 / v)
ROOT = Outer("the root of ", torch.square, torch.sqrt, lambda y: 0.5 / y, _half)
INVERSE_ROOT = Outer(
    "1 over the root of ", lambda y: y**-2, lambda v: v**-0.5, lambda y: 0.5 * y**3, lambda v: 1 / _half(v)
)
EXPONENTIAL = Outer("the exponential of ", torch.log, torch.exp, lambda y: y, _exponential)
ARCSINE = Outer("the arcsine of ", torch.sin, torch.arcsin, lambda y: 1 / y.cos(), _arcsine, positive=False)
HYPERBOLIC = Outer(
    "the hyperbolic tangent of ", torch.arctanh, torch.tanh, lambda y: 1 - y**2, _hyperbolic, positive=False
)
LOGARITHM = Outer("the logarithm of ", torch.exp, torch.log, lambda y: (-y).exp(), _logarithm, positive=False)
SQUARE = Outer("the square of ", torch.sqrt, torch.square, lambda y: 2 * y.sqrt(), lambda v: v**2)
INVERSE_SQUARE = Outer(
    "1 over the square of ", lambda y: y**-0.5, lambda v: v**-2, lambda y: 2 * y**1.5, lambda v: v**-2
)
OUTER = (PLAIN, INVERSE, ROOT, INVERSE_ROOT, EXPONENTIAL)
AROUND = (*OUTER, SQUARE, INVERSE_SQUARE)  # of single curves
RARE = (ARCSINE, HYPERBOLIC, LOGARITHM)


@dataclass(frozen=True)
class Name:
    """outer(c·f(a·t + b) + d), or c·t**p + d where `function` is None and `constants` is (p, c, d).

    `error` is relative to the size of the curve; `score` trades it for length, smaller is better.
    """

    outer: Outer
    function: NamedFunction | None
    constants: tuple[float, ...]
    error: float
    score: float
    inverted: bool = False  # of 1/t, then
    whole: bool = False  # an exponent that must stay, as t has both signs

    def sum_term(self, t: Any, constant: Callable[[float], Any], times: float) -> tuple[Any, float]:
        """So many times the curve as an expression of `t`, and a constant to add; `constant` makes them of values."""
        c, d, inner = self._parts(t, constant)
        if self.outer is PLAIN:
            return constant(c * times) * inner, d * times
        if self.outer is EXPONENTIAL:
            return self.outer.expression(constant(c) * inner + constant(d + math.log(times))), 0.0
        inside = float(self.outer.undo(torch.tensor(times, dtype=torch.float64)))  # the others are powers
        return self.outer.expression(constant(c * inside) * inner + constant(d * inside)), 0.0

    def factor(self, t: Any, constant: Callable[[float], Any]) -> tuple[Any, float]:
        """The curve as an expression of `t` times a number, and that number."""
        c, d, inner = self._parts(t, constant)
        size = max(abs(c), 1e-300)
        if d:
            inner = (inner if c > 0 else -inner) + constant(d / size)
        elif c < 0 and self.outer is not PLAIN:
            inner = -inner
        if self.outer is PLAIN:
            return inner, size if d else c
        if self.outer is EXPONENTIAL:
            return self.outer.expression(constant(c) * self._parts(t, constant)[2]), math.exp(min(d, 700.0))
        one = torch.ones(1, dtype=torch.float64)
        return self.outer.expression(inner), float(self.outer.apply(size * one))

    def _parts(self, t: Any, constant: Callable[[float], Any]) -> tuple[float, float, Any]:
        """c, d and f of the curve outer(c·f + d), with the fewest constants inside f."""
        from knotwork.expressions import compose

        t = 1 / t if self.inverted else t
        if self.function is None:
            p, c, d = self.constants
            return c, d, t ** (int(p) if self.whole else constant(p)) if p != 1 else t
        a, b, c, d = self.constants
        power = self.function.power
        if self.function.name == "x":
            return a * c, b * c + d, t
        if power is not None:  # of a power, the factor goes outside
            whole = power == int(power) != 0
            u = t + constant(b / a) if a > 0 or whole else constant(b / -a) - t
            size = a if whole else abs(a)
            c, d = (c, d + c * math.log(size)) if power == 0 else (c * _raised(size, power), d)
        elif self.function.shift_free:
            u, c = constant(a) * t, c * math.exp(min(b, 700.0))
        else:
            u = constant(a) * t + constant(b)
        return c, d, compose(self.function.expression, u)


def names(
    t: Tensor,
    y: Tensor,
    functions: Sequence[NamedFunction],
    outer: Sequence[Outer] = AROUND,
    floor: float = FLOOR,
    offset: bool = False,
) -> list[Name]:
    """Names for the curve through the points (t, y), each (n,), the best score first.

    The points should lie on a curve, to `floor` of its size. Only what is finite on all of them is named. With
    `offset`, a constant may be added to the curve at no cost, as to a term of a sum.
    """
    order = t.argsort()[torch.linspace(0, len(t) - 1, min(POINTS, len(t))).round().long()]
    t, y = t[order], y[order]
    size = (y - y.mean() if offset else y).square().mean().sqrt().clamp_min(1e-300)

    positive = bool((t > 0).all())

    def judged(around: Outer, named: NamedFunction | None, constants: tuple[float, ...], values: Tensor, cost: float):
        error = float((values - y).square().mean().sqrt() / size)
        if error < 1:
            score = cost + 2 * math.log2(error + floor)
            found.append(Name(around, named, constants, error, score, whole=named is None and not positive))

    found: list[Name] = []
    for p, c in _powers(t, y):
        judged(PLAIN, None, (p, c, 0.0), c * t**p, (1.0 if p == round(2 * p) / 2 else 3.0) + min(abs(p), 4.0) / 4)
    tried = [(around, around.undo(y), around.slope(y).square().clamp_max(1e12)) for around in outer if around.fits(y)]
    inner = [f for f in functions if f.name in INNER or not f.default]
    targets = [Target(undone, functions if o is PLAIN else inner, weights) for o, undone, weights in tried]
    tables = candidates_of_many(t, targets, FINISHED)
    for (around, undone, weights), table in zip(tried, tables, strict=True):
        extra = (OUTER_COST if around is not PLAIN else 0.0) + (0.0 if offset and around is PLAIN else 1.0)
        before, found = found, []
        for p in HALVES if positive else (1.0, 2.0, 3.0, 4.0):
            c, d = _line(t**p, undone, weights)
            judged(around, None, (p, c, d), around.apply(c * t**p + d), 1.0 + min(abs(p), 4.0) / 4 + extra)
        # an exponent is fitted later, so one will do, but none to the straight line
        found.sort(key=lambda name: name.score)
        straight, bent = ([name for name in found if (name.constants[0] == 1) is line] for line in (True, False))
        found = [*before, *straight, *bent[:1]]
        for row in table:
            named = next(f for f in functions if f.name == row.function)
            a, b, c, d = row.constants
            cost = row.cost + (0.0 if named.name == "x" else CONSTANTS) + (OUTER_COST if around is not PLAIN else 0.0)
            if named.name == "x" and not offset:
                cost += 1.0  # its constant
            cost += math.log2(max(row.cancellation, 1.0))
            judged(around, named, row.constants, around.apply(c * named.value(a * t + b) + d), cost)
    return sorted(found, key=lambda name: name.score)


def _raised(base: float, power: float) -> float:
    """base**power, infinite beyond what a float holds."""
    try:
        return base**power
    except (OverflowError, ZeroDivisionError):
        return math.inf


def _line(x: Tensor, y: Tensor, weights: Tensor) -> tuple[float, float]:
    """c and d of the weighted regression y = c·x + d."""
    weights = weights / weights.sum()
    mean = weights @ x
    centred = x - mean
    c = float((weights * centred) @ y / (weights @ centred.square()).clamp_min(1e-300))
    return c, float(weights @ y - c * mean)


def _powers(t: Tensor, y: Tensor) -> list[tuple[float, float]]:
    """(p, c) of the power c·t**p nearest to the curve, and with the nearest half of a whole number."""
    if not (bool((t > 0).all()) and (bool((y > 0).all()) or bool((y < 0).all()))):
        return []
    found = []
    logs, target = t.log(), y.abs().log()
    spread = logs - logs.mean()
    exponent = float(spread @ target / spread.square().sum().clamp_min(1e-300))
    for p in {exponent, round(2 * exponent) / 2}:
        shape = t**p
        found.append((p, float(shape @ y / shape.square().sum())))
    return found
