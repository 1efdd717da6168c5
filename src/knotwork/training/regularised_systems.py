"""The quadratic model of a regularised likelihood, as a matrix of the parameters or as one of the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from knotwork.solvers import Step
from knotwork.training.roughness import Roughness
from knotwork.training.settings import EVIDENCE


class RegularisedSystem(Protocol):
    """Curvature H and slope g of a likelihood plus roughness. H is positive definite but for rounding."""

    def step(self, damping: float) -> Step:
        """The step of Marquardt's damping, -(H + λ diag H)⁻¹ g."""
        ...

    def freedom(self) -> Tensor:
        """Degrees of freedom left given the data, whose covariance is H⁻¹, divided by the weights: (edges, 2)."""
        ...


@dataclass(frozen=True)
class ByParameters:
    """The system of `curvature` H (P, P) and `slope` (P,), solved by Cholesky factors of H."""

    curvature: Tensor
    slope: Tensor
    roughness: Roughness

    def step(self, damping: float) -> Step:
        factor = _factor(self.curvature + torch.diag(damping * self.curvature.diagonal()))

        def solve(vector: Tensor) -> Tensor:
            return torch.cholesky_solve(vector[:, None], factor)[:, 0]

        move = -solve(self.slope)
        return Step(move, _predicted(move, self.slope, self.curvature @ move), solve)

    def freedom(self) -> Tensor:
        covariance = torch.cholesky_inverse(_factor(self.curvature))
        places = self.roughness.places
        return self.roughness.freedom([covariance[edges[:, :, None], edges[:, None, :]] for edges in places])


class ByRows:
    """The system of H = JᵀJ + Λ with fewer rows of J (R, P) than parameters, solved by Cholesky factors of (R, R).

    Λ is the second derivative of the roughness: one block for each edge. With D = Λ + λ diag H, which has such blocks
    too, (D + JᵀJ)⁻¹ = D⁻¹ - D⁻¹Jᵀ (1 + J D⁻¹ Jᵀ)⁻¹ J D⁻¹ (Woodbury).

    Args:
        jacobian: J, in units of the noise.
        slope: (P,).
        roughness: gives Λ; every parameter belongs to one of its edges.
    """

    def __init__(self, jacobian: Tensor, slope: Tensor, roughness: Roughness) -> None:
        self.roughness, self.order = roughness, torch.cat([places.flatten() for places in roughness.places])
        self.slope = slope[self.order, None]  # (P, 1), edge by edge
        self.transposed = jacobian.T[self.order]  # Jᵀ
        self.shapes = [places.shape for places in roughness.places]
        self.prior = roughness.precisions()
        diagonals = torch.cat([block.diagonal(dim1=1, dim2=2).flatten() for block in self.prior])
        self.diagonal = self.transposed.square().sum(1) + diagonals

    def step(self, damping: float) -> Step:
        added = zip(self.prior, self._by_layer(damping * self.diagonal), strict=True)
        inverses = [torch.linalg.inv(block + torch.diag_embed(more)) for block, more in added]
        shrunk, factor = self._rows(inverses)

        def solve(vector: Tensor) -> Tensor:
            return self._times(inverses, vector) - shrunk @ torch.cholesky_solve(shrunk.T @ vector, factor)

        def curvature(vector: Tensor) -> Tensor:
            return self.transposed @ (self.transposed.T @ vector) + self._times(self.prior, vector)

        move = -solve(self.slope)
        predicted = _predicted(move, self.slope, curvature(move))
        return Step(self._as_given(move), predicted, lambda vector: self._as_given(solve(vector[self.order, None])))

    def freedom(self) -> Tensor:
        inverses = [torch.linalg.inv(block) for block in self.prior]
        shrunk, factor = self._rows(inverses)
        known = self._by_layer(torch.linalg.solve_triangular(factor.T, shrunk, upper=True, left=False))
        return self.roughness.freedom([block - part @ part.mT for block, part in zip(inverses, known, strict=True)])

    def _rows(self, inverses: list[Tensor]) -> tuple[Tensor, Tensor]:
        """D⁻¹Jᵀ (P, R), and the Cholesky factor of 1 + J D⁻¹ Jᵀ, from the inverse blocks of D."""
        shrunk = self._times(inverses, self.transposed)
        rows = shrunk.shape[1]
        inner = torch.eye(rows, dtype=shrunk.dtype, device=shrunk.device)
        for some in (slice(rows // 2), slice(rows // 2, rows)):  # the factor needs no more than the lower triangle
            at = some.start or 0
            inner[at:, some] += self.transposed[:, at:].T @ shrunk[:, some]
        factor, failed = torch.linalg.cholesky_ex(inner)  # its eigenvalues are 1 or larger
        return shrunk, _factor(inner) if int(failed) else factor

    def _times(self, blocks: list[Tensor], columns: Tensor) -> Tensor:
        """A matrix of blocks, (edges, p, p) in each layer, times columns (P, any number)."""
        parts = zip(blocks, self._by_layer(columns), strict=True)
        return torch.cat([(block @ part).flatten(0, 1) for block, part in parts])

    def _by_layer(self, values: Tensor) -> list[Tensor]:
        """Parts of values (P, ...), one for each layer: (edges, p, ...)."""
        parts = values.split([shape.numel() for shape in self.shapes])
        return [part.unflatten(0, shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def _as_given(self, column: Tensor) -> Tensor:
        """A column (P, 1) as a vector (P,) in the order of the parameters."""
        return torch.empty_like(column[:, 0]).index_copy_(0, self.order, column[:, 0])


def rows_suffice(rows: int, size: int, roughness: Roughness) -> bool:
    """Whether `ByRows` takes less time for `size` parameters, and Λ can be inverted."""
    if rows > EVIDENCE.few_rows * size:
        return False
    if sum(places.numel() for places in roughness.places) != size:  # constants of named edges have no roughness
        return False
    return all(
        bool((torch.linalg.cond(blocks) < EVIDENCE.largest_condition).all()) for blocks in roughness.precisions()
    )


def _predicted(move: Tensor, slope: Tensor, curved: Tensor) -> float:
    """The decrease of the objective by a move, where `curved` is the curvature times the move."""
    return -float((move * (slope + 0.5 * curved)).sum())


def _factor(matrix: Tensor) -> Tensor:
    """The Cholesky factor of a matrix that is positive definite but for rounding; of its diagonal if it is not."""
    diagonal = matrix.diagonal().clamp_min(1e-300)
    for ridge in EVIDENCE.ridges:
        factor, failed = torch.linalg.cholesky_ex(matrix + torch.diag(ridge * diagonal))
        if not int(failed):
            return factor
    return torch.diag(diagonal.sqrt())
