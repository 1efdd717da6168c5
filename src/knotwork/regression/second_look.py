"""What is still tried where the residuals of a formula look random: one with less noise, and a shorter one."""

import math
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from knotwork.regression.candidate_formulas import CandidateFormula
from knotwork.regression.fewer_variables import functions_of_pairs
from knotwork.regression.settings import REGRESSION

if TYPE_CHECKING:
    from knotwork.regression.search import AnyFit, Search


def second_look(search: "Search") -> Iterator[CandidateFormula]:
    """Formulas for a search that would end with noise: its formula may have too much of it, or too many symbols."""
    for tried in (less_noise, fewer_variables, fewer_symbols):
        if not (search.late or search.least_formula_error == math.inf):
            yield from tried(search)


def less_noise(search: "Search") -> Iterator[CandidateFormula]:
    """What residuals look random of is not finished where functions with constants inside explain more.

    A formula of few symbols is: of an approximation, it takes many.
    """
    if search.inside_tried or search.shortest <= REGRESSION.short_formula:
        return
    fits = search.failures.attempt(lambda: list(search.inside_fits(search.terms_of_table(), plain=True)))
    for fit in sorted(fits or [], key=lambda fit: fit.bits)[:1]:
        gain = math.log2(search.least_formula_error / max(fit.rms(search.rows), 1e-300))
        if len(search.sample) * gain > REGRESSION.symbols_of_less_noise * math.log2(len(search.sample)):
            yield from _formulas(search, fit)


def fewer_variables(search: "Search") -> Iterator[CandidateFormula]:
    """A sum of many terms may be a short function of a difference or sum of two inputs."""
    if not search.symmetries_tried and search.shortest > REGRESSION.short_formula:
        search.done, search.remaining = False, None  # one of these ends the search anew
        yield from functions_of_pairs(search, REGRESSION.wide_symmetry_tolerance)
        search.done = True


def fewer_symbols(search: "Search") -> Iterator[CandidateFormula]:
    """A sum of many terms may be the shape of a ratio with a simple denominator."""
    if search.ratios_tried or search.shortest <= REGRESSION.short_formula:
        return
    fits = sorted(search.failures.surviving(search.terms_of_table().simple_ratios), key=lambda fit: fit.bits)
    for fit in fits[: REGRESSION.ratios_of_second_look]:
        yield from _formulas(search, fit)


def _formulas(search: "Search", fit: "AnyFit") -> Iterator[CandidateFormula]:
    """Formulas of a fit for the targets of the search."""
    for formula in search.failures.surviving(partial(search.formulas_of_terms, fit)):
        yield formula.negated() if search.negative else formula
