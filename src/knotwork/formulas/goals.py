"""The targets of a formula: numbers, or labels whose logits the formula gives."""

from torch import Tensor

from knotwork.errors import SpecError
from knotwork.training.levenberg_marquardt import NORMAL
from knotwork.training.likelihood import CrossEntropy, Goal

LABELS = CrossEntropy()


def goal_of(loss: str) -> Goal:
    """The likelihood of targets for the `loss` of a fit; SpecError for other losses than "mse" and "cross_entropy"."""
    if loss not in ("mse", "cross_entropy"):
        raise SpecError(f"loss={loss!r} is not known to formulas: 'mse' is for numbers, 'cross_entropy' for labels.")
    return NORMAL if loss == "mse" else LABELS


def targets_of(y: Tensor, goal: Goal) -> Tensor:
    """Targets (n, outputs) for the likelihood.

    Labels from 0, (n, 1), may also be given as one column of 0 and 1 for each class.
    """
    if goal is NORMAL or y.shape[1] == 1:
        return y
    return y.argmax(1, keepdim=True).to(y)
