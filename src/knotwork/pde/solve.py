"""Solving a problem: coarse to fine by least squares on residuals, window after window in time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from knotwork.errors import SpecError, TrainingError
from knotwork.kan import KAN
from knotwork.model import KANNetwork, is_whole
from knotwork.pde.first_order import minimise
from knotwork.pde.focus import equal_shares, focused_points, followed, refined_where
from knotwork.pde.jets import refuse_named
from knotwork.pde.least_squares import System, least_squares
from knotwork.pde.points import Place, inside, places_of
from knotwork.pde.problem import Problem
from knotwork.pde.separable import can_hold, hold, intervals, separable
from knotwork.pde.solution import Estimate, Solution, Step, other_points, residual_of
from knotwork.pde.start import laid_over, race
from knotwork.pde.terms import Term
from knotwork.pde.uncertainty import standard_errors
from knotwork.pde.windows import cuts, moved_on, window_problem
from knotwork.splines import project
from knotwork.training import INTERRUPTED, Callback, Reporter, reporting
from knotwork.training.result import STOPPED

COARSEST = 5  # intervals at least where solving begins
PER_PARAMETER = 3.0  # points of the equation a parameter
FEWEST = 600
PER_SEPARABLE = 6.0  # the same where all parameters are those of products
LOOKS, ROUNDS, LOWER = 5, 8, 0.7  # at the first state, of laying knots anew at most, while they lower the objective so
ROUGHLY, HASTY = 1e-2, 3  # the tolerance and the patience of each round
OPTIMIZERS = ("lm", "lbfgs", "adam")


@torch.enable_grad()
def solve(
    problem: Problem,
    model: KAN | None = None,
    *,
    width: Sequence[Any] | None = None,
    rank: int | None = None,
    grid: int | Mapping[str, int] = 10,
    k: int = 5,
    seed: int = 0,
    starts: int = 6,
    steps: int = 100,
    windows: int | Sequence[float] = 1,
    points: int | None = None,
    optimizer: str = "lm",
    focus: bool = False,
    tolerance: float = 1e-3,
    progress: bool | None = None,
    callback: Callback | None = None,
) -> Solution:
    """Fit a network to an equation and its conditions; a `Solution`.

    Without a `model` a network of `width` is made, of splines alone, and solved first on a coarse grid, where `starts`
    random starts race, then on grids twice as fine each, the last of `grid` intervals, with at most `steps` on each. A
    `model` that is passed is copied and solved on its own grid from where it is. The equation is asked for at `points`
    points, or three times as many as parameters, and conditions at as many as suit. `windows` cuts time into so many
    equal parts, or at the times it lists, with a network each. With `focus` points and the knots of finer grids go
    where the residual is, which thin layers need. `optimizer` is "lm", "lbfgs" or "adam". Ctrl-C keeps the best so far,
    and the result says so.

    In place of `width`, `rank` makes every field a sum of so many products of functions of one coordinate each;
    `grid` may then map every coordinate to its intervals. Where there is a first state over one coordinate, solving
    begins with that state held instead of with a race, on the finest grid, and `focus` lays the knots of that
    coordinate anew where the solution bends, going on from there each time.

    Raises SpecError for a problem or a network that cannot be, TrainingError for settings that are not possible.
    """
    windows = windows.tolist() if isinstance(windows, np.ndarray) else windows
    listed = isinstance(windows, Sequence) and not isinstance(windows, str)
    counts = {"starts": starts, "steps": steps, "points": points, **({} if listed else {"windows": windows})}
    for name, value in counts.items():
        if (value is not None or name == "windows") and (not is_whole(value) or value < 1):  # type: ignore[operator]
            more = ", or the times between windows" if name == "windows" else ""
            raise TrainingError(f"{name}={value!r} is not possible: it must be a whole number of at least 1{more}.")
    if optimizer not in OPTIMIZERS:
        raise TrainingError(f"optimizer={optimizer!r} is not known here: choose one of {', '.join(OPTIMIZERS)}.")
    if windows != 1:
        refuse_windows(problem, windows)
    edges = cuts(problem, windows)
    if focus and problem.points is not None:
        raise SpecError("focus=True draws points from the box of the domain, but this problem has points of its own.")
    if rank is None and isinstance(grid, Mapping):
        raise SpecError("a grid for each coordinate goes with rank= alone: pass one number of intervals.")
    several = intervals(problem, grid)
    held = model is None and rank is not None and can_hold(problem)
    plan = Plan(max(several), starts, steps, points, optimizer, focus, tolerance, seed, held, several)
    began = time.perf_counter()
    if sum(way is not None for way in (model, width, rank)) != 1:
        raise SpecError("solve() needs a network: pass width=, such as [2, 5, 1], or rank=, or model=, one of them.")
    if model is None:
        coarsest = plan.grid if held else plan.grids()[0]
        if rank is not None:
            start = separable(problem, rank, coarsest, k, seed)
        else:
            start = KAN(list(width or ()), coarsest, k, seed=seed, base="zero")
        check_network(problem, start)
        start = laid_over(start, problem, several)
    else:
        check_network(problem, model)
        start = laid_over(model.copy(), problem) if not model.fitted else model.copy()
        plan = replace(plan, grid=start.spec.grid, starts=1, intervals=None)
    with reporting(progress, callback) as reporter:
        parts = solved_in_windows(problem, start, plan, edges, model is not None, reporter, began)
    system = parts[-1].system
    assert system is not None
    unknowns = {
        name: Estimate(float(value), float(error))
        for name, value, error in zip(problem.unknowns, system.unknowns, standard_errors(system), strict=True)
    }
    left = sum(part.left() for part in parts) / len(parts)
    solution = Solution(
        problem, tuple(part.model for part in parts), tuple(part.ends for part in parts), unknowns, left**0.5,
        float("nan"), None, None, sum(part.free for part in parts), parts[-1].reason,
        sum(part.taken for part in parts), time.perf_counter() - began,
        tuple(step for part in parts for step in part.history),
    )  # fmt: skip
    return judged(solution)


def solved_in_windows(
    problem: Problem,
    start: KAN,
    plan: Plan,
    edges: list[float],
    given: bool,
    reporter: Reporter,
    began: float,
) -> list[Work]:
    """The windows of time between `edges`, each solved; the last may be one that was stopped.

    Random starts race in every window, unless a network was `given` or a state is held: then each window goes on from
    the one before, or from its knots.
    """
    parts: list[Work] = []
    for w, ends in enumerate(pairwise(edges)):
        former = parts[-1].model if parts else None
        part = window_problem(problem, ends, former)
        if (given or plan.held) and former is not None:
            begin = moved_on(former, parts[-1].ends, part)
        elif given and len(edges) == 2:
            begin = start
        else:
            begin = laid_over(start.copy(), part, plan.intervals)
        work = Work(part, ends, plan, reporter, began, w)
        try:
            work.solve(begin, fresh=not given)
        except KeyboardInterrupt:  # before there is anything of this window
            if not parts:
                raise
            parts[-1].reason = INTERRUPTED
            break
        parts.append(work)
        if parts[-1].reason in (STOPPED, INTERRUPTED):
            break
    return parts


def refuse_windows(problem: Problem, windows: int | Sequence[float]) -> None:
    """SpecError for a problem that cannot be cut: only initial conditions lead from one window to the next."""
    if problem.time is None or problem.unknowns:
        why = "unknown coefficients" if problem.unknowns else "no time"
        raise SpecError(f"windows={windows} cuts time into parts, but this problem has {why}: solve it in one.")
    at_time = [c.kind for c in problem.conditions if any(name == problem.time for name, _ in c.on)]
    at_points = [c.kind for c in problem.conditions if c.points is not None]
    cut = f"windows={windows} cuts time into parts"
    if at_time:
        raise SpecError(f"{cut}, but {at_time[0]}() is given on {problem.time}: say pde.initial() instead.")
    if at_points or problem.points is not None:
        what = f"{at_points[0]}() holds" if at_points else "the domain is given by"
        raise SpecError(f"{cut}, but {what} points, which belong to one part each: solve it in one.")
    if problem.hard:
        raise SpecError(f"{cut}, but hard() holds for all of them: say pde.initial() and pde.dirichlet() instead.")
    if not any(c.kind == "initial" for c in problem.conditions):
        raise SpecError(f"{cut}, but no initial() says where the first begins: add pde.initial().")


def judged(solution: Solution) -> Solution:
    """The solution with what is found at points that were not used."""
    problem = solution.problem
    x = other_points(problem)
    held_out = float(solution.residual_at(x).square().sum(0).mean().sqrt()) if len(x) else float("nan")
    x = x if len(x) else inside(problem, 0, 0).x
    errors, exact = solution.errors(x), problem.exact_values(x)
    if not exact:
        return replace(solution, held_out=held_out)
    wrong, all_of = (torch.stack(list(v.values())) for v in (errors, exact))
    relative = float(wrong.norm() / all_of.norm()) if float(all_of.norm()) > 0 else float("nan")
    return replace(solution, held_out=held_out, relative_l2=relative, mse=float(wrong.square().mean()))


def check_network(problem: Problem, network: KANNetwork) -> None:
    """SpecError unless the network has the inputs, outputs and spline order that the problem asks for."""
    if not isinstance(network, KANNetwork):
        raise SpecError(f"solve() fits a KAN, but got a {type(network).__name__}: pass width= or a KAN.")
    if network.spec.inputs != tuple(range(network.spec.in_features)):
        raise SpecError(f"this network uses the inputs {network.spec.inputs} alone: pass one that takes all of them.")
    refuse_named(network)
    spec = network.spec
    wanted = len(problem.coordinates), len(problem.fields)
    came = spec.in_features, sum(spec.width[-1])
    if came != wanted:
        raise SpecError(
            f"this network leads from {came[0]} inputs to {came[1]} outputs, but the problem has {wanted[0]} "
            f"coordinates ({', '.join(problem.coordinates)}) and {wanted[1]} fields ({', '.join(problem.fields)}): "
            f"pass width=[{wanted[0]}, ..., {wanted[1]}]."
        )
    if spec.dtype != "float64":
        raise SpecError(f"this network is {spec.dtype}: equations are solved in float64.")
    order = max(sum(multi) for term in make_terms(problem, 8, 8, 0) for multi in term.multis)
    if order >= spec.k:
        raise SpecError(
            f"the problem asks for derivatives of order {order}, which splines of order k={spec.k} do not have "
            f"continuously: pass k={min(order + 1, 7)} or more."
        )


def make_terms(
    problem: Problem, n: int, on_face: int, seed: int, bend: Callable[[Place], Place] = lambda place: place
) -> list[Term]:
    """The equation at n points and the conditions at `on_face` points a face; `bend` moves all but the user's own."""
    terms = [Term(problem, "equation", problem.equation, bend(inside(problem, n, seed)))]
    for number, condition in enumerate(problem.conditions, 1):
        places = places_of(problem, condition, on_face, seed + 100 * number)
        if condition.points is None:
            places = [bend(place) for place in places]
        terms += [Term(problem, condition.kind, condition.residual, place, condition.weight) for place in places]
    return terms


