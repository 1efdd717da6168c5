"""Problems that methods are compared on, each with its solution: exact, or by `references`."""

from __future__ import annotations

from collections.abc import Mapping
from math import pi
from typing import Any

import numpy as np
import torch
from torch import Tensor

from knotwork.pde import references
from knotwork.pde.problems.conditions import condition, data, dirichlet, initial, periodic
from knotwork.pde.problems.problem import Problem

SQUARE = {"x": (-1.0, 1.0), "y": (-1.0, 1.0)}


def poisson() -> Problem:
    """The paper's (eq. 3.2): u_xx + u_yy = f on [-1, 1]², zero on its edge, with u = sin πx sin πy²."""

    def exact(x: Tensor, y: Tensor) -> Tensor:
        return torch.sin(pi * x) * torch.sin(pi * y**2)

    def source(x: Tensor, y: Tensor) -> Tensor:
        slope = 2 * pi * torch.cos(pi * y**2) - 4 * (pi * y) ** 2 * torch.sin(pi * y**2)
        return torch.sin(pi * x) * (slope - pi**2 * torch.sin(pi * y**2))

    return Problem(lambda u, x, y: u.d("x", "x") + u.d("y", "y") - source(x, y), SQUARE, [dirichlet(0.0)], exact=exact)


def helmholtz(a: int = 1, b: int = 4, k2: float = 1.0) -> Problem:
    """u_xx + u_yy + k² u = f on [-1, 1]², zero on its edge, with u = sin aπx sin bπy (Wang et al. 2021)."""

    def exact(x: Tensor, y: Tensor) -> Tensor:
        return torch.sin(a * pi * x) * torch.sin(b * pi * y)

    def residual(u: Any, x: Tensor, y: Tensor) -> Tensor:
        return u.d("x", "x") + u.d("y", "y") + k2 * u - (k2 - (a * a + b * b) * pi**2) * exact(x, y)

    return Problem(residual, SQUARE, [dirichlet(0.0)], exact=exact)


def heat(diffusivity: float = 0.1) -> Problem:
    """u_t = D u_xx on [0, 1]², u(x, 0) = sin πx, zero at both ends."""
    return Problem(
        lambda u: u.d("t") - diffusivity * u.d("x", "x"),
        {"x": (0, 1), "t": (0, 1)},
        [dirichlet(0.0), initial(lambda x: torch.sin(pi * x))],
        exact=lambda x, t: torch.exp(-(pi**2) * diffusivity * t) * torch.sin(pi * x),
    )


def wave(speed: float = 1.0, modes: Mapping[int, float] | None = None) -> Problem:
    """u_tt = c² u_xx on [0, 1]², u(x, 0) = Σ a_n sin nπx at rest, zero at both ends.

    `modes` {n: a_n} is {1: 1} by default; c = 2 with modes {1: 1, 4: 1/2} is the problem of Wang et al. 2022.
    """
    amplitudes = modes or {1: 1.0}

    def exact(x: Tensor, t: Tensor) -> Tensor:
        parts = [a * torch.sin(n * pi * x) * torch.cos(n * pi * speed * t) for n, a in amplitudes.items()]
        return torch.stack(parts).sum(0)

    return Problem(
        lambda u: u.d("t", "t") - speed**2 * u.d("x", "x"),
        {"x": (0, 1), "t": (0, 1)},
        [dirichlet(0.0), initial(lambda x: exact(x, torch.zeros_like(x))), initial(0.0, order=1)],
        exact=exact,
    )


def burgers(viscosity: float = 0.01 / pi) -> Problem:
    """u_t + u u_x = ν u_xx on [-1, 1] x [0, 1], u(x, 0) = -sin πx, zero at both ends: a layer of width ν at x = 0."""
    return Problem(
        lambda u: u.d("t") + u * u.d("x") - viscosity * u.d("x", "x"),
        {"x": (-1, 1), "t": (0, 1)},
        [dirichlet(0.0), initial(lambda x: -torch.sin(pi * x))],
        exact=lambda x, t: references.burgers(x, t, viscosity),
    )


def allen_cahn() -> Problem:
    """u_t = 1e-4 u_xx + 5 (u - u³) on [-1, 1] x [0, 1], periodic, u(x, 0) = x² cos πx."""
    return Problem(
        lambda u: u.d("t") - 1e-4 * u.d("x", "x") - 5 * (u - u**3),
        {"x": (-1, 1), "t": (0, 1)},
        [periodic("x"), initial(lambda x: x**2 * torch.cos(pi * x))],
        exact=lambda x, t: references.allen_cahn(x, t),
    )


def kovasznay(reynolds: float = 40.0) -> Problem:
    """Steady Navier-Stokes behind a grid (Kovasznay 1948): u, v given on the edge, p at one corner."""
    rate = reynolds / 2 - (reynolds**2 / 4 + 4 * pi**2) ** 0.5
    exact = {
        "u": lambda x, y: 1 - torch.exp(rate * x) * torch.cos(2 * pi * y),
        "v": lambda x, y: rate / (2 * pi) * torch.exp(rate * x) * torch.sin(2 * pi * y),
        "p": lambda x, y: (1 - torch.exp(2 * rate * x)) / 2,
    }

    def residual(u: Any, v: Any, p: Any) -> tuple[Tensor, Tensor, Tensor]:
        return (
            u * u.d("x") + v * u.d("y") + p.d("x") - (u.d("x", "x") + u.d("y", "y")) / reynolds,
            u * v.d("x") + v * v.d("y") + p.d("y") - (v.d("x", "x") + v.d("y", "y")) / reynolds,
            u.d("x") + v.d("y"),
        )

    corner = [[-0.5, -0.5]]
    return Problem(
        residual,
        {"x": (-0.5, 1.0), "y": (-0.5, 1.5)},
        [
            condition(lambda u, v, x, y: (u - exact["u"](x, y), v - exact["v"](x, y)), on=("x", "y")),
            dirichlet(exact["p"], field="p", points=corner),
        ],
        fields=("u", "v", "p"),
        exact=exact,
    )


def inverse_diffusivity(noise: float = 0.01, seed: int = 0, measurements: int = 500, guess: float = 0.3) -> Problem:
    """`heat` with D = 0.1 unknown, from values with Gaussian noise of `noise`·rms(u) at random points."""
    known = heat(0.1)
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 1, (measurements, 2))
    clean = known.exact_values(torch.as_tensor(points))["u"].numpy()
    values = clean + noise * np.sqrt(np.mean(clean**2)) * rng.normal(size=measurements)
    return Problem(
        lambda u, D: u.d("t") - D * u.d("x", "x"),
        known.domain,
        [*known.conditions, data(points, values)],
        unknowns={"D": guess},
        exact=known.exact["u"],
    )
