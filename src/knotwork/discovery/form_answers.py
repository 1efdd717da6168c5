"""The formula of a known form: constants with errors, curves with names or as splines, and words about them."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from knotwork.data import Dataset
from knotwork.data.column_names import listed
from knotwork.discovery.discovery import Entry
from knotwork.discovery.entries import built, entry_of
from knotwork.discovery.few_rows import LeftOut, few_rows, nearest_constant
from knotwork.discovery.known_form import KnownForm
from knotwork.discovery.settings import DISCOVERY
from knotwork.discovery.table import sample_of
from knotwork.errors import warn
from knotwork.formulas import Formula
from knotwork.formulas.agreement import agreement
from knotwork.formulas.constants import Sample, Template, distinct, fitted
from knotwork.formulas.constants_in_ranges import fitted_within
from knotwork.formulas.dimensions import Dimensions
from knotwork.formulas.settings import FORMULAS
from knotwork.formulas.uncertainty import Constant, Uncertainty
from knotwork.regression.forms import FittedForm, NamedForm, OpenCurves, refitted, template_of_names, within


@dataclass(frozen=True)
class FormAnswer:
    """A fitted form: its formula as a template, the uncertainty of its constants, and its curves.

    `names` are the expressions of named curves, `open` the curves without a name, if there are some. `held` are the
    numbers of constants that an end of their range holds. `curves` tells in words what became of each curve.
    """

    form: KnownForm
    template: Template
    uncertainty: Uncertainty
    held: Mapping[Any, Any]
    curves: Mapping[str, str] = field(default_factory=dict)
    names: tuple[Any, ...] = ()
    open: OpenCurves | None = None

    @classmethod
    def of_constants(cls, form: KnownForm, template: Template, held: Mapping[Any, Any], sample: Sample) -> "FormAnswer":
        """Of a form without curves, of whose constants some are `held` at an end of their range."""
        return cls(form, template, Uncertainty.of_template(template, sample), held)

    @property
    def said(self) -> dict[str, str]:
        """In words, what became of each curve, and of each constant that an end of its range holds."""
        held = {str(one): f"{one} = {float(value):.6g}, an end of its range" for one, value in self.held.items()}
        return held | dict(self.curves)

    @classmethod
    def of_curves(cls, form: KnownForm, found: NamedForm, few: bool) -> "FormAnswer":
        """Of a form with curves; the constants of names are those of `few` rows, or become simple numbers."""
        names, sample = tuple(found.name(curve) for curve in found.names), found.fit.sample
        if found.fit.form.curves:
            open_ = _open(form, found.fit)
            template, named = open_.template(), replace(found, fit=open_.fit)
            held = _held(form, open_.fit.form.numbers)
            return cls(form, template, open_.uncertainty(template), held, _words(named, open_.said), names, open_)
        exact = math.sqrt(found.fit.mse) <= FORMULAS.exact_error * sample.scale
        template = template_of_names(found, exact or not few)
        held = _held(form, found.fit.form.numbers)
        return cls(form, template, Uncertainty.of_template(template, sample), held, _words(found, {}), names)

    def refitted(self, sample: Sample) -> "FormAnswer":
        """The same formula, its constants and curves fitted to other rows or weights, from where they are.

        Constants stay in their ranges. Those that an end of its range holds are free again in a form without curves.
        """
        if self.open is None:
            start, known = self._start()
            template, held = fitted_within(start, sample, self.form.ranges)
            if not math.isfinite(template.mse):
                template, known, held = fitted(replace(self.template, mse=math.inf), sample), self.held, {}
            uncertainty = Uncertainty.of_template(template, sample)
            return replace(self, template=template, uncertainty=uncertainty, held={**known, **held})
        open_ = _open(self.form, refitted(self.open.fit, sample))
        template, held = open_.template(), _held(self.form, open_.fit.form.numbers)
        return replace(self, template=template, uncertainty=open_.uncertainty(template), held=held, open=open_)

    def _start(self) -> tuple[Template, Mapping[Any, Any]]:
        """The template to fit again, and those constants that stay numbers in it: none where all values are known."""
        values = {**self.template.values, **{one: float(value) for one, value in self.held.items()}}
        if self.curves or set(values) != set(self.form.constants):
            return replace(self.template, mse=math.inf), self.held
        return Template(self.form.expression, {one: values[one] for one in self.form.constants}), {}

    def entry(self, data: Dataset, relative: bool, dimensions: Dimensions | None) -> Entry:
        """The formula with its networks, its constants under their own names."""
        symbolic, spline, formula = built(self.template.filled(), data, relative)
        formula = self._with_constants(formula, dimensions)
        entry = entry_of(formula, symbolic, spline, "a form that was given", data, relative)
        assert entry.formula is not None
        return entry if self.open is None else replace(entry, formula=self._of_left_out(entry.formula, data, relative))

    def unmet(self, data: Dataset) -> str:
        """What of the limits the formula does not satisfy, in words; mostly empty."""
        values = {**self.held, **self.template.values}
        outside = self.form.outside({one: float(value) for one, value in values.items()})
        return outside or self.form.unmet(self.template.filled(), self.names, sample_of(data)) or ""

    def warn_of_undetermined(self) -> None:
        """Warn the caller of `discover` of constants that the rows do not determine."""
        errors = zip(self.template.values, self.uncertainty.errors(), strict=True)
        undetermined = [one.name for one, error in errors if math.isinf(error) and one in self.form.constants]
        if undetermined:
            warn(
                f"the rows do not determine {listed(undetermined)} of form={self.form.text!r}, as other values give "
                "the same results: fix some of them in the form, or add rows."
            )

    def _with_constants(self, formula: Formula, dimensions: Dimensions | None) -> Formula:
        """The formula with the constants of the form, under their names and with units, in place of its decimals.

        Those of the names of its curves are c_1, c_2, ... Nothing is known of the unit of a curve without a name.
        """
        units = {}
        if dimensions is not None and self.open is None:
            alone = replace(self.template, values=distinct(self.template.values))
            known = dict(agreement(alone.filled(), dimensions, formula.targets[0]).constant_units)
            units = {symbol: known.get(value) for symbol, value in alone.values.items()}
        free = (f"c_{n}" for n in itertools.count(1))
        taken = {symbol.name for symbol in self.form.constants} | set(formula.variables)
        own = self.form.constants
        constants = tuple(
            Constant(s.name if s in own else next(c for c in free if c not in taken), value, error, units.get(s))
            for (s, value), error in zip(self.template.values.items(), self.uncertainty.errors(), strict=True)
        )
        agreements = formula.units if self.open is None else ()
        return replace(formula, constants=constants, uncertainty=(self.uncertainty,), units=agreements)

    def _of_left_out(self, formula: Formula, data: Dataset, relative: bool) -> Formula:
        """The formula with its accuracy on rows that are left out one at a time, where rows are few."""
        if self.open is None or not few_rows(data) or len(data.X_test):
            return formula
        sample, square = sample_of(data, relative), float(self.open.left_out().square().mean())
        mean = LeftOut.of(nearest_constant(sample), sample, 1).square
        r2 = 1 - square / mean if len(sample) >= DISCOVERY.warn_below_rows and mean else math.nan
        return replace(formula, r2=r2, rmse=math.sqrt(square), r2_rows="left-out")


def _open(form: KnownForm, fit: FittedForm) -> OpenCurves:
    """The curves without a name, normalised where that keeps constants in their ranges; an end holds the others."""
    normalised = OpenCurves.of(fit)
    inside = within(normalised.fit, form.ranges)
    return normalised if inside is normalised.fit else OpenCurves.of(inside)


def _held(form: KnownForm, numbers: Mapping[Any, Any]) -> dict[Any, Any]:
    """Those of the numbers that are of constants of the form."""
    return {constant: value for constant, value in numbers.items() if constant in form.constants}


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
