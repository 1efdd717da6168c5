"""The built-in display of progress: a callback that draws on a terminal or in a notebook, or writes to a log."""

import builtins
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from knotwork.errors import TrainingError
from knotwork.training.callbacks import Callback, Event

FIRST_PICTURE, PAUSE = 0.5, 0.1  # seconds before the first picture in a notebook, and between two


def display(show: bool | None = None) -> AbstractContextManager[Callback | None]:
    """The built-in display. None shows it on a terminal and in a notebook, True everywhere, False nowhere (then None).

    On a terminal and in a notebook the display disappears afterwards. Elsewhere, such as in a log, every stage writes a
    line of plain text to stderr. Raises TrainingError for anything else.
    """
    if show is not None and not isinstance(show, bool):
        raise TrainingError(f"progress={show!r} is not understood: pass True, False, or None to show it on a terminal.")
    if show is False:
        return nullcontext()
    if _in_notebook():
        return _notebook()
    if sys.stderr.isatty():
        return _terminal()
    return _log() if show else nullcontext()


class _Log:
    """Plain text on stderr: one line for each stage, when the stage is over."""

    def __init__(self) -> None:
        self.last: Event | None = None

    def __call__(self, event: Event) -> None:
        last = self.last
        if last is not None and (last.stage, last.within) != (event.stage, event.within):
            if last.step or not _begins(event, last):
                self.end()
        elif last is not None and not event.step and last.step:  # the same stage again
            self.end()
        self.last = event

    def end(self) -> None:
        """Write the line of the last stage."""
        if self.last is None:
            return
        event = self.last
        title = f"{event.within}: {event.stage}" if event.within else event.stage
        of = "" if event.steps is None else f" of {event.steps}"
        step = f": step {event.step}{of}" if event.step else ""
        print(f"{title}{step}{_numbers(event, ', ')}", file=sys.stderr, flush=True)


@contextmanager
def _log() -> Iterator[Callback]:
    log = _Log()
    try:
        yield log
    finally:
        log.end()


class _Bar:
    """Rich's bar, drawn by Rich or by `draw`."""

    def __init__(self, bar: Any, draw: Callable[[], None] = lambda: None) -> None:
        self.bar, self.draw = bar, draw
        self.stage: tuple[str, str] | None = None

    def __call__(self, event: Event) -> None:
        if not event.step or self.stage != (event.stage, event.within):
            for task in self.bar.task_ids:
                self.bar.remove_task(task)
            self.bar.title, self.stage = event.within, (event.stage, event.within)
            self.task = self.bar.add_task(event.stage, total=event.steps, of="", losses="")
        if event.step:
            of = f"{event.step}" if event.steps is None else f"{event.step}/{event.steps}"
            self.bar.update(self.task, completed=event.step, of=of, losses=_numbers(event))
        self.draw()


def _begins(event: Event, outer: Event) -> bool:
    """Whether the stage of `event` is a part of the stage `outer`."""
    return event.within == (f"{outer.within}: {outer.stage}" if outer.within else outer.stage)


def _numbers(event: Event, before: str = "") -> str:
    return "" if event.record is None else f"{before}{event.record}"


def _bar(**options: Any) -> Any:
    """Rich's progress bar for one task, with a title where the task has one."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Titled(Progress):
        title = ""

        def get_renderables(self) -> Iterator[Any]:
            if self.title:
                yield Text(self.title, no_wrap=True, overflow="ellipsis")
            yield self.make_tasks_table(self.tasks)

    texts = [TextColumn(f"{{task.{field}}}", markup=False) for field in ("description", "fields[of]", "fields[losses]")]
    return Titled(texts[0], BarColumn(bar_width=12), *texts[1:], TimeRemainingColumn(compact=True), **options)


@contextmanager
def _terminal() -> Iterator[Callback]:
    from rich.console import Console

    with _bar(console=Console(stderr=True), transient=True) as bar:
        yield _Bar(bar)


@contextmanager
def _notebook() -> Iterator[Callback]:
    """Rich writes the bar as HTML, which replaces the previous one. Only IPython is needed."""
    from IPython.display import display as show  # type: ignore[import-not-found]

    bar = _bar(auto_refresh=False)
    handle, due = None, time.perf_counter() + FIRST_PICTURE

    def draw() -> None:
        nonlocal handle, due
        if time.perf_counter() < due:
            return
        due = time.perf_counter() + PAUSE
        if handle is None:
            handle = show(bar, display_id=True)
        else:
            handle.update(bar)

    try:
        yield _Bar(bar, draw)
    finally:
        if handle is not None:
            handle.update({}, raw=True)  # an output without a type: notebooks and pages show nothing


def _in_notebook() -> bool:
    if not hasattr(builtins, "get_ipython"):
        return False
    from rich.console import Console

    return Console().is_jupyter
