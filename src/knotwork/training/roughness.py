"""The roughness of the curves of a network: a penalty, and the prior it is equal to."""

from itertools import accumulate

import torch
from torch import Tensor

from knotwork.kernels import base_values
from knotwork.model import FreeParameters, KANNetwork
from knotwork.splines import uniform_knots
from knotwork.training.settings import EVIDENCE


class Roughness:
    """Mean squared slopes and curvatures of all spline edges, each with a weight of its own.

    Both are differences of neighbouring coefficients (P-splines, Eilers and Marx 1996) in coordinates where every grid
    is [-1, 1] and its knots are even, so that the unit of an input has no effect. Where knots are not even, curves are
    smooth in the coordinate in which they are. The base function counts with its own mean squared slope and curvature.
    Half the weighted sum is the negative logarithm of a normal prior on the coefficients, whose precisions are
    `weights` (edges, 2), of slopes and of curvatures, layer by layer. The slopes of layers after the first keep weight
    1. A layer can stretch what the layer before it has shrunk, so two free weights would have no limit.
    `knotwork.training.evidence` chooses the other weights from the data.

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
        sources, first = free.edge_inputs(), [0, *accumulate(layer.in_features for layer in network.layers)]
        self.nodes = torch.cat([inputs + at for inputs, at in zip(sources, first[:-1], strict=True)])
        """The node at which each edge begins, (edges,), counted through all layers."""
        self.node_count = first[-1]
        self.set_weights(splines.new_full((len(self.nodes), 2), weight))

    def set_weights(self, weights: Tensor) -> None:
        """Replace the weights (edges, 2); those of slopes after the first layer become 1."""
        self.weights = weights
        self.weights[len(self.places[0]) :, 0] = 1.0

    def value(self, parameters: Tensor) -> Tensor:
        """Half the weighted sum, differentiable."""
        return 0.5 * (self.weights * self.squares(parameters)).sum()

    def slope(self, parameters: Tensor) -> Tensor:
        """Its derivatives by the parameters: (P,)."""
        slope = torch.zeros_like(parameters)
        for places, matrices in zip(self.places, self.precisions(), strict=True):
            slope[places] = (matrices @ parameters[places].unsqueeze(2)).squeeze(2)
        return slope

    def add_to(self, curvature: Tensor) -> None:
        """Add its second derivatives to a matrix (P, P), in place."""
        for places, matrices in zip(self.places, self.precisions(), strict=True):
            curvature[places[:, :, None], places[:, None, :]] += matrices

    def precisions(self) -> list[Tensor]:
        """The prior precision matrices of the edges of each layer: (edges, parameters, parameters)."""
        both = zip(self.weights.split([len(places) for places in self.places]), self.measures, strict=True)
        return [torch.einsum("ew,wij->eij", weights, measures) for weights, measures in both]

    def squares(self, parameters: Tensor) -> Tensor:
        """Mean squared slope and curvature of each edge, (edges, 2)."""
        edges = zip([parameters[places] for places in self.places], self.measures, strict=True)
        return torch.cat([torch.einsum("ei,wij,ej->ew", c, measures, c) for c, measures in edges])

    def prior_freedom(self) -> Tensor:
        """Degrees of freedom of the prior of each edge, divided by its weights: (edges, 2)."""
        return self.freedom([torch.linalg.inv(matrices) for matrices in self.precisions()])

    def freedom(self, blocks: list[Tensor]) -> Tensor:
        """Degrees of freedom of each edge, divided by its weights, of parameters with some covariance: (edges, 2).

        `blocks` are the covariances of the parameters of each edge, layer by layer: (edges, parameters, parameters).
        """
        both = zip(self.measures, blocks, strict=True)
        return torch.cat([torch.einsum("wij,eij->ew", measures, block) for measures, block in both])

    def of_node(self, values: Tensor) -> Tensor:
        """For each edge the sum of the values (edges, 2) over all edges that begin at the same node: (edges, 2)."""
        return values.new_zeros(self.node_count, 2).index_add(0, self.nodes, values)[self.nodes]


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
