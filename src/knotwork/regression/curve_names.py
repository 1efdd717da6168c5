"""Names of one curve: a function of the library or a power, alone or under an outer function, as in 1/(exp(t) - 1)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from knotwork.formulas.candidate_table import Candidate
from knotwork.formulas.candidates import Target, candidates_of_many
from knotwork.functions import NamedFunction
from knotwork.regression.settings import REGRESSION


@dataclass(frozen=True)
class OuterFunction:
    """The outermost function of a formula or curve: `apply` computes it, `undo` is its inverse.

    `slope` is the absolute value of its derivative, as a function of its value. `words` stand before a description, as
    in "the root of ". With `positive`, only positive values can be undone. Where `undo` is a power, `power_undone` is
    its exponent, otherwise 0. A `falling` function falls.
    """

    words: str
    undo: Callable[[Tensor], Tensor]
    apply: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    expression: Callable[[Any], Any]
    positive: bool = True
    power_undone: float = 0.0
    falling: bool = False

    def invertible(self, y: Tensor) -> bool:
        """Whether all these values can be undone, and `apply` gives them back."""
        if self.positive:
            return bool((y > 0).all()) and bool(y.isfinite().all())
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


IDENTITY = OuterFunction("", lambda y: y, lambda v: v, torch.ones_like, lambda v: v, positive=False, power_undone=1.0)
INVERSE = OuterFunction(
    "1 over ", torch.reciprocal, torch.reciprocal, torch.square, lambda v: 1 / v, power_undone=-1.0, falling=True
)
ROOT = OuterFunction("the root of ", torch.square, torch.sqrt, lambda y: 0.5 / y, _half, power_undone=2.0)
INVERSE_ROOT = OuterFunction(
    "1 over the root of ", lambda y: y**-2, lambda v: v**-0.5, lambda y: 0.5 * y**3, lambda v: 1 / _half(v),
    power_undone=-2.0, falling=True,
)  # fmt: skip
EXPONENTIAL = OuterFunction("the exponential of ", torch.log, torch.exp, lambda y: y, _exponential)
ARCSINE = OuterFunction("the arcsine of ", torch.sin, torch.arcsin, lambda y: 1 / y.cos(), _arcsine, positive=False)
HYPERBOLIC = OuterFunction(
    "the hyperbolic tangent of ", torch.arctanh, torch.tanh, lambda y: 1 - y**2, _hyperbolic, positive=False
)
LOGARITHM = OuterFunction("the logarithm of ", torch.exp, torch.log, lambda y: (-y).exp(), _logarithm, positive=False)
SQUARE = OuterFunction(
    "the square of ", torch.sqrt, torch.square, lambda y: 2 * y.sqrt(), lambda v: v**2, power_undone=0.5
)
INVERSE_SQUARE = OuterFunction(
    "1 over the square of ", lambda y: y**-0.5, lambda v: v**-2, lambda y: 2 * y**1.5, lambda v: v**-2,
    power_undone=-0.5, falling=True,
)  # fmt: skip
USUAL_OUTER = (IDENTITY, INVERSE, ROOT, INVERSE_ROOT, EXPONENTIAL)  # of structures
UNUSUAL_OUTER = (ARCSINE, HYPERBOLIC, LOGARITHM)  # of structures, tried last
OUTER_OF_CURVES = (*USUAL_OUTER, SQUARE, INVERSE_SQUARE)  # of single curves


@dataclass(frozen=True)
class CurveName:
    """One name of a curve: outer(c·f(a·t + b) + d), or outer(c·t**p + d) where `function` is None.

    `constants` is (a, b, c, d) or (p, c, d). `error` is the root mean squared error relative to the size of the curve;
    `score` adds the cost of the name in bits to the logarithm of the error, smaller is better. An `inverted` name is
    one of 1/t. With `whole`, the exponent p must stay a whole number, as t has both signs.
    """

    outer: OuterFunction
    function: NamedFunction | None
    constants: tuple[float, ...]
    error: float
    score: float
    inverted: bool = False
    whole: bool = False

    def sum_term(self, t: Any, constant: Callable[[float], Any], times: float) -> tuple[Any, float]:
        """The curve multiplied by `times`, as an expression of `t`, and a constant to add to it.

        `constant` makes a symbol for each value.
        """
        c, d, inner = self._parts(t, constant)
        if self.outer is IDENTITY:
            return constant(c * times) * inner, d * times
        if self.outer is EXPONENTIAL:
            return self.outer.expression(constant(c) * inner + constant(d + math.log(times))), 0.0
        inside = float(self.outer.undo(torch.tensor(times, dtype=torch.float64)))  # the others are powers
        return self.outer.expression(constant(c * inside) * inner + constant(d * inside)), 0.0

    def factor(self, t: Any, constant: Callable[[float], Any]) -> tuple[Any, float]:
        """An expression of `t` and a number: their product is the curve."""
        c, d, inner = self._parts(t, constant)
        size = max(abs(c), 1e-300)
        if d:
            inner = (inner if c > 0 else -inner) + constant(d / size)
        elif c < 0 and self.outer is not IDENTITY:
            inner = -inner
        if self.outer is IDENTITY:
            return inner, size if d else c
        if self.outer is EXPONENTIAL:
            return self.outer.expression(constant(c) * self._parts(t, constant)[2]), math.exp(min(d, 700.0))
        one = torch.ones(1, dtype=torch.float64)
        return self.outer.expression(inner), float(self.outer.apply(size * one))

    def _parts(self, t: Any, constant: Callable[[float], Any]) -> tuple[float, float, Any]:
        """c, d and f of the curve outer(c·f + d), with as few constants inside f as possible."""
        from knotwork.expressions import compose

        t = 1 / t if self.inverted else t
        if self.function is None:
            p, c, d = self.constants
            return c, d, t ** (int(p) if self.whole else constant(p)) if p != 1 else t
        a, b, c, d = self.constants
        power = self.function.power
        if self.function.name == "x":
            return a * c, b * c + d, t
        if power is not None:  # (a·t)**p is a**p·t**p: the factor joins c
            whole = power == int(power) != 0
            u = t + constant(b / a) if a > 0 or whole else constant(b / -a) - t
            size = a if whole else abs(a)
            c, d = (c, d + c * math.log(size)) if power == 0 else (c * _raised(size, power), d)
        elif self.function.shift_free:
            u, c = constant(a) * t, c * math.exp(min(b, 700.0))
        else:
            u = constant(a) * t + constant(b)
        return c, d, compose(self.function.expression, u)


def names_of_curve(
    t: Tensor,
    y: Tensor,
    functions: Sequence[NamedFunction],
    accuracy: float | None = None,
    offset: bool = False,
    relative: bool = False,
) -> list[CurveName]:
    """Names of the curve through the points (t, y), each (n,), the best score first.

    The curve is known to `accuracy` of its size; by default that of the settings. Only names that are finite at all
    points are given. With `offset`, an added constant costs nothing, as in a term of a sum. With `relative`, errors are
    relative to each value of a curve of one sign, so that the smallest values count as much as the largest.
    """
    order = t.argsort()[torch.linspace(0, len(t) - 1, min(REGRESSION.curve_points, len(t))).round().long()]
    curve = _Curve(t[order], y[order], REGRESSION.curve_accuracy if accuracy is None else accuracy, offset, relative)
    outer = [around for around in OUTER_OF_CURVES if around.invertible(curve.y)]
    if not outer:  # the curve left the range of floats
        return []
    undone = [around.undo(curve.y) for around in outer]
    weights = [
        (around.slope(curve.y) * curve.unit.mean() / curve.unit).square().clamp_max(REGRESSION.steepest_outer)
        for around in outer
    ]
    inner = [f for f in functions if f.name in REGRESSION.inner_functions or not f.default]
    targets = [
        Target(values, functions if around is IDENTITY else inner, weight)
        for around, values, weight in zip(outer, undone, weights, strict=True)
    ]
    tables = candidates_of_many(curve.t, targets, REGRESSION.functions_finished)
    found = curve.plain_powers()
    for around, values, weight, table in zip(outer, undone, weights, tables, strict=True):
        found += curve.powers_inside(around, values, weight)
        found += curve.functions_inside(around, table, functions)
    return sorted(found, key=lambda name: name.score)


class _Curve:
    """The points (t, y) of a curve, and the names that are tried for it."""

    def __init__(self, t: Tensor, y: Tensor, accuracy: float, offset: bool, relative: bool = False) -> None:
        self.t, self.y, self.accuracy, self.offset = t, y, accuracy, offset
        size = (y - y.mean() if offset else y).square().mean().sqrt().clamp_min(1e-300)
        one_sign = bool((y > 0).all()) or bool((y < 0).all())
        self.unit = y.abs() if relative and one_sign else size
        self.positive = bool((t > 0).all())

    def named(
        self,
        outer: OuterFunction,
        function: NamedFunction | None,
        constants: tuple[float, ...],
        values: Tensor,
        cost: float,
    ) -> list[CurveName]:
        """The name with these values, if it explains anything at all; otherwise none."""
        error = float(((values - self.y) / self.unit).square().mean().sqrt())
        if not error < 1:  # NaN, too
            return []
        score = cost + 2 * math.log2(error + self.accuracy)
        return [CurveName(outer, function, constants, error, score, whole=function is None and not self.positive)]

    def plain_powers(self) -> list[CurveName]:
        """The powers c·t**p nearest to the curve."""
        found: list[CurveName] = []
        for p, c in _powers(self.t, self.y, self.unit):
            simple = p == round(2 * p) / 2
            cost = REGRESSION.half_power_cost if simple else REGRESSION.decimal_power_cost
            found += self.named(IDENTITY, None, (p, c, 0.0), c * self.t**p, cost + _cost_of_size(p))
        return found

    def powers_inside(self, outer: OuterFunction, undone: Tensor, weights: Tensor) -> list[CurveName]:
        """outer(c·t + d), and of outer(c·t**p + d) the best: the formula fits its exponent later."""
        settings, found = REGRESSION, []
        extra = (settings.outer_cost if outer is not IDENTITY else 0.0) + (
            0.0 if self.offset and outer is IDENTITY else settings.offset_cost
        )
        for p in settings.inner_powers if self.positive else settings.inner_powers_of_any_sign:
            c, d = _line(self.t**p, undone, weights)
            cost = settings.half_power_cost + _cost_of_size(p) + extra
            found += self.named(outer, None, (p, c, d), outer.apply(c * self.t**p + d), cost)
        found.sort(key=lambda name: name.score)
        straight, others = ([name for name in found if (name.constants[0] == 1) is line] for line in (True, False))
        return [*straight, *others[:1]]

    def functions_inside(
        self, outer: OuterFunction, table: Sequence[Candidate], functions: Sequence[NamedFunction]
    ) -> list[CurveName]:
        """outer(c·f(a·t + b) + d) for each function f that was fitted."""
        settings, found = REGRESSION, []
        for row in table:
            function = next(f for f in functions if f.name == row.function)
            a, b, c, d = row.constants
            straight = function.name == "x"
            cost = row.cost + (0.0 if straight else settings.inner_constants_cost)
            cost += settings.outer_cost if outer is not IDENTITY else 0.0
            if straight and not self.offset:
                cost += settings.offset_cost
            cost += math.log2(max(row.cancellation, 1.0))
            values = outer.apply(c * function.value(a * self.t + b) + d)
            found += self.named(outer, function, row.constants, values, cost)
        return found


def _cost_of_size(power: float) -> float:
    """Bits for the size of an exponent."""
    return min(abs(power), 4.0) / 4


def _raised(base: float, power: float) -> float:
    """base**power, infinite where that overflows."""
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


def _powers(t: Tensor, y: Tensor, unit: Tensor) -> list[tuple[float, float]]:
    """(p, c) of the powers c·t**p nearest to the curve in these units, p also rounded; none if a sign changes."""
    if not (bool((t > 0).all()) and (bool((y > 0).all()) or bool((y < 0).all()))):
        return []
    found = []
    logs, log_curve = t.log(), y.abs().log()
    spread = logs - logs.mean()
    exponent = float(spread @ log_curve / spread.square().sum().clamp_min(1e-300))
    for p in {exponent, round(2 * exponent) / 2}:
        shape, target = t**p / unit, y / unit
        found.append((p, float(shape @ target / shape.square().sum())))
    return found
