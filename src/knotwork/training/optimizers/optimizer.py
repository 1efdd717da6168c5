"""The interface of optimisers: a value with its own settings, which minimises the objective of one fit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any, ClassVar, TypeGuard

import torch
from torch import Tensor, nn

from knotwork.data import Dataset, Stream
from knotwork.errors import TrainingError
from knotwork.journal import Journal
from knotwork.model import is_whole
from knotwork.solvers import Ended, Stop, StopReason
from knotwork.training.objective import Objective
from knotwork.training.standardization import Standardization
from knotwork.training.watch import Watch


@dataclass(frozen=True)
class Task:
    """One fit, as an optimiser receives it. The model is trained in place.

    `x` (n, in) and `y` (n, out) are the training rows, with targets in the standard `units`, and `data` is what they
    come from. `dtype` is the type of the model outside of the fit. `watch(step, loss)` is called after every step, with
    the loss where it is known; it keeps the best state and returns a `Stop` where the fit is to end. `first` is True
    for a KAN that was never fitted. `title` names the stage of the steps. A loop of steps goes on from the state that
    `resume()` returns, and passes its own state to `keep` after every step that `watch` has seen.
    `smoothness` is that of `fit`, `near` that of `FitOptions`. `beside` is what else changes from step to step:
    `kept()` gives it as a value, and `resume(value)` puts it back.
    """

    model: nn.Module
    data: Dataset | Stream
    x: Tensor
    y: Tensor
    units: Standardization
    dtype: torch.dtype
    objective: Objective
    watch: Watch
    generator: torch.Generator
    steps: int
    update_grid: bool
    first: bool = False
    title: str = "fit"
    journal: Journal = field(default_factory=Journal)
    smoothness: float | str | None = None
    near: bool = False
    beside: Any = None

    def begin(self) -> Stop | None:
        """Report that the steps begin; a `Stop`, and then no step is made, where there is a reason to end.

        It is a callback that asked, that nothing can be trained, or that an earlier run has used up the patience.
        """
        kept, watch = self.journal.seen, self.watch
        again = "" if kept is None else f", resumed at step {kept['loop']['step']}"
        stop = watch.reporter.stop or watch.reporter.stage(f"{self.title}{again}", self.steps)
        if not any(parameter.requires_grad for parameter in self.model.parameters()):
            stop = stop or Stop(StopReason.NOTHING_TO_TRAIN, StopReason.NOTHING_TO_TRAIN.value)
        stop = stop or (None if kept is None else watch.out_of_patience(kept["watch"]["waited"]))
        if stop:
            self.resume()
        return stop

    @property
    def goes_on(self) -> bool:
        """Whether an earlier run has kept a state of the steps."""
        return self.journal.known

    def resume(self) -> Any | None:
        """The state of the loop that `keep` kept, with the model and `watch` as they were; None if there is none."""
        kept = self.journal.value
        if kept is None:
            return None
        self._put_back(kept)
        return kept["loop"]

    def keep(self, state: Callable[[], Any], at_once: bool = False) -> None:
        """Keep the state of the loop, with its "step", the model and `watch`, if it is time to, or `at_once`."""
        self.journal.keep(lambda: {**self._kept(), "loop": state()}, at_once)

    def stage(self) -> Task:
        """The same fit, which keeps the state of a stage of its own."""
        return replace(self, journal=self.journal.part())

    @property
    def ended(self) -> Ended | None:
        """How this stage ended in an earlier run, with the model and `watch` as they were then; None if it did not."""
        if not self.journal.done:
            return None
        kept = self.journal.value
        self._put_back(kept)
        return Ended.of(kept["ended"])

    def finish(self, ended: Ended) -> None:
        """Keep how this stage ended, with the model and `watch`, unless the caller ended it."""
        if not ended.reason.by_caller:
            self.journal.finish({**self._kept(), "ended": ended.as_value()})

    def _kept(self) -> dict[str, Any]:
        beside = None if self.beside is None else self.beside.kept()
        return {"model": self.model.state_dict(), "watch": self.watch.kept(), "beside": beside}

    def _put_back(self, kept: dict[str, Any]) -> None:
        self.model.load_state_dict(kept["model"])
        self.watch.resume(kept["watch"])
        if self.beside is not None:
            self.beside.resume(kept["beside"])


class Optimizer(ABC):
    """An optimiser with its settings. A new optimiser is a subclass, and a line in `OPTIMIZERS` if it has a name.

    `most_steps` is the number of steps that `fit` makes at most unless `steps=` says otherwise. `precision` is the type
    that it computes in, whatever the type of the model; None: that of the model.
    """

    most_steps: ClassVar[int] = 2000
    precision: ClassVar[torch.dtype | None] = None

    @property
    def name(self) -> str:
        """The name in `FitResult.optimizer`."""
        return type(self).__name__

    def check(self, model: nn.Module, data: Dataset | Stream, objective: Objective) -> None:  # noqa: B027
        """Raise TrainingError where this optimiser cannot fit this model to these data; by default it always can."""

    @abstractmethod
    def minimise(self, task: Task) -> Ended:
        """Train `task.model` in place; the number of steps, and why they ended."""


def check_count(**values: object) -> None:
    """TrainingError for a value that is neither None nor a whole number of at least 1."""
    for name, value in values.items():
        if value is not None and (not is_whole(value) or value < 1):  # type: ignore[operator]
            raise TrainingError(f"{name}={value!r} is not possible: it must be a whole number of at least 1.")


def check_rate(lr: object) -> None:
    """TrainingError for a learning rate that is not a positive number."""
    if not (is_number(lr) and lr > 0):
        raise TrainingError(f"lr={lr!r} is not possible: a learning rate must be positive.")


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a real number, and not True or False."""
    return isinstance(value, Real) and not isinstance(value, bool)


def refuse_stream(name: str, data: Dataset | Stream) -> None:
    """TrainingError for an optimiser that needs all rows at once where they come in batches."""
    if isinstance(data, Stream):
        raise TrainingError(
            f"optimizer={name!r} needs all rows at once, but these come in batches; use 'adam', or fit the "
            "sample in memory, data.sample."
        )
