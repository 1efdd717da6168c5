"""A known form of the law: its unknown constants are fitted from many starts, and get errors."""

import difflib
import itertools
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from knotwork.data.column_names import listed, unknown_name
from knotwork.discovery.baseline import sparse_baseline
from knotwork.discovery.discovery import Discovery
from knotwork.discovery.entries import built, entry_of
from knotwork.discovery.forms_with_curves import check_calls, fit_of_curves
from knotwork.discovery.table import copies, relative_errors, sample_of, table
from knotwork.discovery.task import check_settings
from knotwork.discovery.undefined import undefined_within
from knotwork.errors import DataError, TrainingError, warn
from knotwork.formulas import Formula
from knotwork.formulas.constants import Sample, Template, fitted
from knotwork.formulas.grouped_constants import GroupedSample, fitted_apart, fitted_together
from knotwork.formulas.starts import starts_of
from knotwork.formulas.uncertainty import Constant, Uncertainty
from knotwork.kan import KAN
from knotwork.regression import Constraints, Failures, GroupedCandidate
from knotwork.regression.groups.sharing import bits_of, shared_as_written
from knotwork.simplify import input_shares
from knotwork.solvers import StopReason
from knotwork.training import Callback, reporting


def discover_form(
    X: Any,
    y: Any,
    form: str,
    names: Sequence[str] | None = None,
    units: Mapping[str, str] | Literal[False] | None = None,
    seed: int = 0,
    loss: str = "auto",
    sigma: Any = None,
    sample_weight: Any = None,
    lib: Iterable[str] | None = None,
    forbid: Iterable[str] | None = None,
    progress: bool | None = None,
    callback: Callback | None = None,
    start: Any = None,
    time_budget: float | None = None,
) -> Discovery:
    """The formula of this form with its constants and curves; the arguments are those of `discover`."""
    from knotwork.expressions import learned_curves, unknown_curves

    if start is not None:
        raise TrainingError("start= goes on from a formula and form= keeps to one: pass one of them.")

    began = time.perf_counter()
    check_settings(seed, time_budget, loss)
    data = table(X, y, names, units, seed, sigma, sample_weight)
    expression, constants = form_of(form, data.input_names)
    sample = sample_of(data, relative_errors(data, loss))
    allowed, failures, curves = Constraints.of(lib, forbid, None, data.input_names), Failures(), None
    with reporting(progress, callback) as reporter:
        deadline = reporter.before(math.inf if time_budget is None else began + time_budget)
        if unknown_curves(expression):
            functions = allowed.functions if lib is not None or forbid is not None else None
            curves = fit_of_curves(expression, constants, sample, data, seed, functions, failures, deadline)
            template, uncertainty = curves.template, curves.uncertainty
        else:
            reporter.stage("fitting the constants of the form")
            template = constants_fitted(expression, constants, sample, seed)
            uncertainty = Uncertainty.of_template(template, sample)
        stop = StopReason.EXHAUSTED if deadline.stop is None else deadline.stop.reason
        part = reporter.within("looking for inputs that matter")
        baseline = sparse_baseline(data, tuple(range(data.n_inputs)), seed, part)
    symbolic, spline, formula = built(template.filled(), data, sample.relative)
    formula = with_constants(formula, template, uncertainty)
    if learned_curves(formula.expression):
        formula = replace(formula, units=())  # nothing is known of the unit of a curve without a name
    open_ = [one.symbol for one in formula.constants if math.isinf(one.error)]
    if open_:
        warn(
            f"the rows do not determine {listed(open_)} of form={form!r}, as other values give the same results: fix "
            "some of them in the form, or add rows."
        )
    entry = entry_of(formula, symbolic, spline, "a form that was given", data, sample.relative)
    assert entry.formula is not None
    formula = entry.formula if curves is None else curves.of_left_out(entry.formula, data, sample)
    entry = replace(entry, formula=formula)
    undefined = undefined_within(entry.expression, sample_of(data))
    assert isinstance(baseline.model, KAN)
    settings = {
        "seed": seed, "functions": None, "forbidden": [], "linear": [], "limits": {}, "time budget": time_budget,
        "loss": "relative" if sample.relative else "mse", "form": form,
    }  # fmt: skip
    importance, seconds = input_shares(baseline.model, data), time.perf_counter() - began
    return Discovery(
        formula, (entry,), symbolic, spline, entry.shape, baseline, importance, data, seconds,
        stop, settings, {}, dict(failures.reasons), "" if undefined is None else undefined.reason,
        copies(data), curves={} if curves is None else curves.curves,
    )  # fmt: skip


