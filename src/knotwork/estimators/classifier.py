"""KANClassifier: a smooth KAN that predicts classes, with scikit-learn's estimator API."""

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

from knotwork.data import tensor_of
from knotwork.data.matrix import check_same_order
from knotwork.errors import DataError
from knotwork.estimators.base import KANEstimator
from knotwork.estimators.checks import labels
from knotwork.estimators.fitted import unique
from knotwork.formulas import Formula
from knotwork.keywords import check_keywords
from knotwork.training import Callback
from knotwork.training.likelihood import Bernoulli, Categorical
from knotwork.training.rows import Rows, counted

if TYPE_CHECKING:
    from typing_extensions import Self


@check_keywords
class KANClassifier(ClassifierMixin, KANEstimator):
    """A smooth KAN whose outputs are logits: of the second class where there are two, else one for each class.

    The loss is the cross-entropy, plus a penalty on slopes and curvatures of the edges. Importances, partial dependence
    and the errors in `fit_result_` are those of probabilities; formulas and figures show logits.

    Args:
        hidden: Hidden nodes: a number, a list with one number for each hidden layer, or () for a sum of one curve for
            each input. "auto" is 5, or 64 where the table is too large for Gauss-Newton steps.
        grid: Number of intervals of the spline of every edge.
        k: Order of the splines, 0 to 7; 3 is cubic.
        alpha: Weight of the smoothness penalty. "auto" learns weights for each edge by maximising the evidence
            (MacKay 1992), without validation rows; with "adam" it is 1.
        optimizer: "gauss-newton", "adam" (mini-batches), or "auto", which chooses by the size of the table.
        max_iter: Largest number of Gauss-Newton steps or of epochs.
        tol: Gauss-Newton steps end when three steps in a row change the logits by less than this share of the noise
            of a label, 1/√(p(1 - p)) at probability p.
        batch_size: Rows of a mini-batch ("adam" only).
        learning_rate: First learning rate, which falls linearly to zero ("adam" only).
        early_stopping: True ends the fit when the validation loss no longer falls, and keeps the best state.
        validation_size: Validation rows with `early_stopping`: an int counts rows, a float is a share.
        n_iter_no_change: Steps or epochs without a lower validation loss after which `early_stopping` ends the fit.
        random_state: Seed of the first network, of splits and of mini-batches, as in scikit-learn.
        missing: Missing values: "fill" puts the median, or the most frequent category, of the rows of the fit in their
            place, in predictions too; "drop" leaves their rows out of the fit, and predictions refuse such rows;
            "error" refuses them.
        split: How `early_stopping` takes validation rows: "random", "time" (the latest ones), or the name of a column,
            such as a patient, whose rows stay together and which is no input: see `knotwork.Dataset.from_arrays`.

    Attributes:
        classes_: The labels, sorted; the order of probabilities and logits.
        model_: The fitted `knotwork.KAN`, from columns to logits. It keeps no rows.
        feature_importances_, fit_result_, formula_, rows_, n_iter_, n_features_in_, feature_names_in_,
            preparation_: As in `KANRegressor`.

    Raises:
        ValueError: From `fit`, as DataError, TrainingError or SpecError.

    Example:
        >>> import numpy as np, knotwork as kw
        >>> X = np.random.default_rng(0).normal(size=(200, 2))
        >>> labels = np.where(np.hypot(X[:, 0], X[:, 1]) > 1, "outside", "inside")
        >>> model = kw.KANClassifier(random_state=0).fit(X, labels)
        >>> model.score(X, labels) > 0.95, model.classes_.tolist()
        (True, ['inside', 'outside'])
    """

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        callback: Callback | None = None,
        progress: bool | None = False,
    ) -> Self:
        """Fit to the table; the estimator itself, as scikit-learn wants it.

        Args:
            X: Inputs (n, in), an array or a data frame. Columns of texts, categories, dates and gaps are prepared; a
                warning says how.
            y: Labels (n,), numbers or texts, of two classes or more.
            sample_weight: How often each row counts, (n,): 2 counts as two rows, 0 as none. Default 1. Weights that
                are not whole count together as the effective number of rows, (Σw)² / Σw², so that the smoothness is not
                chosen for rows that are not there. Weights that are the same for all rows of a class balance the
                classes: the fit is that without weights, and each logit is moved by the logarithm of the weight of its
                class, which is what these weights do to probabilities (Bayes' rule).
            callback: Receives a `knotwork.Event` when the fit begins and after every step; returning True ends the fit
                there, without a further step.
            progress: True shows a bar, None on a terminal and in notebooks. Default False, since searches and ensembles
                fit many estimators at the same time.

        Raises:
            DataError: X holds anything but finite numbers, its rows do not match y, or y has one class only.
            TrainingError: A constructor argument is not possible.
            SpecError: `hidden`, `grid` and `k` describe no network.
        """
        check_same_order(X, y)
        X, y, weights = self._checked(X, labels(y), sample_weight)
        check_classification_targets(y)
        self.classes_, places = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError(f"y has one class only ({self.classes_[0]}): a classifier needs two classes or more.")
        x, weights, moved = torch.tensor(X), torch.tensor(weights), torch.zeros(len(self.classes_)).double()
        if (balance := _of_classes(weights, torch.tensor(places), len(self.classes_))) is not None:
            weights, moved = torch.ones_like(weights), balance.log()
        weights = counted(weights)
        targets = one_hot(torch.tensor(places), len(self.classes_)).double()
        shares = (weights @ targets / weights.sum()).log()
        if len(self.classes_) == 2:
            rows = Rows(x, targets[:, 1:], weights, shares[1:] - shares[:1], Bernoulli())
            moved = moved[1:] - moved[:1]
        else:
            rows = Rows(x, targets, weights, shares, Categorical())
        unit = torch.ones_like(rows.offset)
        options = {"classes": places, "callback": callback, "progress": progress}
        return self._train(rows, unit, 0 * unit, self._labels(), moved=moved, **options)

    def decision_function(self, X: Any) -> np.ndarray:
        """Logits: (n,) for two classes, else (n, classes).

        Args:
            X: Inputs (n, in), an array or a data frame with the columns of the fit.
        """
        outputs = self._predicted(X)
        return outputs[:, 0] if len(self.classes_) == 2 else outputs

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes in the order of `classes_`: (n, classes).

        Args:
            X: Inputs (n, in), an array or a data frame with the columns of the fit.
        """
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of the probabilities in the order of `classes_`: (n, classes).

        Args:
            X: Inputs (n, in), an array or a data frame with the columns of the fit.
        """
        outputs = torch.from_numpy(self._predicted(X))
        if len(self.classes_) == 2:
            outputs = torch.cat([torch.zeros_like(outputs), outputs], dim=1)
        return outputs.log_softmax(1).numpy()

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row: (n,).

        Args:
            X: Inputs (n, in), an array or a data frame with the columns of the fit.
        """
        places = self.predict_log_proba(X).argmax(1)
        return self.classes_[places]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of rows whose class is predicted.

        Args:
            X: Inputs (n, in), an array or a data frame with the columns of the fit.
            y: Their labels (n,).
            sample_weight: How often each row counts, (n,). Default 1.
        """
        weights = None if sample_weight is None else tensor_of(sample_weight, "sample_weight").numpy()
        return super().score(X, labels(y), weights)

    def formula(self, X: Any = None, lib: Iterable[str] | None = None) -> Formula:
        """The logits as formulas of the columns, one for each output, with their distance from the network (`gap`).

        Negligible edges are pruned, the others get names, and all constants are fitted to the network's logits, not to
        the labels. A formula fitted to the labels is that of `model_.auto_symbolic(rows_, loss="cross_entropy")`, for
        tables where the classes overlap everywhere. It takes about a second for every ten edges.

        Args:
            X: Rows (n, in) on which constants are fitted. Default: those kept in `rows_`.
            lib: Names of the functions that edges may get. Default: the standard library.
        """
        data = self._table(X)
        values = [torch.tensor(self._values(rows)) for rows in (data.X_train, data.X_val)]
        names = unique([*data.input_names, *(f"logit_{name}" for name in data.target_names)])[data.n_inputs :]
        return self._formula_of(replace(data, y_train=values[0], y_val=values[1], target_names=tuple(names)), lib)

    def class_formulas(self, X: Any = None, lib: Iterable[str] | None = None) -> dict[Any, Formula]:
        """The logit of every class by its label: the parts of `formula(X, lib)`.

        Of two classes, the logit of the first is minus that of the second.

        Args:
            X: rows (n, in) on which constants are fitted. Default: those kept in `rows_`.
            lib: names of the functions that edges may get. Default: the standard library.
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
        y = column_or_1d(labels(y))
        unknown = [label for label in dict.fromkeys(y.tolist()) if label not in self.classes_.tolist()]
        if unknown:
            raise DataError(f"y has the class {unknown[0]!r}, which was not among those of the fit.")
        return torch.tensor(y[:, None] == np.asarray(self._labels())).double()

    def _page(self) -> dict[str, Any]:
        return {"classes": [str(label) for label in self.classes_]}


def _of_classes(weights: Tensor, places: Tensor, classes: int) -> Tensor | None:
    """The weight of each class, (classes,), where those of its rows (n,) are equal, but not those of all rows."""
    found = torch.stack([weights[places == place][0] for place in range(classes)])
    return found if torch.equal(found[places], weights) and bool((found != found[0]).any()) else None
