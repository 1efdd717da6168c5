"""A whisper of roughness in least squares: it decides only what the rows leave open."""

import torch
from torch import Tensor

from knotwork.model import FreeParameters, KANNetwork

WHISPER = 3e-5  # of differences of coefficients against values at the rows


class Smoothness:
    """Σ_e w_e |Δ^(k+1) c_e|² over the curves e of a network, to be added to a mean squared error.

    Coefficients that no row or hardly one determines, between rows and beyond the last ones, would be left to chance;
    this lets them continue the polynomial beside them. The differences (Eilers and Marx 1996) vanish for polynomials,
    and where splines follow a smooth curve their squares are so small beside the squared error that is left to any
    spline of this order that the weight leaves the error as it is. w_e is `weight` times how much the outputs depend on
    the curve, from `curvature`, the diagonal (P,) of JᵀJ / rows, so that units make no difference.
    """

    def __init__(self, network: KANNetwork, free: FreeParameters, curvature: Tensor, weight: float) -> None:
        self.parts: list[tuple[Tensor, Tensor, Tensor]] = []  # of each layer: places (edges, G+k), differences, weights
        for layer, places in zip(network.layers, free.coefficient_places(), strict=True):
            size = layer.grid + layer.k
            order = min(layer.k + 1, size - 1)
            differences = (
                torch.eye(size, dtype=curvature.dtype, device=curvature.device).diff(n=order, dim=0) / 2**order
            )
            self.parts.append((places, differences, weight * curvature[places].sum(1)))

    def value(self, parameters: Tensor) -> float:
        """The sum for free parameters (P,)."""
        return sum(float(w @ (parameters[p] @ d.T).square().sum(1)) for p, d, w in self.parts)

    def weaken(self, factor: float) -> None:
        """Count for that much less."""
        self.parts = [(places, differences, weights * factor) for places, differences, weights in self.parts]

    def add_to(self, matrix: Tensor, gradient: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Half of its second and first derivatives added to JᵀJ (P, P) and Jᵀr (P,)."""
        matrix, gradient = matrix.clone(), gradient.clone()
        for places, differences, weights in self.parts:
            square = differences.T @ differences
            gradient[places] += weights.unsqueeze(1) * (parameters[places] @ square)
            matrix[places.unsqueeze(2), places.unsqueeze(1)] += weights.view(-1, 1, 1) * square
        return matrix, gradient
