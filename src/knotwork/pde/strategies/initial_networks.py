"""The networks that solving starts from: their grids on the domain, random first values, the best of several starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, isnan

import torch

from knotwork.journal import Journal
from knotwork.kan import KAN
from knotwork.model import KANNetwork
from knotwork.pde.problems.problem import Problem
from knotwork.pde.settings import PDE
from knotwork.pde.solving.second_order import levenberg_marquardt
from knotwork.pde.solving.system import System
from knotwork.solvers import StopReason
from knotwork.splines import uniform_knots


def set_to_domain(model: KAN, problem: Problem, intervals: Sequence[int] | None = None) -> KAN:
    """Set the input grids of a model to the domain, in place; returns the model.

    `intervals` are the number of intervals of each coordinate. All coordinates have equally long knot vectors: where
    one has fewer intervals than another, the rest of its grid is beyond the end of the domain.
    """
    low, high = problem.ends()
    first = model.layers[0]
    if intervals is not None:
        share = torch.tensor(intervals, dtype=torch.float64) / max(intervals)
        high = low + (high - low) / share
    first.set_knots(uniform_knots(low, high, first.grid, first.k))
    return model


def draw_first_values(network: KANNetwork, generator: torch.Generator) -> None:
    """Set every edge to a random straight line with a little roughness, in place; hidden values are about one."""
    with torch.no_grad():
        for layer in network.layers:
            c = layer.coefficients
            along = torch.linspace(-1, 1, c.shape[1], dtype=c.dtype).view(1, -1, 1)
            slope = torch.randn(c.shape[0], 1, c.shape[2], generator=generator, dtype=c.dtype)
            rough = torch.randn(c.shape, generator=generator, dtype=c.dtype)
            c.copy_((slope * along + PDE.first_roughness * rough) / c.shape[0] ** 0.5)
            layer.base_weights.zero_()


def best_start(
    model: KAN, make: Callable[[KAN], System], starts: int, generator: torch.Generator, journal: Journal
) -> tuple[System, int, bool]:
    """The best of several random starts, by successive halving: a few steps each, then the better half goes on.

    Each of them after each round is a part of the `journal`. The second value is the number of steps of all starts
    together, the third whether Ctrl-C ended it.
    """
    candidates = []
    for _ in range(starts):
        network = model.copy()
        draw_first_values(network, generator)
        candidates.append(make(network))
    steps, taken, interrupted = PDE.first_start_steps, 0, False
    while len(candidates) > 1 and not interrupted:
        for system in candidates:
            part = journal.part()
            if part.done:
                state, more = part.value
                system.restore(state)
                taken += more
                continue
            system.balance()
            ended = levenberg_marquardt(system, steps=steps)
            taken, interrupted = taken + ended.steps, ended.reason is StopReason.INTERRUPTED
            if interrupted:
                break
            part.finish((system.state(), ended.steps))
        candidates.sort(key=lambda system: _or_infinite(system.comparable_objective()))
        candidates, steps = candidates[: (len(candidates) + 1) // 2], PDE.further_start_steps
    return candidates[0], taken, interrupted


def _or_infinite(value: float) -> float:
    return inf if isnan(value) else value
