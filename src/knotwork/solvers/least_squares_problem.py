"""What the loop minimises: the interface of a problem, and the common case of one parameter tensor."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from knotwork.solvers.damping import Step, System
from knotwork.solvers.stop_reason import Stop


class Problem(ABC):
    """An objective together with the place in parameter space where it is evaluated.

    The loop (`knotwork.solvers.gauss_newton`) decides about damping, acceptance, counting and the reason to stop; all
    else is the problem's. For every step the loop calls `linearise` (not again after a rejected step), `accelerated`,
    `attempt`, and then either `accept`, `progressed`, `follow`, or `reject`.

    `loss` is what tolerance, target and callbacks refer to, at the present place. It may differ from the objective that
    decides on acceptance, for example by a penalty whose weight changes. The problem sets it in `begin` and `accept`,
    and in `follow` and `restart` if it changes there.
    """

    loss: float
    name = "loss"
    """The word for `loss` in sentences."""
    not_finite = "the loss is NaN where the fit began, so no step can be judged"
    """The sentence for a loss that is NaN at the start."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of parameters; with none there is nothing to train."""

    @abstractmethod
    def begin(self) -> None:
        """Evaluate the objective at the first parameters and set `loss`."""

    @abstractmethod
    def linearise(self) -> System:
        """The quadratic model at the present place."""

    def accelerated(self, step: Step) -> Tensor:
        """The step with its geodesic acceleration, (P,); by default the plain step."""
        return step.vector

    @abstractmethod
    def attempt(self, vector: Tensor) -> float:
        """Move by `vector` (P,). Returns the decrease of the objective, NaN if it is not finite there."""

    @abstractmethod
    def accept(self) -> None:
        """Stay at the attempted place and set `loss`."""

    @abstractmethod
    def reject(self) -> None:
        """Go back to the place before the attempt, exactly. It may be called when nothing was attempted."""

    def progressed(self, lowest: float, tolerance: float) -> bool:
        """Whether the step just accepted counts as progress against the lowest loss before it."""
        return self.loss < (1 - tolerance) * lowest

    def no_progress(self, patience: int, tolerance: float) -> str:
        """The sentence for `patience` steps in a row without progress."""
        return f"converged: {patience} steps in a row brought no {self.name} lower by {tolerance:g} of it"

    def follow(self) -> None:  # noqa: B027  (most problems have nothing that follows)
        """Adapt what follows the parameters after an accepted step, such as hidden grids; may change `loss`."""

    def restart(self, stop: Stop | None, remaining: int | None) -> bool:
        """Change the problem before the loop ends; True if it changed, then damping starts anew and the loop goes on.

        Called after every attempt, with the reason to stop, if there is one, and the number of remaining steps.
        """
        return False

    @property
    def reported(self) -> float:
        """What the callback gets as loss."""
        return self.loss

    def kept(self) -> Any:
        """What the loop needs to go on in another process, after an accepted step; for a `Keeper`."""
        raise NotImplementedError

    def resume(self, kept: Any) -> None:
        """Begin where `kept` was kept, in place of `begin`."""
        raise NotImplementedError

    def state(self) -> Any:
        """A copy of everything that `restore` needs; for `Options.keep_best`."""
        raise NotImplementedError

    def restore(self, state: Any) -> None:
        """Go back to a state, exactly."""
        raise NotImplementedError


class VectorProblem(Problem):
    """A problem whose place is one parameter tensor `at` of any shape.

    A subclass gives `evaluate` and `linearise`; after the loop, `at`, `loss` and `seen` are those of the last accepted
    step. `seen` is what `evaluate` returned beside the loss, such as the residuals, so that `linearise` need not
    compute it again.
    """

    def __init__(self, start: Tensor) -> None:
        self.at = start
        self.seen: Any = None
        self._attempted: tuple[Tensor, float, Any] | None = None

    @property
    def size(self) -> int:
        return self.at.numel()

    @abstractmethod
    def evaluate(self, at: Tensor) -> tuple[float, Any]:
        """The loss at these parameters, and anything worth keeping with it. The loss may be NaN or infinite."""

    def moved(self, vector: Tensor) -> Tensor:
        """The parameters after a step (P,)."""
        return self.at + vector.view_as(self.at)

    def begin(self) -> None:
        self.loss, self.seen = self.evaluate(self.at)

    def attempt(self, vector: Tensor) -> float:
        at = self.moved(vector)
        loss, seen = self.evaluate(at)
        self._attempted = at, loss, seen
        return self.loss - loss

    def accept(self) -> None:
        assert self._attempted is not None
        self.at, self.loss, self.seen = self._attempted

    def reject(self) -> None:
        self._attempted = None

    def state(self) -> tuple[Tensor, float, Any]:
        return torch.clone(self.at), self.loss, self.seen

    def restore(self, state: tuple[Tensor, float, Any]) -> None:
        self.at, self.loss, self.seen = state
