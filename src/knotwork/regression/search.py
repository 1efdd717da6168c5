"""The search for a formula of a table: structures of curves are fitted, and those that fit best are named."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from knotwork.formulas.constants import Sample, values_of
from knotwork.formulas.settings import FORMULAS
from knotwork.functions import NamedFunction
from knotwork.regression.candidate_formulas import CandidateFormula, Unnamed, formula_of_structure, formulas_of_ridges
from knotwork.regression.curve_formulas import formulas_of_curve
from knotwork.regression.curve_names import EXPONENTIAL, IDENTITY, UNUSUAL_OUTER, USUAL_OUTER, OuterFunction
from knotwork.regression.failures import Failures
from knotwork.regression.fewer_variables import curves_of_one_product, functions_of_pairs
from knotwork.regression.inside import InsideFit, InsideTerms, formulas_of_inside
from knotwork.regression.residual_randomness import looks_random
from knotwork.regression.ridges import fit_ridges
from knotwork.regression.second_look import second_look
from knotwork.regression.settings import REGRESSION
from knotwork.regression.structures import Rows, Structure, fit_structure, partitions, positive_share
from knotwork.regression.term_fits import TermFit
from knotwork.regression.term_formulas import formula_of_terms
from knotwork.regression.term_search import TermSearch
from knotwork.regression.term_settings import TERMS
from knotwork.regression.what_is_left import with_what_is_left
from knotwork.sizes import root_mean_square
from knotwork.training import Reporter

AnyFit = TermFit | InsideFit


class Search:
    """A search for formulas of one table; `formulas` yields them as they are found.

    The formula of a single input is searched for as that of a curve. The stages fit ever more general structures: sums
    of products of powers, sums of curves, curves of one product, fewer variables by symmetry, ratios, powers, ridges,
    sums of products of curves, unusual outer functions, constants inside functions. After a stage in which one comes
    close, and in the end, the best are named. The search ends at a formula that is exact to rounding, and soon after
    one whose residuals look random. A structure or formula whose calculation fails is dropped.

    Args:
        sample: training rows first, then validation rows.
        train: number of training rows.
        functions: what curves may be named with.
        seed: of the random starts.
        until: `time.perf_counter()` at which the search ends, with what it has.
        reporter: is told when a stage begins; the search ends there if a callback asks to stop.
        excluded: columns (n,) that take no part in formulas, but that residuals must not depend on either.
        after_noise: formulas still tried after one whose residuals look random; None: as in the settings.
        failures: counts what is dropped.
    """

    def __init__(
        self,
        sample: Sample,
        train: int,
        functions: Sequence[NamedFunction],
        seed: int = 0,
        until: float = math.inf,
        reporter: Reporter | None = None,
        excluded: Sequence[Tensor] = (),
        after_noise: int | None = None,
        failures: Failures | None = None,
    ) -> None:
        self.sample, self.train, self.functions, self.seed = sample, train, functions, seed
        self.reporter, self.excluded = reporter or Reporter(), list(excluded)
        self.deadline = self.reporter.before(until)
        self.failures = failures or Failures()
        self.after_noise = REGRESSION.formulas_after_noise if after_noise is None else after_noise
        self.generator = torch.Generator().manual_seed(seed)
        self.negative = positive_share(-sample.y) > REGRESSION.negative_share
        y = -sample.y if self.negative else sample.y
        self.rows = Rows.of(list(sample.columns.values()), y, train, sample.relative, sample.weights)
        self.positive_sample = replace(sample, y=y)
        self.error_of_mean = self.rows.error_of_mean
        self.candidates: list[Unnamed] = []  # fitted, but not named yet
        self.fitted: list[Unnamed] = []  # all, but those whose formulas are not allowed
        self.remaining: int | None = None  # formulas still tried after one whose residuals look random
        self.named = 0
        self.done = self.exact = self.inside_tried = self.ratios_tried = self.symmetries_tried = False
        self.least_formula_error = math.inf  # of those that are allowed
        self.shortest: float = math.inf  # symbols of the shortest one that ended a search
        self.term_search: TermSearch | None = None
        self.best: CandidateFormula | None = None  # the one with the least error
        self.rests_tried, self.error_of_rest = 0, math.inf

    @property
    def least_error(self) -> float:
        """The least validation error of all structures."""
        return min((one.error for one in self.fitted), default=math.inf)

    @property
    def least_penalised(self) -> float:
        """The same with the penalties for curves."""
        return min((one.penalised for one in self.fitted), default=math.inf)

    @property
    def late(self) -> bool:
        """Whether the time is used up, or a callback asks to stop."""
        return self.deadline.late

    def formulas(self, stages: slice = slice(None)) -> Iterator[CandidateFormula]:
        """Candidate formulas, as they are found; with `stages`, those of some stages, after which others may follow."""
        first = (self.curve, self.simple_terms, self.sums)
        product, pairs = partial(curves_of_one_product, self), partial(functions_of_pairs, self)
        curves = (self.ridges, self.products, self.unusual)
        terms = (self.simple_ratios, self.inside, self.large_terms, self.terms_without_noise)
        for stage in (*first, product, pairs, self.ratios, *curves, *terms, self.best_formulas)[stages]:
            if stage not in first and self.late:
                yield from () if self.named or self.reporter.stopped else self.best_formulas()
                return
            found = stage()
            if found is not None:
                yield from found
            if not (self.done or self.late):
                yield from with_what_is_left(self)
            if self.done or self.reporter.stopped:
                if not (self.exact or self.reporter.stopped):
                    yield from second_look(self)
                return

    # --- stages: each returns formulas of the best structures; None if more are needed or a callback asks to stop ---

    def curve(self) -> Iterator[CandidateFormula] | None:
        """Formulas of a single input: sums, products, ratios and compositions of functions."""
        if len(self.rows.axes) > 1 or self.reporter.stage("trying formulas of one variable"):
            return None
        return self.judged(
            self.failures.surviving(partial(formulas_of_curve, self.sample, self.functions, self.deadline))
        )

    def simple_terms(self) -> Iterator[CandidateFormula] | None:
        """Sums of products of powers, which are named at once if they are exact."""
        return self.terms("trying sums of products of powers", lambda search: search.simple_sums())

    def ratios(self) -> Iterator[CandidateFormula] | None:
        """Ratios of such sums."""
        return self.terms("trying ratios of sums", lambda search: search.ratios())

    def simple_ratios(self) -> Iterator[CandidateFormula] | None:
        """Those with a simple denominator, of which noise hides fewer."""
        self.ratios_tried = True
        return self.terms("trying ratios with a simple denominator", lambda search: search.simple_ratios())

    def inside(self) -> Iterator[CandidateFormula] | None:
        """Sums of terms that have functions with constants inside."""
        return self.terms("trying functions with constants inside", self.inside_fits)

    def inside_fits(self, terms: TermSearch, plain: bool = False) -> Iterator[InsideFit]:
        """The best sums of such terms; only without an outer function if `plain`."""
        self.inside_tried = True
        if InsideTerms.possible(self.rows):
            enough = partial(self.random, plain)
            yield from InsideTerms(self.rows, terms, self.functions).fits(enough)

    def large_terms(self) -> Iterator[CandidateFormula] | None:
        """Sums of terms of many kinds."""
        return self.terms("trying sums of many products", lambda search: search.large_sums())

    def terms_without_noise(self) -> Iterator[CandidateFormula] | None:
        """Sums and ratios once more, chosen by targets without most of their noise."""
        return self.terms("trying sums and ratios without noise", lambda search: search.without_noise())

    def terms(self, stage: str, fits: Callable[[TermSearch], Iterator[AnyFit]]) -> Iterator[CandidateFormula] | None:
        """The best fits of terms as candidates; their formulas at once if one is exact, or leaves what looks random."""
        if self.late or self.reporter.stage(stage):
            return None
        found = sorted(self.failures.surviving(partial(fits, self.terms_of_table())), key=lambda fit: fit.bits)
        for fit in self.kept(found):
            self._add(fit.validation_error, fit.size, partial(self.formulas_of_terms, fit))
        exact = any(fit.validation_error < TERMS.exact_terms for fit in found)
        return self.best_formulas() if exact or (found and self.random(False, found[0])) else None

    def random(self, always: bool, fit: AnyFit) -> bool:
        """Whether the residuals of a fit look random, and no structure is closer; true if `always`."""
        columns = [*self.sample.columns.values(), *self.excluded]
        close = fit.validation_error <= REGRESSION.explained_ratio * self.least_error
        return always or bool(close and self.failures.attempt(partial(looks_random, columns, fit.residuals)))

    def terms_of_table(self) -> TermSearch:
        """The search for terms, begun once."""
        if self.term_search is None:
            self.term_search = TermSearch(self.rows, self.functions, self.seed, self.deadline)
        return self.term_search

    def formulas_of_terms(self, fit: AnyFit) -> Iterator[CandidateFormula]:
        """Formulas of a fit of terms."""
        if isinstance(fit, InsideFit):
            yield from formulas_of_inside(fit, self.positive_sample)
        else:
            yield formula_of_terms(fit, self.positive_sample)

    def kept(self, fits: list[AnyFit]) -> list[AnyFit]:
        """Those of these fits, the best first, that become candidates."""
        return fits[: TERMS.term_fits_kept]

    def sums(self) -> Iterator[CandidateFormula] | None:
        """Sums of curves, which are linear problems; under an exponential they are products."""
        if self.reporter.stage("trying sums and products of curves"):
            return None
        n, late = len(self.rows.axes), self.late
        for outer in [IDENTITY] if late else [*self.usual_outer(), *self.unusual_outer()]:
            self.add(Structure(outer, tuple((i,) for i in range(n))), always=True)
        if n > 1 and EXPONENTIAL not in self.usual_outer():
            self.add(Structure(IDENTITY, (tuple(range(n)),)))
        close = self.least_error < REGRESSION.early_error_of_sums
        return self.best_formulas() if n == 1 or late or close or self.parted() else None

    def parted(self) -> bool:
        """Whether a sum of products in which every input stands once explains as much as one with all curves."""
        n, before = len(self.rows.axes), -math.inf
        every = (*((i,) for i in range(n)), tuple(range(n)))
        for terms in [every, *partitions(n)] if 2 < n <= REGRESSION.most_inputs_of_partitions else []:
            self.add(Structure(IDENTITY, terms))
            if self.least_error > REGRESSION.early_error_of_ridges:
                return False
            before = self.least_penalised if terms is every else before
        return self.least_penalised < before

    def ridges(self) -> Iterator[CandidateFormula] | None:
        """Powers and curves of products of powers; curves times a sum of curves."""
        n = len(self.rows.axes)
        if n == 1 or self.reporter.stage("trying powers and ridges"):
            return None
        wide = any(axis.positive and not axis.logarithmic for axis in self.rows.axes)
        for count in (1, 2):
            for free_sides in (False, True) if wide else (False,):
                self.add_ridges(count, free_sides)
        for outer in self.usual_outer():
            if outer is not EXPONENTIAL and n <= REGRESSION.most_inputs_of_products:
                self.add(Structure(outer, tuple((i,) for i in range(n)), tuple(range(n))))
        return self.best_formulas() if self.least_error < REGRESSION.early_error_of_ridges else None

    def products(self) -> Iterator[CandidateFormula] | None:
        """Sums of two and three products of curves, and of one product and curves of single inputs."""
        n = len(self.rows.axes)
        if n == 1 or n > REGRESSION.most_inputs_of_products or self.reporter.stage("trying sums of products"):
            return None
        for outer in self.usual_outer():
            if outer is not EXPONENTIAL:
                for rank in (2, 3):
                    self.add(Structure(outer, (tuple(range(n)),) * rank))
                if n > 2:
                    self.add(Structure(outer, (*((i,) for i in range(n)), tuple(range(n)))))
        return self.best_formulas() if self.least_error < REGRESSION.early_error_of_ridges else None

    def unusual(self) -> Iterator[CandidateFormula] | None:
        """Products of curves, and sums of two products, under outer functions that are rare."""
        n = len(self.rows.axes)
        if n == 1 or self.reporter.stage("trying unusual outer functions"):
            return None
        for outer in self.unusual_outer() if n <= REGRESSION.most_inputs_of_products else ():
            for rank in (1, 2):
                self.add(Structure(outer, (tuple(range(n)),) * rank))
        return self.best_formulas() if self.least_error < REGRESSION.early_error_of_ridges else None

    def usual_outer(self) -> list[OuterFunction]:
        """Usual outer functions whose inverse the target has, except in a few rows with noise."""
        positive = positive_share(self.rows.y) > REGRESSION.positive_share
        return [outer for outer in USUAL_OUTER if not outer.positive or positive]

    def unusual_outer(self) -> list[OuterFunction]:
        """Unusual outer functions whose inverse the target has."""
        return [outer for outer in UNUSUAL_OUTER if outer.invertible(self.rows.y)]

    # --- structures ---

    def add(self, structure: Structure, always: bool = False) -> None:
        """Fit a structure of curves and keep it as a candidate.

        Unless `always` is set, it is passed over if the time is used up, or if there are few rows for its coefficients.
        """
        size = sum(self.rows.axes[i].basis.shape[1] for _, i in structure.places)
        if not always and (self.late or size > self.train / REGRESSION.rows_per_coefficient):
            return
        fit = self.failures.attempt(lambda: fit_structure(self.rows, structure, self.generator))
        if fit is None:
            return

        naming = partial(formula_of_structure, fit, self.rows, self.positive_sample, self.functions, self.deadline)
        unusual = REGRESSION.curves_of_unusual_outer * (structure.outer in UNUSUAL_OUTER)
        self._add(fit.validation_error, len(structure.places) + unusual, lambda: filter(None, [naming()]))

    def add_ridges(self, count: int, free_sides: bool) -> None:
        """Fit this number of ridges and keep them as a candidate."""
        if self.late:
            return
        found = self.failures.attempt(lambda: fit_ridges(self.rows, count, self.generator, free_sides))
        if found is not None:
            curves = len(self.rows.axes) + count
            self._add(
                found.validation_error,
                curves,
                lambda: formulas_of_ridges(found, self.rows, self.positive_sample, self.functions),
            )

    def _add(self, error: float, curves: int, formulas: Callable[[], Iterator[CandidateFormula]]) -> None:
        if math.isfinite(error):
            candidate = Unnamed(error, error * REGRESSION.penalty_of_curve**curves, formulas)
            self.candidates.append(candidate)
            self.fitted.append(candidate)

    # --- formulas ---

    def best_formulas(self) -> Iterator[CandidateFormula]:
        """Formulas of the structures that fit best; each structure is named once."""
        settings = REGRESSION
        for candidate in sorted(self.candidates, key=lambda candidate: candidate.penalised):
            late = self.late
            near = (
                candidate.error <= settings.worst_validation_error * self.error_of_mean
                and candidate.penalised <= settings.largest_ratio_to_best * self.least_penalised
            )
            most = self.named >= settings.most_structures_named
            if self.done or most or not near or (self.named and late):
                return
            self.candidates.remove(candidate)
            self.named += 1
            allowed = None
            for formula in self.failures.surviving(candidate.formulas):
                found = formula.negated() if self.negative else formula
                yield found
                allowed = self.judge(found) or bool(allowed)
                if self.done or self.late:
                    return
            if allowed is False:
                self.forget(candidate)

    def judged(self, formulas: Iterator[CandidateFormula]) -> Iterator[CandidateFormula]:
        """These formulas, the best of which may end the search."""
        yield from (found := list(formulas))
        if found:
            self.judge(found[0])
            self.done = self.done or self.remaining is not None

    def forget(self, candidate: Unnamed) -> None:
        """A candidate whose formulas are not allowed is no measure for others."""
        self.fitted.remove(candidate)
        self.named -= 1
        if self.term_search is not None:
            self.term_search.least_loss = math.inf

    def judge(self, formula: CandidateFormula) -> bool:
        """Decide whether this formula ends the search, now or soon; whether it is allowed at all."""
        if formula.error < self.least_formula_error:
            self.best, self.least_formula_error = formula, formula.error
        if formula.error <= FORMULAS.exact_error * self.sample.scale:
            self.done = self.exact = True
        elif self.remaining is None and self.failures.attempt(partial(self.leaves_noise, formula)):
            self.remaining = self.after_noise
            self.shortest = min(self.shortest, formula.complexity)
        elif self.remaining is not None:
            self.remaining -= 1
            self.done = self.remaining <= 0
            if formula.complexity < self.shortest and self.failures.attempt(partial(self.leaves_noise, formula)):
                self.shortest = formula.complexity
        return True

    def leaves_noise(self, formula: CandidateFormula) -> bool:
        """Whether the residuals of a formula look random, and curves do not explain much more than it does."""
        if not formula.template.expression.free_symbols - set(formula.template.values):
            return False  # a constant explains nothing
        residuals = self.sample.residuals(values_of(formula.template, self.sample))
        held_out = residuals[self.train :] if self.train < len(residuals) else residuals  # the rows of `least_error`
        most = min(REGRESSION.explained_ratio * self.least_error, 1.0) * self.rows.scale
        if not float(root_mean_square(held_out)) <= most:
            return False
        return looks_random([*self.sample.columns.values(), *self.excluded], residuals)

    def inner(self, sample: Sample) -> "Search | None":
        """The search of a table with fewer variables and the same rows; None, counted, if it fails at once."""
        options = {"until": self.deadline.until, "reporter": self.reporter, "failures": self.failures}
        begin = partial(Search, sample, self.train, self.functions, self.seed, excluded=self.excluded, **options)
        return self.failures.attempt(begin)