@dataclass(frozen=True)
class Plan:
    """How solving goes: what the arguments of `solve` say."""

    grid: int
    starts: int
    steps: int
    points: int | None
    optimizer: str
    focus: bool
    tolerance: float
    seed: int
    held: bool = False
    intervals: tuple[int, ...] | None = None

    def grids(self) -> list[int]:
        """From coarse to fine, each twice the one before, the last as asked."""
        found = [self.grid]
        while found[0] % 2 == 0 and found[0] // 2 >= COARSEST:
            found.insert(0, found[0] // 2)
        return found


class Work:
    """One time window: its problem solved grid after grid; then `system` is at its solution on the last one."""

    def __init__(
        self,
        problem: Problem,
        ends: tuple[float, float],
        plan: Plan,
        reporter: Reporter,
        began: float,
        window: int,
    ) -> None:
        self.problem, self.ends, self.plan, self.reporter = problem, ends, plan, reporter
        self.began, self.window = began, window
        self.history: list[Step] = []
        self.system: System | None = None
        self.taken, self.reason = 0, ""

    @property
    def model(self) -> KAN:
        """The network it is at."""
        assert self.system is not None
        return self.system.network

    @property
    def free(self) -> int:
        """How many parameters of the network could move."""
        assert self.system is not None
        return self.system.free.size

    def left(self) -> float:
        """The mean square of the equation's residual at its points."""
        assert self.system is not None
        x = self.system.terms[0].place.x
        return float(residual_of(self.problem, self.model, x, self.system.unknowns).square().sum(0).mean())

    def solve(self, start: KAN, fresh: bool) -> None:
        """Solve on one grid after the other; `fresh` starts race on the first one. Ctrl-C keeps the best so far."""
        unknowns = torch.tensor(list(self.problem.unknowns.values()), dtype=torch.float64)
        if self.plan.held:
            grids = []
            try:
                self._solve_held(start, unknowns)
            except KeyboardInterrupt:  # between two rounds
                if self.system is None:
                    raise
                self.reason = INTERRUPTED
        elif fresh:
            generator = torch.Generator().manual_seed(self.plan.seed)
            self.reporter.stage(f"race of {self.plan.starts} starts")
            self.system, self.reason = race(
                start, lambda rival: self._system(rival, unknowns), self.plan.starts, generator
            )
            grids = self.plan.grids()
        else:
            self.system, grids = self._system(start, unknowns), [start.spec.grid]
        for grid in grids:
            if self.reason in (STOPPED, INTERRUPTED):
                break
            try:
                self._solve_on(grid)
            except KeyboardInterrupt:  # between two steps
                self.reason = INTERRUPTED
        self.model.fitted.fill_(True)

    def _solve_held(self, network: KAN, unknowns: Tensor) -> None:
        """Solve from the first state held; with focus on knots that follow that state, then what was found.

        What was found goes on to the next knots. Where that brings little it may be stuck in a narrow valley, out of
        which the first state leads another way.
        """
        grid, focus = self.plan.grid, self.plan.focus
        system = self._holding(network, unknowns)
        for _ in range(LOOKS if focus else 0):
            system = self._holding(self._moved(system.network), unknowns)
        lowest, anew = float("inf"), False
        for number in range(ROUNDS if focus else 1):
            if self.system is not None:
                make = self._holding if anew else self._on_knots
                system = make(self._moved(self.model), unknowns)
            self.reporter.stage(f"round {number + 1}", self.plan.steps)
            taken, self.reason = self._minimised(system, grid, ROUGHLY, HASTY)
            self.taken += taken
            if self.system is not None and self.reason in (STOPPED, INTERRUPTED):
                return
            reached = system.objective()
            if self.system is None or reached < lowest:
                self.system = system
            if self.reason in (STOPPED, INTERRUPTED):
                return
            little = not reached < LOWER * lowest
            if anew and little:
                break
            anew, lowest = little, min(lowest, reached)
        assert self.system is not None
        taken, self.reason = self._minimised(self.system, grid)
        self.taken += taken

    def _moved(self, network: KAN) -> KAN:
        """A network whose knots over place are laid where this one bends, with the closest curves on them."""
        space = 1 - self.problem.coordinates.index(self.problem.time or "")
        moved, old, rows = network.copy(), network.layers[0], slice(space, space + 1)
        new = moved.layers[0]
        new.knots[space] = equal_shares(network, self.problem, space)
        with torch.no_grad():
            new.coefficients[rows] = project(old.coefficients[rows], old.knots[rows], new.knots[rows], new.k)
        return moved

    def _holding(self, network: KAN, unknowns: Tensor) -> System:
        """A system of the network with the first state held."""
        system = self._on_knots(network, unknowns)
        hold(network, self.problem, [term for term in system.terms if term.name == "initial"], unknowns)
        self._weigh(system)
        return system

    def _on_knots(self, network: KAN, unknowns: Tensor) -> System:
        """A system of the network, with points that follow its knots if that is asked for."""
        n = self.plan.points or max(FEWEST, int(PER_SEPARABLE * network.parameters_in_use()))
        on_face = max(self._on_face(n), int(PER_PARAMETER * network.layers[0].coefficients.shape[1]))
        bend = partial(followed, model=network, problem=self.problem) if self.plan.focus else lambda place: place
        system = System(network, make_terms(self.problem, n, on_face, self.plan.seed + 1, bend), unknowns)
        self._weigh(system)
        return system

    def _weigh(self, system: System) -> None:
        if self.plan.focus:
            system.even_out()
        else:
            system.balance()

    def _solve_on(self, grid: int) -> None:
        assert self.system is not None
        if grid != self.model.spec.grid:
            self.system = self._finer(self.system)
        self.system.balance()
        self.reporter.stage(f"grid {grid}", self.plan.steps)
        taken, self.reason = self._minimised(self.system, grid)
        self.taken += taken

    def _minimised(
        self, system: System, grid: int, tolerance: float | None = None, patience: int = 8
    ) -> tuple[int, str]:
        steps, each_step = self.plan.steps, self._seen(grid)
        if self.plan.optimizer == "lm":
            tolerance = self.plan.tolerance if tolerance is None else tolerance
            return least_squares(system, steps=steps, tolerance=tolerance, patience=patience, each_step=each_step)
        return minimise(system, self.plan.optimizer, steps=steps, each_step=each_step)

    def _finer(self, system: System) -> System:
        """The same function on a grid twice as fine, with points of its own."""
        network = system.network
        grid = 2 * network.spec.grid
        if not self.plan.focus:
            return self._system(network.refined(grid), system.unknowns)
        n = self._points(network.refined(grid))
        x = focused_points(self.problem, network, system.unknowns, n, self.plan.seed + grid)
        terms = make_terms(self.problem, 1, self._on_face(n), self.plan.seed + 1)
        terms[0] = Term(self.problem, "equation", self.problem.equation, Place(x))
        return System(refined_where(network, x), terms, system.unknowns)

    def _points(self, network: KAN) -> int:
        return self.plan.points or max(FEWEST, int(PER_PARAMETER * network.parameters_in_use()))

    def _on_face(self, n: int) -> int:
        dimension = len(self.problem.coordinates)
        return max(50, int(2 * n ** ((dimension - 1) / dimension)))

    def _system(self, network: KAN, unknowns: Tensor) -> System:
        n = self._points(network)
        return System(network, make_terms(self.problem, n, self._on_face(n), self.plan.seed + 1), unknowns)

    def _seen(self, grid: int) -> Callable[[int, float], str | None]:
        def each_step(step: int, objective: float) -> str | None:
            seconds = time.perf_counter() - self.began
            record = Step(self.taken + step, seconds, grid, self.window, objective)
            self.history.append(record)
            return STOPPED if self.reporter(step, record) else None

        return each_step
