"""Problems that methods are compared on, each with its solution: exact, or computed by `references`."""

from __future__ import annotations

from collections.abc import Mapping
from math import pi
from typing import Any

import numpy as np
import torch
from torch import Tensor

from knotwork.keywords import check_keywords
from knotwork.pde import references
from knotwork.pde.problems.conditions import condition, data, dirichlet, initial, periodic
from knotwork.pde.problems.problem import Problem

SQUARE = {"x": (-1.0, 1.0), "y": (-1.0, 1.0)}


@check_keywords
def poisson() -> Problem:
    """Poisson's equation of the paper: u_xx + u_yy = f on [-1, 1]², zero on the boundary (Liu et al. 2024, eq. 3.2).

    The exact solution is u = sin(πx) sin(πy²).

    Example:
        >>> from knotwork import pde
        >>> pde.library.poisson().coordinates
        ('x', 'y')
    """

    def exact(x: Tensor, y: Tensor) -> Tensor:
        return torch.sin(pi * x) * torch.sin(pi * y**2)

    def source(x: Tensor, y: Tensor) -> Tensor:
        slope = 2 * pi * torch.cos(pi * y**2) - 4 * (pi * y) ** 2 * torch.sin(pi * y**2)
        return torch.sin(pi * x) * (slope - pi**2 * torch.sin(pi * y**2))

    return Problem(lambda u, x, y: u.d("x", "x") + u.d("y", "y") - source(x, y), SQUARE, [dirichlet(0.0)], exact=exact)


@check_keywords
def helmholtz(a: int = 1, b: int = 4, k2: float = 1.0) -> Problem:
    """Helmholtz' equation u_xx + u_yy + k² u = f on [-1, 1]², zero on the boundary (Wang, Teng, Perdikaris 2021).

    The exact solution is u = sin(aπx) sin(bπy).

    Args:
        a: half waves along x, over a length of one.
        b: half waves along y.
        k2: the squared wave number k².
    """

    def exact(x: Tensor, y: Tensor) -> Tensor:
        return torch.sin(a * pi * x) * torch.sin(b * pi * y)

    def residual(u: Any, x: Tensor, y: Tensor) -> Tensor:
        return u.d("x", "x") + u.d("y", "y") + k2 * u - (k2 - (a * a + b * b) * pi**2) * exact(x, y)

    return Problem(residual, SQUARE, [dirichlet(0.0)], exact=exact)


@check_keywords
def heat(diffusivity: float = 0.1) -> Problem:
    """The heat equation u_t = D u_xx on [0, 1]², u(x, 0) = sin(πx), zero at both ends.

    The exact solution is u = exp(-π² D t) sin(πx).

    Args:
        diffusivity: D.
    """
    return Problem(
        lambda u: u.d("t") - diffusivity * u.d("x", "x"),
        {"x": (0, 1), "t": (0, 1)},
        [dirichlet(0.0), initial(lambda x: torch.sin(pi * x))],
        exact=lambda x, t: torch.exp(-(pi**2) * diffusivity * t) * torch.sin(pi * x),
    )


@check_keywords
def wave(speed: float = 1.0, modes: Mapping[int, float] | None = None) -> Problem:
    """The wave equation u_tt = c² u_xx on [0, 1]², at rest with u(x, 0) = Σ a_n sin(nπx), zero at both ends.

    The exact solution is u = Σ a_n sin(nπx) cos(nπct).

    Args:
        speed: c; 2 with modes {1: 1, 4: 1/2} is the problem of Wang, Yu, Perdikaris 2022.
        modes: the amplitudes a_n by n; {1: 1} by default.
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


@check_keywords
def burgers(viscosity: float = 0.01 / pi) -> Problem:
    """Burgers' equation u_t + u u_x = ν u_xx on [-1, 1] x [0, 1], u(x, 0) = -sin(πx), zero at both ends.

    A layer of width ν forms at x = 0 (Basdevant et al. 1986; Raissi et al. 2019). The reference is that of Cole and
    Hopf, exact to about 1e-12.

    Args:
        viscosity: ν; 0.01/π is the usual problem.
    """
    return Problem(
        lambda u: u.d("t") + u * u.d("x") - viscosity * u.d("x", "x"),
        {"x": (-1, 1), "t": (0, 1)},
        [dirichlet(0.0), initial(lambda x: -torch.sin(pi * x))],
        exact=lambda x, t: references.burgers(x, t, viscosity),
    )


@check_keywords
def allen_cahn() -> Problem:
    """Allen-Cahn's equation u_t = 1e-4 u_xx + 5 (u - u³) on [-1, 1] x [0, 1], periodic, u(x, 0) = x² cos(πx).

    From Raissi et al. 2019. The reference is a cosine series, accurate to about 3e-6.
    """
    return Problem(
        lambda u: u.d("t") - 1e-4 * u.d("x", "x") - 5 * (u - u**3),
        {"x": (-1, 1), "t": (0, 1)},
        [periodic("x"), initial(lambda x: x**2 * torch.cos(pi * x))],
        exact=lambda x, t: references.allen_cahn(x, t),
    )


@check_keywords
def kovasznay(reynolds: float = 40.0) -> Problem:
    """Kovasznay's flow: the steady Navier-Stokes equations behind a grid, with fields u, v and p (Kovasznay 1948).

    The velocities u and v are prescribed on the boundary, the pressure p at one corner.

    Args:
        reynolds: the Reynolds number.
    """
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


@check_keywords
def inverse_diffusivity(noise: float = 0.01, seed: int = 0, measurements: int = 500, guess: float = 0.3) -> Problem:
    """The heat equation with the diffusivity D = 0.1 unknown, estimated from noisy measurements.

    Args:
        noise: standard deviation of the Gaussian noise, as a share of the root mean square of u.
        seed: of the points and the noise.
        measurements: their number, at random points.
        guess: the first guess of D.
    """
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
