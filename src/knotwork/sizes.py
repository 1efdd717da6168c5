"""Sizes of numbers whose squares no number holds: 1e200 and 1e-200 have a root mean square, too."""

import numpy as np
import torch
from torch import Tensor


def power_of_two(values: Tensor, dim: int | None = None) -> Tensor:
    """The power of two just below the largest of the values, of all or along one dimension, which is kept with size 1.

    It is 1 for zeros, and where a value is not finite. Division by it changes no digit.
    """
    sizes = values.detach().abs()
    if values.numel():
        largest = sizes.max() if dim is None else sizes.amax(dim, keepdim=True)
    else:
        largest = sizes.sum() if dim is None else sizes.sum(dim, keepdim=True)
    known = (largest > 0) & largest.isfinite()
    exponents = torch.frexp(torch.where(known, largest, 1.0))[1].cpu().numpy() - 1
    return torch.as_tensor(np.ldexp(1.0, np.maximum(exponents, -1022)), device="cpu").to(values)


def root_mean_square(values: Tensor, dim: int | None = None) -> Tensor:
    """Root of the mean square of all values, or along one dimension."""
    unit = power_of_two(values, dim)
    found = (values / unit).square().mean(dim).sqrt()
    return found * (unit if dim is None else unit.squeeze(dim))


def deviation(values: Tensor, dim: int | None = None) -> Tensor:
    """Standard deviation (the mean is that of these values) of all values, or along one dimension."""
    unit = power_of_two(values, dim)
    found = (values / unit).std(dim, correction=0)
    return found * (unit if dim is None else unit.squeeze(dim))
