"""Fitting a model to data: choose an optimiser, run it, keep the best state, and report the result."""

import math
import time
from dataclasses import replace
from os import PathLike

import torch
from torch import Tensor, nn

from knotwork.data import Batch, Dataset, as_dataset, dataset_or_stream, seeded
from knotwork.journal import Journal, part_of
from knotwork.keywords import explained_keywords
from knotwork.model import KANNetwork, evaluating
from knotwork.solvers import Ended, StopReason
from knotwork.training.callbacks import Callback, Reporter, reporting
from knotwork.training.constant_targets import fit_constants
from knotwork.training.fit_result import FitResult, state_of
from knotwork.training.grids import adapt_hidden_grids, going_on, set_input_grid
from knotwork.training.likelihood import CrossEntropy
from knotwork.training.number_range import check_range
from knotwork.training.objective import Loss, Objective, cross_entropy, make_objective, mean_squared_error
from knotwork.training.optimizers import OptimizerLike, Task
from knotwork.training.options import FitOptions, chosen, elsewhere, refuse_inference
from knotwork.training.resuming import fit_journal, question, result_as_value, result_of
from knotwork.training.settings import TRAINING
from knotwork.training.standardization import (
    Standardization,
    device_of,
    dtype_of,
    in_own_units,
    is_free,
    moved,
    standardized,
)
from knotwork.training.threads import threads_for
from knotwork.training.watch import Watch
from knotwork.training.weights import weighed, with_weights


@explained_keywords(elsewhere)
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
    grid_eps: float | None = None,
    patience: int | None = None,
    sample_weight: object = None,
    smoothness: float | str | None = "auto",
    seed: int = 0,
    progress: bool | None = None,
    callback: Callback | None = None,
    checkpoint: str | PathLike[str] | None = None,
) -> FitResult:
    """Train `model` in place on the training rows of `data`, and return how it went.

    A KAN that was never fitted gets its input grids placed over the data first, unless it was built with grid_range=.
    A KAN is fitted to targets with mean 0 and standard deviation 1, and gives the targets in their own unit afterwards.
    The fit ends in the state with the lowest objective on the training rows, or with the lowest validation loss where
    `patience` is given; it is never worse than the state before. Smooth fits are an exception (`smoothness`): their
    objective on the training rows may be higher, since they do not follow noise. A fit of a KAN to constant targets
    takes no step, unless `patience` is given and validation rows contradict the constant.

    Args:
        model: a KAN, or any torch module that maps (n, inputs) to (n, outputs). Errors are those of evaluation mode.
        data: a `Dataset`, a pair (X, y) of arrays or tables, a dict in pykan's form, a `Stream`, or batches (x, y): a
            torch DataLoader or a list.
        optimizer: a value such as kw.LevenbergMarquardt(starts=8), kw.LBFGS(), kw.Adam(lr=1e-3) or
            kw.TorchOptimizer(torch.optim.SGD, lr=0.1); "lm", "lbfgs", "adam" or a class of torch.optim, with default
            settings; "auto": "lm" for a KAN of at most 3,000 parameters and not too many rows, else "adam".
        steps: largest number of steps; None: 100 for "lm" and "lbfgs", 2,000 for gradient steps.
        loss: "mse"; "cross_entropy" for labels from 0 (one output is the logit of label 1, several are those of their
            labels, and errors are those of probabilities); or a function of (outputs, targets) that returns one number,
            a tensor with derivatives.
        lamb: weight of the penalty of eq. 2.20 (Liu et al. 2024), which makes a KAN sparse, for targets
            with mean 0 and standard deviation 1: the same value means the same for every target. Labels have no unit.
        lamb_l1: weight of the L1 norms in it (μ1 of eq. 2.20).
        lamb_entropy: weight of the entropies in it (μ2 of eq. 2.20).
        update_grid: whether grids are placed over the data and hidden grids follow the activations. Smooth fits keep
            their hidden grids; beyond them curves go on as straight lines.
        grid_eps: 1: even knots; 0: knots at the quantiles of the data; values between blend the two. None: even knots,
            except for inputs with heavy tails or distant clusters, if their range is not known: these get knots where
            most rows are, and are held at the ends of this grid, so that no curve goes on into the tails.
        patience: end after this number of evaluations of the losses in a row without a lower validation loss.
        sample_weight: how often each training row of a Dataset counts, or each row of a pair (X, y), in the loss and
            in reported errors, (n,). A row of weight 0 is absent. In the penalty all other rows count once.
        smoothness: "auto": where rows hold noise, curves are as smooth as the evidence for them is largest (MacKay
            1992), as in `KANRegressor`; where rows look exact, curves follow them as closely as they can. A number is
            the weight of mean squared slopes and curvatures relative to the variance of the noise. None or 0: off. Only
            "lm" has it; with other optimisers "auto" is off.
        seed: determines starting points and mini-batches; torch's own generator is not touched.
        progress: None shows a bar on a terminal and in a notebook, True everywhere, False nowhere.
        callback: called with an `Event` when a stage begins and after each evaluation; returning True ends the fit.
            The best state so far is kept then, as with Ctrl-C. It sees the model in the user's units and must not
            change it.
        checkpoint: a file in which the fit keeps its state every few seconds, such as "fit.kw". After a kill, Ctrl-C or
            a stop by the callback the same call goes on from there and ends with the same numbers; after its end it
            returns the same result at once. The file is refused for another call. None: nothing is kept.

    Returns:
        A `FitResult` with the errors, the history and the reason the fit ended.

    Raises:
        DataError: for data that do not fit the model, or that numbers of its dtype cannot hold.
        TrainingError: for arguments that are not possible or contradict each other.
        ArgumentError: for an argument that does not exist.
        CheckpointError: for a checkpoint that cannot be written, is damaged, or belongs to another calculation.

    Example:
        >>> import knotwork as kw
        >>> data = kw.sample("sin(pi*x) + y**2", x=(-1, 1), y=(-1, 1), size=200, seed=0)
        >>> model = kw.KAN(width=[2, 1], seed=0)
        >>> result = kw.fit(model, data, steps=20)
        >>> result.optimizer, result.test_rmse < 0.01
        ('lm', True)
    """
    options = FitOptions(
        optimizer,
        steps,
        loss,
        lamb,
        lamb_l1,
        lamb_entropy,
        update_grid,
        grid_eps,
        patience,
        sample_weight,
        seed,
        smoothness=smoothness,
    )
    return fit_in_place(model, data, options, progress, callback, checkpoint)


