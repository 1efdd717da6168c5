"""The examples in the docstrings of the public functions run and print what they say."""

import doctest

import pytest

from knotwork import kernels


@pytest.mark.parametrize("name", ["active", "basis", "edge_sums"])
def test_the_example_runs_and_prints_the_documented_output(name):
    [example] = doctest.DocTestFinder(recurse=False).find(getattr(kernels, name), name)
    assert example.examples and doctest.DocTestRunner().run(example).failed == 0
