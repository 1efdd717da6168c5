"""Constants to start a fit from, for an expression of which nothing but the form is known."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from knotwork.formulas.constants import Sample, Template
from knotwork.formulas.grouped_constants import GroupedSample, fitted_apart_each
from knotwork.formulas.settings import FORMULAS


def starts_of(
    expression: Any,
    symbols: Sequence[Any],
    sample: Sample,
    seed: int,
    keep: int = 1,
    ranges: Mapping[Any, tuple[float, float]] | None = None,
) -> list[Template]:
    """The expression with the constants of its best fits from many random ones, at most `keep`, the best first.

    Constants that the expression is linear in follow from the others by linear least squares. The others are drawn over
    many decades of both signs, from the values of the columns (a place, a half-saturation), and from one over their
    range (a rate, a frequency). The best of many draws are improved by Gauss-Newton steps. Empty where no draw gives a
    finite value in every row. Those whose constants lie in their `ranges` come first, then as many others.
    """
    rows, ranges = some_rows(sample, seed), ranges or {}
    linear = _linear(expression, symbols)
    curved = [s for s in symbols if s not in linear]
    drawn = within_ranges(drawn_constants(len(curved), rows, seed), [ranges.get(s) for s in curved])
    coefficients, losses = _least_squares(expression, linear, curved, drawn, rows)
    outside = _outside(coefficients, linear, ranges)
    if bool((losses[~outside] < math.inf).any()):
        losses = torch.where(outside, torch.inf, losses)
    best = losses.argsort()[: FORMULAS.improved_starts]
    best = best[losses[best].isfinite()]
    if not len(best):
        return []
    order = [(linear + curved).index(s) for s in symbols]
    start = torch.cat([coefficients[best], drawn[best]], dim=1)[:, order]
    count = len(best)
    columns = {name: column.repeat(count) for name, column in rows.columns.items()}
    weights = None if rows.weights is None else rows.weights.repeat(count)
    repeated = Sample(columns, rows.y.repeat(count), rows.relative, weights)
    problem = GroupedSample(repeated, torch.arange(count).repeat_interleave(len(rows)), count)
    at, mse = fitted_apart_each(Template(expression, dict.fromkeys(symbols, 1.0)), start, problem)
    outside, found = _outside(at, symbols, ranges), []
    for part in (~outside, outside):  # fits of the same error may differ by the signs of two constants
        own: list[Template] = []
        for k in mse.argsort().tolist():
            new = Template(expression, dict(zip(symbols, at[k].tolist(), strict=True)), float(mse[k]))
            same = any(new.mse <= FORMULAS.distinct_fits * one.mse for one in own)
            if part[k] and math.isfinite(new.mse) and not same:
                own.append(new)
        found.extend(own[:keep])
    return found


def _outside(at: Tensor, symbols: Sequence[Any], ranges: Mapping[Any, tuple[float, float]]) -> Tensor:
    """Whether constants (K, P) leave one of their ranges, (K,)."""
    ends = torch.tensor([ranges.get(s, (-math.inf, math.inf)) for s in symbols], dtype=torch.float64).view(-1, 2)
    return ((at < ends[:, 0]) | (at > ends[:, 1])).any(1)


def some_rows(sample: Sample, seed: int) -> Sample:
    """At most some rows of the sample, a random choice."""
    if len(sample) <= FORMULAS.rows_of_starts:
        return sample
    generator = torch.Generator().manual_seed(seed)
    some = torch.randperm(len(sample), generator=generator)[: FORMULAS.rows_of_starts]
    return sample.rows(some)


def _linear(expression: Any, symbols: Sequence[Any]) -> list[Any]:
    """Constants that the expression is linear in together."""
    from knotwork.expressions import algebra

    found: list[Any] = []
    for symbol in symbols:
        slope = algebra.expand(algebra.diff(expression, symbol))
        if not {symbol, *found} & slope.free_symbols:
            found.append(symbol)
    return found


def drawn_constants(count: int, rows: Sample, seed: int) -> Tensor:
    """Random constants (K, count): sizes over decades of both signs, places, one over ranges, small whole numbers."""
    generator = torch.Generator().manual_seed(seed)
    most = FORMULAS.drawn_starts if count else 1
    shape = (most, count)
    sign = torch.where(torch.rand(shape, generator=generator) < 0.5, -1.0, 1.0)
    uniform = torch.rand(shape, generator=generator, dtype=torch.float64)
    kinds = [sign * 10 ** (2 * FORMULAS.decades_of_starts * uniform - FORMULAS.decades_of_starts)]
    kinds.append(torch.randint(-3, 4, shape, generator=generator).double())
    for column in rows.columns.values():
        kinds.append(column[torch.randint(len(column), shape, generator=generator)])
        width = float(column.max() - column.min()) or 1.0
        kinds.append(sign * 10 ** (2 * uniform - 0.5) / width)
    choice = torch.randint(len(kinds), shape, generator=generator)
    return torch.stack(kinds).gather(0, choice[None])[0].double()


def within_ranges(drawn: Tensor, ranges: Sequence[tuple[float, float] | None]) -> Tensor:
    """Drawn constants (K, count) with the other sign where only that lies in the range, or the nearest end."""
    for column, ends in zip(drawn.unbind(1), ranges, strict=True):
        if ends is not None:
            other = (-column >= ends[0]) & (-column <= ends[1])
            inside = (column >= ends[0]) & (column <= ends[1])
            column.copy_(torch.where(~inside & other, -column, column).clamp(*ends))
    return drawn


def _least_squares(
    expression: Any, linear: Sequence[Any], curved: Sequence[Any], drawn: Tensor, rows: Sample
) -> tuple[Tensor, Tensor]:
    """The linear constants (K, L) for each draw (K, T) of the others, and the mean squared residuals (K,)."""
    from knotwork.expressions import algebra, to_torch

    zero = dict.fromkeys(linear, algebra.Integer(0))
    names = [*rows.columns, *(s.name for s in curved)]
    inputs = [*(column[None] for column in rows.columns.values()), *drawn.T[:, :, None].unbind(0)]
    shape = (len(drawn), len(rows))

    def values(part: Any) -> Tensor:
        return to_torch(part, names)(*inputs).expand(shape)

    base = values(expression.xreplace(zero))
    if linear:
        parts = [values(algebra.diff(expression, s).xreplace(zero)) for s in linear]
        design, target = torch.stack(parts, dim=2), rows.y - base
    else:
        design, target = base.new_zeros(*shape, 0), rows.y - base
    weight = rows.weighed(1 / rows.y if rows.relative else torch.ones_like(rows.y))
    design, target = design * weight[:, None], target * weight
    good = design.isfinite().all(2).all(1) & target.isfinite().all(1)
    design, target = design.nan_to_num(0.0, 0.0, 0.0), target.nan_to_num(0.0, 0.0, 0.0)
    size = design.norm(dim=1, keepdim=True).clamp_min(1e-300)
    scaled = design / size
    matrix = scaled.mT @ scaled + FORMULAS.ridge_of_starts * torch.eye(len(linear), dtype=torch.float64)
    found = torch.linalg.solve_ex(matrix, scaled.mT @ target[:, :, None])[0]
    losses = (target - (scaled @ found)[:, :, 0]).square().mean(1)
    losses = torch.where(good & losses.isfinite(), losses, torch.inf)
    return (found / size.mT)[:, :, 0], losses
