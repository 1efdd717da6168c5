"""Candidate formulas of a table with one input: the formula of one curve."""

from collections.abc import Iterator, Sequence

import torch

from knotwork.formulas.constants import Sample, fitted, simplified
from knotwork.formulas.curves import CurveSearch
from knotwork.functions import NamedFunction
from knotwork.regression.candidate_formulas import CandidateFormula
from knotwork.regression.settings import REGRESSION
from knotwork.training import Reporter


def formulas_of_curve(
    sample: Sample, functions: Sequence[NamedFunction], reporter: Reporter, stages: int | None = None
) -> Iterator[CandidateFormula]:
    """Formulas of a table with one input, the fewest bits first, their constants fitted to all rows and rounded.

    With `stages`, only the first of the search for a curve.
    """
    from knotwork.expressions import symbol

    ((name, column),) = sample.columns.items()
    t, y = column.detach().numpy(), sample.y.detach().numpy()
    unit = abs(sample.y) if sample.relative else torch.full_like(sample.y, sample.scale)
    if sample.weights is not None:
        unit = unit / sample.weights.sqrt()
    search = CurveSearch(t, y, unit.detach().numpy(), allowed=[f.name for f in functions], reporter=reporter)
    found = search.run(stages)
    near = [one for one in found if one.bits < found[0].bits + REGRESSION.largest_bits_gap]
    candidates = []
    for one in near[: REGRESSION.most_rounded]:
        template = fitted(search.template(one, symbol(name)), sample)
        candidates.append(CandidateFormula.of(one.form.words, simplified(template, sample), sample))
    yield from sorted(candidates, key=lambda candidate: candidate.bits)
