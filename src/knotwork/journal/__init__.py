"""Journals: long calculations in files, from which they go on after a kill."""

from knotwork.journal.encoding import Value, digest_of
from knotwork.journal.journal import Journal, journal_in
from knotwork.journal.results_memory import Memory, after, clock, part_of, recalled, remembering, resumed
from knotwork.journal.settings import JOURNAL, JournalSettings

__all__ = [
    "JOURNAL",
    "Journal",
    "JournalSettings",
    "Memory",
    "Value",
    "after",
    "clock",
    "digest_of",
    "journal_in",
    "part_of",
    "recalled",
    "remembering",
    "resumed",
]
