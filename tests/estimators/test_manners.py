"""scikit-learn's own checks of an estimator; every one is expected to pass."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from knotwork.estimators import KANClassifier, KANRegressor


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@parametrize_with_checks([KANRegressor(), KANClassifier()])
def test_scikit_learn_is_content(estimator, check):
    check(estimator)
