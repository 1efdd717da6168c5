"""What is searched for, what is known beforehand, and how long the search may take."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, Literal, NamedTuple

from knotwork.data import Dataset, seeded
from knotwork.discovery.column_units import Units
from knotwork.discovery.discovery import Entry
from knotwork.discovery.settings import DISCOVERY
from knotwork.errors import TrainingError
from knotwork.formulas.dimensions import Dimensions
from knotwork.journal import clock
from knotwork.regression import Constraints, Failures, Limits
from knotwork.solvers import Stop, StopReason
from knotwork.training import Reporter

LOSSES = ("auto", "mse", "relative", "huber", "poisson", "cross_entropy")


@dataclass(frozen=True)
class Task:
    """The data, and what every search needs to know.

    The search `began` at this time, and may take `time_budget` seconds, or as long as it needs.
    Times are those of `clock`. `own` are the units of the columns of `data`. `inputs` are the numbers of
    the inputs without the `dependent` ones, the linear combinations of others. With `relative`, errors are
    shares of the targets. `failures` counts the candidates whose calculation failed. A search ends without networks if
    there are `doubts` about some of its rows. `start` are expressions of columns in their own units to go on from.
    """

    data: Dataset
    constraints: Constraints
    dimensions: Dimensions | None
    seed: int
    began: float
    time_budget: float | None
    reporter: Reporter
    own: Units
    inputs: tuple[int, ...] = ()
    dependent: Mapping[str, Any] = field(default_factory=dict)
    relative: bool = False
    failures: Failures = field(default_factory=Failures)
    start: tuple[Any, ...] = ()
    doubts: Callable[["Task", Sequence[Entry]], bool] = lambda task, entries: False

    @property
    def until(self) -> float:
        """When no further network is tried."""
        return float("inf") if self.time_budget is None else self.began + self.time_budget

    @property
    def formulas_until(self) -> float:
        """When the search among structures of curves ends."""
        if self.time_budget is None:
            return float("inf")
        return self.began + DISCOVERY.formula_share * self.time_budget

    @property
    def formulas_deadline(self) -> Reporter:
        """The reporter of the search among structures of curves."""
        return self.reporter.before(self.formulas_until)

    @property
    def deadline(self) -> Reporter:
        """The reporter of all that ends with the time budget."""
        return self.reporter.before(self.until)

    @property
    def stopped(self) -> StopReason:
        """Why a search ended that was stopped: by a callback, or by Ctrl-C."""
        stop = self.reporter.stop
        return StopReason.INTERRUPTED if stop is None else stop.reason

    def show(self, front: tuple[Entry, ...]) -> Stop | None:
        """Report the front of formulas so far, for columns in their own units; a `Stop` if a callback asks to stop."""
        return self.reporter.front(self.own.shown(front))


@dataclass(frozen=True)
class Asked:
    """Those arguments of `discover` that say what is searched for; `limited` are those of `Limits.of`."""

    lib: Iterable[str] | None
    forbid: Iterable[str] | None
    linear: Iterable[str] | None
    limited: Sequence[Any]
    units: Mapping[str, str] | Literal[False] | None
    form: str | None
    start: Any
    loss: str
    seed: int
    keep_outliers: bool

    def constraints(self, data: Dataset) -> Constraints:
        """What formulas of these rows must satisfy; SpecError or DataError for what is not possible."""
        columns = data.input_names
        return Constraints.of(self.lib, self.forbid, self.linear, columns, Limits.of(columns, *self.limited))


def read_once(names: Any) -> Any:
    """The names that an iterator gives, which can be read only once, as a tuple; anything else as it is."""
    return tuple(names) if isinstance(names, Iterator) else names


class Found(NamedTuple):
    """What one search found: its entries, the front shown so far, and why the whole search ends, if it does."""

    entries: tuple[Entry, ...]
    front: tuple[Entry, ...]
    reason: StopReason | None


def late(until: float) -> bool:
    """Whether this time of `clock` is over."""
    return clock() > until


def check_settings(seed: int, time_budget: float | None, loss: str) -> None:
    """Refuse a seed, a time budget or a loss that is not possible, before any work; TrainingError."""
    seeded(seed)
    if loss not in LOSSES:
        raise TrainingError(f"loss={loss!r} is not possible: give one of {', '.join(map(repr, LOSSES))}.")
    if time_budget is not None and (not isinstance(time_budget, Real) or not time_budget >= 0):
        raise TrainingError(
            f"time_budget={time_budget!r} is not possible: give seconds, 0 or more, or None for no end."
        )


def asked_for(task: Task, given: bool, loss: str) -> dict[str, Any]:
    """The settings of a search, to be kept with its result; functions only if they were `given`."""
    return {
        "seed": task.seed,
        "functions": task.constraints.names if given else None,
        "forbidden": [function.name for function in task.constraints.forbidden],
        "linear": list(task.constraints.linear),
        "limits": task.constraints.limits.said(),
        "time budget": task.time_budget,
        "loss": "relative" if task.relative else "mse" if loss == "auto" else loss,
        "temperatures": task.own.said,
        "split": "" if task.data.row_split is None else task.data.row_split.words,
    }
