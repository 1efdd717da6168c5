"""The numbers that decide how functions are found in spaces of curves, each with its unit and its reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SpanSettings:
    """Settings of `span_names`; all chosen on sums of two products without noise."""

    largest_error: float = 1e-3
    """Error of a structure up to which the spaces of its curves are named: with noise, many functions lie near them."""
    tolerance: float = 2e-3
    """Distance of a function from a space, relative to its length, up to which it lies in it."""
    closest: float = 1e-3
    """Share of this distance below which a function is no better for being closer: splines are not as exact."""
    least_new: float = 1e-3
    """Share of a function that must be new beside those known in a space."""
    rounds: int = 4
    """Rounds in which its constant is searched for, each between the neighbours of the best constant before."""
    points: int = 21
    """Constants of each round after the first."""
    least_share: float = 0.01
    """Share of a product of two such functions in the sum, in root mean squares, below which it is left out:
    that of products which are no part of it was up to 0.005."""


SPANS = SpanSettings()
