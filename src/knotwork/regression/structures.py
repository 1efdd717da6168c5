"""Structures in which curves of single inputs make up a target: sums of products of them, by least squares."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from knotwork.kernels import basis
from knotwork.regression.curve_names import EXPONENTIAL, Outer
from knotwork.solvers import EachStep, NormalEquations, Options, Stop, StopReason, VectorProblem, gauss_newton
from knotwork.splines import uniform_knots

ORDER = 3
FINEST, COARSEST = 24, 6  # grids; so that all curves of a sum have together
TOGETHER = 48  # intervals, and no more than half as many as rows
LARGEST = 30.0  # logarithm of what a curve starts with
LOGARITHMIC = 1.5, 50.0  # ratios of the largest to the least value for which an input is measured by its logarithm,
CROWDED = 0.2  # or any larger one if half of the values are below this share of the largest
RIDGE = 1e-9  # of the diagonal: what the rows leave open stays small
LEAST_TARGET = 1e-6  # of rms(y): targets nearer to zero are not transformed, and do not count
MOST_WEIGHT = 10.0  # times the median weight
STARTS, FIRST_STEPS, STEPS = 10, 12, 60


class Axis:
    """One input as curves see it: its values, measured by their logarithm where they are positive, and a basis."""

    def __init__(self, values: Tensor, train: int, grid: int) -> None:
        low, high = float(values.min()), float(values.max())
        self.values, self.positive = values, low > 0
        wide = high >= LOGARITHMIC[1] * low and float(values.median()) >= CROWDED * high
        self.logarithmic = low > 0 and high > LOGARITHMIC[0] * low and not wide
        self.at = values.log() if self.logarithmic else values
        ends = self.at.min(), self.at.max()
        half = float(ends[1] - ends[0]) / 2 or 1.0
        self.at = (self.at - ends[0]) / half - 1
        one = torch.ones(1, dtype=values.dtype)
        self.basis = basis(self.at[:, None], uniform_knots(-one, one, grid, ORDER), ORDER)[:, 0]
        self.half, self.train = half, train
        rows = self.basis[:train]
        self.solver = torch.linalg.pinv(rows, rtol=1e-10)

    def coefficients(self, curve: Tensor) -> Tensor:
        """Of the curve that comes nearest to these values (train rows,)."""
        return self.solver @ curve


def least_squares(design: Tensor, target: Tensor) -> Tensor:
    """The smallest coefficients (P,) of the best fit to target (n,); all zero where a number is not finite."""
    if not (bool(design.isfinite().all()) and bool(target.isfinite().all())):
        return torch.zeros(design.shape[1], dtype=design.dtype)
    return torch.linalg.lstsq(design, target[:, None], rcond=1e-11, driver="gelsd").solution[:, 0]


@dataclass(frozen=True)
class Rows:
    """A table prepared for the search: axes of all rows, the first `train` of which are fitted."""

    axes: tuple[Axis, ...]
    y: Tensor
    train: int

    @classmethod
    def of(cls, columns: Sequence[Tensor], y: Tensor, train: int) -> "Rows":
        """From columns (n,) and targets (n,), training rows first."""
        grid = min(FINEST, max(COARSEST, TOGETHER // len(columns)), max(2, train // (2 * len(columns))))
        return cls(tuple(Axis(column, train, grid) for column in columns), y, train)

    @property
    def scale(self) -> float:
        """The spread of the targets."""
        return max(float((self.y - self.y.mean()).square().mean().sqrt()), 1e-300)

    @property
    def error_of_mean(self) -> float:
        """Held-out error of the training rows' mean, relative to the spread; what a structure has to beat."""
        held_out = self.y[self.train :] if len(self.y) > self.train else self.y
        return float((held_out - self.y[: self.train].mean()).square().mean().sqrt()) / self.scale


Term = tuple[int, ...]


@dataclass(frozen=True)
class Structure:
    """target = outer(product of a curve of each input in `common` x sum over `terms` of products of curves)."""

    outer: Outer
    terms: tuple[Term, ...]
    common: Term = ()

    @property
    def places(self) -> list[tuple[int, int]]:
        """(term, input) of every curve; term -1 stands for the common factor."""
        return [(-1, i) for i in self.common] + [(k, i) for k, term in enumerate(self.terms) for i in term]

    @property
    def linear(self) -> bool:
        """Whether it is a sum of curves, which is one linear system."""
        return not self.common and all(len(term) <= 1 for term in self.terms)

    def __str__(self) -> str:
        """In words: "1 over a sum of two products of curves"."""
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


@dataclass(frozen=True)
class Fit:
    """A structure with the coefficients of its curves, (curves, basis), and its relative errors."""

    structure: Structure
    coefficients: Tensor = field(repr=False)
    error: float
    held_out: float


def fit_structure(
    rows: Rows, structure: Structure, generator: torch.Generator, starts: int = STARTS, start: Tensor | None = None
) -> Fit:
    """The structure fitted to the training rows; errors are of the target itself, relative to its spread."""
    problem = Fitting(rows, structure)
    if structure.linear:
        found = problem.solve_linear()
    else:
        begun = [start] if start is not None else [problem.start(generator) for _ in range(starts)]
        if start is None and len(structure.terms) == 1:
            begun.append(problem.magnitudes())
        raced = [problem.improved(one, FIRST_STEPS) for one in begun]
        found, _ = problem.improved(min(raced, key=lambda one: one[1])[0], STEPS)
    return Fit(structure, found, *problem.errors(found))


