"""Polynomials of several inputs."""

import torch
from torch import Tensor


def mapped(x: Tensor) -> tuple[Tensor, Tensor]:
    """Columns (n, in) mapped linearly to [-1, 1], and half of their ranges (in,)."""
    middle, half = (x.amax(0) + x.amin(0)) / 2, ((x.amax(0) - x.amin(0)) / 2).clamp_min(1e-300)
    return (x - middle) / half, half


def monomials(z: Tensor, degree: int) -> tuple[Tensor, Tensor]:
    """All monomials up to a degree: values (n, terms) and exponents (terms, in)."""
    powers = [p for d in range(degree + 1) for p in _exponents(z.shape[1], d)]
    exponents = torch.tensor(powers, dtype=z.dtype)
    return (z[:, None, :] ** exponents).prod(-1), exponents


def _exponents(n: int, degree: int) -> list[tuple[int, ...]]:
    """All exponents of n variables whose sum is the degree."""
    if n == 1:
        return [(degree,)]
    return [(first, *rest) for first in range(degree + 1) for rest in _exponents(n - 1, degree - first)]
