"""Residuals of an equation and its conditions at points, and their Jacobian by every parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import comb
from typing import Any

import torch
from torch import Tensor

from knotwork.model import FreeParameters, KANNetwork
from knotwork.pde.problems.conditions import Hard
from knotwork.pde.problems.directional import Directions, directions_for
from knotwork.pde.problems.evaluation_context import EvaluationContext, residuals_of
from knotwork.pde.problems.fields import Field, Jets, values_of
from knotwork.pde.problems.points import PointSet, condition_points, domain_points
from knotwork.pde.problems.problem import Problem
from knotwork.pde.settings import PDE
from knotwork.pde.solving.jets import JetSweep, gradient, input_features, jet_sweep, rows_of_jacobian


@dataclass
class Chunk:
    """Points of a term that are evaluated together, with the features of the first layer and the jets of factors."""

    x: Tensor  # (copies·n, coordinates)
    rows: slice
    first: Tensor = field(default_factory=lambda: torch.empty(0))
    factors: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)


class Term:
    """One residual at all its points; its share of the objective is w·mean of its squares."""

    def __init__(
        self,
        problem: Problem,
        name: str,
        residual: Callable[[EvaluationContext], Any],
        points: PointSet,
        weight: float = 1.0,
    ) -> None:
        self.problem, self.name, self.residual, self.points, self.weight = problem, name, residual, points, weight
        self.user_weight = weight
        unknowns = {key: torch.tensor(value) for key, value in problem.unknowns.items()}
        some = slice(0, 3)
        coordinates = problem.by_name(points.x[some])
        context = EvaluationContext([{}], coordinates, unknowns, problem.time, points.normal, some)
        what = "the residual" if name == "equation" else f"the residual of {name}"
        self.scales: Tensor | None = None  # (equations, n), factors of the residuals
        self.multis = problem.derivatives_in(residual, context, what)
        self.directions = directions_for(self.multis)
        self.copies = 1 if points.opposite is None else 2
        self.scale = (problem.ends()[1] - problem.ends()[0]) / 2
        self.chunks = []
        for at in range(0, len(points.x), PDE.points_at_once):
            rows = slice(at, at + PDE.points_at_once)
            parts = [points.x[rows]] if points.opposite is None else [points.x[rows], points.opposite[rows]]
            self.chunks.append(Chunk(torch.cat(parts), rows))

    @property
    def count(self) -> int:
        """The number of points."""
        return len(self.points.x)

    def prepare(self, network: KANNetwork) -> None:
        """Compute the features of the first layer and the hard conditions, which depend on points and input knots."""
        for chunk in self.chunks:
            chunk.first = input_features(network.layers[0], chunk.x, self.directions, self.scale)
            if self.problem.hard and not chunk.factors:
                chunk.factors = {name: self._hard_jets(chunk.x, h) for name, h in self.problem.hard.items()}

    def equilibrate_rows(self, network: KANNetwork, unknowns: Tensor, free: FreeParameters) -> None:
        """Row equilibration: divide the residuals at each point by |J|^(1/2), J being their row of the Jacobian."""
        self.scales = None
        sizes = [jacobian.norm(dim=1) for _, jacobian in self.rows(network, unknowns, free)]
        equations = len(sizes) // len(self.chunks)
        size = torch.stack([torch.cat(sizes[e::equations]) for e in range(equations)])
        scales = size.clamp_min(PDE.smallest_row * float(size.max()) + 1e-300).rsqrt()
        self.scales = scales / scales.square().mean().sqrt()

    def values(self, network: KANNetwork, unknowns: Tensor) -> Tensor:
        """The residuals (equations, n) for unknown coefficients (U,)."""
        found = []
        for chunk in self.chunks:
            swept = jet_sweep(network, chunk.first, self.directions, history=False)
            with torch.no_grad():
                found.append(torch.stack(self._residuals(swept, chunk, unknowns.expand(self._n(chunk), -1))))
        return torch.cat(found, dim=1)

    def rows(
        self, network: KANNetwork, unknowns: Tensor, free: FreeParameters, first: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Residuals (n,) and their Jacobian (n, P + U), one equation after the other, a chunk of points at a time.

        The columns are the parameters of the layers from `first` on.
        """
        for chunk in self.chunks:
            swept, parts, each = self._with_history(network, chunk, unknowns)
            for part in parts:
                wanted = [*swept.sums[first:], each]
                found = torch.autograd.grad(part.sum(), wanted, retain_graph=True, materialize_grads=True)
                jacobian = rows_of_jacobian(swept, found[:-1], free, self.copies, first)
                yield part.detach(), torch.cat([jacobian, found[-1]], dim=1)

    def vjp(self, network: KANNetwork, unknowns: Tensor, free: FreeParameters, by: Tensor) -> Tensor:
        """The vector-Jacobian product Jᵀ `by`, for `by` (equations, n), without forming J: (P + U,)."""
        total = torch.zeros(free.size + len(unknowns), dtype=torch.float64)
        for chunk in self.chunks:
            swept, parts, each = self._with_history(network, chunk, unknowns)
            value = (torch.stack(parts) * by[:, chunk.rows]).sum()
            found = torch.autograd.grad(value, [*swept.sums, each], materialize_grads=True)
            total += torch.cat([gradient(swept, found[:-1], free), found[-1].sum(0)])
        return total

    def _with_history(
        self, network: KANNetwork, chunk: Chunk, unknowns: Tensor
    ) -> tuple[JetSweep, list[Tensor], Tensor]:
        """A sweep, the residuals with autograd's history, and the unknowns they depend on, one row a point."""
        swept = jet_sweep(network, chunk.first, self.directions)
        each = unknowns.expand(self._n(chunk), -1).clone().requires_grad_()
        return swept, self._residuals(swept, chunk, each), each

    def _n(self, chunk: Chunk) -> int:
        return len(chunk.x) // self.copies

    def fields_of(self, swept: JetSweep, chunk: Chunk) -> list[dict[str, Field]]:
        """The fields at the points of a chunk, twice for a periodic condition."""
        n = self._n(chunk)
        copies: list[dict[str, Field]] = [{} for _ in range(self.copies)]
        for o, name in enumerate(self.problem.fields):
            jet = swept.outputs[..., o]
            if name in chunk.factors:
                jet = _product(self.directions, *chunk.factors[name], jet)
            for c, fields in enumerate(copies):
                values = jet[:, c * n : (c + 1) * n]
                fields[name] = Field(name, Jets(values, self.directions, self.problem.coordinates, self.scale))
        return copies

    def _residuals(self, swept: JetSweep, chunk: Chunk, unknowns: Tensor) -> list[Tensor]:
        found = self.residuals_of(self.fields_of(swept, chunk), chunk, unknowns)
        if self.scales is None:
            return found
        return [r * scale for r, scale in zip(found, self.scales[:, chunk.rows], strict=True)]

    def residuals_of(self, copies: list[dict[str, Field]], chunk: Chunk, unknowns: Tensor) -> list[Tensor]:
        """The residuals (n,) of fields at the points of a chunk, for unknowns (n, U)."""
        named = dict(zip(self.problem.unknowns, unknowns.unbind(1), strict=True))
        coordinates = self.problem.by_name(chunk.x[: self._n(chunk)])
        context = EvaluationContext(copies, coordinates, named, self.problem.time, self.points.normal, chunk.rows)
        return residuals_of(self.residual(context), self._n(chunk), self.name)

    def _hard_jets(self, x: Tensor, hard: Hard) -> tuple[Tensor, Tensor]:
        """Jets of factor and offset at x, (jet, n) each."""
        return self._jets_of(x, hard.factor, "the factor of hard()"), self._jets_of(
            x, hard.offset, "the offset of hard()"
        )

    @torch.enable_grad()
    def _jets_of(self, x: Tensor, function: Any, what: str) -> Tensor:
        found = [values_of(function, what, self.problem.by_name(x)).detach()]
        for vector, order in zip(self.directions.vectors, self.directions.orders, strict=True):
            step = torch.zeros(len(x), 1, dtype=x.dtype, requires_grad=True)
            moved = x + step * (torch.tensor(vector, dtype=x.dtype) * self.scale)
            value = values_of(function, what, self.problem.by_name(moved))
            for _ in range(order):
                if value.requires_grad:
                    slope = torch.autograd.grad(value.sum(), step, create_graph=True, materialize_grads=True)[0]
                    value = slope.squeeze(1)
                else:
                    value = torch.zeros(len(x), dtype=x.dtype)
                found.append(value.detach())
        return torch.stack(found)


def make_terms(
    problem: Problem, n: int, on_face: int, seed: int, move: Callable[[PointSet], PointSet] | None = None
) -> list[Term]:
    """The equation at n points and every condition at `on_face` points a face.

    `move` changes all points but those that a condition was given at.
    """
    points = domain_points(problem, n, seed)
    terms = [Term(problem, "equation", problem.equation, move(points) if move else points)]
    for number, condition in enumerate(problem.conditions, 1):
        sets = condition_points(problem, condition, on_face, seed + 100 * number)
        if move and condition.points is None:
            sets = [move(points) for points in sets]
        terms += [Term(problem, condition.kind, condition.residual, points, condition.weight) for points in sets]
    return terms


def _product(directions: Directions, factor: Tensor, offset: Tensor, jet: Tensor) -> Tensor:
    """offset + factor·jet along every direction by Leibniz' rule, all (jet, n)."""
    found = [factor[0] * jet[0]]
    for a, b in zip(directions.series(factor), directions.series(jet), strict=True):
        found += [torch.stack([comb(m, i) * a[i] * b[m - i] for i in range(m + 1)]).sum(0) for m in range(1, len(b))]
    return offset + torch.stack(found)
