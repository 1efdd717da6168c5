"""`solve`, the front door: a network, a strategy and time windows for a problem, and the solution as a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from os import PathLike
from typing import Any

import numpy as np
import torch

from knotwork.journal import journal_in
from knotwork.kan import KAN
from knotwork.keywords import check_keywords
from knotwork.pde.arguments import check_choices, check_counts, check_network, check_windows
from knotwork.pde.problems.points import domain_points
from knotwork.pde.problems.problem import Problem
from knotwork.pde.question import question
from knotwork.pde.solution import Estimate, Solution, other_points
from knotwork.pde.solving.optimizers import chosen_optimizer
from knotwork.pde.solving.standard_errors import standard_errors
from knotwork.pde.strategies.coarse_to_fine import CoarseToFine, doubling_grids
from knotwork.pde.strategies.from_initial_condition import FromInitialCondition
from knotwork.pde.strategies.initial_networks import set_to_domain
from knotwork.pde.strategies.separable_network import (
    can_fix_initial_condition,
    intervals_by_coordinate,
    separable_network,
)
from knotwork.pde.strategies.strategy import Options, Part, Strategy, WindowRun
from knotwork.pde.strategies.time_windows import solve_windows, window_edges
from knotwork.pde.verification import verified
from knotwork.training import Callback, OptimizerLike, reporting


@check_keywords
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
    starts: int | None = None,
    steps: int = 100,
    windows: int | Sequence[float] = 1,
    points: int | None = None,
    optimizer: OptimizerLike = "lm",
    adaptive: bool = False,
    tolerance: float | None = None,
    progress: bool | None = None,
    callback: Callback | None = None,
    checkpoint: str | PathLike[str] | None = None,
) -> Solution:
    """The solution of a differential equation: a network fitted to its residual and its conditions by least squares.

    Without a `model` a new network is solved on a coarse grid first, from the best of several random starts, then on
    grids that are twice as fine each (coarse to fine; Liu et al. 2024, section 2.4). A sum of products (`rank`) over
    time and one other coordinate starts with its initial condition fixed instead, on the finest grid. Steps are those
    of Levenberg and Marquardt, with geodesic acceleration (Transtrum and Sethna 2012) and variable projection of the
    last layer (Golub and Pereyra 1973). Ctrl-C keeps the best solution so far. No argument is changed.

    Args:
        problem: the equation, its domain and conditions.
        model: a KAN to go on from, on its own grid. It is copied, so it stays as it is.
        width: the shape of a new network, from one input a coordinate to one output a field.
        rank: in place of `width`, the number of products in u = Σ Π φ_id(x_d), each with one function a coordinate.
        grid: intervals of the finest grid; with `rank` also a mapping from every coordinate to its intervals.
        k: order of the splines, above the order of every derivative in the problem. 5 suits second derivatives; 7 is
            more accurate for smooth solutions.
        seed: of random starts and of the points.
        starts: random starts of a new network; with `model` there are none. None: those of kw.LevenbergMarquardt if it
            is passed, else 6.
        steps: steps on each grid or in each round at most.
        windows: the number of equal time windows, or the times between windows. Each has a network of its own.
        points: points of the equation; by default three times the number of parameters, six times with `rank`.
        optimizer: "lm" (Levenberg-Marquardt) or a value such as kw.LevenbergMarquardt(starts=8, tolerance=1e-4), whose
            own defaults are 64 and 1e-5. "lbfgs", "adam" (here with a learning rate of 1e-3), kw.LBFGS(lr=...) and
            kw.Adam(lr=...) need many more steps; they are for comparison.
        adaptive: adaptive refinement: more points and knots where the residual is large, or with `rank` where the
            solution bends. For solutions with thin layers.
        tolerance: a step of Levenberg-Marquardt must lower the objective by this share to count; several steps below
            it end a grid; other optimisers do not use it. None: that of kw.LevenbergMarquardt if it is passed, else
            1e-3.
        progress: whether to show how far it is; None shows it on a terminal and in notebooks.
        callback: called with an `Event` as each stage begins and after every step, whose `record` is a `Step`.
            Returning True stops without a further step and keeps the best solution so far.
        checkpoint: a file in which the state is kept every few seconds, such as "heat.kw". After a kill, Ctrl-C or a
            stop by the callback the same call goes on from there and ends with the same numbers. The file is refused
            for another call. None: nothing is kept.

    Raises:
        SpecError: for a problem, a network or a combination of arguments that cannot be solved.
        TrainingError: for settings that are not possible, and for optimisers or numbers in them that have no use here.
        CheckpointError: for a checkpoint that cannot be written, is damaged, or belongs to another calculation.

    Example:
        >>> from knotwork import pde
        >>> solution = pde.solve(pde.library.heat(), width=[2, 2, 1], grid=5, starts=2, steps=20)
        >>> solution.relative_l2 < 1e-3
        True
    """
    windows = windows.tolist() if isinstance(windows, np.ndarray) else windows
    check_counts(starts=starts, steps=steps, points=points, windows=windows)
    chosen, starts = chosen_optimizer(optimizer, starts, tolerance)
    check_windows(problem, windows)
    edges = window_edges(problem, windows)
    check_choices(problem, model, width, rank, grid, adaptive)
    intervals = intervals_by_coordinate(problem, grid)
    options = Options(chosen, steps, points, adaptive, seed)
    if model is not None:
        check_network(problem, model)
        start, placed = model.copy() if model.fitted else set_to_domain(model.copy(), problem), None
        strategy: Strategy = CoarseToFine(options, [start.spec.grid], starts=None)
    else:
        strategy, first_grid = strategy_for(problem, rank is not None, max(intervals), starts, options)
        if rank is not None:
            start = separable_network(problem, rank, first_grid, k, seed)
        else:
            start = KAN(list(width or ()), first_grid, k, seed=seed, base="zero")
        check_network(problem, start)
        start, placed = set_to_domain(start, problem, intervals), intervals
    settings = {"rank": rank, "grid": intervals, "starts": starts, "windows": edges, **vars(options)}
    with (
        reporting(progress, callback) as reporter,
        journal_in(checkpoint, partial(question, problem, start, settings)) as journal,
    ):
        parts = solve_windows(
            problem, start, strategy, edges, lambda window: WindowRun(options, window, reporter, journal),
            keep_knots=model is not None, intervals=placed,
        )  # fmt: skip
        solution = verified(with_errors(solution_of(problem, parts)))
        if not solution.stop.by_caller:
            journal.finish(drop_parts=False)
        return replace(solution, seconds=journal.seconds)


def strategy_for(problem: Problem, products: bool, finest: int, starts: int, options: Options) -> tuple[Strategy, int]:
    """The strategy for a new network, and the grid that it starts on. A new strategy is chosen here."""
    if products and can_fix_initial_condition(problem):
        return FromInitialCondition(options), finest
    grids = doubling_grids(finest)
    return CoarseToFine(options, grids, starts), grids[0]


def solution_of(problem: Problem, parts: list[Part]) -> Solution:
    """The solution that the time windows make together, but for its errors and the time that it took."""
    system = parts[-1].system
    unknowns = {
        name: Estimate(float(value), float(error))
        for name, value, error in zip(problem.unknowns, system.unknowns, standard_errors(system), strict=True)
    }
    mean_square = sum(part.mean_square() for part in parts) / len(parts)
    last = parts[-1].run.ended
    open_end = next((part.run.ended for part in parts if not part.run.ended.converged), last)
    ended = last if last.reason.by_caller else open_end  # all windows have to converge
    return Solution(
        problem,
        models=tuple(part.model for part in parts),
        windows=tuple(part.ends for part in parts),
        unknowns=unknowns,
        residual=mean_square**0.5,
        held_out=float("nan"),
        relative_l2=None,
        mse=None,
        parameters=sum(part.parameters for part in parts),
        stop=ended.reason,
        stop_reason=ended.sentence,
        steps=sum(part.run.steps for part in parts),
        seconds=float("nan"),
        history=tuple(step for part in parts for step in part.run.history),
    )


def with_errors(solution: Solution) -> Solution:
    """The solution with its residual and, where the exact solution is known, its error at points that were not used."""
    problem = solution.problem
    x = other_points(problem)
    held_out = float(solution.residual_at(x).square().sum(0).mean().sqrt()) if len(x) else float("nan")
    x = x if len(x) else domain_points(problem, 0, 0).x
    errors, exact = solution.errors(x), problem.exact_values(x)
    if not exact:
        return replace(solution, held_out=held_out)
    wrong, all_of = (torch.stack(list(v.values())) for v in (errors, exact))
    relative = float(wrong.norm() / all_of.norm()) if float(all_of.norm()) > 0 else float("nan")
    return replace(solution, held_out=held_out, relative_l2=relative, mse=float(wrong.square().mean()))
