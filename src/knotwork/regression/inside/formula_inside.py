"""Formulas of sums of terms with constants inside: written for the inputs themselves, all constants fitted together."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from knotwork.formulas.constants import Constants, Sample, Template, fitted, simplified
from knotwork.regression.candidate_formulas import CandidateFormula
from knotwork.regression.curve_names import EXPONENTIAL
from knotwork.regression.inside.functions_inside import (
    CORNER,
    EXP,
    INVERSE,
    INVERSE_ROOT,
    LOG,
    ROOT,
    SIN,
    SQUARED,
    TANH,
    Column,
    Feature,
    Inside,
    Powers,
)
from knotwork.regression.inside.settings import INSIDE
from knotwork.regression.inside.terms_inside import InsideFit

Terms = list[tuple[float, Column]]


def formulas_of_inside(fit: InsideFit, sample: Sample) -> Iterator[CandidateFormula]:
    """Ways to write a fit, the shortest first, with their constants fitted to the targets themselves and rounded."""
    from knotwork.expressions import with_double_angles

    found = []
    for way in templates(fit, sample):
        template = simplified(fitted(way, sample), sample)
        template = replace(template, expression=with_double_angles(template.expression))
        found.append(CandidateFormula.of(str(fit), template, sample))
    yield from sorted(found, key=lambda one: one.bits)


def templates(fit: InsideFit, sample: Sample) -> Iterator[Template]:
    """Ways to write a fit: as it is; with 1/(1 + exp(-u)) for a tanh, with a constant inside a logarithm, as the least
    or largest of two sums."""
    terms = list(zip(fit.state.coefficients, fit.state.columns, strict=True))
    yield _Writer(fit, sample).template(terms)
    for way in (_logistic, _constant_inside, _extreme):
        found = way(_Writer(fit, sample), terms)
        if found is not None:
            yield found


def _logistic(writer: "_Writer", terms: Terms) -> Template | None:
    """c·g·(tanh(u) + 1) as 2·c·g/(1 + exp(-2·u))."""
    from knotwork.expressions import algebra

    for n, (c, column) in enumerate(terms):
        if [one.kind for one in column.functions] != [TANH]:
            continue
        for m, (d, other) in enumerate(terms):
            near = abs(abs(d) - abs(c)) < INSIDE.equal_sizes * abs(c)
            if near and other.powers == column.powers and not other.functions:
                (inside,) = column.functions
                doubled = tuple((-2.0 if c * d > 0 else 2.0) * one for one in inside.constants)
                below = 1 + algebra.exp(writer.argument(Inside(inside.kind, inside.features, doubled)))
                size = writer.constant(2 * d / writer.inputs.size(column.powers))
                term = size * writer.product(column.powers) / below
                return writer.template([terms[k] for k in range(len(terms)) if k not in (n, m)], term)
    return None


def _constant_inside(writer: "_Writer", terms: Terms) -> Template | None:
    """c·log(u) + d as c·log(exp(d/c)·u)."""
    from knotwork.expressions import algebra

    for n, (c, column) in enumerate(terms):
        if [one.kind for one in column.functions] != [LOG] or any(column.powers):
            continue
        for m, (d, other) in enumerate(terms):
            if not other.functions and not any(other.powers) and abs(d / c) < INSIDE.largest_logarithm:
                term = writer.constant(c) * algebra.log(writer.argument(column.functions[0], math.exp(d / c)))
                return writer.template([terms[k] for k in range(len(terms)) if k not in (n, m)], term)
    return None


def _extreme(writer: "_Writer", terms: Terms) -> Template | None:
    """c·|u| + r as the largest, or for c < 0 the least, of r + |c|·u and r - |c|·u, where r is a sum of powers."""
    from knotwork.expressions import algebra

    corners = [(c, column) for c, column in terms if [one.kind for one in column.functions] == [CORNER]]
    rest = {column.powers: c for c, column in terms if not column.functions}
    if len(corners) != 1 or len(rest) + 1 != len(terms) or any(corners[0][1].powers):
        return None
    ((c, column),) = corners
    (one,) = column.functions
    none = (0.0,) * len(writer.symbols)
    inside = {f.powers: abs(c) * a for a, f in zip(one.constants, one.features, strict=False)}
    inside[none] = abs(c) * one.constants[-1]
    sides, count = [], 0
    for sign in (1, -1):
        total = algebra.Integer(0)
        for powers in {**rest, **inside}:
            a, b = rest.get(powers, 0.0), sign * inside.get(powers, 0.0)
            if abs(a + b) > INSIDE.equal_sizes * max(abs(a), abs(b)):
                total = total + writer.constant((a + b) / writer.inputs.size(powers)) * writer.product(powers)
                count += 1
        sides.append(total)
    shorter = count < len({**rest, **inside}) + 1
    extreme = (algebra.Max if c > 0 else algebra.Min)(*sides)
    return writer.constant.template(writer.fit.frame.outer.expression(extreme)) if shorter else None


class _Writer:
    """Writes terms as expressions of the inputs themselves, with constants."""

    def __init__(self, fit: InsideFit, sample: Sample) -> None:
        from knotwork.expressions import symbol

        self.fit, self.inputs, self.constant = fit, fit.inputs, Constants()
        self.symbols = [symbol(name) for name in sample.columns]

    def template(self, terms: Terms, more: Any = 0) -> Template:
        """The whole expression, with another term beside these."""
        from knotwork.expressions import algebra

        outer, factor, inside, added = self.fit.frame.outer, algebra.Integer(1), algebra.Integer(0) + more, 0.0
        for c, column in terms:
            kinds = [one.kind for one in column.functions]
            if outer is EXPONENTIAL and not any(column.powers) and kinds in ([], [LOG]):  # exp(c·log(u)) is u**c
                factor = factor * self._power(c, column)
                continue
            size, expression = self._term(column)
            inside = inside + self.constant(c * size) * expression
            if kinds == [LOG]:
                offset = -c * math.log(self._unit(column.functions[0]))
                if any(column.powers):
                    factors = self.product(column.powers)
                    inside = inside + self.constant(offset / self.inputs.size(column.powers)) * factors
                else:
                    added += offset
        if added:
            inside = inside + self.constant(added)
        if outer is EXPONENTIAL:
            return self.constant.template(factor * algebra.exp(inside))
        return self.constant.template(outer.expression(inside))

    def _power(self, c: float, column: Column) -> Any:
        """exp of a constant, or of c·log(u)."""
        if not column.functions:
            return self.constant(math.exp(min(c, 700.0)))
        (one,) = column.functions
        return self.constant(self._unit(one) ** -c) * self.argument(one) ** self.constant(c)

    def _term(self, column: Column) -> tuple[float, Any]:
        """A number and an expression whose product is the term."""
        from knotwork.expressions import compose

        size, expression = 1 / self.inputs.size(column.powers), self.product(column.powers)
        for one in column.functions:
            kind, unit = one.kind, self._unit(one)
            if kind is SIN:
                size *= (-1) ** round(self._shift_inside(one) / math.pi)
            if kind is EXP:
                size *= math.exp(self._shift(one))
            elif not kind.sized and kind is not LOG:
                size /= unit ** {INVERSE: -1.0, ROOT: 0.5, INVERSE_ROOT: -0.5, SQUARED: 2.0}.get(kind, 1.0)
            beside = kind is LOG and len(column.functions) > 1  # its unit is no term of its own there
            expression = expression * compose(kind.text, self.argument(one, 1.0 if beside else 0.0))
        return size, expression

    def _shift(self, one: Inside) -> float:
        """The logarithm of the factor of an exponential without centres; OverflowError where no float holds it."""
        found = 0.0
        for a, feature in zip(one.constants, one.features, strict=True):
            size = self.inputs.size(feature.powers)
            moved = (
                math.log(size) if feature.logarithm else self.inputs.centre(feature) - self._origin(a, feature) / size
            )
            found -= a * moved
        if abs(found) > INSIDE.largest_exponent:
            raise OverflowError(f"exp({found:.4g}) is no factor that a formula can hold.")
        return found

    def _origin(self, a: float, feature: Feature) -> int:
        """The number from which a feature is counted in an exponential: its middle where that is far from zero."""
        middle = self.inputs.centre(feature)
        far = abs(a * middle) > INSIDE.largest_logarithm
        return round(middle * self.inputs.size(feature.powers)) if far else 0

    def product(self, powers: Powers) -> Any:
        from knotwork.expressions import algebra

        parts = [s ** algebra.Rational(round(2 * p), 2) for s, p in zip(self.symbols, powers, strict=True) if p]
        return algebra.Mul(*parts)

    def _unit(self, one: Inside) -> float:
        """What the argument of a function is multiplied by, so that its first feature has the coefficient ±1."""
        return 1.0 if one.kind.sized else self.inputs.size(one.features[0].powers)

    def _shift_inside(self, one: Inside) -> float:
        """The constant b of a function of a sum, of logarithms of the inputs themselves; 0 where there is none."""
        if not one.kind.shifted:
            return 0.0
        pairs = zip(one.constants, one.features, strict=False)
        logs = (a * math.log(self.inputs.size(feature.powers)) for a, feature in pairs if feature.logarithm)
        return one.constants[-1] - math.fsum(logs)

    def argument(self, one: Inside, times: float = 0.0) -> Any:
        """What a function is taken of, times its unit, or times a number that is not 0."""
        from knotwork.expressions import algebra

        total, unit = algebra.Integer(0), times or self._unit(one)
        b = self._shift_inside(one)
        for n, (a, feature) in enumerate(zip(one.constants, one.features, strict=False)):
            product = self.product(feature.powers)
            if one.kind is EXP:
                product = product - self._origin(a, feature)
            if feature.logarithm:
                total = total + self.constant(a) * algebra.log(product)
            elif n == 0 and not one.kind.sized and not times:
                total = total + int(math.copysign(1, a)) * product
            else:
                total = total + self.constant(a * unit / self.inputs.size(feature.powers)) * product
        if one.kind is SIN:
            b -= math.pi * round(b / math.pi)
        return total + self.constant(b * unit) if one.kind.shifted else total
