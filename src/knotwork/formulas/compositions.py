"""Compositions of two named functions, C·f(a·g(b·x + c) + d) + D, fitted to one sampled curve."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from knotwork.formulas.candidate_table import Candidate, Candidates, shown_function
from knotwork.formulas.candidates import candidates, improved_candidate, thinned, unit_of
from knotwork.formulas.settings import FORMULAS
from knotwork.functions import NamedFunction, named_function
from knotwork.solvers.batched import solve_batched


@dataclass(frozen=True)
class Pair:
    """An outer function f and an inner one g, and which constants of f(a·g(b·z + c) + d) are not redundant.

    C takes the place of a where f is a power, and of d where f is the exponential; a or d that of b where g is a power,
    and that of c where g is the exponential.
    """

    outer: NamedFunction
    inner: NamedFunction

    @property
    def free(self) -> tuple[float, float, float, float]:
        """1 for each of (a, d, b, c) that is free, 0 for the others."""
        f, g = self.outer, self.inner
        kept = (f.power is None, not f.shift_free, g.power is None, not g.shift_free)
        return tuple(map(float, kept))  # type: ignore[return-value]

    def values(self, z: Tensor, inner: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """f, its argument v, g and its argument u, each (k, n), for constants (k, 4); f is NaN outside the domains."""
        a, d, b, c = inner[:, :, None].unbind(1)
        u = b * z + c
        g = _inside(self.inner, u)
        v = a * g + d
        return _inside(self.outer, v), v, g, u


def _inside(function: NamedFunction, u: Tensor) -> Tensor:
    """f(u) of shape (k, n), NaN in rows that leave the domain or lie on both sides of a pole."""
    value = function.value(u)
    if function.everywhere:
        return value
    legal = function.in_domain(u).all(-1, keepdim=True)
    if function.pole is not None:
        divisor = function.pole(u)
        legal = legal & ((divisor > 0).all(-1, keepdim=True) | (divisor < 0).all(-1, keepdim=True))
    return torch.where(legal, value, torch.full_like(value, torch.nan))


@torch.no_grad()
def compositions(x: Tensor, y: Tensor, functions: Sequence[NamedFunction], simple: bool = True) -> list[Candidate]:
    """The best compositions of two of the functions for the points (x, y), each (n,), best score first.

    All pairs of functions are tried with grids of their constants; the best are improved by damped Gauss-Newton steps.
    The `function` of a candidate is an expression in x, such as "log(sin(x) + 2)", without redundant constants.
    Constants inside it become simple numbers, with `simple`, where that lowers the score.
    """
    x, y = x.detach().cpu().double(), y.detach().cpu().double()
    if len(x) < FORMULAS.fewest_rows_of_compositions or not float(y.max()) > float(y.min()):
        return []
    middle, half = float(x.max() + x.min()) / 2, float(x.max() - x.min()) / 2 or 1.0
    z, unit = (x - middle) / half, unit_of(y)
    rows = thinned(z, FORMULAS.grid_rows)
    starts = [start for pair in _pairs(functions) for start in _screened(pair, z[rows], y[rows] / unit)]
    starts = sorted(starts, key=lambda start: start[0])[: FORMULAS.polished_compositions]
    for most, steps, of_pair in (
        (FORMULAS.grid_rows, FORMULAS.short_polish_steps, 2),
        (FORMULAS.polish_rows, FORMULAS.polish_steps, 1),
    ):
        rows = thinned(z, most)
        ends = sorted(_polished(starts, z[rows], y[rows] / unit, steps), key=lambda start: start[0])
        taken: Counter[Pair] = Counter()
        starts = []
        for end in ends:  # of a pair of functions one start counts in the end, so that others have a place
            taken[end[1]] += 1
            if taken[end[1]] <= of_pair and len(starts) < FORMULAS.finished_compositions:
                starts.append(end)
    found = {}
    for _, pair, inner in starts:
        text, a, b = _written(pair, inner.tolist(), middle, half)
        function = named_function(text)
        best = improved_candidate(x, y, function, a, b) if function.written else None
        if best is not None:
            best = _with_simple_numbers(x, y, best) if simple else best
            key = shown_function(best.function)
            if key not in found or best.rmse < found[key].rmse:
                found[key] = best
    return sorted(found.values(), key=lambda candidate: candidate.score)


def _pairs(functions: Sequence[NamedFunction]) -> Iterator[Pair]:
    """Every outer function with every inner one."""
    for f in functions:
        for g in functions:
            if f.name in FORMULAS.outer_functions and g.name in FORMULAS.inner_functions:
                yield Pair(f, g)


Start = tuple[float, Pair, Tensor]


def _screened(pair: Pair, z: Tensor, y: Tensor) -> list[Start]:
    """The best (a, d, b, c) of a grid, by the share of y that a linear function of the composition leaves."""
    b, c = _inner_grid(pair.inner)
    g = _inside(pair.inner, b[:, None] * z + c[:, None])
    low, high = g.amin(1), g.amax(1)
    good = low.isfinite() & high.isfinite() & (high - low > 1e-9 * torch.maximum(low.abs(), high.abs()))
    b, c, low, high = b[good], c[good], low[good], high[good]
    if not len(b):
        return []
    size, shift = _outer_grid(pair.outer)
    a = 2 * size / (high - low)[:, None]  # size and shift are those of v where g is scaled to [-1, 1]
    d = shift - a * ((high + low) / 2)[:, None]
    inner = torch.stack([a, d, b[:, None].expand_as(a), c[:, None].expand_as(a)], -1).flatten(0, 1)
    a, d, b, c = inner.unbind(1)
    if pair.outer.power is not None:  # the scale of v is that of C
        scale = a.abs()
        a, d = a / scale, d / scale
    if pair.outer.shift_free:
        d = torch.zeros_like(d)
    inner = torch.stack([a, d, b, c], 1)
    # one start for each (size, shift), since fits from others may end in limits where the composition is one function
    left = _left(pair.values(z, inner)[0], y)[2].view(-1, len(size))
    least, place = left.min(0)
    best = least.topk(min(FORMULAS.starts_of_composition, len(least)), largest=False).indices.tolist()
    chosen = inner.view(*left.shape, -1)
    return [(float(least[k]), pair, chosen[place[k], k]) for k in best if math.isfinite(least[k])]


def _left(values: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """C, D and the mean squared error, each (k,), of the regression of y (n,) on values (k, n)."""
    mean = values.mean(1, keepdim=True)
    centred = values - mean
    size = (centred @ (y - y.mean())) / centred.square().sum(1).clamp_min(1e-300)
    shift = y.mean() - size * mean[:, 0]
    error = (size[:, None] * values + shift[:, None] - y).square().mean(1)
    return size, shift, torch.nan_to_num(error, nan=torch.inf)


def _inner_grid(g: NamedFunction) -> tuple[Tensor, Tensor]:
    """Values of (b, c) for z in [-1, 1], as two vectors."""
    if g.power is not None:
        beyond = 1 + torch.tensor(FORMULAS.distances_of_compositions, dtype=torch.float64)
        within = torch.linspace(-1, 1, FORMULAS.places_of_compositions, dtype=torch.float64)
        c = torch.cat([beyond, -beyond, within])
        both = g.low > -math.inf  # a root needs its argument positive
        return torch.cat([torch.ones_like(c), -torch.ones_like(c)][: 1 + both]), torch.cat([c, c][: 1 + both])
    if g.shift_free:
        rates = torch.tensor(FORMULAS.sizes_of_compositions, dtype=torch.float64)
        return torch.cat([rates, -rates]), torch.zeros(2 * len(rates), dtype=torch.float64)
    if g.periodic:
        first, last, count = FORMULAS.frequencies_of_compositions
        b = torch.linspace(first, last, count, dtype=torch.float64)
        c = torch.linspace(0, 2 * math.pi, FORMULAS.phases_of_compositions + 1, dtype=torch.float64)[:-1]
    else:
        b = torch.tensor(FORMULAS.sizes_of_compositions, dtype=torch.float64)
        c = torch.linspace(-1, 1, FORMULAS.places_of_compositions, dtype=torch.float64)
        b, c = torch.meshgrid(b, c, indexing="ij")
        return b.flatten(), (-b * c).flatten()
    b, c = torch.meshgrid(b, c, indexing="ij")
    return b.flatten(), c.flatten()


def _outer_grid(f: NamedFunction) -> tuple[Tensor, Tensor]:
    """Half ranges and middles of v, the argument of f, as two vectors."""
    sizes = torch.tensor(FORMULAS.sizes_of_compositions, dtype=torch.float64)
    if f.shift_free:
        return torch.cat([sizes, -sizes]), torch.zeros(2 * len(sizes), dtype=torch.float64)
    if f.power is not None:
        far = torch.tensor(FORMULAS.distances_of_compositions, dtype=torch.float64)
        middles = (
            1 + far
            if f.low == 0 or f.pole is not None
            else torch.cat([torch.zeros(1).double(), 1 - 1 / (1 + far), 1 + far])
        )
        return torch.cat([torch.ones_like(middles), -torch.ones_like(middles)]), torch.cat([middles, middles])
    middles = torch.linspace(-1, 1, FORMULAS.places_of_compositions, dtype=torch.float64)
    if f.periodic:
        middles = math.pi * middles[:-1]
        sizes = torch.linspace(*FORMULAS.outer_sines, dtype=torch.float64)
        sizes, middles = torch.meshgrid(sizes, middles, indexing="ij")
        return sizes.flatten(), middles.flatten()
    sizes, middles = torch.meshgrid(sizes, middles, indexing="ij")
    return sizes.flatten(), (sizes * middles).flatten()


@dataclass(frozen=True)
class _Compositions:
    """The problem of (a, d, b, c) of many compositions, with C and D by regression (variable projection)."""

    pairs: Sequence[Pair]
    counts: Sequence[int]
    z: Tensor
    y: Tensor

    def evaluate(self, parameters: Tensor) -> tuple[Tensor, ...]:
        parts = zip(self.pairs, parameters.split(list(self.counts)), strict=True)
        values, v, g, u = (torch.cat(part) for part in zip(*(p.values(self.z, q) for p, q in parts), strict=True))
        size, shift, error = _left(values, self.y)
        return error, values, v, g, u, parameters, size, shift

    def normal_equations(self, state: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        _, values, v, g, u, parameters, size, shift = state
        counts = list(self.counts)
        outer = torch.cat([p.outer.slope(part) for p, part in zip(self.pairs, v.split(counts), strict=True)])
        inner = torch.cat([p.inner.slope(part) for p, part in zip(self.pairs, u.split(counts), strict=True)])
        free = torch.tensor([p.free for p, n in zip(self.pairs, counts, strict=True) for _ in range(n)]).double()
        by_v = size[:, None] * outer
        by_u = by_v * parameters[:, :1] * inner
        moving = torch.stack([by_v * g, by_v, by_u * self.z, by_u], -1) * free[:, None, :]
        columns = torch.cat([moving, values[..., None], torch.ones_like(values)[..., None]], -1)
        columns = torch.nan_to_num(columns, nan=0.0, posinf=0.0, neginf=0.0) / math.sqrt(len(self.z))
        residual = torch.nan_to_num(size[:, None] * values + shift[:, None] - self.y, nan=0.0, posinf=0.0, neginf=0.0)
        turned = columns.transpose(1, 2)
        return turned @ columns, (turned @ residual[..., None]).squeeze(-1) / math.sqrt(len(self.z))


def _polished(starts: Sequence[Start], z: Tensor, y: Tensor, steps: int) -> list[Start]:
    """The starts after damped Gauss-Newton steps, all at once."""
    together: dict[Pair, list[Tensor]] = {}
    for _, pair, inner in starts:
        together.setdefault(pair, []).append(inner)
    if not together:
        return []
    pairs, counts = list(together), [len(some) for some in together.values()]
    problem = _Compositions(pairs, counts, z, y)
    end = solve_batched(problem, torch.stack([inner for some in together.values() for inner in some]), steps)
    owners = [pair for pair, n in zip(pairs, counts, strict=True) for _ in range(n)]
    ends = zip(end.losses.tolist(), owners, end.parameters, strict=True)
    return [one for one in ends if math.isfinite(one[0])]


def _written(pair: Pair, inner: Sequence[float], middle: float, half: float) -> tuple[str, float, float]:
    """The composition as an expression in x without redundant constants, and a and b of its argument a·x + b."""
    from knotwork.expressions import compose, symbol, text

    f, g = pair.outer, pair.inner
    a, d, b, c = inner
    free = f.power is None  # then a scale of v is not that of C
    if g.power == 0 and d:  # a·log(u) + d is a·log of a multiple of u
        scale, d = math.exp(min(max(d / a, -300.0), 300.0)), 0.0
        b, c = b * scale, c * scale
    elif g.power or g.shift_free:
        unit = abs(a) if free or not d else abs(a / d)  # becomes the scale of u, so that a or d is 1 or -1
        if g.power:
            b, c = b * unit ** (1 / g.power), c * unit ** (1 / g.power)
        else:
            c += math.log(unit)
        a, d = math.copysign(1.0, a), d if free or not d else math.copysign(1.0, d)
    if f.periodic:
        d = math.remainder(d, math.pi)
    if d < 0 and f.name in (*FORMULAS.odd_functions, *FORMULAS.even_functions):
        a, d = -a, -d  # the sign is that of C
    if a < 0 and g.name in FORMULAS.odd_functions:
        a, b, c = -a, -b, -c
    if b < 0 and g.periodic:
        b, c = -b, math.pi - c
    u = compose(g.expression, symbol("x"))
    v = _constant(a) * u + _constant(d)
    _, function = compose(f.expression, v).as_coeff_Mul()  # a sign in front is that of C
    shift = c - b * middle / half
    return text(function), b / half, math.remainder(shift, 2 * math.pi) if g.periodic else shift


def _constant(value: float) -> Any:
    from knotwork.expressions import number

    return number(int(value)) if value in (0.0, 1.0, -1.0) else number(value)


def _with_simple_numbers(x: Tensor, y: Tensor, best: Candidate) -> Candidate:
    """The fit of an expression in x, with simple numbers in place of its decimals where that lowers the score."""
    for simple in simpler(best.function):
        other = improved_candidate(x, y, named_function(simple), *best.constants[:2])
        if other is not None and other.score < best.score:
            best = other
    return best


def simpler(function: str) -> Iterator[str]:
    """The expression of a function with simple numbers in place of its decimals: of all, then of each one.

    Simple numbers are whole ones and halves near the decimal, and 0 in place of a small one.
    """
    from knotwork.expressions import algebra, float_constants, parse, text

    parsed = parse(function, ["x"])
    near = {}
    for constant in float_constants(parsed):
        for parts in (1, 2):
            simple = algebra.Rational(round(float(constant) * parts), parts)
            small = abs(constant) if not simple else abs(simple - constant) / abs(constant)
            if small < FORMULAS.near_simple:
                near.setdefault(constant, simple)
    ways = [near] if near else []
    ways += [{constant: simple} for constant, simple in near.items()] if len(near) > 1 else []
    for way in ways:
        changed: Any = parsed.xreplace(way)
        _, found = changed.as_coeff_Mul()
        if found.free_symbols:
            yield text(found)


def candidates_to_depth(
    x: Tensor,
    y: Tensor,
    functions: Sequence[NamedFunction],
    edge: tuple[int, int, int] | None = None,
    depth: int = 1,
    simple: bool = True,
) -> Candidates:
    """`candidates`, and with depth 2 `compositions` of two functions among them."""
    table = candidates(x, y, functions, edge)
    if depth == 1:
        return table
    rows = [*table.rows, *compositions(x, y, functions, simple)]
    return replace(table, rows=tuple(sorted(rows, key=lambda row: row.score)))


def fitted_again(
    x: Tensor, y: Tensor, rows: Sequence[Candidate], edge: tuple[int, int, int] | None = None
) -> Candidates:
    """The same functions fitted to a curve that has changed a little."""
    functions = [named_function(row.function) for row in rows]
    table = candidates(x, y, [f for f in functions if not f.written], edge)
    own = [
        improved_candidate(x.detach().cpu().double(), y.detach().cpu().double(), function, *row.constants[:2])
        for function, row in zip(functions, rows, strict=True)
        if function.written
    ]
    found = [*table.rows, *(one for one in own if one is not None)]
    return replace(table, rows=tuple(sorted(found, key=lambda row: row.score)))
