"""Time in windows: each has a problem of its own, which begins where the one before ended."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import torch
from torch import Tensor

from knotwork.kan import KAN
from knotwork.pde.conditions import Condition
from knotwork.pde.points import Place
from knotwork.pde.problem import Problem
from knotwork.pde.scene import Scene
from knotwork.pde.terms import Term


def window_problem(
    problem: Problem, window: int, windows: int, former: KAN | None
) -> tuple[Problem, tuple[float, float]]:
    """The problem of one of several equal parts of time, and where that begins and ends.

    From the second on, initial conditions are the values of the `former` window's network at its end.
    """
    if problem.time is None:
        return problem, (-float("inf"), float("inf"))
    low, high = problem.domain[problem.time]
    ends = low + (high - low) * window / windows, low + (high - low) * (window + 1) / windows
    part = copy(problem)
    part.domain = {**problem.domain, problem.time: ends}
    if former is not None:
        part.conditions = tuple(
            _taken_over(problem, c, former) if c.kind == "initial" else c for c in problem.conditions
        )
    return part, ends


def moved_on(former: KAN, problem: Problem) -> KAN:
    """A copy of the former window's network moved to the next one in time, to start from."""
    model = former.copy()
    i = problem.coordinates.index(problem.time or "")
    first, (low, _) = model.layers[0], problem.domain[problem.time or ""]
    knots = first.knots.clone()
    knots[i] += low - float(knots[i, first.k])
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
