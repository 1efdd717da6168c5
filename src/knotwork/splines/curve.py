"""Splines: values of many at once, and least-squares fits to points."""

import torch
from torch import Tensor

from knotwork.kernels import basis, edge_sums
from knotwork.splines.settings import SPLINES


def evaluate(
    x: Tensor, knots: Tensor, coefficients: Tensor, k: int, derivative: int = 0, extrapolation: str = "linear"
) -> Tensor:
    """The spline of every output and input, or a derivative of it, (batch, in, out) (eq. 2.12).

    `x` (batch, in), `knots` (in, G + 2k + 1), `coefficients` (in, G + k, out). With many intervals it takes memory for
    samples times k: then input by input, from the functions that are not zero.
    """
    size = coefficients.shape[1]
    if size - k <= SPLINES.dense_intervals:
        values = basis(x, knots, k, derivative, extrapolation)
        return torch.einsum("nib,ibo->nio", values, coefficients)
    rows, none = max(1, SPLINES.values_at_once // size), torch.zeros_like(coefficients[:, 0])

    def of_input(one: slice) -> Tensor:
        settings = coefficients[one], none[one], knots[one], k, "zero", extrapolation, derivative
        return torch.cat([edge_sums(some, *settings) for some in x[:, one].split(rows)])

    return torch.stack([of_input(slice(i, i + 1)) for i in range(len(knots))], dim=1)


def fit_coefficients(points: Tensor, values: Tensor, knots: Tensor, k: int, weights: Tensor | None = None) -> Tensor:
    """Least-squares coefficients of the splines through `values` at `points`, (in, G + k, out).

    `points` (n, in), `values` (n, in, out), non-negative `weights` (n, in). Where the points do not determine the
    coefficients, the solution of smallest norm is taken (LAPACK's gelsd; torch's default driver is wrong there).
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
