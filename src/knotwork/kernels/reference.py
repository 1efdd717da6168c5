"""B-spline bases in plain torch: the readable definition that every faster kernel is tested against.

Runs on any device and under autograd, `torch.func` and `torch.compile`. Only the k + 1 functions that are
non-zero at a sample are computed (local Cox-de Boor recursion, de Boor 1978, chapter X).
"""

import torch
from torch import Tensor

from knotwork.errors import SpecError

EXTRAPOLATIONS = ("linear", "zero", "error")


def basis(x: Tensor, knots: Tensor, k: int, derivative: int = 0, extrapolation: str = "linear") -> Tensor:
    """All B-splines of order k, or their derivatives, at x: shape (batch, in, G + k).

    `x` has shape (batch, in) and `knots` (in, G + 2k + 1), increasing along the last axis; the grid of an input is
    [knots[k], knots[-k-1]]. A sample on an inner knot belongs to the interval at its right, one on the last knot of the
    grid to the last interval. Derivatives of order above k are zero.

    Outside the grid: "linear" continues value and slope (C1), "zero" evaluates the functions on the extended knots,
    where they fade to zero within k intervals (as in the paper), "error" raises SpecError.
    """
    low, high = knots[:, k], knots[:, -k - 1]
    if extrapolation == "zero":
        return _dense(x, knots, k, derivative, within_grid=False)
    if extrapolation == "error":
        check_inside(x, low, high)
    inside = torch.minimum(torch.maximum(x, low), high)
    values = _dense(inside, knots, k, derivative, within_grid=True)
    if derivative == 0:
        slopes = _dense(inside, knots, k, 1, within_grid=True)
        return values + (x - inside).unsqueeze(-1) * slopes
    if derivative == 1:
        return values
    return torch.where(((x >= low) & (x <= high)).unsqueeze(-1), values, torch.zeros_like(values))


def check_inside(x: Tensor, low: Tensor, high: Tensor) -> None:
    """Raise SpecError if a sample lies outside its grid (the "error" extrapolation)."""
    outside = (x < low) | (x > high)
    if bool(outside.any()):
        row, column = (int(v) for v in outside.nonzero()[0])
        raise SpecError(
            f"input {column} is {float(x[row, column]):.6g} in row {row}, outside its grid "
            f"[{float(low[column]):.6g}, {float(high[column]):.6g}]. Use extrapolation='linear', or a wider grid_range."
        )


def _dense(x: Tensor, knots: Tensor, k: int, derivative: int, within_grid: bool) -> Tensor:
    """The k + 1 local values scattered to their places among all G + k functions."""
    n_knots = knots.shape[-1]
    n_basis = n_knots - k - 1
    first, last = (k, n_basis - 1) if within_grid else (0, n_knots - 2)
    interval = torch.searchsorted(knots.detach(), x.detach().T.contiguous(), right=True).T - 1
    interval = interval.clamp(first, last)
    values = _local(x, knots, interval, k, derivative)
    if not within_grid:
        covered = (x >= knots[:, 0]) & (x <= knots[:, -1])
        values = torch.where(covered.unsqueeze(-1), values, torch.zeros_like(values))
    # Functions numbered below 0 or above G + k - 1 exist only on the padding: they are cut off again.
    places = interval.unsqueeze(-1) + torch.arange(k + 1, device=x.device)
    padded = torch.zeros(*x.shape, n_knots - 1 + k, dtype=x.dtype, device=x.device)
    return padded.scatter(-1, places, values)[..., k : k + n_basis]


def _local(x: Tensor, knots: Tensor, interval: Tensor, k: int, derivative: int) -> Tensor:
    """Values at x of the functions numbered interval - k ... interval: shape (batch, in, k + 1)."""
    if derivative > k:
        return torch.zeros(*x.shape, k + 1, dtype=x.dtype, device=x.device)
    step_low, step_high = knots[:, 1:2] - knots[:, 0:1], knots[:, -1:] - knots[:, -2:-1]
    far = torch.arange(1, k + 1, device=x.device, dtype=knots.dtype)
    padded = torch.cat([knots[:, :1] - far.flip(0) * step_low, knots, knots[:, -1:] + far * step_high], dim=-1)
    # around[..., j] is knot number interval - k + 1 + j of the unpadded vector
    offsets = torch.arange(1, 2 * k + 1, device=x.device)
    rows = torch.arange(knots.shape[0], device=x.device).view(1, -1, 1)
    around = padded[rows, interval.unsqueeze(-1) + offsets]
    values = torch.ones(*x.shape, 1, dtype=x.dtype, device=x.device)
    for p in range(1, k + 1):
        low, high = around[..., k - p : k], around[..., k : k + p]
        share = values / (high - low)
        if p <= k - derivative:  # raise the order by one
            from_left, from_right = (high - x.unsqueeze(-1)) * share, (x.unsqueeze(-1) - low) * share
        else:  # differentiate: B'_p = p (B_{p-1} / h - next / h)
            from_left, from_right = -p * share, p * share
        values = torch.nn.functional.pad(from_left, (0, 1)) + torch.nn.functional.pad(from_right, (1, 0))
    return values
