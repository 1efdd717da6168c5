"""Targets that are powers of the inputs times curves of products of powers: straight lines and ridges in logarithms."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from knotwork.kernels import basis
from knotwork.regression.structures import LEAST_TARGET, Rows, exact_below, least_squares
from knotwork.solvers import NormalEquations, Options, VectorProblem, gauss_newton
from knotwork.splines import uniform_knots

COARSE, GRID, ORDER = 6, 16, 3
WELL = 0.2  # of rms(y): targets below it weigh less, in proportion
STARTS, FIRST_STEPS, STEPS = 12, 6, 40  # so many starts for every ridge
SNAP = 0.4  # how far off a direction of whole numbers may be, both of length 1
AS_WELL = 15.0  # times the loss over the rows: what it may grow by when a direction is made simple
NICE = (0.0, 0.5, -0.5, 1.0, -1.0, 1.5, -1.5, 2.0, -2.0, 3.0, -3.0, 4.0, -4.0, 5.0, -5.0)
GAUGES = 6
MOST_NEGATIVE = 0.2  # of the rows may have targets below zero, by noise


@dataclass(frozen=True)
class Ridges:
    """y = factors of single inputs · product over `powers` of x**p · product over ridges r of φ_r(product of x**q_r).

    `powers` (n,) and `directions` (m, n) hold zeros for inputs that are not powers; `others` names these. `curves` are
    log φ_r at the rows' values of the ridge, `points` the logarithm of these values; `side` the factors' logarithms.
    """

    powers: Tensor
    directions: Tensor
    points: Tensor = field(repr=False)
    curves: Tensor = field(repr=False)
    side: dict[int, Tensor] = field(repr=False)
    error: float
    held_out: float


def fit_ridges(rows: Rows, count: int, generator: torch.Generator, free_sides: bool = False) -> Ridges | None:
    """The best `count` ridges; None where fewer than two inputs are powers, or the target is not positive.

    With `free_sides`, a positive input that comes close to zero has a factor of any shape, where otherwise powers of it
    are all there is.
    """
    problem = _Problem(rows, count, free_sides)
    if len(problem.powers) < 2 or bool((rows.y <= 0).float().mean() > MOST_NEGATIVE):
        return None
    begun = [problem.improved(q, FIRST_STEPS) for q in itertools.islice(problem.starts(generator), STARTS * count)]
    best, _ = problem.improved(min(begun, key=lambda one: one[1])[0], STEPS)
    problem.grid = GRID
    best, _ = problem.improved(best, STEPS)
    return problem.solution(problem.rational(best))


class _Problem:
    """For given directions all else is linear: variable projection (Golub and Pereyra 1973)."""

    def __init__(self, rows: Rows, count: int, free_sides: bool) -> None:
        self.rows, self.count, self.grid = rows, count, COARSE
        self.powers = [i for i, a in enumerate(rows.axes) if a.logarithmic or (a.positive and not free_sides)]
        self.sides = [i for i in range(len(rows.axes)) if i not in self.powers]
        self.logs = torch.stack([rows.axes[i].values.log() for i in self.powers], 1) if self.powers else rows.y[:, None]
        self.logs = self.logs - self.logs[: rows.train].mean(0)
        size = float(rows.y.square().mean().sqrt())
        self.target = rows.y.clamp_min(LEAST_TARGET * size).log()
        self.weight = (rows.y / (WELL * size)).clamp(0.0, 1.0)
        side = [rows.axes[i].basis for i in self.sides]
        self.fixed = torch.cat([torch.ones_like(self.logs[:, :1]), self.logs, *side], dim=1)

    def starts(self, generator: torch.Generator) -> Iterator[Tensor]:
        """Directions along which the target is curved, then sums and differences of random logarithms."""
        _, vectors = torch.linalg.eigh(self.curvature())
        by_size = vectors.T.flip(0)
        yield by_size[: self.count] if len(by_size) >= self.count else by_size[[0] * self.count]
        while True:
            yield torch.stack([self.random_direction(by_size, generator) for _ in range(self.count)])

    def random_direction(self, vectors: Tensor, generator: torch.Generator) -> Tensor:
        n = len(self.powers)
        if float(torch.rand(1, generator=generator)) < 0.4:
            weights = torch.randn(min(self.count + 1, n), generator=generator, dtype=torch.float64)
            return weights @ vectors[: len(weights)]
        signs = torch.randint(0, 2, (n,), generator=generator) * 2.0 - 1
        share = max(0.35, 2 / n)
        chosen = torch.rand(n, generator=generator) < share
        if int(chosen.sum()) < 2:
            chosen[torch.randperm(n, generator=generator)[:2]] = True
        return (signs * chosen).double()

    def curvature(self) -> Tensor:
        """Second derivatives (n, n) of a quadratic in the logarithms, ordered so that large ones lead."""
        n, t = len(self.powers), self.rows.train
        pairs = [(i, j) for i in range(n) for j in range(i, n)]
        logs = self.logs[:t]
        design = torch.stack([logs[:, i] * logs[:, j] for i, j in pairs], 1)
        design = torch.cat([self.fixed[:t], design], 1) * self.weight[:t, None]
        solution = least_squares(design, (self.weight * self.target)[:t])[-len(pairs) :]
        matrix = torch.zeros(n, n, dtype=torch.float64)
        for (i, j), value in zip(pairs, solution.tolist(), strict=True):
            matrix[i, j] = matrix[j, i] = value if i == j else value / 2
        return matrix @ matrix  # its eigenvectors, by the size of their eigenvalues

    def ridge_basis(self, q: Tensor, derivative: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """Basis values (rows, count, basis) of every ridge, and where and how wide it is."""
        u = self.logs @ q.T
        low, high = u.min(0).values, u.max(0).values
        half = ((high - low) / 2).clamp_min(1e-12)
        at = (u - low) / half - 1
        one = torch.ones(len(q), dtype=q.dtype)
        return basis(at.contiguous(), uniform_knots(-one, one, self.grid, ORDER), ORDER, derivative), low, half

    def solve(self, q: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Linear coefficients for these directions, weighted residuals, an orthonormal basis of the design."""
        t = self.rows.train
        splines, _, half = self.ridge_basis(q)
        design = torch.cat([self.fixed, splines.flatten(1)], 1)
        weighted = design[:t] * self.weight[:t, None]
        target = (self.weight * self.target)[:t]
        tiny = 1e-7 * weighted.norm(dim=0).max() * torch.eye(weighted.shape[1], dtype=q.dtype)
        orthogonal, triangle = torch.linalg.qr(torch.cat([weighted, tiny]))
        orthogonal = orthogonal[:t]
        solution = torch.linalg.solve_triangular(triangle, (orthogonal.T @ target)[:, None], upper=True)[:, 0]
        return solution, weighted @ solution - target, orthogonal, half

    def improved(self, q: Tensor, attempts: int, free: Tensor | None = None) -> tuple[Tensor, float]:
        """Directions after damped Gauss-Newton steps of the projected residuals, and the mean squared error there.

        Those of ridges that are not `free` (count,) stay as they are.
        """
        fit = _Directions(self, q, torch.ones(self.count, dtype=torch.bool) if free is None else free)
        gauss_newton(fit, Options(None, attempts, 0.01, 4, first_damping=1e-2), exact_below(1e-18))
        return fit.at, fit.loss

    def rational(self, q: Tensor) -> Tensor:
        """Directions of small whole numbers where they fit as well, one ridge after the other.

        The simplest ones near by are tried first, and the ridges that are not whole yet follow.
        """
        _, loss = self.improved(q, 0)
        free = torch.ones(self.count, dtype=torch.bool)
        for r in range(self.count):
            for whole in self.whole_near(q[r]):
                trial = q.clone()
                trial[r] = whole
                free[r] = False
                trial, new = self.improved(trial, STEPS // 2 if bool(free.any()) else 0, free)
                if new <= (1 + AS_WELL / self.rows.train) * loss + 1e-12:
                    q, loss = trial, new
                    break
                free[r] = True
        return q

    def whole_near(self, q: Tensor) -> list[Tensor]:
        """Directions of whole numbers within SNAP of this one, the simplest first."""
        found = {}
        largest = q.abs().max()
        for top in (1, 2, 3, 4):
            scaled = q * (top / largest)
            for cut in (0.5, 0.35):  # small components may be none
                whole = torch.where(scaled.abs() < cut, 0.0, scaled.round())
                apart = float((whole / whole.norm() - q / q.norm()).norm())
                divisor = math.gcd(*(int(v) for v in whole.tolist()))
                if apart < SNAP:
                    found[tuple((whole / divisor).tolist())] = whole / divisor
        return sorted(found.values(), key=lambda v: (float(v.abs().sum()), v.tolist()))

    def solution(self, q: Tensor) -> Ridges:
        """The ridges in terms of all inputs, and their errors on the target itself."""
        t, n = self.rows.train, len(self.rows.axes)
        solution, *_ = self.solve(q)
        splines, *_ = self.ridge_basis(q)
        size = self.fixed.shape[1]
        predicted = torch.cat([self.fixed, splines.flatten(1)], 1) @ solution
        off = (predicted.clamp(max=700).exp() - self.rows.y) / self.rows.scale
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
        errors = [float(part.square().mean().sqrt()) for part in (off[:t], off[t:]) if len(part)]
        return Ridges(powers, directions, (raw @ directions.T)[:t], curves, side, errors[0], errors[-1])


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
        solution, residual, orthogonal, _ = self.problem.solve(at)
        return float(residual.square().mean()), (solution, residual, orthogonal)

    def linearise(self) -> NormalEquations:
        problem, t = self.problem, self.problem.rows.train
        solution, residual, orthogonal = self.seen
        slopes, _, half = problem.ridge_basis(self.at, 1)
        coefficients = solution[problem.fixed.shape[1] :].view(problem.count, -1)
        slope = torch.einsum("nrb,rb->nr", slopes[:t], coefficients) / half * problem.weight[:t, None]
        columns = (slope[:, :, None] * problem.logs[:t, None, :] * self.free).flatten(1)
        jacobian = columns - orthogonal @ (orthogonal.T @ columns)
        matrix, gradient = jacobian.T @ jacobian / t, jacobian.T @ residual / t
        matrix.diagonal().add_(1e-10 * matrix.diagonal().max() + 1e-300)
        return NormalEquations(matrix, gradient)


def gauges(found: Ridges, most: int = GAUGES) -> list[tuple[Tensor, Tensor]]:
    """Ways to share powers between the factor and the ridges: (shifts (m,), powers (n,)), the simplest first.

    x**p · φ(t) is x**(p + k q) · t**-k φ(t) for any k; taken are those with halves of whole numbers as powers.
    """
    directions, powers = found.directions, found.powers
    n, count = len(powers), len(directions)
    leads = max(
        itertools.combinations(range(n), count), key=lambda chosen: abs(float(torch.linalg.det(directions[:, chosen])))
    )
    matrix = directions[:, leads].T
    inside = directions.abs().sum(0) > 0
    if abs(float(torch.linalg.det(matrix))) < 1e-9:
        return []
    ways = []
    for wanted in itertools.product(NICE, repeat=count):
        shift = torch.linalg.solve(matrix, torch.tensor(wanted, dtype=powers.dtype) - powers[list(leads)])
        total = powers + shift @ directions
        near = (2 * total).round() / 2
        off = float((total - near)[inside].abs().max())
        length = float((near.abs() > 0).sum()) + 0.3 * float(near.abs().sum()) + float((near != near.round()).sum())
        ways.append((length + 20 * off, wanted, shift, total))
    ways.sort(key=lambda way: way[:2])
    return [(shift, total) for _, _, shift, total in ways[:most]]
