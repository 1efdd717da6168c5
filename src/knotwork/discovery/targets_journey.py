"""From a table of several targets to formulas that share terms and constants."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from knotwork.data import Dataset
from knotwork.discovery.choice import warn_unless_explained
from knotwork.discovery.class_journey import holds_labels
from knotwork.discovery.discovery import Discovery
from knotwork.discovery.settings import DISCOVERY
from knotwork.discovery.target_discoveries import TargetDiscoveries
from knotwork.discovery.targets_rows import rows_of, with_law, with_told_constants
from knotwork.discovery.targets_table import TargetTable, targets_by_name
from knotwork.discovery.task import Asked
from knotwork.errors import DataError, TrainingError
from knotwork.journal import clock
from knotwork.regression import Failures
from knotwork.regression.targets import Law, common_constants, common_parts, joint_choice, with_common_constants
from knotwork.solvers import StopReason
from knotwork.training import Reporter

OneSearch = Callable[[Dataset, float, float | None, Reporter], Discovery]
"""The search for the one target of some rows, which began at this time and may take so many seconds."""


def refuse_with_targets(y: Any, loss: str, **given: Any) -> None:
    """Refuse what a search for several targets does not know: arguments, TrainingError; labels, DataError."""
    wrong = [f"{name}=" for name, value in given.items() if value is not None]
    wrong = [f"loss={loss!r}"] * (loss == "cross_entropy") + wrong
    if wrong:
        raise TrainingError(
            f"{' and '.join(wrong)} cannot be given with several targets: leave it out, or pass one column of y at a "
            "time."
        )
    labels = [name for name, column in targets_by_name(y).items() if holds_labels(column)] if y is not None else []
    if labels:
        raise DataError(
            f"{' and '.join(labels)} of y holds labels, and several targets must all be numbers: search for the "
            "boundary of labels on its own, with this column alone as y."
        )


def discover_targets(
    tables: Sequence[TargetTable],
    asked: Asked,
    one: OneSearch,
    began: float,
    time_budget: float | None,
    whole: Reporter,
) -> TargetDiscoveries:
    """The formulas of all targets: each is searched alone, then those are chosen that take the fewest bits together."""
    for each in tables:
        asked.constraints(each.rows)
    found: list[Discovery] = []
    for number, table in enumerate(tables):
        now, budget = clock(), None
        if time_budget is not None:
            left = began + (1 - DISCOVERY.share_of_common_terms) * time_budget - now
            budget = max(left, 0.0) / (len(tables) - number)
        alone = one(table.rows, now, budget, whole.within(f"target {table.name}"))
        if alone.stop.by_caller and not whole.stopped:
            whole.interrupt()
        found.append(replace(alone, settings={**alone.settings, "time budget": time_budget}))
    reporter = whole.before(float("inf") if time_budget is None else began + time_budget)
    failures, equal = Failures(), ()
    if not whole.stopped:
        reporter.stage("looking for terms that targets share")
        try:
            found, equal = failures.attempt(partial(_together, found, asked, failures, reporter)) or (found, equal)
        except KeyboardInterrupt:
            whole.interrupt()
    for discovery in found:
        warn_unless_explained(discovery)
    names = [table.name for table in tables]
    parts = common_parts([one.formula.expression for one in found], names)
    missing = {table.name: table.missing for table in tables if table.missing}
    stop, seconds = _reason(found, reporter), clock() - began
    return TargetDiscoveries(tuple(found), parts, equal, seconds, stop, missing, dict(failures.reasons))


def _reason(found: Sequence[Discovery], reporter: Reporter) -> StopReason:
    """Why the search ended: what ended all of it, or the least conclusive reason of one target."""
    if reporter.stop is not None:
        return reporter.stop.reason
    stops, ends = {one.stop for one in found}, StopReason
    ranked = (ends.TIME_BUDGET, ends.EXHAUSTED, ends.NO_MORE_TO_EXPLAIN, ends.RANDOM_RESIDUAL, ends.EXACT)
    return next((reason for reason in ranked if reason in stops), found[0].stop)


def _together(
    found: list[Discovery], asked: Asked, failures: Failures, reporter: Reporter
) -> tuple[list[Discovery], tuple[Any, ...]]:
    """The discoveries with the formulas that take the fewest bits together, and the constants that became equal."""
    targets = [rows_of(each, asked) for each in found]
    laws = joint_choice(targets, failures, reporter)
    laws, equal = with_common_constants(targets, laws, failures, reporter)
    changed = [_changed(each, law, failures) for each, law in zip(found, laws, strict=True)]
    kept = [one for one in equal if not any(changed[place.target] is None for place in one.places)]
    done = [each if new is None else new for each, new in zip(found, changed, strict=True)]
    return with_told_constants(done, kept), common_constants(kept, targets)


def _changed(found: Discovery, law: Law, failures: Failures) -> Discovery | None:
    """The discovery with the formula of a law; None where no network can compute it."""
    if law.expression == found.formula.expression:
        return found
    return failures.attempt(partial(with_law, found, law))
