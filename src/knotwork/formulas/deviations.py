"""Deviations of values from targets as shares of both, and their logarithms."""

import math

import torch
from torch import Tensor


def relative_deviations(values: Tensor, y: Tensor) -> Tensor:
    """Deviations of values from targets y ≠ 0 as shares of the root mean square of both.

    They are logarithms of values / y up to the third order, and defined where the two differ in sign. With shares of
    the targets alone, fits would come out too small: targets that noise has made small would count more than others.
    """
    ratio = values / y
    return 2**0.5 * (ratio - 1) / torch.hypot(ratio, torch.ones_like(ratio))


def log_ratios(values: Tensor, y: Tensor) -> Tensor:
    """Sizes (n,) of the logarithms of values / y, which are complex where signs differ; NaN for targets of 0.

    Small ones are those of `relative_deviations`, but large ones have no limit.
    """
    signs = torch.where(values * y.sign() < 0, math.pi, 0.0)
    return torch.where(y == 0, math.nan, torch.hypot((values / y).abs().clamp_min(1e-300).log(), signs))


def slopes_of_deviations(values: Tensor, y: Tensor) -> Tensor:
    """Derivatives of `relative_deviations` by the values."""
    ratio = values / y
    return 2**0.5 * (1 + ratio) / torch.hypot(ratio, torch.ones_like(ratio)) ** 3 / y
