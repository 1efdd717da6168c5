"""Which constants all groups share, decided one by one by the bits that formula and residuals take."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from knotwork.formulas.constants import _doubt, _simple_numbers
from knotwork.formulas.grouped_constants import GroupedSample, GroupedTemplate, fitted_together, with_uncertainty
from knotwork.formulas.settings import FORMULAS
from knotwork.regression.groups.parametrisations import parametrisations
from knotwork.regression.groups.settings import GROUPS


def bits_of(template: GroupedTemplate, grouped: GroupedSample, numbers: int | None = None) -> float:
    """The description length of residuals, expression and numbers; smaller is better.

    Each number costs half a logarithm of the rows (Schwarz 1978), each symbol a whole one, as in other formulas; the
    symbols of a law with a name cost half, since a list of few names tells what it is. `numbers` takes the place of the
    number of constants of all groups.
    """
    from knotwork.expressions import complexity

    n, count = len(grouped.sample), template.numbers if numbers is None else numbers
    error = math.sqrt(template.mse) + FORMULAS.exact_error * grouped.sample.scale
    size = complexity(template.expression)
    symbols = size - min(template.named, size) / 2 + count / 2
    return n * math.log2(error) + symbols * math.log2(n) + template.doubt


def least_bits(template: GroupedTemplate, grouped: GroupedSample) -> float:
    """The bits that the template would take if all constants were shared without a loss: no sharing takes fewer."""
    return bits_of(template, grouped, len(template.shared) + len(template.differing))


def with_shared(template: GroupedTemplate, grouped: GroupedSample) -> GroupedTemplate:
    """The shortest way to share constants, over the ways to write the expression; its constants are simple if possible.

    All constants of the template differ; they are fitted.
    """
    template = _with_small_phases(template)
    written = [
        replace(template, expression=expression, differing=own)
        for expression, own in parametrisations(template.expression, template.differing, GROUPS.most_parametrisations)
    ]
    found = [shared_as_written(one, grouped, simple=True) for one in written or [template]]
    return min((_readable(one) for one in found), key=lambda one: bits_of(one, grouped))


def _with_small_phases(template: GroupedTemplate) -> GroupedTemplate:
    """The template with constants that are added inside a sine or cosine between -π and π."""
    from knotwork.expressions import algebra

    waves = template.expression.atoms(algebra.sin, algebra.cos)
    added = {term for wave in waves for term in algebra.Add.make_args(wave.args[0])}
    inside = {
        s: (v + math.pi).remainder(2 * math.pi) - math.pi if s in added else v for s, v in template.differing.items()
    }
    return replace(template, differing=inside)


def _readable(template: GroupedTemplate) -> GroupedTemplate:
    """The template as one fraction, where that is no longer: V x/(K + x) in place of V/(K/x + 1)."""
    from knotwork.expressions import algebra, complexity

    expression = template.expression
    simple = sorted((n for n in expression.atoms(algebra.Rational) if not n.is_Integer), key=str)
    names = {n: algebra.Symbol(f"\1{place}", real=True) for place, n in enumerate(simple)}
    inside = {name: n for n, name in names.items()}
    joined: Any = algebra.together(expression.xreplace(names)).xreplace(inside)
    return replace(template, expression=joined) if complexity(joined) <= complexity(expression) else template


def shared_as_written(template: GroupedTemplate, grouped: GroupedSample, simple: bool = False) -> GroupedTemplate:
    """The template with those of its constants shared for which that takes fewer bits, and `simple` ones rounded."""
    best, refused = template, set()
    while True:
        best = with_uncertainty(best, grouped)
        for key, trial in _proposals(best, grouped):
            if key in refused or (not simple and trial.expression != best.expression):
                continue
            new = fitted_together(trial, grouped, FORMULAS.refit_steps)
            if bits_of(new, grouped) < bits_of(best, grouped):
                best = new
                break
            refused.add(key)
        else:
            return best


def _proposals(template: GroupedTemplate, grouped: GroupedSample) -> Iterator[tuple[Any, GroupedTemplate]]:
    """Templates with one number fewer: a shared constant, the most alike first, or a simple number for a shared one."""
    count = len(template.shared)
    errors = torch.tensor([one.errors() for one in template.uncertainty], dtype=torch.float64)
    alike = []
    for n, (symbol, values) in enumerate(template.differing.items()):
        variance = errors[:, count + n].square() + (FORMULAS.likeness_rounding * values).square() + 1e-300
        weights = torch.where(variance.isfinite(), 1 / variance, 0.0)
        known = float(weights.sum())
        mean = float((weights * values).sum()) / known if 0 < known < math.inf else float(values.median())
        alike.append((float((weights * (values - mean).square()).sum()), str(symbol), symbol, mean))
    for _, _, symbol, mean in sorted(alike):
        rest = {s: v for s, v in template.differing.items() if s != symbol}
        yield symbol, replace(template, shared={**template.shared, symbol: mean}, differing=rest)
    for symbol, error in zip(template.shared, errors[0].tolist() if len(errors) else (), strict=False):
        for chance, simple in _simple(template, symbol, error):
            new = template.replaced(symbol, simple)
            if new is not None:
                doubt = max(0.0, _doubt(chance, len(grouped.sample)) - math.log2(len(grouped.sample)) / 2)
                yield (symbol, simple), replace(new, doubt=new.doubt + doubt)


def _simple(template: GroupedTemplate, symbol: Any, error: float) -> list[tuple[float, Any]]:
    """Simple numbers near a shared constant with the chance of that; whole powers are always possible within errors."""
    from knotwork.expressions import algebra

    value = template.shared[symbol]
    found = _simple_numbers(value, error)
    powers = {power.exp for power in template.expression.atoms(algebra.Pow)}
    if symbol in powers and abs(value - round(value)) <= FORMULAS.sigmas * error < math.inf and round(value):
        known = {simple for _, simple in found}
        found += [(FORMULAS.chance, simple) for simple in {algebra.Integer(round(value))} - known]
    return found
