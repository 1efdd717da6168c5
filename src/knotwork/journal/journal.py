"""A long calculation in a file: what it has finished, and the state of the loop that runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from knotwork.errors import CheckpointError, warn
from knotwork.journal.encoding import Value, copied
from knotwork.journal.journal_file import checked_path, read, write
from knotwork.journal.settings import JOURNAL


@dataclass
class Entry:
    """What is known about one part of a calculation.

    Attributes:
        value: the result of the part where it is done, else the state of its loop.
        done: whether the part is done.
        seconds: time spent on it so far, in s.
    """

    value: Value
    done: bool
    seconds: float


class Journal:
    """One part of a calculation: what was kept of it by an earlier run, and where to keep what it does now.

    A calculation that is repeated with the same arguments takes the same way. So a part is known by its number in the
    order in which parts begin, within the part that it belongs to. A part that is done is not computed again: its
    result is read here, and all that is cheap is computed again around it. The loop that runs keeps its state every few
    seconds and goes on from it.

    Without a file nothing is kept, and nothing is spent on it.

    Example:
        >>> import tempfile, pathlib
        >>> from knotwork.journal import journal_in
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "squares.kw"
        >>> for run in (1, 2):
        ...     with journal_in(path, {"calculation": "squares"}) as journal:
        ...         for n in (2, 3):
        ...             part = journal.part()
        ...             if not part.done:
        ...                 part.finish(n * n)
        ...             print(run, part.value)
        1 4
        1 9
        2 4
        2 9
    """

    def __init__(self, book: Book | None = None, place: str = "") -> None:
        self._book, self._place, self._parts = book, place, 0
        self._began, self._spent = time.perf_counter(), 0.0
        if book is not None and place in book.entries:
            self._spent = book.entries[place].seconds
        if book is not None and not self.done:
            book.running[place] = self

    @property
    def value(self) -> Value:
        """A copy of the result of a part that is done, else of the last state of its loop; None where none is known."""
        entry = self._entry
        return None if entry is None else copied(entry.value)

    @property
    def seen(self) -> Value:
        """The same, but not copied: only to look at."""
        return None if self._entry is None else self._entry.value

    @property
    def book(self) -> Book | None:
        """The book that it is kept in; None without a file."""
        return self._book

    @property
    def known(self) -> bool:
        """Whether there is a value."""
        return self._entry is not None and self._entry.value is not None

    @property
    def done(self) -> bool:
        """Whether the part is done."""
        return self._entry is not None and self._entry.done

    @property
    def seconds(self) -> float:
        """Time spent on this part, also by earlier runs, in s; what was spent in all where it is done."""
        return self._spent if self.done else self._spent + time.perf_counter() - self._began

    def part(self) -> Journal:
        """The next part of this one."""
        self._parts += 1
        return Journal(self._book, f"{self._place}/{self._parts}")

    def beside(self, name: str) -> Journal:
        """What is kept under a name of its own, and stays there when this part is done."""
        return Journal(self._book, name)

    def set(self, value: Value, done: bool = False) -> None:
        """Keep a value beside the loops, for the next write; `done` if it alone makes the file worth going on from."""
        if self._book is not None:
            self._set(value, done)

    def keep(self, state: Callable[[], Value], at_once: bool = False) -> None:
        """Keep the state of the loop that runs, if it is time to write the file, or `at_once`."""
        if self._book is not None and (at_once or self._book.is_due()):
            self._set(state(), done=False)
            self._book.write()

    def finish(self, value: Value = None, drop_parts: bool = True) -> None:
        """Keep the result of this part, in place of what is known about its own parts unless these are to stay."""
        book = self._book
        if book is None or self.done:
            return
        self._set(value, done=True)
        self._spent = book.entries[self._place].seconds
        book.running.pop(self._place, None)
        if drop_parts:
            for place in [one for one in book.entries if one.startswith(f"{self._place}/")]:
                del book.entries[place]
                book.running.pop(place, None)
        if book.is_due():
            book.write()

    @property
    def _entry(self) -> Entry | None:
        return None if self._book is None else self._book.entries.get(self._place)

    def _set(self, value: Value, done: bool) -> None:
        assert self._book is not None
        try:
            self._book.entries[self._place] = Entry(copied(value), done, self.seconds)
            self._book.changed = True
        except TypeError as error:
            self._book.entries.setdefault(self._place, Entry(None, False, self.seconds))
            self._book.warn(f"The state of this calculation cannot be kept: {error}.")


class Book:
    """The entries of one calculation by their places, and when they are written to the file."""

    def __init__(self, path: str, question: Mapping[str, str]) -> None:
        self.path, self.question, self.warned = path, dict(question), False
        self.entries = {place: Entry(*entry) for place, entry in read(path, self.question).items()}
        self.running: dict[str, Journal] = {}
        self.changed, self.due = False, 0.0
        if "" not in self.entries or not self.entries[""].done:  # a finished one is only read
            self.put_down()

    def is_due(self) -> bool:
        """Whether it is time to write the file."""
        return time.perf_counter() >= self.due

    def put_down(self) -> None:
        """Write the file, with the time that the parts that run have taken; CheckpointError if that is not possible."""
        began = time.perf_counter()
        for place, journal in self.running.items():
            self.entries.setdefault(place, Entry(None, False, 0.0)).seconds = journal.seconds
        write(self.path, self.question, {place: (e.value, e.done, e.seconds) for place, e in self.entries.items()})
        now = time.perf_counter()
        self.changed, self.due = False, now + max(JOURNAL.seconds_between, (now - began) / JOURNAL.share_of_time)

    def write(self) -> None:
        """Write the file; where that is not possible, warn once and let the calculation go on."""
        try:
            self.put_down()
        except CheckpointError as error:
            self.due = time.perf_counter() + JOURNAL.seconds_between
            self.warn(str(error))

    def warn(self, why: str) -> None:
        """Warn, once in a calculation, that it goes on without its file."""
        if not self.warned:
            what = "The calculation goes on; the file stays as it was written last."
            warn(f"{why} {what}")
        self.warned = True


@contextmanager
def journal_in(path: object, question: Mapping[str, str] | Callable[[], Mapping[str, str]]) -> Iterator[Journal]:
    """The journal of a calculation in the file `path`; None: one that keeps nothing.

    The file is written before the calculation begins, so that a path that cannot be written is refused then. It is
    written at the end too, however that comes.

    Args:
        path: the file; it is made, or what it holds is gone on from.
        question: all that the result depends on, each part as a text by its name; or a function that gives it, which
            is called only where there is a file.

    Raises:
        CheckpointError: the file cannot be written, is none of a calculation, or belongs to another one.
    """
    if path is None:
        yield Journal()
        return
    book = Book(checked_path(path), question() if callable(question) else question)
    try:
        yield Journal(book)
    finally:
        if book.changed:
            book.write()
