"""The examples in docstrings run, and print what they say."""

import doctest
import importlib
import pkgutil

import pytest

import knotwork
import knotwork.training.optimizers

FRONT_DOORS = [
    "knotwork.training.loop",
    "knotwork.training.multilevel",
    "knotwork.training.shapes",
    "knotwork.simplify.sparse",
    "knotwork.kan",
    "knotwork.model.layer",
    *(
        f"knotwork.training.optimizers.{module.name}"
        for module in pkgutil.iter_modules(knotwork.training.optimizers.__path__)
    ),
]


@pytest.mark.parametrize("module", FRONT_DOORS)
def test_examples_run(module):
    found = doctest.testmod(
        importlib.import_module(module), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    )
    assert found.failed == 0, f"{found.failed} examples of {module} print something else (see the output above)"


def test_the_verbs_have_examples():
    finder = doctest.DocTestFinder()
    for name in ("KAN", "fit", "fit_multilevel", "fit_shapes", "fit_sparse", "KANLayer", "LevenbergMarquardt", "Adam"):
        assert any(test.examples for test in finder.find(getattr(knotwork, name), name)), f"{name} has no example"
