"""Separable networks, u = Σ_i Π_d φ_id(x_d), and how they are set to an initial condition.

A small number of products is enough where layers do not move: the singular values of Burgers' and Allen-Cahn's
solutions, as functions of space and time, fall exponentially.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from knotwork import kernels
from knotwork.errors import SpecError
from knotwork.kan import KAN
from knotwork.model import is_whole
from knotwork.pde.problems.problem import Problem
from knotwork.pde.settings import PDE
from knotwork.pde.solving.system import System
from knotwork.pde.solving.terms import Term


def separable_network(problem: Problem, rank: int, grid: int, k: int, seed: int) -> KAN:
    """A KAN whose every field is a sum of `rank` products, each of one function of every coordinate.

    Its width is [D, [0, rank·F], F] for D coordinates and F fields. Factor d of a product is a function of coordinate d
    alone. The edge from a product to its field is the identity, without parameters. SpecError for one coordinate.
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


def intervals_by_coordinate(problem: Problem, grid: int | Mapping[str, int]) -> tuple[int, ...]:
    """The intervals of every coordinate; SpecError for a mapping that does not have them all."""
    if not isinstance(grid, Mapping):
        return (grid,) * len(problem.coordinates)
    if set(grid) != set(problem.coordinates) or any(not is_whole(g) or g < 1 for g in grid.values()):
        raise SpecError(
            f"grid={dict(grid)!r} must give a whole number of intervals for every coordinate: "
            f"{', '.join(problem.coordinates)}."
        )
    return tuple(grid[name] for name in problem.coordinates)


def can_fix_initial_condition(problem: Problem) -> bool:
    """Whether there is an initial condition over one coordinate beside time, to which a separable network is set."""
    return len(problem.coordinates) == 2 and any(c.kind == "initial" for c in problem.conditions)


def fix_initial_condition(network: KAN, problem: Problem, initial: list[Term], unknowns: Tensor) -> None:
    """Set a separable network, in place, to what the initial conditions prescribe, continued in time unchanged.

    With s from 0 to 1 over the window the functions of time are 1, s, s², s²·P_1(2s - 1), s²·P_2(2s - 1), ... (P are
    Legendre polynomials). The functions of space are solved for in the `initial` terms alone. They are linear there, so
    that the first step of the full problem is a linear one.
    """
    first = network.layers[0]
    t = problem.coordinates.index(problem.time or "")
    low, high = problem.domain[problem.time or ""]
    s = torch.linspace(0, 1, PDE.samples_per_interval * first.grid, dtype=torch.float64)
    splines = kernels.basis((low + (high - low) * s).unsqueeze(1), first.knots[t : t + 1], first.k, 0, "linear")[:, 0]
    rank = network.layers[1].in_features // len(problem.fields)
    powers = [s**i if i < 2 else s**2 * torch.special.legendre_polynomial_p(2 * s - 1, i - 2) for i in range(rank)]
    found = torch.linalg.lstsq(splines, torch.stack(powers, dim=1), driver="gelsd").solution
    with torch.no_grad():
        first.coefficients.zero_()
        first.coefficients[t, :, t::2] = found.repeat(1, len(problem.fields))
    System(network, initial, unknowns).solve_layers()
