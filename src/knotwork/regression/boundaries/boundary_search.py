"""The search for the boundary between two classes: an expression g of the inputs whose sign tells the label."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch

from knotwork.formulas.constants import Sample, Template, fitted, simplified, values_of
from knotwork.formulas.label_constants import LabelSample
from knotwork.regression.boundaries.boundary_points import BoundaryPoints, boundary_points
from knotwork.regression.boundaries.label_terms import sums_of_terms
from knotwork.regression.boundaries.settings import BOUNDARIES
from knotwork.regression.candidate_formulas import CandidateFormula
from knotwork.regression.constraints import Constraints
from knotwork.regression.failures import Failures
from knotwork.regression.limits import Limits
from knotwork.regression.plain import plain_laws
from knotwork.regression.term_formulas import template_of_terms
from knotwork.training import Reporter


@dataclass(frozen=True)
class BoundarySearch:
    """A search for boundaries of labels 0 and 1; `formulas` yields the candidates, with g positive for label 1.

    First g is a sum of terms, whose combinations are ranked by logistic regression. Then one input is searched for as a
    formula of the others, on points of the boundary of a smooth network. The constants of both are fitted to the labels
    themselves.
    """

    sample: LabelSample
    constraints: Constraints
    seed: int = 0
    reporter: Reporter = field(default_factory=Reporter)
    failures: Failures = field(default_factory=Failures)

    def formulas(self) -> Iterator[CandidateFormula]:
        """Candidates as they are found; ends at a plain one that predicts rows as well as a smooth network does."""
        best: CandidateFormula | None = None
        if self.reporter.stage("trying sums of products as boundaries") or self._late:
            return
        for found in self.failures.surviving(self._of_terms):
            best = found if best is None or found.bits < best.bits else best
            yield found
        if self._late or self.reporter.stage("drawing the boundary of a smooth network"):
            return
        draw = partial(boundary_points, self.sample, self.seed, self.reporter.within("drawing the boundary"))
        drawn = self.failures.attempt(draw)
        if drawn is None or (best is not None and self._enough(best, drawn)):
            return
        scatter = {name: _scatter(drawn, name, list(self.sample.columns)) for name in self.sample.columns}
        for name in sorted(scatter, key=lambda name: scatter[name]):
            if scatter[name] > BOUNDARIES.most_scatter or (best is not None and self._enough(best, drawn)):
                return
            if self._late or self.reporter.stage(f"trying formulas of {name} on the boundary"):
                return
            for found in self.failures.surviving(partial(self._explicit, name, drawn)):
                best = found if best is None or found.bits < best.bits else best
                yield found

    @property
    def _late(self) -> bool:
        return self.reporter.late

    def _enough(self, best: CandidateFormula, drawn: BoundaryPoints) -> bool:
        return best.complexity <= BOUNDARIES.plain_complexity and self._as_good(best.template, drawn)

    def _as_good(self, template: Template, drawn: BoundaryPoints) -> bool:
        """Whether this boundary has about as few rows on the wrong side as the network has."""
        wrong = (values_of(template, self.sample) > 0) != (self.sample.y > 0.5)
        share, n = float(drawn.wrong.double().mean()), len(self.sample)
        chance = BOUNDARIES.deviations_of_wrong * math.sqrt(share * (1 - share) * n)
        return int(wrong.sum()) <= share * n + chance + BOUNDARIES.spare_wrong

    def _of_terms(self) -> Iterator[CandidateFormula]:
        """Formulas of sums of terms."""
        straight = [n for n, name in enumerate(self.sample.columns) if name in self.constraints.linear]
        kinds = self.reporter.timely(((), self.constraints.functions))
        fits = [fit for own in kinds for fit in sums_of_terms(self.sample, own, straight)]
        for fit in self.reporter.timely(fits):
            templates = [_up_to_scale(template_of_terms(fit, self.sample, last)) for last in (False, True)]
            found = [self.fitted(template, str(fit)) for template in templates]
            yield from sorted((one for one in found if one is not None), key=lambda one: one.bits)[:1]

    def _explicit(self, name: str, drawn: BoundaryPoints) -> Iterator[CandidateFormula]:
        """Formulas g = ±(input - formula of the others), from the points of the network's boundary."""
        from knotwork.expressions import symbol

        columns = drawn.columns(list(self.sample.columns))
        target = columns.pop(name)
        on_boundary = Sample(columns, target)
        found = sorted(self._of_points(name, drawn, on_boundary), key=lambda one: one.bits)
        least = max(BOUNDARIES.most_distance * on_boundary.scale, min((one.error for one in found), default=0.0))
        for candidate in [one for one in found if one.error <= least][: BOUNDARIES.explicit_named]:
            template = candidate.template
            explicit = replace(template, expression=symbol(name) - template.expression)
            result = self.fitted(self.oriented(explicit), f"{name} as {candidate.structure} of the others")
            if result is not None:
                yield result

    def _of_points(self, name: str, drawn: BoundaryPoints, points: Sample) -> list[CandidateFormula]:
        """Formulas of an input on the boundary: plain laws, then a search that ends soon after the labels are told."""
        from knotwork.expressions import symbol

        train, good = int(BOUNDARIES.train_share * len(points)), 0
        found = [
            CandidateFormula.of(words, simplified(law, points), points)
            for words, law in plain_laws(points, BOUNDARIES.laws)
        ]
        free = replace(self.constraints, linear=(), limits=Limits())  # those of g
        search = free.search(points, train, seed=self.seed, reporter=self.reporter, failures=self.failures)
        for candidate in search.formulas():
            found.append(candidate)
            explicit = replace(candidate.template, expression=symbol(name) - candidate.template.expression)
            good += self._as_good(fitted(self.oriented(explicit), self.sample), drawn)
            if self._late or good > BOUNDARIES.after_good:
                break
        return found

    def oriented(self, template: Template) -> Template:
        """The template or its negative: that which is positive where label 1 is more frequent."""
        values, y = values_of(template, self.sample), self.sample.y
        negative = float(torch.sign(values) @ (y - y.mean())) < 0
        return replace(template, expression=-template.expression) if negative else template

    def fitted(self, template: Template, structure: str) -> CandidateFormula | None:
        """The candidate with its constants fitted to the labels, simple ones rounded; None where it is not allowed."""
        from knotwork.expressions import algebra, complexity

        sample = self.sample
        together = algebra.cancel(template.expression)  # an input that cancels does not matter
        if complexity(together) < complexity(template.expression):
            template = replace(template, expression=together)
        template = simplified(fitted(self.oriented(template), sample), sample)
        if not math.isfinite(template.mse) or not template.filled().free_symbols:
            return None
        found = CandidateFormula.of(structure, template, sample)
        symbols = _functions(template.expression) - (1 - BOUNDARIES.price_of_symbol) * found.complexity
        found = replace(found, bits=found.bits + symbols * math.log2(len(sample)))
        return self.constraints.satisfied(found, sample)


