"""Names for the curves of a form that was fitted, one after the other, each with the whole form fitted again."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from knotwork.formulas.constants import Sample, Template, fitted, simplified
from knotwork.formulas.curves import CurveSearch
from knotwork.formulas.settings import FORMULAS
from knotwork.regression.failures import Failures
from knotwork.regression.forms.form_fits import FittedForm, refitted, smooth_fit, undetermined, with_number
from knotwork.regression.forms.settings import FORMS


@dataclass(frozen=True)
class NamedForm:
    """A fitted form, with names (expressions of the symbol t, with their constants) of those curves that have one.

    `fixed` are constants of names that other constants or curves of the form make up for, with the number they got.
    """

    fit: FittedForm
    t: Any
    names: dict[str, Any] = field(default_factory=dict)
    fixed: dict[str, list[Any]] = field(default_factory=dict)

    def name(self, curve: str) -> Any:
        """The expression of t that a curve was named with."""
        from knotwork.expressions import number

        values = {c: number(0 if abs(v) < FORMULAS.exact_error else v) for c, v in self.fit.values.items()}
        return self.names[curve].xreplace(values)


Allowed = Callable[[NamedForm], bool]


@dataclass(frozen=True)
class _Name:
    """A name of a curve with constants, and its length in symbols."""

    template: Template
    length: int


@dataclass(frozen=True)
class _Trial:
    """A form with one name more; fewer `bits` are better."""

    form: NamedForm
    bits: float


class _Names:
    """Searches names for curves of a fitted form, one after the other.

    Of each curve, the names that were found first are tried again when other curves have got names, before new ones
    are searched for; a search takes most of the time.
    """

    def __init__(self, functions: Sequence[str] | None, failures: Failures, allowed: Allowed) -> None:
        self.functions, self.failures, self.allowed = functions, failures, allowed
        self.known: dict[str, list[_Name]] = {}

    def best(self, form: NamedForm, again: bool) -> NamedForm | None:
        """The form with one curve more named, that of the fewest bits; None where no name is as good as a spline.

        Curves for which no name was found before are searched only `again`.
        """
        curves = [curve for curve in form.fit.form.curves if again or self.known.get(curve) != []]
        timely = form.fit.reporter.timely(curves)
        trials = [self.failures.attempt(partial(self._trial, form, curve)) for curve in timely]
        found = min((one for one in trials if one is not None), key=lambda one: one.bits, default=None)
        return None if found is None else found.form

    def _trial(self, form: NamedForm, curve: str) -> _Trial | None:
        """The form with the best name of a curve."""
        found = _tried(form, curve, self.known.get(curve, []), self.allowed)
        if found is None:
            self.known[curve] = self._names(form, curve)
            found = _tried(form, curve, self.known[curve], self.allowed)
        if found is None:
            self.known[curve] = []
        return found

    def _names(self, form: NamedForm, curve: str) -> list[_Name]:
        """The best names of a curve as it is."""
        t, y, unit = seen_curve(form.fit, curve)
        alone = len(form.fit.form.curves) == 1 and not form.fit.form.constants
        error = math.sqrt(form.fit.mse) / form.fit.sample.scale
        accuracy = FORMULAS.exact_error if alone else max(FORMULAS.exact_error, FORMS.accuracy_of_spline * error)
        depth, reporter = FORMS.depth_of_names, form.fit.reporter
        search = CurveSearch(t, y, unit, accuracy, self.functions, reporter, depth, short=True)
        short = [found for found in search.run() if found.length <= FORMS.longest_name]
        return [_Name(search.template(one, form.t), one.length) for one in short[: FORMS.names_of_curve]]


def named_form(
    fit: FittedForm, functions: Sequence[str] | None, failures: Failures, allowed: Allowed = lambda form: True
) -> NamedForm:
    """The form with names for as many curves as the rows are compatible with; `functions` may occur in names.

    Names are tried that make a form which is `allowed`. After Ctrl-C, or when its time is up, the form with the names
    so far.
    """
    from knotwork.expressions import algebra

    form, names = NamedForm(fit, algebra.Symbol("\0t", real=True)), _Names(functions, failures, allowed)
    try:
        while form.fit.form.curves and not fit.reporter.late:
            some = len(form.names)
            found = names.best(form, again=False) or (names.best(form, again=True) if some else None)
            if found is None:
                break
            form = _smoothed(found)
    except KeyboardInterrupt:
        fit.reporter.interrupt()
    return form


def _smoothed(form: NamedForm) -> NamedForm:
    """The form with the roughness of its curves chosen anew."""
    return replace(form, fit=refitted(form.fit, form.fit.sample))


def _tried(form: NamedForm, curve: str, names: Sequence[_Name], allowed: Allowed) -> _Trial | None:
    """The form with the best of some names of a curve; None where none is as good as its spline."""
    trials: list[_Trial] = []
    for number, name in form.fit.reporter.timely(enumerate(names)):
        trial = _with_name(form, curve, name.template, number)
        if trial is not None:
            trials.append(_Trial(trial, _bits(trial.fit.mse, name.length, trial.fit.sample)))
            if trial.fit.mse <= (FORMULAS.exact_error * trial.fit.sample.scale) ** 2:
                break
    for trial in sorted(trials, key=lambda one: one.bits):
        determined = _determined(trial.form)
        if allowed(determined):
            return replace(trial, form=determined)
    return None


def _bits(mse: float, length: int, sample: Sample) -> float:
    n = len(sample)
    return n * math.log2(math.sqrt(mse) + FORMULAS.exact_error * sample.scale) + length * math.log2(n)


def seen_curve(fit: FittedForm, curve: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What rows tell of a curve: its arguments, its values there with the residuals of rows, and units of their errors.

    Rows whose values hardly depend on the curve are left out.
    """
    problem = fit.problem
    linear = problem.linear_at(fit.at)
    assert linear is not None
    own = problem.coefficients(fit.at)[fit.form.curves.index(curve)]
    weight = problem.unit(linear.values)
    residuals = fit.sample.residuals(linear.values)
    points: list[tuple[Tensor, Tensor, Tensor]] = []
    for k, (name, _, _) in enumerate(fit.form.calls):
        if name == curve:
            slope = linear.by_calls[:, k] * weight
            seen = slope.abs() >= FORMS.least_slope * slope.abs().max()
            value = linear.bases[k] @ own - residuals / torch.where(seen, slope, 1.0)
            points.append((linear.arguments[k][seen], value[seen], fit.sample.scale / slope.abs()[seen]))
    t, y, unit = (torch.cat(one).numpy() for one in zip(*points, strict=True))
    return t, y, unit


