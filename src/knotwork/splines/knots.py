"""Knot vectors: G intervals for each input, and k more knots on both sides (section 2.4 of the paper)."""

import torch
from torch import Tensor

from knotwork.errors import SpecError


def uniform_knots(low: Tensor, high: Tensor, grid: int, k: int) -> Tensor:
    """Equally spaced knots on [low, high] and k more on each side, (in, grid + 2k + 1).

    `low` and `high` have shape (in,) and low < high.
    """
    _check_range(low, high)
    steps = torch.arange(grid + 1, dtype=low.dtype, device=low.device) / grid
    inner = low[:, None] + (high - low)[:, None] * steps
    inner[:, -1] = high  # exactly the end, without rounding error
    return extend_knots(inner, k)


def adaptive_knots(samples: Tensor, low: Tensor, high: Tensor, grid: int, k: int, grid_eps: float = 1.0) -> Tensor:
    """Knots between the sample quantiles (grid_eps=0) and equal spacing (grid_eps=1), (in, grid + 2k + 1).

    `samples` has shape (n, in); samples outside [low, high] are clamped. Every interval keeps at least a hundredth of
    its uniform length, so that repeated values never give two equal knots.
    """
    _check_range(low, high)
    uniform = uniform_knots(low, high, grid, 0)
    if grid_eps == 1.0:
        return extend_knots(uniform, k)
    shares = torch.linspace(0, 1, grid + 1, dtype=samples.dtype, device=samples.device)
    clamped = torch.minimum(torch.maximum(samples, low), high)
    quantiles = torch.quantile(clamped, shares, dim=0).T
    blend = grid_eps * uniform + (1 - grid_eps) * quantiles
    blend[:, 0], blend[:, -1] = low, high
    least = 0.01 * (high - low)[:, None] / grid
    beyond = (blend.diff(dim=-1) - least).clamp_min(0)
    lengths = least + beyond * ((0.99 * (high - low)) / beyond.sum(-1))[:, None]
    inner = torch.cat([low[:, None], low[:, None] + lengths.cumsum(-1)], dim=-1)
    inner[:, -1] = high
    return extend_knots(inner, k)


def graded_knots(samples: Tensor, grid: int, k: int, longest: float) -> Tensor:
    """Knots where those of a normal sample would be even, at quantiles of distinct `samples` (n,): (grid + 2k + 1,).

    For a log-normal sample they are even in its logarithm; of two clusters both get knots. The grid lies in the range
    of the samples, and its first and last intervals are at most `longest` times as long as their neighbours: splines
    cannot bend in a short interval between much longer ones.
    """
    distinct = samples.unique()  # sorted
    last = len(distinct) - 1
    score = torch.special.ndtri(distinct.new_tensor(0.5 / len(distinct)))
    shares = torch.special.ndtr(torch.linspace(1, -1, grid + 1, dtype=score.dtype, device=score.device) * score)
    place = (shares * len(distinct) - 0.5).clamp(1, last - 1)  # no inner knot next to one outermost value
    left = place.floor().long()
    inner = torch.lerp(distinct[left], distinct[left + 1], place - left)
    low, high = inner[0], inner[-1] = distinct[0], distinct[-1]
    if grid > 1:
        first, final = inner[2] - inner[1], inner[-2] - inner[-3]
        low, high = torch.maximum(low, inner[1] - longest * first), torch.minimum(high, inner[-2] + longest * final)
        inner[0], inner[-1] = low, high
    even = (high - low) / grid
    distinguishable = 16 * torch.finfo(inner.dtype).eps * inner.abs().max()
    least = torch.minimum(torch.maximum(1e-6 * even, distinguishable), 0.01 * even)
    lengths = torch.maximum(inner.diff(), least)
    inner = torch.cat([low[None], low + lengths.cumsum(0) * ((high - low) / lengths.sum())])
    inner[-1] = high
    return extend_knots(inner[None], k)[0]


def subdivide(knots: Tensor, k: int, parts: int) -> Tensor:
    """Each of the G intervals divided into `parts` equal intervals, (in, parts * G + 2k + 1).

    Raises:
        SpecError: the type of the knots cannot tell the new knots apart.
    """
    inner = knots[:, k : knots.shape[-1] - k]
    share = torch.arange(parts, dtype=knots.dtype, device=knots.device) / parts
    cut = inner[:, :-1, None] + inner.diff(dim=-1)[..., None] * share
    finer = torch.cat([cut.flatten(1), inner[:, -1:]], dim=-1)
    equal = (finer.diff(dim=-1) <= 0).any(-1)
    if bool(equal.any()):
        i = int(equal.nonzero()[0])
        raise SpecError(
            f"intervals of the grid of input {i}, [{float(inner[i, 0]):.9g}, {float(inner[i, -1]):.9g}], are too "
            f"short to be divided into {parts} in {str(knots.dtype).removeprefix('torch.')}: use fewer intervals, "
            "inputs nearer to zero, or float64."
        )
    return extend_knots(finer, k)


def with_padding_of(knots: Tensor, other: Tensor, k: int) -> Tensor:
    """`knots`, with the k knots outside the grid on both sides that `other`, a vector on the same grid, has there."""
    end = other.shape[-1] - k
    return torch.cat([other[:, :k], knots[:, k : knots.shape[-1] - k], other[:, end:]], dim=-1)


def resample(knots: Tensor, k: int, grid: int) -> Tensor:
    """Knots with `grid` intervals on the same range and with the same local density, (in, grid + 2k + 1)."""
    inner = knots[:, k : knots.shape[-1] - k]
    old = inner.shape[-1] - 1
    place = torch.arange(grid + 1, dtype=knots.dtype, device=knots.device) * old / grid
    left = place.floor().long().clamp_max(old - 1)
    points = inner[:, left] + (place - left) * (inner[:, left + 1] - inner[:, left])
    points[:, -1] = inner[:, -1]
    return extend_knots(points, k)


def grid_range(knots: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """First and last point of the grid of every input, each of shape (in,)."""
    return knots[:, k], knots[:, -k - 1]


def extend_knots(inner: Tensor, k: int) -> Tensor:
    """Grid points (in, G + 1) and k more on both sides, with the spacing of the outermost interval of that side."""
    far = torch.arange(1, k + 1, dtype=inner.dtype, device=inner.device)
    first, last = inner[:, 1:2] - inner[:, :1], inner[:, -1:] - inner[:, -2:-1]
    return torch.cat([inner[:, :1] - far.flip(0) * first, inner, inner[:, -1:] + far * last], dim=-1)


def _check_range(low: Tensor, high: Tensor) -> None:
    possible = (low < high) & (high - low).isfinite()
    if not bool(possible.all()):
        i = int((~possible).nonzero()[0])
        raise SpecError(
            f"the grid of input {i} would be [{float(low[i])}, {float(high[i])}], but a grid needs "
            "low < high, both finite."
        )
