"""Products of powers with a pole near the end of an input's range are found behind noise that hides most rows."""

import numpy as np
import pytest
import torch

from knotwork.expressions import parse, text, to_numpy
from knotwork.formulas.constants import Sample
from knotwork.functions import select
from knotwork.regression import Search
from knotwork.regression.shifted_powers import fit_shifted_powers, shifted_powers
from knotwork.regression.structures import Rows


def sample_of(law, columns, noise, seed=0, rows=1000):
    """Rows with noise of this share of the targets' root mean square; `columns` draws each input."""
    rng = np.random.default_rng(seed)
    X = {name: draw(rng, rows) for name, draw in columns.items()}
    y = to_numpy(parse(law), list(X))(*X.values())
    noisy = y + noise * np.sqrt(np.mean(y**2)) * rng.normal(size=rows)
    return Sample({name: torch.tensor(x) for name, x in X.items()}, torch.tensor(noisy)), y


def even(low, high):
    return lambda rng, rows: rng.uniform(low, high, rows)


def decades(low, high):
    return lambda rng, rows: 10 ** rng.uniform(low, high, rows)


@pytest.mark.parametrize("noise", [0.0, 0.01])
@pytest.mark.parametrize(
    ("law", "columns"),
    [
        ("x*y/(z - 1)", {"x": decades(0, 2), "y": decades(-2, 0), "z": even(1, 2)}),
        ("-3*x/(y*(2 - z))", {"x": decades(0, 2), "y": decades(0, 1), "z": even(0.5, 2)}),
        ("x**2/sqrt(z + 1)", {"x": decades(-1, 1), "z": even(-1, 3)}),
        ("x/sqrt(2 - z)", {"x": decades(-1, 1), "z": even(0.5, 2)}),
        ("x*(2 - z)**(-0.3)", {"x": decades(-1, 1), "z": even(0.5, 2)}),
        ("2e-20*x/(z - 30)**2", {"x": decades(5, 7), "z": even(30.1, 40)}),
    ],
)
def test_a_pole_at_the_end_of_a_range_is_found_with_all_powers(law, columns, noise):
    for seed in range(3):
        sample, exact = sample_of(law, columns, noise, seed)
        search = Search(sample, 800, select(None))
        found = min(shifted_powers(search), key=lambda one: one.bits)
        names = list(columns)
        values = to_numpy(found.template.filled(), names)(*(sample.columns[name].numpy() for name in names))
        off = np.sqrt(np.mean((values - exact) ** 2)) / np.sqrt(np.mean(exact**2))
        assert off < max(noise * np.sqrt(4 / 1000) * 2, 1e-9), (seed, text(found.template.filled()))


def test_targets_of_both_signs_have_no_such_product():
    sample, _ = sample_of("(x - 5)/(z - 1)", {"x": even(0, 10), "z": even(1, 2)}, 0.0)
    assert fit_shifted_powers(Rows.of(list(sample.columns.values()), sample.y, 800)) == []


def test_what_is_no_such_product_is_left_to_others():
    sample, _ = sample_of("x + exp(z)", {"x": even(0, 10), "z": even(1, 2)}, 0.0)
    assert list(shifted_powers(Search(sample, 800, select(None)))) == []