def _with_name(form: NamedForm, curve: str, name: Template, number: int) -> NamedForm | None:
    """The whole form fitted again with a name for a curve; None where the residuals grow by more than chance."""
    from knotwork.expressions import algebra

    fit = form.fit
    own = {c: algebra.Symbol(f"\0{curve} {number} {n}", real=True) for n, c in enumerate(name.values)}
    expression = name.expression.xreplace(own)
    new = fit.form.named(curve, expression, form.t, list(own.values()))
    place, size, count = fit.form.curves.index(curve), fit.problem.size_of_curve, len(fit.form.constants)
    rest = torch.cat([fit.at[count : count + place * size], fit.at[count + (place + 1) * size :]])
    start = torch.cat([fit.at[:count], torch.tensor(list(name.values.values()), dtype=torch.float64), rest])
    weights = torch.cat([fit.weights[:place], fit.weights[place + 1 :]])
    found = smooth_fit(new, fit.sample, fit.grid, start, fit.pinned, weights, 1, fit.reporter)
    if not found.mse <= _allowed(fit, found):
        return None
    return NamedForm(found, form.t, {**form.names, curve: expression}, {**form.fixed, curve: []})


def _allowed(spline: FittedForm, named: FittedForm) -> float:
    """The mean squared residual up to which a name is as good as a spline.

    The squares that a spline explains beyond a true name are σ² times χ² of as many degrees of freedom as it has more.
    """
    more = max(spline.determined - named.determined, 1.0)
    left = max(len(spline.sample) - spline.determined, 1.0)
    chance = 1 + (more + FORMS.chance_of_name * math.sqrt(2 * more)) / left
    return spline.mse * chance + (FORMULAS.exact_error * spline.sample.scale) ** 2


