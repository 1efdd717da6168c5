"""The limits of what the parser reads, each with its unit and its reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ExpressionSettings:
    """Limits on texts of expressions: no text may take much time or memory. Their one instance is `EXPRESSIONS`."""

    longest_text: int = 10_000
    """Characters of an expression. Formulas that are found have some hundreds; chosen, not measured."""

    most_expanded_terms: int = 24
    """Terms of an expanded expression up to which identities are tried: of 80 terms with decimals, factors take
    minutes."""
    deepest_nesting: int = 100
    """Levels of parentheses and functions. Python's own recursion ends at 1,000 calls, several for each level."""

    largest_exponent: int = 100
    """Largest whole exponent of a power of numbers that is computed. Chosen, not measured."""

    longest_power: int = 4_096
    """Bits that a power of whole numbers may reach while it is computed: 9**9**9 would fill the memory."""


EXPRESSIONS = ExpressionSettings()
