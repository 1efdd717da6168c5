"""The fit of a form with unknown constants and curves: from many starts, then as smooth as the rows tell."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from knotwork.errors import DataError
from knotwork.formulas.constants import Sample
from knotwork.formulas.constants_in_ranges import Range, end_of, outermost
from knotwork.formulas.settings import FORMULAS
from knotwork.formulas.starts import drawn_constants, some_rows, within_ranges
from knotwork.journal import recalled
from knotwork.kernels import basis
from knotwork.regression.forms.form_problem import CurveForm, FormProblem
from knotwork.regression.forms.settings import FORMS
from knotwork.regression.settings import REGRESSION
from knotwork.solvers import Options, gauss_newton
from knotwork.splines import uniform_knots
from knotwork.training import Reporter


@dataclass(frozen=True)
class FittedForm:
    """The best fit of a form.

    `mse` is its mean squared residual, `determined` the number of parameters that rows determine, `weights` (curves,)
    those of the roughness. Constants that are `pinned` are those that other values of the curves make up for. The
    `reporter` tells when further fits end, with what they have.
    """

    form: CurveForm
    sample: Sample
    grid: int
    at: Tensor
    weights: Tensor
    mse: float
    determined: float
    pinned: tuple[int, ...] = ()
    reporter: Reporter = field(default_factory=Reporter, repr=False)

    @cached_property
    def problem(self) -> FormProblem:
        """The problem at the fit."""
        return FormProblem(self.form, self.sample, self.grid, self.at, self.weights, self.pinned)

    @property
    def noise(self) -> float:
        """The standard deviation of the noise, as the number of free rows tells it."""
        free = len(self.sample) - self.determined
        return math.sqrt(self.mse * len(self.sample) / free) if free > 0 else math.inf

    @property
    def values(self) -> dict[Any, float]:
        """The constants."""
        return dict(zip(self.form.constants, self.at[: self.problem.count].tolist(), strict=True))


def intervals(sample: Sample, curves: int) -> int:
    """Grid intervals of each of some curves, as in structures of curves."""
    wanted = max(REGRESSION.coarsest_grid, REGRESSION.intervals_of_all_curves // curves)
    possible = max(2, len(sample) // (REGRESSION.rows_per_interval * curves))
    return min(REGRESSION.finest_grid, wanted, possible)


def fit_form(
    form: CurveForm,
    sample: Sample,
    seed: int,
    reporter: Reporter | None = None,
    ranges: Mapping[Any, Range] | None = None,
) -> FittedForm:
    """The best fit of a form with curves from many starts; after Ctrl-C that of the starts so far.

    Constants that the rows draw out of their `ranges` become the number at its end.

    Raises:
        DataError: there are too few rows, or the form is not defined on all of them for any constants that were tried.
    """
    needed = len(form.constants) + FORMS.rows_per_curve * len(form.curves)
    if len(sample) < needed:
        raise DataError(
            f"the form has {len(form.constants)} constants and {len(form.curves)} curves, which need {needed} rows at "
            f"least, but there are {len(sample)}: add rows, or write a function in place of a curve."
        )
    some, curves = some_rows(sample, seed), len(form.curves)
    grid, coarse = intervals(sample, curves), min(FORMS.coarse_grid, intervals(some, curves))
    weights = torch.full((curves,), FORMS.least_roughness, dtype=torch.float64) * some.scale**2
    reporter = reporter or Reporter()
    raced: list[tuple[float, Tensor]] = []
    try:
        for one in _raced(form, some, coarse, weights, seed, reporter, ranges or {}):
            raced.append(one)
    except KeyboardInterrupt:
        if not raced:
            raise
        reporter.interrupt()
    if not raced:
        raise DataError("the form is not defined on all rows for any constants that were tried: check roots and logs.")
    raced.sort(key=lambda one: one[0])
    different = [raced[0], *(one for one in raced[1:] if one[0] > FORMULAS.distinct_fits * raced[0][0])]
    near = [one for one in different if one[0] <= FORMS.worth_all_rows * raced[0][0]]
    fits = []
    for _, at in reporter.timely(near[: FORMS.starts_on_all_rows]):
        pinned = undetermined(FormProblem(form, some, coarse, at, weights))
        start = _refined(at, len(form.constants), coarse, grid)
        fits.append(within(smooth_fit(form, sample, grid, start, pinned, reporter=reporter), ranges or {}))
    return min(fits, key=lambda one: one.mse)


def within(fit: FittedForm, ranges: Mapping[Any, Range]) -> FittedForm:
    """The fit with constants in their ranges: one that lies outside becomes its end, and the others are fitted again.

    Where it is one that curves make up for, the curves are fitted again, too.
    """
    while math.isfinite(fit.mse) and (symbol := outermost(fit.values, ranges)) is not None:
        fit = with_number(fit, symbol, end_of(fit.values[symbol], ranges[symbol]), FORMS.rounds)
    return fit


def with_number(fit: FittedForm, constant: Any, value: Any, rounds: int) -> FittedForm:
    """The form fitted again with a number in place of a constant."""
    place = fit.form.constants.index(constant)
    form, start = fit.form.with_number(constant, value), torch.cat([fit.at[:place], fit.at[place + 1 :]])
    pinned = tuple(n - (n > place) for n in fit.pinned if n != place)
    return smooth_fit(form, fit.sample, fit.grid, start, pinned, fit.weights, rounds, fit.reporter)


def refitted(fit: FittedForm, sample: Sample) -> FittedForm:
    """The same form fitted to other rows or weights, from where it is."""
    return smooth_fit(fit.form, sample, fit.grid, fit.at, fit.pinned, fit.weights, reporter=fit.reporter)


def _raced(
    form: CurveForm,
    some: Sample,
    coarse: int,
    weights: Tensor,
    seed: int,
    reporter: Reporter,
    ranges: Mapping[Any, Range],
) -> Iterator[tuple[float, Tensor]]:
    """The losses and places where descents from random starts end, until some agree on the lowest."""
    exact, losses = (FORMS.as_good_as_exact * some.scale) ** 2, []
    options = Options(None, FORMS.race_steps, FORMULAS.slow_gain, FORMULAS.slow_steps, exact)
    for start in reporter.timely(_starts(form, some, coarse, seed, ranges)):
        descend = partial(_descent, FormProblem(form, some, coarse, start, weights), options, reporter)
        loss, at = recalled(
            "descent",
            partial(tuple, (form, some, coarse, start, weights, options.steps)),
            descend,
            lambda found: found,
            lambda kept: kept,
            lambda: not reporter.late,
        )
        if not math.isfinite(loss):
            continue
        losses.append(max(loss, exact))
        yield losses[-1], at
        if sum(loss <= FORMULAS.distinct_fits * min(losses) for loss in losses) >= FORMS.starts_that_agree:
            return


def _descent(problem: FormProblem, options: Options, reporter: Reporter) -> tuple[float, Tensor]:
    """The loss and the place where the descent of a problem ends."""
    problem.begin()
    if math.isfinite(problem.loss):
        gauss_newton(problem, options, reporter.ending)
    return problem.loss, problem.at


def undetermined(problem: FormProblem) -> tuple[int, ...]:
    """Constants to pin, as few as possible, so that the rows determine all others."""
    linear, pinned = problem.linear_at(problem.at), list(problem.pinned)
    while linear is not None and len(pinned) < problem.count:
        problem.pinned = pinned
        jacobian = problem.jacobian(linear)
        free = [n for n in range(problem.count) if n not in pinned]
        size = jacobian.norm(dim=0)
        scaled = jacobian / torch.where(size > 0, size, 1.0)
        _, singular, right = torch.linalg.svd(torch.linalg.qr(scaled, "r").R)
        singular = torch.cat([singular, singular.new_zeros(len(right) - len(singular))])
        blind = right[singular <= FORMS.undetermined**0.5 * singular.amax()].square().sum(0)[free]
        blind = torch.where(size[free] > 0, blind, 1.0)
        if not bool((blind > FORMS.open_share).any()):
            break
        pinned.append(free[int(blind.argmax())])
    return tuple(pinned)


def _starts(form: CurveForm, sample: Sample, grid: int, seed: int, ranges: Mapping[Any, Range]) -> Iterator[Tensor]:
    """Constants of one, then random ones, with random parabolas as curves."""
    generator = torch.Generator().manual_seed(seed)
    drawn = drawn_constants(len(form.constants), sample, seed)
    drawn = torch.cat([torch.ones(1, drawn.shape[1], dtype=torch.float64), drawn])
    drawn = within_ranges(drawn, [ranges.get(one) for one in form.constants])
    t = torch.linspace(-1, 1, grid + FORMS.order, dtype=torch.float64)
    for number in range(FORMS.starts):
        draw = torch.randn(len(form.curves), 3, generator=generator, dtype=torch.float64)
        curves = draw[:, :1].abs() + draw[:, 1:2] * t + FORMS.bend_of_starts * draw[:, 2:] * t**2
        yield torch.cat([drawn[number % len(drawn)], curves.flatten()])


def _refined(at: Tensor, constants: int, coarse: int, grid: int) -> Tensor:
    """The same constants and curves with other grid intervals."""
    one, t = (
        torch.ones(1, dtype=torch.float64),
        torch.linspace(-1, 1, FORMS.places_per_interval * grid, dtype=torch.float64)[:, None],
    )
    old, new = (basis(t, uniform_knots(-one, one, g, FORMS.order), FORMS.order)[:, 0] for g in (coarse, grid))
    curves = old @ at[constants:].view(-1, coarse + FORMS.order).T
    return torch.cat([at[:constants], torch.linalg.lstsq(new, curves, driver="gelsd").solution.T.flatten()])


def smooth_fit(
    form: CurveForm,
    sample: Sample,
    grid: int,
    start: Tensor,
    pinned: Sequence[int] = (),
    weights: Tensor | None = None,
    rounds: int = FORMS.rounds,
    reporter: Reporter | None = None,
) -> FittedForm:
    """The nearest fit, with the roughness that the rows tell (Wood and Fasiolo, Biometrics 73, 2017).

    The weight of a curve's roughness is that at which its size agrees with what the noise lets the rows determine.
    """
    reporter = reporter or Reporter()
    return recalled(
        "smooth_fit",
        lambda: (form, sample, grid, start, list(pinned), weights, rounds),
        lambda: _smooth_fit(form, sample, grid, start, pinned, weights, rounds, reporter),
        lambda fit: (fit.at, fit.weights, fit.mse, fit.determined),
        lambda kept: FittedForm(form, sample, grid, kept[0], kept[1], kept[2], kept[3], tuple(pinned), reporter),
        lambda: not reporter.late,
    )


def _smooth_fit(
    form: CurveForm,
    sample: Sample,
    grid: int,
    start: Tensor,
    pinned: Sequence[int],
    weights: Tensor | None,
    rounds: int,
    reporter: Reporter,
) -> FittedForm:
    count = len(form.curves)
    if weights is None:
        weights = torch.full((count,), FORMS.first_roughness, dtype=torch.float64) * sample.scale**2
    least = FORMS.least_roughness * sample.scale**2
    gain = FORMULAS.slow_gain if rounds > 1 else FORMS.gain_to_compare
    exact = (FORMULAS.smallest_residual * sample.scale) ** 2
    options = Options(None, FORMS.steps, gain, FORMULAS.slow_steps, exact)
    determined, mse = float(len(form.constants)), math.inf
    for _ in reporter.timely(range(rounds)):
        problem = FormProblem(form, sample, grid, start, weights, pinned)
        problem.begin()
        if math.isfinite(problem.loss):
            gauss_newton(problem, options, reporter.ending)
        start, n = problem.at, len(sample)
        linear = problem.linear_at(start)
        if linear is None:
            return FittedForm(form, sample, grid, start, weights, math.inf, 0.0, tuple(pinned), reporter)
        mse = float(sample.residuals(linear.values).square().mean())
        jacobian = problem.jacobian(linear)
        normal = jacobian.T @ jacobian / n
        inverse = inverse_of(normal + problem.penalty)
        determined = float((inverse * normal).sum())
        if rounds == 1 or not count:
            break
        variance = mse * n / max(n - determined, 1.0) / n
        square = problem.differences.T @ problem.differences
        rough = (problem.coefficients(start) @ problem.differences.T).square().sum(1)
        blocks = [inverse[k : k + len(square), k : k + len(square)] for k in _places_of_curves(problem)]
        free = torch.stack(
            [len(problem.differences) - w * (b * square).sum() for w, b in zip(weights, blocks, strict=True)]
        )
        new = (variance * free.clamp_min(FORMS.least_freedom) / rough.clamp_min(1e-300)).clamp(
            least, FORMS.largest_roughness * sample.scale**2
        )
        same = bool(((new / weights).log().abs() < FORMS.same_roughness).all())
        weights = new
        if same:
            break
    return FittedForm(form, sample, grid, start, weights, mse, determined, tuple(pinned), reporter)


def _places_of_curves(problem: FormProblem) -> range:
    return range(problem.count, len(problem.at), problem.size_of_curve)


def inverse_of(matrix: Tensor) -> Tensor:
    """The inverse of a positive matrix, scaled to a diagonal of ones, in the directions that it determines."""
    size = matrix.diagonal().clamp_min(1e-300).sqrt()
    scaled = matrix / size / size[:, None]
    return torch.linalg.pinv(scaled, rtol=FORMS.undetermined, hermitian=True) / size / size[:, None]
