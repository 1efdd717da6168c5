"""Time in windows: each has a problem of its own, which begins where the one before ended."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from itertools import pairwise
from numbers import Real

import torch
from torch import Tensor

from knotwork.errors import SpecError
from knotwork.kan import KAN
from knotwork.pde.conditions import Condition
from knotwork.pde.points import Place
from knotwork.pde.problem import Problem
from knotwork.pde.scene import Scene
from knotwork.pde.terms import Term


def cuts(problem: Problem, windows: int | Sequence[float]) -> list[float]:
    """Where windows of time begin and end, for a number of equal ones or the times between them.

    Raises SpecError for times that do not rise from the first to the last, or where there is no time.
    """
    if problem.time is None:
        return [-float("inf"), float("inf")]
    low, high = problem.domain[problem.time]
    if isinstance(windows, Sequence):
        times = all(isinstance(time, Real) for time in windows)
        found = [low, *(float(time) for time in windows), high] if times else []
        if not times or any(not a < b for a, b in pairwise(found)):
            raise SpecError(f"windows={list(windows)!r} must be numbers that rise inside of {low:g} to {high:g}.")
        return found
    return [low + (high - low) * w / windows for w in range(windows)] + [high]


def window_problem(problem: Problem, ends: tuple[float, float], former: KAN | None) -> Problem:
    """The problem of the part of time between two `ends`.

    From the second on, initial conditions are the values of the `former` window's network at its end.
    """
    if problem.time is None:
        return problem
    part = copy(problem)
    part.domain = {**problem.domain, problem.time: ends}
    if former is not None:
        part.conditions = tuple(
            _taken_over(problem, c, former) if c.kind == "initial" else c for c in problem.conditions
        )
    return part


def moved_on(former: KAN, ends: tuple[float, float], problem: Problem) -> KAN:
    """A copy of the network of the window between `ends`, moved to the next one in time, to start from."""
    model = former.copy()
    i = problem.coordinates.index(problem.time or "")
    first, (low, high) = model.layers[0], problem.domain[problem.time or ""]
    knots = first.knots.clone()
    knots[i] = low + (knots[i] - ends[0]) * ((high - low) / (ends[1] - ends[0]))
    first.knots = knots
    return model


def _taken_over(problem: Problem, condition: Condition, former: KAN) -> Condition:
    """The condition that the field is, at the first time, what the former network says.

    An initial condition's residual is what is reached less what is prescribed, so the difference of the residuals of
    two networks is that of what they reach.
    """

    def residual(scene: Scene) -> Tensor:
        x = torch.stack(list(scene.coordinates.values()), dim=1).detach()
        term = Term(problem, condition.kind, condition.residual, Place(x))
        term.prepare(former)
        reached = term.values(former, torch.zeros(0, dtype=x.dtype))[0]
        return condition.residual(scene) - reached

    return replace(condition, residual=residual)
