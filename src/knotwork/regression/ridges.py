"""Targets that are powers of inputs times curves of products of powers: in logarithms, lines and ridge functions."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from knotwork.journal import after, recalled
from knotwork.kernels import basis
from knotwork.regression.descents import descent_options, exact_below
from knotwork.regression.settings import REGRESSION
from knotwork.regression.structures import Rows, errors_of, least_squares
from knotwork.regression.term_settings import TERMS
from knotwork.solvers import NormalEquations, VectorProblem, gauss_newton
from knotwork.splines import uniform_knots


@dataclass(frozen=True)
class Ridges:
    """y = product over inputs of x**p · product over ridges r of φ_r(product of x**q_r) · curves of single inputs.

    `powers` (n,) are the exponents p and `directions` (m, n) the exponents q_r, zero for inputs that do not take part.
    `points` (rows, m) are the logarithms of the products of x**q_r, `curves` (rows, m) those of φ_r there. `side` holds
    the logarithms of curves of single inputs, by input. Errors and residuals (n,) are relative to the target's spread.
    """

    powers: Tensor
    directions: Tensor
    points: Tensor = field(repr=False)
    curves: Tensor = field(repr=False)
    side: dict[int, Tensor] = field(repr=False)
    residuals: Tensor = field(repr=False)
    error: float
    validation_error: float


def fit_ridges(rows: Rows, count: int, generator: torch.Generator, free_sides: bool = False) -> Ridges | None:
    """The best `count` ridges; None where fewer than two inputs can have powers, or the target is not positive.

    With `free_sides`, a positive input that is not on a logarithmic scale has a curve of its own in place of a power.
    """
    found, state = recalled(
        "fit_ridges",
        lambda: (rows, count, generator, free_sides),
        after(generator, lambda: _fit_ridges(rows, count, generator, free_sides)),
        lambda found: (None if found[0] is None else list(vars(found[0]).values()), found[1]),
        lambda kept: (None if kept[0] is None else Ridges(*kept[0]), kept[1]),
    )
    generator.set_state(state)
    return found


def _fit_ridges(rows: Rows, count: int, generator: torch.Generator, free_sides: bool) -> Ridges | None:
    problem, settings = _Problem(rows, count, free_sides), REGRESSION
    if len(problem.powers) < 2 or bool((rows.y <= 0).float().mean() > settings.most_negative):
        return None
    starts = itertools.islice(problem.starts(generator), settings.ridge_starts * count)
    raced = [problem.improved(q, settings.ridge_first_steps) for q in starts]
    best, _ = problem.improved(min(raced, key=lambda one: one[1])[0], settings.ridge_steps)
    problem.grid = settings.ridge_grid
    best, _ = problem.improved(best, settings.ridge_steps)
    return problem.solution(problem.rational(best))


def one_product(rows: Rows, generator: torch.Generator) -> list[tuple[list[int], list[float]]]:
    """Products x**q of whole powers q of which the target may be a curve, times powers p: (q, p), the simplest first.

    Each product comes with its reciprocal: a curve may have a short formula in one of them alone.

    Every input must be positive, and take part in no other way. Empty where no product explains the target.
    """
    found, state = recalled(
        "one_product",
        lambda: (rows, generator),
        after(generator, lambda: _one_product(rows, generator)),
        lambda found: found,
        lambda kept: kept,
    )
    generator.set_state(state)
    return found


def _one_product(rows: Rows, generator: torch.Generator) -> list[tuple[list[int], list[float]]]:
    problem, settings = _Problem(rows, 1, False), REGRESSION
    if problem.sides or len(problem.powers) < 2 or bool((rows.y <= 0).float().mean() > settings.most_negative):
        return []
    starts = itertools.islice(problem.starts(generator), settings.ridge_starts)
    raced = [problem.improved(q, settings.ridge_first_steps) for q in starts]
    problem.grid = settings.ridge_grid
    best, loss = problem.improved(min(raced, key=lambda one: one[1])[0], settings.ridge_steps)
    if loss > settings.error_of_one_product**2:
        return []
    problem.grid = 2 * settings.ridge_grid
    if problem.improved(best, 0)[1] > settings.gain_of_finer_grid * loss > TERMS.exact_terms**2:
        return []  # an error that stays is not one of splines
    problem.grid = settings.ridge_grid
    for q in problem.whole_near(best[0]):
        if int((q != 0).sum()) > 1 and problem.improved(q[None], 0)[1] <= settings.growth_of_one_product * loss:
            ways = [total for _, total in equivalent_powers(problem.solution(q[None]))]
            near = [(2 * total).round() / 2 for total in ways]
            good = [
                p for p, total in zip(near, ways, strict=True) if float((p - total).abs().max()) < settings.off_powers
            ]
            whole = [int(k) for k in q]
            inverse = [-k for k in whole]
            return [(t, p.tolist()) for p in good[: settings.ways_of_one_product] for t in (whole, inverse)]
    return []


class _Problem:
    """The logarithm of the target is linear in all but the directions: variable projection (Golub and Pereyra 1973)."""

    def __init__(self, rows: Rows, count: int, free_sides: bool) -> None:
        self.rows, self.count, self.grid = rows, count, REGRESSION.ridge_first_grid
        self.powers = [i for i, a in enumerate(rows.axes) if a.logarithmic or (a.positive and not free_sides)]
        self.sides = [i for i in range(len(rows.axes)) if i not in self.powers]
        self.logs = torch.stack([rows.axes[i].values.log() for i in self.powers], 1) if self.powers else rows.y[:, None]
        self.logs = self.logs - self.logs[: rows.train].mean(0)
        size = float(rows.y.square().mean().sqrt())
        self.target = rows.y.clamp_min(0.0 if rows.relative else REGRESSION.least_target * size).log()
        self.weight = (rows.y / (REGRESSION.small_target * size)).clamp(0.0, 1.0)
        if rows.relative:
            self.weight = torch.ones_like(rows.y)
        self.weight = rows.weighed(self.weight)
        side = [rows.axes[i].basis for i in self.sides]
        self.fixed = torch.cat([torch.ones_like(self.logs[:, :1]), self.logs, *side], dim=1)

    def starts(self, generator: torch.Generator) -> Iterator[Tensor]:
        """Directions (count, n): first those of largest curvature of log y, then random ones, without end."""
        _, vectors = torch.linalg.eigh(self.curvature())
        by_size = vectors.T.flip(0)
        yield by_size[: self.count] if len(by_size) >= self.count else by_size[[0] * self.count]
        while True:
            yield torch.stack([self.random_direction(by_size, generator) for _ in range(self.count)])

    def random_direction(self, vectors: Tensor, generator: torch.Generator) -> Tensor:
        """A random combination of the directions of largest curvature, or ±1 for a few random inputs."""
        n = len(self.powers)
        if float(torch.rand(1, generator=generator)) < REGRESSION.sloping_share:
            weights = torch.randn(min(self.count + 1, n), generator=generator, dtype=torch.float64)
            return weights @ vectors[: len(weights)]
        signs = torch.randint(0, 2, (n,), generator=generator) * 2.0 - 1
        share = max(REGRESSION.inputs_of_direction, 2 / n)
        chosen = torch.rand(n, generator=generator) < share
        if int(chosen.sum()) < 2:
            chosen[torch.randperm(n, generator=generator)[:2]] = True
        return (signs * chosen).double()

    def curvature(self) -> Tensor:
        """The square (n, n) of the second derivatives of a quadratic in the logarithms that is fitted to log y."""
        n, t = len(self.powers), self.rows.train
        pairs = [(i, j) for i in range(n) for j in range(i, n)]
        logs = self.logs[:t]
        design = torch.stack([logs[:, i] * logs[:, j] for i, j in pairs], 1)
        design = torch.cat([self.fixed[:t], design], 1) * self.weight[:t, None]
        solution = least_squares(design, (self.weight * self.target)[:t])[-len(pairs) :]
        matrix = torch.zeros(n, n, dtype=torch.float64)
        for (i, j), value in zip(pairs, solution.tolist(), strict=True):
            matrix[i, j] = matrix[j, i] = value if i == j else value / 2
        return matrix @ matrix  # the same eigenvectors, sorted by the absolute values of their eigenvalues

    def ridge_basis(self, q: Tensor, derivative: int = 0) -> tuple[Tensor, Tensor]:
        """Basis values (rows, count, basis) of each ridge, and half its range."""
        u = self.logs @ q.T
        low, high = u.min(0).values, u.max(0).values
        half = ((high - low) / 2).clamp_min(1e-12)
        at = (u - low) / half - 1
        one, order = torch.ones(len(q), dtype=q.dtype), REGRESSION.spline_order
        return basis(at.contiguous(), uniform_knots(-one, one, self.grid, order), order, derivative), half

    def solve(self, q: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """For these directions: linear coefficients, weighted residuals, an orthonormal basis of the design."""
        t = self.rows.train
        splines, _ = self.ridge_basis(q)
        design = torch.cat([self.fixed, splines.flatten(1)], 1)
        weighted = design[:t] * self.weight[:t, None]
        target = (self.weight * self.target)[:t]
        floor = REGRESSION.design_floor * weighted.norm(dim=0).max() * torch.eye(weighted.shape[1], dtype=q.dtype)
        orthogonal, triangle = torch.linalg.qr(torch.cat([weighted, floor]))
        orthogonal = orthogonal[:t]
        solution = torch.linalg.solve_triangular(triangle, (orthogonal.T @ target)[:, None], upper=True)[:, 0]
        return solution, weighted @ solution - target, orthogonal

    def improved(self, q: Tensor, attempts: int, free: Tensor | None = None) -> tuple[Tensor, float]:
        """Directions after damped Gauss-Newton steps of the projected residuals, and the mean squared error there.

        Those of ridges that are not `free` (count,) stay as they are.
        """
        fit = _Directions(self, q, torch.ones(self.count, dtype=torch.bool) if free is None else free)
        gauss_newton(fit, descent_options(attempts), exact_below(REGRESSION.ridge_target))
        return fit.at, fit.loss

    def rational(self, q: Tensor) -> Tensor:
        """The directions, replaced by small whole numbers where these fit about as well; one ridge after the other.

        The simplest near directions are tried first. The ridges that are not whole yet are fitted again each time.
        """
        _, loss = self.improved(q, 0)
        free = torch.ones(self.count, dtype=torch.bool)
        for r in range(self.count):
            for whole in self.whole_near(q[r]):
                trial = q.clone()
                trial[r] = whole
                free[r] = False
                trial, new = self.improved(trial, REGRESSION.ridge_steps // 2 if bool(free.any()) else 0, free)
                if new <= (1 + REGRESSION.allowed_growth / self.rows.train) * loss + 1e-12:
                    q, loss = trial, new
                    break
                free[r] = True
        return q

    def whole_near(self, q: Tensor) -> list[Tensor]:
        """Directions of small whole numbers near this one, the simplest first."""
        found = {}
        largest = q.abs().max()
        for top in range(1, REGRESSION.most_whole_power + 1):
            scaled = q * (top / largest)
            for cut in REGRESSION.whole_cuts:
                whole = torch.where(scaled.abs() < cut, 0.0, scaled.round())
                apart = float((whole / whole.norm() - q / q.norm()).norm())
                divisor = math.gcd(*(int(v) for v in whole.tolist()))
                if apart < REGRESSION.snap_distance:
                    found[tuple((whole / divisor).tolist())] = whole / divisor
        return sorted(found.values(), key=lambda v: (float(v.abs().sum()), v.tolist()))

    def solution(self, q: Tensor) -> Ridges:
        """The ridges in terms of all inputs, with the errors of the target itself."""
        t, n = self.rows.train, len(self.rows.axes)
        solution, *_ = self.solve(q)
        splines, _ = self.ridge_basis(q)
        size = self.fixed.shape[1]
        predicted = torch.cat([self.fixed, splines.flatten(1)], 1) @ solution
        off = self.rows.residuals(predicted.clamp(max=700).exp())
        powers, directions = torch.zeros(n, dtype=q.dtype), torch.zeros(len(q), n, dtype=q.dtype)
        powers[self.powers] = solution[1 : 1 + len(self.powers)]
        directions[:, self.powers] = q
        raw = torch.stack(
            [axis.values.log() if i in self.powers else axis.values * 0 for i, axis in enumerate(self.rows.axes)], 1
        )
        curves = torch.einsum("nrb,rb->nr", splines[:t], solution[size:].view(len(q), -1))
        side, at = {}, 1 + len(self.powers)
        for i in self.sides:
            block = self.rows.axes[i].basis
            side[i] = block[:t] @ solution[at : at + block.shape[1]]
            at += block.shape[1]
        return Ridges(powers, directions, (raw @ directions.T)[:t], curves, side, off, *errors_of(off, t))


class _Directions(VectorProblem):
    """The directions (count, n) of ridges, all else projected out (Kaufman's Jacobian), for the solver."""

    def __init__(self, problem: _Problem, start: Tensor, free: Tensor) -> None:
        self.problem, self.free = problem, free[:, None]
        super().__init__(self.of_length_one(start))

    def of_length_one(self, q: Tensor) -> Tensor:
        """The directions with free ones divided by their length."""
        return torch.where(self.free, q / q.norm(dim=1, keepdim=True), q)

    def moved(self, vector: Tensor) -> Tensor:
        return self.of_length_one(self.at + vector.view_as(self.at) * self.free)

    def evaluate(self, at: Tensor) -> tuple[float, tuple[Tensor, Tensor, Tensor]]:
        solution, residual, orthogonal = self.problem.solve(at)
        return float(residual.square().mean()), (solution, residual, orthogonal)

    def linearise(self) -> NormalEquations:
        problem, t = self.problem, self.problem.rows.train
        solution, residual, orthogonal = self.seen
        slopes, half = problem.ridge_basis(self.at, 1)
        coefficients = solution[problem.fixed.shape[1] :].view(problem.count, -1)
        slope = torch.einsum("nrb,rb->nr", slopes[:t], coefficients) / half * problem.weight[:t, None]
        columns = (slope[:, :, None] * problem.logs[:t, None, :] * self.free).flatten(1)
        jacobian = columns - orthogonal @ (orthogonal.T @ columns)
        matrix, gradient = jacobian.T @ jacobian / t, jacobian.T @ residual / t
        matrix.diagonal().add_(REGRESSION.ridge_ridge * matrix.diagonal().max() + 1e-300)
        return NormalEquations(matrix, gradient)


def equivalent_powers(found: Ridges) -> list[tuple[Tensor, Tensor]]:
    """Ways to share powers between the factor and the ridges: (shifts (m,), powers (n,)), the simplest first.

    x**p · φ(t) with t = x**q is x**(p + k q) · t**-k φ(t) for any k. Returned are the few with the simplest powers.
    """
    directions, powers = found.directions, found.powers
    n, count = len(powers), len(directions)
    leading = max(
        itertools.combinations(range(n), count), key=lambda chosen: abs(float(torch.linalg.det(directions[:, chosen])))
    )
    matrix = directions[:, leading].T
    inside = directions.abs().sum(0) > 0
    if abs(float(torch.linalg.det(matrix))) < 1e-9:
        return []
    ways = []
    for wanted in itertools.product(REGRESSION.usual_powers, repeat=count):
        shift = torch.linalg.solve(matrix, torch.tensor(wanted, dtype=powers.dtype) - powers[list(leading)])
        total = powers + shift @ directions
        near = (2 * total).round() / 2
        off = float((total - near)[inside].abs().max())
        size = REGRESSION.cost_of_power_size * float(near.abs().sum())
        length = float((near.abs() > 0).sum()) + size + float((near != near.round()).sum())
        ways.append((length + REGRESSION.cost_of_odd_power * off, wanted, shift, total))
    ways.sort(key=lambda way: way[:2])
    return [(shift, total) for _, _, shift, total in ways[: REGRESSION.most_power_choices]]
