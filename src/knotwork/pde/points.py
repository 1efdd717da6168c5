"""Where residuals are asked for: points spread evenly over a box or a face, every one with coordinates of its own."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from knotwork.errors import SpecError
from knotwork.pde.conditions import Condition
from knotwork.pde.problem import Problem

FEWEST_OWN = 50  # points of the user's for some of them to be set aside


@dataclass(frozen=True)
class Place:
    """Points x (n, coordinates) of one face or of the inside; `normal` as in `Scene`; `apart`: the opposite face's."""

    x: Tensor
    normal: tuple[str, int] | None = None
    apart: Tensor | None = None


def spread(n: int, ends: Tensor, seed: int) -> Tensor:
    """n points (n, d) spread evenly over a box with ends (2, d): scrambled Sobol points.

    On every axis alone they are as even as n random numbers can be, and no two are equal, so that splines of any grid
    see points in every interval; a lattice of n points shows each axis n^(1/d) values only.
    """
    low, high = ends
    if ends.shape[1] == 0:
        return ends.new_empty(1, 0)
    unit = SobolEngine(ends.shape[1], scramble=True, seed=seed).draw(n, dtype=torch.float64)
    return low + (high - low) * unit


def covering(n: int, ends: Tensor, seed: int) -> Tensor:
    """n points (n, d) spread over a box with its faces: the corners first, on every face as many as a lattice has.

    Points that are inside alone leave corners to extrapolation, where residuals were seen a thousand times as large.
    Corners are left out where they would be more than a quarter of the points, in many dimensions.
    """
    low, high = ends
    dimension = ends.shape[1]
    share = min(n ** (-1 / max(dimension, 1)), 0.25)
    outer = (low + high) / 2 + (ends - (low + high) / 2) / (1 - 2 * share)
    x = torch.minimum(torch.maximum(spread(n, outer, seed), low), high)
    if dimension > 0 and 4 * 2**dimension <= n:
        x[: 2**dimension] = torch.cartesian_prod(*ends.T).view(-1, dimension)
    return x


def inside(problem: Problem, n: int, seed: int) -> Place:
    """n points of the domain, those on faces of the box where the equation makes sense, or the user's own points.

    Of the user's own those that are not set aside.
    """
    if problem.points is not None:
        return Place(own_points(problem)[0])
    x = covering(n, problem.ends(), seed)
    return Place(torch.where(problem.makes_sense(x).unsqueeze(1), x, spread(n, problem.ends(), seed)))


def own_points(problem: Problem) -> tuple[Tensor, Tensor]:
    """The user's points that the equation is solved at, and a tenth of them, at random, set aside to judge it.

    None is set aside of fewer than FEWEST_OWN.
    """
    x = as_points(problem.points, problem, "points")
    if len(x) < FEWEST_OWN:
        return x, x[:0]
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    aside = torch.zeros(len(x), dtype=torch.bool)
    aside[order[: len(x) // 10]] = True
    return x[~aside], x[aside]


def places_of(problem: Problem, condition: Condition, n: int, seed: int) -> list[Place]:
    """The points of a condition, `n` on each of its faces; one place where all faces are alike to it."""
    if condition.points is not None:
        return [Place(as_points(condition.points, problem, f"points of {condition.kind}()"))]
    if condition.kind == "initial":
        assert problem.time is not None
        return [Place(_face(problem, problem.time, problem.domain[problem.time][0], n, seed))]
    on = condition.on or tuple((name, None) for name in _space(problem))
    found = []
    for name, value in on:
        low, high = problem.domain[name]
        if condition.apart is not None:
            x = _face(problem, name, low, n, seed)
            found.append(Place(x, (name, -1), _moved(problem, x, name, high)))
            continue
        for end in (low, high) if value is None else (value,):
            sign = {low: -1, high: 1}.get(end)
            seed += 1
            found.append(Place(_face(problem, name, end, n, seed), None if sign is None else (name, sign)))
    if not found:
        raise SpecError(
            f"{condition.kind}() holds on the faces of space, and there is none beside {', '.join(problem.domain)}: "
            "use pde.initial(), or say where with on=."
        )
    if condition.kind == "dirichlet":  # needs no normal
        return [Place(torch.cat([place.x for place in found]))]
    return found


def as_points(points: object, problem: Problem, what: str) -> Tensor:
    """Points of the user's as a tensor (n, coordinates); SpecError for other shapes and values that are not finite."""
    found = torch.as_tensor(points, dtype=torch.float64)
    if found.ndim == 1 and len(problem.domain) == 1:
        found = found.unsqueeze(1)
    if found.ndim != 2 or found.shape[1] != len(problem.domain) or not len(found):
        raise SpecError(
            f"{what} have shape {tuple(found.shape)}: pass shape (n, {len(problem.domain)}), a column for each of "
            f"{', '.join(problem.domain)}."
        )
    if not bool(found.isfinite().all()):
        raise SpecError(f"{what} hold values that are not finite: drop those rows.")
    return found


def _space(problem: Problem) -> list[str]:
    joined = {c.apart for c in problem.conditions}
    return [name for name in problem.domain if name != problem.time and name not in joined]


def _face(problem: Problem, name: str, value: float, n: int, seed: int) -> Tensor:
    others = [i for i, other in enumerate(problem.domain) if other != name]
    on_face = covering(n, problem.ends()[:, others], seed)
    x = on_face.new_empty(len(on_face), len(problem.domain))
    x[:, others] = on_face
    return _moved(problem, x, name, value)


def _moved(problem: Problem, x: Tensor, name: str, value: float) -> Tensor:
    x = x.clone()
    x[:, problem.coordinates.index(name)] = value
    return x
