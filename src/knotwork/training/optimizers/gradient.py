"""Gradient steps on mini-batches, by any optimiser of torch."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from knotwork.data import Batch, Dataset, Stream
from knotwork.errors import TrainingError
from knotwork.model import KANNetwork
from knotwork.solvers import Ended, StopReason
from knotwork.training.grids import adapt_hidden_grids
from knotwork.training.optimizers.optimizer import Task
from knotwork.training.settings import TRAINING
from knotwork.training.standardization import moved
from knotwork.undisturbed import undisturbed


@torch.enable_grad()
def by_gradient(optimizer: type[torch.optim.Optimizer], task: Task, lr: float, batch_size: int | None) -> Ended:
    """Steps of a torch optimiser, each on one batch, in place.

    Hidden grids follow the training rows in the first half of the steps. The losses are evaluated after every step or,
    where there are many rows, every few steps.
    """
    if stop := task.begin():
        return stop.after(task.watch.taken)
    model, steps = task.model, task.steps
    size = rows_of_batch(batch_size, task)
    every = evaluation_interval(len(task.x) + len(task.watch.validation_rows[0]), size or len(task.x), steps)
    with undisturbed():
        stepper = optimizer(model.parameters(), lr=lr)  # type: ignore[call-arg]
    fixed = _fixed_constants(model)
    begin, random = 1, torch.get_rng_state()
    if kept := task.resume():
        stepper.load_state_dict(kept["optimizer"])
        begin = kept["step"] + 1
        if kept["random"] is not None:
            torch.set_rng_state(kept["random"])
    drawn = islice(batches(task, size), begin - 1, steps)  # those that were used are drawn again

    def state() -> dict[str, Any]:
        now = torch.get_rng_state()  # of a model that draws random numbers, as dropout does
        return {"step": step, "optimizer": stepper.state_dict(), "random": None if now.equal(random) else now}

    for step, (batch_x, batch_y) in enumerate(drawn, begin):
        stepper.zero_grad()
        value = task.objective(model, batch_x, batch_y)
        if not bool(value.isfinite()):
            sentence = f"the loss became {value.item()} at step {step}; the best state so far was kept"
            return Ended(step - 1, StopReason.NOT_FINITE, sentence)
        value.backward()
        stepper.step()
        for constants, rows, values in fixed:
            constants.data[rows] = values
        follows = task.update_grid and step <= steps // 2 and step % max(steps // 20, 1) == 0
        if follows and isinstance(model, KANNetwork):
            adapt_hidden_grids(model, task.x)
        stop = task.watch(step, float("nan")) if step % every == 0 or step == steps else None
        task.keep(state, at_once=stop is not None and stop.reason.by_caller)
        if stop:
            return stop.after(step)
    return Ended(steps, StopReason.STEP_LIMIT, f"the limit of {steps} steps was reached")


def check_batches(batch_size: int | None, data: Dataset | Stream) -> None:
    """TrainingError for a batch size where a loader already determines it."""
    if batch_size is not None and isinstance(data, Stream) and not data.sized:
        raise TrainingError(f"batch_size={batch_size} is not possible: these batches have the size their loader gives.")


def rows_of_batch(batch_size: int | None, task: Task) -> int | None:
    """The number of rows of a batch; None: all rows."""
    if batch_size is None and (isinstance(task.data, Stream) or len(task.x) > TRAINING.rows_without_batches):
        return TRAINING.batch_rows
    return batch_size


def batches(task: Task, size: int | None) -> Iterator[Batch]:
    """Mini-batches without end, in the dtype of `task.x`: of the training rows, or of the stream."""
    x, y = task.x, task.y
    if isinstance(task.data, Stream):
        drawn = task.data.batches(size or len(x), task.generator)
        return ((moved(x_, x.dtype, x.device), moved(task.units(y_), y.dtype, y.device)) for x_, y_ in drawn)
    return ((x[rows.to(x.device)], y[rows.to(y.device)]) for rows in minibatches(len(x), size, task.generator))


def minibatches(n: int, size: int | None, generator: torch.Generator) -> Iterator[Tensor]:
    """Row numbers of the batches, without end. Each epoch is a new permutation; size None: all rows."""
    while True:
        order = torch.randperm(n, generator=generator, device="cpu")
        yield from order.split(size or n)


def evaluation_interval(rows: int, batch: int, steps: int) -> int:
    """The number of steps between two evaluations of the losses on `rows`, so that these cost no more than the steps.

    It is 1 where there are few rows or all are in a batch, and small enough for 20 evaluations in a fit.
    """
    often = rows // max(batch, TRAINING.rows_worth_evaluating)
    return max(1, min(often, steps // TRAINING.least_evaluations))


def _fixed_constants(model: nn.Module) -> list[tuple[Tensor, list[int], Tensor]]:
    """Constants of named edges that are not trained, with their values. Weight decay would change them."""
    if not isinstance(model, KANNetwork):
        return []
    rows = [[n for n, edge in enumerate(layer.named) if not edge[3]] for layer in model.layers]
    return [(la.affine, r, la.affine.detach()[r]) for la, r in zip(model.layers, rows, strict=True) if r]
