"""Outputs and their derivatives by every free parameter, in closed form: one forward and one backward sweep."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from knotwork.functions import named_function
from knotwork.kernels import basis, basis_with_slope
from knotwork.model.layer import KANLayer
from knotwork.model.network import KANNetwork


class FreeParameters:
    """The parameters that second-order methods move, as one vector of size P.

    Frozen tensors (requires_grad=False) are left out. Layer by layer: coefficients of every spline edge (edges in
    row-major order of (in, out)), their base weights (unless the base is zero), then (a, b, c, d) of every
    trainable named edge.
    """

    def __init__(self, network: KANNetwork) -> None:
        self.network = network
        splines = [layer.mask * float(layer.coefficients.requires_grad) for layer in network.layers]
        self.edges = [(mask > 0).nonzero(as_tuple=True) for mask in splines]
        self.named = [
            [n for n, edge in enumerate(layer.named) if edge[3] and layer.affine.requires_grad]
            for layer in network.layers
        ]
        self.size = len(self.get())

    def get(self) -> Tensor:
        """The current values: (P,)."""
        return self.gather([(la.coefficients, la.base_weights, la.affine) for la in self.network.layers])

    def gather(self, tensors: Sequence[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
        """One vector (P,) from a layer-by-layer list shaped like (coefficients, base_weights, affine)."""
        parts = []
        for layer, (coefficients, base_weights, affine), (source, target), named in zip(
            self.network.layers, tensors, self.edges, self.named, strict=True
        ):
            parts.append(coefficients.detach()[source, :, target].flatten())
            if layer.base != "zero":
                parts.append(base_weights.detach()[source, target])
            parts.append(affine.detach()[named].flatten())
        return torch.cat(parts)

    @torch.no_grad()
    def set(self, values: Tensor) -> None:
        """Write a vector (P,) back into the network."""
        at = 0
        for layer, (source, target), named in zip(self.network.layers, self.edges, self.named, strict=True):
            n, size = len(source), layer.coefficients.shape[1]
            layer.coefficients[source, :, target] = values[at : at + n * size].view(n, size)
            at += n * size
            if layer.base != "zero":
                layer.base_weights[source, target] = values[at : at + n]
                at += n
            layer.affine[named] = values[at : at + 4 * len(named)].view(-1, 4)
            at += 4 * len(named)


@dataclass(frozen=True)
class LayerSweep:
    """One layer of a sweep.

    `inputs` (batch, in), basis values `splines` (batch, in, basis), base values `base` (batch, in), `sums` (batch,
    sums), and the edges' `slopes` (batch, in, sums), empty for the first layer, where nothing needs them.
    """

    inputs: Tensor
    splines: Tensor
    base: Tensor
    slopes: Tensor
    sums: Tensor


@dataclass(frozen=True)
class Sweep:
    """What a forward sweep leaves for a backward one, layer by layer, and the outputs (batch, out)."""

    layers: tuple[LayerSweep, ...]
    outputs: Tensor


@torch.no_grad()
def sweep(network: KANNetwork, x: Tensor, known: Sweep | None = None) -> Sweep:
    """One pass through the network that keeps the values and slopes of its edges.

    `known` is an earlier sweep over the same rows with the same input knots, whose first basis is used again.
    """
    values = network.select_inputs(x)
    seen: list[LayerSweep] = []
    for l, layer in enumerate(network.layers):
        sums = values.new_zeros(len(values), layer.out_features)
        slopes = values.new_zeros(len(values), layer.in_features if l else 0, layer.out_features)
        splines, base = values.new_empty(*values.shape, 0), values
        if layer.has_splines():
            if l:
                splines, by_input = basis_with_slope(values, layer.knots, layer.k, layer.extrapolation)
                base, base_slope = layer.base_values(values), layer.base_values(values, slope=True)
                slopes = torch.einsum("nib,ibo->nio", by_input, layer.coefficients)
                slopes = (slopes + base_slope.unsqueeze(-1) * layer.base_weights) * layer.mask
            elif known is not None and known.layers[0].splines.shape[-1]:
                splines, base = known.layers[0].splines, known.layers[0].base
            else:
                splines = basis(values, layer.knots, layer.k, 0, layer.extrapolation)
                base = layer.base_values(values)
            sums = splines.flatten(1) @ (layer.coefficients * layer.mask.unsqueeze(1)).flatten(0, 1)
            sums = sums + base @ (layer.base_weights * layer.mask)
        for (source, target, name, _), (a, b, c, d) in zip(layer.named, layer.affine, strict=True):
            function, u = named_function(name), a * values[:, source] + b
            sums[:, target] += c * function.value(u) + d
            if l:
                slopes[:, source, target] += a * c * function.slope(u)
        seen.append(LayerSweep(values, splines, base, slopes, sums))
        values = network.combine(l + 1, sums)
    return Sweep(tuple(seen), values)


@torch.no_grad()
def jacobian(
    network: KANNetwork, x: Tensor, free: FreeParameters | None = None, seen: Sweep | None = None
) -> tuple[Tensor, Tensor]:
    """Outputs (batch, out) and their derivatives by the free parameters (batch, out, P); `seen` is a sweep at hand."""
    free = free or FreeParameters(network)
    seen = seen or sweep(network, x)
    outputs = seen.outputs
    sensitivity = torch.eye(outputs.shape[1], dtype=outputs.dtype, device=outputs.device).expand(len(outputs), -1, -1)
    blocks: list[list[Tensor]] = []
    for l in reversed(range(len(seen.layers))):
        layer = seen.layers[l]
        sensitivity = _to_sums(network, l + 1, layer.sums, sensitivity)
        blocks.append(_blocks(network.layers[l], free, l, layer, sensitivity))
        if l:
            sensitivity = sensitivity @ layer.slopes.transpose(1, 2)
    none = outputs.new_zeros(*outputs.shape, 0)
    return outputs, torch.cat([none, *(block for layer in reversed(blocks) for block in layer)], dim=-1)


@torch.no_grad()
def pull_back(network: KANNetwork, seen: Sweep, by_outputs: Tensor, free: FreeParameters) -> Tensor:
    """The gradient (P,) of a loss from its derivatives by the outputs (batch, out), without building the Jacobian."""
    sensitivity = by_outputs.unsqueeze(1)
    gradients: list[tuple[Tensor, Tensor, Tensor]] = []
    for l in reversed(range(len(seen.layers))):
        saw, layer = seen.layers[l], network.layers[l]
        sensitivity = _to_sums(network, l + 1, saw.sums, sensitivity)
        by_sum = sensitivity[:, 0]
        coefficients, base_weights = torch.zeros_like(layer.coefficients), torch.zeros_like(layer.base_weights)
        if saw.splines.shape[-1]:
            coefficients = (saw.splines.flatten(1).T @ by_sum).view_as(layer.coefficients)
            base_weights = saw.base.T @ by_sum
        affine = torch.zeros_like(layer.affine)
        for n, (i, j, name, _) in enumerate(layer.named):
            affine[n] = by_sum[:, j] @ _affine_columns(name, layer.affine[n], saw.inputs[:, i])
        gradients.append((coefficients, base_weights, affine))
        if l:
            sensitivity = sensitivity @ saw.slopes.transpose(1, 2)
    return free.gather(gradients[::-1])


def _to_sums(network: KANNetwork, layer: int, sums: Tensor, sensitivity: Tensor) -> Tensor:
    """Derivatives by a layer's sums from those by its nodes: (batch, out, nodes) → (batch, out, sums)."""
    n_sums, n_products = network.structure.width[layer]
    if not n_products:
        return sensitivity
    arity = network.structure.arity
    factors = sums[:, n_sums:].unflatten(-1, (n_products, arity))
    others = torch.stack(
        [factors[..., [m for m in range(arity) if m != r]].prod(-1) for r in range(arity)], dim=-1
    )  # the product of all factors but one, without dividing by it
    by_factor = sensitivity[..., n_sums:].unsqueeze(-1) * others.unsqueeze(1)
    return torch.cat([sensitivity[..., :n_sums], by_factor.flatten(-2)], dim=-1)


def _blocks(layer: KANLayer, free: FreeParameters, l: int, saw: LayerSweep, sensitivity: Tensor) -> list[Tensor]:
    """Columns of the Jacobian of one layer, in the order of `FreeParameters`."""
    source, target = free.edges[l]
    by_sum = sensitivity[:, :, target]  # (batch, out, edges)
    blocks = []
    if len(source):
        blocks.append((by_sum.unsqueeze(-1) * saw.splines[:, None, source, :]).flatten(2))
        if layer.base != "zero":
            blocks.append(by_sum * saw.base[:, None, source])
    for n in free.named[l]:
        i, j, name, _ = layer.named[n]
        columns = _affine_columns(name, layer.affine[n], saw.inputs[:, i])
        blocks.append(sensitivity[:, :, j].unsqueeze(-1) * columns.unsqueeze(1))
    return blocks


def _affine_columns(name: str, constants: Tensor, x: Tensor) -> Tensor:
    """Derivatives of c·f(a·x + b) + d by a, b, c, d: (batch, 4)."""
    a, b, c, _ = constants
    function, u = named_function(name), a * x + b
    slope = c * function.slope(u)
    return torch.stack([slope * x, slope, function.value(u), torch.ones_like(u)], dim=-1)
