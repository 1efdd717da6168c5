"""Coarse to fine: solve on a coarse grid, refine by knot insertion, solve again."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from knotwork.kan import KAN
from knotwork.pde.problems.points import PointSet
from knotwork.pde.problems.problem import Problem
from knotwork.pde.settings import PDE
from knotwork.pde.solving.system import System
from knotwork.pde.solving.terms import Term, make_terms
from knotwork.pde.strategies.adaptive import adaptive_points, refined_adaptively
from knotwork.pde.strategies.initial_networks import best_start
from knotwork.pde.strategies.strategy import Options, WindowRun, face_points, first_guesses


class CoarseToFine:
    """Solve on every one of `grids`, each twice as fine as the one before.

    The first grid is solved from the best of `starts` random starts, or without `starts` from the network passed.
    """

    def __init__(self, options: Options, grids: Sequence[int], starts: int | None) -> None:
        self.options, self.grids, self.starts = options, grids, starts

    @property
    def continues(self) -> bool:
        """A window starts from the network before it only where there are no random starts."""
        return self.starts is None

    def solve(self, problem: Problem, start: KAN, run: WindowRun) -> System:
        """The system at its solution on the last grid."""
        unknowns = first_guesses(problem)
        if self.starts is None:
            system = self._system(problem, start, unknowns)
        else:
            starts = self.starts if run.begin(f"best of {self.starts} starts") else 1  # one makes no step
            generator = torch.Generator().manual_seed(self.options.seed)
            system, steps, interrupted = best_start(
                start, lambda network: self._system(problem, network, unknowns), starts, generator, run.journal.part()
            )
            run.solved = steps > 0
            if interrupted:
                run.interrupted()
        for grid in self.grids:
            if run.stopped:
                break
            try:
                if grid != system.network.spec.grid:
                    system = self._refined(problem, system)
                system.balance()
                run.minimise(system, f"grid {grid}")
            except KeyboardInterrupt:  # between two steps
                run.interrupted()
        return system

    def _system(self, problem: Problem, network: KAN, unknowns: Tensor) -> System:
        n = self.options.equation_points(network, PDE.points_per_parameter)
        terms = make_terms(problem, n, face_points(problem, n), self.options.seed + 1)
        return System(network, terms, unknowns)

    def _refined(self, problem: Problem, system: System) -> System:
        """The same function on a grid twice as fine, with points of its own."""
        network, options = system.network, self.options
        grid = 2 * network.spec.grid
        finer = network.refine(grid)
        if not options.adaptive:
            return self._system(problem, finer, system.unknowns)
        n = options.equation_points(finer, PDE.points_per_parameter)
        x = adaptive_points(problem, network, system.unknowns, n, options.seed + grid)
        terms = make_terms(problem, 1, face_points(problem, n), options.seed + 1)
        terms[0] = Term(problem, "equation", problem.equation, PointSet(x))
        return System(refined_adaptively(network, x), terms, system.unknowns)


def doubling_grids(finest: int) -> list[int]:
    """Grids from coarse to fine, each twice the one before; the last is `finest`."""
    found = [finest]
    while found[0] % 2 == 0 and found[0] // 2 >= PDE.coarsest_grid:
        found.insert(0, found[0] // 2)
    return found
