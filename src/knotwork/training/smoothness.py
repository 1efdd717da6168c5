"""A weak smoothness penalty. It determines coefficients that no sample determines."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from knotwork.model import FreeParameters, KANNetwork
from knotwork.training.settings import TRAINING


class Smoothness:
    """Σ_e w_e |Δ^(k+1) c_e|² over the curves e of a network, to be added to a mean squared error.

    Without it, coefficients that hardly any row determines, between rows and beyond the last ones, would be arbitrary.
    With it they continue the neighbouring polynomial. Δ^(k+1) c are the jumps of the k-th derivative between intervals;
    on even knots they are differences of coefficients (Eilers and Marx 1996). They vanish for polynomials. Where
    splines follow a smooth curve, their squares are much smaller than the squared error of any spline of this order, so
    the weight does not change the error. w_e is `weight` times the sensitivity of the outputs to the curve, from
    `curvature`, the diagonal (P,) of the matrix of normal equations. So units have no effect.

    With `exact` rows, whose error is that of the spline itself, the jumps follow the next derivative of a smooth curve
    and are best continued along a straight line. The sum is then over differences of the jumps, of higher order and
    with a larger smoothness weight (`exact_order`, `exact_smoothness`). With noise such a line would deviate from the
    curve.
    """

    def __init__(
        self, network: KANNetwork, free: FreeParameters, curvature: Tensor, weight: float, exact: bool = False
    ) -> None:
        self.exact = exact
        weight, higher = (weight * TRAINING.exact_smoothness, TRAINING.exact_order) if exact else (weight, 0)
        places, roots = [], []
        for layer, found, inputs in zip(network.layers, free.coefficient_places(), free.edge_inputs(), strict=True):
            differences = _differences(layer.knots, layer.k, higher)[inputs]
            places.append(found)
            roots.append((weight * curvature[found].sum(1)).sqrt().view(-1, 1, 1) * differences.to(curvature))
        self.places, self.roots = torch.cat(places), torch.cat(roots)  # of √w_e Δ: (curves, jumps, G + k)
        self._square()

    def kept(self) -> tuple[Any, ...]:
        """What `resumed` needs."""
        return self.exact, self.places, self.roots

    @classmethod
    def resumed(cls, kept: tuple[Any, ...], device: torch.device) -> Smoothness:
        """The same sum again."""
        smooth = cls.__new__(cls)
        smooth.exact, *tensors = kept
        smooth.places, smooth.roots = (tensor.to(device) for tensor in tensors)
        smooth._square()
        return smooth

    def value(self, parameters: Tensor) -> float:
        """The sum for free parameters (P,)."""
        return float(self._by_curve(parameters).sum())

    def weaken(self, parameters: Tensor, most: float) -> float:
        """Reduce the weights so that no curve adds more than its share of `most`; the sum for parameters (P,) after it.

        Where the rows require a rough curve, its weight falls. The weights of the other curves fall with the power
        `smoothness_together` of the common factor, so that no weight stays too large for an exact fit.
        """
        rough, share = self._by_curve(parameters), most / max(len(self.places), 1)
        if not bool((rough > share).any()):
            return float(rough.sum())
        together = (most / rough.sum().clamp_min(most)) ** TRAINING.smoothness_together
        less = torch.minimum(share / rough.clamp_min(share), together)
        self.roots = less.sqrt().view(-1, 1, 1) * self.roots
        self._square()
        return float(less @ rough)

    def add_to(self, matrix: Tensor, gradient: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Add half of its second and first derivatives to JᵀJ (P, P) and Jᵀr (P,)."""
        matrix, gradient, places = matrix.clone(), gradient.clone(), self.places
        gradient[places] += (self.squares @ parameters[places].unsqueeze(2)).squeeze(2)
        matrix[places.unsqueeze(2), places.unsqueeze(1)] += self.squares
        return matrix, gradient

    def _by_curve(self, parameters: Tensor) -> Tensor:
        """The contribution of every curve to the sum, (curves,)."""
        return (self.roots @ parameters[self.places].unsqueeze(2)).square().sum((1, 2))

    def _square(self) -> None:
        self.squares = self.roots.transpose(1, 2) @ self.roots


def _differences(knots: Tensor, k: int, higher: int = 0) -> Tensor:
    """The jumps of the k-th derivative between intervals, as a matrix on the coefficients: (in, G - 1, G + k).

    Knots are (in, G + 2k + 1). The jumps are in units of the mean interval and divided by 2^(k+1), so that on even
    knots they are differences of order k + 1. With `higher` they are divided by the distance of their knots and
    subtracted again this number of times, as long as at least one row is left: differences of order k + 1 + higher.
    """
    grid = knots.shape[1] - 2 * k - 1
    mean = (knots[:, grid + k, None] - knots[:, k, None]) / grid
    knots = (knots - knots[:, k, None]) / mean  # powers of the mean interval may not be numbers of this type
    found = torch.eye(grid + k, dtype=knots.dtype, device=knots.device).unsqueeze(0)
    tiny = torch.finfo(knots.dtype).eps * grid * torch.ones_like(mean)
    for m in range(1, k + 1):  # coefficients of the m-th derivative (de Boor 1978, chapter X)
        gap = knots[:, k + 1 : grid + 2 * k + 1 - m] - knots[:, m : grid + k]
        found = found.diff(dim=1) * ((k - m + 1) / gap.maximum(tiny)).unsqueeze(2)
    found = found.diff(dim=1) / 2 ** (k + 1)
    found = found.expand(len(knots), -1, -1)
    places = (knots[:, k + 1 : grid + k + 1] + knots[:, k : grid + k]) / 2  # centres of intervals
    for _ in range(min(higher, grid - 2)):
        found = (found * (1 / places.diff().maximum(tiny)).unsqueeze(2)).diff(dim=1) / 2
        places = (places[:, 1:] + places[:, :-1]) / 2
    return found
