"""What a formula is fitted to: numbers, or labels whose logits it gives."""

from torch import Tensor

from knotwork.errors import SpecError
from knotwork.training.levenberg_marquardt import NORMAL
from knotwork.training.likelihood import CrossEntropy, Goal

LABELS = CrossEntropy()


def goal_of(loss: str) -> Goal:
    """What the `loss` of a fit says of targets; SpecError for another than "mse" and "cross_entropy"."""
    if loss not in ("mse", "cross_entropy"):
        raise SpecError(f"loss={loss!r} is not known to formulas: 'mse' is for numbers, 'cross_entropy' for labels.")
    return NORMAL if loss == "mse" else LABELS


def targets_of(y: Tensor, goal: Goal) -> Tensor:
    """Targets (n, outputs) as the goal takes them: labels from 0, (n, 1), also from one column of 0 and 1 a class."""
    if goal is NORMAL or y.shape[1] == 1:
        return y
    return y.argmax(1, keepdim=True).to(y)
