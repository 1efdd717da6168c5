"""A line that shows how far a fit is, on a terminal or in a notebook, and nothing anywhere else."""

import builtins
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from knotwork.errors import TrainingError

PATIENCE = 0.1  # seconds between two pictures in a notebook


class Line:
    """What is shown of a fit while it runs: a stage, the step, the losses, the time left. This one shows nothing."""

    def stage(self, title: str, total: int | None = None) -> None:
        """Begin a stage of at most `total` steps; None where that is not known."""

    def __call__(self, step: int, losses: str = "") -> None:
        """Say how far the stage is."""

    def part(self, title: str) -> "Line":
        """The same line for a part of something larger, whose title comes before those of the part's stages."""
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

    def stage(self, title: str, total: int | None = None) -> None:
        self.line.stage(f"{self.title}: {title}", total)

    def __call__(self, step: int, losses: str = "") -> None:
        self.line(step, losses)


class _Log(Line):
    """Plain text on stderr, one line a stage, when the stage is over."""

    def __init__(self) -> None:
        self.title, self.last = "", ""

    def stage(self, title: str, total: int | None = None) -> None:
        self.end()
        self.title, self.last = title, ""
        self.of = "" if total is None else f" of {total}"

    def __call__(self, step: int, losses: str = "") -> None:
        self.last = f": step {step}{self.of}{losses and ', '}{losses}"

    def end(self) -> None:
        if self.title:
            print(f"{self.title}{self.last}", file=sys.stderr, flush=True)


class _Bar(Line):
    """Rich's bar, drawn by Rich or by `draw`."""

    def __init__(self, bar, draw=lambda: None) -> None:
        self.bar, self.draw, self.task = bar, draw, None

    def stage(self, title: str, total: int | None = None) -> None:
        if self.task is not None:
            self.bar.remove_task(self.task)
        self.task, self.total = self.bar.add_task(title, total=total, of="", losses=""), total
        self.draw()

    def __call__(self, step: int, losses: str = "") -> None:
        of = f"{step}" if self.total is None else f"{step}/{self.total}"
        self.bar.update(self.task, completed=step, of=of, losses=losses)
        self.draw()


def _columns() -> tuple:
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.table import Column

    return (
        TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
        BarColumn(bar_width=12),
        TextColumn("{task.fields[of]}", markup=False, table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[losses]}", markup=False, table_column=Column(no_wrap=True)),
        TimeRemainingColumn(compact=True),
    )


def _terminal() -> Iterator[Line]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(*_columns(), console=Console(stderr=True), transient=True) as bar:
        yield _Bar(bar)


def _notebook() -> Iterator[Line]:
    """Rich draws the line as HTML, which is put where it was before; that needs nothing but IPython."""
    from IPython.display import display  # type: ignore[import-not-found]
    from rich.progress import Progress

    bar = Progress(*_columns(), auto_refresh=False)
    handle, drawn = None, time.perf_counter()

    def draw() -> None:
        nonlocal handle, drawn
        if time.perf_counter() - drawn < PATIENCE:
            return
        drawn = time.perf_counter()
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
