"""The examples in the docstrings of public functions run and print the documented output."""

import doctest

import pytest

from knotwork import pde
from knotwork.pde import library
from knotwork.pde.problems import conditions, problem

FRONT_DOORS = {
    "solve": pde.solve,
    "Problem": problem.Problem,
    "Solution": pde.Solution,
    "poisson": library.poisson,
    **{
        name: getattr(conditions, name)
        for name in ("dirichlet", "neumann", "initial", "periodic", "data", "condition", "hard")
    },
}


@pytest.mark.parametrize("thing", FRONT_DOORS.values(), ids=list(FRONT_DOORS))
def test_the_example_runs_and_prints_the_documented_output(thing):
    examples = [test for test in doctest.DocTestFinder(recurse=False).find(thing, thing.__name__) if test.examples]
    assert examples, f"{thing.__name__} has no example"
    for test in examples:
        assert doctest.DocTestRunner().run(test).failed == 0
