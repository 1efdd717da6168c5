"""What is still tried where a formula is exact or leaves noise: a shorter one."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from knotwork.formulas.constants import Template
from knotwork.regression.candidate_formulas import CandidateFormula, Formulas
from knotwork.regression.fewer_variables import functions_of_pairs
from knotwork.regression.settings import REGRESSION

if TYPE_CHECKING:
    from knotwork.regression.search import Search


def second_look(search: "Search") -> Iterator[CandidateFormula]:
    """Formulas for a search that would end: its formula may have too many symbols, or too much noise.

    The best formula is taken for the law, however long, if it has hardly a decimal, as approximations have some; so is
    a plane, which no function with a bend comes closer to.
    """
    for tried in (sums_of_curves, powers_and_ridges, constants_inside, fewer_variables, fewer_symbols):
        best = search.leading
        if search.late or best is None or best.complexity <= REGRESSION.short_formula:
            return
        if len(best.template.values) <= REGRESSION.decimals_of_law or is_plane(best.template):
            return
        if search.reporter.stage("trying shorter formulas"):
            return
        yield from tried(search)


def is_plane(template: Template) -> bool:
    """Whether an expression is a constant plus a number times each of its variables."""
    variables = template.expression.free_symbols - set(template.values)
    polynomial = template.expression.as_poly(*variables) if variables else None
    return polynomial is not None and polynomial.total_degree() <= 1


def constants_inside(search: "Search") -> Iterator[CandidateFormula]:
    """A sum of many terms may be a shorter one of functions with constants inside, which may leave less noise too."""
    if search.inside_tried:
        return
    fits = search.failures.attempt(lambda: list(search.inside_fits(search.terms_of_table(), plain=True)))
    for fit in sorted(fits or [], key=lambda fit: fit.bits)[:1]:
        yield from _told(search, partial(search.formulas_of_terms, fit))


def fewer_variables(search: "Search") -> Iterator[CandidateFormula]:
    """A sum of many terms may be a short function of a difference or sum of two inputs."""
    if not search.symmetries_tried:
        search.done, search.remaining = False, None  # one of these ends the search anew
        yield from functions_of_pairs(search, REGRESSION.wide_symmetry_tolerance, only_noise=True)
        search.done = True


def sums_of_curves(search: "Search") -> Iterator[CandidateFormula]:
    """A sum of many terms may be a sum or product of curves, such as a cosine that a polynomial comes close to."""
    if not search.sums_tried:
        yield from _of_structures(search, search.fit_sums)


def powers_and_ridges(search: "Search") -> Iterator[CandidateFormula]:
    """A sum of many terms may be powers of inputs times a short function of a product of powers."""
    if not search.ridges_tried:
        yield from _of_structures(search, search.fit_ridges)


def fewer_symbols(search: "Search") -> Iterator[CandidateFormula]:
    """A sum of many terms may be the shape of a ratio with a simple denominator."""
    if search.ratios_tried:
        return
    fits = sorted(search.failures.surviving(search.terms_of_table().simple_ratios), key=lambda fit: fit.bits)
    for fit in fits[: REGRESSION.ratios_of_second_look]:
        yield from _told(search, partial(search.formulas_of_terms, fit))


def _of_structures(search: "Search", fit: Callable[[], None]) -> Iterator[CandidateFormula]:
    """The first formulas of the best structures that are fitted now, if they come as close as what is known."""
    before = len(search.candidates)
    fit()
    most = REGRESSION.explained_ratio * search.least_error
    found = sorted((one for one in search.candidates[before:] if one.error <= most), key=lambda one: one.penalised)
    for candidate in found[: REGRESSION.structures_of_second_look]:
        yield from _told(search, candidate.formulas, REGRESSION.formulas_of_structure)


def _told(search: "Search", formulas: Formulas, most: int | None = None) -> Iterator[CandidateFormula]:
    """The first formulas, for the targets of the search, which knows the best one afterwards."""
    for formula in itertools.islice(search.failures.surviving(formulas), most):
        found = formula.negated() if search.negative else formula
        yield found
        search.judge(found)
