"""The search among structures of curves, in the columns or in dimensionless groups, and its formulas as entries."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from knotwork.data.column_names import listed
from knotwork.discovery.choice import exact, joined
from knotwork.discovery.dependent_columns import shortest_of
from knotwork.discovery.discovery import Entry
from knotwork.discovery.entries import built, entry_of, error_of
from knotwork.discovery.few_rows import (
    best_of_few_rows,
    candidates_of_few_rows,
    few_rows,
    judged_on_left_out,
    leaves_noise,
    training_rows,
)
from knotwork.discovery.settings import DISCOVERY
from knotwork.discovery.table import least_importance, sample_of, separated
from knotwork.discovery.task import Found, Task, late
from knotwork.errors import ExpressionError, SpecError
from knotwork.formulas.constants import Constants, Sample, fitted, simplified
from knotwork.journal import clock
from knotwork.regression import (
    CandidateFormula,
    Constraints,
    DimensionlessSearch,
    Limits,
    Search,
    group_choices,
    inputs_of_groups,
    reason_for_no_groups,
)
from knotwork.solvers import StopReason


def formulas_in_groups(task: Task, importance: Mapping[str, float], front: tuple[Entry, ...]) -> Found:
    """Formulas in dimensionless groups of inputs; nothing where units are not known or no groups can be made."""
    if task.dimensions is None or not task.dimensions.base:
        return Found((), front, None)  # pure numbers are groups themselves
    every = sample_of(task.data, task.relative)
    names = inputs_of_groups(task.dimensions, importance, least_importance(importance))
    columns = {name: every.columns[name] for name in names or ()}
    found = (task.failures.attempt(partial(group_choices, task.dimensions, columns)) or []) if names else []
    lost = 1 - sum(importance[name] for name in names or ())
    if names is None or not found or (lost > DISCOVERY.small_importance and len(found[0].groups) > 1):
        stop = task.reporter.stage(f"units: {reason_for_no_groups(task.dimensions, task.data)}")
        return Found((), front, task.stopped if stop else None)
    count = len(found[0].groups)
    groups = f"{count} dimensionless group{'' if count == 1 else 's'} in place of {len(names)} inputs"
    what = groups if count else f"all but one constant follows from those of {listed(names)}"
    if task.reporter.stage(f"units: {what}"):
        return Found((), front, task.stopped)
    constraints = replace(task.constraints, linear=(), limits=Limits())  # candidates are compared with the inputs
    now = clock()
    search = DimensionlessSearch(
        found,
        replace(every, columns={name: every.columns[name] for name in names}),
        training_rows(task.data),
        lambda *rows, **options: _search(task, constraints, *rows, **options),
        now + DISCOVERY.groups_share * (task.formulas_until - now),
        [column for name, column in every.columns.items() if name not in names],
        task.reporter,
        task.failures,
    )
    return _explored(task, search, search.sample, front, in_groups=True)


def formulas_in_columns(task: Task, importance: Mapping[str, float], front: tuple[Entry, ...]) -> Found:
    """Formulas in the columns themselves, without negligible ones; a straight line where no structure comes close.

    Where rows are few, plain laws of every column come before structures of curves.
    """
    if few_rows(task.data):
        kept = {task.data.input_names[n] for n in task.inputs}
        importance = {name: float(name in kept) for name in importance}  # no network tells it of few rows
    required = task.constraints.limits.required
    sample, negligible = separated(sample_of(task.data, task.relative), importance, required)
    train = training_rows(task.data)
    some = evenly(len(sample), train, DISCOVERY.rows_of_search)
    kept, excluded = int((some < train).sum()), [column[some] for column in negligible]
    search = _search(task, task.constraints, sample.rows(some), kept, until=task.formulas_until, excluded=excluded)
    return _explored(task, search, sample, front, in_groups=False)


def evenly(rows: int, train: int, most: int) -> Tensor:
    """Numbers of at most about `most` of the rows, evenly among the first `train` ones and among the others."""
    step = max(1, math.ceil(rows / most))
    return torch.cat([torch.arange(0, train, step), torch.arange(train, rows, step)])


def refitted(candidate: CandidateFormula, sample: Sample) -> CandidateFormula:
    """The candidate with its constants fitted to all rows of a sample."""
    template = fitted(candidate.template, sample, DISCOVERY.steps_on_all_rows)
    return CandidateFormula.of(candidate.structure, template, sample)


def _search(task: Task, constraints: Constraints, sample: Sample, train: int, **options: Any) -> Search:
    return constraints.search(sample, train, seed=task.seed, reporter=task.reporter, failures=task.failures, **options)


def _explored(
    task: Task, search: Search | DimensionlessSearch, sample: Sample, front: tuple[Entry, ...], in_groups: bool
) -> Found:
    """The entries of the candidates that no simpler one beats; Ctrl-C ends the search and keeps them."""
    candidates: list[CandidateFormula] = []
    all_allowed, interrupted = True, False
    try:
        for candidate in _formulas(task, search, sample):
            satisfied = task.failures.attempt(partial(task.constraints.satisfied, candidate, sample))
            all_allowed = all_allowed and satisfied is candidate
            if satisfied is None:
                continue
            if satisfied is not candidate and few_rows(task.data):
                satisfied = judged_on_left_out(satisfied, sample)
            candidates.append(satisfied)
            front = _shown(task, front, satisfied)
            if task.reporter.stopped:
                break
    except KeyboardInterrupt:
        interrupted = True
    entries: list[Entry] = []
    try:
        few = few_rows(task.data)
        if not candidates and not in_groups and not few:
            candidates = straight_line(sample, task.constraints)
        for candidate in best_of_few_rows(candidates, sample) if few else best_candidates(candidates):
            if len(search.sample) < len(sample):
                candidate = task.failures.attempt(partial(refitted, candidate, sample)) or candidate
            entry = task.failures.attempt(partial(entry_from, candidate, task))
            if entry is not None:
                entries.append(entry)
    except KeyboardInterrupt:
        interrupted = True
    if interrupted or task.reporter.stopped:
        reason = task.stopped
    elif any(exact(entry, task.data, task.relative) for entry in entries):
        reason = StopReason.EXACT
    elif entries and search.done and (all_allowed or not in_groups):  # a search in groups knows no constraints: what
        reason = StopReason.RANDOM_RESIDUAL  # is not allowed may have ended it
    else:
        reason = StopReason.TIME_BUDGET if entries and late(task.formulas_until) else None
    return Found(tuple(entries), front, reason)


def _formulas(task: Task, search: Search | DimensionlessSearch, sample: Sample) -> Iterator[CandidateFormula]:
    """What the search finds; of few rows plain laws first, and nothing else where one of them leaves noise."""
    if not few_rows(task.data):
        yield from search.formulas()
        return
    if isinstance(search, Search):
        if task.reporter.stage("trying plain laws"):
            return
        plain = []
        for candidate in task.failures.surviving(lambda: candidates_of_few_rows(sample)):
            plain.append(candidate)
            yield candidate
        for best in best_of_few_rows(plain, sample)[:1]:
            search.judge(best)
            search.done |= bool(task.failures.attempt(partial(leaves_noise, best, sample)))
    if not search.done and len(sample) >= DISCOVERY.rows_for_curves:
        for candidate in search.formulas():
            judged = task.failures.attempt(partial(judged_on_left_out, candidate, sample))
            if judged is not None:
                yield judged


def _shown(task: Task, front: tuple[Entry, ...], candidate: CandidateFormula) -> tuple[Entry, ...]:
    """The front with this candidate, which is shown if the candidate changes it."""
    from knotwork.expressions import complexity

    expression = candidate.template.filled()
    error = task.failures.attempt(partial(error_of, expression, task.data))
    if error is None:
        return front
    new = joined(front, Entry(complexity(expression), error, expression, candidate.structure))
    if new is not front:
        task.show(new)
    return new


def with_straight_line(task: Task, front: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """The front with a straight line, which is shown at once: it is the first formula of a table of many rows."""
    if few_rows(task.data) or len(task.data.input_names) > DISCOVERY.inputs_of_first_line:
        return front
    sample = sample_of(task.data, task.relative)
    some = evenly(len(sample), training_rows(task.data), DISCOVERY.rows_of_search)
    for line in task.failures.attempt(lambda: straight_line(sample.rows(some), task.constraints)) or []:
        front = _shown(task, front, line)
    return front


def straight_line(sample: Sample, constraints: Constraints) -> list[CandidateFormula]:
    """A constant and a multiple of every input that the rows distinguish from zero, if there is one that is allowed."""
    from knotwork.expressions import algebra, symbol

    constants = Constants()
    terms = [constants(0.0) * symbol(name) for name in sample.columns]
    template = fitted(constants.template(algebra.Add(constants(float(sample.y.mean())), *terms)), sample)
    found = CandidateFormula.of("a straight line", simplified(template, sample), sample)
    satisfied = constraints.satisfied(found, sample)
    return [satisfied] if satisfied is not None and satisfied.template.filled().free_symbols else []


def best_candidates(candidates: Sequence[CandidateFormula]) -> list[CandidateFormula]:
    """The candidates worth a formula: those of the fewest bits, and simpler ones that come close.

    Of the fewest bits are one with the doubts about its simple numbers, one without, and one without decimals, which
    may have a shorter form.
    """
    front: list[CandidateFormula] = []
    for candidate in sorted(candidates, key=lambda candidate: candidate.complexity):
        if not front or candidate.error < DISCOVERY.front_ratio * front[-1].error:
            front.append(candidate)
    sure = sorted(candidates, key=lambda one: one.bits - one.template.doubt)
    simple = [one for one in sure if not one.template.values]
    for best in (*sorted(candidates, key=lambda one: one.bits)[:1], *sure[:1], *simple[:1]):
        if best not in front:
            front.append(best)
    return sorted(front, key=lambda candidate: candidate.bits)[: DISCOVERY.most_candidates]


def entry_from(candidate: CandidateFormula, task: Task) -> Entry | None:
    """The candidate as an entry, with its networks; None where no network can compute it."""
    try:
        allowed = partial(task.constraints.allows, sample=sample_of(task.data, task.relative))
        expression = shortest_of(candidate.template.filled(), task.dependent, task.data, task.relative, allowed)
        symbolic, spline, formula = built(expression, task.data, task.relative)
        return entry_of(formula, symbolic, spline, candidate.structure, task.data, task.relative)
    except (ExpressionError, SpecError):  # a constant beyond what a float holds, a function no edge can be
        return None
