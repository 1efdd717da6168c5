"""Optimisers as values: one file for each. Those with a name have a line in `OPTIMIZERS`."""

from dataclasses import replace

import torch

from knotwork.errors import TrainingError
from knotwork.training.optimizers.adam import Adam
from knotwork.training.optimizers.auto import Auto
from knotwork.training.optimizers.lbfgs import LBFGS
from knotwork.training.optimizers.lm import LevenbergMarquardt
from knotwork.training.optimizers.of_torch import TorchOptimizer
from knotwork.training.optimizers.optimizer import Optimizer, Task

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "lm": LevenbergMarquardt,
    "lbfgs": LBFGS,
    "adam": Adam,
}

OptimizerLike = str | Optimizer | type[torch.optim.Optimizer]


def optimizer_of(asked: object, starts: int | None = None) -> Optimizer | Auto:
    """The optimiser for a value, a name or a class of torch; `starts` are those of "auto" and "lm".

    Raises TrainingError for anything else.
    """
    if isinstance(asked, Optimizer | Auto):
        return asked
    if isinstance(asked, type) and issubclass(asked, torch.optim.Optimizer):
        return TorchOptimizer(asked)
    name = asked.lower() if isinstance(asked, str) else ""
    second_order = LevenbergMarquardt() if starts is None else replace(LevenbergMarquardt(), starts=starts)
    if name == "auto":
        return Auto(second_order)
    if name == "lm":
        return second_order
    if name in OPTIMIZERS:
        return OPTIMIZERS[name]()
    raise TrainingError(
        f"optimizer={asked!r} is not known; choose 'auto', {', '.join(map(repr, OPTIMIZERS))}, a value such as "
        "kw.Adam(lr=1e-3), or pass a class such as torch.optim.AdamW."
    )


__all__ = [
    "LBFGS",
    "OPTIMIZERS",
    "Adam",
    "Auto",
    "LevenbergMarquardt",
    "Optimizer",
    "OptimizerLike",
    "Task",
    "TorchOptimizer",
    "optimizer_of",
]
