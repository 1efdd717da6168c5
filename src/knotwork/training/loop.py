"""Fitting a model to data: choose an optimiser, run it, keep the best, say how it went."""

import time
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from knotwork.data import Batch, Dataset, Stream, as_dataset, seeded
from knotwork.model import KANNetwork
from knotwork.solvers import Ended, StopReason
from knotwork.training.callbacks import Callback, Reporter, reporting
from knotwork.training.first_order import by_gradient, looks, minibatches
from knotwork.training.grids import adapt_hidden_grids, going_on, set_input_grid
from knotwork.training.lbfgs import by_lbfgs
from knotwork.training.levenberg_marquardt import levenberg_marquardt
from knotwork.training.likelihood import CrossEntropy
from knotwork.training.multistart import screen
from knotwork.training.objective import Loss, Objective, cross_entropy, make_objective, mean_squared_error
from knotwork.training.result import INTERRUPTED, STOPPED, FitResult
from knotwork.training.settings import FitOptions, Plan, make_plan, refuse
from knotwork.training.threads import threads_for
from knotwork.training.watch import Watch
from knotwork.training.weights import weighed, with_weights

ALIKE = 1.1  # times the lowest loss: what the last steps on settled grids may leave, for ends of curves without rows


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
    n_jobs: int = 1,
    update_grid: bool = True,
    grid_eps: float = 1.0,
    patience: int | None = None,
    tolerance: float = 1e-5,
    sample_weight: object = None,
    seed: int = 0,
    progress: bool | None = None,
    callback: Callback | None = None,
    **unknown: object,
) -> FitResult:
    """Train `model` in place on the training rows of `data` and say how it went.

    `data` is a `Dataset`, a pair (X, y), a dict in pykan's form, a `Stream` or a torch DataLoader. `optimizer` is "lm"
    (Levenberg-Marquardt), "lbfgs", "adam", a class of torch.optim, or "auto": "lm" where rows and parameters are few
    enough, else "adam". `loss` is "mse", "cross_entropy" (y holds labels from 0; one output is the logit of 1, several
    are those of their classes, and errors are of probabilities), or a function of (outputs, targets). A KAN that was
    never fitted gets its input grids laid over the data (unless it was built with grid_range=) and, with "lm", races up
    to `starts` starting points (64), in `n_jobs` processes (-1: one a core).
    `lamb`, `lamb_l1`, `lamb_entropy` weigh the penalty of eq. 2.20. `sample_weight` says how often each training row of
    a Dataset counts, or each row of a pair (X, y), in the loss and in the errors reported, a row of weight 0 not at
    all; in the penalty all that are left count once. `patience` stops when that many steps bring no
    better validation loss, and keeps the best. `callback` receives an `Event` when a stage begins and after
    each step, and stops the fit by returning True; so does Ctrl-C, and the best state so far is kept in every case.
    `progress` shows a bar: None on a terminal and in a notebook, True everywhere, False nowhere.
    With mini-batches the losses are evaluated every n steps, and `patience` and `callback` count evaluations; those of
    a stream are evaluated on the rows it holds.
    A fit never ends with a larger objective on the training rows than it began with, unless `patience` chose by
    validation.

    Raises DataError for data that do not fit the model, TrainingError for settings that contradict each other.
    """
    refuse(unknown, known=fit.__kwdefaults__ or {})
    options = FitOptions(
        optimizer=optimizer,
        steps=steps,
        lr=lr,
        batch_size=batch_size,
        loss=loss,
        lamb=lamb,
        lamb_l1=lamb_l1,
        lamb_entropy=lamb_entropy,
        starts=starts,
        n_jobs=n_jobs,
        update_grid=update_grid,
        grid_eps=grid_eps,
        patience=patience,
        tolerance=tolerance,
        sample_weight=sample_weight,
        seed=seed,
    )
    with reporting(progress, callback) as reporter:
        return fit_with(model, data, options, reporter)


