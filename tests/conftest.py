"""What tests of several rooms need."""

from contextlib import nullcontext

import pytest

from knotwork.functions import named_functions as library
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
