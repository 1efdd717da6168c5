"""What tests of several rooms need."""

import traceback
from contextlib import nullcontext
from pathlib import Path

import pytest

import knotwork
from knotwork.functions import named_functions as library
from knotwork.regression import Failures
from knotwork.training import progress


@pytest.fixture
def own_library():
    """Restores the library of named functions after each test."""
    before, names = list(library.ALL), dict(library.LIBRARY)
    yield
    library.ALL[:] = before
    library.LIBRARY.clear()
    library.LIBRARY.update(names)


@pytest.fixture
def displayed(monkeypatch):
    """The events that the built-in display receives, also after a callback has asked to stop."""
    events = []
    monkeypatch.setattr(progress, "display", lambda show: nullcontext(events.append))
    return events


OWN = Path(knotwork.__file__).parent
MISTAKES = (TypeError, AttributeError, NameError, IndexError)
"""What a wrong call, a wrong name or a wrong place in our own code raises; no calculation of a candidate does."""


@pytest.fixture(autouse=True)
def mistakes(monkeypatch):
    """Errors of our own code that a search counted as failures of candidates, of which every test has none.

    Those that other libraries raise, as SymPy does for the order of complex numbers, are failures of candidates.
    """
    found, count = [], Failures.count

    def watched(failures, error):
        if isinstance(error, MISTAKES) and OWN in Path(traceback.extract_tb(error.__traceback__)[-1].filename).parents:
            found.append("".join(traceback.format_exception(error)))
        count(failures, error)

    monkeypatch.setattr(Failures, "count", watched)
    yield found
    assert not found, f"a search dropped candidates because of a mistake of our own:\n{found[0]}"
