"""Structures: targets made of curves of single inputs, as sums of products of splines, fitted by least squares."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from knotwork.journal import after, recalled
from knotwork.kernels import basis
from knotwork.regression.curve_names import EXPONENTIAL, OuterFunction
from knotwork.regression.descents import descent_options, exact_below
from knotwork.regression.settings import REGRESSION
from knotwork.regression.term_settings import TERMS
from knotwork.solvers import NormalEquations, VectorProblem, gauss_newton
from knotwork.splines import uniform_knots


class Axis:
    """One input with its spline basis: on a logarithmic scale if its values are positive and spread enough.

    `at` holds the values, or their logarithms, mapped to [-1, 1]; `half` is half the range before that. Where it is
    `straight`, the target may only be linear in it.
    """

    straight = False
    never_changes = True

    def __init__(self, values: Tensor, train: int, grid: int) -> None:
        low, high, order = float(values.min()), float(values.max()), REGRESSION.spline_order
        self.values, self.positive = values, low > 0
        wide = high >= REGRESSION.wide_ratio * low and float(values.median()) >= REGRESSION.crowded_share * high
        self.logarithmic = low > 0 and high > REGRESSION.logarithmic_ratio * low and not wide
        self.at = values.log() if self.logarithmic else values
        ends = self.at.min(), self.at.max()
        half = float(ends[1] - ends[0]) / 2 or 1.0
        self.at = (self.at - ends[0]) / half - 1
        one = torch.ones(1, dtype=values.dtype)
        self.basis = basis(self.at[:, None], uniform_knots(-one, one, grid, order), order)[:, 0]
        self.half, self.train = half, train
        self.projection = torch.linalg.pinv(self.basis[:train], rtol=REGRESSION.pseudoinverse_cutoff)

    def identity(self) -> Any:
        """All that fits depend on."""
        return self.values, self.at, self.basis, self.half, self.train, self.straight, self.logarithmic

    def coefficients(self, curve: Tensor) -> Tensor:
        """The coefficients of the spline nearest to a curve's values (train rows,)."""
        return self.projection @ curve


def least_squares(design: Tensor, target: Tensor) -> Tensor:
    """The shortest coefficients (P,) of the best fit to a target (n,); all zero if any number is not finite."""
    if not (bool(design.isfinite().all()) and bool(target.isfinite().all())):
        return torch.zeros(design.shape[1], dtype=design.dtype)
    return torch.linalg.lstsq(design, target[:, None], rcond=REGRESSION.linear_cutoff, driver="gelsd").solution[:, 0]


def nearest_product(logarithms: Tensor, y: Tensor) -> Tensor:
    """The coefficients (P,) of the exponential of a sum of columns (n, P) that is nearest to positive targets (n,).

    Gauss-Newton steps lead there from the fit to the logarithms in which rows weigh as much as their targets.
    """
    weights = y / y.square().mean().sqrt()
    best = least_squares(logarithms * weights[:, None], y.log() * weights)
    values = (logarithms @ best).exp()
    for _ in range(TERMS.steps_to_product):
        step = least_squares(logarithms * values[:, None], y - values)
        for share in (1.0, 0.5, 0.25):
            new = (logarithms @ (best + share * step)).exp()
            if float((new - y).square().sum()) < float((values - y).square().sum()):
                break
        else:
            break
        best, values = best + share * step, new
    return best


def positive_share(y: Tensor) -> float:
    """Share of the positive targets in the sum of all sizes, so that noise of small targets hardly counts.

    The largest hundredth of the targets is left out, so that no single row decides.
    """
    size = y.abs()
    usual = size <= size.quantile(0.99, interpolation="lower") if len(y) > 1 else size >= 0
    return float(y[usual].clamp_min(0).sum() / size[usual].sum().clamp_min(1e-300))