@torch.inference_mode(False)
@torch.enable_grad()
def fit_in_place(
    model: nn.Module,
    data: object,
    options: FitOptions,
    progress: bool | None,
    callback: Callback | None,
    checkpoint: object,
) -> FitResult:
    """`fit` with its arguments as one value. Data are read once, since each pass through a loader may be another."""
    data = dataset_or_stream(data) if options.sample_weight is None else data
    with reporting(progress, callback) as reporter, fit_journal(checkpoint, model, data, options) as journal:
        return fit_with(model, data, options, reporter, journal)


@torch.inference_mode(False)
@torch.enable_grad()
def fit_with(
    model: nn.Module, data: object, options: FitOptions, reporter: Reporter, journal: Journal | None = None
) -> FitResult:
    """`fit` as a part of a larger calculation, which reports through its `reporter` and is kept in its `journal`."""
    if journal is None or journal.book is None:
        journal = part_of(lambda: question("fit", [model], data, options))
    if journal.done:
        return result_of(journal.value, model)
    began = time.perf_counter() - journal.seconds
    generator = seeded(options.seed)
    refuse_inference(model)
    data, weights = weighed(data, options.sample_weight)
    rows = as_dataset(data)
    own, device, size = dtype_of(model), device_of(model), sum(p.numel() for p in model.parameters())
    units, objective = units_and_objective(model, rows, options, weights)
    optimizer, why = chosen(model, data, objective, options)
    check_range(rows, own, model)
    inside, steps = optimizer.precision or own, optimizer.most_steps if options.steps is None else options.steps
    as_it_was = state_of(model)
    with going_on(model), threads_for(len(rows.X_train) * size):
        with standardized(model, units, optimizer.precision), reporter.viewing(lambda: in_own_units(model, units, own)):
            train, validation, _ = shares(rows, inside, device, weights, units)
            watch = Watch(model, objective, train, validation, options.patience, reporter, began, units.scale)
            task = Task(model, data, *train, units, own, objective, watch, generator, steps, options.update_grid)
            task = replace(task, journal=journal)
            try:
                task = prepared(task, options, optimizer.name, as_it_was)
                ended = fit_constants(task) or optimizer.minimise(task)
            except KeyboardInterrupt:
                ended = Ended(watch.taken, StopReason.INTERRUPTED, StopReason.INTERRUPTED.value)
            watch.restore_best()
            ended = watch.compared_with_mean(ended)
            best = watch.value_before if watch.goes_back(ended) else watch.value()
        if watch.goes_back(ended):
            model.load_state_dict(as_it_was)  # to the bit
        errors = [error_of(model, objective, *share) for share in shares(rows, own, device, weights)]
    result = FitResult(
        model=model,
        optimizer=optimizer.name,
        why=why,
        stop=ended.reason,
        stop_reason=ended.sentence,
        objective=best * units.scale * units.scale,
        train_rmse=errors[0] or 0.0,
        val_rmse=errors[1],
        test_rmse=errors[2],
        steps=ended.steps,
        seconds=time.perf_counter() - began,
        history=tuple(watch.history),
        smoothness=watch.smoothness,
    )
    if not result.stopped_by_caller and result.stop is not StopReason.TIME_BUDGET:
        journal.finish(result_as_value(result))
    return result


