"""Formulas of long tables are searched for among some rows; their constants are those of all. Shapes that cannot
explain more than the formula found are not tried."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import knotwork as kw
from knotwork.discovery.formula_search import evenly
from knotwork.discovery.networks import no_more_to_explain
from knotwork.discovery.settings import DISCOVERY
from knotwork.solvers import StopReason


def test_rows_are_taken_evenly_from_training_rows_and_from_others():
    some = evenly(10_000, 8_000, 4_000)
    assert len(some) <= 4_000 and torch.equal(some, some.unique())
    assert int((some < 8_000).sum()) / len(some) == pytest.approx(0.8, abs=0.01)
    assert int(some[-1]) >= 9_997
    assert torch.equal(evenly(1_000, 800, 4_000), torch.arange(1_000))


def test_constants_of_a_long_table_are_those_of_all_its_rows():
    rng = np.random.default_rng(0)
    x, z = rng.uniform(1, 3, (2, 9_000))
    y = 2.37 * x * z + 0.5 * rng.normal(size=9_000)
    data = kw.Dataset.from_arrays(np.c_[x, z], y, test_size=0, names=["x", "z"], seed=0)
    found = kw.discover(data, seed=0, progress=False)
    (constant,) = found.formula.constants
    product = x * z
    best = product @ y / (product @ product)
    error = 0.5 / np.sqrt(product @ product)
    assert float(constant.value) == pytest.approx(best, abs=0.05 * error)
    assert constant.error == pytest.approx(error / np.sqrt(0.8), rel=0.05)  # that of the training rows


@pytest.mark.parametrize(
    ("formula", "network", "ends"), [(0.3, 0.295, True), (0.3, 0.2, False), (0.6, 0.6, False), (0.3, 0.4, True)]
)
def test_a_search_ends_where_a_general_network_explains_hardly_more(formula, network, ends):
    x = torch.linspace(-1, 1, 400, dtype=torch.float64)[:, None]
    data = kw.Dataset.from_arrays(x, x / x.square().mean().sqrt(), test_size=0, seed=0)  # the rms of targets is about 1
    entries = [SimpleNamespace(error=1.0), SimpleNamespace(error=formula)]
    reason = no_more_to_explain(entries, network, SimpleNamespace(data=data))
    assert reason is (StopReason.NO_MORE_TO_EXPLAIN if ends else None)
    assert formula < DISCOVERY.explained_error or not ends
