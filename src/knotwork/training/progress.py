"""A line that shows how far a fit is, on a terminal or in a notebook, and nothing anywhere else."""

import builtins
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from knotwork.errors import TrainingError

SOON, PAUSE = 0.5, 0.1  # seconds before the first picture in a notebook, and between two


class Line:
    """What is shown of a fit while it runs: a stage, the step, the losses, the time left. This one shows nothing."""

    def stage(self, title: str, total: int | None = None, part: str = "") -> None:
        """Begin a stage of at most `total` steps (None: they are not counted), under the title `part` if it has one."""

    def __call__(self, step: int, losses: str = "") -> None:
        """Say how far the stage is."""

    def part(self, title: str) -> "Line":
        """The same line for a part of something larger, whose stages it shows under that title."""
        return _Part(self, title)


@contextmanager
def progress_line(show: bool | Line | None = None) -> Iterator[Line]:
    """The line of a fit: `show=None` shows it on a terminal and in a notebook, True everywhere, False nowhere.

    A line that is passed is used as it is. On a terminal and in a notebook the line is gone afterwards; elsewhere,
    such as in a log, every stage leaves a line of plain text.
    """
    if isinstance(show, Line):
        yield show
    elif show is not None and not isinstance(show, bool):
        raise TrainingError(f"progress={show!r} is not understood: pass True, False, or None to show it on a terminal.")
    elif show is False:
        yield Line()
    elif _in_notebook():
        yield from _notebook()
    elif sys.stderr.isatty():
        yield from _terminal()
    elif show:
        log = _Log()
        try:
            yield log
        finally:
            log.end()
    else:
        yield Line()


class _Part(Line):
    def __init__(self, line: Line, title: str) -> None:
        self.line, self.title = line, title

    def stage(self, title: str, total: int | None = None, part: str = "") -> None:
        self.line.stage(title, total, f"{self.title}: {part}" if part else self.title)

    def __call__(self, step: int, losses: str = "") -> None:
        self.line(step, losses)


class _Log(Line):
    """Plain text on stderr, one line a stage, when the stage is over."""

    def __init__(self) -> None:
        self.title, self.last = "", ""

    def stage(self, title: str, total: int | None = None, part: str = "") -> None:
        self.end()
        self.title, self.last = f"{part}: {title}" if part else title, ""
        self.of = "" if total is None else f" of {total}"

    def __call__(self, step: int, losses: str = "") -> None:
        self.last = f": step {step}{self.of}{losses and ', '}{losses}"

    def end(self) -> None:
        if self.title:
            print(f"{self.title}{self.last}", file=sys.stderr, flush=True)


class _Bar(Line):
    """Rich's bar, drawn by Rich or by `draw`."""

    def __init__(self, bar: Any, draw: Callable[[], None] = lambda: None) -> None:
        self.bar, self.draw = bar, draw

    def stage(self, title: str, total: int | None = None, part: str = "") -> None:
        for task in self.bar.task_ids:
            self.bar.remove_task(task)
        self.bar.title = part
        self.task, self.total = self.bar.add_task(title, total=total, of="", losses=""), total
        self.draw()

    def __call__(self, step: int, losses: str = "") -> None:
        of = f"{step}" if self.total is None else f"{step}/{self.total}"
        self.bar.update(self.task, completed=step, of=of, losses=losses)
        self.draw()


def _bar(**options: Any) -> Any:
    """Rich's progress bar for one task, under a title where it has one."""
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


def _terminal() -> Iterator[Line]:
    from rich.console import Console

    with _bar(console=Console(stderr=True), transient=True) as bar:
        yield _Bar(bar)


def _notebook() -> Iterator[Line]:
    """Rich draws the line as HTML, which is put where it was before; that needs nothing but IPython."""
    from IPython.display import display  # type: ignore[import-not-found]

    bar = _bar(auto_refresh=False)
    handle, due = None, time.perf_counter() + SOON

    def draw() -> None:
        nonlocal handle, due
        if time.perf_counter() < due:
            return
        due = time.perf_counter() + PAUSE
        if handle is None:
            handle = display(bar, display_id=True)
        else:
            handle.update(bar)

    try:
        yield _Bar(bar, draw)
    finally:
        if handle is not None:
            handle.update({"text/plain": ""}, raw=True)


def _in_notebook() -> bool:
    if not hasattr(builtins, "get_ipython"):
        return False
    from rich.console import Console

    return Console().is_jupyter
