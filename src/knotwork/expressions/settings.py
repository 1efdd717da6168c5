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

    rounds_of_reading: int = 12
    """Changes one after the other that make an expression easier to read at most: one for each function with a number
    inside, of which formulas have a handful."""
    digits_of_reading: int = 4
    """Digits with which numbers are compared for being short: those of formulas in texts."""

    usual_decades: float = 4.0
    """Decades around 1 in which a number needs no power of ten to be read."""
    extreme_decades: float = 20.0
    """Decades from which a number says nothing any more, such as 1e68: few quantities of nature are so large."""
    weight_of_extremes: int = 4
    """Numbers with a power of ten that one of these is worth. Chosen, not measured."""
    zeros_before_powers: int = 5
    """Zeros at the end of a whole decimal from which it is written with a power of ten: 20000, but 1.2e+07."""
    steps_of_completion: int = 4
    """Steps in which the shift of (x - s)^n is improved, which begins within rounding errors of coefficients."""


EXPRESSIONS = ExpressionSettings()
