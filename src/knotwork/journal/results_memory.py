"""Results of pure functions in a file: a calculation that is repeated reads them, and goes on where a kill ended it.

A result is known by the name of its function and a fingerprint of its arguments, so it is right wherever it is asked
for again, in whatever order. What is cheap is computed again around it. Time that was spent on results that are read
counts as if they had been computed: `clock` tells the time of such a calculation, and a budget of time ends it where it
would have ended without the kill.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import torch
from torch import Tensor

from knotwork.journal.encoding import Value, copied
from knotwork.journal.fingerprints import Fingerprints
from knotwork.journal.journal import Book, Entry, Journal, journal_in
from knotwork.journal.settings import JOURNAL

T = TypeVar("T")
PART = "=part "  # before the place of a long part, which has parts of its own


def clock() -> float:
    """Time in s, of `time.perf_counter` and of what was read from a file in place of being computed."""
    memory = _MEMORY.get()
    return time.perf_counter() + (0.0 if memory is None else memory.skipped)


def recalled(
    name: str,
    given: Callable[[], Any],
    compute: Callable[[], T],
    kept: Callable[[T], Value],
    back: Callable[[Value], T],
    complete: Callable[[], bool] | None = None,
) -> T:
    """The result of a pure function: read where the calculation that runs has it in its file, else computed and kept.

    Args:
        name: of the function.
        given: a function that gives all that the result depends on.
        compute: computes the result.
        kept: the result as a value for the file.
        back: the inverse.
        complete: whether the result is complete, rather than cut off by a callback or a budget; None: always.
    """
    memory = _MEMORY.get()
    return compute() if memory is None else memory.recalled(name, given, compute, kept, back, complete)


def part_of(given: Callable[[], Any]) -> Journal:
    """The journal of a long part of the calculation that runs, known by all that its result depends on."""
    memory = _MEMORY.get()
    return Journal() if memory is None else memory.part(given)


def resumed() -> str:
    """What the calculation that runs goes on from, in words; "" where it begins."""
    memory = _MEMORY.get()
    if memory is None or not memory.resumed:
        return ""
    return f"going on from {memory.book.path}: {memory.resumed:,} results of {memory.seconds:.0f} s"


@contextmanager
def remembering(path: object, question: Callable[[], Mapping[str, str]]) -> Iterator[Memory | None]:
    """Within, results are kept in the file `path` and read from it, as in `journal_in`; None: nothing is kept."""
    with journal_in(path, question) as journal:
        token = _MEMORY.set(None if journal.book is None else Memory(journal.book))
        try:
            yield _MEMORY.get()
        finally:
            _MEMORY.reset(token)


class Memory:
    """The results that are known, in the book of one calculation.

    Attributes:
        resumed: number of results that were there when it began.
        seconds: time that was spent on them, in s.
        skipped: time that was spent on results that were read so far.
    """

    def __init__(self, book: Book) -> None:
        self.book, self.fingerprints, self.skipped = book, Fingerprints(), 0.0
        known = {place: entry for place, entry in book.entries.items() if place.startswith("=") and "/" not in place}
        self.resumed, self.seconds = len(known), sum(entry.seconds for entry in known.values())
        self.sizes = {p: size_of(entry.value) for p, entry in known.items() if not p.startswith(PART)}
        self.size = sum(self.sizes.values())
        self.touched: list[str] = []  # results that the function that runs has used

    def recalled(
        self,
        name: str,
        given: Callable[[], Any],
        compute: Callable[[], T],
        kept: Callable[[T], Value],
        back: Callable[[Value], T],
        complete: Callable[[], bool] | None,
    ) -> T:
        """See the function `recalled`."""
        try:
            place = f"={name} {self.fingerprints.of(given())}"
        except TypeError:  # a library of somebody's own may hold what has no fingerprint
            return compute()
        entry = self.book.entries.get(place)
        if entry is not None:
            self.touched.append(place)
            self.skipped += entry.seconds
            return back(copied(entry.value))
        began, outside = clock(), self.touched
        self.touched = []
        try:
            result = compute()
        finally:
            inside, self.touched = self.touched, outside
            outside.extend(inside)
        seconds = clock() - began
        if seconds >= JOURNAL.seconds_worth_keeping and (complete is None or complete()):
            for one in inside:  # the result stands for those that it was made of
                self._drop(one)
            del outside[len(outside) - len(inside) :]
            outside.append(place)
            self._keep(place, Entry(copied(kept(result)), True, seconds))
        return result

    def part(self, given: Callable[[], Any]) -> Journal:
        """See the function `part_of`."""
        journal = Journal(self.book, f"{PART}{self.fingerprints.of(given())}")
        self.skipped += journal.seconds
        return journal

    def _keep(self, place: str, entry: Entry) -> None:
        self.book.entries[place] = entry
        self.book.changed = True
        self.sizes[place] = size_of(entry.value)
        self.size += self.sizes[place]
        if self.size > JOURNAL.most_bytes:
            self._shrink()
        if self.book.is_due():
            self.book.write()

    def _drop(self, place: str) -> None:
        self.book.entries.pop(place, None)
        self.size -= self.sizes.pop(place, 0)

    def _shrink(self) -> None:
        """Drop results of which a byte saves least time, until half of the space is free."""
        entries = self.book.entries
        for place in sorted(self.sizes, key=lambda one: entries[one].seconds / self.sizes[one]):
            if self.size <= JOURNAL.most_bytes / 2:
                break
            self._drop(place)


def size_of(value: Value) -> int:
    """About the number of bytes of a value in a file."""
    if isinstance(value, Tensor):
        return 100 + value.numel() * value.element_size()
    if isinstance(value, Mapping):
        return 20 + sum(size_of(one) + len(str(key)) for key, one in value.items())
    if isinstance(value, list | tuple):
        return 20 + sum(map(size_of, value))
    return 20 + (len(value) if isinstance(value, str) else 0)


def after(generator: torch.Generator, compute: Callable[[], T]) -> Callable[[], tuple[T, Tensor]]:
    """A function that gives the result together with the state of the generator afterwards."""

    def both() -> tuple[T, Tensor]:
        result = compute()
        return result, generator.get_state()

    return both


_MEMORY: ContextVar[Memory | None] = ContextVar("memory", default=None)
