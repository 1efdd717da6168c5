"""Plainer formulas beside those that a search found: lines, powers, and the best formula with parts left out.

With them a front has something to choose from, also where a search ends at its first formula.
"""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from knotwork.discovery.choice import whole_front
from knotwork.discovery.discovery import Entry
from knotwork.discovery.entries import error_of
from knotwork.discovery.few_rows import LeftOut, few_rows, most_constants
from knotwork.discovery.formula_search import entry_from, straight_line
from knotwork.discovery.neighbours import loosened, without_parts
from knotwork.discovery.outliers import Searched
from knotwork.discovery.settings import DISCOVERY
from knotwork.discovery.table import sample_of
from knotwork.discovery.task import Task
from knotwork.formulas.constants import Constants, Sample, Template, fitted, simplified
from knotwork.regression import POWER_LAW, CandidateFormula

LINE_OF_ONE, PARTS = "a straight line of one input", "the formula with parts left out"


def with_plainer(searched: Searched) -> Searched:
    """The search with entries of plainer formulas, as far as its front has few; a known form has no others.

    A straight line comes first, then formulas that no shorter one beats, then those of fewest bits.
    """
    task = searched.task
    if searched.answer is not None or searched.stop.by_caller:
        return searched
    entries, chosen, sample = list(searched.entries), searched.chosen, sample_of(task.data, task.relative)
    if _few(entries, chosen, task):
        shapes = task.failures.surviving(partial(plain_shapes, sample, task))
        parts = task.failures.surviving(partial(_parts_left_out, chosen, sample, task))
        for candidate in _ranked([*shapes, *parts], entries, task, sample):
            entry = task.failures.attempt(partial(entry_from, candidate, task))
            known = {_read(one.expression) for one in entries}
            if (
                entry is not None
                and entry.error < math.inf
                and chosen.bits < entry.bits < math.inf  # the answer stays that of the search
                and _read(entry.expression) not in known
            ):
                entries.append(entry)
            enough = not _few(entries, chosen, task) or len(entries) - len(searched.entries) >= DISCOVERY.most_plainer
            if enough or task.deadline.late:
                break
    return searched._replace(entries=entries)


def _few(entries: Sequence[Entry], chosen: Entry, task: Task) -> bool:
    return len(whole_front(entries, chosen, task.data)) < DISCOVERY.shown_formulas


class _Judged(NamedTuple):
    """A candidate with the number of its symbols and its error."""

    symbols: int
    error: float
    candidate: CandidateFormula


def _ranked(
    candidates: Sequence[CandidateFormula], entries: Sequence[Entry], task: Task, sample: Sample
) -> list[CandidateFormula]:
    """The candidates that are allowed and better than a constant, those that most belong on the front first."""
    from knotwork.expressions import complexity

    judged = []
    for candidate in candidates:
        allowed = task.failures.attempt(partial(task.constraints.satisfied, candidate, sample))
        expression = None if allowed is None else allowed.template.filled()
        if allowed is not None and expression is not None and expression.free_symbols:
            judged.append(_Judged(complexity(expression), _error(allowed.template, task, sample), allowed))
    points = [(entry.complexity, entry.error) for entry in entries] + [(one.symbols, one.error) for one in judged]

    def rank(one: _Judged) -> tuple[bool, bool, float]:
        beaten = any(symbols <= one.symbols and error < one.error for symbols, error in points)
        return one.candidate.structure != LINE_OF_ONE, beaten, one.candidate.bits

    return [one.candidate for one in sorted(judged, key=rank) if one.error < entries[0].error]


def _read(expression: Any) -> str:
    """A formula with few digits: two that agree in these are no choice for a reader."""
    from knotwork.expressions import round_constants, text

    return text(round_constants(expression, DISCOVERY.digits_of_choices))


def _error(template: Template, task: Task, sample: Sample) -> float:
    """The error that an entry of this template would have; infinite where it has too many constants for few rows."""
    if not few_rows(task.data):
        found = task.failures.attempt(partial(error_of, template.filled(), task.data))
        return math.inf if found is None or found != found else found
    if len(template.values) > most_constants(len(sample)):
        return math.inf
    return LeftOut.of(template, sample, len(sample.columns)).error


def plain_shapes(sample: Sample, task: Task) -> Iterator[CandidateFormula]:
    """Lines, parabolas and powers of the input that explains most alone, a line and a power law of all inputs."""
    from knotwork.expressions import algebra, symbol

    columns = {task.data.input_names[n]: sample.columns[task.data.input_names[n]] for n in task.inputs}
    shares = {name: _explained(column, sample.y) for name, column in columns.items()}
    best = max(shares, key=lambda name: shares[name], default=None)
    if best is None:
        return
    constants, x = Constants(), symbol(best)
    offset, slope, bend = constants(float(sample.y.mean())), constants(0.0), constants(0.0)
    yield from _fits(LINE_OF_ONE, constants, offset + slope * x, sample)
    yield from _fits("a parabola of one input", constants, offset + slope * x + bend * x**2, sample)
    yield from straight_line(sample, task.constraints)
    sign = float(sample.y[0].sign())
    positive = [name for name, column in columns.items() if bool((column > 0).all())]
    if bool((sample.y * sign > 0).all()) and positive:
        for names in ([best] if best in positive else [], positive):
            logs = torch.stack([torch.ones_like(sample.y), *(columns[name].log() for name in names)], 1)
            solution = torch.linalg.lstsq(logs, (sample.y * sign).log()[:, None], driver="gelsd").solution[:, 0]
            constants = Constants()
            factor = constants(sign * math.exp(float(solution[0])))
            powers = [symbol(name) ** constants(float(p)) for name, p in zip(names, solution[1:], strict=True)]
            if names:
                yield from _fits(POWER_LAW, constants, algebra.Mul(factor, *powers), sample)


def _explained(column: Tensor, y: Tensor) -> float:
    """The squared correlation of a column (n,) with the target (n,); 0 for a constant column."""
    a, b = column - column.mean(), y - y.mean()
    size = float(a.norm() * b.norm())
    return (float(a @ b) / size) ** 2 if size > 0 else 0.0


def _fits(words: str, constants: Constants, expression: Any, sample: Sample) -> Iterator[CandidateFormula]:
    """The expression fitted to all rows, with simple numbers where these allow it."""
    fit = fitted(constants.template(expression), sample)
    if math.isfinite(fit.mse):
        yield CandidateFormula.of(words, simplified(fit, sample), sample)


def _parts_left_out(chosen: Entry, sample: Sample, task: Task) -> Iterator[CandidateFormula]:
    """The chosen formula without one, two, ... of its parts; in each round all ways are tried, and the best goes on."""
    some = sample.first(DISCOVERY.rows_of_neighbours)
    template = loosened(chosen.expression)
    for _ in range(DISCOVERY.rounds_of_parts):
        fits = []
        for _, shorter in list(without_parts(template))[: DISCOVERY.most_parts]:
            if task.deadline.late:
                return
            inputs = shorter.expression.free_symbols - set(shorter.values)
            fit = fitted(shorter, some, DISCOVERY.steps_of_neighbours) if inputs else shorter
            if math.isfinite(fit.mse):
                fits.append(fit)
        fits.sort(key=lambda fit: fit.mse)
        for fit in fits[: DISCOVERY.shown_formulas]:
            whole = fitted(fit, sample)
            if math.isfinite(whole.mse):
                yield CandidateFormula.of(PARTS, simplified(whole, sample), sample)
        if not fits:
            return
        template = fits[0]
