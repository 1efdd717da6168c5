"""The result of a fit: errors, history and the reason why it stopped."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from knotwork.keywords import check_keywords
from knotwork.notebooks import one_line, table
from knotwork.solvers import StopReason

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Record:
    """The numbers of one step of a fit.

    Attributes:
        step: number of the step.
        seconds: time since the fit began, in s.
        grid: number of grid intervals of the first layer; 0 for models without a grid.
        train: error on the training rows, without penalty.
        validation: the same on the validation rows; None without such rows.
        measure: "RMSE" for root mean squared errors over all rows and outputs, "loss" for values of the loss that was
            passed.
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


@check_keywords
@dataclass(frozen=True, repr=False)
class FitResult:
    """How a fit went: optimiser, errors, history and the reason why it stopped. `KAN.fit` and the other fits return it.

    Attributes:
        model: the fitted model; `fit` trains it in place.
        optimizer: name of the optimiser, such as "lm".
        why: why "auto" chose this optimiser, or that it was asked for.
        stop: the reason why the fit ended, a `StopReason`.
        stop_reason: a sentence about it, with its numbers.
        objective: what was minimised, on the training rows: the loss plus the penalty, in the square of the targets'
            unit. It is 0 or infinite where float64 has no such number.
        train_rmse: root mean squared error over all training rows and outputs, in units of the targets.
        val_rmse: the same on the validation rows; None without such rows.
        test_rmse: the same on the test rows; None without such rows.
        steps: number of steps that were taken.
        seconds: duration, in s.
        history: one `Record` for each evaluation of the errors.
        smoothness: which smoothness the curves have, and why: off, of a fixed weight, or chosen because the rows hold
            noise; "" where the optimiser has none.

    Example:
        >>> import knotwork as kw
        >>> data = kw.sample("sin(pi*x)", x=(-1, 1), size=100, seed=0)
        >>> result = kw.KAN([1, 1], seed=0).fit(data)
        >>> result.optimizer, result.converged, result.test_rmse < 0.01
        ('lm', True, True)
        >>> figure = result.plot()
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
    smoothness: str = ""

    @property
    def converged(self) -> bool:
        """Whether the fit ended because it cannot be improved, not because of a limit or of the caller."""
        return self.stop.converged

    @property
    def stopped_by_caller(self) -> bool:
        """Whether Ctrl-C or the callback ended the fit. Later fits of the same call are then skipped."""
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

    def __repr__(self) -> str:
        took = f"{self.steps} steps in {self.seconds:.2g} s"
        return f"FitResult({self.optimizer}: RMSE {self._errors()}; {took}; {one_line(self.stop_reason, 80)})"

    def _repr_html_(self) -> str:
        shares = (("training", self.train_rmse), ("validation", self.val_rmse), ("test", self.test_rmse))
        rows = [(f"RMSE, {name} rows", f"{value:.4g}") for name, value in shares if value is not None]
        rows += [("optimiser", f"{self.optimizer} ({self.why})"), ("steps", f"{self.steps} in {self.seconds:.2g} s")]
        return table([*rows, ("converged", "yes" if self.converged else "no"), ("stopped", self.stop_reason)])

    def _errors(self) -> str:
        shares = (("training", self.train_rmse), ("validation", self.val_rmse), ("test", self.test_rmse))
        return ", ".join(f"{name} {value:.3g}" for name, value in shares if value is not None)

    def __str__(self) -> str:
        return (
            f"{self.optimizer} ({self.why}), {self.steps} steps in {self.seconds:.2g} s\n"
            f"RMSE: {self._errors()}\nstopped: {self.stop_reason}"
            + (self.smoothness and f"\nsmoothness: {self.smoothness}")
        )


def held_out(result: FitResult) -> float:
    """RMSE on the validation rows, or on the training rows where there are none."""
    return result.train_rmse if result.val_rmse is None else result.val_rmse


@torch.no_grad()
def rmse(model: nn.Module, x: Tensor, y: Tensor) -> float | None:
    """Root mean squared error over all rows and outputs; None without rows."""
    return float((model(x) - y).square().mean().sqrt()) if len(x) else None


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the values of a model."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
