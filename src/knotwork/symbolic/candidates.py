"""For one edge: which named functions could it be, c·f(a·x + b) + d, and how well does each fit."""

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from knotwork.functions import NamedFunction

GRID_ROWS = 128  # samples on which the (a, b) grid is searched
FEW_ROWS = 300  # and of those that the first polish sees
MOST_ROWS = 1000  # samples on which Gauss-Newton improves them
POLISHED = 2  # grid points of each function that Gauss-Newton improves
FINISHED = 8  # functions, the best after a short polish, that are polished to the end
CONSTANTS = 2.0  # bits for the inner constants a and b, which a straight line does not have
FLOOR = 1e-12  # share of the variance below which two fits are equally good


@dataclass(frozen=True)
class Candidate:
    """One fit: `constants` is (a, b, c, d), `r2` the share of variance explained, `rmse` in the edge's units.

    `cancellation` is how many times larger the terms c·f are than the range of the curve: a sine can imitate a parabola
    by a tiny piece of a huge arc. `score` trades all: the cost of the function and of its inner constants, plus log2
    of the unexplained share of the variance, plus log2 of a cancellation above one. A function that costs one unit more
    must halve the unexplained variance. Smaller is better.
    """

    function: str
    constants: tuple[float, float, float, float]
    r2: float
    rmse: float
    cost: float
    cancellation: float = 1.0

    @property
    def score(self) -> float:
        """The trade-off in bits; smaller is better."""
        constants = 0.0 if self.function == "x" else CONSTANTS
        return self.cost + constants + math.log2(max(1 - self.r2, 0.0) + FLOOR) + math.log2(max(self.cancellation, 1.0))


@dataclass(frozen=True)
class Candidates(Sequence[Candidate]):
    """The ranked table for one edge, best score first; prints as a table."""

    rows: tuple[Candidate, ...]
    edge: tuple[int, int, int] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, n: Any) -> Any:
        return self.rows[n]

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self.rows)

    def __str__(self) -> str:
        lines = [f"{'function':<10}{'r2':>12}{'rmse':>11}{'cost':>6}   c*f(a*x + b) + d"]
        for row in self.rows:
            a, b, c, d = row.constants
            shown = f"a={a:.4g} b={b:.4g} c={c:.4g} d={d:.4g}"
            lines.append(f"{row.function:<10}{row.r2:>12.8f}{row.rmse:>11.2e}{row.cost:>6g}   {shown}")
        return "\n".join(lines)


@torch.no_grad()
def candidates(
    x: Tensor,
    y: Tensor,
    functions: Sequence[NamedFunction],
    edge: tuple[int, int, int] | None = None,
    *,
    weights: Tensor | None = None,
    finished: int = FINISHED,
) -> Candidates:
    """Fit every function to the points (x, y), each of shape (n,), and rank the fits.

    (a, b) come from a grid that suits the function, with c and d by linear regression, then all four are polished by
    damped Gauss-Newton steps. All see the rows thinned evenly, the last steps 1,000 at most; c, d and the errors are
    those of all rows. `weights` (n,) say how much each point counts. Only the `finished` best are polished to the end.
    Constants that lead outside a function's real domain on the samples are never used.
    """
    x, y = x.detach().double(), y.detach().double()
    w = torch.full_like(y, 1 / len(y)) if weights is None else weights.double() / weights.double().sum()
    middle, half = (x.max() + x.min()) / 2, (x.max() - x.min()) / 2
    half = half if float(half) > 0 else torch.ones_like(half)
    z = (x - middle) / half
    variance = float(w @ (y - w @ y).square())
    rows = _thinned(z, MOST_ROWS)
    some_z, some_y, some_w = z[rows], y[rows], w[rows] / w[rows].sum()
    few = _thinned(z, FEW_ROWS)
    few_w = w[few] / w[few].sum()
    fits = [
        (f, _polish(z[few], y[few], few_w, f, *_grid_search(some_z, some_y, some_w, f), steps=6)) for f in functions
    ]
    fits.sort(key=lambda fit: fit[1][-1].item())
    found = []
    for n, (function, (a, b, *_)) in enumerate(fits):
        if n < finished:
            a, b, *_ = _polish(some_z, some_y, some_w, function, a[None], b[None])
        c, d, error = (part[0] for part in _linear(_values(function, z, a[None], b[None])[0], y, w))
        mse = float(error)
        r2 = 1 - mse / variance if variance > 0 else float(mse == 0)
        constants = (float(a / half), float(b - a * middle / half), float(c), float(d))
        if mse < float("inf"):
            largest = float((c * function.value(a * z + b)).abs().max() / (y.max() - y.min()).clamp_min(1e-300))
            found.append(Candidate(function.name, constants, r2, mse**0.5, function.cost, largest))
    return Candidates(tuple(sorted(found, key=lambda row: row.score)), edge)


def _thinned(z: Tensor, most: int) -> Tensor:
    """Places of at most so many samples, even in the order of z, both ends among them."""
    return z.argsort()[torch.linspace(0, len(z) - 1, min(most, len(z))).round().long()]


