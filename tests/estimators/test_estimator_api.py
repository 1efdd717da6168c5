"""scikit-learn's own checks of an estimator; every one is expected to pass."""

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from knotwork.estimators import KANClassifier, KANRegressor

CHECKS = [pair for kind in (KANRegressor, KANClassifier) for pair in estimator_checks_generator(kind())]


def name(value):
    """The class of an estimator, or the function that a check is."""
    return getattr(getattr(value, "func", value), "__name__", type(value).__name__)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@pytest.mark.parametrize(("estimator", "check"), CHECKS, ids=name)
def test_every_check_of_scikit_learn_passes(estimator, check):
    check(estimator)