class Fitting:
    """The least-squares problem of a structure: weighted so that errors are those of the target itself."""

    def __init__(self, rows: Rows, structure: Structure) -> None:
        self.rows, self.structure, self.places = rows, structure, structure.places
        outer, y = structure.outer, rows.y[: rows.train]
        safe = y.clamp_min(LEAST_TARGET * float(y.square().mean().sqrt())) if outer.positive else y
        self.target = outer.undo(safe)
        self.size = float(self.target.square().mean().sqrt())
        self.target = self.target / self.size
        weight = torch.where(safe == y, outer.slope(safe), torch.zeros_like(y))
        self.weight = weight.clamp_max(MOST_WEIGHT * float(weight.median())) * self.size / rows.scale
        self.axes = [rows.axes[i] for _, i in self.places]
        self.bases = [axis.basis[: rows.train] for axis in self.axes]

    def start(self, generator: torch.Generator) -> Tensor:
        """Random powers of positive inputs, random parabolas of others."""
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

    def magnitudes(self) -> Tensor:
        """For one product: curves whose logarithms add up to that of |target|; where signs change, as they must."""
        size = self.target.abs()
        weight = (size / size.square().mean().sqrt()).clamp(1e-3, 1.0)
        design = torch.cat([b * weight[:, None] for b in self.bases], dim=1)
        logs = weight * size.clamp_min(1e-3 * float(size.max())).log()
        solution = least_squares(design, logs).view(len(self.bases), -1)
        found = torch.stack(
            [
                axis.coefficients((b @ c).clamp(-LARGEST, LARGEST).exp())
                for axis, b, c in zip(self.axes, self.bases, solution, strict=True)
            ]
        )
        for n, axis in enumerate(self.axes):
            if not axis.logarithmic:  # linear, with the others as they are
                rest = self.weight * (torch.cat([self.curves(found)[:, :n], self.curves(found)[:, n + 1 :]], 1)).prod(1)
                found[n] = least_squares(self.bases[n] * rest[:, None], self.weight * self.target)
        return found

    def curves(self, coefficients: Tensor, every: bool = False) -> Tensor:
        """Values (rows, curves), of the training rows or of every row."""
        bases = [axis.basis for axis in self.axes] if every else self.bases
        return torch.stack([b @ c for b, c in zip(bases, coefficients, strict=True)], dim=-1)

    def predicted(self, curves: Tensor) -> Tensor:
        """What is named by the outer function, from the curves' values."""
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
        """The coefficients of a plain sum of curves."""
        design = torch.cat([b * self.weight[:, None] for b in self.bases], dim=1)
        return least_squares(design, self.weight * self.target).view(len(self.bases), -1)

    def improved(self, start: Tensor, attempts: int) -> tuple[Tensor, float]:
        """The coefficients after this number of damped Gauss-Newton steps at most, and the mean squared error there."""
        fit = _NonlinearFit(self, start)
        gauss_newton(fit, Options(None, attempts, 0.01, 4, first_damping=1e-2), exact_below(1e-20))
        return fit.at, fit.loss

    def errors(self, coefficients: Tensor) -> tuple[float, float]:
        """Relative root mean squared errors of the target on training and held-out rows."""
        inner = self.predicted(self.curves(coefficients, every=True)) * self.size
        if self.structure.outer.positive:
            least = float(self.structure.outer.undo(self.rows.y.clamp_min(1e-300)).abs().min()) * 1e-3
            if self.structure.outer is not EXPONENTIAL:
                inner = inner.clamp_min(least)
        off = (self.structure.outer.apply(inner) - self.rows.y) / self.rows.scale
        train = float(off[: self.rows.train].square().mean().sqrt())
        rest = off[self.rows.train :]
        return train, float(rest.square().mean().sqrt()) if len(rest) else train


class _NonlinearFit(VectorProblem):
    """The coefficients of a structure, for the solver."""

    def __init__(self, fitting: Fitting, start: Tensor) -> None:
        super().__init__(start)
        self.fitting = fitting

    def evaluate(self, at: Tensor) -> tuple[float, Tensor]:
        residuals = self.fitting.residuals(at)
        loss = float(residuals.square().mean())
        return loss if loss == loss else math.inf, residuals

    def linearise(self) -> NormalEquations:
        jacobian, n = self.fitting.jacobian(self.fitting.curves(self.at)), len(self.seen)
        matrix, gradient = jacobian.T @ jacobian / n, jacobian.T @ self.seen / n
        matrix.diagonal().add_(RIDGE * matrix.diagonal().max())
        return NormalEquations(matrix, gradient)


def exact_below(loss: float) -> EachStep:
    """Ends a fit after a step to a smaller loss than that."""
    stop = Stop(StopReason.ROUNDING, StopReason.ROUNDING.value)
    return lambda step, now: stop if now < loss else None
