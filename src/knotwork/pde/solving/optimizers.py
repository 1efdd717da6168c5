"""Which optimisers solve equations: the values that names stand for here, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import torch

from knotwork.errors import TrainingError
from knotwork.pde.settings import PDE
from knotwork.training import LBFGS, Adam, LevenbergMarquardt, TorchOptimizer

Chosen = LevenbergMarquardt | LBFGS | Adam


def chosen_optimizer(asked: object, starts: int | None = None, tolerance: float | None = None) -> tuple[Chosen, int]:
    """The optimiser that a name or a value stands for, and the number of random starts.

    `starts` and `tolerance` replace those of the value. Raises TrainingError for what cannot solve equations, and for a
    value with a number that has no effect here.
    """
    optimizer = _value_of(asked)
    second_order = optimizer if isinstance(optimizer, LevenbergMarquardt) else _by_default()
    if starts is not None:
        second_order = replace(second_order, starts=starts)
    if tolerance is not None:
        second_order = replace(second_order, tolerance=tolerance)
    starts = second_order.starts or PDE.starts
    return (second_order if isinstance(optimizer, LevenbergMarquardt) else optimizer), starts


def _by_default() -> LevenbergMarquardt:
    return LevenbergMarquardt(PDE.starts, PDE.tolerance)


def _value_of(asked: object) -> Chosen:
    """The value that was asked for, if `solve` can use all that it holds; TrainingError otherwise."""
    known = {"lm": _by_default(), "lbfgs": LBFGS(PDE.lbfgs_rate), "adam": Adam(PDE.adam_rate)}
    value = known.get(asked.lower(), asked) if isinstance(asked, str) else asked
    of_torch = value.cls if isinstance(value, TorchOptimizer) else value
    if isinstance(of_torch, type) and issubclass(of_torch, torch.optim.Optimizer):
        raise TrainingError(
            f"solve() takes no optimiser class of torch, here {of_torch.__name__}: pass kw.LevenbergMarquardt(), "
            "kw.LBFGS() or kw.Adam()."
        )
    if not isinstance(value, Chosen) or type(value) not in (LevenbergMarquardt, LBFGS, Adam):  # derived: other steps
        raise TrainingError(
            f"optimizer={asked!r} is not known here: choose {', '.join(map(repr, known))}, or a value such as "
            "kw.LevenbergMarquardt(starts=8)."
        )
    if isinstance(value, LevenbergMarquardt) and value.n_jobs is not None:
        raise TrainingError(
            f"n_jobs={value.n_jobs} has no effect here, as solve() uses one process: pass kw.LevenbergMarquardt "
            "without it."
        )
    if isinstance(value, Adam) and value.batch_size is not None:
        raise TrainingError(
            f"batch_size={value.batch_size} has no effect here, as each step takes all points: pass kw.Adam without it."
        )
    return value
