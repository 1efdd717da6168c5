"""Whether residuals are random: nothing in the inputs predicts them."""

import math

import torch
from torch import Tensor

from knotwork.regression.polynomials import mapped, monomials
from knotwork.regression.settings import REGRESSION
from knotwork.regression.structures import least_squares


def testable(rows: int, columns: int) -> bool:
    """Whether so many rows are enough to test residuals for dependence on so many columns."""
    return _degree(rows, min(columns, 2)) > 0


def looks_random(columns: list[Tensor], residuals: Tensor) -> bool:
    """Whether two tests find no dependence of the residuals (n,) on the columns (n,).

    A polynomial of degree 2 to 4 may explain no more of the residuals' ranks than chance does (an F test at level
    0.01), and along no input may neighbours be correlated. Where rows do not suffice for all terms of degree 2
    together, each of them is tested alone, at a level divided by their number. False if there are too few rows for the
    tests.
    """
    x = torch.stack(columns, 1)
    n, count = len(x), x.shape[1]
    if not testable(n, count) or not bool(residuals.isfinite().all()):
        return False
    residuals = residuals.argsort().argsort().double() / n - (n - 1) / (2 * n)  # ranks: no single row decides
    for column in columns:
        along = residuals[column.argsort()]
        if float(along[1:] @ along[:-1] / along.square().sum()) * math.sqrt(n) > REGRESSION.neighbour_correlation:
            return False
    degree, z = _degree(n, count), mapped(x)[0]
    chance = _chance_of_polynomial(z, degree, residuals) if degree else _chance_of_terms(z, residuals)
    return chance > REGRESSION.test_level


def _chance_of_polynomial(z: Tensor, degree: int, residuals: Tensor) -> float:
    """The probability that a polynomial explains as much of random residuals (n,) of mean 0."""
    from scipy.special import fdtrc

    design = monomials(z, degree)[0]
    n, terms = design.shape
    fitted = design @ least_squares(design, residuals)
    free = max(terms - 1, 1)
    unexplained = (residuals - fitted).square().sum() / (n - terms)
    return float(fdtrc(free, n - terms, float(fitted.square().sum() / free / unexplained.clamp_min(1e-300))))


def _chance_of_terms(z: Tensor, residuals: Tensor) -> float:
    """The probability that a term of degree 2 or less explains as much of random residuals (n,) of mean 0."""
    from scipy.special import stdtr

    n, count = z.shape
    z = torch.cat([torch.ones_like(z[:, :1]), z], 1)  # products with 1 are the terms of degree 1
    covariance = z.T @ (residuals[:, None] * z) / n
    variance = z.square().T @ z.square() / n - (z.T @ z / n).square()
    varies = variance > REGRESSION.least_variance_of_terms
    correlation = covariance / (variance.clamp_min(1e-300) * residuals.square().mean()).sqrt()
    largest = min(float(torch.where(varies, correlation.abs(), 0.0).max()), 1.0 - 1e-12)
    terms = count * (count + 3) / 2
    return terms * 2 * float(stdtr(n - 2, -largest * math.sqrt((n - 2) / (1 - largest**2))))


def _degree(rows: int, columns: int) -> int:
    """The degree of the polynomial that rows allow; 0 where they are too few."""
    most = REGRESSION.terms_of_test * rows
    return max((d for d in REGRESSION.test_degrees if math.comb(columns + d, d) <= most), default=0)
