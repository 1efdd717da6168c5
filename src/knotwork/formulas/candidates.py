"""Named functions c·f(a·x + b) + d fitted to one sampled curve, and ranked."""

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from knotwork.formulas.candidate_table import Candidate, Candidates
from knotwork.formulas.settings import FORMULAS
from knotwork.functions import NamedFunction
from knotwork.journal import recalled
from knotwork.solvers.batched import solve_batched


def candidates(
    x: Tensor,
    y: Tensor,
    functions: Sequence[NamedFunction],
    edge: tuple[int, int, int] | None = None,
    *,
    weights: Tensor | None = None,
    finished: int = FORMULAS.finished_functions,
) -> Candidates:
    """Fit every function to the points (x, y), each of shape (n,), and rank the fits.

    (a, b) are searched on a grid that suits the function, with c and d by linear regression. Then all four are improved
    by damped Gauss-Newton steps, of which only the `finished` best functions get the full number. Searches use evenly
    chosen rows, the last steps at most 1,000 of them; c, d and the errors are those of all rows. `weights` (n,) are the
    weights of the points. Constants for which samples are outside the real domain of a function are never used.
    """
    target = Target(y, functions, weights)
    return Candidates(tuple(candidates_of_many(x, [target], finished)[0]), edge, (x.detach(), y.detach()))


@dataclass(frozen=True)
class Target:
    """Values (n,) of a curve at common points, their weights, and the functions to try."""

    y: Tensor
    functions: Sequence[NamedFunction]
    weights: Tensor | None = None


def unit_of(y: Tensor) -> float:
    """The unit to explain values in: a power of two near their spread, which changes no digit; 1 for usual spreads.

    Very large and very small values have squares that no number holds, or that fixed tolerances swallow.
    """
    spread = float(y.max() - y.min()) if len(y) else 0.0
    exponent = math.frexp(spread)[1]
    return 1.0 if not 0 < spread < math.inf or abs(exponent) <= FORMULAS.usual_exponent else 2.0**exponent


@torch.no_grad()
def candidates_of_many(
    x: Tensor, targets: Sequence[Target], finished: int = FORMULAS.finished_functions
) -> list[list[Candidate]]:
    """The ranked fits of every target over the points x (n,), as in `candidates`; all fits of a function at once.

    They are computed on the CPU, wherever the points are.
    """
    return recalled(
        "candidates",
        lambda: (x, [(t.y, t.weights, list(t.functions)) for t in targets], finished),
        lambda: _candidates_of_many(x, targets, finished),
        lambda found: [[tuple(vars(one).values()) for one in row] for row in found],
        lambda kept: [[Candidate(*one) for one in row] for row in kept],
    )


def _candidates_of_many(x: Tensor, targets: Sequence[Target], finished: int) -> list[list[Candidate]]:
    x = x.detach().cpu().double()
    y = torch.stack([target.y.detach().cpu().double() for target in targets])
    units = [unit_of(curve) for curve in y]
    y = y / y.new_tensor(units).unsqueeze(1)
    w = torch.stack([torch.ones_like(x) if t.weights is None else t.weights.cpu().double() for t in targets])
    w = w / w.sum(1, keepdim=True)
    z, middle, half = _scaled(x)
    some, few, grid = (
        _Rows.of(z, y, w, most) for most in (FORMULAS.polish_rows, FORMULAS.short_polish_rows, FORMULAS.grid_rows)
    )
    fits: list[list[tuple[float, int, float, float]]] = [[] for _ in targets]  # errors, functions, a and b
    functions = list(dict.fromkeys(f for target in targets for f in target.functions))
    starts = []
    for function in functions:
        curves = [k for k, target in enumerate(targets) if function in target.functions]
        a, b = _grid_search(grid.only(curves), function)
        if function.written:  # its constants may be those of the curve
            a, b = (torch.cat([v, own.expand(len(curves), 1)], 1) for v, own in ((a, half), (b, middle)))
        starts.append(_Starts(function, curves, a, b))
    for order, (start, polished) in enumerate(
        zip(starts, _polish(few, starts, FORMULAS.short_polish_steps), strict=True)
    ):
        for k, a_, b_, error_ in zip(start.curves, *(part.tolist() for part in polished), strict=True):
            fits[k].append((error_, order, a_, b_))
    best = [sorted(row) for row in fits]

    def chosen(order: int, first: bool) -> list[tuple[int, float, float]]:
        ranks = ((k, n, fit) for k, row in enumerate(best) for n, fit in enumerate(row) if fit[1] == order)
        return [(k, *fit[2:]) for k, n, fit in ranks if (n < finished) == first]

    ends = [_Starts.at(function, chosen(order, True)) for order, function in enumerate(functions)]
    found: list[list[Candidate]] = [[] for _ in targets]
    for order, (end, (a, b, _)) in enumerate(zip(ends, _polish(some, ends, FORMULAS.polish_steps), strict=True)):
        function, rest = end.function, _Starts.at(end.function, chosen(order, False))
        curves, a, b = end.curves + rest.curves, torch.cat([a, rest.a[:, 0]]), torch.cat([b, rest.b[:, 0]])
        for k, one in _candidates_at(function, _Rows(z, y, w), curves, a, b, (middle, half), units):
            found[k].append(one)
    return [sorted(row, key=lambda candidate: candidate.score) for row in found]


