"""What a strategy gets and returns: the problem and first network of a time window in, the solved system out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from knotwork.journal import Journal
from knotwork.kan import KAN
from knotwork.pde.problems.problem import Problem
from knotwork.pde.settings import PDE
from knotwork.pde.solution import Step, residual_of
from knotwork.pde.solving.gradient_methods import minimise
from knotwork.pde.solving.optimizers import Chosen
from knotwork.pde.solving.second_order import levenberg_marquardt
from knotwork.pde.solving.system import System
from knotwork.solvers import EachStep, Ended, Stop, StopReason
from knotwork.training import LevenbergMarquardt, Reporter


@dataclass(frozen=True)
class Options:
    """The arguments of `solve` that every strategy needs; `points` is the number of points of the equation."""

    optimizer: Chosen
    steps: int
    points: int | None
    adaptive: bool
    seed: int

    def equation_points(self, network: KAN, per_parameter: float) -> int:
        """The number of points of the equation: as asked for, or in proportion to the network's parameters."""
        return self.points or max(PDE.fewest_points, int(per_parameter * network.parameters_in_use()))


def face_points(problem: Problem, points: int) -> int:
    """The number of points on each face: twice as many as a lattice of so many points in the domain has there."""
    dimension = len(problem.coordinates)
    return max(PDE.fewest_face_points, int(2 * points ** ((dimension - 1) / dimension)))


class WindowRun:
    """The minimisations in one time window: it counts their steps, keeps the history and why the last one ended.

    `solved` is whether anything was minimised here, also random starts, whose steps are not counted. Without it the
    window's network is as it was drawn.
    """

    def __init__(self, options: Options, window: int, reporter: Reporter, journal: Journal) -> None:
        self.options, self.window, self.reporter = options, window, reporter
        self.began, self.journal = time.perf_counter() - journal.seconds, journal.part()
        self.history: list[Step] = []
        self.steps = 0
        self.solved = False
        self.ended = Ended(0, StopReason.STEP_LIMIT, "no step was made")

    @property
    def stopped(self) -> bool:
        """Whether the user ended it, by Ctrl-C or by the callback: then nothing more is minimised."""
        return self.ended.reason.by_caller

    def interrupted(self) -> None:
        """Record that Ctrl-C was pressed."""
        self.ended = Ended(self.steps, StopReason.INTERRUPTED, StopReason.INTERRUPTED.value)

    def begin(self, title: str, steps: int | None = None) -> bool:
        """Report that a stage begins; False if the user ended it, and then no further step is made."""
        stop = self.reporter.stop or self.reporter.stage(title, steps)
        if stop:
            self.ended = stop.after(self.steps)
        return not stop

    def minimise(self, system: System, title: str, tolerance: float | None = None, patience: int | None = None) -> None:
        """Minimise the objective of a system in place, by the optimiser asked for."""
        keeper = _Minimisation(self, system, self.journal.part())
        if keeper.part.done:
            self.ended = keeper.result()
        elif not self.begin(f"{title}{keeper.again}", self.options.steps):
            return
        else:
            self._minimise(system, keeper, tolerance, patience)
            if not self.stopped:
                keeper.finish(self.ended)
        self.steps += self.ended.steps
        self.solved |= self.ended.steps > 0 or self.ended.converged

    def _minimise(self, system: System, keeper: _Minimisation, tolerance: float | None, patience: int | None) -> None:
        optimizer, steps = self.options.optimizer, self.options.steps
        each_step = self._each_step(system.network.spec.grid)
        if isinstance(optimizer, LevenbergMarquardt):
            tolerance = optimizer.tolerance if tolerance is None else tolerance
            self.ended = levenberg_marquardt(
                system, steps=steps, tolerance=tolerance, patience=patience, each_step=each_step, keeper=keeper
            )
        else:
            self.ended = minimise(system, optimizer, steps=steps, each_step=each_step, keeper=keeper)

    def _each_step(self, grid: int) -> EachStep:
        def each_step(step: int, objective: float) -> Stop | None:
            record = Step(self.steps + step, time.perf_counter() - self.began, grid, self.window, objective)
            self.history.append(record)
            return self.reporter(step, record)

        return each_step


class _Minimisation:
    """One minimisation as a part of the journal: its loop, its history and its result."""

    def __init__(self, run: WindowRun, system: System, part: Journal) -> None:
        self.run, self.system, self.part, self.before = run, system, part, len(run.history)

    @property
    def again(self) -> str:
        """What the title of a minimisation says that goes on."""
        return f", resumed at step {self.part.value['loop']['step']}" if self.part.known else ""

    def resume(self) -> Any | None:
        """The state of the loop, after the history before it was read."""
        kept = self.part.value
        if kept is None:
            return None
        self.run.history += [Step(*step) for step in kept["history"]]
        return kept["loop"]

    def keep(self, state: Callable[[], Any], at_once: bool = False) -> None:
        """Keep the state of the loop and the history, if it is time to, or `at_once`."""
        self.part.keep(lambda: {"history": self._history(), "loop": state()}, at_once)

    def finish(self, ended: Ended) -> None:
        """Keep the result."""
        ends = [ended.steps, ended.reason.name, ended.sentence]
        self.part.finish({"history": self._history(), "ended": ends, "state": self.system.state()})

    def result(self) -> Ended:
        """How the minimisation ended, after its history was read and its result was put into the system."""
        kept = self.part.value
        self.run.history += [Step(*step) for step in kept["history"]]
        self.system.restore(kept["state"])
        steps, reason, sentence = kept["ended"]
        return Ended(steps, StopReason[reason], sentence)

    def _history(self) -> list[tuple[Any, ...]]:
        return [astuple(step) for step in self.run.history[self.before :]]


class Strategy(Protocol):
    """One way to solve a problem in one time window."""

    @property
    def continues(self) -> bool:
        """Whether a time window starts from the network of the window before, moved in time."""
        ...

    def solve(self, problem: Problem, start: KAN, run: WindowRun) -> System:
        """The system at its solution, made from a copy of `start` or from `start` itself.

        After Ctrl-C it returns the best system so far; KeyboardInterrupt where there is none yet.
        """
        ...


@dataclass
class Part:
    """The solution in one time window."""

    problem: Problem
    ends: tuple[float, float]
    system: System
    run: WindowRun

    @property
    def model(self) -> KAN:
        """The network."""
        return self.system.network

    @property
    def parameters(self) -> int:
        """The number of parameters of the network that are free to move."""
        return self.system.free.size

    def mean_square(self) -> float:
        """The mean square of the equation's residual at its points."""
        x = self.system.terms[0].points.x
        return float(residual_of(self.problem, self.model, x, self.system.unknowns).square().sum(0).mean())


def first_guesses(problem: Problem) -> Tensor:
    """The first values (U,) of the unknown coefficients."""
    return torch.tensor(list(problem.unknowns.values()), dtype=torch.float64)
