"""A line that shows how far a fit is, on a terminal or in a notebook, and nothing anywhere else."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[int, float, float | None], None]


@contextmanager
def progress_line(title: str, total: int, show: bool | None = None) -> Iterator[Report]:
    """A function report(step, train, validation) that moves the line; `show=None` shows it only on a terminal.

    On a terminal the line is gone afterwards; elsewhere, in a log, `show=True` leaves its last state.
    """
    if not (sys.stderr.isatty() if show is None else show):
        yield lambda step, train, validation: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[losses]}"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=console.is_terminal) as bar:
        task = bar.add_task(title, total=total, losses="")

        def report(step: int, train: float, validation: float | None) -> None:
            held_out = "" if validation is None else f", validation {validation:.2e}"
            bar.update(task, completed=step, losses=f"RMSE {train:.2e}{held_out}")

        yield report