def units_and_objective(
    model: nn.Module, rows: Dataset, options: FitOptions, weights: tuple[Tensor, Tensor] | None
) -> tuple[Standardization, Objective]:
    """The units of the targets that a network is fitted in, and what is minimised in these units.

    Labels have no unit, and a loss that was passed is one of the targets as they are.
    """
    units = Standardization.of(rows.y_train, weights and weights[0])
    spread = 1.0 if options.loss in ("cross_entropy", cross_entropy) else units.scale
    if options.loss in ("mse", mean_squared_error) and isinstance(model, KANNetwork) and is_free(model.layers[-1]):
        units, spread = units.possible_for(model), 1.0
    else:
        units = Standardization.none(rows.y_train.shape[1])
    penalty = options.lamb, options.lamb_l1, options.lamb_entropy
    return units, make_objective(model, options.loss, *penalty, weights is not None, spread)


def prepared(task: Task, options: FitOptions, name: str, as_it_was: dict[str, Tensor]) -> Task:
    """The task with its network's first grids placed, and a new network's outputs in the units of the targets."""
    title, model = f"fit ({name})", task.model
    if not isinstance(model, KANNetwork):
        return replace(task, title=title)
    new, last = not bool(model.fitted), model.layers[-1]
    model.fitted.fill_(True)  # part of the state: a fit that ends where it began leaves a new network new
    random = new and not last.named and not task.watch.explains()
    if random:  # such values have no unit of the user's: they are taken for standard ones
        prefix = f"layers.{len(model.layers) - 1}."
        last.load_state_dict({k.removeprefix(prefix): v for k, v in as_it_was.items() if k.startswith(prefix)})
        task.watch.begin()
    first = new or options.restart
    if first and options.update_grid:
        place_grids(model, as_dataset(task.data), task.x, options.grid_eps)
        if random:
            task.watch.begin()
    return replace(
        task, first=first, title=f"{title}, G={model.spec.grid}", smoothness=options.smoothness, near=options.near
    )


@torch.no_grad()
def error_of(model: nn.Module, objective: Objective, x: Tensor, y: Tensor) -> float | None:
    """RMSE of the outputs, or of probabilities where they are logits; None without rows.

    Squares are of errors relative to the largest, so that none of them overflows or vanishes.
    """
    if not len(x):
        return None
    with evaluating(model):
        outputs, weights = model(x), None
    if objective.weighted:
        y, weights = y[:, :-1], y[:, -1]
    if objective.loss is cross_entropy:
        y, outputs = CrossEntropy().truth(outputs, y), CrossEntropy().probabilities(outputs)
    errors = outputs - y
    largest = float(errors.abs().max())
    if not 0 < largest < math.inf:
        return largest
    squares = (errors / largest).square()
    return largest * float((squares if weights is None else weights.unsqueeze(1) * squares).mean().sqrt())


def shares(
    data: Dataset,
    dtype: torch.dtype,
    device: torch.device,
    weights: tuple[Tensor, Tensor] | None = None,
    units: Standardization | None = None,
) -> list[Batch]:
    """Training, validation and test rows as (x, y) of a type on a device, with targets in these units and with weights.

    Test rows count once each.
    """
    rows = (data.X_train, data.y_train), (data.X_val, data.y_val), (data.X_test, data.y_test)
    found = [(moved(x, dtype, device), moved(units(y) if units else y, dtype, device)) for x, y in rows]
    if weights is None:
        return found
    return [with_weights(share, known) for share, known in zip(found, (*weights, None), strict=True)]


def place_grids(network: KANNetwork, data: Dataset, x: Tensor, grid_eps: float | None) -> None:
    """Place the first grids, unless grid_range= fixed them, and the hidden grids over the activations on x.

    A first grid covers the known range of its input and the training and validation rows. Where no range is known it
    reaches a little beyond these rows, as other rows will, unless they have long tails (`set_input_grid`).
    """
    if network.spec.grid_range is None:
        seen = torch.cat([x, moved(data.X_val, x.dtype, x.device)])
        low, high = seen.amin(0), seen.amax(0)
        if data.ranges is None:
            beyond = TRAINING.grid_beyond_rows / len(x) * (high - low)
            low, high = low - beyond, high + beyond
        ends = list(zip(low.tolist(), high.tolist(), strict=True))
        known = data.ranges or ends
        both = [(min(ends[i][0], known[i][0]), max(ends[i][1], known[i][1])) for i in network.spec.inputs]
        set_input_grid(network, both, seen, 1.0 if grid_eps is None and data.ranges else grid_eps)
    adapt_hidden_grids(network, x, 1.0 if grid_eps is None else grid_eps)
