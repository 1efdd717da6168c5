"""Fitting a model to data: choose an optimiser, run it, keep the best state, and report the result."""

import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from knotwork.data import Batch, Dataset, Stream, as_dataset, seeded
from knotwork.model import KANNetwork
from knotwork.solvers import Ended, StopReason
from knotwork.training.callbacks import Callback, Reporter, reporting
from knotwork.training.fit_result import FitResult
from knotwork.training.grids import adapt_hidden_grids, going_on, set_input_grid
from knotwork.training.likelihood import CrossEntropy
from knotwork.training.objective import Loss, Objective, cross_entropy, make_objective
from knotwork.training.optimizers import Optimizer, OptimizerLike, Task
from knotwork.training.options import ARGUMENTS, FitOptions, chosen, refuse
from knotwork.training.threads import threads_for
from knotwork.training.watch import Watch
from knotwork.training.weights import weighed, with_weights


def fit(
    model: nn.Module,
    data: object,
    *,
    optimizer: OptimizerLike = "auto",
    steps: int | None = None,
    loss: str | Loss = "mse",
    lamb: float = 0.0,
    lamb_l1: float = 1.0,
    lamb_entropy: float = 1.0,
    update_grid: bool = True,
    grid_eps: float = 1.0,
    patience: int | None = None,
    sample_weight: object = None,
    seed: int = 0,
    progress: bool | None = None,
    callback: Callback | None = None,
    **unknown: object,
) -> FitResult:
    """Train `model` in place on the training rows of `data`, and return how it went.

    A KAN that was never fitted gets its input grids placed over the data first, unless it was built with grid_range=.
    The fit ends in the state with the lowest objective on the training rows, or with the lowest validation loss where
    `patience` is given; it is never worse than the state before.

    Args:
        model: a KAN, or any torch module that maps (n, inputs) to (n, outputs).
        data: a `Dataset`, a pair (X, y) of arrays, a dict in pykan's form, a `Stream` or a torch DataLoader.
        optimizer: a value such as kw.LevenbergMarquardt(starts=8), kw.LBFGS(), kw.Adam(lr=1e-3) or
            kw.TorchOptimizer(torch.optim.SGD, lr=0.1); "lm", "lbfgs", "adam" or a class of torch.optim, with default
            settings; "auto": "lm" for a KAN of at most 3,000 parameters and not too many rows, else "adam".
        steps: largest number of steps; None: 100 for "lm" and "lbfgs", 2,000 for gradient steps.
        loss: "mse"; "cross_entropy" for labels from 0 (one output is the logit of label 1, several are those of their
            labels, and errors are those of probabilities); or a function of (outputs, targets).
        lamb: weight of the penalty of eq. 2.20 (Liu et al. 2024), which makes a KAN sparse, in units of the targets'
            standard deviation: the same value means the same for every target. Labels and their logits have no unit.
        lamb_l1: weight of the L1 norms in it (μ1 of eq. 2.20).
        lamb_entropy: weight of the entropies in it (μ2 of eq. 2.20).
        update_grid: whether grids are placed over the data and hidden grids follow the activations.
        grid_eps: 1: even knots; 0: knots at the quantiles of the data; values between blend the two.
        patience: end after this number of evaluations of the losses in a row without a lower validation loss.
        sample_weight: how often each training row of a Dataset counts, or each row of a pair (X, y), in the loss and
            in reported errors, (n,). A row of weight 0 is absent. In the penalty all other rows count once.
        seed: determines starting points and mini-batches; torch's own generator is not touched.
        progress: None shows a bar on a terminal and in a notebook, True everywhere, False nowhere.
        callback: called with an `Event` when a stage begins and after each evaluation; returning True ends the fit.
            The best state so far is kept then, as with Ctrl-C.

    Returns:
        A `FitResult` with the errors, the history and the reason the fit ended.

    Raises:
        DataError: for data that do not fit the model.
        TrainingError: for arguments that are not possible, contradict each other, or do not exist.

    Example:
        >>> import knotwork as kw
        >>> data = kw.sample("sin(pi*x) + y**2", x=(-1, 1), y=(-1, 1), size=200, seed=0)
        >>> model = kw.KAN(width=[2, 1], seed=0)
        >>> result = kw.fit(model, data, steps=20)
        >>> result.optimizer, result.test_rmse < 0.01
        ('lm', True)
    """
    refuse(unknown, "fit", ARGUMENTS)
    options = FitOptions(
        optimizer, steps, loss, lamb, lamb_l1, lamb_entropy, update_grid, grid_eps, patience, sample_weight, seed
    )
    with reporting(progress, callback) as reporter:
        return fit_with(model, data, options, reporter)


