"""The arguments of `fit` as one value, and the checks whether they are possible."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from knotwork.data import Dataset, Stream, as_dataset
from knotwork.errors import TrainingError
from knotwork.model import KANNetwork
from knotwork.training.likelihood import CrossEntropy
from knotwork.training.objective import Loss, Objective, cross_entropy
from knotwork.training.optimizers import Auto, LevenbergMarquardt, Optimizer, OptimizerLike, optimizer_of
from knotwork.training.optimizers.optimizer import check_count, is_number

PYKAN = {"opt": "optimizer", "batch": "batch_size", "loss_fn": "loss", "log": "progress", "verbose": "progress"}
ON_OPTIMIZERS = {
    "lr": "Adam(lr={0}), kw.LBFGS(lr={0}) or kw.TorchOptimizer(torch.optim.SGD, lr={0})",
    "batch_size": "Adam(batch_size={})",
    "batch": "Adam(batch_size={})",
    "starts": "LevenbergMarquardt(starts={})",
    "tolerance": "LevenbergMarquardt(tolerance={})",
    "n_jobs": "LevenbergMarquardt(n_jobs={})",
}


@dataclass(frozen=True)
class FitOptions:
    """The arguments of `fit` except for the model, the data and what reports: see there.

    With `restart` a network that was fitted before gets new grids, and its values race against new starts. `near` says
    that the network is near its minimum: a coarser one was fitted to the same rows.
    """

    optimizer: OptimizerLike | Auto = "auto"
    steps: int | None = None
    loss: str | Loss = "mse"
    lamb: float = 0.0
    lamb_l1: float = 1.0
    lamb_entropy: float = 1.0
    update_grid: bool = True
    grid_eps: float | None = None
    patience: int | None = None
    sample_weight: object = None
    seed: int = 0
    restart: bool = False
    near: bool = False
    smoothness: float | str | None = None


def elsewhere(verb: str, name: str, value: object) -> str | None:
    """What to write instead of an argument of pykan, or of a setting that belongs to the optimiser."""
    if name in ON_OPTIMIZERS:
        theirs = " is pykan's name and" if name in PYKAN else ""
        where = ON_OPTIMIZERS[name].format(repr(value))
        return f"{name}={value!r}{theirs} belongs to the optimiser: pass optimizer=kw.{where}."
    return f"{name}={value!r} is pykan's name: here it is {PYKAN[name]}={value!r}." if name in PYKAN else None


def refuse_inference(model: nn.Module) -> None:
    """Raise TrainingError for a model that was made in torch's inference mode, whose parameters cannot be changed."""
    if any(values.is_inference() for values in (*model.parameters(), *model.buffers())):
        raise TrainingError(
            f"this {type(model).__name__} was made or changed inside torch.inference_mode, where tensors can never be "
            "trained: do that outside of it, or inside torch.no_grad."
        )


def chosen(
    model: nn.Module, data: Dataset | Stream, objective: Objective, options: FitOptions
) -> tuple[Optimizer, str]:
    """The optimiser and why it was chosen; TrainingError for options that are not possible or do not fit the model."""
    check_count(steps=options.steps, patience=options.patience)
    smoothness = options.smoothness
    if not (smoothness is None or smoothness == "auto" or (is_number(smoothness) and 0 <= smoothness < math.inf)):
        raise TrainingError(
            f"smoothness={smoothness!r} is not possible: give 'auto', a weight from 0 on, or None for no smoothness."
        )
    if not (options.grid_eps is None or (is_number(options.grid_eps) and 0 <= options.grid_eps <= 1)):
        raise TrainingError(
            f"grid_eps={options.grid_eps!r} is not possible: give a number from 0 (knots at quantiles) to 1 (even "
            "knots), or None for knots that follow the rows where tails are heavy."
        )
    rows = as_dataset(data)
    if options.patience is not None and not len(rows.X_val):
        raise TrainingError(
            "patience= needs validation rows, but this data has none; make it with validation_size=0.2."
        )
    _check_widths(model, rows, objective)
    optimizer = optimizer_of(options.optimizer)
    if isinstance(optimizer, Auto):
        optimizer, why = optimizer.choose(model, data, objective)
    else:
        optimizer.check(model, data, objective)
        why = "as asked"
    by_curves = isinstance(optimizer, LevenbergMarquardt) and isinstance(model, KANNetwork)
    if smoothness and smoothness != "auto" and not by_curves:
        raise TrainingError(
            f"smoothness={smoothness!r} needs second-order steps for a KAN, but the optimiser is {optimizer.name!r} "
            f"({why}): pass optimizer='lm' for a KAN, or leave smoothness= out."
        )
    return optimizer, why


def _check_widths(model: nn.Module, data: Dataset, objective: Objective) -> None:
    labels = objective.loss is cross_entropy
    if labels and data.n_outputs != 1:
        raise TrainingError(f"loss='cross_entropy' takes one column of labels from 0, but y has {data.n_outputs}.")
    if not isinstance(model, KANNetwork):
        return
    spec = model.spec
    shape = [(s, p) if p else s for s, p in spec.width]
    if data.n_inputs != spec.in_features:
        raise TrainingError(
            f"fit() got {data.n_inputs} input columns but this KAN expects {spec.in_features} (width={shape}). "
            f"Pass width=[{data.n_inputs}, ...] or choose {spec.in_features} columns."
        )
    if labels:
        CrossEntropy().truth(data.y_train.new_empty(0, spec.nodes(spec.depth)), _all_labels(data))
    elif data.n_outputs != spec.nodes(spec.depth):
        raise TrainingError(
            f"fit() got {data.n_outputs} target columns but this KAN has {spec.nodes(spec.depth)} outputs "
            f"(width={shape}). Pass width=[..., {data.n_outputs}] or choose other targets."
        )


def _all_labels(data: Dataset) -> Tensor:
    return torch.cat([data.y_train, data.y_val, data.y_test])
