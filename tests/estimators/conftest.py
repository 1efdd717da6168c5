"""Small tables, fitted estimators that no test changes, and one torch thread, as in fits of this size."""

import numpy as np
import pytest
import torch

from knotwork.estimators import KANClassifier, KANRegressor


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def surface(rows, seed):
    """Three columns, the last one unused, and a nonlinear target with noise of standard deviation 0.1."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (rows, 3))
    return X, np.sin(3 * X[:, 0]) + X[:, 1] ** 2 + 0.1 * rng.normal(size=rows)


def rings(rows, seed):
    """Points in the plane and their ring: "inner", "middle" or "outer"; a tenth of the labels is random."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 2))
    ring = np.digitize(np.hypot(*X.T), [0.8, 1.5])
    mistaken = rng.random(rows) < 0.1
    ring[mistaken] = rng.integers(0, 3, mistaken.sum())
    return X, np.array(["inner", "middle", "outer"])[ring]


@pytest.fixture(scope="session")
def regressor():
    return KANRegressor(random_state=0).fit(*surface(400, 0))


@pytest.fixture(scope="session")
def classifier():
    return KANClassifier(random_state=0).fit(*rings(300, 0))
