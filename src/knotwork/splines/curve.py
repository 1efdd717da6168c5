"""Splines as values: evaluating many at once, and fitting them to points."""

import torch
from torch import Tensor

from knotwork.kernels import basis


def evaluate(
    x: Tensor, knots: Tensor, coefficients: Tensor, k: int, derivative: int = 0, extrapolation: str = "linear"
) -> Tensor:
    """Every output's spline of every input, or a derivative of it: shape (batch, in, out) (eq. 2.12).

    `x` (batch, in), `knots` (in, G + 2k + 1), `coefficients` (in, G + k, out).
    """
    values = basis(x, knots, k, derivative, extrapolation)
    return torch.einsum("nib,ibo->nio", values, coefficients)


def fit_coefficients(points: Tensor, values: Tensor, knots: Tensor, k: int, weights: Tensor | None = None) -> Tensor:
    """Least-squares coefficients of splines through `values` at `points`: shape (in, G + k, out).

    `points` (n, in), `values` (n, in, out), `weights` (n, in) non-negative. Where the points leave a coefficient
    undetermined the smallest one is taken (LAPACK's gelsd; torch's default driver is wrong on such systems).
    """
    design = basis(points, knots, k).transpose(0, 1)
    target = values.transpose(0, 1)
    if weights is not None:
        root = weights.T.sqrt().unsqueeze(-1)
        design, target = design * root, target * root
    if design.device.type != "cpu":  # gelsd exists on the CPU only
        found = torch.linalg.lstsq(design.cpu(), target.cpu(), driver="gelsd").solution
        return found.to(design.device)
    return torch.linalg.lstsq(design, target, driver="gelsd").solution
