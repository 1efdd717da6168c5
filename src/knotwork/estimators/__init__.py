"""scikit-learn estimators: KANs that choose their smoothness themselves, for tables with noise."""

from knotwork.estimators.classifier import KANClassifier
from knotwork.estimators.regressor import KANRegressor

__all__ = ["KANClassifier", "KANRegressor"]
