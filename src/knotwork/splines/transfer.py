"""A spline on other knots: the same function if the new knots contain the old, else the closest in L² (eq. 2.16)."""

import functools

import numpy as np
import torch
from torch import Tensor

from knotwork.errors import SpecError
from knotwork.splines.curve import evaluate, fit_coefficients
from knotwork.splines.knots import extend_knots, grid_range
from knotwork.splines.settings import SPLINES


def insert_knots(coefficients: Tensor, knots: Tensor, finer: Tensor, k: int) -> Tensor:
    """Coefficients of the same splines on `finer` knots, (in, G' + k, out); values on the grid are equal to rounding.

    `finer` must have the same first and last grid point and contain every knot between them. A coefficient is the
    blossom of its polynomial piece at the k knots inside the support of its basis function (Ramshaw 1989). Therefore
    the knots outside the grid may differ.
    """
    n_fine = finer.shape[-1] - k - 1
    function = torch.arange(n_fine, device=knots.device)
    # a fine interval that is inside the grid and inside the support of each new function
    piece = function.clamp(k, n_fine - 1)
    middle = (finer[:, piece] + finer[:, piece + 1]) / 2
    interval = torch.searchsorted(knots.contiguous(), middle.contiguous(), right=True) - 1
    interval = interval.clamp(k, knots.shape[-1] - k - 2)
    rows = torch.arange(knots.shape[0], device=knots.device).view(-1, 1, 1)
    local = torch.arange(k + 1, device=knots.device)
    values = coefficients[rows, interval.unsqueeze(-1) - k + local]  # (in, G' + k, k + 1, out)
    for r in range(1, k + 1):
        argument = finer[:, function + r].unsqueeze(-1)
        low = knots[rows, interval.unsqueeze(-1) - k + local[r:]]
        high = knots[rows, interval.unsqueeze(-1) + 1 + local[: k + 1 - r]]
        share = ((argument - low) / (high - low)).unsqueeze(-1)
        values = (1 - share) * values[:, :, :-1] + share * values[:, :, 1:]
    return values[:, :, 0]


def insert_knots_of_fading(coefficients: Tensor, knots: Tensor, finer: Tensor, k: int) -> Tensor:
    """`insert_knots` for splines that fade to zero on the knots outside the grid, which must be the same in `finer`.

    The values are equal to rounding everywhere. Outside of all knots these splines are zero: k more knots and k
    coefficients of zero on both sides make splines of them whose grid holds all knots.
    """
    wider = torch.nn.functional.pad(coefficients, (0, 0, k, k))
    found = insert_knots(wider, extend_knots(knots, k), extend_knots(finer, k), k)
    return found[:, k : found.shape[1] - k]


def project(coefficients: Tensor, knots: Tensor, target: Tensor, k: int, extrapolation: str = "linear") -> Tensor:
    """Coefficients of the closest splines in L² over the target grid, on `target` knots, (in, G' + k, out)."""
    points, weights = quadrature(knots, target, k)
    return closest(points, weights, evaluate(points, knots, coefficients, k, 0, extrapolation), target, k)


def closest(points: Tensor, weights: Tensor, values: Tensor, target: Tensor, k: int) -> Tensor:
    """Coefficients of the closest splines in L² on `target` knots, (in, G' + k, out), to curves of these values.

    `points` and `weights` (n, in) are those of `quadrature`, in float64, and `values` (n, in, out) those of the curves
    there. They determine all coefficients, so with many intervals banded normal equations serve: solved again for what
    is left, they were measured to be as exact as dense least squares, for every order up to 7.

    Raises:
        SpecError: an interval of the target grid is too short for the points in it to be told apart.
    """
    if target.shape[1] - 2 * k - 1 <= SPLINES.dense_intervals:
        return fit_coefficients(points, values, target, k, weights)
    found = []
    for i, knots in enumerate(target.numpy()):
        root = (weights[:, i, None] / weights[:, i].max().clamp_min(SPLINES.smallest_weight)).sqrt().numpy()
        try:
            found.append(_banded_fit(points[:, i].numpy(), root, root * values[:, i].numpy(), knots, k))
        except np.linalg.LinAlgError:
            raise SpecError(
                f"intervals of the grid of input {i}, [{knots[k]:.9g}, {knots[-k - 1]:.9g}], are too short for curves "
                "on them: use fewer intervals, or inputs nearer to zero."
            ) from None
    return torch.from_numpy(np.stack(found))


def _banded_fit(x: np.ndarray, root: np.ndarray, y: np.ndarray, knots: np.ndarray, k: int) -> np.ndarray:
    """Coefficients (G + k, out) of the splines whose values at x (n,), times `root` (n, 1), are closest to y (n, out).

    In memory for n times k. Raises LinAlgError where these points do not determine them.
    """
    from scipy.interpolate import BSpline
    from scipy.linalg import cho_solve_banded, cholesky_banded

    design = BSpline.design_matrix(x.clip(knots[k], knots[-k - 1]), knots, k).multiply(root).tocsr()
    product = design.T @ design
    bands = np.stack([np.pad(product.diagonal(-below), (0, below)) for below in range(k + 1)])
    factor = cholesky_banded(bands, lower=True), True
    first = cho_solve_banded(factor, design.T @ y, check_finite=False)  # curves that are NaN stay so
    return first + cho_solve_banded(factor, design.T @ (y - design @ first), check_finite=False)


def quadrature(knots: Tensor, target: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Gauss points and weights, each (n, in). They are exact for products of splines on the two grids."""
    low, high = grid_range(target, k)
    breaks = torch.cat([knots, target], dim=-1)
    breaks = torch.minimum(torch.maximum(breaks, low[:, None]), high[:, None]).sort(dim=-1).values
    nodes, shares = (part.to(knots) for part in _gauss(k + 1))
    lengths = breaks.diff(dim=-1).unsqueeze(-1)
    points = (breaks[:, :-1, None] + lengths * nodes).flatten(1)
    weights = (lengths * shares).flatten(1)
    return points.T.contiguous(), weights.T.contiguous()


@functools.cache
def _gauss(n: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights of Gauss-Legendre quadrature on [0, 1], (n,) each."""
    nodes, shares = np.polynomial.legendre.leggauss(n)
    return torch.as_tensor((nodes + 1) / 2, device="cpu"), torch.as_tensor(shares / 2, device="cpu")
