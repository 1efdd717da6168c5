"""Partial derivatives as sums of directional derivatives, which is what Taylor series through a network give."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from math import factorial, gcd

from torch import Tensor

Multi = tuple[int, ...]  # how often an expression is differentiated by each coordinate: (2, 0) is ∂²/∂x²
Direction = tuple[int, ...]  # whole numbers without a common factor, one a coordinate


@dataclass(frozen=True)
class Directions:
    """Directions, and the highest order of differentiation along each: `orders` is as long as `vectors`.

    A jet along them holds the value first, then for one direction after the other the derivatives of order 1, 2, ...
    """

    vectors: tuple[Direction, ...] = ()
    orders: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """The number of entries of a jet."""
        return 1 + sum(self.orders)

    @property
    def order(self) -> int:
        """The highest order along any direction."""
        return max(self.orders, default=0)

    def position(self, direction: Direction, order: int) -> int:
        """The position in a jet of the derivative of that order along that direction."""
        at = self.vectors.index(direction)
        return sum(self.orders[:at]) + order

    def series(self, jet: Tensor) -> list[list[Tensor]]:
        """A jet split into one Taylor series for each direction; each begins with the common value."""
        found, at = [], 1
        for order in self.orders:
            found.append([jet[0], *jet[at : at + order]])
            at += order
        return found


def polarisation(multi: Multi) -> list[tuple[float, Direction, int]]:
    """A partial derivative as a sum over (factor, direction, order) of factor times the directional derivative.

    The polarisation identity: m! ∂_1...∂_m = Σ_S (-1)^(m - |S|) D^m along Σ_{i in S} e_i, over the non-empty subsets S
    of the m differentiations. So u_xy = (D²_{x+y} - D²_x - D²_y) / 2.
    """
    order = sum(multi)
    if sum(n > 0 for n in multi) == 1:
        return [(1.0, tuple(int(n > 0) for n in multi), order)]
    steps = [i for i, n in enumerate(multi) for _ in range(n)]
    found: dict[Direction, float] = {}
    for size in range(1, order + 1):
        for subset in combinations(range(order), size):
            vector = [0] * len(multi)
            for s in subset:
                vector[steps[s]] += 1
            common = gcd(*vector)
            shortest = tuple(n // common for n in vector)
            found[shortest] = found.get(shortest, 0.0) + (-1) ** (order - size) * common**order / factorial(order)
    return [(factor, direction, order) for direction, factor in found.items() if factor]


def directions_for(multis: Iterable[Multi]) -> Directions:
    """The fewest directions and orders that give all these partial derivatives."""
    needed: dict[Direction, int] = {}
    for multi in multis:
        if any(multi):
            for _, direction, order in polarisation(multi):
                needed[direction] = max(needed.get(direction, 0), order)
    return Directions(tuple(needed), tuple(needed.values()))
