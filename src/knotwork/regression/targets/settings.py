"""The numbers that decide how formulas of several targets share terms, each with its unit and its reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TargetSettings:
    """Settings of the choice of formulas of several targets together."""

    most_terms_of_pool: int = 80
    """Terms of the formulas of all targets that are tried again in each of them. Chosen for time."""
    widths_of_sums: tuple[int, ...] = (12, 12, 8, 6, 4)
    """Sums of 1, 2, ... of these terms that are kept for a target; laws seldom have more terms. Chosen for time."""
    own_constants: int = 6
    """Sums whose constants within functions are fitted again to the rows of the target. Chosen for time."""
    simplified_sums: int = 6
    """Sums whose constants are replaced by simple numbers, where rows allow it. Chosen for time."""
    symbols_of_coefficient: int = 3
    """Symbols of a term that another target has: a sign, a reference, and the coefficient."""
    chance_of_difference: float = 2.7e-3
    """Probability with which noise alone makes two equal constants seem different, or a formula that is right seem
    worse than another: that of three standard deviations."""
    least_gain: float = 3.0
    """Bits that formulas which share more must save: chance saves one bit in every other comparison, and ten or so
    are made for each target."""
    exact_share: float = 1e-12
    """Relative error of constants below which exact rows do not tell them better: rounding of double precision."""
    digits_of_equal_terms: int = 9
    """Digits of constants up to which two terms count as the same; fits of exact rows end that near."""


TARGETS = TargetSettings()
