"""Inputs that are factors of the target, and pairs that act by their difference or sum: from a polynomial's slopes."""

import itertools
import math

import torch
from torch import Tensor

from knotwork.regression.polynomials import mapped, monomials
from knotwork.regression.settings import REGRESSION
from knotwork.regression.structures import least_squares


def power_factors(columns: list[Tensor], y: Tensor) -> dict[int, float]:
    """Inputs of which a power seems to be a factor of the target, with that power, a multiple of 1/2.

    The derivative of log y by log x is then about the same in all rows. Columns and targets are (n,).
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
        if near and float((power - near).abs().median()) < REGRESSION.power_tolerance * abs(near):
            found[i] = near
    return found


def combined_pairs(columns: list[Tensor], y: Tensor, tolerance: float) -> list[tuple[int, int, int]]:
    """Disjoint (i, j, sign) such that the target seems to depend on x_i + sign · x_j alone, the clearest first.

    Columns and targets are (n,). `tolerance` is the share of two slopes by which they may differ. The derivatives are
    those of the polynomial of degree 3 (2 for many inputs) that is nearest to the target, or to its logarithm where
    that is fitted better.
    """
    slopes = _slopes(torch.stack(columns, 1), y)
    if slopes is None:
        return []
    size = slopes.square().mean(0).sqrt()
    seen = []
    for i, j in itertools.combinations(range(len(columns)), 2):
        total = float(size[i] + size[j])
        if not total > REGRESSION.least_slope * float(size.max()):  # both are zero where no input has a slope
            continue
        for sign in (-1, 1):
            difference = float((slopes[:, i] - sign * slopes[:, j]).square().mean().sqrt()) / total
            if difference < tolerance:
                seen.append((difference, i, j, sign))
    found, used = [], set()
    for _, i, j, sign in sorted(seen):
        if not {i, j} & used:
            found.append((i, j, sign))
            used |= {i, j}
    return found


def _slopes(x: Tensor, y: Tensor) -> Tensor | None:
    """Derivatives (n, in) of the nearest polynomial by the inputs; None if there are too few rows, or none fits."""
    n = x.shape[1]
    z, half = mapped(x)
    degree = next(
        (d for d in REGRESSION.polynomial_degrees if math.comb(n + d, d) <= REGRESSION.terms_of_slopes * len(x)), None
    )
    if degree is None:
        return None
    design, exponents = monomials(z, degree)
    best, least = None, 1.0
    for target in [y, y.log()] if bool((y > 0).all()) else [y]:
        solution = least_squares(design, target)
        unexplained = float((design @ solution - target).var() / target.var().clamp_min(1e-300))
        if unexplained < least:
            best, least = solution, unexplained
    if best is None:
        return None
    slopes = []
    for i in range(n):
        lower = exponents.clone()
        lower[:, i] = (lower[:, i] - 1).clamp_min(0)
        slopes.append((z[:, None, :] ** lower).prod(-1) @ (best * exponents[:, i]) / half[i])
    return torch.stack(slopes, 1)
