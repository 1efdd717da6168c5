"""What tests of several rooms need."""

import pytest

from knotwork import functions as library


@pytest.fixture
def own_library():
    """Restores the library of named functions after each test."""
    before, names = list(library._ALL), dict(library.LIBRARY)
    yield
    library._ALL[:] = before
    library.LIBRARY.clear()
    library.LIBRARY.update(names)
