"""Separable networks, u = Σ_i Π_d φ_id(x_d), and their start in time: the first state held.

Few products are enough where layers stand still: singular values of Burgers' and Allen-Cahn's solutions, as functions
of place and time, fall exponentially.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from knotwork import kernels
from knotwork.errors import SpecError
from knotwork.kan import KAN
from knotwork.model import is_whole
from knotwork.pde.least_squares import System
from knotwork.pde.problem import Problem
from knotwork.pde.terms import Term

SAMPLES = 40  # of a polynomial of time, an interval


def separable(problem: Problem, rank: int, grid: int, k: int, seed: int) -> KAN:
    """A KAN whose every field is a sum of `rank` products, each of one function of every coordinate.

    Its width is [D, [0, rank·F], F] for D coordinates and F fields: factor d of a product sees coordinate d alone, and
    a product goes to its field by the edge x, which has no parameters to be found. SpecError for one coordinate.
    """
    if not is_whole(rank) or rank < 1:
        raise SpecError(f"rank={rank!r} is not possible: it must be a whole number of at least 1.")
    dimension, fields = len(problem.coordinates), len(problem.fields)
    if dimension < 2:
        raise SpecError("rank= makes products of functions of several coordinates, but there is one: pass width=.")
    model = KAN([dimension, [0, rank * fields], fields], grid, k, seed=seed, arity=dimension, base="zero")
    first, last = model.layers
    with torch.no_grad():
        first.mask.copy_(torch.eye(dimension, dtype=first.mask.dtype).repeat(1, rank * fields))
        last.mask.zero_()
    for product in range(rank * fields):
        last.name_edge(product, product // rank, "x", torch.tensor([1.0, 0.0, 1.0, 0.0]), trainable=False)
    return model


def intervals(problem: Problem, grid: int | Mapping[str, int]) -> tuple[int, ...]:
    """The intervals of every coordinate; SpecError for a mapping that does not have them all."""
    if not isinstance(grid, Mapping):
        return (grid,) * len(problem.coordinates)
    if set(grid) != set(problem.coordinates) or any(not is_whole(g) or g < 1 for g in grid.values()):
        raise SpecError(
            f"grid={dict(grid)!r} must say a whole number of intervals for every coordinate: "
            f"{', '.join(problem.coordinates)}."
        )
    return tuple(grid[name] for name in problem.coordinates)


def can_hold(problem: Problem) -> bool:
    """Whether there is a first state, over one coordinate beside time, that a separable network can hold."""
    return len(problem.coordinates) == 2 and any(c.kind == "initial" for c in problem.conditions)


def hold(network: KAN, problem: Problem, initial: list[Term], unknowns: Tensor) -> None:
    """Put a separable network where what the initial conditions say goes on unchanged.

    With s from 0 to 1 over the window the functions of time are 1, s, s², s²·P_1(2s - 1), s²·P_2(2s - 1), ..., and
    those of place zero but what the `initial` terms ask for. So all that is left for a first step is linear.
    """
    first = network.layers[0]
    t = problem.coordinates.index(problem.time or "")
    low, high = problem.domain[problem.time or ""]
    s = torch.linspace(0, 1, SAMPLES * first.grid, dtype=torch.float64)
    splines = kernels.basis((low + (high - low) * s).unsqueeze(1), first.knots[t : t + 1], first.k, 0, "linear")[:, 0]
    rank = network.layers[1].in_features // len(problem.fields)
    powers = [s**i if i < 2 else s**2 * torch.special.legendre_polynomial_p(2 * s - 1, i - 2) for i in range(rank)]
    found = torch.linalg.lstsq(splines, torch.stack(powers, dim=1), driver="gelsd").solution
    with torch.no_grad():
        first.coefficients.zero_()
        first.coefficients[t, :, t::2] = found.repeat(1, len(problem.fields))
    System(network, initial, unknowns).settle()
