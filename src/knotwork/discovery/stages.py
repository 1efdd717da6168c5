"""The search for formulas of one target, stage by stage: the general network, formulas, networks of other shapes."""

from knotwork.discovery.baseline import accurate_baseline, inputs_needed, sparse_baseline
from knotwork.discovery.discovery import Entry
from knotwork.discovery.entries import constant_entry
from knotwork.discovery.few_rows import few_rows
from knotwork.discovery.formula_search import formulas_in_columns, formulas_in_groups, with_straight_line
from knotwork.discovery.going_on import formulas_from_start
from knotwork.discovery.networks import formulas_of_networks, no_more_to_explain
from knotwork.discovery.settings import DISCOVERY
from knotwork.discovery.table import first_rows
from knotwork.discovery.task import Task
from knotwork.kan import KAN
from knotwork.simplify import input_shares
from knotwork.solvers import StopReason
from knotwork.training import FitResult, held_out


def searched_stages(task: Task) -> tuple[list[Entry], FitResult | None, StopReason]:
    """The entries found, a constant first; the fit of a general network, if one was needed; why the search ended."""
    constant = constant_entry(task.data, task.relative)
    task.show((constant,))
    front = with_straight_line(task, (constant,))
    few = task.data if task.time_budget is None else first_rows(task.data, DISCOVERY.few_rows)
    sparse = sparse_baseline(few, task.inputs, task.seed, task.reporter.within("looking for inputs that matter"))
    assert isinstance(sparse.model, KAN)
    importance = input_shares(sparse.model, task.data)

    entries, baseline = [constant], None
    reason = task.stopped if sparse.stopped_by_caller else None
    try:
        if task.start and reason is None:
            found, front, reason = formulas_from_start(task, front)
            entries.extend(found)
        searches = (formulas_in_groups, formulas_in_columns)
        for search in reversed(searches) if few_rows(task.data) else searches:  # of few rows, the simple laws first
            if reason is None:
                found, front, reason = search(task, importance, front)
                entries.extend(found)
        if reason is None and (few_rows(task.data) or task.doubts(task, entries)):  # networks need more than few rows
            reason = StopReason.EXHAUSTED
        if reason is None:
            reporter = task.deadline.within("fitting the baseline network")
            accurate = accurate_baseline(sparse.model, task.data, reporter)
            stopped = accurate.stopped_by_caller
            baseline = None if stopped else accurate
            reason = task.stopped if stopped else no_more_to_explain(entries, held_out(accurate), task)
            if reason is None:
                reporter = task.deadline.within("looking for inputs that matter")
                inputs, stopped = inputs_needed(task.inputs, importance, accurate, task.data, task.seed, reporter)
                reason = task.stopped if stopped or reporter.stopped else None
            if reason is None:
                known = len(entries) > 1
                found, _, reason = formulas_of_networks(task, inputs, held_out(accurate), front, known)
                entries.extend(found)
    except KeyboardInterrupt:  # the user's Ctrl-C between two fits: what was found before is kept
        reason = task.stopped
    if reason is not None and reason.by_caller:
        task.reporter.stage(reason.value)
    return entries, baseline, reason or StopReason.EXHAUSTED
