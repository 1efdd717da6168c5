"""The search with a known form of the law: its unknown constants and curves are fitted, and nothing else is tried."""

import math
from collections.abc import Iterable
from dataclasses import replace

from knotwork.data.column_names import unknown_name
from knotwork.discovery.choice import exact
from knotwork.discovery.discovery import Entry
from knotwork.discovery.entries import constant_entry
from knotwork.discovery.few_rows import few_rows
from knotwork.discovery.form_answers import FormAnswer
from knotwork.discovery.known_form import KnownForm
from knotwork.discovery.outliers import Searched
from knotwork.discovery.table import sample_of
from knotwork.discovery.task import Task
from knotwork.errors import DataError, TrainingError
from knotwork.formulas.constants import Sample, Template
from knotwork.formulas.constants_in_ranges import fitted_within
from knotwork.formulas.grouped_constants import GroupedSample, fitted_apart, fitted_together
from knotwork.formulas.starts import starts_of
from knotwork.regression import Constraints, GroupedCandidate
from knotwork.regression.forms import CurveForm, NamedForm, fit_form, named_form
from knotwork.regression.groups.sharing import bits_of, shared_as_written
from knotwork.regression.residual_randomness import looks_random
from knotwork.solvers import StopReason

NOT_DEFINED = "the form is not defined on all rows for any constants that were tried: check roots and logs."


def search_of_form(task: Task, form: KnownForm) -> Searched:
    """The formula of the form, fitted to the rows, and a constant before it."""
    from knotwork.expressions import unknown_curves

    sample = sample_of(task.data, task.relative)
    answer = (_with_curves if unknown_curves(form.expression) else _of_constants)(task, form, sample)
    entry = answer.entry(task.data, task.relative, task.dimensions)
    task.show((entry,))
    entries = [constant_entry(task.data, task.relative), entry]
    return Searched(task, entries, None, _reason(task, entry, sample), answer)


def _reason(task: Task, entry: Entry, sample: Sample) -> StopReason:
    """Why the search ended: it was stopped, or nothing is left to explain, or there is no more to fit."""
    from knotwork.expressions import to_torch

    stop = task.deadline.stop
    if stop is not None:
        return stop.reason
    if exact(entry, task.data, task.relative):
        return StopReason.EXACT
    values = to_torch(entry.expression, list(sample.columns))(*sample.columns.values())
    residuals = sample.residuals(values.expand(len(sample)))
    return (
        StopReason.RANDOM_RESIDUAL if looks_random(list(sample.columns.values()), residuals) else StopReason.EXHAUSTED
    )


def _of_constants(task: Task, form: KnownForm, sample: Sample) -> FormAnswer:
    """The best fit of a form without curves that satisfies the limits; the best of all where none does."""
    task.reporter.stage("fitting the constants of the form")
    if len(sample) < len(form.constants):
        raise DataError(
            f"the form has {len(form.constants)} constants, but there are {len(sample)} rows: add rows, or write "
            "numbers in place of some constants."
        )
    starts = starts_of(form.expression, form.constants, sample, task.seed, keep=4, ranges=form.ranges)
    fits = [fitted_within(replace(one, mse=math.inf), sample, form.ranges) for one in starts]
    fits = sorted((one for one in fits if math.isfinite(one[0].mse)), key=lambda one: one[0].mse)
    if not fits:
        raise DataError(NOT_DEFINED)
    allowed = (one for one in fits if form.allows(one[0].filled(), (), sample, complete=True))
    template, held = next(allowed, fits[0])
    return FormAnswer.of_constants(form, template, held, sample)


def _with_curves(task: Task, form: KnownForm, sample: Sample) -> FormAnswer:
    """The form with its curves as splines, and names for those that have one."""
    task.reporter.stage("fitting the curves of the form")
    deadline, constraints = task.deadline, form.constraints
    fit = fit_form(CurveForm.of(form.expression, form.constants), sample, task.seed, deadline, form.ranges)
    task.reporter.stage("naming the curves of the form")

    def allowed(one: NamedForm) -> bool:
        names = [one.name(curve) for curve in one.names]
        whole = Template(one.fit.form.written(), one.fit.values).filled()
        return form.allows(whole, names, sample, complete=not one.fit.form.curves)

    names = constraints.names if constraints.only or constraints.forbidden else None
    found = named_form(fit, names, task.failures, allowed)
    return FormAnswer.of_curves(form, found, few_rows(task.data))


def law_of_form(
    form: str, shared: Iterable[str] | None, grouped: GroupedSample, seed: int, constraints: Constraints
) -> GroupedCandidate:
    """The law of this form for all groups, with the constants shared that the caller names, or those that save bits.

    Limits that the form itself satisfies are possible, others are refused.
    """
    from knotwork.expressions import unknown_curves

    known_form = KnownForm.of(form, list(grouped.sample.columns), constraints)
    expression, constants = known_form.expression, known_form.constants
    limits = constraints.limits
    if known_form.ranges or limits.monotone or limits.positive or constraints.linear:
        raise TrainingError(
            "ranges of constants, signs and slopes of the result, and linear= are not kept with form= and groups=: "
            "leave them out, or fit each group on its own."
        )
    for curve, _, _ in unknown_curves(expression):
        raise DataError(
            f"form={form!r} holds the curve {curve!r}: with groups= write a function with constants for it."
        )
    known = [symbol.name for symbol in constants]
    for name in shared or ():
        if name not in known:
            raise DataError(unknown_name(name, known, "constant of the form"))
    starts = starts_of(expression, constants, grouped.of(int(grouped.rows.argmax())), seed, keep=4)
    if not starts:
        raise DataError(NOT_DEFINED)
    apart = fitted_apart(starts, grouped)
    if shared is None:
        law = shared_as_written(apart, grouped)
    else:
        common = {s: float(v.median()) for s, v in apart.differing.items() if s.name in set(shared)}
        rest = {s: v for s, v in apart.differing.items() if s not in common}
        law = fitted_together(replace(apart, shared=common, differing=rest), grouped)
    return GroupedCandidate(law, "a form that was given", bits_of(law, grouped))
