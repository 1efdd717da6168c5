"""From the initial condition: a sum of products starts with the initial condition fixed, on the finest grid."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import inf, isnan

import torch
from torch import Tensor

from knotwork.kan import KAN
from knotwork.pde.problems.problem import Problem
from knotwork.pde.settings import PDE
from knotwork.pde.solving.system import System
from knotwork.pde.solving.terms import make_terms
from knotwork.pde.strategies.adaptive import equidistributed_knots, moved_to_knots
from knotwork.pde.strategies.separable_network import fix_initial_condition
from knotwork.pde.strategies.strategy import Options, WindowRun, face_points, first_guesses
from knotwork.splines import project


class FromInitialCondition:
    """Solve for a separable network that first equals the initial condition at all times.

    With adaptive refinement the knots over space and half of the points are placed anew between rounds, first for the
    initial condition, then for the solution so far. Each round goes on from the closest curves on the new knots. Where
    a round lowers the objective too little the solution may be in a narrow valley; the next round then starts from the
    initial condition again, which leads another way.
    """

    def __init__(self, options: Options) -> None:
        self.options = options

    @property
    def continues(self) -> bool:
        """A window starts on the knots of the window before it."""
        return True

    def solve(self, problem: Problem, start: KAN, run: WindowRun) -> System:
        """The system at its solution."""
        unknowns = first_guesses(problem)
        system = self._at_initial_condition(problem, start, unknowns)
        for _ in range(PDE.initial_knot_updates if self.options.adaptive else 0):
            network = on_equidistributed_knots(system.network, problem)
            system = self._at_initial_condition(problem, network, unknowns)
        self._minimise_roughly(system, run, 1)
        if run.stopped:
            return system
        try:
            if self.options.adaptive:
                for better in self._further_rounds(problem, system, unknowns, run):
                    system = better
            if not run.stopped:
                run.minimise(system, "last round")
        except KeyboardInterrupt:  # between two steps
            run.interrupted()
        return system

    def _further_rounds(self, problem: Problem, system: System, unknowns: Tensor, run: WindowRun) -> Iterator[System]:
        """Solve on knots placed anew, round after round; every system that is better than all before it."""
        value = system.objective()
        best, lowest, restart = system, (inf if isnan(value) else value), isnan(value)
        for number in range(2, PDE.most_rounds + 1):
            network = on_equidistributed_knots(best.network, problem)
            make = self._at_initial_condition if restart else self._on_knots
            system = make(problem, network, unknowns)
            self._minimise_roughly(system, run, number)
            value = system.objective()
            too_little = not value < PDE.enough_gain * lowest
            if value < lowest:
                best = system
                yield best
            if run.stopped or (restart and too_little):
                return
            restart, lowest = too_little, min(lowest, value)

    def _minimise_roughly(self, system: System, run: WindowRun, number: int) -> None:
        run.minimise(system, f"round {number}", PDE.rough_tolerance, PDE.rough_patience)

    def _at_initial_condition(self, problem: Problem, network: KAN, unknowns: Tensor) -> System:
        """A system of the network, which is set to the initial condition at all times."""
        system = self._on_knots(problem, network, unknowns)
        terms = [term for term in system.terms if term.name == "initial"]
        fix_initial_condition(network, problem, terms, unknowns)
        self._set_weights(system)
        return system

    def _on_knots(self, problem: Problem, network: KAN, unknowns: Tensor) -> System:
        """A system of the network as it is, with points that follow its knots under adaptive refinement."""
        options = self.options
        n = options.equation_points(network, PDE.points_per_product_parameter)
        basis = network.layers[0].coefficients.shape[1]
        on_face = max(face_points(problem, n), int(PDE.points_per_parameter * basis))
        move = partial(moved_to_knots, model=network, problem=problem) if options.adaptive else None
        system = System(network, make_terms(problem, n, on_face, options.seed + 1, move), unknowns)
        self._set_weights(system)
        return system

    def _set_weights(self, system: System) -> None:
        if self.options.adaptive:
            system.equilibrate_rows()
        else:
            system.balance()


def on_equidistributed_knots(network: KAN, problem: Problem) -> KAN:
    """A copy of a network over space and time with equidistributed knots over space, and the closest curves on them."""
    space = 1 - problem.coordinates.index(problem.time or "")
    moved, old, rows = network.copy(), network.layers[0], slice(space, space + 1)
    new = moved.layers[0]
    new.knots[space] = equidistributed_knots(network, problem, space)
    with torch.no_grad():
        new.coefficients[rows] = project(old.coefficients[rows], old.knots[rows], new.knots[rows], new.k)
    return moved
