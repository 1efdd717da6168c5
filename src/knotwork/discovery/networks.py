"""Networks of ever more general shape, fitted and named, where no structure of curves explains the target."""

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from knotwork.discovery.choice import exact, joined
from knotwork.discovery.discovery import Entry
from knotwork.discovery.entries import entry_of
from knotwork.discovery.network_shapes import Shape, shapes
from knotwork.discovery.settings import DISCOVERY
from knotwork.discovery.straight_edges import name_linear_edges
from knotwork.discovery.table import rms, sample_of
from knotwork.discovery.task import Found, Task, late
from knotwork.errors import ExpressionError, KnotworkError, SpecError
from knotwork.kan import KAN
from knotwork.solvers import StopReason
from knotwork.symbolic import auto_symbolic
from knotwork.training import FitOptions, LevenbergMarquardt, Reporter, fit_levels, fit_with, held_out


class FittedShape(NamedTuple):
    """A network of some shape after its fit, its validation error, and whether the caller stopped the fit."""

    shape: str
    network: KAN
    error: float
    stopped: bool


def formulas_of_networks(
    task: Task, inputs: tuple[int, ...], baseline_error: float, front: tuple[Entry, ...], known: bool
) -> Found:
    """Formulas of networks of these inputs, from simple to general shapes; those that come close get a formula.

    `known` says that there is a formula besides the constant already. If not, at least one shape is tried whatever the
    time, and in the end the closest one that has a formula gets it. Ctrl-C ends the search and keeps what was found.
    """
    entries: list[Entry] = []
    fits: list[FittedShape] = []
    best, reason = baseline_error, StopReason.EXHAUSTED
    try:
        for shape in shapes(len(inputs)):
            if task.constraints.linear and not shape.keeps_straight:
                continue
            if (known or fits) and late(task.until):
                reason = StopReason.TIME_BUDGET
                break
            reporter = (task.deadline if known or fits else task.reporter).within(f"trying {shape.meaning}")
            fit = partial(fit_shape, shape, inputs, task, baseline_error, reporter)
            one = task.failures.attempt(fit, (KnotworkError,))  # others are of a callback
            if one is None:
                continue
            if one.stopped:
                return Found(tuple(entries), front, task.stopped)
            fits.append(one)
            close = one.error <= max(DISCOVERY.naming_ratio * best, DISCOVERY.naming_error * rms(task.data))
            entry = named(one, task, reporter) if close else None
            if entry is None and task.reporter.stopped:
                return Found(tuple(entries), front, task.stopped)
            best = min(best, one.error, math.inf if entry is None else entry.error)
            if entry is not None:
                entries.append(entry)
                front = joined(front, entry)
                if task.show(front):
                    return Found(tuple(entries), front, task.stopped)
                if exact(entry, task.data, task.relative):
                    return Found(tuple(entries), front, StopReason.EXACT)
        for one in sorted(fits, key=lambda one: one.error):
            if known or entries:
                break
            entry = named(one, task, task.reporter.within("naming the closest shape"))
            entries += [] if entry is None else [entry]
            if task.reporter.stopped:
                return Found(tuple(entries), front, task.stopped)
    except KeyboardInterrupt:
        reason = task.stopped
    return Found(tuple(entries), front, reason)


def no_more_to_explain(entries: Sequence[Entry], baseline_error: float, task: Task) -> StopReason | None:
    """The reason to end where a formula explains most, and the general network hardly more; shapes cannot either."""
    best = min(entry.error for entry in entries)
    enough = best < DISCOVERY.explained_error * rms(task.data) and baseline_error > DISCOVERY.hardly_more * best
    return StopReason.NO_MORE_TO_EXPLAIN if enough else None


def fit_shape(
    shape: Shape, inputs: tuple[int, ...], task: Task, baseline_error: float, reporter: Reporter
) -> FittedShape:
    """The shape fitted coarsely from many starts, then on finer grids unless it is far off."""
    data = task.data
    network = shape.build(KAN, DISCOVERY.grids[0], task.seed, data.n_inputs, inputs)
    name_linear_edges(network, [data.input_names[i] for i in inputs], task.constraints.linear)
    options = FitOptions(LevenbergMarquardt(starts=DISCOVERY.starts), DISCOVERY.baseline_grid_steps, seed=task.seed)
    coarse = fit_with(network, data, options, reporter)
    worst = max(DISCOVERY.prune_ratio * baseline_error, DISCOVERY.prune_error * rms(data))
    if coarse.stopped_by_caller or held_out(coarse) > worst:
        return FittedShape(shape.meaning, network, held_out(coarse), coarse.stopped_by_caller)
    options = FitOptions(LevenbergMarquardt(tolerance=DISCOVERY.tolerance), DISCOVERY.grid_steps, seed=task.seed)
    result = fit_levels(network, data, DISCOVERY.grids, options, reporter, patience=0)
    assert isinstance(result.model, KAN)
    return FittedShape(shape.meaning, result.model, held_out(result), result.stopped_by_caller)


def named(fitted: FittedShape, task: Task, reporter: Reporter) -> Entry | None:
    """The network with named edges as an entry; None where it has no formula, or one that is not allowed.

    None too where the time is up, or a callback asks to stop, before all edges are named.
    """
    if reporter.stop or reporter.stage("naming its edges"):
        return None
    return task.failures.attempt(partial(_entry_of_network, fitted, task, reporter))


def _entry_of_network(fitted: FittedShape, task: Task, reporter: Reporter) -> Entry | None:
    symbolic = auto_symbolic(fitted.network, task.data, task.constraints.names, reporter=reporter)
    try:
        formula = symbolic.symbolic_formula(task.data)
    except (ExpressionError, SpecError):  # a constant beyond what a float holds, an edge that nothing fits
        return None
    if not task.constraints.allows(formula.expression, sample_of(task.data)):
        return None
    return entry_of(formula, symbolic, fitted.network, fitted.shape, task.data, task.relative)
