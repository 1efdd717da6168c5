"""Exponents of a fitted formula as whole or simple numbers within their errors, and factors that may be 1 left out."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

from knotwork.formulas.constants import Sample, Template, fitted, replaced
from knotwork.formulas.settings import FORMULAS


def with_simple_exponents(template: Template, sample: Sample) -> Iterator[Template]:
    """The template with simple numbers in place of exponents, all together and each alone, its constants fitted again.

    The exponents of laws are usually whole or simple numbers. One at a time, an exponent with a large error is as near
    to some simple number by chance; together, one decides for the other. A number within two standard errors is tried,
    the simplest and the nearest one.
    """
    errors, exponents = template.errors(), _exponents(template)
    near = {one: list(_near(template.values[one], errors.get(one, math.inf))) for one in exponents}
    ways = (
        [dict(zip(near, way, strict=True)) for way in itertools.product(*near.values())] if all(near.values()) else []
    )
    if len(near) > 1:
        ways += [{one: number} for one, numbers in near.items() for number in numbers]
    for way in ways[: FORMULAS.most_ways_of_exponents]:
        new: Template | None = template
        for one, number in way.items():
            new = None if new is None else replaced(new, one, number)
        if way and new is not None:
            fit = fitted(new, sample, FORMULAS.refit_steps)
            if math.isfinite(fit.mse):
                yield fit


def without_unit_factors(template: Template, sample: Sample) -> Iterator[Template]:
    """The template with 1 or -1 in place of each factor that lies within two standard errors of it, fitted again.

    Factors inside functions stay: exp(exp(-x)) would be a short form for many decays, and few rows refuse none.
    """
    from knotwork.expressions import algebra

    errors, factors = template.errors(), _factors(template.expression)
    for symbol in [one for one in template.values if one in factors]:
        value, within = template.values[symbol], FORMULAS.sigmas_of_exponents * errors.get(symbol, math.inf)
        if math.isfinite(within) and abs(abs(value) - 1) <= within < FORMULAS.surest_unit_factor:
            new = replaced(template, symbol, algebra.Integer(1 if value > 0 else -1))
            fit = None if new is None else fitted(new, sample, FORMULAS.refit_steps)
            if fit is not None and math.isfinite(fit.mse):
                yield fit


def _factors(expression: Any) -> set[Any]:
    """The factors of the terms of an expression, but for those inside functions and powers."""
    from knotwork.expressions import algebra

    found = set(expression.args) if isinstance(expression, algebra.Mul) else set()
    parts = expression.args if isinstance(expression, (algebra.Add, algebra.Mul)) else ()
    return found.union(*map(_factors, parts))


def _exponents(template: Template) -> list[Any]:
    """The constants that are exponents."""
    from knotwork.expressions import algebra

    found = {power.exp for power in template.expression.atoms(algebra.Pow)}
    return [one for one in template.values if one in found]


def _near(value: float, error: float) -> Iterator[Any]:
    """The simplest number within two standard errors, and the nearest one of those."""
    from knotwork.expressions import algebra

    if not math.isfinite(error):
        return
    within = FORMULAS.sigmas_of_exponents * error + 1e-9
    found = []
    for denominator, largest in FORMULAS.simple_exponents:
        number = algebra.Rational(round(value * denominator), denominator)
        usual = 0 < abs(number) <= largest and number not in found
        if usual and abs(float(number) - value) <= within:
            found.append(number)
    if found:
        yield found[0]
        nearest = min(found, key=lambda number: abs(float(number) - value))
        if nearest != found[0]:
            yield nearest
