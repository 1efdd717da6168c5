"""Weighted rows, and the likelihood that their targets are judged by."""

from dataclasses import dataclass

from torch import Tensor

from knotwork.model import KANNetwork
from knotwork.model.settings import MODEL
from knotwork.training.likelihood import Likelihood


@dataclass(frozen=True)
class Rows:
    """What a fit sees: inputs (n, in), targets (n, K), how often each row counts (n,), and their likelihood.

    The network's outputs are deviations from `offset` (K,).
    """

    x: Tensor
    targets: Tensor
    weights: Tensor
    offset: Tensor
    likelihood: Likelihood

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, places: Tensor | slice) -> "Rows":
        return Rows(self.x[places], self.targets[places], self.weights[places], self.offset, self.likelihood)

    @property
    def total(self) -> float:
        """The sum of the weights: how many rows there are for the likelihood."""
        return float(self.weights.sum())

    def outputs(self, network: KANNetwork) -> Tensor:
        """What the network says about these rows, (n, K)."""
        return network(self.x) + self.offset

    def loss(self, outputs: Tensor) -> Tensor:
        """The negative log-likelihood of all rows together, differentiable."""
        return self.weights @ self.likelihood.values(outputs, self.targets)

    def squared_move(self, before: Tensor, after: Tensor) -> float:
        """The weighted sum of squared changes of outputs (n, K) from `before` to `after`, in units of the noise.

        The noise is 1 for a normal target. For a label of probability p it is 1/√(p(1 - p)) of a logit, so that a
        change counts little where the label is certain.
        """
        total, size = 0.0, max(1, MODEL.jacobian_entries // before.shape[1] ** 2)
        for at in range(0, len(self), size):
            some = slice(at, at + size)
            moves = after[some] - before[some]
            directions = self.likelihood.residuals(after[some], self.targets[some])[1]
            if directions is not None:
                moves = (directions @ moves.unsqueeze(-1)).squeeze(-1)
            total += float(self.weights[some] @ moves.square().sum(1))
        return total


def effective_number(weights: Tensor) -> float:
    """The number of equal rows that determine a mean as well as rows with these weights (n,) do (Kish 1965)."""
    return float((weights / weights.max()).sum().square() / (weights / weights.max()).square().sum())


def counted(weights: Tensor) -> Tensor:
    """Weights (n,) as numbers of rows: whole ones are those of copies, others have the sum `effective_number`."""
    copies = bool((weights == weights.round()).all())
    return weights if copies else weights * (effective_number(weights) / weights.sum())
