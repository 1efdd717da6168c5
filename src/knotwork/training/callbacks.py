"""One protocol for long calculations: events, the callbacks that receive them, and the reporter that sends them."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from knotwork.errors import TrainingError
from knotwork.journal import clock, resumed
from knotwork.keywords import check_keywords
from knotwork.solvers import Stop, StopReason
from knotwork.training.settings import TRAINING

T = TypeVar("T")


@check_keywords
@dataclass(frozen=True)
class Event:
    """What a callback receives: one event when a stage begins, and one after every step of the stage.

    In a long search among candidates, which has no steps, the last event is repeated with the present time.

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
    began: float = field(default_factory=clock)
    front: tuple[Any, ...] = ()
    asked: StopReason | None = None
    last: Event | None = None
    sent: float = 0.0


class Reporter:
    """Sends events to callbacks, and records whether a callback asked to stop. Without callbacks it does nothing.

    Whatever reports gets a `Stop` back once a callback has asked to stop. It then ends without a further step, also
    where a stage has only begun. A callback that has asked to stop receives no further event; others, such as the
    built-in display, do. What has no steps to report, such as a search among candidates, asks `late` between them.
    """

    def __init__(self, callbacks: Sequence[Callback] = (), display: Callback | None = None) -> None:
        self._run, self._within, self.until = _Run(tuple(callbacks), display), "", math.inf
        self._stage, self._step, self._steps = "", 0, None

    @property
    def stopped(self) -> bool:
        """Whether a callback, or Ctrl-C, has asked to stop, here or in any part of the same call."""
        return self._run.asked is not None

    @property
    def stop(self) -> Stop | None:
        """The `Stop` of all loops once the caller has asked to stop, in any part of the same call, or time is up."""
        reason = self._run.asked or (StopReason.TIME_BUDGET if self._time_is_up else None)
        return None if reason is None else Stop(reason, reason.value)

    def interrupt(self) -> None:
        """Let the whole call end with what it has, after a Ctrl-C that was caught."""
        self._run.asked = StopReason.INTERRUPTED

    def before(self, until: float) -> "Reporter":
        """The reporter of a part of the call, which has to end at this time of `clock()`, too."""
        inner = Reporter()
        inner._run, inner._within, inner.until = self._run, self._within, min(until, self.until)
        return inner

    @property
    def late(self) -> bool:
        """Whether a search has to end with what it has: its time is up, or a callback asks to stop.

        Callbacks receive their last event once more, with the present time, where that was a while ago.
        """
        if not self._time_is_up and time.perf_counter() > self._run.sent + TRAINING.seconds_between_events:
            self._send_again()
        return self.stop is not None

    def ending(self, *_: object) -> Stop | None:
        """After a step of a solver: its `Stop` if the search has to end (`late`)."""
        return self.stop if self.late else None

    def timely(self, items: Iterable[T]) -> Iterator[T]:
        """The first of these, and the others until a search has to end (`late`)."""
        for number, item in enumerate(items):
            if number and self.late:
                return
            yield item

    @property
    def _time_is_up(self) -> bool:
        return clock() > self.until

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
        inner = self.before(math.inf)
        inner._within = f"{self._within}: {title}" if self._within else title
        return inner

    def front(self, entries: Sequence[Any]) -> Stop | None:
        """Report the formulas found so far, which all later events hold too; a `Stop` if a callback asks to stop."""
        self._run.front = tuple(entries)
        self._send(None)
        return self.stop

    def _send(self, record: Any | None) -> None:
        run = self._run
        seconds = clock() - run.began
        run.last = Event(self._stage, self._step, self._steps, seconds, record, run.front, self._within)
        self._call(run.last, run.callbacks)

    def _send_again(self) -> None:
        run = self._run
        if run.last is not None:
            again = replace(run.last, seconds=clock() - run.began, front=run.front)
            self._call(again, [callback for callback in run.callbacks if callback is not run.display])

    def _call(self, event: Event, callbacks: Sequence[Callback]) -> None:
        run, stopping = self._run, []
        for callback in callbacks:
            with nullcontext() if callback is run.display else run.view():
                if _asks_to_stop(callback(event)):
                    stopping.append(callback)
        if stopping:
            run.asked = run.asked or StopReason.CALLBACK
        run.callbacks = tuple(callback for callback in run.callbacks if callback not in stopping)
        run.sent = time.perf_counter()


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
        reporter = Reporter([each for each in (shown, callback) if each is not None], display=shown)
        if words := resumed():
            reporter.stage(words)
        yield reporter
