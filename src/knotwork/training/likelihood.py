"""Models of the targets: the negative log-likelihood of rows, and its residuals for second-order steps."""

import math
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, one_hot, softplus

from knotwork.errors import TrainingError
from knotwork.training.settings import TRAINING

TINY = 1e-300  # smallest variance or probability under a root by which a residual is divided


class Likelihood(Protocol):
    """How outputs and targets, both (n, K), are compared.

    `values` is the negative log-likelihood (n,), differentiable. `residuals` are r (n, R) and their derivatives D
    (n, R, K) by the outputs, or None for one residual per output with derivative 1. Dᵀr is the gradient of the values
    by the outputs, and DᵀD their curvature.
    """

    def values(self, outputs: Tensor, targets: Tensor) -> Tensor: ...
    def residuals(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor | None]: ...


class Goal(Likelihood, Protocol):
    """A likelihood that `fit` can maximise. The loss that it reports is `scale` times the sum of `values`.

    `spread` is the loss of the best constant; rows count `weights` (n,) times where these are given.
    """

    def scale(self, targets: Tensor) -> float: ...
    def spread(self, targets: Tensor, weights: Tensor | None = None) -> float: ...


def curved(likelihood: Likelihood, outputs: Tensor, targets: Tensor, vectors: Tensor) -> Tensor:
    """The curvature DᵀD of the values by the outputs times vectors (n, K), one for each row."""
    directions = likelihood.residuals(outputs, targets)[1]
    if directions is None:
        return vectors
    return (directions.transpose(1, 2) @ (directions @ vectors.unsqueeze(2))).squeeze(2)


class Normal:
    """Targets are normal about the outputs with standard deviation 1. The loss is the mean squared error."""

    def values(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return 0.5 * (outputs - targets).square().sum(1)

    def residuals(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor | None]:
        return outputs - targets, None

    def scale(self, targets: Tensor) -> float:
        return 2 / targets.numel()

    def spread(self, targets: Tensor, weights: Tensor | None = None) -> float:
        if weights is None:
            return float((targets - targets.mean(0)).square().mean())
        center = weights @ targets / weights.sum()
        return float((weights @ (targets - center).square()).mean()) / len(targets)


class Bernoulli:
    """Targets are 0 or 1, and the single output is the logit of 1."""

    def values(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (softplus(outputs) - targets * outputs).sum(1)

    def residuals(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor | None]:
        root = (outputs.sigmoid() * (-outputs).sigmoid()).clamp_min(_tiny(outputs)).sqrt()
        return (outputs.sigmoid() - targets) / root, root.unsqueeze(-1)


class Categorical:
    """Targets are one-hot rows, and the outputs are the logits of the classes."""

    def values(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return -(targets * log_softmax(outputs, 1)).sum(1)

    def residuals(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor | None]:
        p = outputs.softmax(1)
        root = p.clamp_min(_tiny(p)).sqrt()
        apart = torch.eye(p.shape[1], dtype=p.dtype, device=p.device) - p.unsqueeze(1)
        return (p - targets) / root, root.unsqueeze(-1) * apart


class CrossEntropy:
    """Targets are labels from 0, (n, 1).

    A single output is the logit of label 1; several outputs are those of their labels. The loss is the mean over rows.
    """

    def values(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self._of(outputs).values(outputs, self.truth(outputs, targets))

    def residuals(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor | None]:
        return self._of(outputs).residuals(outputs, self.truth(outputs, targets))

    def scale(self, targets: Tensor) -> float:
        return 1 / len(targets)

    def spread(self, targets: Tensor, weights: Tensor | None = None) -> float:
        sums = targets.flatten().long().bincount(weights)
        shares = sums / sums.sum()
        return float(-torch.xlogy(shares, shares).sum() * sums.sum()) / len(targets)

    def truth(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The labels as probabilities, in the shape of the outputs; TrainingError for targets that are no labels."""
        classes = max(2, outputs.shape[1])
        wrong = (targets != targets.round()) | (targets < 0) | (targets >= classes)
        if targets.shape[1] != 1 or bool(wrong.any()):
            came = f"y holds {float(targets[wrong][0]):g}" if bool(wrong.any()) else f"y has {targets.shape[1]} columns"
            raise TrainingError(
                f"loss='cross_entropy' takes one column of labels from 0 to {classes - 1} for {outputs.shape[1]} "
                f"outputs, but {came}. Number the classes from 0, with one output for each, or one output for two."
            )
        return targets if outputs.shape[1] == 1 else one_hot(targets[:, 0].long(), classes).to(outputs)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """The probabilities of the logits, in their shape."""
        return outputs.sigmoid() if outputs.shape[1] == 1 else outputs.softmax(1)

    def _of(self, outputs: Tensor) -> Likelihood:
        return Bernoulli() if outputs.shape[1] == 1 else Categorical()


class Weighted:
    """Another goal with weighted rows. The last column of the targets holds the weights, whose mean is 1."""

    def __init__(self, goal: Goal) -> None:
        self.goal = goal

    def values(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return targets[:, -1] * self.goal.values(outputs, targets[:, :-1])

    def residuals(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor | None]:
        return weigh(*self.goal.residuals(outputs, targets[:, :-1]), targets[:, -1])

    def scale(self, targets: Tensor) -> float:
        return self.goal.scale(targets[:, :-1])

    def spread(self, targets: Tensor, weights: Tensor | None = None) -> float:
        return self.goal.spread(targets[:, :-1], targets[:, -1] if weights is None else targets[:, -1] * weights)


def weigh(r: Tensor, directions: Tensor | None, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Residuals (n, R) and their derivatives by the outputs, for rows that count `weights` (n,) times."""
    root = weights.unsqueeze(1).sqrt()
    if directions is None:
        directions = torch.eye(r.shape[1], dtype=r.dtype, device=r.device).expand(len(r), -1, -1)
    return root * r, root.unsqueeze(-1) * directions


def rounded(likelihood: Goal, targets: Tensor) -> Tensor:
    """Measured targets rounded to a tiny share of their spread; labels and weights stay.

    Steps along flat directions are chaotic: over a hundred of them, rounding errors grow from 1e-16 to 1e-5. Targets in
    another unit differ by such errors, and are the same after they are rounded.
    """
    if isinstance(likelihood, Weighted):
        return torch.cat([rounded(likelihood.goal, targets[:, :-1]), targets[:, -1:]], 1)
    spread = likelihood.spread(targets)
    if not isinstance(likelihood, Normal) or not 0 < spread < math.inf:
        return targets
    step = 2.0 ** (
        round(math.log2(spread) / 2) - TRAINING.bits_of_target
    )  # a power of two: no rounding errors of its own
    return (targets / step).round() * step


def _tiny(x: Tensor) -> float:
    return max(TINY, torch.finfo(x.dtype).tiny)