@functools.cache
def _grid(function: NamedFunction) -> tuple[Tensor, Tensor]:
    """Values of (a, b) worth trying for samples in [-1, 1], as two equally long vectors."""

    def geometric(low: float, high: float, n: int) -> Tensor:
        return torch.logspace(low, high, n, dtype=torch.float64)

    if function.power is not None:  # only where x is measured from matters
        if function.shift_free:
            return torch.ones(1).double(), torch.zeros(1).double()
        beyond = 1 + torch.cat([torch.tensor([1e-9]).double(), geometric(-5, 1.3, 40)])
        within = torch.linspace(-1, 1, 41, dtype=torch.float64)
        shift = torch.cat([beyond, -beyond, within])
        return torch.cat([torch.ones_like(shift), -torch.ones_like(shift)]), torch.cat([shift, -shift])
    if function.shift_free:
        a = geometric(-1.5, 1.5, 60)
        return torch.cat([a, -a]), torch.zeros(120).double()
    if function.periodic:
        a = torch.linspace(0.15, 30, 200, dtype=torch.float64)
        b = torch.linspace(0, torch.pi, 13, dtype=torch.float64)[:-1]
        a, b = torch.meshgrid(a, b, indexing="ij")
        return a.flatten(), b.flatten()
    a, centre = geometric(-1.2, 1.3, 26), torch.linspace(-2.5, 2.5, 41, dtype=torch.float64)
    a, centre = torch.meshgrid(a, centre, indexing="ij")
    return a.flatten(), (-a * centre).flatten()


def _grid_search(z: Tensor, y: Tensor, w: Tensor, function: NamedFunction) -> tuple[Tensor, Tensor]:
    """The best few (a, b) of the grid, each of shape (m,), by the correlation of f(a·z + b) with y."""
    a, b = _grid(function)
    rows = _thinned(z, GRID_ROWS)
    values, _ = _values(function, z[rows], a, b)
    share = _explained(values, y[rows], w[rows] / w[rows].sum())
    best = share.topk(min(POLISHED, len(share))).indices
    return a[best], b[best]


def _values(function: NamedFunction, z: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """f(a·z + b) of shape (m, n), NaN in rows that leave the domain, and a·z + b itself."""
    u = a[:, None] * z + b[:, None]
    legal = function.in_domain(u).all(-1, keepdim=True)
    if function.gap:  # a pole must not lie between samples either
        legal = legal & ((u > 0).all(-1, keepdim=True) | (u < 0).all(-1, keepdim=True))
    return torch.where(legal, function.value(u), torch.full_like(u, torch.nan)), u


def _explained(values: Tensor, y: Tensor, w: Tensor) -> Tensor:
    """Squared correlation of each row of values (m, n) with y (n,), -1 where it is not a number."""
    centred, target = values - (values @ w)[:, None], y - w @ y
    share = (centred @ (w * target)).square() / ((centred.square() @ w) * (w @ target.square())).clamp_min(1e-300)
    return torch.nan_to_num(share, nan=-1.0, posinf=-1.0, neginf=-1.0)


def _linear(values: Tensor, y: Tensor, w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Regression y ≈ c·values + d for each row: c, d and the mean squared error, each (m,); weights w add up to 1."""
    mean = values @ w
    centred = values - mean[:, None]
    c = (centred @ (w * (y - w @ y))) / (centred.square() @ w).clamp_min(1e-300)
    d = w @ y - c * mean
    error = (c[:, None] * values + d[:, None] - y).square() @ w
    return c, d, torch.nan_to_num(error, nan=torch.inf)


def _polish(
    z: Tensor, y: Tensor, w: Tensor, function: NamedFunction, a: Tensor, b: Tensor, steps: int = 40
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Damped Gauss-Newton in (a, b) with c and d by regression (variable projection), all starts at once."""
    values, u = _values(function, z, a, b)
    c, d, error = _linear(values, y, w)
    damping, idle = torch.full_like(a, 1e-3), 0
    fixed = function.power is not None and function.shift_free  # a straight line has no inner constants
    for _ in range(0 if fixed else steps):
        slope = c[:, None] * function.slope(u)
        columns = torch.stack([slope * z, slope, values, torch.ones_like(u)], dim=-1)
        columns = torch.nan_to_num(columns, nan=0.0, posinf=0.0, neginf=0.0)
        residual = torch.nan_to_num(c[:, None] * values + d[:, None] - y, nan=0.0, posinf=0.0, neginf=0.0)
        weighted = (columns * w[:, None]).transpose(1, 2)
        matrix = weighted @ columns
        diagonal = matrix.diagonal(dim1=-2, dim2=-1)
        scale = torch.diag_embed(damping[:, None] * diagonal + 1e-12 * diagonal.amax(-1, keepdim=True) + 1e-300)
        step, _ = torch.linalg.solve_ex(matrix + scale, -(weighted @ residual.unsqueeze(-1)))
        step = torch.nan_to_num(step.squeeze(-1), nan=0.0, posinf=0.0, neginf=0.0)
        new_values, new_u = _values(function, z, a + step[:, 0], b + step[:, 1])
        new_c, new_d, new_error = _linear(new_values, y, w)
        better = new_error < error
        gain = torch.where(better, (error - new_error) / error.clamp_min(1e-300), torch.zeros_like(error))
        a, b = torch.where(better, a + step[:, 0], a), torch.where(better, b + step[:, 1], b)
        c, d, error = (
            torch.where(better, new_c, c),
            torch.where(better, new_d, d),
            torch.where(better, new_error, error),
        )
        values, u = torch.where(better[:, None], new_values, values), torch.where(better[:, None], new_u, u)
        damping = torch.where(better, damping / 5, damping * 5).clamp(1e-12, 1e12)
        idle = 0 if bool((gain > 1e-6).any()) else idle + 1
        if idle == 4:
            break
    best = error.argmin()
    return a[best], b[best], c[best], d[best], error[best]