def _functions(expression: Any) -> int:
    """Number of functions other than powers. Labels tell little about the shape of g away from the boundary, so that
    cos(x) + cos(y) is as good as a circle: of boundaries that are about as good, those without functions come first."""
    return len(expression.find(lambda part: part.is_Function))


def _up_to_scale(template: Template) -> Template:
    """The template with 1 in place of the constant in front: g = 0 does not depend on it."""
    from knotwork.expressions import algebra

    expression = template.expression
    outer = [factor for factor in algebra.Mul.make_args(expression) if factor in template.values]
    for symbol in outer:
        expression = expression.xreplace({symbol: algebra.Integer(1)})
    left = expression.free_symbols
    return replace(template, expression=expression, values={s: v for s, v in template.values.items() if s in left})


def _scatter(drawn: BoundaryPoints, name: str, names: list[str]) -> float:
    """Half the mean squared difference of an input between neighbours in the others, as a share of its variance."""
    columns = drawn.columns(names)
    target = columns.pop(name)
    if not columns or len(target) < 2:
        return math.inf
    x = torch.stack(list(columns.values()), 1)
    unit = (x - x.mean(0)) / x.std(0).clamp_min(1e-300)
    apart = torch.cdist(unit, unit)
    apart.fill_diagonal_(torch.inf)
    return float((target - target[apart.argmin(1)]).square().mean()) / (2 * float(target.var()) + 1e-300)
