"""Penalties that make a KAN sparse: L1 norms and entropy of its edges (eq. 2.17-2.20)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from knotwork.model import FreeParameters, KANNetwork, LayerTrace, trace


def edge_norms(layer: LayerTrace) -> Tensor:
    """|φ|₁ of every edge, its mean magnitude over the batch (eq. 2.17): (in, sums)."""
    return layer.edges.abs().mean(0)


def entropy(norms: Tensor) -> Tensor:
    """S(Φ) of one layer from its edge norms (eq. 2.19); 0, with zero gradient, where the layer's norm is 0."""
    total = norms.sum()
    if not bool(total > 0):
        return 0.0 * total
    share = norms[norms > 0] / total
    return -(share * share.log()).sum()


@dataclass(frozen=True)
class Penalty:
    """λ (μ1 Σ_l |Φ_l|₁ + μ2 Σ_l S(Φ_l)) (eq. 2.20); `l1` is μ1 and `entropy` is μ2."""

    lamb: float
    l1: float = 1.0
    entropy: float = 1.0

    def of_norms(self, norms: list[Tensor]) -> Tensor:
        """The penalty of given edge norms, one tensor a layer."""
        parts = [self.l1 * layer.sum() + self.entropy * entropy(layer) for layer in norms]
        return self.lamb * torch.stack(parts).sum()

    def value(self, network: KANNetwork, x: Tensor) -> Tensor:
        """The penalty of the network on x, differentiable."""
        return self.of_norms([edge_norms(layer) for layer in trace(network, x).layers])

    def quadratic(self, network: KANNetwork, x: Tensor, free: FreeParameters) -> tuple[Tensor, Tensor]:
        raise NotImplementedError
