"""What `fit` was asked to do: whether it can be done, and which optimiser does it."""

from torch import nn

from knotwork.data import Dataset
from knotwork.errors import TrainingError
from knotwork.model import FreeParameters, KANNetwork, is_whole
from knotwork.training.first_order import optimizer_class
from knotwork.training.objective import Objective, mean_squared_error

STEPS = {"lm": 100, "lbfgs": 100, "adam": 2000}  # at most, unless the caller says otherwise
MODERATE = 2e10  # residuals x parameters² up to which a Levenberg-Marquardt step is quick
MOST_PARAMETERS = 3000  # beyond which the Gauss-Newton matrix is too large to factorise at every step


def choose_optimizer(model: nn.Module, objective: Objective, optimizer: object, residuals: int) -> tuple[str, str]:
    """The optimiser's name and why it was taken; TrainingError for one that is not there or does not fit the model."""
    is_kan, squared = isinstance(model, KANNetwork), objective.loss is mean_squared_error
    if optimizer == "auto":
        if not (is_kan and squared):
            return "adam", "this is not a least-squares problem of a KAN"
        size = FreeParameters(model).size  # type: ignore[arg-type]
        few = residuals * size**2 <= MODERATE and size <= MOST_PARAMETERS
        how_many = "few enough" if few else "too many"
        why = f"{residuals} residuals and {size} parameters are {how_many} for second-order steps"
        return "lm" if few else "adam", why
    if optimizer == "lm" and not (is_kan and squared):
        what = f"this is not a KAN ({type(model).__name__})" if not is_kan else "another loss than 'mse' was passed"
        raise TrainingError(f"optimizer='lm' fits a KAN by least squares, but {what}; use 'lbfgs' or 'adam'.")
    if isinstance(optimizer, str) and optimizer in STEPS:
        return optimizer, "as asked"
    return optimizer_class(optimizer).__name__, "as asked"


def check_settings(
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
        if value is not None and (not is_whole(value) or value < 1):
            raise TrainingError(f"{name}={value!r} is not possible: it must be a whole number of at least 1.")
    if lr is not None and not lr > 0:
        raise TrainingError(f"lr={lr!r} is not possible: a learning rate must be positive.")
    if patience is not None and not len(data.X_val):
        raise TrainingError("patience= watches validation rows, but this data has none; make it with validation=0.2.")
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
