"""Formulas with fewer variables: of sums or differences of pairs of inputs, and of one product of powers."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from knotwork.formulas.constants import Sample, fitted, simplified
from knotwork.formulas.settings import FORMULAS
from knotwork.regression.candidate_formulas import CandidateFormula
from knotwork.regression.curve_formulas import formulas_of_curve
from knotwork.regression.ridges import one_product
from knotwork.regression.settings import REGRESSION
from knotwork.regression.structures import Rows
from knotwork.regression.symmetry import combined_pairs, power_factors

if TYPE_CHECKING:
    from knotwork.regression.search import Search


def functions_of_pairs(
    search: "Search", tolerance: float = REGRESSION.symmetry_tolerance, only_noise: bool = False
) -> Iterator[CandidateFormula]:
    """Formulas with fewer variables: powers of inputs divided out, and pairs replaced by a difference or sum.

    The first stages come for all such tables, then the others. Slopes of a pair may differ by the share `tolerance`.
    With `only_noise`, there are no others, and a table of one column is passed over where a curve of it leaves more.
    """
    search.symmetries_tried = True
    found = search.failures.attempt(partial(smaller, search.rows, tolerance))
    if found is None or not any(found):
        return
    searches = [(table, search.inner(table.sample(search.sample))) for table in tables_of_pairs(search.sample, *found)]
    first = REGRESSION.first_stages_of_pairs
    parts = [slice(first)] if only_noise else [slice(first), slice(first, None)]
    for stages, (table, inner) in itertools.product(parts, searches):
        if inner is not None and not inner.done and not (only_noise and leaves_more(inner)):
            yield from of_whole(search, table, inner.formulas(stages))
        if search.done or search.reporter.stopped:
            return


def leaves_more(inner: "Search") -> bool:
    """Whether the curve of a table of one column leaves more than noise."""
    if len(inner.rows.axes) > 1:
        return False
    inner.fit_sums(late=True)
    return not (inner.candidates and inner.failures.attempt(partial(inner.unexplained, inner.candidates[-1].residuals)))


def curves_of_one_product(search: "Search") -> Iterator[CandidateFormula]:
    """The formula of one variable, a product of powers of the inputs, where it is exact.

    Where it is not, others follow that need no such product.
    """
    if len(search.rows.axes) == 1 or search.late or search.reporter.stage("trying curves of one product"):
        return
    found = search.failures.attempt(partial(one_product, search.rows, search.generator)) or ()
    tables = [table_of_product(search.sample, q, p) for q, p in found]
    for stages, table in itertools.product(REGRESSION.stages_of_one_product, tables):
        sample = some_along(table.sample(search.sample), REGRESSION.rows_of_one_product)
        curves = search.failures.surviving(
            partial(formulas_of_curve, sample, search.functions, search.deadline, stages)
        )
        yield from of_whole(search, table, (one for one in curves if one.error < FORMULAS.exact_error * sample.scale))
        if search.done or search.late:
            return


def some_along(sample: Sample, most: int) -> Sample:
    """At most so many rows of a sample of one column, evenly along it, with both ends."""
    (column,) = sample.columns.values()
    return sample.rows(column.argsort()[torch.linspace(0, len(sample) - 1, min(most, len(sample))).long()])


def of_whole(
    search: "Search", table: "SmallerTable", formulas: Iterator[CandidateFormula]
) -> Iterator[CandidateFormula]:
    """Formulas of a smaller table as those of the whole one; the last one may end the search."""
    for formula in formulas:
        found = search.failures.attempt(partial(table.rewritten, formula, search.sample))
        if found is not None:
            yield found
            search.judge(found)
            if search.done:
                return


def smaller(rows: Rows, tolerance: float) -> tuple[list[tuple[int, int, int]], dict[int, float]]:
    """Pairs of inputs that act by their difference or sum, with its sign; powers of inputs that are factors.

    Slopes of a pair may differ by the share `tolerance`.
    """
    columns, y = [axis.values[: rows.train] for axis in rows.axes], rows.y
    outside = power_factors(columns, y[: rows.train])
    inside = [i for i in range(len(columns)) if i not in outside]
    if len(inside) < 2:
        return [], {}
    for i, power in outside.items():
        y = y / rows.axes[i].values ** power
    found = combined_pairs([columns[i] for i in inside], y[: rows.train], tolerance)
    return [(inside[i], inside[j], sign) for i, j, sign in found], outside


@dataclass(frozen=True)
class SmallerTable:
    """Columns with fewer variables, and the targets divided by `factor`, an expression of the whole table's symbols.

    `divisor` (n,) holds the values of the factor, `meanings` what the symbols of new columns stand for.
    """

    columns: dict[str, Tensor]
    y: Tensor
    divisor: Tensor
    meanings: dict[Any, Any]
    factor: Any

    def sample(self, whole: Sample) -> Sample:
        """The rows of this table, weighted so that residuals count as in the whole one."""
        if whole.relative or bool((self.divisor == 1).all()):
            return replace(whole, columns=self.columns, y=self.y)
        weights = self.divisor.square() if whole.weights is None else self.divisor.square() * whole.weights
        return replace(whole, columns=self.columns, y=self.y, weights=weights / weights.mean())

    def rewritten(self, formula: CandidateFormula, whole: Sample) -> CandidateFormula:
        """A formula of this table as one of the whole table, its constants fitted again."""
        expression = formula.template.expression.xreplace(self.meanings) * self.factor
        template = fitted(replace(formula.template, expression=expression), whole, REGRESSION.refit_steps)
        return CandidateFormula.of(formula.structure, simplified(template, whole), whole)


def tables_of_pairs(
    whole: Sample, pairs: Sequence[tuple[int, int, int]], outside: Mapping[int, float]
) -> Iterator[SmallerTable]:
    """The table with a difference or sum in place of each pair; then with its absolute value where that differs."""
    names = list(whole.columns)
    y, divisor, factor = divided(whole, {names[i]: power for i, power in outside.items()})
    for absolute in (False, True):
        columns, meanings = combined(whole.columns, pairs, outside, absolute)
        if not absolute or any(meaning.is_Function for meaning in meanings.values()):
            yield SmallerTable(columns, y, divisor, meanings, factor)


def table_of_product(whole: Sample, q: Sequence[int], p: Sequence[float]) -> SmallerTable:
    """The table of one column: the product of the inputs to whole powers q; their powers p are divided out."""
    from knotwork.expressions import algebra, symbol

    y, divisor, factor = divided(whole, {name: power for name, power in zip(whole.columns, p, strict=True) if power})
    column, meaning = torch.ones_like(whole.y), algebra.Integer(1)
    for name, k in zip(whole.columns, q, strict=True):
        column = column * whole.columns[name] ** k
        meaning = meaning * symbol(name) ** k
    name = "\0product"
    return SmallerTable({name: column}, y, divisor, {symbol(name): meaning}, factor)


def divided(whole: Sample, powers: Mapping[str, float]) -> tuple[Tensor, Tensor, Any]:
    """The targets divided by multiples of 1/2 of powers of inputs; these as numbers (n,) and as an expression."""
    from knotwork.expressions import algebra, symbol

    divisor, factor = torch.ones_like(whole.y), algebra.Integer(1)
    for name, power in powers.items():
        divisor = divisor * whole.columns[name] ** power
        factor = factor * symbol(name) ** algebra.Rational(round(2 * power), 2)
    return whole.y / divisor, divisor, factor


def combined(
    given: Mapping[str, Tensor], pairs: Sequence[tuple[int, int, int]], outside: Mapping[int, float], absolute: bool
) -> tuple[dict[str, Tensor], dict[Any, Any]]:
    """The columns of the smaller table, and what the symbols of the new ones stand for."""
    from knotwork.expressions import algebra, symbol

    names, taken = list(given), {i for i, j, _ in pairs} | {j for i, j, _ in pairs}
    columns = {name: given[name] for i, name in enumerate(names) if i not in taken | set(outside)}
    meanings: dict[Any, Any] = {}
    for i, j, sign in pairs:
        column = given[names[i]] + sign * given[names[j]]
        meaning = symbol(names[i]) + sign * symbol(names[j])
        if bool((column < 0).all()):
            column, meaning = -column, -meaning
        if absolute and bool((column < 0).any()):
            column, meaning = column.abs(), algebra.Abs(meaning)
        name = next(free for k in itertools.count() if (free := f"\0pair {k}") not in {*names, *columns})
        columns[name], meanings[symbol(name)] = column, meaning
    return columns, meanings
