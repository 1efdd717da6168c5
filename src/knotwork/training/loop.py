"""Fitting a model to data: choose an optimiser, run it, keep the best, say how it went."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from knotwork.data import as_dataset
from knotwork.model import KANLayer, KANNetwork
from knotwork.training.first_order import by_gradient, optimizer_class
from knotwork.training.grids import adapt_hidden_grids, set_input_grid
from knotwork.training.lbfgs import by_lbfgs
from knotwork.training.levenberg_marquardt import levenberg_marquardt
from knotwork.training.multistart import screen
from knotwork.training.objective import Loss, make_objective
from knotwork.training.progress import progress_line
from knotwork.training.result import INTERRUPTED, FitResult, Record, rmse
from knotwork.training.settings import STEPS, check_settings, choose_optimizer
from knotwork.training.threads import threads_for
from knotwork.training.watch import Watch


def fit(
    model: nn.Module,
    data: object,
    *,
    optimizer: str | type[torch.optim.Optimizer] = "auto",
    steps: int | None = None,
    lr: float | None = None,
    batch_size: int | None = None,
    loss: str | Loss = "mse",
    lamb: float = 0.0,
    lamb_l1: float = 1.0,
    lamb_entropy: float = 1.0,
    starts: int | None = None,
    update_grid: bool = True,
    grid_eps: float = 1.0,
    patience: int | None = None,
    tolerance: float = 1e-4,
    seed: int = 0,
    progress: bool | None = None,
    callback: Callable[[Record], bool | None] | None = None,
) -> FitResult:
    """Train `model` in place on the training rows of `data` and say how it went.

    `data` is a `Dataset`, a pair (X, y) or a dict in pykan's form. `optimizer` is "lm" (Levenberg-Marquardt), "lbfgs",
    "adam", a class of torch.optim, or "auto": "lm" where rows and parameters are few enough, else "adam". A KAN that
    was never fitted gets its input grids laid over the data (unless it was built with grid_range=) and, with "lm",
    races `starts` starting points (16). `lamb`, `lamb_l1`, `lamb_entropy` weigh the penalty of eq. 2.20. `patience`
    stops when that many steps bring no better validation loss, and keeps the best. `callback(record)` is called after
    each step and stops the fit by returning True; so does Ctrl-C, and the best state so far is kept in every case.
    A fit never ends with a larger objective on the training rows than it began with, unless `patience` chose by
    validation.

    Raises DataError for data that do not fit the model, TrainingError for settings that contradict each other.
    """
    began = time.perf_counter()
    data = as_dataset(data)
    objective = make_objective(model, loss, lamb, lamb_l1, lamb_entropy)
    check_settings(model, data, steps, lr, batch_size, starts, patience)
    chosen, why = choose_optimizer(model, objective, optimizer, data.y_train.numel())
    dtype = next(p.dtype for p in model.parameters())
    x, y, x_val, y_val, x_test, y_test = (
        v.to(dtype) for v in (data.X_train, data.y_train, data.X_val, data.y_val, data.X_test, data.y_test)
    )
    watch = Watch(model, objective, (x, y), (x_val, y_val), patience, callback, began)
    first = isinstance(model, KANNetwork) and not bool(model.fitted)
    if isinstance(model, KANNetwork):
        model.fitted.fill_(True)  # part of the state: a fit that ends where it began leaves a new network new
        if first and update_grid:
            lay_grids(model, data.ranges, x, grid_eps)
    generator = torch.Generator().manual_seed(seed)
    steps = STEPS.get(chosen, STEPS["adam"]) if steps is None else steps
    size = sum(p.numel() for p in model.parameters())

    def run() -> tuple[int, str]:
        if chosen == "lm":
            assert isinstance(model, KANNetwork)
            shared = {"penalty": objective.penalty, "update_grid": update_grid}
            race = 16 if starts is None else starts
            if first and race > 1:
                screen(model, x, y, starts=race, generator=generator, **shared)
            target = rounding(y)
            return levenberg_marquardt(model, x, y, watch, steps=steps, tolerance=tolerance, target=target, **shared)
        if chosen == "lbfgs":
            return by_lbfgs(model, x, y, objective, watch, steps=steps, lr=lr or 1.0, update_grid=update_grid)
        return by_gradient(
            optimizer_class(optimizer if optimizer != "auto" else "adam"),
            model,
            x,
            y,
            objective,
            watch,
            steps=steps,
            lr=lr or 1e-2,
            batch_size=batch_size if batch_size or len(x) <= 4096 else 1024,
            generator=generator,
            update_grid=update_grid,
        )

    with going_on(model), threads_for(len(x) * size), progress_line(f"fit ({chosen})", steps, progress) as watch.report:
        try:
            taken, reason = run()
        except KeyboardInterrupt:
            taken, reason = len(watch.history), INTERRUPTED
        best = watch.restore_best()
        errors = [rmse(model, *rows) for rows in ((x, y), (x_val, y_val), (x_test, y_test))]
    return FitResult(
        model=model,
        optimizer=chosen,
        why=why,
        stop_reason=reason,
        objective=best,
        train_rmse=errors[0] or 0.0,
        val_rmse=errors[1],
        test_rmse=errors[2],
        steps=taken,
        seconds=time.perf_counter() - began,
        history=tuple(watch.history),
    )


@contextmanager
def going_on(model: nn.Module) -> Iterator[None]:
    """While a network is fitted and judged, inputs outside a grid that refuses them go on as straight lines."""
    layers = [layer for layer in model.modules() if isinstance(layer, KANLayer) and layer.extrapolation == "error"]
    for layer in layers:
        layer.extrapolation = "linear"
    try:
        yield
    finally:
        for layer in layers:
            layer.extrapolation = "error"


def lay_grids(network: KANNetwork, ranges: Sequence[tuple[float, float]] | None, x: Tensor, grid_eps: float) -> None:
    """First grids: over known ranges or training rows, unless grid_range= fixed them, and over hidden values."""
    if network.spec.grid_range is None:
        lows, highs = x.amin(0).tolist(), x.amax(0).tolist()
        known = ranges or list(zip(lows, highs, strict=True))
        both = [(min(lows[i], known[i][0]), max(highs[i], known[i][1])) for i in network.spec.inputs]
        set_input_grid(network, both, x, grid_eps)
    adapt_hidden_grids(network, x, grid_eps)


def rounding(y: Tensor) -> float:
    """Mean squared error at which only rounding is left."""
    return (10 * torch.finfo(y.dtype).eps) ** 2 * float(y.square().mean())
