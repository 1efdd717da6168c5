"""Gradient steps on mini-batches: Adam, or any other optimiser of torch."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from knotwork.data import Batch
from knotwork.errors import TrainingError
from knotwork.model import KANNetwork
from knotwork.solvers import EachStep, Ended, StopReason
from knotwork.training.grids import adapt_hidden_grids
from knotwork.training.objective import Objective

CHEAP = 1000  # rows that can be looked at after every step


def minibatches(n: int, size: int | None, generator: torch.Generator) -> Iterator[Tensor]:
    """Row numbers of one batch after another, for ever: each epoch a new permutation; all rows where size is None."""
    while True:
        order = torch.randperm(n, generator=generator)
        yield from order.split(size or n)


def looks(watched: int, batch: int, steps: int) -> int:
    """After how many steps to look at how a fit does, so that looking costs no more than the steps.

    Where the rows watched are few or all in a batch, that is after every one; it is 20 times in a fit at the least.
    """
    return max(1, min(watched // max(batch, CHEAP), steps // 20))


@torch.enable_grad()
def by_gradient(
    optimizer: type[torch.optim.Optimizer],
    model: nn.Module,
    batches: Iterator[Batch],
    x: Tensor,
    objective: Objective,
    each_step: EachStep,
    *,
    steps: int,
    lr: float,
    every: int,
    update_grid: bool,
) -> Ended:
    """Gradient steps of any torch optimiser on one batch each, in place; steps taken and why they ended.

    Hidden grids follow the rows x in the first half of the steps; `each_step` is called after every so many.
    """
    stepper = optimizer(model.parameters(), lr=lr)  # type: ignore[call-arg]
    fixed = _fixed_constants(model)
    for step, (batch_x, batch_y) in zip(range(1, steps + 1), batches, strict=False):
        stepper.zero_grad()
        value = objective(model, batch_x, batch_y)
        if not bool(value.isfinite()):
            sentence = f"the loss became {value.item()} at step {step}; the best state so far was kept"
            return Ended(step - 1, StopReason.NOT_FINITE, sentence)
        value.backward()
        stepper.step()
        for constants, rows, values in fixed:
            constants.data[rows] = values
        if update_grid and step <= steps // 2 and step % max(steps // 20, 1) == 0 and isinstance(model, KANNetwork):
            adapt_hidden_grids(model, x)
        stop = each_step(step, float("nan")) if step % every == 0 or step == steps else None
        if stop:
            return stop.after(step)
    return Ended(steps, StopReason.STEP_LIMIT, f"the limit of {steps} steps was reached")


def _fixed_constants(model: nn.Module) -> list[tuple[nn.Parameter, list[int], Tensor]]:
    """Constants of named edges that do not train, with their values: weight decay would move them all the same."""
    if not isinstance(model, KANNetwork):
        return []
    rows = [[n for n, edge in enumerate(layer.named) if not edge[3]] for layer in model.layers]
    return [(la.affine, r, la.affine.detach()[r]) for la, r in zip(model.layers, rows, strict=True) if r]


def optimizer_class(name: object) -> type[torch.optim.Optimizer]:
    """The torch optimiser meant by "adam" or given as a class; TrainingError for anything else."""
    if isinstance(name, type) and issubclass(name, torch.optim.LBFGS):
        raise TrainingError("torch.optim.LBFGS searches along lines over all rows; pass optimizer='lbfgs'.")
    if isinstance(name, type) and issubclass(name, torch.optim.Optimizer):
        return name
    if name == "adam":
        return torch.optim.Adam
    raise TrainingError(
        f"optimizer={name!r} is not known; choose 'auto', 'lm', 'lbfgs', 'adam' or pass a class such as "
        "torch.optim.AdamW."
    )
