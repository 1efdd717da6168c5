"""A formula plus one of what it leaves: the small terms of a target that a large one hides."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from knotwork.formulas.constants import Constants, Sample, fitted, simplified, values_of
from knotwork.regression.candidate_formulas import CandidateFormula
from knotwork.regression.settings import REGRESSION

if TYPE_CHECKING:
    from knotwork.regression.search import Search


def with_what_is_left(search: "Search") -> Iterator[CandidateFormula]:
    """The best formula so far with a short formula of its residuals added; none where it explains too little.

    Terms that share a function with the formula come first. A search tries this for a few formulas at most, and each
    time only for one that is far better than the last.
    """
    from knotwork.expressions import symbol

    best, limit = search.best, REGRESSION.error_of_rest * search.sample.scale
    if best is None or search.rests_tried >= REGRESSION.rests or best.error > min(limit, search.error_of_rest):
        return
    search.rests_tried += 1
    search.error_of_rest = REGRESSION.progress_of_rest * best.error
    left, parts = rest(best, search.sample), parts_of(best, search.sample)
    more = {name: values for name, (_, values) in parts.items()}
    random = search.failures.attempt(partial(search.unexplained, left.weighed(left.y))) is not False
    for columns in [more, {}] if more else [{}]:
        # with parts of the formula as inputs, products of powers alone: sin(sin(x)) would fit noise
        inner = search.inner(replace(left, columns={**left.columns, **columns}), () if columns else None)
        if search.reporter.stage("trying formulas of what is left"):
            return
        if inner is None:
            continue
        inner.rests_tried, inner.deeper_names = REGRESSION.rests, False
        for formula in _formulas_of_rest(inner, bool(columns), random):
            meanings = {symbol(name): part for name, (part, _) in parts.items()}
            found = search.failures.attempt(partial(joined, best, formula, search.sample, meanings))
            if found is not None:
                yield found
                search.judge(found)
                if search.done:
                    return


def _formulas_of_rest(inner: "Search", only_terms: bool, random: bool) -> Iterator[CandidateFormula]:
    """Formulas of what is left that explain most of it, or all but noise if it is not `random` as it is.

    If `only_terms`, they are sums of products of powers.
    """
    explained = REGRESSION.progress_of_rest * inner.sample.scale
    if only_terms:
        explained = REGRESSION.error_of_shared * inner.sample.scale
        found = inner.large_terms(alone=True) or inner.best_formulas(deeper=False)
    else:
        found = itertools.chain(inner.formulas(slice(REGRESSION.stages_of_rest)), _more(inner))
    for formula in found:
        if formula.error <= explained or (not random and inner.leaves_noise(formula)):
            yield formula


def _more(inner: "Search") -> Iterator[CandidateFormula]:
    """Formulas of structures that explain most of what is left."""
    if inner.least_error < REGRESSION.progress_of_rest * inner.error_of_mean:
        yield from inner.best_formulas()


def rest(formula: CandidateFormula, sample: Sample) -> Sample:
    """The rows with the residuals of a formula as targets; relative errors stay those of the target itself."""
    left, weights = sample.y - values_of(formula.template, sample), sample.weights
    if sample.relative:
        own = sample.y.square().clamp_min(torch.finfo(sample.y.dtype).tiny).reciprocal()
        weights = own if weights is None else own * weights
        weights = weights / weights.mean()
    return replace(sample, y=left, relative=False, weights=weights)


def parts_of(formula: CandidateFormula, sample: Sample) -> dict[str, tuple[Any, Tensor]]:
    """A few functions in a formula, by new names: each with its constants' symbols, and its values (n,)."""
    from knotwork.expressions import inner_parts

    found = {}
    for part in inner_parts(formula.template.expression, formula.template.values):
        values = values_of(replace(formula.template, expression=part), sample)
        if bool(values.isfinite().all()) and len(found) < REGRESSION.parts_of_rest:
            found[f"\0part {len(found)}"] = part, values
    return found


def joined(
    first: CandidateFormula, second: CandidateFormula, sample: Sample, meanings: Mapping[Any, Any]
) -> CandidateFormula:
    """The sum of two formulas, all constants fitted together.

    `meanings` are the parts of the first one that symbols of the second one stand for; they share its constants.
    """
    constants = Constants()
    own = {s: constants(v) for s, v in first.template.values.items()}
    shared = {name: part.xreplace(own) for name, part in meanings.items()}
    others = {s: constants(v) for s, v in second.template.values.items()}
    expression = first.template.expression.xreplace(own) + second.template.expression.xreplace({**shared, **others})
    template = simplified(fitted(constants.template(expression), sample, REGRESSION.refit_steps), sample)
    return CandidateFormula.of(f"{first.structure}, and {second.structure}", template, sample)