def form_of(form: str, columns: Sequence[str]) -> tuple[Any, list[Any]]:
    """The expression of a form, and its constants: the names that are no columns; E is one, as in Arrhenius' law.

    Names that are called like functions, and are none, are unknown curves.

    Raises:
        DataError: a name is almost that of a column, there is no constant, or no column.
        ExpressionError: for a text that is no formula.
    """
    from knotwork.expressions import CONSTANTS, FUNCTIONS, called_names, parse, symbol, variable_names

    curves = [
        name
        for name in called_names(form)
        if name not in columns and name not in CONSTANTS and not (len(name) > 2 and close_to(name, FUNCTIONS))
    ]
    for name in set(called_names(form)) & set(columns):
        raise DataError(f"form={form!r} calls the column {name!r} like a function: write products with *.")
    known = variable_names(form, [*columns, "E"])
    constants = [name for name in known if name not in columns]
    for name in constants:
        close = close_to(name, columns) if len(name) > 2 else []
        if close:
            raise DataError(
                f"form={form!r} holds {name!r}, which is no column and would be a constant: did you mean "
                f"'{close[0]}'? Otherwise call the constant something else."
            )
    if not constants and not curves:
        raise DataError(
            f"form={form!r} holds no unknown constant or curve: write a name for each, as in 'a*x + b' or 'f(x) + c*y'."
        )
    if len(constants) == len(known):
        raise DataError(f"form={form!r} holds none of the columns, which are {listed(columns, 20)}.")
    expression = parse(form, known, curves)
    check_calls(expression, columns, constants, form)
    return expression, [symbol(name) for name in constants]


def close_to(name: str, known: Sequence[str]) -> list[str]:
    """The most similar of the known names, if one is close."""
    return difflib.get_close_matches(name, known, n=1, cutoff=0.75)


def constants_fitted(expression: Any, constants: Sequence[Any], sample: Sample, seed: int) -> Template:
    """The form with the constants of its best fit; DataError where it has no finite value for any constants tried."""
    starts = starts_of(expression, constants, sample, seed, keep=4)
    fits = [fitted(replace(one, mse=math.inf), sample) for one in starts]
    best = min(fits, key=lambda one: one.mse, default=None)
    if best is None or not math.isfinite(best.mse):
        raise DataError("the form is not defined on all rows for any constants that were tried: check roots and logs.")
    return best


def law_of_form(form: str, shared: Iterable[str] | None, grouped: GroupedSample, seed: int) -> GroupedCandidate:
    """The law of this form for all groups, with the constants shared that the caller names, or those that save bits."""
    from knotwork.expressions import unknown_curves

    expression, constants = form_of(form, list(grouped.sample.columns))
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
        raise DataError("the form is not defined on all rows for any constants that were tried: check roots and logs.")
    apart = fitted_apart(starts, grouped)
    if shared is None:
        law = shared_as_written(apart, grouped)
    else:
        common = {s: float(v.median()) for s, v in apart.differing.items() if s.name in set(shared)}
        rest = {s: v for s, v in apart.differing.items() if s not in common}
        law = fitted_together(replace(apart, shared=common, differing=rest), grouped)
    return GroupedCandidate(law, "a form that was given", bits_of(law, grouped))


def with_constants(formula: Formula, template: Template, uncertainty: Uncertainty) -> Formula:
    """The formula with the constants of its form, under their names, in place of its decimals.

    Those of the names of its curves are c_1, c_2, ...
    """
    free = (f"c_{n}" for n in itertools.count(1))
    taken = {symbol.name for symbol in template.values} | set(formula.variables)
    constants = tuple(
        Constant(symbol.name if symbol.name[0] != "\0" else next(c for c in free if c not in taken), value, error)
        for (symbol, value), error in zip(template.values.items(), uncertainty.errors(), strict=True)
    )
    return replace(formula, constants=constants, uncertainty=(uncertainty,))
