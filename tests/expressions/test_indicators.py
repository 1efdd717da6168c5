"""Functions of columns of zeros and ones."""

import itertools

import numpy as np
import pytest
import torch

from knotwork.expressions import complexity, parse, text, to_torch, with_lines_of_indicators


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x**2*y", "x*y"),
        ("3*x**3 + y", "3*x + y"),
        ("exp(x)", "exp(x)"),
        ("sin(2.5*x + 1.5) + y", None),
        ("sqrt(x)*y + x**2", "x*y + x"),
        ("(x + 1)**2*y", None),
        ("y**2 + y*x", "y**2 + x*y"),
        ("log(x)*y", "log(x)*y"),
        ("1/x + y", "1/x + y"),
        ("y**x", "y**x"),
        ("2.5*x**2 - 1.5*x", "1.0*x"),
        ("a**2*x**2", "a*x"),
        ("y", "y"),
    ],
)
def test_powers_and_functions_of_indicators_become_lines_with_the_same_values(before, after):
    names = ["a", "x", "y"]
    expression = parse(before, names)
    found = with_lines_of_indicators(expression, ["x", "a"])
    assert complexity(found) <= complexity(expression)
    if after is not None:
        assert text(found) == text(parse(after, names))
    else:
        assert "sin" not in text(found)
    rows = np.array(list(itertools.product([0, 1], [0, 1], [0.5, 1.7])))
    columns = [torch.tensor(rows[:, n], dtype=torch.float64) for n in range(3)]
    ones = torch.ones(len(rows), dtype=torch.float64)
    was, now = (to_torch(one, names)(*columns) * ones for one in (expression, found))
    np.testing.assert_allclose(now, was, rtol=1e-12, equal_nan=True)
