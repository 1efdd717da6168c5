"""Candidates whose calculation fails are dropped and counted; the search goes on."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")
OUT_OF_MEMORY = ("not enough memory", "DefaultCPUAllocator", "out of memory")
"""Words of the RuntimeErrors that torch raises on processors and graphics cards where memory runs out."""


class Failures:
    """Counts the candidates that were dropped, by the reason why their calculation failed."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()

    def attempt(self, calculate: Callable[[], T], kinds: tuple[type[Exception], ...] = (Exception,)) -> T | None:
        """What a candidate's calculation returns; None, counted, if it raises an exception of these kinds."""
        try:
            return calculate()
        except kinds as error:
            self.count(error)
        return None

    def surviving(self, candidates: Callable[[], Iterator[T]]) -> Iterator[T]:
        """These candidates, up to one whose calculation fails, which is counted."""
        try:
            yield from candidates()
        except Exception as error:
            self.count(error)

    def count(self, error: Exception) -> None:
        """Count a failure. Memory that ran out is no fault of a candidate and is raised again, as a MemoryError."""
        if isinstance(error, MemoryError):
            raise error
        if isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY):
            raise MemoryError(str(error)) from error
        first = str(error).strip().split("\n")[0]
        self.reasons[f"{type(error).__name__}: {first}" if first else type(error).__name__] += 1