def fit_with(model: nn.Module, data: object, options: FitOptions, reporter: Reporter) -> FitResult:
    """`fit` as a part of a larger calculation, which reports through its `reporter`."""
    began = time.perf_counter()
    generator = seeded(options.seed)
    data, weights = weighed(data, options.sample_weight)
    rows = as_dataset(data)
    penalty = options.lamb, options.lamb_l1, options.lamb_entropy
    labels = options.loss in ("cross_entropy", cross_entropy)
    spread = 1.0 if labels else deviation(rows.y_train, weights and weights[0]) or 1.0  # 1 for a constant
    objective = make_objective(model, options.loss, *penalty, weights is not None, spread)
    optimizer, why = chosen(model, data, objective, options)
    train, validation, test = shares(rows, next(p.dtype for p in model.parameters()))
    if weights is not None:
        train, validation = with_weights(train, weights[0]), with_weights(validation, weights[1])
        test = with_weights(test)
    size = sum(p.numel() for p in model.parameters())
    with going_on(model), threads_for(len(train[0]) * size):
        watch = Watch(model, objective, train, validation, options.patience, reporter, began)
        try:
            ended = run(optimizer, options, model, data, train, objective, watch, generator)
        except KeyboardInterrupt:
            ended = Ended(watch.taken, StopReason.INTERRUPTED, StopReason.INTERRUPTED.value)
        best = watch.restore_best()
        errors = [error_of(model, objective, *share) for share in (train, validation, test)]
    return FitResult(
        model=model,
        optimizer=optimizer.name,
        why=why,
        stop=ended.reason,
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
    optimizer: Optimizer,
    options: FitOptions,
    model: nn.Module,
    data: Dataset | Stream,
    train: Batch,
    objective: Objective,
    watch: Watch,
    generator: torch.Generator,
) -> Ended:
    """Place the first grids, then minimise the objective with the optimiser."""
    x, y = train
    first, title = False, f"fit ({optimizer.name})"
    if isinstance(model, KANNetwork):
        first, title = not bool(model.fitted), f"{title}, G={model.spec.grid}"
        model.fitted.fill_(True)  # part of the state: a fit that ends in its first state leaves a new network unfitted
        if first and options.update_grid:
            place_grids(model, as_dataset(data).ranges, x, options.grid_eps)
    steps = optimizer.most_steps if options.steps is None else options.steps
    task = Task(model, data, x, y, objective, watch, generator, steps, options.update_grid, first, title)
    return optimizer.minimise(task)


def deviation(y: Tensor, weights: Tensor | None = None) -> float:
    """The standard deviation of targets (n, K), each column about its mean; rows may have weights (n,)."""
    if weights is None:
        return float((y - y.mean(0)).square().mean().sqrt())
    share = weights.to(y) / weights.sum()
    return float((share @ (y - share @ y).square()).mean().sqrt())


@torch.no_grad()
def error_of(model: nn.Module, objective: Objective, x: Tensor, y: Tensor) -> float | None:
    """RMSE of the outputs, or of probabilities where the outputs are logits; None without rows."""
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
    """Training, validation and test rows as (x, y) in the dtype of the model."""
    return (
        (data.X_train.to(dtype), data.y_train.to(dtype)),
        (data.X_val.to(dtype), data.y_val.to(dtype)),
        (data.X_test.to(dtype), data.y_test.to(dtype)),
    )


def place_grids(network: KANNetwork, ranges: Sequence[tuple[float, float]] | None, x: Tensor, grid_eps: float) -> None:
    """Place the first grids over known ranges or rows, unless grid_range= fixed them, and over activations."""
    if network.spec.grid_range is None:
        lows, highs = x.amin(0).tolist(), x.amax(0).tolist()
        known = ranges or list(zip(lows, highs, strict=True))
        both = [(min(lows[i], known[i][0]), max(highs[i], known[i][1])) for i in network.spec.inputs]
        set_input_grid(network, both, x, grid_eps)
    adapt_hidden_grids(network, x, grid_eps)
