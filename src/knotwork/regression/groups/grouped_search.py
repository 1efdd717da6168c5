"""The search for a law whose constants differ by group: formulas of single groups, fitted to all of them together."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from knotwork.data import Dataset
from knotwork.formulas.constants import Constants, Sample, Template, fitted
from knotwork.formulas.grouped_constants import GroupedSample, GroupedTemplate, fitted_apart
from knotwork.formulas.grouped_measuring import values_of_groups
from knotwork.formulas.settings import FORMULAS
from knotwork.formulas.simplest_form import simplest
from knotwork.journal import clock
from knotwork.regression.candidate_formulas import CandidateFormula
from knotwork.regression.constraints import Constraints
from knotwork.regression.failures import Failures
from knotwork.regression.groups.common_laws import common_laws
from knotwork.regression.groups.parametrisations import generalised, parametrisations
from knotwork.regression.groups.settings import GROUPS
from knotwork.regression.groups.sharing import bits_of, least_bits, with_shared
from knotwork.regression.residual_randomness import looks_random, testable
from knotwork.training import Reporter


@dataclass(frozen=True)
class GroupedCandidate:
    """A law that was fitted to all groups, where it comes from in words, and its description length in bits."""

    template: GroupedTemplate
    structure: str
    bits: float


class GroupedSearch:
    """A search for one law of all groups; `laws` yields each better one as it is found.

    The law is searched for in all rows, with means and scales of the groups taken out, and in the groups with the most
    rows. Every formula that is found there is fitted to all groups, with all its constants differing. Then constants
    are shared as long as that takes fewer bits.

    Args:
        grouped: the rows to fit.
        constraints: what formulas must satisfy.
        seed: of the random starts.
        until: `clock()` at which the search ends.
        reporter: is told when a stage begins; the search ends there if a callback asks to stop.
        failures: counts what is dropped.
    """

    def __init__(
        self,
        grouped: GroupedSample,
        constraints: Constraints,
        seed: int = 0,
        until: float = math.inf,
        reporter: Reporter | None = None,
        failures: Failures | None = None,
    ) -> None:
        self.grouped, self.constraints, self.seed, self.until = grouped, constraints, seed, until
        self.reporter, self.failures = reporter or Reporter(), failures or Failures()
        self.least = math.inf
        self.exact = self.random = False
        self.seen: set[str] = set()

    def laws(self) -> Iterator[GroupedCandidate]:
        """Laws with their constants shared where that takes fewer bits, each with fewer bits than those before."""
        yield from self.better(self.simple_laws())
        if len(self.grouped.sample.columns) == 1 and not self.reporter.stage("trying common laws"):
            yield from self.best_of(self.common_fits())
        for name, search in self.sources():
            late = clock() > self.until
            if late or self.exact or self.random or self.reporter.stage(f"searching in {name}"):
                return
            yield from self.better(search())

    # --- where formulas come from ---

    def simple_laws(self) -> list[CandidateFormula]:
        """A constant, a straight line, and a power law where the columns allow it."""
        from knotwork.expressions import algebra, symbol

        sample, constant = self.grouped.sample, Constants()
        columns = {symbol(name): values for name, values in sample.columns.items()}
        line = algebra.Add(constant(float(sample.y.mean())), *(constant(0.0) * one for one in columns))
        laws = [("a straight line", constant.template(line))]
        laws.append(("a constant", constant.template(next(iter(constant.values)))))
        if all(bool((values > 0).all()) for values in columns.values()):
            constant = Constants()
            power = algebra.Mul(constant(float(sample.y.mean())), *(one ** constant(1.0) for one in columns))
            laws.append(("a power law", constant.template(power)))
        return [CandidateFormula.of(words, fitted(one, sample), sample) for words, one in reversed(laws)]

    def sources(self) -> Iterator[tuple[str, Any]]:
        """Searches with their names: in single groups, in all rows without the means and scales of the groups."""
        largest = self.grouped.rows.argsort(descending=True, stable=True)[: GROUPS.largest_groups].tolist()
        yield "the largest group", partial(self.in_group, largest[0])
        yield "all groups without their scales", partial(self.in_all_rows, shifted=False)
        for group in largest[1:]:
            yield "another large group", partial(self.in_group, group)
        yield "all groups without their means and scales", partial(self.in_all_rows, shifted=True)

    def in_group(self, group: int) -> list[CandidateFormula]:
        """Formulas of the rows of one group."""
        return self.searched(self.grouped.of(group))

    def in_all_rows(self, shifted: bool) -> list[CandidateFormula]:
        """Formulas of all rows times a constant, and plus another one if `shifted`."""
        from knotwork.expressions import algebra

        sample, rows = self.grouped.sample, self.grouped.rows.clamp_min(1)

        def mean(values: Tensor) -> Tensor:
            total = torch.zeros(self.grouped.count, dtype=values.dtype).index_add_(0, self.grouped.group, values)
            return (total / rows)[self.grouped.group]

        middle = mean(sample.y) if shifted else torch.zeros_like(sample.y)
        size = mean((sample.y - middle).square()).sqrt().clamp_min(1e-300)
        found = self.searched(Sample(sample.columns, (sample.y - middle) / size, sample.relative and not shifted))
        laws = []
        for one in found:
            values = dict(one.template.values)
            scale, offset = algebra.Symbol("\0scale", real=True), algebra.Symbol("\0offset", real=True)
            expression = scale * one.template.expression + (offset if shifted else 0)
            values |= {scale: float(size.mean()), **({offset: float(middle.mean())} if shifted else {})}
            laws.append(CandidateFormula(one.structure, Template(expression, values), one.bits, one.complexity))
        return laws

    def searched(self, sample: Sample) -> list[CandidateFormula]:
        """The best formulas of a sample, in about the time that one source may take."""
        order = torch.randperm(len(sample), generator=torch.Generator().manual_seed(self.seed))
        mixed = Sample(
            {name: column[order] for name, column in sample.columns.items()}, sample.y[order], sample.relative
        )
        train = len(sample) - max(1, len(sample) // 5)
        until = min(self.until, clock() + GROUPS.seconds_of_source)
        search = self.constraints.search(
            mixed, train, seed=self.seed, until=until, reporter=self.reporter, failures=self.failures
        )
        found = [
            one
            for one in search.formulas()
            if self.failures.attempt(partial(self.constraints.allows, one.template.filled(), mixed))
        ]
        best = sorted(found, key=lambda one: one.bits)[: GROUPS.formulas_of_source]
        return [self.failures.attempt(partial(_shortest, one, mixed)) or one for one in best]

    # --- all groups together ---

    def better(self, found: Sequence[CandidateFormula]) -> Iterator[GroupedCandidate]:
        """The formulas fitted to all groups, with shared constants, where they take fewer bits than all before."""
        yield from self.best_of(
            fit for formula in found for fit in self.failures.surviving(partial(self.fits, formula))
        )

    def common_fits(self) -> Iterator[tuple[str, GroupedTemplate]]:
        """Fits of common laws, which take fewer bits: half of their symbols count, as a list of few names them."""
        sample = self.grouped.of(int(self.grouped.rows.argmax()))
        for words, size, starts in self.failures.surviving(
            lambda: common_laws(sample, self.seed, GROUPS.starts_of_common_law)
        ):
            if clock() > self.until or self.reporter.stopped:
                return
            law = starts[0]
            if len(law.values) * self.grouped.count > len(self.grouped.sample) / GROUPS.constants_of_rows:
                continue
            if not self.constraints.allows(law.filled(), sample):
                continue
            fit = self.failures.attempt(partial(fitted_apart, starts, self.grouped))
            if fit is not None and math.isfinite(fit.mse):
                yield words, replace(fit, named=size)

    def best_of(self, found: Iterable[tuple[str, GroupedTemplate]]) -> Iterator[GroupedCandidate]:
        """The fits with shared constants, where they take fewer bits than all before."""
        fits = list(found)
        for words, one in sorted(fits, key=lambda fit: least_bits(fit[1], self.grouped)):
            if clock() > self.until and self.least < math.inf:
                return
            if least_bits(one, self.grouped) >= self.least:
                continue
            law = self.failures.attempt(partial(with_shared, one, self.grouped))
            if law is None or not math.isfinite(law.mse) or not self.allowed(law):
                continue
            bits = bits_of(law, self.grouped)
            if bits < self.least - GROUPS.least_gain_of_law:
                self.least = bits
                self.exact = math.sqrt(law.mse) <= FORMULAS.exact_error * self.grouped.sample.scale
                self.random = bool(self.failures.attempt(partial(self.leaves_noise, law)))
                yield GroupedCandidate(law, words, bits)

    def allowed(self, law: GroupedTemplate) -> bool:
        """Whether the formula of every group satisfies the constraints."""
        asked = self.constraints
        if not (asked.forbidden or asked.linear or asked.only or asked.limits.any):
            return True
        return all(asked.allows(law.of(g).filled(), self.grouped.of(g)) for g in range(self.grouped.count))

    def leaves_noise(self, law: GroupedTemplate) -> bool:
        """Whether the residuals of a law depend on no input any more, over all rows and in the largest groups.

        Groups with too few rows for that test count among all rows only.
        """
        sample, group = self.grouped.sample, self.grouped.group
        residuals = sample.residuals(values_of_groups(law, self.grouped))
        parts = [torch.ones_like(group, dtype=torch.bool)]
        largest = self.grouped.rows.argsort(descending=True)[: GROUPS.largest_groups].tolist()
        columns = len(sample.columns)
        parts += [group == g for g in largest if testable(int(self.grouped.rows[g]), columns)]
        return all(looks_random([c[own] for c in sample.columns.values()], residuals[own]) for own in parts)

    def fits(self, formula: CandidateFormula) -> Iterator[tuple[str, GroupedTemplate]]:
        """Fits of a formula, and of more general ones, with all constants differing."""
        from knotwork.expressions import algebra, complexity, symbol

        positive = {symbol(name): bool((c > 0).all()) for name, c in self.grouped.sample.columns.items()}
        shape = formula.template.expression
        joined: Any = algebra.together(shape)
        shape = joined if complexity(joined) <= complexity(shape) else shape
        for general, values in generalised(shape, formula.template.values, positive):
            own = {place: torch.tensor([value], dtype=torch.float64) for place, value in values.items()}
            written, constants = next(parametrisations(general, own, 1))
            text, most = str(written), len(self.grouped.sample) / GROUPS.constants_of_rows
            if text in self.seen or len(constants) * self.grouped.count > most:
                continue
            self.seen.add(text)
            start = Template(written, {place: float(value) for place, value in constants.items()})
            fit = fitted_apart([start], self.grouped)
            if math.isfinite(fit.mse):
                yield formula.structure, fit


def _shortest(formula: CandidateFormula, sample: Sample) -> CandidateFormula:
    """The same formula in its shortest form."""
    from knotwork.expressions import parametrise

    names, X = tuple(sample.columns), torch.stack(list(sample.columns.values()), 1)
    data = Dataset(X, sample.y[:, None], X[:0], sample.y[:0, None], X[:0], sample.y[:0, None], names, ("",))
    expression, symbols, values = parametrise(simplest(formula.template.filled(), data, sample.relative))
    return replace(formula, template=Template(expression, dict(zip(symbols, values, strict=True))))
