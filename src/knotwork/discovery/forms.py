"""A known form of the law: its unknown constants are fitted from many starts, and get errors."""

import difflib
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from knotwork.data.column_names import listed, unknown_name
from knotwork.discovery.baseline import sparse_baseline
from knotwork.discovery.discovery import Discovery
from knotwork.discovery.entries import built, entry_of
from knotwork.discovery.table import copies, relative_errors, sample_of, table
from knotwork.discovery.task import check_settings
from knotwork.discovery.undefined import undefined_within
from knotwork.errors import DataError, warn
from knotwork.formulas import Formula
from knotwork.formulas.constants import Sample, Template, fitted
from knotwork.formulas.grouped_constants import GroupedSample, fitted_apart, fitted_together
from knotwork.formulas.starts import starts_of
from knotwork.formulas.uncertainty import Constant, Uncertainty
from knotwork.kan import KAN
from knotwork.regression import GroupedCandidate
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
    progress: bool | None = None,
    callback: Callback | None = None,
) -> Discovery:
    """The formula of this form with its constants; the arguments are those of `discover`."""
    began = time.perf_counter()
    check_settings(seed, None, loss)
    data = table(X, y, names, units, seed, sigma, sample_weight)
    expression, constants = form_of(form, data.input_names)
    sample = sample_of(data, relative_errors(data, loss))
    template = constants_fitted(expression, constants, sample, seed)
    with reporting(progress, callback) as reporter:
        part = reporter.within("looking for inputs that matter")
        baseline = sparse_baseline(data, tuple(range(data.n_inputs)), seed, part)
    symbolic, spline, formula = built(template.filled(), data, sample.relative)
    formula = with_constants(formula, template, sample)
    open_ = [one.symbol for one in formula.constants if math.isinf(one.error)]
    if open_:
        warn(
            f"the rows do not determine {listed(open_)} of form={form!r}, as other values give the same results: fix "
            "some of them in the form, or add rows."
        )
    entry = entry_of(formula, symbolic, spline, "a form that was given", data, sample.relative)
    undefined = undefined_within(entry.expression, sample_of(data))
    assert isinstance(baseline.model, KAN)
    settings = {
        "seed": seed, "functions": None, "forbidden": [], "linear": [], "limits": {}, "time budget": None,
        "loss": "relative" if sample.relative else "mse", "form": form,
    }  # fmt: skip
    importance, seconds = input_shares(baseline.model, data), time.perf_counter() - began
    return Discovery(
        formula, (entry,), symbolic, spline, entry.shape, baseline, importance, data, seconds,
        StopReason.EXHAUSTED, settings, undefined="" if undefined is None else undefined.reason, copies=copies(data),
    )  # fmt: skip


def form_of(form: str, columns: Sequence[str]) -> tuple[Any, list[Any]]:
    """The expression of a form, and its constants: the names that are no columns; E is one, as in Arrhenius' law.

    Raises:
        DataError: a name is almost that of a column, there is no constant, or no column.
        ExpressionError: for a text that is no formula.
    """
    from knotwork.expressions import parse, symbol, variable_names

    known = variable_names(form, [*columns, "E"])
    constants = [name for name in known if name not in columns]
    for name in constants:
        close = difflib.get_close_matches(name, columns, n=1, cutoff=0.75) if len(name) > 2 else []
        if close:
            raise DataError(
                f"form={form!r} holds {name!r}, which is no column and would be a constant: did you mean "
                f"'{close[0]}'? Otherwise call the constant something else."
            )
    if not constants:
        raise DataError(f"form={form!r} holds no unknown constant: write a name for each, as in 'a*x + b'.")
    if len(constants) == len(known):
        raise DataError(f"form={form!r} holds none of the columns, which are {listed(columns, 20)}.")
    return parse(form, known), [symbol(name) for name in constants]


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
    expression, constants = form_of(form, list(grouped.sample.columns))
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


def with_constants(formula: Formula, template: Template, sample: Sample) -> Formula:
    """The formula with the constants of its form, under their names, in place of its decimals."""
    uncertainty = Uncertainty.of_template(template, sample)
    errors = uncertainty.errors()
    constants = tuple(
        Constant(symbol.name, value, error)
        for (symbol, value), error in zip(template.values.items(), errors, strict=True)
    )
    return replace(formula, constants=constants, uncertainty=(uncertainty,))
