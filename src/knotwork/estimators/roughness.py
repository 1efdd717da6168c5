"""How rough the curves of a network are, and how much of that the data ask for."""

import torch
from torch import Tensor

from knotwork.model import KANNetwork

LEVEL = 1e-2  # of the weight of slopes: holds the constants that edges can pass to one another
LEAST, MOST = 1e-4, 1e6  # of a weight
FASTEST = 10.0  # factor by which a weight changes in one step


class Roughness:
    """Mean squared slopes and curvatures of all edges, weighted layer by layer.

    Both are differences of neighbouring coefficients (P-splines, Eilers and Marx 1996) in coordinates where every grid
    is [-1, 1], so that the units of an input make no difference. Half their weighted sum is the negative logarithm of a
    normal prior on the coefficients, whose precisions are `weights` (layers, 2). Slopes beyond the first layer keep
    weight 1: a layer can stretch what the one before it shrank, so with two free weights both would drift for ever.
    For networks with even grids, no base function and no named edge; coefficients (P,) come in the order of
    `FreeParameters`.
    """

    def __init__(self, network: KANNetwork, weight: float = 1.0) -> None:
        size, step = network.spec.grid + network.spec.k, 2 / network.spec.grid
        level = torch.eye(size, dtype=torch.float64)
        slope, bend = level.diff(dim=0) / step, level.diff(n=2, dim=0) / step**2
        slopes = slope.T @ slope / max(len(slope), 1) + LEVEL * level / size
        self.measures = torch.stack([slopes, bend.T @ bend / max(len(bend), 1)])
        self.places: list[Tensor] = []  # of the coefficients of each edge, layer by layer: (edges, basis)
        taken = 0
        for layer in network.layers:
            places = taken + torch.arange(layer.coefficients.numel()).view_as(layer.coefficients)
            self.places.append(places.transpose(1, 2).reshape(-1, size))
            taken += places.numel()
        self.weights = torch.full((len(self.places), 2), weight, dtype=torch.float64)
        self.weights[1:, 0] = 1.0

    def value(self, coefficients: Tensor) -> Tensor:
        """Half the weighted sum, differentiable."""
        return 0.5 * (self.weights * self._squares(coefficients)).sum()

    def slope(self, coefficients: Tensor) -> Tensor:
        """Its derivatives by the coefficients: (P,)."""
        slope = torch.empty_like(coefficients)
        for places, matrix in zip(self.places, self._precisions(), strict=True):
            slope[places] = coefficients[places] @ matrix
        return slope

    def add_to(self, curvature: Tensor) -> None:
        """Add its second derivatives to a matrix (P, P), in place."""
        for places, matrix in zip(self.places, self._precisions(), strict=True):
            curvature[places[:, :, None], places[:, None, :]] += matrix

    def determined(self, covariance: Tensor) -> float:
        """How many of the coefficients the data determine, from their covariance (P, P) given the data."""
        return len(covariance) - float((self.weights * self._left(covariance)).sum())

    def learn(self, coefficients: Tensor, covariance: Tensor) -> None:
        """Move the weights, at most tenfold, towards those under which the data are most probable.

        A weight becomes (degrees of freedom of the prior - those left given the data) / squares: the fixed point of
        MacKay (1992), for several weights (Wood and Fasiolo 2017).
        """
        sizes = [len(places) for places in self.places]
        prior = [n * self._traces(torch.linalg.inv(m)) for n, m in zip(sizes, self._precisions(), strict=True)]
        taken = (torch.stack(prior) - self._left(covariance)).clamp_min(1e-10)
        moved = self.weights * taken / self._squares(coefficients).clamp_min(1e-300)
        slowed = torch.minimum(torch.maximum(moved, self.weights / FASTEST), self.weights * FASTEST)
        self.weights = slowed.clamp(LEAST, MOST)
        self.weights[1:, 0] = 1.0

    def _precisions(self) -> list[Tensor]:
        """The matrix (basis, basis) that each edge of a layer has in the prior, layer by layer."""
        return [torch.einsum("w,wij->ij", weights, self.measures) for weights in self.weights]

    def _squares(self, coefficients: Tensor) -> Tensor:
        """Slopes and curvatures squared, summed over the edges of each layer: (layers, 2)."""
        edges = [coefficients[places] for places in self.places]
        return torch.stack([torch.einsum("ei,wij,ej->w", c, self.measures, c) for c in edges])

    def _left(self, covariance: Tensor) -> Tensor:
        """Degrees of freedom left given the data, divided by their weights: (layers, 2)."""
        blocks = [covariance[places[:, :, None], places[:, None, :]].sum(0) for places in self.places]
        return torch.stack([self._traces(block) for block in blocks])

    def _traces(self, block: Tensor) -> Tensor:
        return torch.einsum("wij,ij->w", self.measures, block)
