"""How a fit went, as a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from knotwork.solvers import StopReason

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Record:
    """One line of a fit's history: losses are RMSE over all rows and outputs, or the loss passed, without penalty.

    `measure` says which of the two, "RMSE" or "loss".
    """

    step: int
    seconds: float
    grid: int
    train: float
    validation: float | None = None
    measure: str = "RMSE"

    def __str__(self) -> str:
        validation = "" if self.validation is None else f", validation {self.validation:.2e}"
        return f"{self.measure} {self.train:.2e}{validation}"


@dataclass(frozen=True)
class FitResult:
    """What `fit` did: which optimiser and why, the history, why it stopped, and the errors it reached.

    `stop` is the reason it ended, and `stop_reason` a sentence about it, with its numbers. `train_rmse`, `val_rmse` and
    `test_rmse` are root mean squared errors over all rows and outputs of that share, None where it has no rows.
    `objective` is what was minimised: the loss plus the penalty, on the training rows. `steps` counts those that were
    taken, and `history` has a `Record` for each.
    """

    model: nn.Module = field(repr=False)
    optimizer: str
    why: str
    stop: StopReason
    stop_reason: str
    objective: float
    train_rmse: float
    val_rmse: float | None
    test_rmse: float | None
    steps: int
    seconds: float
    history: tuple[Record, ...] = field(default=(), repr=False)

    @property
    def converged(self) -> bool:
        """Whether the fit ended because it cannot get better, and not because a limit or the caller ended it."""
        return self.stop.converged

    @property
    def stopped_by_caller(self) -> bool:
        """Whether Ctrl-C or the callback ended it. What would have been fitted next is then not fitted."""
        return self.stop.by_caller

    def plot(self, measure: str | None = None) -> Figure:
        """The training and validation errors against the step, as one matplotlib Figure.

        Args:
            measure: what the errors are called; by default what the history calls them, "RMSE" or "loss".
        """
        from knotwork.drawing import training_curves

        errors: dict[str, list[float | None]] = {"training": [record.train for record in self.history]}
        if any(record.validation is not None for record in self.history):
            errors["validation"] = [record.validation for record in self.history]
        measure = measure or (self.history[0].measure if self.history else "RMSE")
        return training_curves([r.step for r in self.history], errors, [r.grid for r in self.history], measure)

    def __str__(self) -> str:
        shares = [("training", self.train_rmse), ("validation", self.val_rmse), ("test", self.test_rmse)]
        errors = ", ".join(f"{name} {value:.3g}" for name, value in shares if value is not None)
        return (
            f"{self.optimizer} ({self.why}), {self.steps} steps in {self.seconds:.2g} s\n"
            f"RMSE: {errors}\nstopped: {self.stop_reason}"
        )


def held_out(result: FitResult) -> float:
    """RMSE on the validation rows, or on the training rows where there are none."""
    return result.train_rmse if result.val_rmse is None else result.val_rmse


@torch.no_grad()
def rmse(model: nn.Module, x: Tensor, y: Tensor) -> float | None:
    """Root mean squared error over all rows and outputs; None without rows."""
    return float((model(x) - y).square().mean().sqrt()) if len(x) else None
