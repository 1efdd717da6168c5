"""Residuals of an equation and its conditions at points, and how they move with every parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import comb
from typing import Any

import torch
from torch import Tensor

from knotwork.model import FreeParameters, KANNetwork
from knotwork.pde.conditions import Hard
from knotwork.pde.fields import Field, Jets, values_of
from knotwork.pde.jets import JetSweep, gradient, input_features, jet_sweep, rows_of_jacobian
from knotwork.pde.lines import Lines, lines_for
from knotwork.pde.points import Place
from knotwork.pde.problem import Problem
from knotwork.pde.scene import Scene, residuals_of

ROWS = 2048  # points looked at together
HARDLY = 1e-4  # of the largest, for residuals that parameters do not move


@dataclass
class Chunk:
    """Points of a term that are looked at together, and what of them does not change: `first`, `factors`."""

    x: Tensor  # (copies·n, coordinates)
    rows: slice
    first: Tensor = field(default_factory=lambda: torch.empty(0))
    factors: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)


class Term:
    """One residual at all its points, to be squared and averaged: w·mean of its squares is a part of the objective."""

    def __init__(
        self, problem: Problem, name: str, residual: Callable[[Scene], Any], place: Place, weight: float = 1.0
    ) -> None:
        self.problem, self.name, self.residual, self.place, self.weight = problem, name, residual, place, weight
        self.asked_weight = weight
        unknowns = {key: torch.tensor(value) for key, value in problem.unknowns.items()}
        some = slice(0, 3)
        coordinates = problem.named(place.x[some])
        scene = Scene([{}], coordinates, unknowns, problem.time, place.normal, some)
        what = "the residual" if name == "equation" else f"the residual of {name}"
        self.scales: Tensor | None = None  # (equations, n), that residuals are multiplied by
        self.multis = problem.asked(residual, scene, what)
        self.lines = lines_for(self.multis)
        self.copies = 1 if place.apart is None else 2
        self.scale = (problem.ends()[1] - problem.ends()[0]) / 2
        self.chunks = []
        for at in range(0, len(place.x), ROWS):
            rows = slice(at, at + ROWS)
            parts = [place.x[rows]] if place.apart is None else [place.x[rows], place.apart[rows]]
            self.chunks.append(Chunk(torch.cat(parts), rows))

    @property
    def count(self) -> int:
        """How many points it has."""
        return len(self.place.x)

    def prepare(self, network: KANNetwork) -> None:
        """Look at the network's input knots, which the first layer's features depend on, and at hard conditions."""
        for chunk in self.chunks:
            chunk.first = input_features(network.layers[0], chunk.x, self.lines, self.scale)
            if self.problem.hard and not chunk.factors:
                chunk.factors = {name: self._hard_jets(chunk.x, h) for name, h in self.problem.hard.items()}

    def even_out(self, network: KANNetwork, unknowns: Tensor, free: FreeParameters) -> None:
        """Divide residuals by the root of how far parameters move them, |J|^(1/2), those of one equation alike."""
        self.scales = None
        sizes = [jacobian.norm(dim=1) for _, jacobian in self.rows(network, unknowns, free)]
        equations = len(sizes) // len(self.chunks)
        size = torch.stack([torch.cat(sizes[e::equations]) for e in range(equations)])
        scales = size.clamp_min(HARDLY * float(size.max()) + 1e-300).rsqrt()
        self.scales = scales / scales.square().mean().sqrt()

    def values(self, network: KANNetwork, unknowns: Tensor) -> Tensor:
        """The residuals (equations, n) for unknown coefficients (U,)."""
        found = []
        for chunk in self.chunks:
            swept = jet_sweep(network, chunk.first, self.lines, history=False)
            with torch.no_grad():
                found.append(torch.stack(self._residuals(swept, chunk, unknowns.expand(self._n(chunk), -1))))
        return torch.cat(found, dim=1)

    def rows(
        self, network: KANNetwork, unknowns: Tensor, free: FreeParameters, first: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Residuals (n,) and their derivatives (n, P + U), equation after equation, a chunk of points at a time.

        With `first` the derivatives are by the parameters of that layer and those after it.
        """
        for chunk in self.chunks:
            swept, parts, each = self._watched(network, chunk, unknowns)
            for part in parts:
                wanted = [*swept.sums[first:], each]
                found = torch.autograd.grad(part.sum(), wanted, retain_graph=True, materialize_grads=True)
                jacobian = rows_of_jacobian(swept, found[:-1], free, self.copies, first)
                yield part.detach(), torch.cat([jacobian, found[-1]], dim=1)

    def pull_back(self, network: KANNetwork, unknowns: Tensor, free: FreeParameters, by: Tensor) -> Tensor:
        """Jᵀ times `by` (equations, n), without making J: (P + U,)."""
        total = torch.zeros(free.size + len(unknowns), dtype=torch.float64)
        for chunk in self.chunks:
            swept, parts, each = self._watched(network, chunk, unknowns)
            value = (torch.stack(parts) * by[:, chunk.rows]).sum()
            found = torch.autograd.grad(value, [*swept.sums, each], materialize_grads=True)
            total += torch.cat([gradient(swept, found[:-1], free), found[-1].sum(0)])
        return total

    def _watched(self, network: KANNetwork, chunk: Chunk, unknowns: Tensor) -> tuple[JetSweep, list[Tensor], Tensor]:
        """A sweep, the residuals with autograd's history, and the unknowns that they are of, one row a point."""
        swept = jet_sweep(network, chunk.first, self.lines)
        each = unknowns.expand(self._n(chunk), -1).clone().requires_grad_()
        return swept, self._residuals(swept, chunk, each), each

    def _n(self, chunk: Chunk) -> int:
        return len(chunk.x) // self.copies

    def _residuals(self, swept: JetSweep, chunk: Chunk, unknowns: Tensor) -> list[Tensor]:
        n = self._n(chunk)
        copies: list[dict[str, Field]] = [{} for _ in range(self.copies)]
        for o, name in enumerate(self.problem.fields):
            jet = swept.outputs[..., o]
            if name in chunk.factors:
                jet = _product(self.lines, *chunk.factors[name], jet)
            for c, fields in enumerate(copies):
                values = jet[:, c * n : (c + 1) * n]
                fields[name] = Field(name, Jets(values, self.lines, self.problem.coordinates, self.scale))
        named = dict(zip(self.problem.unknowns, unknowns.unbind(1), strict=True))
        coordinates = self.problem.named(chunk.x[:n])
        scene = Scene(copies, coordinates, named, self.problem.time, self.place.normal, chunk.rows)
        found = residuals_of(self.residual(scene), n, self.name)
        if self.scales is None:
            return found
        return [r * scale for r, scale in zip(found, self.scales[:, chunk.rows], strict=True)]

    def _hard_jets(self, x: Tensor, hard: Hard) -> tuple[Tensor, Tensor]:
        """Jets of factor and offset at x, (jet, n) each."""
        return self._jets_of(x, hard.factor, "the factor of hard()"), self._jets_of(
            x, hard.offset, "the offset of hard()"
        )

    @torch.enable_grad()
    def _jets_of(self, x: Tensor, function: Any, what: str) -> Tensor:
        found = [values_of(function, what, self.problem.named(x)).detach()]
        for line, order in zip(self.lines.directions, self.lines.orders, strict=True):
            step = torch.zeros(len(x), 1, dtype=x.dtype, requires_grad=True)
            moved = x + step * (torch.tensor(line, dtype=x.dtype) * self.scale)
            value = values_of(function, what, self.problem.named(moved))
            for _ in range(order):
                if value.requires_grad:
                    slope = torch.autograd.grad(value.sum(), step, create_graph=True, materialize_grads=True)[0]
                    value = slope.squeeze(1)
                else:
                    value = torch.zeros(len(x), dtype=x.dtype)
                found.append(value.detach())
        return torch.stack(found)


def _product(lines: Lines, factor: Tensor, offset: Tensor, jet: Tensor) -> Tensor:
    """offset + factor·jet along every line by Leibniz' rule, all (jet, n)."""
    found = [factor[0] * jet[0]]
    for a, b in zip(lines.parts(factor), lines.parts(jet), strict=True):
        found += [torch.stack([comb(m, i) * a[i] * b[m - i] for i in range(m + 1)]).sum(0) for m in range(1, len(b))]
    return offset + torch.stack(found)
