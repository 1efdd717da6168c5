"""Penalties that make a KAN sparse: L1 norms and entropy of its edges (eq. 2.17-2.20)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from knotwork.kernels import basis
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

    def quadratic(self, network: KANNetwork, x: Tensor, free: FreeParameters) -> tuple[Tensor, Tensor]:
        """Curvature (P, P) and gradient (P,) of the penalty, for second-order steps.

        The gradient is exact. The curvature replaces each |φ(x)| by the parabola that touches it from above at the
        present value (iteratively reweighted least squares), edge by edge, so it is never negative.
        """
        with torch.enable_grad():
            layers = trace(network, x).layers
            norms = [edge_norms(layer) for layer in layers]
            value = self.of_norms(norms)
            seen_norms = [norm.detach().requires_grad_() for norm in norms]  # norms of fixed edges have no graph
            by_norm = torch.autograd.grad(self.of_norms(seen_norms), seen_norms)
            gradient = _gradient(value, network, free)
        curvature = x.new_zeros(free.size + 1, free.size + 1)  # the last row and column collect fixed entries
        at = 0
        for l, layer in enumerate(network.layers):
            seen, n_free = layers[l], len(free.coefficients[l])
            edges, size = layer.mask.numel(), layer.coefficients.shape[1]
            if n_free or len(free.base_weights[l]):
                design = basis(seen.inputs.detach(), layer.knots, layer.k, 0, layer.extrapolation)
                design = torch.cat([design, layer.base_values(seen.inputs.detach()).unsqueeze(-1)], dim=-1)
                sizes = seen.edges.detach().abs()
                slack = 0.01 * sizes.mean(0) + 1e-6 * sizes[:, layer.mask > 0].mean() + 1e-300
                weights = by_norm[l].clamp_min(0) / len(x) / (sizes + slack)
                blocks = torch.einsum("nia,nio,nib->ioab", design, weights, design).flatten(0, 1)
                # Places of an edge's coefficients and base weight among the free parameters.
                place = torch.full((edges * (size + 1),), free.size, device=x.device)
                place[free.coefficients[l]] = torch.arange(at, at + n_free, device=x.device)
                place[edges * size + free.base_weights[l]] = (
                    at + n_free + torch.arange(len(free.base_weights[l]), device=x.device)
                )
                splines = place[: edges * size].view(layer.in_features, size, -1).transpose(1, 2).flatten(0, 1)
                places = torch.cat([splines, place[edges * size :, None]], 1)
                curvature[places[:, :, None], places[:, None, :]] = blocks
            at += n_free + len(free.base_weights[l]) + 4 * len(free.named[l])
        return curvature[:-1, :-1], gradient


def _gradient(value: Tensor, network: KANNetwork, free: FreeParameters) -> Tensor:
    """Derivatives of a scalar by the free parameters, by autograd: (P,)."""
    tensors = [tensor for layer in network.layers for tensor in (layer.coefficients, layer.base_weights, layer.affine)]
    moving = [tensor for tensor in tensors if tensor.requires_grad]
    slopes = iter(torch.autograd.grad(value, moving, allow_unused=True))
    filled = [next(slopes) if tensor.requires_grad else None for tensor in tensors]
    filled = [torch.zeros_like(t) if s is None else s for t, s in zip(tensors, filled, strict=True)]
    return free.gather([(filled[n], filled[n + 1], filled[n + 2]) for n in range(0, len(filled), 3)])
