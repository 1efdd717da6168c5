"""A known form with unknown curves: fitted as splines together with the constants, then given names."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from knotwork.data import Dataset
from knotwork.discovery.few_rows import LeftOut, few_rows, nearest_constant
from knotwork.discovery.settings import DISCOVERY
from knotwork.errors import ExpressionError
from knotwork.formulas import Formula
from knotwork.formulas.constants import Sample, Template
from knotwork.formulas.settings import FORMULAS
from knotwork.formulas.uncertainty import Uncertainty
from knotwork.functions import NamedFunction
from knotwork.regression import Failures
from knotwork.regression.forms import CurveForm, NamedForm, OpenCurves, fit_form, named_form, template_of_names
from knotwork.training import Reporter


@dataclass(frozen=True)
class FormOfCurves:
    """A fitted form: its formula as a template, the uncertainty of its constants, and its curves in words."""

    template: Template
    uncertainty: Uncertainty
    curves: Mapping[str, str]
    open: OpenCurves | None

    def of_left_out(self, formula: Formula, data: Dataset, sample: Sample) -> Formula:
        """The formula with its accuracy on rows that are left out one at a time, where rows are few."""
        if self.open is None or not few_rows(data) or len(data.X_test):
            return formula
        square = float(self.open.left_out().square().mean())
        mean = LeftOut.of(nearest_constant(sample), sample, 1).square
        r2 = 1 - square / mean if len(sample) >= DISCOVERY.warn_below_rows and mean else math.nan
        return replace(formula, r2=r2, rmse=math.sqrt(square), r2_rows="left-out")


def fit_of_curves(
    expression: Any,
    constants: Sequence[Any],
    sample: Sample,
    data: Dataset,
    seed: int,
    functions: Sequence[NamedFunction] | None,
    failures: Failures,
    reporter: Reporter,
) -> FormOfCurves:
    """The form fitted to the rows, with names for those of its curves that have one."""
    reporter.stage("fitting the curves of the form")
    fit = fit_form(CurveForm.of(expression, constants), sample, seed, reporter)
    names = None if functions is None else [function.name for function in functions]
    reporter.stage("naming the curves of the form")
    found = named_form(fit, names, failures)
    if found.fit.form.curves:
        open_ = OpenCurves.of(found.fit)
        template = open_.template()
        return FormOfCurves(
            template, open_.uncertainty(template), _words(replace(found, fit=open_.fit), open_.said), open_
        )
    exact = math.sqrt(found.fit.mse) <= FORMULAS.exact_error * sample.scale
    template = template_of_names(found, exact or not few_rows(data))
    return FormOfCurves(template, Uncertainty.of_template(template, sample), _words(found, {}), None)


def _words(form: NamedForm, said: Mapping[str, str]) -> dict[str, str]:
    """Each curve in words: its name as a function of t, or that it is a spline, and what the form left open."""
    from knotwork.expressions import round_constants, symbol, text

    found = {}
    for curve in form.names:
        name = text(round_constants(form.name(curve).xreplace({form.t: symbol("t")}), DISCOVERY.digits_of_curves))
        fixed = form.fixed[curve]
        count = f"{len(fixed)} of its constants" if len(fixed) > 1 else "one of its constants"
        numbers = ", ".join(map(str, fixed))
        found[curve] = f"{curve}(t) = {name}" + (
            f" ({count} set to {numbers}: the form leaves that open)" * bool(fixed)
        )
    for curve in form.fit.form.curves:
        chosen = f" ({said[curve]} on the rows: the form leaves that open)" if curve in said else ""
        found[curve] = f"{curve}(t) has no name and stays a spline{chosen}"
    return dict(sorted(found.items()))


def check_calls(expression: Any, columns: Sequence[str], constants: Sequence[str], form: str) -> None:
    """Raises ExpressionError for a curve whose argument holds no input, or that is called like a constant."""
    from knotwork.expressions import unknown_curves

    for name, argument, _ in unknown_curves(expression):
        if name in constants:
            raise ExpressionError(
                f"form={form!r} holds {name!r} as a curve and as a constant: call one of them something else."
            )
        if not {str(one) for one in argument.free_symbols} & set(columns):
            raise ExpressionError(
                f"'{name}({argument})' in form={form!r} is a constant, as its argument holds no column: write a name "
                "in its place."
            )
