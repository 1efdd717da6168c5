"""The points at which residuals are evaluated, spread evenly over the domain or a face of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from knotwork.data import table_of
from knotwork.errors import SpecError
from knotwork.pde.problems.conditions import Condition
from knotwork.pde.problems.problem import Problem
from knotwork.pde.settings import PDE


@dataclass(frozen=True)
class PointSet:
    """Points x (n, coordinates) of the domain or of one face.

    `normal` is as in `EvaluationContext`; `opposite` are the points (n, coordinates) of the opposite face, for a
    periodic condition.
    """

    x: Tensor
    normal: tuple[str, int] | None = None
    opposite: Tensor | None = None


def sobol_points(n: int, ends: Tensor, seed: int) -> Tensor:
    """n points (n, d) spread evenly over a box with ends (2, d): scrambled Sobol points (Owen 1998).

    Their coordinates on every axis are even and all different, so that splines of any grid have points in every
    interval; a lattice of n points has only n^(1/d) different values on each axis.
    """
    low, high = ends
    if ends.shape[1] == 0:
        return ends.new_empty(1, 0)
    unit = SobolEngine(ends.shape[1], scramble=True, seed=seed).draw(n, dtype=torch.float64)
    return low + (high - low) * unit


def points_with_faces(n: int, ends: Tensor, seed: int) -> Tensor:
    """n points (n, d) spread over a box and its faces: corners first, and as many on every face as a lattice has.

    With points in the inside alone, residuals a thousand times as large were measured in the corners, where splines
    extrapolate. In many dimensions, where corners would be more than a quarter of the points, there are none.
    """
    low, high = ends
    dimension = ends.shape[1]
    share = min(n ** (-1 / max(dimension, 1)), PDE.largest_face_share)
    outer = (low + high) / 2 + (ends - (low + high) / 2) / (1 - 2 * share)
    x = torch.minimum(torch.maximum(sobol_points(n, outer, seed), low), high)
    if dimension > 0 and 4 * 2**dimension <= n:
        x[: 2**dimension] = torch.cartesian_prod(*ends.T).view(-1, dimension)
    return x


def domain_points(problem: Problem, n: int, seed: int) -> PointSet:
    """n points of the domain, or the user's own points that are not set aside.

    Where the equation is not finite on a face of the box, as u.d("r") / r at r = 0, the point moves inside.
    """
    if problem.points is not None:
        return PointSet(split_own_points(problem)[0])
    x = points_with_faces(n, problem.ends(), seed)
    return PointSet(torch.where(problem.finite_at(x).unsqueeze(1), x, sobol_points(n, problem.ends(), seed)))


def split_own_points(problem: Problem) -> tuple[Tensor, Tensor]:
    """The user's points that the equation is solved at, and a random tenth of them that is set aside to judge it.

    Of fewer than `PDE.fewest_points_to_set_aside` none is set aside.
    """
    x = as_points(problem.points, problem, "points")
    if len(x) < PDE.fewest_points_to_set_aside:
        return x, x[:0]
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    aside = torch.zeros(len(x), dtype=torch.bool)
    aside[order[: len(x) // PDE.set_aside]] = True
    return x[~aside], x[aside]


def condition_points(problem: Problem, condition: Condition, n: int, seed: int) -> list[PointSet]:
    """The points of a condition, `n` on each of its faces; one set where it needs no normal."""
    if condition.points is not None:
        return [PointSet(as_points(condition.points, problem, f"points of {condition.kind}()"))]
    if condition.kind == "initial":
        assert problem.time is not None
        return [PointSet(_face(problem, problem.time, problem.domain[problem.time][0], n, seed))]
    on = condition.on or tuple((name, None) for name in _space(problem))
    found = []
    for name, value in on:
        low, high = problem.domain[name]
        if condition.periodic_in is not None:
            x = _face(problem, name, low, n, seed)
            found.append(PointSet(x, (name, -1), _at_value(problem, x, name, high)))
            continue
        for end in (low, high) if value is None else (value,):
            sign = {low: -1, high: 1}.get(end)
            seed += 1
            found.append(PointSet(_face(problem, name, end, n, seed), None if sign is None else (name, sign)))
    if not found:
        raise SpecError(
            f"{condition.kind}() holds on the faces of space, and there is none beside {', '.join(problem.domain)}: "
            "use pde.initial(), or name the faces with on=."
        )
    if condition.kind == "dirichlet":  # needs no normal
        return [PointSet(torch.cat([points.x for points in found]))]
    return found


def as_points(points: object, problem: Problem, what: str) -> Tensor:
    """Points of the user's as a tensor (n, coordinates); SpecError for other shapes and values that are not finite."""
    found, _ = table_of(points, what)
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
    periodic = {c.periodic_in for c in problem.conditions}
    return [name for name in problem.domain if name != problem.time and name not in periodic]


def _face(problem: Problem, name: str, value: float, n: int, seed: int) -> Tensor:
    others = [i for i, other in enumerate(problem.domain) if other != name]
    on_face = points_with_faces(n, problem.ends()[:, others], seed)
    x = on_face.new_empty(len(on_face), len(problem.domain))
    x[:, others] = on_face
    return _at_value(problem, x, name, value)


def _at_value(problem: Problem, x: Tensor, name: str, value: float) -> Tensor:
    x = x.clone()
    x[:, problem.coordinates.index(name)] = value
    return x
