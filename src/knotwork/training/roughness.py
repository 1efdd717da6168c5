"""The roughness of the curves of a network: a penalty for networks with even grids, and the prior it is equal to."""

import torch
from torch import Tensor

from knotwork.model import KANNetwork
from knotwork.training.settings import EVIDENCE


class Roughness:
    """Mean squared slopes and curvatures of all edges, with one weight of each for every layer.

    Both are differences of neighbouring coefficients (P-splines, Eilers and Marx 1996) in coordinates where every grid
    is [-1, 1], so that the unit of an input has no effect. Half their weighted sum is the negative logarithm of a
    normal prior on the coefficients, whose precisions are `weights` (layers, 2). The slopes of layers after the first
    keep weight 1. A layer can stretch what the layer before it has shrunk, so two free weights would have no limit.
    `knotwork.training.evidence` chooses the other weights from the data.

    It is for networks with even grids, no base function and no named edge. Coefficients (P,) have the order of
    `FreeParameters`.

    Args:
        network: gives the shapes; its coefficients are not read.
        weight: first value of all weights that are not 1.
    """

    def __init__(self, network: KANNetwork, weight: float = 1.0) -> None:
        size, step = network.spec.grid + network.spec.k, 2 / network.spec.grid
        level = torch.eye(size, dtype=torch.float64)
        slope, bend = level.diff(dim=0) / step, level.diff(n=2, dim=0) / step**2
        slopes = slope.T @ slope / max(len(slope), 1) + EVIDENCE.level_share * level / size
        self.measures = torch.stack([slopes, bend.T @ bend / max(len(bend), 1)])
        self.places: list[Tensor] = []  # indices of the coefficients of each edge, layer by layer: (edges, basis)
        taken = 0
        for layer in network.layers:
            places = taken + torch.arange(layer.coefficients.numel()).view_as(layer.coefficients)
            self.places.append(places.transpose(1, 2).reshape(-1, size))
            taken += places.numel()
        self.set_weights(torch.full((len(self.places), 2), weight, dtype=torch.float64))

    def set_weights(self, weights: Tensor) -> None:
        """Replace the weights (layers, 2); those of slopes after the first layer become 1."""
        self.weights = weights
        self.weights[1:, 0] = 1.0

    def value(self, coefficients: Tensor) -> Tensor:
        """Half the weighted sum, differentiable."""
        return 0.5 * (self.weights * self.squares(coefficients)).sum()

    def slope(self, coefficients: Tensor) -> Tensor:
        """Its derivatives by the coefficients: (P,)."""
        slope = torch.empty_like(coefficients)
        for places, matrix in zip(self.places, self.precisions(), strict=True):
            slope[places] = coefficients[places] @ matrix
        return slope

    def add_to(self, curvature: Tensor) -> None:
        """Add its second derivatives to a matrix (P, P), in place."""
        for places, matrix in zip(self.places, self.precisions(), strict=True):
            curvature[places[:, :, None], places[:, None, :]] += matrix

    def precisions(self) -> list[Tensor]:
        """The prior precision matrix (basis, basis) of each edge of a layer, layer by layer."""
        return [torch.einsum("w,wij->ij", weights, self.measures) for weights in self.weights]

    def squares(self, coefficients: Tensor) -> Tensor:
        """Sums of squared slopes and curvatures over the edges of each layer, (layers, 2)."""
        edges = [coefficients[places] for places in self.places]
        return torch.stack([torch.einsum("ei,wij,ej->w", c, self.measures, c) for c in edges])

    def prior_freedom(self) -> Tensor:
        """Degrees of freedom of the prior, divided by their weights: (layers, 2)."""
        sizes = [len(places) for places in self.places]
        found = [n * self._traces(torch.linalg.inv(m)) for n, m in zip(sizes, self.precisions(), strict=True)]
        return torch.stack(found)

    def posterior_freedom(self, covariance: Tensor) -> Tensor:
        """Degrees of freedom left given the data, divided by their weights: (layers, 2).

        `covariance` (P, P) is that of the coefficients given the data.
        """
        blocks = [covariance[places[:, :, None], places[:, None, :]].sum(0) for places in self.places]
        return torch.stack([self._traces(block) for block in blocks])

    def _traces(self, block: Tensor) -> Tensor:
        return torch.einsum("wij,ij->w", self.measures, block)
