"""The objective of a fit: a loss of the outputs plus a penalty of the edges (eq. 2.20)."""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

import torch
from torch import Tensor, nn

from knotwork.errors import TrainingError
from knotwork.model import KANNetwork, evaluating
from knotwork.training.likelihood import CrossEntropy, Goal, Normal, Weighted
from knotwork.training.penalties import Penalty

Loss = Callable[[Tensor, Tensor], Tensor]


def mean_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean over rows and outputs of the squared difference; TrainingError for shapes that would be broadcast."""
    _check_shapes(outputs, targets)
    return (outputs - targets).square().mean()


def _check_shapes(outputs: Tensor, targets: Tensor) -> None:
    if outputs.shape != targets.shape:
        raise TrainingError(
            f"the model's outputs have shape {tuple(outputs.shape)}, but the targets {tuple(targets.shape)}: "
            "build the model with one output for every target column."
        )


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean over rows of the cross-entropy of labels from 0, (n, 1), given logits (n, K)."""
    return CrossEntropy().values(outputs, targets).mean()


LOSSES: dict[str, Loss] = {"mse": mean_squared_error, "cross_entropy": cross_entropy}
GOALS: list[tuple[Loss, Goal]] = [(mean_squared_error, Normal()), (cross_entropy, CrossEntropy())]


@dataclass(frozen=True)
class Objective:
    """Loss and penalty of a model on a batch. If `weighted`, the last column of the targets holds weights of rows."""

    loss: Loss = mean_squared_error
    penalty: Penalty | None = None
    weighted: bool = False

    @property
    def likelihood(self) -> Goal | None:
        """The likelihood that belongs to the loss; None for a function of the user."""
        goal = next((goal for loss, goal in GOALS if loss is self.loss), None)
        return Weighted(goal) if goal and self.weighted else goal

    def of(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss."""
        if not self.weighted:
            return self.loss(outputs, targets)
        if self.loss is mean_squared_error:
            _check_shapes(outputs, targets[:, :-1])
        goal = self.likelihood
        assert goal is not None
        return goal.scale(targets) * goal.values(outputs, targets).sum()

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        value = self.of(model(x), y)
        if self.penalty is None:
            return value
        assert isinstance(model, KANNetwork)
        return value + self.penalty.value(model, x)

    def report(self, model: nn.Module, x: Tensor, y: Tensor) -> float:
        """The loss alone, for a history: the RMSE for the squared error, else the loss itself."""
        with torch.no_grad(), evaluating(model):
            value = float(self.of(model(x), y))
        return value**0.5 if self.loss is mean_squared_error else value


def make_objective(
    model: nn.Module,
    loss: str | Loss,
    lamb: float,
    lamb_l1: float,
    lamb_entropy: float,
    weighted: bool = False,
    spread: float = 1.0,
) -> Objective:
    """The objective that the arguments of `fit` describe; TrainingError if they are not possible.

    The weights of the penalty are in units of `spread`, the standard deviation of the targets. Norms of edges have the
    unit of the targets, entropies have none, and the squared error has that unit squared.
    """
    if not callable(loss) and not (isinstance(loss, str) and loss in LOSSES):
        raise TrainingError(
            f"loss={loss!r} is not known; pass 'mse', 'cross_entropy' or a function of (outputs, targets)."
        )
    if isinstance(loss, type):
        raise TrainingError(f"loss= is the class {loss.__name__}: pass an instance of it, {loss.__name__}().")
    for name, value in (("lamb", lamb), ("lamb_l1", lamb_l1), ("lamb_entropy", lamb_entropy)):
        if not (isinstance(value, Real) and value >= 0):
            raise TrainingError(f"{name}={value!r} is not possible: a penalty's weight must be 0 or positive.")
    if lamb and not isinstance(model, KANNetwork):
        raise TrainingError(
            f"lamb={lamb} penalises the edges of a KAN, but this is a {type(model).__name__}; use lamb=0."
        )
    if weighted and callable(loss):
        raise TrainingError("sample_weight= needs loss='mse' or 'cross_entropy': a function counts rows itself.")
    penalty = Penalty(lamb * spread, lamb_l1, lamb_entropy * spread) if lamb else None
    known = LOSSES[loss] if isinstance(loss, str) else next((one for one in LOSSES.values() if one is loss), None)
    return Objective(known or _one_number(loss), penalty, weighted)  # type: ignore[arg-type]


def _one_number(loss: Loss) -> Loss:
    """The user's loss, as a number with derivatives; TrainingError where it returns anything else."""

    def checked(outputs: Tensor, targets: Tensor) -> Tensor:
        value = loss(outputs, targets)
        advice = "such as (outputs - targets).abs().mean()"
        if not isinstance(value, Tensor):
            raise TrainingError(
                f"loss= returned a {type(value).__name__}: return a tensor computed by torch, {advice}."
            )
        if value.numel() != 1 or value.is_complex():
            kind = "complex numbers" if value.is_complex() else f"a tensor of shape {tuple(value.shape)}"
            raise TrainingError(f"loss= returned {kind}: return one real number, {advice}.")
        if torch.is_grad_enabled() and outputs.requires_grad and not value.requires_grad:
            raise TrainingError(
                f"loss= returned a number without derivatives by the outputs: compute it by torch, {advice}, without "
                "detach() and item()."
            )
        return value.reshape(())

    return checked
