"""A long formula whose residuals look random is no end: a ratio, a difference or a square may be the shorter law."""

import numpy as np
import pytest

import knotwork as kw
from knotwork.expressions import parse, text, to_numpy


def found(law, ranges, noise, seed, rows=1000):
    """The formula of a search of rows with noise (a share of the targets' rms), and its error without noise."""
    rng = np.random.default_rng(seed)
    X = np.stack([rng.uniform(*ends, rows) for ends in ranges.values()], 1)
    exact = to_numpy(parse(law), list(ranges))(*X.T)
    size = np.sqrt(np.mean(exact**2))
    data = kw.Dataset.from_arrays(X, exact + noise * size * rng.normal(size=rows), test_size=0, names=list(ranges))
    formula = kw.discover(data, seed=seed, progress=False).formula.expression
    return formula, np.sqrt(np.mean((to_numpy(formula, list(ranges))(*X.T) - exact) ** 2)) / size


POSITIVE = {"x": (1, 5), "y": (1, 5)}
EITHER = {"x": (0, 3), "y": (0, 3)}
OVER = {**EITHER, "z": (1, 4)}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("law", "ranges", "noise"),
    [
        ("(x - y)/(x + y)", POSITIVE, 0.01),
        ("(x - y)/(x + y)", POSITIVE, 0.1),
        ("log(x + 2*y)", POSITIVE, 0.01),
        ("exp(-(x - y)**2)", EITHER, 0.01),
        ("exp(-(x - y)**2)", EITHER, 0.1),
        ("exp(-(x - y)**2/z)", OVER, 0.01),
        ("exp(-(x - y)**2/z)", OVER, 0.1),
    ],
)
def test_the_short_law_is_found_behind_noise(law, ranges, noise, seed):
    formula, error = found(law, ranges, noise, seed)
    assert error < 4 * noise / np.sqrt(1000), text(formula)
    assert len(text(formula)) < 2 * len(law), text(formula)
