"""One protocol for long calculations: events, the callbacks that receive them, and the reporter that sends them."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from knotwork.errors import TrainingError
from knotwork.keywords import check_keywords
from knotwork.solvers import Stop, StopReason


@check_keywords
@dataclass(frozen=True)
class Event:
    """What a callback receives: one event when a stage begins, and one after every step of the stage.

    Attributes:
        stage: title of the stage, such as "fit (lm), G=5".
        step: number of the step in the stage; 0 when the stage begins.
        steps: largest number of steps of the stage; None where it is not known.
        seconds: time since the call of the function that reports, in s.
        record: numbers of this step: a `Record` in a fit, a `Step` in the solution of an equation; None at the start.
        front: formulas found so far, simplest first, where formulas are searched.
        within: title of the larger task that the stage belongs to; "" where there is none.

    Example:
        >>> import knotwork as kw
        >>> data = kw.sample("sin(pi*x)", x=(-1, 1), size=100, seed=0)
        >>> steps = []
        >>> result = kw.KAN([1, 1], seed=0).fit(data, optimizer="lm", callback=lambda event: steps.append(event.step))
        >>> steps[:3]
        [0, 1, 2]
        >>> kw.KAN([1, 1], seed=0).fit(data, optimizer="lm", callback=lambda event: event.step == 2).steps
        2
    """

    stage: str
    step: int
    steps: int | None
    seconds: float
    record: Any | None = None
    front: tuple[Any, ...] = ()
    within: str = ""


Callback = Callable[[Event], bool | None]


@dataclass
class _Run:
    """The state that all reporters of one call share."""

    callbacks: tuple[Callback, ...]
    display: Callback | None = None
    view: Callable[[], AbstractContextManager[None]] = nullcontext
    began: float = field(default_factory=time.perf_counter)
    front: tuple[Any, ...] = ()
    stopped: bool = False


class Reporter:
    """Sends events to callbacks, and records whether a callback asked to stop. Without callbacks it does nothing.

    Whatever reports gets a `Stop` back once a callback has asked to stop. It then ends without a further step, also
    where a stage has only begun. A callback that has asked to stop receives no further event; others, such as the
    built-in display, do.
    """

    def __init__(self, callbacks: Sequence[Callback] = (), display: Callback | None = None) -> None:
        self._run, self._within = _Run(tuple(callbacks), display), ""
        self._stage, self._step, self._steps = "", 0, None

    @property
    def stopped(self) -> bool:
        """Whether a callback has asked to stop, here or in any part of the same call."""
        return self._run.stopped

    @property
    def stop(self) -> Stop | None:
        """The `Stop` of all loops once a callback has asked to stop, here or in any part of the same call."""
        return Stop(StopReason.CALLBACK, StopReason.CALLBACK.value) if self.stopped else None

    @contextmanager
    def viewing(self, view: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
        """Within, callbacks of the user are called inside of `view()`; the built-in display needs none."""
        before, self._run.view = self._run.view, view
        try:
            yield
        finally:
            self._run.view = before

    def stage(self, title: str, steps: int | None = None) -> Stop | None:
        """Begin a stage of at most `steps` steps (None: not known); a `Stop` if a callback asks to stop."""
        self._stage, self._steps = title, steps
        return self(0)

    def __call__(self, step: int, record: Any | None = None) -> Stop | None:
        """Report a step of the stage; a `Stop` if a callback asks to stop."""
        self._step = step
        self._send(record)
        return self.stop

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Within, other stages are reported; after them the present one goes on."""
        before = self._stage, self._step, self._steps
        try:
            yield
        finally:
            self._stage, self._step, self._steps = before

    def within(self, title: str) -> "Reporter":
        """Begin a stage that has stages of its own, and return the reporter for those."""
        self.stage(title)
        inner = Reporter()
        inner._run, inner._within = self._run, f"{self._within}: {title}" if self._within else title
        return inner

    def front(self, entries: Sequence[Any]) -> Stop | None:
        """Report the formulas found so far, which all later events hold too; a `Stop` if a callback asks to stop."""
        self._run.front = tuple(entries)
        self._send(None)
        return self.stop

    def _send(self, record: Any | None) -> None:
        run = self._run
        seconds = time.perf_counter() - run.began
        event = Event(self._stage, self._step, self._steps, seconds, record, run.front, self._within)
        answers = []
        for callback in run.callbacks:
            with nullcontext() if callback is run.display else run.view():
                answers.append((callback, _asks_to_stop(callback(event))))
        run.stopped |= any(stops for _, stops in answers)
        run.callbacks = tuple(callback for callback, stops in answers if not stops)


def _asks_to_stop(answer: Any) -> bool:
    return answer is True or (hasattr(answer, "dtype") and bool(answer))  # also True of NumPy or torch


@contextmanager
def reporting(progress: bool | None = None, callback: Callback | None = None) -> Iterator[Reporter]:
    """The reporter of one call: to the built-in display, as `progress` asks, and to `callback`.

    Raises TrainingError where `progress` is not True, False or None, or `callback` cannot be called.
    """
    from knotwork.training.progress import display

    if callback is not None and not callable(callback):
        raise TrainingError(f"callback={callback!r} cannot be called: pass a function of an Event, or None.")
    with display(progress) as shown:
        yield Reporter([each for each in (shown, callback) if each is not None], display=shown)
