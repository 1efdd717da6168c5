"""Rows whose targets lie far from those of all others, by a robust polynomial: perhaps blunders, perhaps the law."""

import math

import torch
from torch import Tensor

from knotwork.regression.polynomials import mapped, monomials
from knotwork.regression.settings import REGRESSION
from knotwork.regression.structures import least_squares


def suspicious(columns: list[Tensor], y: Tensor) -> Tensor:
    """A mask (n,) of few rows that are far from a robust polynomial of the columns (n,), and clearly apart from others.

    It is no proof: a pole of the law looks the same. Mostly none.
    """
    none = torch.zeros(len(y), dtype=torch.bool)
    apart = distances(columns, y)
    return none if apart is None else far_off(apart, REGRESSION.suspicious_distance, REGRESSION.suspicious_gap)


def far_off(apart: Tensor, least: float, gap: float) -> Tensor:
    """A mask (n,) of the largest distances: few, of `least` at least, and `gap` times those of all others."""
    found = torch.zeros(len(apart), dtype=torch.bool)
    ordered = apart.sort(descending=True)
    sizes = ordered.values
    most = min(max(1, int(REGRESSION.largest_share_of_blunders * len(apart))), len(apart) - 1)
    for count in range(most, 0, -1):
        if sizes[count - 1] >= least and sizes[count - 1] >= gap * sizes[count]:
            found[ordered.indices[:count]] = True
            break
    return found


def distances(columns: list[Tensor], y: Tensor) -> Tensor | None:
    """Distances (n,) of the targets from a robust polynomial, in standard deviations of most; None for few rows.

    Targets are compared on a scale that is linear within most of them and logarithmic beyond. A quarter of the rows may
    be wrong: residuals count by Huber's weights first, then by Tukey's (Huber and Ronchetti, Robust Statistics, 2009).
    """
    middle = y.median()
    size = REGRESSION.deviation_of_median * float((y - middle).abs().median())
    if len(y) < REGRESSION.fewest_rows_for_blunders or not size > 0:
        return None
    target = ((y - middle) / size).asinh()
    x = mapped(torch.stack([_even(column) for column in columns], 1))[0]
    degree = _degree(x.shape[1], len(y))
    design = monomials(x, degree)[0]
    residuals = target - target.median()
    for step in range(REGRESSION.robust_steps):
        relative = residuals.abs() / _spread(residuals)
        if step < REGRESSION.robust_steps // 2:
            weight = (REGRESSION.huber_limit / relative.clamp_min(1e-300)).clamp_max(1.0)
        else:
            weight = (1 - (relative / REGRESSION.tukey_limit).square()).clamp_min(0).square()
        weighed = design * weight[:, None]
        matrix = weighed.T @ design
        matrix.diagonal().add_(1e-9 * matrix.diagonal().max())
        residuals = target - design @ torch.linalg.solve(matrix, weighed.T @ target)
    return residuals.abs() / (_spread(residuals) * math.sqrt(len(y) / (len(y) - design.shape[1])))


def smoothed(columns: list[Tensor], y: Tensor) -> Tensor:
    """Values (n,) of the polynomial of the columns (n,) that is nearest to the targets."""
    x = mapped(torch.stack([_even(column) for column in columns], 1))[0]
    design = monomials(x, _degree(x.shape[1], len(y)))[0]
    return design @ least_squares(design, y)


def _spread(residuals: Tensor) -> float:
    """The standard deviation of most residuals, from the median of their sizes; a rounding error at least."""
    return max(REGRESSION.deviation_of_median * float(residuals.abs().median()), 1e-9)


def _even(column: Tensor) -> Tensor:
    """The column, or the ranks of its values where some of them are far from most."""
    quarter, three = column.quantile(torch.tensor([0.25, 0.75], dtype=column.dtype)).tolist()
    if float(column.max() - column.min()) <= REGRESSION.long_tail * (three - quarter):
        return column
    return column.argsort().argsort().to(column)


def _degree(inputs: int, rows: int) -> int:
    most = int(REGRESSION.terms_of_robust * rows)
    return max(d for d in range(REGRESSION.robust_degree + 1) if math.comb(inputs + d, d) <= max(most, 1))
