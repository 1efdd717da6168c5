"""A search that goes on from known formulas: they are candidates from the first moment, with their neighbours."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from knotwork.data.column_names import unknown_name
from knotwork.discovery.choice import exact, joined
from knotwork.discovery.discovery import Discovery, Entry
from knotwork.discovery.few_rows import few_rows, judged_on_left_out
from knotwork.discovery.formula_search import best_candidates, entry_from
from knotwork.discovery.neighbours import NeighbourSearch
from knotwork.discovery.table import sample_of
from knotwork.discovery.task import Found, Task
from knotwork.errors import DataError, SpecError, warn
from knotwork.formulas import Formula
from knotwork.regression import CandidateFormula
from knotwork.solvers import StopReason


def expressions_of(start: Any, columns: Sequence[str]) -> tuple[Any, ...]:
    """The expressions of a text, a `Formula` or a `Discovery`, whose front comes after its formula.

    Raises:
        DataError: they hold names that are no columns.
        SpecError: for anything else, and for formulas of several targets or with curves without a name.
        ExpressionError: for a text that is no formula.
    """
    from knotwork.expressions import learned_curves, parse, variable_names

    if start is None:
        return ()
    if isinstance(start, str):
        for name in variable_names(start, columns):
            if name not in columns:
                raise DataError(f"start={start!r}: {unknown_name(name, columns, 'column')}")
        return (parse(start, columns),)
    if isinstance(start, Formula) and len(start.expressions) == 1:
        found = [start.expression]
    elif isinstance(start, Discovery):
        others = [entry.expression for entry in start.front]
        found = [start.formula.expression, *(one for one in others if one.free_symbols)]  # every front has a constant
    else:
        raise SpecError(f"start= is a {type(start).__name__}: pass a text, a Formula of one target, or a Discovery.")
    for expression in found:
        for name in sorted(str(one) for one in expression.free_symbols):
            if name not in columns:
                known = unknown_name(name, columns, "column")
                raise DataError(f"the formula of start= holds a name that is no column. {known}")
        if learned_curves(expression):
            raise SpecError("the formula of start= holds a curve without a name: pass form= in place of start=.")
    return tuple(dict.fromkeys(found))


def formulas_from_start(task: Task, front: tuple[Entry, ...]) -> Found:
    """The formulas to start from, refitted, and better ones near them; Ctrl-C keeps what was found."""
    if task.reporter.stage("going on from known formulas"):
        return Found((), front, task.stopped)
    sample = sample_of(task.data, task.relative)
    deadline = task.formulas_deadline
    search = NeighbourSearch(sample, task.constraints.functions, task.failures, deadline)
    entries: list[Entry] = []
    reason = None
    for number, expression in enumerate(task.start):  # all of them, however little time there is: each takes little
        if task.reporter.stopped:
            break
        own: list[CandidateFormula] = []
        near: list[CandidateFormula] = []
        goes_on = search.alone if number else search.from_formula
        try:
            for candidate in goes_on(task.own.inside(expression)):
                allowed = task.failures.attempt(partial(task.constraints.satisfied, candidate, sample))
                if allowed is None:
                    continue
                judged = judged_on_left_out(allowed, sample) if few_rows(task.data) else allowed
                (own if candidate.structure == search.words else near).append(judged)
        except KeyboardInterrupt:
            reason = task.stopped
        if number == 0 and not own and reason is None:
            warn("the formula of start= is not defined on all rows, or not what was asked for: it is left out.")
        for candidate in [*own, *best_candidates(near)]:
            front = _with_entry(candidate, task, entries, front)
        if reason is not None:
            break
    if task.reporter.stopped:
        reason = task.stopped
    elif reason is None and any(exact(entry, task.data, task.relative) for entry in entries):
        reason = StopReason.EXACT
    return Found(tuple(entries), front, reason)


def _with_entry(
    candidate: CandidateFormula, task: Task, entries: list[Entry], front: tuple[Entry, ...]
) -> tuple[Entry, ...]:
    """The front with the entry of a candidate, which joins `entries`."""
    entry = task.failures.attempt(partial(entry_from, candidate, task))
    if entry is None:
        return front
    entries.append(entry)
    new = joined(front, entry)
    if new is not front:
        task.show(new)
    return new