def _scaled(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """z in [-1, 1], and the middle and half the range of x = middle + half·z, 1 if it is 0."""
    middle, half = (x.max() + x.min()) / 2, (x.max() - x.min()) / 2
    half = half if float(half) > 0 else torch.ones_like(half)
    return (x - middle) / half, middle, half


def _candidates_at(
    function: NamedFunction,
    rows: "_Rows",
    curves: Sequence[int],
    a: Tensor,
    b: Tensor,
    place: tuple[Tensor, Tensor],
    units: Sequence[float],
) -> Iterator[tuple[int, Candidate]]:
    """The candidates with f(a·z + b) for some curves, with c and d by regression on all rows; only finite ones.

    `place` holds the middle and half the range of x, and `units` the units of the curves.
    """
    middle, half = place
    whole = rows.only(curves)
    values = _values(function, whole.z, a, b)[0]
    c, d, mse = _linear(values, whole)
    sizes = (c[:, None] * function.value(a[:, None] * whole.z + b[:, None])).abs().amax(1)
    spans = (whole.y.amax(1) - whole.y.amin(1)).clamp_min(1e-300)
    variances = (whole.w * (whole.y - (whole.w * whole.y).sum(1, keepdim=True)).square()).sum(1)
    table = torch.stack([a / half, b - a * middle / half, c, d, mse, variances, sizes / spans], 1).tolist()
    for k, (a_, b_, c_, d_, error_, variance, cancellation) in zip(curves, table, strict=True):
        r2 = 1 - error_ / variance if variance > 0 else float(error_ == 0)
        if error_ < math.inf:
            constants, rmse = (a_, b_, c_ * units[k], d_ * units[k]), error_**0.5 * units[k]
            yield k, Candidate(function.name, constants, r2, rmse, function.cost, cancellation)


@torch.no_grad()
def improved_candidate(x: Tensor, y: Tensor, function: NamedFunction, a: float, b: float) -> Candidate | None:
    """The fit of one function to points (x, y), each (n,), from f(a·x + b); None if it leaves its domain there."""
    (z, middle, half), unit = _scaled(x), unit_of(y)
    rows = _Rows(z, y[None] / unit, torch.full_like(y, 1 / len(y))[None])
    some = _Rows.of(rows.z, rows.y, rows.w, FORMULAS.polish_rows)
    start = _Starts.at(function, [(0, a * float(half), b + a * float(middle))])
    ((inner, shift, _),) = _polish(some, [start], FORMULAS.polish_steps)
    found = _candidates_at(function, rows, [0], inner, shift, (middle, half), [unit])
    return next((one for _, one in found), None)


@dataclass(frozen=True)
class _Rows:
    """Points z (n,) with the values y (k, n) of k curves and weights w (k, n), which sum to 1."""

    z: Tensor
    y: Tensor
    w: Tensor

    @staticmethod
    def of(z: Tensor, y: Tensor, w: Tensor, most: int) -> "_Rows":
        """The rows at `most` of the points."""
        rows = thinned(z, most)
        return _Rows(z[rows], y[:, rows], w[:, rows] / w[:, rows].sum(1, keepdim=True))

    def only(self, curves: Sequence[int]) -> "_Rows":
        """Some of the curves; a curve may occur several times."""
        return _Rows(self.z, self.y[list(curves)], self.w[list(curves)])


def thinned(z: Tensor, most: int) -> Tensor:
    """Indices of `most` samples at most, evenly spaced in the order of z, with both ends."""
    return z.argsort()[torch.linspace(0, len(z) - 1, min(most, len(z)), device="cpu").round().long()]


@functools.cache
def _grid(function: NamedFunction) -> tuple[Tensor, Tensor]:
    """Values of (a, b) to try for samples in [-1, 1], as two vectors of equal length."""

    def geometric(low: float, high: float, n: int) -> Tensor:
        return torch.logspace(low, high, n, dtype=torch.float64, device="cpu")

    if function.power is not None:  # only the shift of x matters
        if function.shift_free:
            return torch.ones(1, dtype=torch.float64, device="cpu"), torch.zeros(1, dtype=torch.float64, device="cpu")
        beyond = 1 + torch.cat([torch.tensor([1e-9], dtype=torch.float64, device="cpu"), geometric(-5, 1.3, 40)])
        within = torch.linspace(-1, 1, 41, dtype=torch.float64, device="cpu")
        shift = torch.cat([beyond, -beyond, within])
        return torch.cat([torch.ones_like(shift), -torch.ones_like(shift)]), torch.cat([shift, -shift])
    if function.shift_free:
        a = geometric(-1.5, 1.5, 60)
        return torch.cat([a, -a]), torch.zeros_like(torch.cat([a, a]))
    if function.periodic:
        a = torch.linspace(0.15, 30, 200, dtype=torch.float64, device="cpu")
        b = torch.linspace(0, torch.pi, 13, dtype=torch.float64, device="cpu")[:-1]
        a, b = torch.meshgrid(a, b, indexing="ij")
        return a.flatten(), b.flatten()
    a, centre = geometric(-1.2, 1.3, 26), torch.linspace(-2.5, 2.5, 41, dtype=torch.float64, device="cpu")
    a, centre = torch.meshgrid(a, centre, indexing="ij")
    return a.flatten(), (-a * centre).flatten()


def _grid_search(rows: _Rows, function: NamedFunction) -> tuple[Tensor, Tensor]:
    """The best few (a, b) of the grid for every curve, each (k, m), by the correlation of f(a·z + b) with y."""
    a, b = _grid(function)
    values, _ = _values(function, rows.z, a, b)
    best = _explained(values, rows).topk(min(FORMULAS.polished_starts, len(a))).indices
    return a[best], b[best]


def _values(function: NamedFunction, z: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """f(a·z + b) of shape (m, n), NaN in rows that leave the domain, and a·z + b itself."""
    u = a[:, None] * z + b[:, None]
    if function.everywhere:
        return function.value(u), u
    legal = function.in_domain(u).all(-1, keepdim=True)
    if function.pole is not None:  # no pole may lie between samples
        divisor = function.pole(u)
        legal = legal & ((divisor > 0).all(-1, keepdim=True) | (divisor < 0).all(-1, keepdim=True))
    return torch.where(legal, function.value(u), torch.full_like(u, torch.nan)), u


def _explained(values: Tensor, rows: _Rows) -> Tensor:
    """Squared correlations (k, m) of rows of values (m, n) with every curve; -1 where one is not a number."""
    values = values - values.mean(1, keepdim=True)  # avoids cancellation of squares of means
    target = rows.w * (rows.y - (rows.w * rows.y).sum(1, keepdim=True))
    mean, square = rows.w @ values.T, rows.w @ values.square().T
    variance = (target * rows.y).sum(1, keepdim=True)
    share = (target @ values.T).square() / ((square - mean.square()) * variance).clamp_min(1e-300)
    return torch.nan_to_num(share, nan=-1.0, posinf=-1.0, neginf=-1.0)


def _linear(values: Tensor, rows: _Rows) -> tuple[Tensor, Tensor, Tensor]:
    """Regression y ≈ c·values + d for each row: c, d and the mean squared error, each (k,)."""
    y, w = rows.y, rows.w
    mean, middle = (w * values).sum(1), (w * y).sum(1)
    centred = values - mean[:, None]
    weighted = w * centred
    c = (weighted * (y - middle[:, None])).sum(1) / (weighted * centred).sum(1).clamp_min(1e-300)
    d = middle - c * mean
    error = (w * (c[:, None] * values + d[:, None] - y).square()).sum(1)
    return c, d, torch.nan_to_num(error, nan=torch.inf)


@dataclass(frozen=True)
class _Starts:
    """Inner constants (a, b), each (k, m), from which a function is fitted to k curves."""

    function: NamedFunction
    curves: list[int]
    a: Tensor
    b: Tensor

    @staticmethod
    def at(function: NamedFunction, places: Sequence[tuple[int, float, float]]) -> "_Starts":
        """One start for each curve, from (curve, a, b)."""
        inner = torch.tensor([place[1:] for place in places], dtype=torch.float64, device="cpu").view(-1, 2, 1)
        return _Starts(function, [k for k, *_ in places], inner[:, 0], inner[:, 1])


@dataclass(frozen=True)
class _InnerConstants:
    """The problem of (a, b) for every curve of `rows`, with c and d by regression (variable projection).

    The first rows belong to the first of `functions`, the next ones to the second; `counts` says how many.
    """

    rows: _Rows
    functions: list[NamedFunction]
    counts: list[int]

    def evaluate(self, parameters: Tensor) -> tuple[Tensor, ...]:
        inner = zip(self.functions, parameters.split(self.counts), strict=True)
        found = [_values(function, self.rows.z, *part.unbind(1)) for function, part in inner]
        values, u = (torch.cat(parts) for parts in zip(*found, strict=True))
        c, d, error = _linear(values, self.rows)
        return error, values, u, c, d

    def normal_equations(self, state: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        _, values, u, c, d = state
        parts = zip(self.functions, u.split(self.counts), strict=True)
        slope = torch.cat([torch.zeros_like(part) if f.straight else f.slope(part) for f, part in parts])
        slope = c[:, None] * slope
        columns = torch.stack([slope * self.rows.z, slope, values, torch.ones_like(u)], dim=-1)
        columns = torch.nan_to_num(columns, nan=0.0, posinf=0.0, neginf=0.0)
        residual = c[:, None] * values + d[:, None] - self.rows.y
        residual = torch.nan_to_num(residual, nan=0.0, posinf=0.0, neginf=0.0)
        weighted = (columns * self.rows.w[:, :, None]).transpose(1, 2)
        return weighted @ columns, (weighted @ residual.unsqueeze(-1)).squeeze(-1)


def _polish(rows: _Rows, tries: Sequence[_Starts], steps: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Damped Gauss-Newton steps from all starts of some functions at once.

    Returns for each function a, b and the mean squared error, each (k,), of the best start of every curve.
    """
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    for together in _batches(tries):
        counts = [len(t.a) * t.a.shape[1] for t in together]
        every = rows.only([k for t in together for k in t.curves for _ in range(t.a.shape[1])])
        start = torch.cat([torch.stack([t.a.flatten(), t.b.flatten()], 1) for t in together])
        end = solve_batched(_InnerConstants(every, [t.function for t in together], counts), start, steps)
        for t, losses, inner in zip(together, end.losses.split(counts), end.parameters.split(counts), strict=True):
            (count, starts), (a, b) = t.a.shape, inner.unbind(1)
            best = losses.view(count, starts).argmin(1) + starts * torch.arange(count, device="cpu")
            found.append((a[best], b[best], losses[best]))
    return found


def _batches(tries: Sequence[_Starts]) -> Iterator[list[_Starts]]:
    """Neighbours that have few enough starts together."""
    together: list[_Starts] = []
    for one in tries:
        if together and sum(t.a.numel() for t in [*together, one]) > FORMULAS.polished_together:
            yield together
            together = []
        together.append(one)
    yield together
