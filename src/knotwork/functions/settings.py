"""Costs of functions that are expressions of somebody's own, in bits, as those of the library."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FunctionSettings:
    """Settings of the complexity of an expression in x."""

    usual: float = 2.0
    """Cost of exp, log, sin, cos, a square, a root and a reciprocal: as in the library."""
    rare: float = 3.0
    """Cost of every other function and power."""
    whole_number: float = 1.0
    """Cost of a whole number or a simple fraction: the two constants inside a function of the library cost 2 bits."""
    decimal: float = 2.0
    """Cost of a decimal: a free constant has more digits than a whole number."""
    known: int = 4096
    """Expressions whose functions are kept: a fit asks for each of them at every step."""


FUNCTIONS = FunctionSettings()
