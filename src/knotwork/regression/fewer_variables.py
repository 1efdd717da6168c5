"""Tables with fewer variables, where pairs of inputs act by their sum or difference alone, and formulas of these."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from knotwork.formulas.constants import Sample, fitted, simplified
from knotwork.regression.candidate_formulas import CandidateFormula
from knotwork.regression.settings import REGRESSION
from knotwork.regression.structures import Rows
from knotwork.regression.symmetry import combined_pairs, power_factors


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


def rewritten(formula: CandidateFormula, meanings: dict[Any, Any], factor: Any, sample: Sample) -> CandidateFormula:
    """A formula of a smaller table as one of the whole table, its constants fitted again."""
    whole = replace(formula.template, expression=formula.template.expression.xreplace(meanings) * factor)
    template = simplified(fitted(whole, sample, REGRESSION.refit_steps), sample)
    return CandidateFormula.of(formula.structure, template, sample)


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
