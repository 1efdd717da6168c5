"""The search for a formula of a table: structures of curves are fitted, and those that fit best are named."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from torch import Tensor

from knotwork.formulas.constants import Sample, values_of
from knotwork.formulas.settings import FORMULAS
from knotwork.functions import NamedFunction
from knotwork.regression.candidate_formulas import CandidateFormula, Formulas, Unnamed
from knotwork.regression.curve_formulas import formulas_of_curve
from knotwork.regression.curve_names import EXPONENTIAL
from knotwork.regression.failures import Failures
from knotwork.regression.fewer_variables import curves_of_one_product, functions_of_pairs
from knotwork.regression.fitted_structures import AnyFit, FittedStructures
from knotwork.regression.inside import InsideFit, InsideTerms, formulas_of_inside
from knotwork.regression.residual_randomness import looks_random
from knotwork.regression.second_look import second_look
from knotwork.regression.settings import REGRESSION
from knotwork.regression.shifted_powers import shifted_powers
from knotwork.regression.structures import Structure
from knotwork.regression.term_formulas import formula_of_terms
from knotwork.regression.term_search import TermSearch
from knotwork.regression.term_settings import TERMS
from knotwork.regression.what_is_left import with_what_is_left
from knotwork.sizes import root_mean_square
from knotwork.training import Reporter


class Search(FittedStructures):
    """A search for formulas of one table; `formulas` yields them as they are found.

    The formula of a single input is searched for as that of a curve. The stages fit ever more general structures: sums
    of products of powers, sums of curves, powers of shifted inputs, curves of one product, fewer variables by symmetry,
    ratios, powers, ridges, sums of products of curves, unusual outer functions, constants inside functions. After a
    stage in which one comes close, and in the end, the best are named. The search ends at a formula that is exact to
    rounding, and soon after one whose residuals look random; after a second look where it is long. What fails is
    dropped.

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
        self.reporter, self.excluded, self.seed = reporter or Reporter(), list(excluded), seed
        super().__init__(sample, train, functions, seed, self.reporter.before(until), failures or Failures())
        self.after_noise = REGRESSION.formulas_after_noise if after_noise is None else after_noise
        self.quickly_named: list[Unnamed] = []  # those whose curves have no searched names yet
        self.remaining: int | None = None  # formulas still tried after one whose residuals look random
        self.named = 0
        self.done = self.exact = False
        self.inside_tried = self.ratios_tried = self.symmetries_tried = False
        self.least_formula_error = math.inf  # of those that are allowed
        self.leading: CandidateFormula | None = None  # the one of the fewest bits
        self.deeper_names = True  # whether compositions are searched for as names of curves
        self.term_search: TermSearch | None = None
        self.best: CandidateFormula | None = None  # the one with the least error
        self.rests_tried, self.error_of_rest = 0, math.inf

    def formulas(self, stages: slice = slice(None)) -> Iterator[CandidateFormula]:
        """Candidate formulas, as they are found; with `stages`, those of some stages, after which others may follow."""
        first = (self.curve, self.simple_terms, self.sums)
        shifted, product = partial(shifted_powers, self), partial(curves_of_one_product, self)
        pairs = partial(functions_of_pairs, self)
        curves = (self.ridges, self.products, self.unusual)
        terms = (self.simple_ratios, self.inside, self.large_terms, self.terms_without_noise)
        for stage in (*first, shifted, product, pairs, self.ratios, *curves, *terms, self.best_formulas)[stages]:
            if stage not in first and self.late:
                yield from () if self.named or self.reporter.stopped else self.best_formulas()
                return
            yield from stage() or ()
            if not (self.done or self.late):
                yield from with_what_is_left(self)
            if self.done or self.reporter.stopped:
                # exact terms are the law; exact products of curves are known only up to linear combinations
                if not (self.reporter.stopped or (self.exact and stage not in curves)):
                    yield from second_look(self)
                return

    # --- stages: each returns formulas of the best structures; None if more are needed or a callback asks to stop ---

    def curve(self) -> Iterator[CandidateFormula] | None:
        """Formulas of a single input: sums, products, ratios and compositions of functions."""
        if len(self.rows.axes) > 1 or self.reporter.stage("trying formulas of one variable"):
            return None
        formulas = partial(formulas_of_curve, self.sample, self.functions, self.deadline)
        return self.judged(self.failures.surviving(formulas))

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
        """Sums of terms that have functions with constants inside; the shortest that leaves little at once."""
        before = len(self.candidates)
        found = self.terms("trying functions with constants inside", self.inside_fits)
        most = min(REGRESSION.error_of_rest, REGRESSION.largest_ratio_to_best * self.least_error)
        close = [one for one in self.candidates[before:] if one.error <= most]
        if found is not None or not close:
            return found
        shortest = min(close, key=lambda one: one.penalised / one.error)
        self.candidates.remove(shortest)
        self.named += 1
        return self.formulas_of(shortest, shortest.formulas)

    def inside_fits(self, terms: TermSearch, plain: bool = False) -> Iterator[InsideFit]:
        """The best sums of such terms; only without an outer function if `plain`."""
        self.inside_tried = True
        if InsideTerms.possible(self.rows):
            enough = partial(self.random, plain)
            yield from InsideTerms(self.rows, terms, self.functions).fits(enough)

    def large_terms(self, alone: bool = False) -> Iterator[CandidateFormula] | None:
        """Sums of terms of many kinds, under all outer functions; under none if `alone`."""
        return self.terms("trying sums of many products", lambda search: search.large_sums(alone))

    def terms_without_noise(self) -> Iterator[CandidateFormula] | None:
        """Sums and ratios once more, chosen by targets without most of their noise."""
        return self.terms("trying sums and ratios without noise", lambda search: search.without_noise())

    def terms(self, stage: str, fits: Callable[[TermSearch], Iterator[AnyFit]]) -> Iterator[CandidateFormula] | None:
        """The best fits of terms as candidates; their formulas at once if one is exact, or leaves what looks random."""
        if self.late or self.reporter.stage(stage):
            return None
        found = sorted(self.failures.surviving(partial(fits, self.terms_of_table())), key=lambda fit: fit.bits)
        for fit in self.kept(found):
            self._add(fit, fit.size, partial(self.formulas_of_terms, fit))
        exact = any(fit.validation_error < TERMS.exact_terms for fit in found)
        return self.best_formulas() if exact or (found and self.random(False, found[0])) else None

    def random(self, always: bool, fit: AnyFit) -> bool:
        """Whether the residuals of a fit look random, and no structure is closer; true if `always`."""
        close = fit.validation_error <= REGRESSION.explained_ratio * self.least_error
        return always or bool(close and self.failures.attempt(partial(self.unexplained, fit.residuals)))

    def unexplained(self, residuals: Tensor) -> bool:
        """Whether nothing in the table predicts these residuals (n,)."""
        return looks_random([*self.sample.columns.values(), *self.excluded], residuals)

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
        late = self.late
        self.fit_sums(late)
        close = self.least_error < REGRESSION.early_error_of_sums
        return self.best_formulas() if len(self.rows.axes) == 1 or late or close or self.parted() else None

    def ridges(self) -> Iterator[CandidateFormula] | None:
        """Powers and curves of products of powers; curves times a sum of curves."""
        n = len(self.rows.axes)
        if n == 1 or self.reporter.stage("trying powers and ridges"):
            return None
        self.fit_ridges()
        for outer in self.usual_outer():
            if outer is not EXPONENTIAL and n <= REGRESSION.most_inputs_of_products:
                self.add(Structure(outer, tuple((i,) for i in range(n)), tuple(range(n))))
        return self.best_formulas(deeper=False) if self.least_error < REGRESSION.early_error_of_ridges else None

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
        return self.best_formulas(deeper=False) if self.least_error < REGRESSION.early_error_of_ridges else None

    def unusual(self) -> Iterator[CandidateFormula] | None:
        """Products of curves, and sums of two products, under outer functions that are rare."""
        n = len(self.rows.axes)
        if n == 1 or self.reporter.stage("trying unusual outer functions"):
            return None
        for outer in self.unusual_outer() if n <= REGRESSION.most_inputs_of_products else ():
            for rank in (1, 2):
                self.add(Structure(outer, (tuple(range(n)),) * rank))
        return self.formulas_if_close()

    def formulas_if_close(self) -> Iterator[CandidateFormula] | None:
        """The best formulas if a structure is exact to splines, or quick ones of it if it leaves what looks random."""
        if self.least_error < REGRESSION.early_error_of_ridges:
            return self.best_formulas()
        best = [
            one for one in self.candidates if one.penalised <= self.least_penalised or one.error <= self.least_error
        ]
        close = any(self.failures.attempt(partial(self.unexplained, one.residuals)) for one in best)
        return self.best_formulas(deeper=False) if close else None

    # --- formulas ---

    def best_formulas(self, deeper: bool = True) -> Iterator[CandidateFormula]:
        """Formulas of the structures that fit best; each structure is named once.

        If none of them leaves noise, compositions are searched for as names of their curves where `deeper`.
        """
        settings = REGRESSION
        for candidate in sorted(self.candidates, key=lambda candidate: candidate.penalised):
            near = (
                candidate.error <= settings.worst_validation_error * self.error_of_mean
                and candidate.penalised <= settings.largest_ratio_to_best * self.least_penalised
            )
            if self.done or not near or self.named >= settings.most_structures_named or (self.named and self.late):
                break
            self.candidates.remove(candidate)
            self.quickly_named.append(candidate)
            self.named += 1
            yield from self.formulas_of(candidate, candidate.formulas)
        deeper = deeper and self.deeper_names
        while deeper and self.quickly_named and self.remaining is None and not (self.done or self.late):
            candidate = self.quickly_named.pop(0)
            yield from self.formulas_of(candidate, candidate.deeper)

    def formulas_of(self, candidate: Unnamed, formulas: Formulas) -> Iterator[CandidateFormula]:
        """Formulas of a structure, until one ends the search; the structure is forgotten if none is allowed."""
        allowed = None
        for formula in self.failures.surviving(formulas):
            found = formula.negated() if self.negative else formula
            yield found
            allowed = self.judge(found) or bool(allowed)
            if self.done or self.late:
                return
        if allowed is False and candidate in self.fitted:  # it is no measure for others
            self.fitted.remove(candidate)
            self.named -= 1
            if self.term_search is not None:
                self.term_search.least_loss = math.inf

    def judged(self, formulas: Iterator[CandidateFormula]) -> Iterator[CandidateFormula]:
        """These formulas, the best of which may end the search."""
        yield from (found := list(formulas))
        if found:
            self.judge(found[0])
            self.done = self.done or self.remaining is not None

    def judge(self, formula: CandidateFormula) -> bool:
        """Decide whether this formula ends the search, now or soon; whether it is allowed at all."""
        if formula.error < self.least_formula_error:
            self.best, self.least_formula_error = formula, formula.error
        if self.leading is None or formula.bits < self.leading.bits:
            self.leading = formula
        if formula.error <= FORMULAS.exact_error * self.sample.scale:
            self.done = self.exact = True
        elif self.remaining is None:
            if self.failures.attempt(partial(self.leaves_noise, formula)):
                self.remaining = self.after_noise
        else:
            self.remaining -= 1
            self.done = self.remaining <= 0
        return True

    def leaves_noise(self, formula: CandidateFormula) -> bool:
        """Whether the residuals of a formula look random, and curves do not explain much more than it does."""
        if not formula.template.expression.free_symbols - set(formula.template.values):
            return False  # a constant explains nothing
        residuals = self.sample.residuals(values_of(formula.template, self.sample))
        held_out = residuals[self.train :] if self.train < len(residuals) else residuals  # the rows of `least_error`
        most = min(REGRESSION.explained_ratio * self.least_error, 1.0) * self.rows.scale
        return float(root_mean_square(held_out)) <= most and self.unexplained(residuals)

    def inner(self, sample: Sample, functions: Sequence[NamedFunction] | None = None) -> "Search | None":
        """The search of a table with other columns and the same rows; None, counted, if it fails at once."""
        options = {"until": self.deadline.until, "reporter": self.reporter, "failures": self.failures}
        own = self.functions if functions is None else functions
        begin = partial(Search, sample, self.train, own, self.seed, excluded=self.excluded, **options)
        return self.failures.attempt(begin)
