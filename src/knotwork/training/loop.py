"""Fitting a model to data: choose an optimiser, run it, keep the best, say how it went."""

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from knotwork.data import Dataset, as_dataset
from knotwork.errors import TrainingError
from knotwork.model import FreeParameters, KANNetwork
from knotwork.training.first_order import by_gradient, optimizer_class
from knotwork.training.grids import adapt_hidden_grids, set_input_grid
from knotwork.training.lbfgs import by_lbfgs
from knotwork.training.levenberg_marquardt import levenberg_marquardt
from knotwork.training.multistart import screen
from knotwork.training.objective import Loss, Objective, make_objective, mean_squared_error
from knotwork.training.progress import progress_line
from knotwork.training.result import INTERRUPTED, STOPPED, FitResult, Record, rmse
from knotwork.training.threads import threads_for

MODERATE = 2e8  # rows x parameters² up to which a Levenberg-Marquardt step is quick
STEPS = {"lm": 100, "lbfgs": 100, "adam": 2000}


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
    _check(model, data, steps, lr, batch_size, starts, patience)
    x, y = (v.to(_dtype(model)) for v in (data.X_train, data.y_train))
    x_val, y_val = (v.to(_dtype(model)) for v in (data.X_val, data.y_val))
    if patience is not None and not len(x_val):
        raise TrainingError("patience= watches validation rows, but this data has none; make it with validation=0.2.")
    chosen, why = _choose(model, objective, optimizer, len(x) * y.shape[1])
    steps = STEPS.get(chosen, STEPS["adam"]) if steps is None else steps
    keeper = _Keeper(model, objective, x, y)
    best_val, waited = float("inf"), 0
    if patience is not None:  # validation chooses, and the state before the fit is the first to beat
        start_val = objective.report(model, x_val, y_val)
        best_val = start_val if start_val == start_val else best_val
        keeper.keep(objective=float("-inf"))
    generator = torch.Generator().manual_seed(seed)
    first = isinstance(model, KANNetwork) and not bool(model.fitted)
    if isinstance(model, KANNetwork):
        model.fitted.fill_(True)  # part of the state: a fit that ends where it began leaves a new network new
    if isinstance(model, KANNetwork) and first and update_grid:
        if model.spec.grid_range is None:
            set_input_grid(model, [_range(data, x, i) for i in model.spec.inputs], x, grid_eps)
        adapt_hidden_grids(model, x, grid_eps)
    history: list[Record] = []

    size = sum(p.numel() for p in model.parameters())
    with threads_for(x.shape[0] * size), progress_line(f"fit ({chosen})", steps, progress) as report:

        def each_step(step: int, value: float) -> str | None:
            """`value` is the objective on all training rows where the optimiser knows it, else NaN."""
            nonlocal best_val, waited
            known = value == value and objective.penalty is None and objective.loss is mean_squared_error
            train = value**0.5 if known else objective.report(model, x, y)
            grid = model.spec.grid if isinstance(model, KANNetwork) else 0
            validation = objective.report(model, x_val, y_val) if len(x_val) else None
            seconds = time.perf_counter() - began
            record = Record(step, seconds, grid, train, validation)
            history.append(record)
            report(step, record.train, validation)
            if patience is None:
                keeper.look(value)
            elif validation is not None:
                better = validation < best_val
                waited = 0 if better else waited + 1
                if better:
                    best_val = validation
                    keeper.keep(objective=float("-inf"))
                if waited >= patience:
                    return f"{patience} steps brought no better validation loss"
            return STOPPED if callback is not None and callback(record) else None

        try:
            if chosen == "lm":
                assert isinstance(model, KANNetwork)
                if first and (starts is None or starts > 1):
                    race = 16 if starts is None else starts
                    screen(
                        model,
                        x,
                        y,
                        starts=race,
                        generator=generator,
                        penalty=objective.penalty,
                        update_grid=update_grid,
                    )
                taken, reason = levenberg_marquardt(
                    model,
                    x,
                    y,
                    each_step,
                    steps=steps,
                    tolerance=tolerance,
                    target=_rounding(y),
                    penalty=objective.penalty,
                    update_grid=update_grid,
                )
            elif chosen == "lbfgs":
                taken, reason = by_lbfgs(
                    model, x, y, objective, each_step, steps=steps, lr=lr or 1.0, update_grid=update_grid
                )
            else:
                taken, reason = by_gradient(
                    optimizer_class(optimizer if optimizer != "auto" else "adam"),
                    model,
                    x,
                    y,
                    objective,
                    each_step,
                    steps=steps,
                    lr=lr or 1e-2,
                    batch_size=batch_size if batch_size or len(x) <= 4096 else 1024,
                    generator=generator,
                    update_grid=update_grid,
                )
        except KeyboardInterrupt:
            taken, reason = len(history), INTERRUPTED
    value = keeper.restore_best()
    test = rmse(model, data.X_test.to(x.dtype), data.y_test.to(x.dtype))
    train = rmse(model, x, y)
    assert train is not None
    seconds = time.perf_counter() - began
    return FitResult(
        model, chosen, why, reason, value, train, rmse(model, x_val, y_val), test, taken, seconds, tuple(history)
    )


