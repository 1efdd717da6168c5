"""The roughness of the curves of a network: a penalty, and the prior it is equal to."""

import torch
from torch import Tensor

from knotwork.kernels import base_values
from knotwork.model import FreeParameters, KANNetwork
from knotwork.splines import uniform_knots
from knotwork.training.settings import EVIDENCE


class Roughness:
    """Mean squared slopes and curvatures of all spline edges, with one weight of each for every layer.

    Both are differences of neighbouring coefficients (P-splines, Eilers and Marx 1996) in coordinates where every grid
    is [-1, 1] and its knots are even, so that the unit of an input has no effect. Where knots are not even, curves are
    smooth in the coordinate in which they are. The base function counts with its own mean squared slope and curvature.
    Half the weighted sum is the negative logarithm of a normal prior on the coefficients, whose precisions are
    `weights` (layers, 2). The slopes of layers after the first keep weight 1. A layer can stretch what the layer before
    it has shrunk, so two free weights would have no limit. `knotwork.training.evidence` chooses the other weights from
    the data.

    Parameters (P,) have the order of `FreeParameters`. Constants of named edges and frozen parameters do not count.

    Args:
        network: gives the shapes; its coefficients are not read.
        weight: first value of all weights that are not 1.
    """

    def __init__(self, network: KANNetwork, weight: float = 1.0) -> None:
        splines, free = _measures(network), FreeParameters(network)
        self.places: list[Tensor] = []  # indices of the parameters of each edge, layer by layer: (edges, parameters)
        self.measures: list[Tensor] = []  # of slopes and of curvatures, (2, parameters, parameters)
        for found, base in zip(free.coefficient_places(), free.base_weight_places(), strict=True):
            self.places.append(torch.cat([found, base], 1))
            size = self.places[-1].shape[1]
            self.measures.append(splines[:, :size, :size])
        self.set_weights(splines.new_full((len(self.places), 2), weight))

    def set_weights(self, weights: Tensor) -> None:
        """Replace the weights (layers, 2); those of slopes after the first layer become 1."""
        self.weights = weights
        self.weights[1:, 0] = 1.0

    def value(self, parameters: Tensor) -> Tensor:
        """Half the weighted sum, differentiable."""
        return 0.5 * (self.weights * self.squares(parameters)).sum()

    def slope(self, parameters: Tensor) -> Tensor:
        """Its derivatives by the parameters: (P,)."""
        slope = torch.zeros_like(parameters)
        for places, matrix in zip(self.places, self.precisions(), strict=True):
            slope[places] = parameters[places] @ matrix
        return slope

    def add_to(self, curvature: Tensor) -> None:
        """Add its second derivatives to a matrix (P, P), in place."""
        for places, matrix in zip(self.places, self.precisions(), strict=True):
            curvature[places[:, :, None], places[:, None, :]] += matrix

    def precisions(self) -> list[Tensor]:
        """The prior precision matrix (parameters, parameters) of each edge of a layer, layer by layer."""
        both = zip(self.weights, self.measures, strict=True)
        return [torch.einsum("w,wij->ij", weights, measures) for weights, measures in both]

    def squares(self, parameters: Tensor) -> Tensor:
        """Sums of squared slopes and curvatures over the edges of each layer, (layers, 2)."""
        edges = zip([parameters[places] for places in self.places], self.measures, strict=True)
        return torch.stack([torch.einsum("ei,wij,ej->w", c, measures, c) for c, measures in edges])

    def prior_freedom(self) -> Tensor:
        """Degrees of freedom of the prior, divided by their weights: (layers, 2)."""
        layers = zip(self.places, self.precisions(), self.measures, strict=True)
        return torch.stack([len(places) * _traces(measures, torch.linalg.inv(m)) for places, m, measures in layers])

    def posterior_freedom(self, covariance: Tensor) -> Tensor:
        """Degrees of freedom left given the data, divided by their weights: (layers, 2).

        `covariance` (P, P) is that of the parameters given the data.
        """
        blocks = [covariance[places[:, :, None], places[:, None, :]].sum(0) for places in self.places]
        return torch.stack([_traces(*both) for both in zip(self.measures, blocks, strict=True)])


def _traces(measures: Tensor, block: Tensor) -> Tensor:
    return torch.einsum("wij,ij->w", measures, block)


def _measures(network: KANNetwork) -> Tensor:
    """Squared slopes and curvatures of an edge as quadratic forms of its coefficients and its base weight."""
    spec, device = network.spec, network.fitted.device
    size, step = spec.grid + spec.k, 2 / spec.grid
    level = torch.eye(size, dtype=torch.float64, device=device)
    slope, bend = level.diff(dim=0) / step, level.diff(n=2, dim=0) / step**2
    slopes = slope.T @ slope / max(len(slope), 1) + EVIDENCE.level_share * level / size
    found = level.new_zeros(2, size + 1, size + 1)
    found[:, :size, :size] = torch.stack([slopes, bend.T @ bend / max(len(bend), 1)])
    one = level.new_ones(1)
    points = torch.linspace(-1, 1, EVIDENCE.points_of_base, dtype=torch.float64, device=device)
    knots = uniform_knots(-one, one, 1, 0)
    base = [base_values(points.unsqueeze(1), knots, 0, spec.base, m).square().mean() for m in (0, 1, 2)]
    found[0, size, size], found[1, size, size] = base[1] + EVIDENCE.level_share * base[0], base[2]
    return found
