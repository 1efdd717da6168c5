"""First values of a network for an equation, and the race of several starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from knotwork.kan import KAN
from knotwork.model import KANNetwork
from knotwork.pde.least_squares import System, least_squares
from knotwork.pde.problem import Problem
from knotwork.splines import uniform_knots
from knotwork.training import INTERRUPTED

ROUGH = 0.3  # of first coefficients, beside straight lines of slope about one
FIRST, NEXT = 8, 15  # steps each of a race, in the first round and in every other


def laid_over(model: KAN, problem: Problem, intervals: Sequence[int] | None = None) -> KAN:
    """The model with its input grids on the domain.

    With `intervals` a coordinate has as many as it says there; those with fewer than the most have the rest of their
    grid beyond the end, where nothing asks for it.
    """
    low, high = problem.ends()
    first = model.layers[0]
    if intervals is not None:
        share = torch.tensor(intervals, dtype=torch.float64) / max(intervals)
        high = low + (high - low) / share
    first.set_knots(uniform_knots(low, high, first.grid, first.k))
    return model


def draw(network: KANNetwork, generator: torch.Generator) -> None:
    """Random lines with a little roughness on every edge, so that hidden nodes are of the size of one."""
    with torch.no_grad():
        for layer in network.layers:
            c = layer.coefficients
            along = torch.linspace(-1, 1, c.shape[1], dtype=c.dtype).view(1, -1, 1)
            slope = torch.randn(c.shape[0], 1, c.shape[2], generator=generator, dtype=c.dtype)
            rough = torch.randn(c.shape, generator=generator, dtype=c.dtype)
            c.copy_((slope * along + ROUGH * rough) / c.shape[0] ** 0.5)
            layer.base_weights.zero_()


def race(
    model: KAN,
    make: Callable[[KAN], System],
    starts: int,
    generator: torch.Generator,
) -> tuple[System, str]:
    """The best of several random starts after a few steps each, the better half going on after every round.

    And why it ended, where it was interrupted.
    """
    rivals = []
    for _ in range(starts):
        rival = model.copy()
        draw(rival, generator)
        rivals.append(make(rival))
    steps, reason = FIRST, ""
    while len(rivals) > 1 and reason != INTERRUPTED:
        for rival in rivals:
            rival.balance()
            reason = least_squares(rival, steps=steps)[1]
            if reason == INTERRUPTED:
                break
        rivals.sort(key=lambda rival: _finite(rival.weighed()))
        rivals, steps = rivals[: (len(rivals) + 1) // 2], NEXT
    return rivals[0], reason


def _finite(value: float) -> float:
    return value if value == value else float("inf")
