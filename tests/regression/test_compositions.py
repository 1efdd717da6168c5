"""Compositions, products and ratios of functions of one input are found where they are part of a larger formula."""

import numpy as np
import pytest

import knotwork as kw
from knotwork.expressions import parse, to_numpy
from knotwork.regression.structures import partitions

EXACT = [
    ("exp(sin(3*x)) + y**2", {"x": (-1, 1), "y": (-1, 1)}),
    ("1/(2 + cos(2*x)) - y**2", {"x": (-3, 3), "y": (-1, 1)}),
    ("exp(-x)*sin(3*x) + y**3", {"x": (0, 4), "y": (-1, 1)}),
    ("y*exp(cos(x))", {"x": (-3, 3), "y": (1, 2)}),
    ("y*log(3 + sin(2*x)) + z", {"x": (0, 6), "y": (1, 3), "z": (1, 3)}),
    ("y*exp(sin(2*x)) + z**2", {"x": (0, 4), "y": (1, 3), "z": (1, 3)}),
]


@pytest.mark.parametrize(("text", "ranges"), EXACT)
def test_a_curve_that_is_no_single_function_is_named_in_the_whole(text, ranges):
    data = kw.sample(text, **ranges, size=800, seed=3)
    found = kw.discover(data, seed=0, progress=False, time_budget=120).formula.expression
    rng = np.random.default_rng(0)
    points = [rng.uniform(*ends, 500) for ends in ranges.values()]
    truth, values = (to_numpy(one, list(ranges))(*points) for one in (parse(text), found))
    assert np.abs(values - truth).max() < 1e-6 * np.abs(truth).max()
    assert found.count_ops() <= parse(text).count_ops() + 3


def test_inputs_are_shared_out_among_the_products_of_a_sum_in_every_way():
    assert partitions(3) == [((0, 1), (2,)), ((0, 2), (1,)), ((0,), (1, 2))]
    found = partitions(4)
    assert len(found) == len(set(found)) == 13
    for groups in found:
        assert sorted(i for group in groups for i in group) == [0, 1, 2, 3]
        assert len(groups) > 1 and any(len(group) > 1 for group in groups)
