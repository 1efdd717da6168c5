"""KANClassifier: classes predicted by a smooth KAN, with scikit-learn's manners."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from torch import Tensor
from torch.nn.functional import one_hot

from knotwork.errors import DataError
from knotwork.estimators.base import KANEstimator, unique
from knotwork.estimators.rows import Rows
from knotwork.formulas import Formula
from knotwork.training.likelihood import Bernoulli, Categorical

if TYPE_CHECKING:
    from typing_extensions import Self


class KANClassifier(ClassifierMixin, KANEstimator):
    """A smooth KAN whose outputs are logits: of the second class where there are two, else one for each class.

    The loss is cross-entropy; settings and what `fit` leaves are those of `KANRegressor`, and `classes_`. Importances
    and partial dependence are of probabilities, as are the errors of `fit_result_`; formulas and pictures of logits.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to X (n, in) and labels y (n,); a row of weight 2 counts as two rows, of weight 0 as none."""
        X, y, weights = self._checked(X, y, sample_weight)
        check_classification_targets(y)
        self.classes_, places = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError(f"y has one class only ({self.classes_[0]}): a classifier needs two classes or more.")
        x, weights = torch.tensor(X), torch.tensor(weights)
        targets = one_hot(torch.tensor(places), len(self.classes_)).double()
        shares = (weights @ targets / weights.sum()).log()
        if len(self.classes_) == 2:
            rows = Rows(x, targets[:, 1:], weights, shares[1:] - shares[:1], Bernoulli())
        else:
            rows = Rows(x, targets, weights, shares, Categorical())
        unit = torch.ones_like(rows.offset)
        return self._train(rows, unit, 0 * unit, self._labels(), places)

    def decision_function(self, X: Any) -> np.ndarray:
        """Logits for X (n, in): (n,) for two classes, else (n, classes)."""
        outputs = self._values(self._rows(X))
        return outputs[:, 0] if len(self.classes_) == 2 else outputs

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes in the order of `classes_`: (n, classes)."""
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of the probabilities: (n, classes)."""
        outputs = torch.tensor(self._values(self._rows(X)))
        if len(self.classes_) == 2:
            outputs = torch.cat([torch.zeros_like(outputs), outputs], dim=1)
        return outputs.log_softmax(1).numpy()

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row: (n,)."""
        places = self.predict_log_proba(X).argmax(1)
        return self.classes_[places]

    def formula(self, X: Any = None, lib: Iterable[str] | None = None) -> Formula:
        """The logits as formulas of the columns, one an output, with the gap to the network.

        Faint edges are pruned, the others named with functions of `lib`, and all constants fitted to the logits on the
        rows X, or on those kept: it says what the network says. A formula of the labels themselves is
        that of `model_.auto_symbolic(rows_, loss="cross_entropy")`, for tables where each class comes everywhere. It
        takes a while: about a second for every ten edges.
        """
        data = self._table(X)
        values = [torch.tensor(self._values(rows)) for rows in (data.X_train, data.X_val)]
        names = unique([*data.input_names, *(f"logit_{name}" for name in data.target_names)])[data.n_inputs :]
        return self._read(replace(data, y_train=values[0], y_val=values[1], target_names=tuple(names)), lib)

    def class_formulas(self, X: Any = None, lib: Iterable[str] | None = None) -> dict[Any, Formula]:
        """The logit of every class under its label, as it stands in `classes_`: those of `formula(X, lib)` one by one.

        Of two classes the first has the opposite of the second's.
        """
        found = self.formula_ if X is None and lib is None else self.formula(X, lib)
        labels = self.classes_.tolist()
        if len(labels) > 2:
            return {label: found[n] for n, label in enumerate(labels)}
        return {labels[0]: found.negated(f"logit_{labels[0]}"), labels[1]: found}

    def _respond(self, outputs: Tensor) -> Tensor:
        return outputs.sigmoid() if len(self.classes_) == 2 else outputs.softmax(1)

    def _labels(self) -> list[object]:
        """The classes that the outputs belong to."""
        return list(self.classes_[1:] if len(self.classes_) == 2 else self.classes_)

    def _as_targets(self, y: Any) -> Tensor:
        y = column_or_1d(y)
        unknown = [label for label in dict.fromkeys(y.tolist()) if label not in self.classes_.tolist()]
        if unknown:
            raise DataError(f"y has the class {unknown[0]!r}, which was not among those of the fit.")
        return torch.tensor(y[:, None] == np.asarray(self._labels())).double()

    def _page(self) -> dict[str, Any]:
        return {"classes": [str(label) for label in self.classes_]}
