"""L-BFGS on all rows, in coordinates where the loss of a KAN is nearly isotropic."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from knotwork.data import Dataset, Stream
from knotwork.keywords import check_keywords
from knotwork.model import FreeParameters, KANNetwork, sweep, vjp
from knotwork.solvers import Ended, StopReason
from knotwork.training.grids import adapt_hidden_grids
from knotwork.training.levenberg_marquardt import half_derivatives
from knotwork.training.objective import Objective, mean_squared_error
from knotwork.training.optimizers.optimizer import Optimizer, Task, check_rate, refuse_stream
from knotwork.training.settings import TRAINING
from knotwork.undisturbed import undisturbed


@check_keywords
@dataclass(frozen=True)
class LBFGS(Optimizer):
    """L-BFGS with strong Wolfe line search on all rows, 20 iterations in each step.

    It takes any model and any loss. For the squared error of a KAN of at most 2,000 parameters the variables of each
    step are L'θ, where LL' is the damped Gauss-Newton matrix at its start. In these the
    loss is nearly isotropic.

    Args:
        lr: the first step length of the line search, relative to the quasi-Newton step, whose own length is 1.

    Raises:
        TrainingError: for a length that is not positive.

    Example:
        >>> import knotwork as kw
        >>> kw.LBFGS()
        LBFGS(lr=1.0)
    """

    lr: float = 1.0

    most_steps: ClassVar[int] = 100

    def __post_init__(self) -> None:
        check_rate(self.lr)

    @property
    def name(self) -> str:
        return "lbfgs"

    def check(self, model: nn.Module, data: Dataset | Stream, objective: Objective) -> None:
        refuse_stream("lbfgs", data)

    def minimise(self, task: Task) -> Ended:
        stop = task.begin()
        return stop.after(task.watch.taken) if stop else by_lbfgs(task, self.lr)


@torch.enable_grad()
def by_lbfgs(task: Task, lr: float) -> Ended:
    """L-BFGS in place: up to `task.steps` steps of 20 iterations each."""
    model, x, y, objective, steps = task.model, task.x, task.y, task.objective, task.steps
    round_loss = isinstance(model, KANNetwork) and objective.loss is mean_squared_error
    begin, last, slow = 1, float("inf"), 0
    stepper = None  # of steps in the parameters themselves, with what it knows of the curvature
    if kept := task.resume():
        begin, last, slow = kept["step"] + 1, kept["last"], kept["slow"]
        if kept["stepper"] is not None:
            stepper = _optimizer(_trained(model), lr)
            stepper.load_state_dict(kept["stepper"])
        if slow >= 5:
            return _converged(begin - 1)
    for step in range(begin, steps + 1):
        if round_loss and FreeParameters(model).size <= TRAINING.lbfgs_preconditioned:  # type: ignore[arg-type]
            value = _preconditioned(model, x, y, objective, lr)  # type: ignore[arg-type]
        else:
            stepper = stepper or _optimizer(_trained(model), lr)
            value = _plain(model, x, y, objective, stepper)
        if value != value:
            sentence = f"the loss became NaN at step {step}; the best state so far was kept"
            return Ended(step - 1, StopReason.NOT_FINITE, sentence)
        moved = False
        if task.update_grid and step <= min(steps // 2, TRAINING.lbfgs_grid_steps) and isinstance(model, KANNetwork):
            moved = adapt_hidden_grids(model, x)
            stepper = None if moved else stepper  # its approximate curvature is that of the old grids
        stop = task.watch(step, float("nan"))
        slow = slow + 1 if not moved and last - value <= TRAINING.lbfgs_slow * value else 0
        state = {"step": step, "last": value, "slow": slow, "stepper": stepper and stepper.state_dict()}
        task.keep(lambda state=state: state, at_once=stop is not None and stop.reason.by_caller)
        if stop:
            return stop.after(step)
        if slow >= 5:
            return _converged(step)
        last = value
    return Ended(steps, StopReason.STEP_LIMIT, f"the limit of {steps} steps was reached")


def _converged(step: int) -> Ended:
    share = f"{TRAINING.lbfgs_slow:g}"
    return Ended(
        step, StopReason.CONVERGED, f"converged: five steps in a row lowered the loss by less than {share} of it"
    )


@undisturbed()
def _optimizer(parameters: list[Tensor], lr: float) -> torch.optim.LBFGS:
    return torch.optim.LBFGS(
        parameters,
        lr=lr,
        max_iter=TRAINING.lbfgs_iterations,
        history_size=TRAINING.lbfgs_history,
        line_search_fn="strong_wolfe",
        tolerance_grad=1e-14,
        tolerance_change=1e-16,
    )


def _trained(model: nn.Module) -> list[Tensor]:
    return [p for p in model.parameters() if p.requires_grad and p.numel()]


def _plain(model: nn.Module, x: Tensor, y: Tensor, objective: Objective, stepper: torch.optim.LBFGS) -> float:
    """One step in the parameters themselves; returns the loss before it."""

    def closure() -> Tensor:
        stepper.zero_grad()
        value = objective(model, x, y)
        value.backward()
        return value.detach()

    return float(stepper.step(closure))  # type: ignore[arg-type]


def _preconditioned(network: KANNetwork, x: Tensor, y: Tensor, objective: Objective, lr: float) -> float:
    """One step in the coordinates of the present Gauss-Newton matrix; returns the loss before it."""
    free = FreeParameters(network)
    goal = objective.likelihood
    assert goal is not None
    known = None if free.compiled() else sweep(network, x)
    inputs = network.select_inputs(x)
    matrix, _ = half_derivatives(network, x, y, free, objective.penalty, likelihood=goal)
    diagonal = matrix.diagonal()
    damped = matrix + torch.diag(TRAINING.lbfgs_damping * diagonal + 1e-10 * diagonal.max() + 1e-300)
    factor, failed = torch.linalg.cholesky_ex(damped)
    if int(failed):
        factor = torch.diag(damped.diagonal().sqrt())
    start = free.get()
    z = torch.zeros_like(start).requires_grad_()

    def position() -> Tensor:
        return start + torch.linalg.solve_triangular(factor.T, z.detach().unsqueeze(-1), upper=True).squeeze(-1)

    def closure() -> Tensor:
        free.set(position())
        compiled = None if objective.weighted else free.compiled()
        if compiled is not None:
            loss, gradient = compiled.loss_and_gradient(inputs, y)
            value = torch.tensor(loss, dtype=y.dtype, device=y.device)
        else:
            seen = sweep(network, x, known)
            value = goal.scale(y) * goal.values(seen.outputs, y).sum()
            slope, directions = goal.residuals(seen.outputs, y)
            if directions is not None:
                slope = torch.einsum("nr,nro->no", slope, directions)
            gradient = vjp(network, seen, goal.scale(y) * slope, free)
        if objective.penalty:
            penalty, slope = objective.penalty.with_gradient(network, x, free)
            value, gradient = value + penalty, gradient + slope
        z.grad = torch.linalg.solve_triangular(factor, gradient.unsqueeze(-1), upper=False).squeeze(-1)
        return value

    value = float(_optimizer([z], lr).step(closure))  # type: ignore[arg-type]
    free.set(position())
    return value
