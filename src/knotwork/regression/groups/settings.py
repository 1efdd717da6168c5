"""The numbers that decide how laws of groups are searched for, each with its unit and its reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class GroupSettings:
    """Settings of the search for a law whose constants differ by group."""

    most_parametrisations: int = 4
    """Ways to write a formula in which constants are shared or not. Chosen for time."""
    starts_of_common_law: int = 3
    """Different fits of a common law in the largest group that all groups start from. Chosen for time."""
    least_gain_of_law: float = 1.0
    """Bits that a law must save against the one before; with fewer it is often the same law, fitted again."""
    largest_groups: int = 3
    """Groups that are searched for formulas on their own, those with the most rows. Chosen for time."""
    formulas_of_source: int = 4
    """Formulas of the search in one group, or in all rows, that are fitted to all groups. Chosen for time."""
    seconds_of_source: float = 8.0
    """Seconds of one such search, where no time budget is given: five of them together take less than a minute."""
    constants_of_rows: int = 2
    """Constants of a formula at most, as one over this share of the rows, while all of them differ between groups."""


GROUPS = GroupSettings()