class _Keeper:
    """The best state a model had, by its objective on the training rows."""

    def __init__(self, model: nn.Module, objective: Objective, x: Tensor, y: Tensor) -> None:
        self.model, self.objective, self.x, self.y = model, objective, x, y
        self.keep(objective=float("inf"))
        self.look()

    @torch.no_grad()
    def look(self, value: float = float("nan")) -> None:
        """Keep the state if it is the best; its objective is computed unless it is known."""
        value = value if value == value else float(self.objective(self.model, self.x, self.y))
        if value < self.best:
            self.keep(value)

    def keep(self, objective: float) -> None:
        self.best = objective
        self.state = {name: v.detach().clone() for name, v in self.model.state_dict().items()}

    @torch.no_grad()
    def restore_best(self) -> float:
        self.look()
        self.model.load_state_dict(self.state)
        return float(self.objective(self.model, self.x, self.y))


def _choose(model: nn.Module, objective: Objective, optimizer: object, rows: int) -> tuple[str, str]:
    """The optimiser's name and why it was taken."""
    second_order = isinstance(model, KANNetwork) and objective.loss is mean_squared_error
    if optimizer == "auto":
        if not second_order:
            return "adam", "this model or loss is not a least-squares problem of a KAN"
        assert isinstance(model, KANNetwork)
        size = FreeParameters(model).size
        if rows * size**2 <= MODERATE * 100 and size <= 3000:
            return "lm", f"{rows} residuals and {size} parameters are few enough for second-order steps"
        return "adam", f"{rows} residuals and {size} parameters are too many for second-order steps"
    if optimizer == "lm" and not second_order:
        raise TrainingError(
            f"optimizer='lm' fits a KAN by least squares, but got {type(model).__name__} and another loss than 'mse' "
            "or another model; use optimizer='lbfgs' or 'adam'."
        )
    if isinstance(optimizer, str) and optimizer not in STEPS:
        optimizer_class(optimizer)  # raises with the names there are
    return (optimizer if isinstance(optimizer, str) else optimizer_class(optimizer).__name__), "as asked"


def _check(
    model: nn.Module,
    data: Dataset,
    steps: int | None,
    lr: float | None,
    batch_size: int | None,
    starts: int | None,
    patience: int | None,
) -> None:
    """Raise TrainingError for settings or data that do not fit the model."""
    for name, value in (("steps", steps), ("batch_size", batch_size), ("starts", starts), ("patience", patience)):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise TrainingError(f"{name}={value!r} is not possible: it must be a whole number of at least 1.")
    if lr is not None and not lr > 0:
        raise TrainingError(f"lr={lr!r} is not possible: a learning rate must be positive.")
    if not isinstance(model, KANNetwork):
        return
    spec = model.spec
    shape = [(s, p) if p else s for s, p in spec.width]
    if data.n_inputs != spec.in_features:
        raise TrainingError(
            f"fit() got {data.n_inputs} input columns but this KAN expects {spec.in_features} (width={shape}). "
            f"Pass width=[{data.n_inputs}, ...] or choose {spec.in_features} columns."
        )
    if data.n_outputs != spec.nodes(spec.depth):
        raise TrainingError(
            f"fit() got {data.n_outputs} target columns but this KAN has {spec.nodes(spec.depth)} outputs "
            f"(width={shape}). Pass width=[..., {data.n_outputs}] or choose other targets."
        )


def _range(data: Dataset, x: Tensor, column: int) -> tuple[float, float]:
    """The known domain of a column, or the range of its training rows."""
    low, high = float(x[:, column].min()), float(x[:, column].max())
    if data.ranges is not None:
        return min(low, data.ranges[column][0]), max(high, data.ranges[column][1])
    return low, high


def _rounding(y: Tensor) -> float:
    """Mean squared error at which only rounding is left."""
    return (10 * torch.finfo(y.dtype).eps) ** 2 * float(y.square().mean())


def _dtype(model: nn.Module) -> torch.dtype:
    return next(p.dtype for p in model.parameters())