@dataclass(frozen=True)
class Rows:
    """A table prepared for the search: an axis for each input, and targets. The first `train` rows are fitted.

    Rows may count `weights` (n,) times, 1 on average.
    """

    never_changes: ClassVar[bool] = True
    axes: tuple[Axis, ...]
    y: Tensor
    train: int
    relative: bool = False
    weights: Tensor | None = None

    @classmethod
    def of(
        cls, columns: Sequence[Tensor], y: Tensor, train: int, relative: bool = False, weights: Tensor | None = None
    ) -> "Rows":
        """From columns (n,) and targets (n,), training rows first; `relative` residuals are divided by the targets."""
        count, settings = len(columns), REGRESSION
        wanted = max(settings.coarsest_grid, settings.intervals_of_all_curves // count)
        possible = max(2, train // (settings.rows_per_interval * count))
        grid = min(settings.finest_grid, wanted, possible)
        return cls(tuple(Axis(column, train, grid) for column in columns), y, train, relative, weights)

    def weighed(self, rows: Tensor) -> Tensor:
        """Numbers of the first rows (m,), or of all, times the roots of the weights."""
        return rows if self.weights is None else rows * self.weights[: len(rows)].sqrt()

    @property
    def scale(self) -> float:
        """The standard deviation of the targets; 1 for relative residuals."""
        if self.relative:
            return 1.0
        return max(float(self.weighed(self.y - self._mean(self.y)).square().mean().sqrt()), 1e-300)

    def _mean(self, y: Tensor) -> Tensor:
        """The mean of the first targets, or of all."""
        return y.mean() if self.weights is None else self.weights[: len(y)] @ y / self.weights[: len(y)].sum()

    @property
    def size(self) -> float:
        """The root mean square of the targets; 1 for relative residuals."""
        return 1.0 if self.relative else max(float(self.y.square().mean().sqrt()), self.scale)

    def residuals(self, values: Tensor) -> Tensor:
        """The deviations (n,) of these values from the targets, relative to `scale`, times the roots of the weights."""
        return self.weighed((values - self.y) / (self.y if self.relative else self.scale))

    @property
    def weight_of_residuals(self) -> Tensor:
        """The derivatives (n,) of `residuals` by the values."""
        return self.weighed(1 / self.y if self.relative else torch.full_like(self.y, 1 / self.scale))

    @property
    def error_of_mean(self) -> float:
        """Validation error of the training rows' mean, relative to `scale`: what a structure has to improve on.

        It is 1 for relative residuals, the error of a constant that is small beside most targets.
        """
        if self.relative:
            return 1.0
        apart = self.weighed(self.y - self._mean(self.y[: self.train]))
        validation = apart[self.train :] if len(self.y) > self.train else apart
        return float(validation.square().mean().sqrt()) / self.scale


Inputs = tuple[int, ...]
"""Numbers of inputs whose curves are multiplied."""


@dataclass(frozen=True)
class Structure:
    """target = outer(product of curves of the inputs in `common` x the sum over `terms` of products of curves)."""

    outer: OuterFunction
    terms: tuple[Inputs, ...]
    common: Inputs = ()

    def identity(self) -> Any:
        """What it is, as numbers and texts."""
        return self.outer.words, self.terms, self.common

    @property
    def places(self) -> list[tuple[int, int]]:
        """(term, input) of each curve; term -1 is the common factor."""
        return [(-1, i) for i in self.common] + [(k, i) for k, term in enumerate(self.terms) for i in term]

    @property
    def linear(self) -> bool:
        """Whether it is a sum of curves, so that one linear system fits it."""
        return not self.common and all(len(term) <= 1 for term in self.terms)

    def __str__(self) -> str:
        """In words, for example "1 over a sum of two products of curves"."""
        count = {1: "a product of curves", 2: "a sum of two products of curves"}
        if self.linear:
            inside = "a product of curves" if self.outer is EXPONENTIAL else "a sum of curves"
        elif self.common:
            inside = "curves times a sum of curves"
        elif len(self.terms[0]) < len(self.terms[-1]):
            inside = "a sum of curves and of a product of curves"
        else:
            inside = count.get(len(self.terms), f"a sum of {len(self.terms)} products of curves")
        return inside if self.outer is EXPONENTIAL else f"{self.outer.words}{inside}"


def partitions(count: int) -> list[tuple[Inputs, ...]]:
    """The ways to share out inputs among the products of a sum, two products or more, not all of single inputs."""
    found: list[tuple[Inputs, ...]] = [()]
    for i in range(count):
        found = [
            (*groups[:k], (*group, i), *groups[k + 1 :]) if k < len(groups) else (*groups, (i,))
            for groups in found
            for k, group in enumerate((*groups, ()))
        ]
    return [groups for groups in found if 1 < len(groups) < count]


@dataclass(frozen=True)
class StructureFit:
    """A fitted structure: coefficients (curves, basis), residuals (n,), errors relative to the target's spread."""

    structure: Structure
    coefficients: Tensor = field(repr=False)
    residuals: Tensor = field(repr=False)
    error: float
    validation_error: float


def fit_structure(rows: Rows, structure: Structure, generator: torch.Generator) -> StructureFit:
    """The structure fitted to the training rows.

    A sum of curves is one linear system. Other structures are fitted by damped Gauss-Newton steps: a few from each of
    several random starts, then more from the best.
    """
    found, state = recalled(
        "fit_structure",
        lambda: (rows, structure, generator),
        after(generator, lambda: _fit_structure(rows, structure, generator)),
        lambda found: (*list(vars(found[0]).values())[1:], found[1]),
        lambda kept: (StructureFit(structure, *kept[:-1]), kept[-1]),
    )
    generator.set_state(state)
    return found


def _fit_structure(rows: Rows, structure: Structure, generator: torch.Generator) -> StructureFit:
    problem, settings = StructureProblem(rows, structure), REGRESSION
    if structure.linear:
        found = problem.solve_linear()
    else:
        starts = [problem.start(generator) for _ in range(settings.structure_starts)]
        if len(structure.terms) == 1:
            starts.append(problem.start_from_logarithm())
        raced = [problem.improved(start, settings.structure_first_steps) for start in starts]
        found, _ = problem.improved(min(raced, key=lambda one: one[1])[0], settings.structure_steps)
    residuals = problem.all_residuals(found)
    return StructureFit(structure, found, residuals, *errors_of(residuals, rows.train))


def errors_of(residuals: Tensor, train: int) -> tuple[float, float]:
    """The root mean squares of the residuals of training and of validation rows; the same twice without the latter."""
    errors = [float(part.square().mean().sqrt()) for part in (residuals[:train], residuals[train:]) if len(part)]
    return errors[0], errors[-1]


class StructureProblem:
    """The least-squares problem of a structure, for the target with its outer function undone.

    `weight` is the slope of the outer function, so that residuals are those of the target itself, to first order.
    """

    def __init__(self, rows: Rows, structure: Structure) -> None:
        self.rows, self.structure, self.places = rows, structure, structure.places
        outer, y = structure.outer, rows.y[: rows.train]
        least = 0.0 if rows.relative else REGRESSION.least_target * float(y.square().mean().sqrt())
        safe = y.clamp_min(least) if outer.positive else y
        self.target = outer.undo(safe)
        self.size = float(self.target.square().mean().sqrt())
        self.target = self.target / self.size
        weight = torch.where(safe == y, outer.slope(safe), torch.zeros_like(y))
        if rows.relative:
            self.weight = weight * self.size / y.abs()
        else:
            self.weight = weight.clamp_max(REGRESSION.largest_weight * float(weight.median())) * self.size / rows.scale
        self.weight = rows.weighed(self.weight)
        self.axes = [rows.axes[i] for _, i in self.places]
        self.bases = [axis.basis[: rows.train] for axis in self.axes]

    def start(self, generator: torch.Generator) -> Tensor:
        """Random coefficients: random powers of positive inputs, random parabolas of others."""
        found = []
        for axis, rows in zip(self.axes, self.bases, strict=True):
            draw = torch.randn(3, generator=generator, dtype=torch.float64)
            if axis.logarithmic:
                curve = (draw[0] * 1.2 * axis.half * axis.at[: len(rows)]).exp()
            else:
                z = axis.at[: len(rows)]
                curve = 0.5 * draw[0] + draw[1] * z + 0.5 * draw[2] * z**2
            found.append(axis.coefficients(curve))
        return torch.stack(found)

    def start_from_logarithm(self) -> Tensor:
        """Coefficients for one product, from a sum of curves fitted to log |target|.

        The curves of inputs that are not on a logarithmic scale are then fitted again with their sign, one at a time.
        """
        size, largest = self.target.abs(), REGRESSION.largest_logarithm
        weight = self.rows.weighed((size / size.square().mean().sqrt()).clamp(1e-3, 1.0))
        design = torch.cat([b * weight[:, None] for b in self.bases], dim=1)
        logs = weight * size.clamp_min(1e-3 * float(size.max())).log()
        solution = least_squares(design, logs).view(len(self.bases), -1)
        found = torch.stack(
            [
                axis.coefficients((b @ c).clamp(-largest, largest).exp())
                for axis, b, c in zip(self.axes, self.bases, solution, strict=True)
            ]
        )
        for n, axis in enumerate(self.axes):
            if not axis.logarithmic:
                rest = self.weight * (torch.cat([self.curves(found)[:, :n], self.curves(found)[:, n + 1 :]], 1)).prod(1)
                found[n] = least_squares(self.bases[n] * rest[:, None], self.weight * self.target)
        return found

    def curves(self, coefficients: Tensor, every: bool = False) -> Tensor:
        """Values (rows, curves) of the curves, for the training rows or for every row."""
        bases = [axis.basis for axis in self.axes] if every else self.bases
        return torch.stack([b @ c for b, c in zip(bases, coefficients, strict=True)], dim=-1)

    def predicted(self, curves: Tensor) -> Tensor:
        """The argument of the outer function, from the curves' values (rows, curves)."""
        common, total = torch.ones_like(curves[:, 0]), torch.zeros_like(curves[:, 0])
        products = [torch.ones_like(common) for _ in self.structure.terms]
        for n, (k, _) in enumerate(self.places):
            if k < 0:
                common = common * curves[:, n]
            else:
                products[k] = products[k] * curves[:, n]
        for product in products:
            total = total + product
        return common * total

    def jacobian(self, curves: Tensor) -> Tensor:
        """Derivatives (rows, curves * basis) of the weighted prediction by the coefficients."""
        n_curves = curves.shape[1]
        ones = torch.ones_like(curves[:, 0])
        in_common = [n for n, (k, _) in enumerate(self.places) if k < 0]
        in_term = [[n for n, (k, _) in enumerate(self.places) if k == t] for t in range(len(self.structure.terms))]

        def product(members: Sequence[int], without: int = -1) -> Tensor:
            found = ones
            for n in members:
                if n != without:
                    found = found * curves[:, n]
            return found

        total = sum((product(members) for members in in_term), torch.zeros_like(ones))
        common = product(in_common)
        blocks = []
        for n in range(n_curves):
            k = self.places[n][0]
            slope = product(in_common, n) * total if k < 0 else common * product(in_term[k], n)
            blocks.append(self.bases[n] * (self.weight * slope)[:, None])
        return torch.cat(blocks, dim=1)

    def residuals(self, coefficients: Tensor) -> Tensor:
        """Weighted residuals of the training rows."""
        return self.weight * (self.predicted(self.curves(coefficients)) - self.target)

    def solve_linear(self) -> Tensor:
        """The coefficients (curves, basis) of a sum of curves."""
        design = torch.cat([b * self.weight[:, None] for b in self.bases], dim=1)
        return least_squares(design, self.weight * self.target).view(len(self.bases), -1)

    def improved(self, start: Tensor, attempts: int) -> tuple[Tensor, float]:
        """The coefficients after this number of damped Gauss-Newton steps at most, and the mean squared error there."""
        fit = _Coefficients(self, start)
        gauss_newton(fit, descent_options(attempts), exact_below(REGRESSION.structure_target))
        return fit.at, fit.loss

    def all_residuals(self, coefficients: Tensor) -> Tensor:
        """The residuals of the target itself in all rows, relative to its spread."""
        inner = self.predicted(self.curves(coefficients, every=True)) * self.size
        if self.structure.outer.positive:
            least = float(self.structure.outer.undo(self.rows.y.clamp_min(1e-300)).abs().min()) * 1e-3
            if self.structure.outer is not EXPONENTIAL:
                inner = inner.clamp_min(least)
        return self.rows.residuals(self.structure.outer.apply(inner))


class _Coefficients(VectorProblem):
    """The coefficients of a structure, for the solver."""

    def __init__(self, problem: StructureProblem, start: Tensor) -> None:
        super().__init__(start)
        self.problem = problem

    def evaluate(self, at: Tensor) -> tuple[float, Tensor]:
        residuals = self.problem.residuals(at)
        loss = float(residuals.square().mean())
        return loss if loss == loss else math.inf, residuals

    def linearise(self) -> NormalEquations:
        jacobian, n = self.problem.jacobian(self.problem.curves(self.at)), len(self.seen)
        matrix, gradient = jacobian.T @ jacobian / n, jacobian.T @ self.seen / n
        matrix.diagonal().add_(REGRESSION.structure_ridge * matrix.diagonal().max())
        return NormalEquations(matrix, gradient)
