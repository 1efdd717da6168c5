"""Weighted rows, and the likelihood that their targets are judged by."""

from dataclasses import dataclass

from torch import Tensor

from knotwork.model import KANNetwork
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
