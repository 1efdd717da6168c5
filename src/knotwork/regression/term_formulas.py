"""Formulas of sums and ratios of terms: common powers are taken out, then all constants are fitted together."""

import math
from collections.abc import Sequence
from typing import Any

from knotwork.formulas.constants import Constants, Sample, Template, fitted, simplified
from knotwork.regression.candidate_formulas import CandidateFormula
from knotwork.regression.curve_names import EXPONENTIAL
from knotwork.regression.term_fits import Sum, TermFit
from knotwork.regression.term_table import Powers, Term


def formula_of_terms(fit: TermFit, sample: Sample) -> CandidateFormula:
    """The formula of a fit, with its constants fitted to the targets themselves and simple ones rounded.

    Where constants are left, a sum that begins with a constant is tried with another coefficient outside: those of
    4·(9/5 - x - y) are simple numbers, and of 36/5·(1 - 5/9·x - 5/9·y) none is.
    """

    def formula(template: Template) -> CandidateFormula:
        return CandidateFormula.of(str(fit), simplified(fitted(template, sample), sample), sample)

    template = template_of_terms(fit, sample)
    found = formula(template)
    if not found.template.values:
        return found
    other = template_of_terms(fit, sample, constant_last=True)
    return found if other == template else min(found, formula(other), key=lambda one: one.bits)


def template_of_terms(fit: TermFit, sample: Sample, constant_last: bool = False) -> Template:
    """The expression of a fit with its constants; the coefficient of the first term above is taken out of the sum."""
    from knotwork.expressions import algebra, symbol

    writer, frame = _Writer(fit, [symbol(name) for name in sample.columns]), fit.frame
    factor = int(frame.sign) * writer.term(frame.factor)
    shrunk = math.exp(-fit.table.logarithm_of_scale(frame.factor.powers))
    if frame.outer is EXPONENTIAL:
        return writer.constant.template(writer.constant(shrunk) * factor * writer.exponential())
    none = Term((0.0,) * len(frame.powers))
    above, common = _without_common_powers(fit.above)
    if constant_last:
        above.sort(key=lambda one: one[1] == none)
    below, under = _without_common_powers([(1.0, none), *fit.below]) if fit.below else ([(1.0, none)], none.powers)
    outside = tuple(p + a - b for p, a, b in zip(frame.powers, common, under, strict=True))
    size, top = writer.sum(above)
    divisor, bottom = writer.sum(below)
    size *= math.exp(-fit.table.logarithm_of_scale(outside)) / divisor
    if frame.outer.power_undone:  # the factor's scale goes inside, which leaves one constant
        size *= shrunk**frame.outer.power_undone
        shrunk = 1.0
    inside = writer.constant(size) * algebra.Mul(*writer.product(outside)) * top / bottom
    scale = 1 if shrunk == 1.0 else writer.constant(shrunk)
    return writer.constant.template(scale * factor * frame.outer.expression(inside))


class _Writer:
    """Writes terms as expressions of the inputs themselves, with constants."""

    def __init__(self, fit: TermFit, symbols: Sequence[Any]) -> None:
        self.fit, self.table, self.symbols, self.constant = fit, fit.table, symbols, Constants()

    def product(self, powers: Powers) -> list[Any]:
        """The powers of inputs other than 0."""
        from knotwork.expressions import algebra

        return [s ** algebra.Rational(round(2 * p), 2) for s, p in zip(self.symbols, powers, strict=True) if p]

    def term(self, term: Term) -> Any:
        """A term without its coefficient."""
        from knotwork.expressions import algebra

        part = [] if term.part is None else [self.table.parts[term.part].expression(self.symbols, self.constant)]
        return algebra.Mul(*self.product(term.powers), *part)

    def sum(self, terms: Sum) -> tuple[float, Any]:
        """The coefficient of the first term, and the sum divided by it."""
        from knotwork.expressions import algebra

        sizes = [c * math.exp(-self.table.logarithm_of_scale(term.powers)) for c, term in terms]
        rest = [
            self.constant(c / sizes[0]) * self.term(term) for c, (_, term) in zip(sizes[1:], terms[1:], strict=True)
        ]
        return sizes[0], algebra.Add(self.term(terms[0][1]), *rest)

    def exponential(self) -> Any:
        """exp of the sum of terms, with logarithms and constants of the sum as powers and factors."""
        from knotwork.expressions import algebra

        factor, inside = algebra.Integer(1), algebra.Integer(0)
        for c, term in self.fit.above:
            size = c * math.exp(-self.table.logarithm_of_scale(term.powers))
            place = None if any(term.powers) or term.part is None else self.table.logarithms.get(term.part)
            if place is not None:
                factor = factor * self.symbols[place] ** self.constant(size)
            elif term.part is None and not any(term.powers):
                factor = factor * self.constant(math.exp(min(size, 700.0)))
            else:
                inside = inside + self.constant(size) * self.term(term)
        return factor * algebra.exp(inside)


def _without_common_powers(terms: Sum) -> tuple[Sum, Powers]:
    """The terms divided by the least power of each input in them, and these powers."""
    common = tuple(min(column) for column in zip(*(term.powers for _, term in terms), strict=True))
    divided = [(c, Term(tuple(p - q for p, q in zip(t.powers, common, strict=True)), t.part)) for c, t in terms]
    return divided, common