def fit_with(model: nn.Module, data: object, options: FitOptions, reporter: Reporter) -> FitResult:
    """`fit` as a part of something larger, which reports through its `reporter`."""
    began = time.perf_counter()
    generator = seeded(options.seed)
    data, weights = weighed(data, options.sample_weight)
    penalty = options.lamb, options.lamb_l1, options.lamb_entropy
    objective = make_objective(model, options.loss, *penalty, weights is not None)
    plan = make_plan(model, data, objective, options)
    train, validation, test = shares(as_dataset(data), next(p.dtype for p in model.parameters()))
    if weights is not None:
        train, validation = with_weights(train, weights[0]), with_weights(validation, weights[1])
        test = with_weights(test)
    size = sum(p.numel() for p in model.parameters())
    with going_on(model), threads_for(len(train[0]) * size):
        watch = Watch(model, objective, train, validation, options.patience, reporter, began)
        try:
            ended = run(plan, model, data, train, objective, watch, generator)
        except KeyboardInterrupt:
            ended = Ended(watch.taken, StopReason.INTERRUPTED, INTERRUPTED)
        best = watch.restore_best()
        errors = [error_of(model, objective, *rows) for rows in (train, validation, test)]
    return FitResult(
        model=model,
        optimizer=plan.optimizer,
        why=plan.why,
        stop_reason=ended.sentence,
        objective=best,
        train_rmse=errors[0] or 0.0,
        val_rmse=errors[1],
        test_rmse=errors[2],
        steps=ended.steps,
        seconds=time.perf_counter() - began,
        history=tuple(watch.history),
    )


def run(
    plan: Plan,
    model: nn.Module,
    data: Dataset | Stream,
    train: Batch,
    objective: Objective,
    watch: Watch,
    generator: torch.Generator,
) -> Ended:
    """Lay the first grids, find a start, and make the steps of the optimiser; steps taken and why they ended."""
    x, y = train
    first = isinstance(model, KANNetwork) and not bool(model.fitted)
    if isinstance(model, KANNetwork):
        model.fitted.fill_(True)  # part of the state: a fit that ends where it began leaves a new network new
        if first and plan.update_grid:
            lay_grids(model, as_dataset(data).ranges, x, plan.grid_eps)
    title = f"fit ({plan.optimizer})" + (f", G={model.spec.grid}" if isinstance(model, KANNetwork) else "")
    if plan.optimizer == "lm":
        assert isinstance(model, KANNetwork)
        assert objective.likelihood is not None
        shared = {"penalty": objective.penalty, "update_grid": plan.update_grid, "likelihood": objective.likelihood}
        if first and plan.starts > 1:
            screen(
                model,
                x,
                y,
                starts=plan.starts,
                generator=generator,
                n_jobs=plan.n_jobs,
                reporter=watch.reporter,
                **shared,
            )
        if watch.reporter.stopped or watch.reporter.stage(title, plan.steps):
            return Ended(0, StopReason.CALLBACK, STOPPED)
        watch.alike = 1.0 if watch.patience else ALIKE
        target = rounding(as_dataset(data).y_train.to(y)) if objective.loss is mean_squared_error else 0.0
        more = {"steps": plan.steps, "tolerance": plan.tolerance, "target": target}
        return levenberg_marquardt(model, x, y, watch, **more, **shared)
    if watch.reporter.stage(title, plan.steps):
        return Ended(0, StopReason.CALLBACK, STOPPED)
    shared = {"steps": plan.steps, "lr": plan.lr, "update_grid": plan.update_grid}
    if plan.optimizer == "lbfgs":
        return by_lbfgs(model, x, y, objective, watch, **shared)
    every = looks(len(x) + len(watch.validation_rows[0]), plan.batch_size or len(x), plan.steps)
    batches = in_batches(data, train, plan.batch_size, generator)
    return by_gradient(plan.stepper, model, batches, x, objective, watch, every=every, **shared)


@torch.no_grad()
def error_of(model: nn.Module, objective: Objective, x: Tensor, y: Tensor) -> float | None:
    """RMSE of the outputs, or of probabilities where they are logits; None without rows."""
    if not len(x):
        return None
    outputs, weights = model(x), None
    if objective.weighted:
        y, weights = y[:, :-1], y[:, -1]
    if objective.loss is cross_entropy:
        y, outputs = CrossEntropy().truth(outputs, y), CrossEntropy().probabilities(outputs)
    squares = (outputs - y).square()
    return float((squares if weights is None else weights.unsqueeze(1) * squares).mean().sqrt())


def shares(data: Dataset, dtype: torch.dtype) -> tuple[Batch, Batch, Batch]:
    """Training, validation and test rows as (x, y) in the type of the model."""
    return (
        (data.X_train.to(dtype), data.y_train.to(dtype)),
        (data.X_val.to(dtype), data.y_val.to(dtype)),
        (data.X_test.to(dtype), data.y_test.to(dtype)),
    )


def in_batches(data: Dataset | Stream, train: Batch, size: int | None, generator: torch.Generator) -> Iterator[Batch]:
    """Mini-batches for ever, in the type of `train`: of these rows, or those of the stream."""
    x, y = train
    if isinstance(data, Stream):
        return ((x_.to(x.dtype), y_.to(y.dtype)) for x_, y_ in data.batches(size or len(x), generator))
    return ((x[rows], y[rows]) for rows in minibatches(len(x), size, generator))


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
