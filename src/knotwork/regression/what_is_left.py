"""A formula plus one of what it leaves: the small terms of a target that a large one hides."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from knotwork.formulas.constants import Constants, Sample, fitted, simplified, values_of
from knotwork.regression.candidate_formulas import CandidateFormula
from knotwork.regression.settings import REGRESSION

if TYPE_CHECKING:
    from knotwork.regression.search import Search


def with_what_is_left(search: "Search") -> Iterator[CandidateFormula]:
    """The best formula so far with a short formula of its residuals added; none where it explains too little.

    A search tries this for a few formulas at most, and each time only for one that is far better than the last.
    """
    best, limit = search.best, REGRESSION.error_of_rest * search.sample.scale
    if best is None or search.rests_tried >= REGRESSION.rests or best.error > min(limit, search.error_of_rest):
        return
    search.rests_tried += 1
    search.error_of_rest = REGRESSION.progress_of_rest * best.error
    inner = search.inner(rest(best, search.sample))
    if inner is None or search.reporter.stage("trying formulas of what is left"):
        return
    inner.rests_tried, inner.deeper_names = REGRESSION.rests, False
    explained = REGRESSION.progress_of_rest * inner.sample.scale
    for formula in itertools.chain(inner.formulas(slice(REGRESSION.stages_of_rest)), _more(inner)):
        if formula.error > explained:
            continue
        found = search.failures.attempt(lambda formula=formula: joined(best, formula, search.sample))
        if found is not None:
            yield found
            search.judge(found)
            if search.done:
                return


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


def joined(first: CandidateFormula, second: CandidateFormula, sample: Sample) -> CandidateFormula:
    """The sum of two formulas, all constants fitted together."""
    constants, expression = Constants(), 0
    for template in (first.template, second.template):
        expression = expression + template.expression.xreplace({s: constants(v) for s, v in template.values.items()})
    template = simplified(fitted(constants.template(expression), sample, REGRESSION.refit_steps), sample)
    return CandidateFormula.of(f"{first.structure}, and {second.structure}", template, sample)
