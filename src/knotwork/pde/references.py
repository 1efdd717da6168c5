"""Reference solutions, computed by other methods to far smaller errors than a network reaches."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from knotwork.pde.settings import PDE


def burgers(x: Tensor, t: Tensor, viscosity: float = 0.01 / np.pi, nodes: int | None = None) -> Tensor:
    """u(x, t) of u_t + u u_x = ν u_xx with u(x, 0) = -sin πx: (n,).

    By Cole and Hopf u = -∫ sin(πy) f(y) g dη / ∫ f(y) g dη with y = x - η, f(y) = exp(-cos(πy) / 2πν) and the heat
    kernel g = exp(-η² / 4νt) (Basdevant et al. 1986). The integrands are smooth and vanish at both ends, where the
    trapezoidal rule converges faster than any power.
    """
    reach = PDE.burgers_reach
    z = torch.linspace(-reach, reach, nodes or PDE.burgers_nodes, dtype=torch.float64)
    y = x.unsqueeze(1) - (4 * viscosity * t.clamp_min(0)).sqrt().unsqueeze(1) * z
    exponent = -(np.pi * y).cos() / (2 * np.pi * viscosity) - z**2
    weights = torch.softmax(exponent, dim=1)
    return -(weights * (np.pi * y).sin()).sum(1)


def allen_cahn(x: Tensor, t: Tensor, modes: int | None = None, steps: int | None = None) -> Tensor:
    """u(x, t) on [-1, 1] x [0, 1] of u_t = 1e-4 u_xx + 5 (u - u³), periodic, with u(x, 0) = x² cos πx: (n,).

    A cosine series (u is even), integrated in time by ETDRK4 (Cox and Matthews 2002; its coefficients by contour
    integrals as in Kassam and Trefethen 2005) and interpolated between steps by Hermite's cubics.
    """
    modes, steps = modes or PDE.allen_cahn_modes, steps or PDE.allen_cahn_steps
    values, slopes = _allen_cahn(modes, steps)
    place = (t.double() * steps).clamp(0, steps)
    left = place.floor().clamp_max(steps - 1)
    at, s = left.long(), (place - left).unsqueeze(1)
    h = 1.0 / steps
    series = (
        (1 + 2 * s) * (1 - s) ** 2 * values[at]
        + s * (1 - s) ** 2 * h * slopes[at]
        + s**2 * (3 - 2 * s) * values[at + 1]
        - s**2 * (1 - s) * h * slopes[at + 1]
    )
    n = torch.arange(modes + 1, dtype=torch.float64)
    return (series * (np.pi * n * x.unsqueeze(1)).cos()).sum(1)


@lru_cache(maxsize=4)
def _allen_cahn(modes: int, steps: int) -> tuple[Tensor, Tensor]:
    """Coefficients of the cosines at every step, and their derivatives by time: (steps + 1, modes + 1) each."""
    sign = np.where(np.arange(modes + 1) % 2, -1.0, 1.0)
    linear = 5 - 1e-4 * (np.pi * np.arange(modes + 1)) ** 2

    def values(c: np.ndarray) -> np.ndarray:
        full = c * sign * modes
        full[0] *= 2
        full[-1] *= 2
        return np.fft.irfft(full, 2 * modes)

    def coefficients(u: np.ndarray) -> np.ndarray:
        c = np.fft.rfft(u).real / modes * sign
        c[0] /= 2
        c[-1] /= 2
        return c

    def cubic(c: np.ndarray) -> np.ndarray:
        return -5 * coefficients(values(c) ** 3)

    h = 1.0 / steps
    circle = np.exp(1j * np.pi * (np.arange(32) + 0.5) / 32)
    lr = h * linear[:, None] + circle
    whole, half = np.exp(h * linear), np.exp(h * linear / 2)
    q = h * ((np.exp(lr / 2) - 1) / lr).mean(1).real
    f1 = h * ((-4 - lr + np.exp(lr) * (4 - 3 * lr + lr**2)) / lr**3).mean(1).real
    f2 = h * ((2 + lr + np.exp(lr) * (lr - 2)) / lr**3).mean(1).real
    f3 = h * ((-4 - 3 * lr - lr**2 + np.exp(lr) * (4 - lr)) / lr**3).mean(1).real
    samples = PDE.allen_cahn_samples  # times 2·modes: so many that the kink at the ends hardly aliases
    finer = np.arange(samples * 2 * modes) / (samples * modes) - 1.0
    start = np.fft.rfft(finer**2 * np.cos(np.pi * finer)).real[: modes + 1] / (samples * modes) * sign
    c = np.concatenate([start[:1] / 2, start[1:]])
    found, slopes = [c], [linear * c + cubic(c)]
    for _ in range(steps):
        n0 = cubic(c)
        a = half * c + q * n0
        na = cubic(a)
        b = half * c + q * na
        nb = cubic(b)
        d = half * a + q * (2 * nb - n0)
        c = whole * c + f1 * n0 + 2 * f2 * (na + nb) + f3 * cubic(d)
        found.append(c)
        slopes.append(linear * c + cubic(c))
    return torch.as_tensor(np.stack(found)), torch.as_tensor(np.stack(slopes))
