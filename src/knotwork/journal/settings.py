"""The constants of journals, each with its unit and why it has this value."""

from dataclasses import dataclass


@dataclass(frozen=True)
class JournalSettings:
    """When the file of a long calculation is written."""

    seconds_between: float = 5.0
    """Time between two writes, in s: what a kill loses at most, as far as `share_of_time` allows it. Chosen."""

    share_of_time: float = 0.02
    """Largest share of the time that writing may take: after a write of 1 s the next one waits for 50 s. Chosen: a
    calculation with a file then takes no more than a few percent longer, however large its network is."""


JOURNAL = JournalSettings()