def _determined(form: NamedForm) -> NamedForm:
    """The form with numbers in place of constants of names that nothing but other constants tells, 0 or 1 or -1."""
    from knotwork.expressions import algebra

    refused: set[Any] = set()
    while not form.fit.reporter.late:
        fit = form.fit
        free = replace(fit, pinned=()).problem
        open_ = _open(free)
        names = {c: curve for curve, name in form.names.items() for c in name.free_symbols - {form.t}}
        for constant in [c for c in fit.form.constants if c in names and c in open_]:
            for value in (algebra.Integer(0), algebra.Integer(1), algebra.Integer(-1)):
                trial = _fixed(form, names[constant], constant, value) if (constant, value) not in refused else None
                if trial is not None:
                    break
                refused.add((constant, value))
            if trial is not None:
                form = trial
                break
        else:
            pinned = undetermined(free)
            return replace(form, fit=replace(fit, pinned=pinned))
    return form


def _open(problem: Any) -> set[Any]:
    """Constants that other constants or curves make up for."""
    linear = problem.linear_at(problem.at)
    if linear is None:
        return set()
    jacobian = problem.jacobian(linear)
    size = jacobian.norm(dim=0)
    _, singular, right = torch.linalg.svd(torch.linalg.qr(jacobian / torch.where(size > 0, size, 1.0), "r").R)
    singular = torch.cat([singular, singular.new_zeros(len(right) - len(singular))])
    blind = right[singular <= FORMS.undetermined**0.5 * singular.amax()].square().sum(0)
    blind = torch.where(size > 0, blind, 1.0)
    return {c for c, share in zip(problem.form.constants, blind.tolist(), strict=False) if share > FORMS.open_share}


def _fixed(form: NamedForm, curve: str, constant: Any, value: Any) -> NamedForm | None:
    """The form with a number in place of a constant, if others make up for it."""
    from knotwork.expressions import algebra

    fit = form.fit
    new = fit.form.with_number(constant, value)
    name = form.names[curve].xreplace({constant: value})
    whole = algebra.Add(new.expression, *(u for _, u, _ in new.calls))
    if whole.has(algebra.zoo, algebra.nan, algebra.oo) or not name.has(form.t):
        return None
    if not set(new.constants) <= whole.free_symbols:
        return None
    curves = bool(new.curves)  # their roughness follows their scale
    found = with_number(replace(fit, pinned=()), constant, value, FORMS.rounds if curves else 1)
    allowed = (
        fit.mse * (1 + (FORMS.same_smooth_fit if curves else FORMS.same_fit))
        + (FORMULAS.exact_error * fit.sample.scale) ** 2
    )
    if not found.mse <= allowed:
        return None
    fixed = {**form.fixed, curve: [*form.fixed[curve], value]}
    return NamedForm(found, form.t, {**form.names, curve: name}, fixed)


def template_of_names(form: NamedForm, simple: bool) -> Template:
    """The formula of a form whose curves all have names.

    If `simple`, constants of names become simple numbers where rows allow it; those of the form stay decimals.
    """
    fit = form.fit
    own = {c for name in form.names.values() for c in name.free_symbols}
    template = fitted(Template(fit.form.expression, fit.values), fit.sample)
    kept = [c for c in fit.form.constants if c not in own]
    return simplified(template, fit.sample, kept) if simple else template
