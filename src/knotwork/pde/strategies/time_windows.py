"""Time windows: each has a problem of its own, whose initial condition is the end of the window before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from itertools import pairwise
from numbers import Real

import torch
from torch import Tensor

from knotwork.errors import SpecError
from knotwork.kan import KAN
from knotwork.pde.problems.conditions import Condition
from knotwork.pde.problems.evaluation_context import EvaluationContext
from knotwork.pde.problems.points import PointSet
from knotwork.pde.problems.problem import Problem
from knotwork.pde.solving.terms import Term
from knotwork.pde.strategies.initial_networks import set_to_domain
from knotwork.pde.strategies.strategy import Part, Strategy, WindowRun


def window_edges(problem: Problem, windows: int | Sequence[float]) -> list[float]:
    """The times at which windows begin and end, for a number of equal windows or the times between them.

    SpecError for times that do not increase from the first to the last.
    """
    if problem.time is None:
        return [-float("inf"), float("inf")]
    low, high = problem.domain[problem.time]
    if isinstance(windows, Sequence):
        times = all(isinstance(time, Real) for time in windows)
        found = [low, *(float(time) for time in windows), high] if times else []
        if not times or any(not a < b for a, b in pairwise(found)):
            raise SpecError(f"windows={list(windows)!r} must be increasing numbers between {low:g} and {high:g}.")
        return found
    return [low + (high - low) * w / windows for w in range(windows)] + [high]


def solve_windows(
    problem: Problem,
    start: KAN,
    strategy: Strategy,
    edges: Sequence[float],
    new_run: Callable[[int], WindowRun],
    *,
    keep_knots: bool,
    intervals: Sequence[int] | None,
) -> list[Part]:
    """Solve the windows of time between `edges`, one after the other; the last may be one that was stopped.

    A window in which a callback or Ctrl-C allowed no step is left out, unless it is the first.

    A window starts from a copy of `start` with its grids set to the window, or from the network of the window before
    where the strategy continues it. With `keep_knots` a single window starts from `start` as it is.
    """
    parts: list[Part] = []
    for number, ends in enumerate(pairwise(edges)):
        former = parts[-1] if parts else None
        here = window_problem(problem, ends, former.model if former else None)
        if former and strategy.continues:
            network = moved_to_window(former.model, former.ends, here)
        elif keep_knots and len(edges) == 2:
            network = start
        else:
            network = set_to_domain(start.copy(), here, intervals)
        run = new_run(number)
        try:
            system = strategy.solve(here, network, run)
        except KeyboardInterrupt:  # before this window has any solution
            if not former:
                raise
            former.run.interrupted()
            break
        if former and run.stopped and not run.solved:  # this window's network is as it was drawn
            former.run.ended = run.ended
            break
        system.network.fitted.fill_(True)
        parts.append(Part(here, ends, system, run))
        if run.stopped:
            break
    return parts


def window_problem(problem: Problem, ends: tuple[float, float], former: KAN | None) -> Problem:
    """The problem in the window of time between two `ends`.

    From the second window on, initial conditions are the values of the `former` window's network at its end.
    """
    if problem.time is None:
        return problem
    part = copy(problem)
    part.domain = {**problem.domain, problem.time: ends}
    if former is not None:
        part.conditions = tuple(
            _continuing(problem, c, former) if c.kind == "initial" else c for c in problem.conditions
        )
    return part


def moved_to_window(former: KAN, ends: tuple[float, float], problem: Problem) -> KAN:
    """A copy of the network of the window between `ends`, with its knots over time moved to the next window."""
    model = former.copy()
    i = problem.coordinates.index(problem.time or "")
    first, (low, high) = model.layers[0], problem.domain[problem.time or ""]
    knots = first.knots.clone()
    knots[i] = low + (knots[i] - ends[0]) * ((high - low) / (ends[1] - ends[0]))
    first.knots = knots
    return model


def _continuing(problem: Problem, condition: Condition, former: KAN) -> Condition:
    """The condition that the field equals the former network at the first time of a window.

    An initial condition's residual is the reached value minus the prescribed one. So the difference of the residuals of
    two networks is the difference of the values they reach.
    """

    def residual(context: EvaluationContext) -> Tensor:
        x = torch.stack(list(context.coordinates.values()), dim=1).detach()
        term = Term(problem, condition.kind, condition.residual, PointSet(x))
        term.prepare(former)
        reached = term.values(former, torch.zeros(0, dtype=x.dtype))[0]
        return condition.residual(context) - reached

    return replace(condition, residual=residual)
