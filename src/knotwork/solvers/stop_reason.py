"""Why a loop ended, and after how many steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol


class StopReason(Enum):
    """Why a fit, a search or a solution ended. The value is a sentence; `Ended.sentence` may add numbers to it."""

    CONVERGED = "the objective hardly falls any more"
    ROUNDING = "only rounding errors are left"
    NO_STEP = "no step lowers the objective"
    STEP_LIMIT = "the limit of steps was reached"
    PATIENCE = "the validation loss does not fall any more"
    INTERRUPTED = "interrupted; the best state so far was kept"
    CALLBACK = "stopped by the callback"
    NOT_FINITE = "the objective is NaN or infinite"
    CONSTANT = "the targets are constant, so that no step is needed"
    NOTHING_TO_TRAIN = "there is no parameter to train"
    NO_BETTER_THAN_MEAN = "the error is that of predicting the mean, or above it"
    UNSOLVED = "an equation or a condition is not met, or the error is large"
    EXACT = "the formula is exact to rounding"
    RANDOM_RESIDUAL = "the residual looks random"
    NO_MORE_TO_EXPLAIN = "a general network explains hardly more"
    EXHAUSTED = "all candidates were tried"
    TIME_BUDGET = "the time budget was used up"

    @property
    def converged(self) -> bool:
        """Whether the loop ended because the result cannot be improved, rather than because something stopped it."""
        return self in _CONVERGED

    @property
    def by_caller(self) -> bool:
        """Whether Ctrl-C or a callback ended the loop. A series of fits ends then, too."""
        return self in (StopReason.INTERRUPTED, StopReason.CALLBACK)


_CONVERGED = frozenset(
    {
        StopReason.CONVERGED,
        StopReason.ROUNDING,
        StopReason.CONSTANT,
        StopReason.NO_STEP,
        StopReason.NOTHING_TO_TRAIN,
        StopReason.EXACT,
        StopReason.RANDOM_RESIDUAL,
    }
)


@dataclass(frozen=True)
class Stop:
    """A request to stop: the reason, and one sentence for the user with its numbers."""

    reason: StopReason
    sentence: str

    def after(self, steps: int) -> Ended:
        """The result of a loop that this stopped after so many accepted steps."""
        return Ended(steps, self.reason, self.sentence)


@dataclass(frozen=True)
class Ended:
    """How a loop ended: the number of accepted steps, the reason, and one sentence for the user."""

    steps: int
    reason: StopReason
    sentence: str

    @property
    def converged(self) -> bool:
        """Whether the result cannot be improved (`StopReason.converged`)."""
        return self.reason.converged

    def as_value(self) -> tuple[int, str, str]:
        """For a journal."""
        return self.steps, self.reason.name, self.sentence

    @classmethod
    def of(cls, value: tuple[int, str, str]) -> Ended:
        """What `as_value` gave."""
        steps, reason, sentence = value
        return cls(steps, StopReason[reason], sentence)


EachStep = Callable[[int, float], Stop | None]
"""Called after every accepted step with its number (from 1) and the loss. A `Stop` ends the loop."""


class Keeper(Protocol):
    """Where a loop keeps its state, so that the same loop in another process can go on from it."""

    def resume(self) -> Any | None:
        """The state of the loop that was kept, after what surrounds it is as it was then; None if there is none."""
        ...

    def keep(self, state: Callable[[], Any], at_once: bool = False) -> None:
        """Keep the state of the loop, of numbers, tensors and dicts with a "step", if it is time to, or `at_once`."""
        ...


class StagedKeeper(Keeper, Protocol):
    """A keeper of a calculation in stages: earlier ones each have a keeper from `stage()`, the last one has this."""

    def stage(self) -> StagedKeeper:
        """The keeper of the next stage but the last."""
        ...

    @property
    def ended(self) -> Ended | None:
        """How the stage ended in an earlier run, after all is as it was then; None if it did not."""
        ...

    def finish(self, ended: Ended) -> None:
        """Keep how the stage ended, with all as it is now."""
        ...
