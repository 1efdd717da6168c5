"""Whether residuals are random: nothing in the inputs predicts them."""

import math

import torch
from torch import Tensor

from knotwork.regression.polynomials import mapped, monomials
from knotwork.regression.settings import REGRESSION
from knotwork.regression.structures import least_squares


def testable(rows: int, columns: int) -> bool:
    """Whether so many rows are enough to test residuals for dependence on so many columns."""
    return _degree(rows, columns) > 0


def looks_random(columns: list[Tensor], residuals: Tensor) -> bool:
    """Whether two tests find no dependence of the residuals (n,) on the columns (n,).

    A polynomial of degree 2 to 4 may explain no more of the residuals' ranks than chance does (an F test at level
    0.01), and along no input may neighbours be correlated. False if there are too few rows for the tests.
    """
    from scipy.special import fdtrc

    x = torch.stack(columns, 1)
    n, count = len(x), x.shape[1]
    degree = _degree(n, count)
    if not degree or not bool(residuals.isfinite().all()):
        return False
    residuals = residuals.argsort().argsort().double() / n - 0.5  # ranks: no single row decides
    for column in columns:
        along = residuals[column.argsort()]
        if float(along[1:] @ along[:-1] / along.square().sum()) * math.sqrt(n) > REGRESSION.neighbour_correlation:
            return False
    design = monomials(mapped(x)[0], degree)[0]
    terms = design.shape[1]
    fitted = design @ least_squares(design, residuals)
    explained = (fitted - residuals.mean()).square().sum() / max(terms - 1, 1)
    unexplained = (residuals - fitted).square().sum() / (n - terms)
    ratio, free = float(explained / unexplained.clamp_min(1e-300)), max(terms - 1, 1)
    return bool(fdtrc(free, n - terms, ratio) > REGRESSION.test_level)


def _degree(rows: int, columns: int) -> int:
    """The degree of the polynomial that rows allow; 0 where they are too few."""
    most = REGRESSION.terms_of_test * rows
    return max((d for d in REGRESSION.test_degrees if math.comb(columns + d, d) <= most), default=0)
