"""Inputs that are plain factors, and pairs that matter by their difference or sum: seen in a polynomial's slopes."""

import itertools
import math

import torch
from torch import Tensor

from knotwork.regression.structures import least_squares

LIKE = 0.12  # of the slopes: what of their sum may be left where only the difference matters
STEADY = 0.05  # of a power: how far off it is in half of the rows
MOST_TERMS = 0.3  # of the rows
DEGREES = (3, 2)
TESTED = 0.2
NEIGHBOURS = 4.0  # standard errors of the correlation of neighbours
CHANCE = 0.01


def factors(columns: list[Tensor], y: Tensor) -> dict[int, float]:
    """Inputs that seem to multiply the target by a power, and that power, a half of a whole number.

    Where the slope of log y by log x is about the same in all rows. Of columns (n,) and targets (n,).
    """
    if not bool((y > 0).all()):
        return {}
    slopes = _slopes(torch.stack(columns, 1), y.log())
    found: dict[int, float] = {}
    for i, column in enumerate(columns):
        if slopes is None or bool((column <= 0).any()):
            continue
        power = slopes[:, i] * column
        near = round(2 * float(power.median())) / 2
        if near and float((power - near).abs().median()) < STEADY * abs(near):
            found[i] = near
    return found


def pairs(columns: list[Tensor], y: Tensor) -> list[tuple[int, int, int]]:
    """Disjoint (i, j, sign): the target seems to depend on x_i + sign · x_j alone; the clearest first.

    Of columns (n,) and targets (n,). The slopes are those of the polynomial of degree 3 (2 for many inputs) that is
    nearest to the target, or to its logarithm where that is fitted better.
    """
    slopes = _slopes(torch.stack(columns, 1), y)
    if slopes is None:
        return []
    size = slopes.square().mean(0).sqrt()
    seen = []
    for i, j in itertools.combinations(range(len(columns)), 2):
        total = float(size[i] + size[j])
        if total < 1e-3 * float(size.max()):
            continue
        for sign in (-1, 1):
            left = float((slopes[:, i] - sign * slopes[:, j]).square().mean().sqrt()) / total
            if left < LIKE:
                seen.append((left, i, j, sign))
    found, used = [], set()
    for _, i, j, sign in sorted(seen):
        if not {i, j} & used:
            found.append((i, j, sign))
            used |= {i, j}
    return found


def looks_random(columns: list[Tensor], residuals: Tensor) -> bool:
    """Whether nothing in the inputs tells the residuals, for all that two tests see.

    No polynomial of degree 2 to 4 may explain more of their ranks than chance does (an F test, wrong in one table of a
    hundred), and along no input may neighbours resemble each other. Of columns (n,) and residuals (n,); False where
    there are too few rows to tell.
    """
    from scipy.stats import f

    x = torch.stack(columns, 1)
    n, count = len(x), x.shape[1]
    degree = max((d for d in (2, 3, 4) if math.comb(count + d, d) <= TESTED * n), default=0)
    if not degree or not bool(residuals.isfinite().all()):
        return False
    residuals = residuals.argsort().argsort().double() / n - 0.5  # ranks: no single one decides
    for column in columns:
        along = residuals[column.argsort()]
        if float(along[1:] @ along[:-1] / along.square().sum()) * math.sqrt(n) > NEIGHBOURS:
            return False
    design = _monomials(_measured(x)[0], degree)[0]
    terms = design.shape[1]
    fitted = design @ least_squares(design, residuals)
    explained = (fitted - residuals.mean()).square().sum() / max(terms - 1, 1)
    left = (residuals - fitted).square().sum() / (n - terms)
    return bool(f.sf(float(explained / left.clamp_min(1e-300)), max(terms - 1, 1), n - terms) > CHANCE)


def _measured(x: Tensor) -> tuple[Tensor, Tensor]:
    """Columns measured in their range, -1 to 1, and half the ranges (in,)."""
    middle, half = (x.amax(0) + x.amin(0)) / 2, ((x.amax(0) - x.amin(0)) / 2).clamp_min(1e-300)
    return (x - middle) / half, half


def _monomials(z: Tensor, degree: int) -> tuple[Tensor, Tensor]:
    """All monomials up to a degree: values (n, terms) and exponents (terms, in)."""
    powers = [p for d in range(degree + 1) for p in _exponents(z.shape[1], d)]
    exponents = torch.tensor(powers, dtype=z.dtype)
    return (z[:, None, :] ** exponents).prod(-1), exponents


def _slopes(x: Tensor, y: Tensor) -> Tensor | None:
    """Derivatives (n, in) by the inputs in their own units."""
    n = x.shape[1]
    z, half = _measured(x)
    degree = next((d for d in DEGREES if math.comb(n + d, d) <= MOST_TERMS * len(x)), None)
    if degree is None:
        return None
    design, exponents = _monomials(z, degree)
    best, least = None, 1.0
    for target in [y, y.log()] if bool((y > 0).all()) else [y]:
        solution = least_squares(design, target)
        left = float((design @ solution - target).var() / target.var().clamp_min(1e-300))
        if left < least:
            best, least = solution, left
    if best is None:
        return None
    slopes = []
    for i in range(n):
        lower = exponents.clone()
        lower[:, i] = (lower[:, i] - 1).clamp_min(0)
        slopes.append((z[:, None, :] ** lower).prod(-1) @ (best * exponents[:, i]) / half[i])
    return torch.stack(slopes, 1)


def _exponents(n: int, degree: int) -> list[tuple[int, ...]]:
    """Exponents of n variables that add up to a degree."""
    if n == 1:
        return [(degree,)]
    return [(first, *rest) for first in range(degree + 1) for rest in _exponents(n - 1, degree - first)]
