"""Partial derivatives as sums of derivatives along lines, which is what Taylor series through a network give."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from math import factorial, gcd

from torch import Tensor

Multi = tuple[int, ...]  # how often an expression is differentiated by each coordinate: (2, 0) is ∂²/∂x²
Line = tuple[int, ...]  # a direction of whole numbers without a common factor


@dataclass(frozen=True)
class Lines:
    """Lines through every point, and how often to differentiate along each: `orders` is as long as `directions`.

    A jet holds the value first, then line after line the derivatives of order 1, 2, ... along it. `size` is how many
    entries that makes.
    """

    directions: tuple[Line, ...] = ()
    orders: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Entries of a jet."""
        return 1 + sum(self.orders)

    @property
    def order(self) -> int:
        """The highest derivative along any line."""
        return max(self.orders, default=0)

    def place(self, line: Line, order: int) -> int:
        """Where the derivative of that order along that line stands in a jet."""
        at = self.directions.index(line)
        return sum(self.orders[:at]) + order

    def parts(self, jet: Tensor) -> list[list[Tensor]]:
        """A jet cut into one Taylor series a line, the common value at the head of each."""
        found, at = [], 1
        for order in self.orders:
            found.append([jet[0], *jet[at : at + order]])
            at += order
        return found


def polarised(multi: Multi) -> list[tuple[float, Line, int]]:
    """A partial derivative as a sum of (factor, line, order): factor times the derivative of that order along the line.

    The polarisation identity: m! ∂_1...∂_m = Σ_S (-1)^(m - |S|) D^m along Σ_{i in S} e_i, over the non-empty subsets S
    of the m differentiations. So u_xy = (D²_{x+y} - D²_x - D²_y) / 2.
    """
    order = sum(multi)
    if sum(n > 0 for n in multi) == 1:
        return [(1.0, tuple(int(n > 0) for n in multi), order)]
    steps = [i for i, n in enumerate(multi) for _ in range(n)]
    found: dict[Line, float] = {}
    for size in range(1, order + 1):
        for subset in combinations(range(order), size):
            line = [0] * len(multi)
            for s in subset:
                line[steps[s]] += 1
            common = gcd(*line)
            shortest = tuple(n // common for n in line)
            found[shortest] = found.get(shortest, 0.0) + (-1) ** (order - size) * common**order / factorial(order)
    return [(factor, line, order) for line, factor in found.items() if factor]


def lines_for(multis: Iterable[Multi]) -> Lines:
    """The fewest lines and orders that give all these partial derivatives."""
    needed: dict[Line, int] = {}
    for multi in multis:
        if any(multi):
            for _, line, order in polarised(multi):
                needed[line] = max(needed.get(line, 0), order)
    return Lines(tuple(needed), tuple(needed.values()))
