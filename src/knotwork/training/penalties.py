"""Penalties that make a KAN sparse: L1 norms and entropy of its edges (eq. 2.17-2.20)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from knotwork.model import (
    FreeParameters,
    KANLayer,
    KANNetwork,
    LayerSweep,
    LayerTrace,
    Sweep,
    sweep,
    trace,
    vjp_of_edges,
)


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


def entropy_slopes(norms: Tensor) -> Tensor:
    """The derivatives of S(Φ) by the norms: -(log p + S)/Σ for the share p of the sum Σ; (1 - S)/Σ where p is 0."""
    total = norms.sum()
    if not bool(total > 0):
        return torch.zeros_like(norms)
    share = norms / total
    information = torch.where(norms > 0, -share.log(), 1.0)
    return (information + torch.xlogy(share, share).sum()) / total


@dataclass(frozen=True)
class Penalty:
    """λ (μ1 Σ_l |Φ_l|₁ + μ2 Σ_l S(Φ_l)) (eq. 2.20); `lamb` is λ, `l1` is μ1 and `entropy` is μ2.

    Nothing is scaled here: `fit` passes λ and μ2 times the standard deviation of the targets.
    """

    lamb: float
    l1: float = 1.0
    entropy: float = 1.0

    def of_norms(self, norms: list[Tensor]) -> Tensor:
        """The penalty of given edge norms, one tensor for each layer."""
        parts = [self.l1 * layer.sum() + self.entropy * entropy(layer) for layer in norms]
        return self.lamb * torch.stack(parts).sum()

    def value(self, network: KANNetwork, x: Tensor) -> Tensor:
        """The penalty of the network on x, differentiable."""
        return self.of_norms([edge_norms(layer) for layer in trace(network, x).layers])

    def with_gradient(self, network: KANNetwork, x: Tensor, free: FreeParameters) -> tuple[Tensor, Tensor]:
        """The penalty and its gradient by the free parameters (P,)."""
        with torch.enable_grad():
            value = self.value(network, x)
            gradient = _gradient(value, network, free)
        return value.detach(), gradient

    @torch.no_grad()
    def value_in(self, network: KANNetwork, seen: Sweep) -> float:
        """The penalty in a whole forward pass."""
        return float(self.of_norms([edges.abs().mean(0) for edges in edges_in(network, seen)]))

    @torch.no_grad()
    def quadratic(
        self, network: KANNetwork, x: Tensor, free: FreeParameters, seen: Sweep | None = None
    ) -> tuple[Tensor, Tensor]:
        """Curvature (P, P) and gradient (P,) of the penalty, for second-order steps.

        The gradient is exact. The curvature replaces each |φ(x)| by the parabola that touches it from above at the
        present value (iteratively reweighted least squares), edge by edge, so it is never negative. `seen` is a forward
        pass over x, if there is one.
        """
        seen = seen if seen is not None and seen.whole else sweep(network, x)
        edges = edges_in(network, seen)
        sizes = [values.abs() for values in edges]
        by_norm = self._by_norms([size.mean(0) for size in sizes])
        by_edges = [by * values.sign() / len(x) for by, values in zip(by_norm, edges, strict=True)]
        curvature = x.new_zeros(free.size + 1, free.size + 1)  # the last row and column collect fixed entries
        at = 0
        for l, (layer, saw) in enumerate(zip(network.layers, seen.layers, strict=True)):
            n_free = len(free.coefficients[l]), len(free.base_weights[l])
            if any(n_free):
                slack = 0.01 * sizes[l].mean(0) + 1e-6 * sizes[l][:, layer.mask > 0].mean() + 1e-300
                weights = by_norm[l].clamp_min(0) / len(x) / (sizes[l] + slack)
                places = _places(layer, free, l, at)
                curvature[places[:, :, None], places[:, None, :]] = _blocks(saw, weights)
            at += sum(n_free) + 4 * len(free.named[l])
        return curvature[:-1, :-1], vjp_of_edges(network, seen, by_edges, free)

    def _by_norms(self, norms: list[Tensor]) -> tuple[Tensor, ...]:
        """The derivatives of the penalty by the norms of the edges, one tensor for each layer."""
        return tuple(self.lamb * (self.l1 + self.entropy * entropy_slopes(norm)) for norm in norms)


def edges_in(network: KANNetwork, seen: Sweep) -> list[Tensor]:
    """The values of every edge in a whole forward pass: (batch, in, sums) for each layer."""
    return [layer.edges(saw.inputs, saw.known) for layer, saw in zip(network.layers, seen.layers, strict=True)]


def _blocks(saw: LayerSweep, weights: Tensor) -> Tensor:
    """Σ_n w_n b_n b_nᵀ for every edge, with b its basis functions and its base: (edges, basis + 1, basis + 1).

    The weights are (batch, in, sums).
    """
    design = torch.cat([saw.splines, saw.base.unsqueeze(-1)], dim=-1).permute(1, 2, 0).contiguous()
    weighed = design.unsqueeze(1) * weights.permute(1, 2, 0).unsqueeze(2)  # (in, sums, basis + 1, batch)
    blocks = weighed.flatten(1, 2) @ design.transpose(1, 2)
    return blocks.unflatten(1, weighed.shape[1:3]).flatten(0, 1)


def _places(layer: KANLayer, free: FreeParameters, l: int, at: int) -> Tensor:
    """Places of each edge's coefficients and base weight among the free parameters: (edges, basis + 1).

    Those of layer l begin at `at`. What is not free has the place after the last parameter.
    """
    edges, size = layer.mask.numel(), layer.coefficients.shape[1]
    n_free, device = len(free.coefficients[l]), layer.mask.device
    place = torch.full((edges * (size + 1),), free.size, device=device)
    place[free.coefficients[l]] = torch.arange(at, at + n_free, device=device)
    place[edges * size + free.base_weights[l]] = at + n_free + torch.arange(len(free.base_weights[l]), device=device)
    splines = place[: edges * size].view(layer.in_features, size, -1).transpose(1, 2).flatten(0, 1)
    return torch.cat([splines, place[edges * size :, None]], 1)


def _gradient(value: Tensor, network: KANNetwork, free: FreeParameters) -> Tensor:
    """Derivatives of a scalar by the free parameters, by autograd: (P,)."""
    tensors = [tensor for layer in network.layers for tensor in (layer.coefficients, layer.base_weights, layer.affine)]
    moving = [tensor for tensor in tensors if tensor.requires_grad]
    slopes = iter(torch.autograd.grad(value, moving, allow_unused=True))
    filled = [next(slopes) if tensor.requires_grad else None for tensor in tensors]
    filled = [torch.zeros_like(t) if s is None else s for t, s in zip(tensors, filled, strict=True)]
    return free.gather([(filled[n], filled[n + 1], filled[n + 2]) for n in range(0, len(filled), 3)])
