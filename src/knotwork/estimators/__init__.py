"""scikit-learn estimators: KANs that choose their smoothness themselves, for tables with noise."""

from knotwork.undisturbed import loading, undisturbed

with loading(), undisturbed():
    import sklearn.model_selection  # noqa: F401

from knotwork.estimators.classifier import KANClassifier
from knotwork.estimators.regressor import KANRegressor

__all__ = ["KANClassifier", "KANRegressor"]
