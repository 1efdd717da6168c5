"""Formulas that are proposed for one target: sums of few of the terms that the formulas of all targets have."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from knotwork.formulas.constants import Constants, Template, fitted, simplified, values_of
from knotwork.formulas.settings import FORMULAS
from knotwork.regression.failures import Failures
from knotwork.regression.sparse_fits import Support, sparse_fits
from knotwork.regression.targets.common_parts import keyed, multiplied_out, terms_of
from knotwork.regression.targets.laws import Law, TargetRows, alone
from knotwork.regression.targets.settings import TARGETS
from knotwork.training import Reporter

WORDS = "a sum of terms of several targets"


def as_written(expression: Any) -> Template:
    """An expression with a constant for each of its decimals."""
    from knotwork.expressions import parametrise

    general, symbols, values = parametrise(expression)
    return Template(general, dict(zip(symbols, values, strict=True)))


def law_found(target: TargetRows) -> Law:
    """The formula that was found for the target alone, as it is."""
    template = as_written(target.found[0])
    mse = float(target.sample.residuals(values_of(template, target.sample)).square().mean())
    template = replace(template, mse=mse if mse == mse else math.inf)
    return Law(target.found[0], template.mse, target.judge(template), "")


def pool_of_terms(targets: Sequence[TargetRows]) -> tuple[list[Any], list[set[str]]]:
    """The different terms of all formulas found, those of chosen formulas first, then the simplest; and for each the
    targets whose chosen formula has it."""
    from knotwork.expressions import complexity, learned_curves, round_constants, text

    chosen: dict[str, set[str]] = {}
    every: dict[str, Any] = {}
    for target in targets:
        for place, expression in enumerate(target.found):
            if learned_curves(expression):
                continue
            for form in (expression, multiplied_out(expression)):
                for _, term in terms_of(form):
                    if term.free_symbols:
                        key = text(round_constants(term, TARGETS.digits_of_equal_terms))
                        every.setdefault(key, term)
                        if not place:
                            chosen.setdefault(key, set()).add(target.name)
    ranked = sorted(every, key=lambda key: (key not in chosen, complexity(every[key]), key))
    kept = ranked[: TARGETS.most_terms_of_pool]
    return [every[key] for key in kept], [chosen.get(key, set()) for key in kept]


def proposals(
    target: TargetRows, terms: Sequence[Any], holders: Sequence[set[str]], failures: Failures, reporter: Reporter
) -> list[Law]:
    """Formulas of a target that are sums of the terms; `holders` are the targets that have each term already."""
    design, usable = _design(target, terms)
    if not usable or not bool((target.sample.y != 0).any()):
        return []
    others = [bool(own - {target.name}) for own in holders]
    sums = list(dict.fromkeys(_sums(target, design, [terms[n] for n in usable], [others[n] for n in usable])))
    fixed: list[tuple[Template, Law]] = []
    for support in reporter.timely(sums):
        parts = [terms[usable[column - 1]] for column in support if column]
        template = _sum_of(parts, constant=0 in support)
        fixed += _fitted(target, [template], failures)
    best = sorted(fixed, key=lambda one: alone(target, one[1]))[: TARGETS.own_constants]
    free = [as_written(one.expression) for _, one in best if _has_inner(one.expression)]
    found = fixed + _fitted(target, reporter.timely(free), failures)
    near = sorted(found, key=lambda one: alone(target, one[1]))[: TARGETS.simplified_sums]
    exact = [one for one in near if math.sqrt(one[0].mse) <= FORMULAS.exact_error * target.sample.scale]
    for template, _ in reporter.timely(near if target.simplify else exact):
        simple = failures.attempt(partial(simplified, template, target.sample))
        if simple is not None and len(simple.values) < len(template.values):
            found += _judged(target, simple, failures)
    different = {law.expression: law for _, law in found if law.judged < math.inf}
    return [
        law for law in reporter.timely(different.values()) if failures.attempt(partial(target.allowed, law.expression))
    ]


def _design(target: TargetRows, terms: Sequence[Any]) -> tuple[Tensor, list[int]]:
    """Columns (rows, 1 + k): a constant, and those terms that have a finite value in all rows; their numbers."""
    from knotwork.expressions import to_torch

    sample = target.sample
    size = 1 / sample.y.abs() if sample.relative else torch.ones_like(sample.y)
    columns, usable = [sample.weighed(size)], []
    for number, term in enumerate(terms):
        values = to_torch(term, list(sample.columns))(*sample.columns.values()).double() * size
        if bool(values.isfinite().all()) and float(values.abs().max()) < 1 / FORMULAS.exact_error**2:
            columns.append(sample.weighed(values))
            usable.append(number)
    return torch.stack(columns, 1), usable


def _sums(target: TargetRows, design: Tensor, terms: Sequence[Any], others: Sequence[bool]) -> Iterator[Support]:
    """The best sums of columns; a term that another target has costs hardly more than its coefficient."""
    from knotwork.expressions import algebra, complexity

    sample = target.sample
    y = sample.weighed(sample.y.sign() if sample.relative else sample.y)
    shared = TARGETS.symbols_of_coefficient
    costs = [float(shared - 1)]
    for term, known in zip(terms, others, strict=True):
        costs.append(float(shared if known else shared + complexity(term) + len(term.atoms(algebra.Float))))
    most = max(1, min(len(sample) // 3 - 1, len(TARGETS.widths_of_sums)))
    widths = TARGETS.widths_of_sums[:most]
    for supports in sparse_fits(design, y, torch.tensor(costs, dtype=torch.float64), widths):
        yield from supports


def _sum_of(terms: Sequence[Any], constant: bool) -> Template:
    """A sum of terms, whose coefficients are its constants, and those inside of terms are as they are."""
    constants, total = Constants(), 0
    for term in terms:
        total = total + constants(1.0) * term
    return constants.template(total + constants(0.0) if constant else total)


def _has_inner(expression: Any) -> bool:
    """Whether decimals stand inside of terms, and not as coefficients alone."""
    return any(keyed(term).constants for _, term in terms_of(expression))


def _fitted(target: TargetRows, templates: Iterable[Template], failures: Failures) -> list[tuple[Template, Law]]:
    """The templates fitted to the rows of the target, without those that are not defined there."""
    found = []
    for template in templates:
        fit = failures.attempt(partial(fitted, template, target.sample))
        if fit is not None and math.isfinite(fit.mse):
            found += _judged(target, fit, failures)
    return found


def _judged(target: TargetRows, template: Template, failures: Failures) -> list[tuple[Template, Law]]:
    judged = failures.attempt(partial(target.judge, template))
    if judged is None or not math.isfinite(judged):
        return []
    return [(template, Law(template.filled(), template.mse, judged, WORDS))]
