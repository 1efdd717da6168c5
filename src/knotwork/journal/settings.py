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

    seconds_worth_keeping: float = 0.001
    """Results of pure functions are kept if they took this time, in s. Chosen: below it, reading takes as long."""

    most_bytes: int = 64_000_000
    """Results of pure functions take about this space at most, in bytes; those that saved least time for their size are
    dropped then. Chosen: a search of minutes keeps a few megabytes."""

    fingerprints_kept: int = 64
    """Number of objects, such as tables of rows, whose fingerprints are kept. Chosen."""


JOURNAL = JournalSettings()
