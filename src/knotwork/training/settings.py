"""What `fit` was asked to do: whether it can be done, and what was left open."""

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from numbers import Real

import torch
from torch import Tensor, nn

from knotwork.data import Dataset, Stream, as_dataset
from knotwork.errors import TrainingError
from knotwork.model import FreeParameters, KANNetwork, is_whole
from knotwork.training.first_order import optimizer_class
from knotwork.training.likelihood import CrossEntropy
from knotwork.training.objective import Loss, Objective, cross_entropy

STEPS = {"lm": 100, "lbfgs": 100, "adam": 2000}  # at most, unless the caller says otherwise
STARTS = 64
RATES = {"lbfgs": 1.0, "adam": 1e-2}
BATCH = 1024  # rows, where all would be too many
MODERATE = 5e10  # products that the normal equations of a Levenberg-Marquardt step may take
SPARSE = 7  # times the square of what a row of the Jacobian holds: less than that where P² is more
MOST_PARAMETERS = 3000  # beyond which the Gauss-Newton matrix is too large to factorise at every step
PYKAN = {"opt": "optimizer", "batch": "batch_size", "loss_fn": "loss"}


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """The arguments of `fit` but for the model, the data and what is reported, as one value: see there."""

    optimizer: str | type[torch.optim.Optimizer] = "auto"
    steps: int | None = None
    lr: float | None = None
    batch_size: int | None = None
    loss: str | Loss = "mse"
    lamb: float = 0.0
    lamb_l1: float = 1.0
    lamb_entropy: float = 1.0
    starts: int | None = None
    n_jobs: int = 1
    update_grid: bool = True
    grid_eps: float = 1.0
    patience: int | None = None
    tolerance: float = 1e-5
    sample_weight: object = None
    seed: int = 0

    @classmethod
    def of(cls, given: Mapping[str, object]) -> "FitOptions":
        """These arguments; TrainingError for one that `fit` does not have, naming the one that was probably meant."""
        refuse(given, [*(field.name for field in fields(cls)), "progress", "callback"])
        return cls(**given)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Plan:
    """How a fit goes: every setting checked, nothing left open."""

    optimizer: str
    why: str
    stepper: type[torch.optim.Optimizer]
    steps: int
    lr: float
    batch_size: int | None
    starts: int
    n_jobs: int
    update_grid: bool
    grid_eps: float
    tolerance: float


def make_plan(model: nn.Module, data: Dataset | Stream, objective: Objective, options: FitOptions) -> Plan:
    """The plan that these arguments of `fit` make; TrainingError for those that make none, or do not fit the model."""
    optimizer, steps, lr, batch_size = options.optimizer, options.steps, options.lr, options.batch_size
    n_jobs, grid_eps, tolerance = options.n_jobs, options.grid_eps, options.tolerance
    for name in ("steps", "batch_size", "starts", "patience"):
        value = getattr(options, name)
        if value is not None and (not is_whole(value) or value < 1):
            raise TrainingError(f"{name}={value!r} is not possible: it must be a whole number of at least 1.")
    if not is_whole(n_jobs) or n_jobs == 0:
        raise TrainingError(f"n_jobs={n_jobs!r} is not possible: give a number of processes, or -1 for one a core.")
    if lr is not None and not (_is_number(lr) and lr > 0):
        raise TrainingError(f"lr={lr!r} is not possible: a learning rate must be positive.")
    if not (_is_number(grid_eps) and 0 <= grid_eps <= 1):
        raise TrainingError(
            f"grid_eps={grid_eps!r} is not possible: give a number from 0 (knots at quantiles) to 1 (even knots)."
        )
    if not (_is_number(tolerance) and tolerance >= 0):
        raise TrainingError(f"tolerance={tolerance!r} is not possible: it must be 0 or positive, a share of the loss.")
    rows, streamed = as_dataset(data), isinstance(data, Stream)
    sized = data.sized if isinstance(data, Stream) else True
    if options.patience is not None and not len(rows.X_val):
        raise TrainingError(
            "patience= needs validation rows, but this data has none; make it with validation_size=0.2."
        )
    if batch_size is not None and not sized:
        raise TrainingError(f"batch_size={batch_size} is not possible: these batches have the size their loader gives.")
    _check_widths(model, rows, objective)
    asked = optimizer.lower() if isinstance(optimizer, str) else optimizer
    chosen, why = _choose(model, objective, asked, rows.y_train.numel(), streamed)
    if batch_size is None and (streamed or len(rows.X_train) > 4 * BATCH):
        batch_size = BATCH
    return Plan(
        chosen,
        why,
        optimizer_class("adam" if isinstance(asked, str) else asked),
        STEPS.get(chosen, STEPS["adam"]) if steps is None else steps,
        RATES.get(chosen, RATES["adam"]) if lr is None else lr,
        batch_size,
        STARTS if options.starts is None else options.starts,
        int(n_jobs),
        options.update_grid,
        grid_eps,
        tolerance,
    )


def refuse(given: Mapping[str, object], known: Collection[str]) -> None:
    """Raises TrainingError for the first setting that `fit` does not have, naming the one that was probably meant."""
    for name, value in given.items():
        if name in known:
            continue
        if name in PYKAN:
            raise TrainingError(f"{name}={value!r} is pykan's word: here it is {PYKAN[name]}={value!r}.")
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}=?" if close else f"its settings are {', '.join(sorted(known))}."
        raise TrainingError(f"fit() has no setting {name}=: {hint}")


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _choose(
    model: nn.Module, objective: Objective, optimizer: object, residuals: int, streamed: bool
) -> tuple[str, str]:
    """The optimiser's name and why it was taken; TrainingError for one that is not there or does not fit the model."""
    is_kan, squares = isinstance(model, KANNetwork), objective.likelihood is not None
    if streamed and optimizer in ("lm", "lbfgs"):
        raise TrainingError(
            f"optimizer={optimizer!r} needs all rows at once, but these come in batches; use 'adam', or fit the "
            "sample that is held, data.sample."
        )
    if optimizer == "auto":
        if streamed:
            return "adam", "the rows come in batches"
        if not (is_kan and squares):
            return "adam", "this is not a KAN" if not is_kan else "the loss is a function that was passed"
        assert isinstance(model, KANNetwork)
        size = FreeParameters(model).size
        held = sum(int(layer.active().sum()) for layer in model.layers) * (
            model.spec.k + 2
        )  # of them by a row, at most
        few = residuals * min(size**2, SPARSE * held**2) <= MODERATE and size <= MOST_PARAMETERS
        how_many = "few enough" if few else "too many"
        why = f"{residuals} residuals and {size} parameters are {how_many} for second-order steps"
        return "lm" if few else "adam", why
    if optimizer == "lm" and not (is_kan and squares):
        what = f"this is not a KAN ({type(model).__name__})" if not is_kan else "the loss is a function that was passed"
        raise TrainingError(
            f"optimizer='lm' fits a KAN with loss='mse' or 'cross_entropy', but {what}; use 'lbfgs' or 'adam'."
        )
    if isinstance(optimizer, str) and optimizer in STEPS:
        return optimizer, "as asked"
    return optimizer_class(optimizer).__name__, "as asked"


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
