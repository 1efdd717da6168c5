"""The parameters that second-order methods move."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from knotwork.model.compiled_network import CompiledNetwork, compiled_splines
from knotwork.model.network import KANNetwork


class FreeParameters:
    """The parameters that second-order methods change, as one vector of size P.

    Frozen tensors (requires_grad=False) are not part of it. For each layer the vector holds the coefficients of every
    spline edge in the order of their tensor (in, basis, out), the base weights (in, out) of these edges (unless the
    base is zero), then (a, b, c, d) of every trainable named edge. With `reached` (in, basis) it holds only those
    coefficients of the first layer whose basis functions are True there.
    """

    def __init__(self, network: KANNetwork, reached: Tensor | None = None) -> None:
        self.network = network
        self.coefficients: list[Tensor] = []  # indices of the free ones in the flattened tensor of each layer
        self.base_weights: list[Tensor] = []
        self.named: list[list[int]] = []
        for layer in network.layers:
            edges, coefficients, base = layer.mask > 0, layer.coefficients, layer.base_weights
            free = edges.unsqueeze(1).expand_as(coefficients) & coefficients.requires_grad
            if reached is not None and layer is network.layers[0]:
                free &= reached.unsqueeze(-1)
            self.coefficients.append(free.flatten().nonzero().squeeze(1))
            free = edges & base.requires_grad & (layer.base != "zero")
            self.base_weights.append(free.flatten().nonzero().squeeze(1))
            self.named.append([n for n, edge in enumerate(layer.named) if edge[3] and layer.affine.requires_grad])
        self.size = sum(map(len, self.coefficients)) + sum(map(len, self.base_weights)) + 4 * sum(map(len, self.named))

    def coefficient_places(self) -> list[Tensor]:
        """Indices in the vector of the coefficients of every free spline edge, layer by layer: (edges, grid + k)."""
        found, at = [], 0
        for layer, coefficients, base_weights, named in zip(
            self.network.layers, self.coefficients, self.base_weights, self.named, strict=True
        ):
            places = torch.full((layer.coefficients.numel(),), -1, device=coefficients.device)
            places[coefficients] = torch.arange(at, at + len(coefficients), device=coefficients.device)
            places = places.view_as(layer.coefficients).transpose(1, 2).flatten(0, 1)
            found.append(places[places[:, 0] >= 0])
            at += len(coefficients) + len(base_weights) + 4 * len(named)
        return found

    def edge_inputs(self) -> list[Tensor]:
        """The input of every free spline edge in its layer, layer by layer, (edges,), as in `coefficient_places`."""
        return [
            (layer.mask > 0).nonzero()[: len(places), 0]  # all spline edges, or none if the coefficients are frozen
            for layer, places in zip(self.network.layers, self.coefficient_places(), strict=True)
        ]

    def base_weight_places(self) -> list[Tensor]:
        """Indices in the vector of the base weight of every free spline edge, layer by layer: (edges, 1).

        (edges, 0) where base weights are not free; edges in the order of `coefficient_places`.
        """
        found, at = [], 0
        for coefficients, base_weights, named, places in zip(
            self.coefficients, self.base_weights, self.named, self.coefficient_places(), strict=True
        ):
            at += len(coefficients)
            numbers = torch.arange(at, at + len(base_weights), device=places.device)
            found.append(numbers.unsqueeze(1) if len(numbers) == len(places) else places.new_empty(len(places), 0))
            at += len(base_weights) + 4 * len(named)
        return found

    def get(self) -> Tensor:
        """The current values: (P,)."""
        return self.gather([(la.coefficients, la.base_weights, la.affine) for la in self.network.layers])

    def gather(self, tensors: Sequence[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
        """One vector (P,) from one tuple of (coefficients, base_weights, affine) for each layer."""
        parts = []
        for (coefficients, base_weights, affine), *places in zip(
            tensors, self.coefficients, self.base_weights, self.named, strict=True
        ):
            parts.append(coefficients.detach().flatten()[places[0]])
            parts.append(base_weights.detach().flatten()[places[1]])
            if places[2]:
                parts.append(affine.detach()[places[2]].flatten())
        return torch.cat(parts)

    @torch.no_grad()
    def set(self, values: Tensor) -> None:
        """Write a vector (P,) into the network."""
        at = 0
        for layer, coefficients, base_weights, named in zip(
            self.network.layers, self.coefficients, self.base_weights, self.named, strict=True
        ):
            for tensor, places in ((layer.coefficients, coefficients), (layer.base_weights, base_weights)):
                part = values[at : at + len(places)]
                if len(places) == tensor.numel():  # all are free
                    tensor.copy_(part.view_as(tensor))
                else:
                    tensor.put_(places, part)
                at += len(places)
            if named:
                layer.affine[named] = values[at : at + 4 * len(named)].view(-1, 4)
                at += 4 * len(named)

    def compiled(self) -> CompiledNetwork | None:
        """The network for one compiled call; None with named edges, or where no compiled kernel can evaluate it."""
        found = compiled_splines(self.network)
        return None if found is None else CompiledNetwork(found, self._places(found.size))

    def _places(self, size: int) -> Tensor | None:
        """Indices of the free parameters among all `size` of a network of splines; None if all are free."""
        if size == self.size:
            return None
        parts, at = [], 0
        for layer, coefficients, base_weights in zip(
            self.network.layers, self.coefficients, self.base_weights, strict=True
        ):
            parts += [at + coefficients, at + layer.coefficients.numel() + base_weights]
            at += layer.coefficients.numel() + layer.base_weights.numel()
        return torch.cat(parts)
