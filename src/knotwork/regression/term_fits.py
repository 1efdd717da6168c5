"""Fitted sums of terms and their ratios, and what stands around them."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from knotwork.regression.curve_names import OuterFunction
from knotwork.regression.term_table import Powers, Term, TermTable

Sum = list[tuple[float, Term]]


@dataclass(frozen=True)
class Frame:
    """What stands around a sum of terms: target = `sign` · `factor` · outer(product of `powers` · sum)."""

    outer: OuterFunction
    powers: Powers
    factor: Term
    sign: float = 1.0

    def identity(self) -> Any:
        """What it is, as numbers and texts."""
        return self.outer.words, self.powers, self.factor, self.sign


@dataclass(frozen=True, eq=False)
class TermFit:
    """A frame around `above` / (1 + `below`), sums of terms of scaled inputs.

    Errors and `residuals` (n,) are relative to the spread of the target (`Rows.scale`); `bits` is about the description
    length.
    """

    frame: Frame
    above: Sum
    below: Sum
    error: float
    validation_error: float
    bits: float
    table: TermTable = field(repr=False)
    residuals: Tensor = field(repr=False)

    @property
    def size(self) -> int:
        """The number of terms, and of functions in them."""
        terms = [term for _, term in (*self.above, *self.below)]
        return len(terms) + sum(term.part is not None for term in terms)

    def __str__(self) -> str:
        """In words, for example "the root of a ratio of sums of terms"."""
        return f"{self.frame.outer.words}{'a ratio of sums of terms' if self.below else 'a sum of terms'}"
