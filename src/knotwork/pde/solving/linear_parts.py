"""A residual near a solution as a sum: each field or derivative times its slope, and what depends on none of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from knotwork.model import KANNetwork
from knotwork.pde.problems.directional import Multi
from knotwork.pde.problems.fields import AnyJets, Field
from knotwork.pde.solving.jets import jet_sweep
from knotwork.pde.solving.terms import Term


@dataclass(frozen=True)
class Part:
    """One field or derivative in a residual: its values and the residual's slopes by it, (n,) each."""

    field: str
    multi: Multi
    values: Tensor
    slopes: Tensor


@dataclass(frozen=True)
class LinearParts:
    """One residual (n,) at points x (n, coordinates), and its parts: it is Σ slopes·values + the rest."""

    x: Tensor
    residual: Tensor
    parts: tuple[Part, ...]

    def rest(self) -> Tensor:
        """What does not depend on the fields, (n,): sources and prescribed values; for nonlinear terms what is left."""
        return self.residual - sum((part.slopes * part.values for part in self.parts), torch.zeros(()))


class _Leaves:
    """Jets whose derivatives are constants with a gradient, kept in `values`."""

    def __init__(self, jets: AnyJets) -> None:
        self.jets, self.coordinates = jets, jets.coordinates
        self.values: dict[Multi, Tensor] = {}

    def partial(self, multi: Multi) -> Tensor:
        if multi not in self.values:
            self.values[multi] = self.jets.partial(multi).detach().requires_grad_()
        return self.values[multi]


@torch.enable_grad()
def linear_parts(term: Term, network: KANNetwork, unknowns: Tensor) -> list[LinearParts]:
    """The residuals of a term for a network and unknowns (U,), one for each equation."""
    term.prepare(network)
    chunks: list[list[LinearParts]] = []
    for chunk in term.chunks:
        swept = jet_sweep(network, chunk.first, term.directions, history=False)
        copies, kept = [], []
        for fields in term.fields_of(swept, chunk):
            leaves = {name: _Leaves(field.jets) for name, field in fields.items()}
            kept += list(leaves.items())
            copies.append({name: Field(name, leaf) for name, leaf in leaves.items()})
        n = len(term.points.x[chunk.rows])
        residuals = term.residuals_of(copies, chunk, unknowns.expand(n, -1))
        found = [(name, multi, value) for name, leaf in kept for multi, value in leaf.values.items()]
        chunks.append([_one(term.points.x[chunk.rows], residual, found) for residual in residuals])
    return [_joined(parts) for parts in zip(*chunks, strict=True)]


def _one(x: Tensor, residual: Tensor, leaves: list[tuple[str, Multi, Tensor]]) -> LinearParts:
    wanted = [leaf for _, _, leaf in leaves]
    total = residual.sum() + sum(0 * leaf.sum() for leaf in wanted)  # where it depends on none, slopes are zero
    slopes = torch.autograd.grad(total, wanted, retain_graph=True, materialize_grads=True)
    parts = (Part(name, multi, leaf.detach(), slope) for (name, multi, leaf), slope in zip(leaves, slopes, strict=True))
    return LinearParts(x, residual.detach(), tuple(parts))


def _joined(chunks: Sequence[LinearParts]) -> LinearParts:
    parts = tuple(
        Part(some[0].field, some[0].multi, torch.cat([p.values for p in some]), torch.cat([p.slopes for p in some]))
        for some in zip(*(chunk.parts for chunk in chunks), strict=True)
    )
    return LinearParts(torch.cat([c.x for c in chunks]), torch.cat([c.residual for c in chunks]), parts)
