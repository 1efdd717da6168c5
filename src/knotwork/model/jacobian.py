"""Outputs and their derivatives by every free parameter, in closed form: one forward and one backward sweep."""

from collections.abc import Sequence

import torch
from torch import Tensor

from knotwork.functions import named_function
from knotwork.kernels import basis_with_slope
from knotwork.model.layer import KANLayer
from knotwork.model.network import KANNetwork


class FreeParameters:
    """The parameters that second-order methods move, as one vector of size P.

    Layer by layer: coefficients of every spline edge (edges in row-major order of (in, out)), their base weights
    (unless the base is zero), then (a, b, c, d) of every trainable named edge.
    """

    def __init__(self, network: KANNetwork) -> None:
        self.network = network
        self.edges = [(layer.mask > 0).nonzero(as_tuple=True) for layer in network.layers]
        self.named = [[n for n, edge in enumerate(layer.named) if edge[3]] for layer in network.layers]
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


@torch.no_grad()
def jacobian(network: KANNetwork, x: Tensor, free: FreeParameters | None = None) -> tuple[Tensor, Tensor]:
    """Outputs (batch, out) and their derivatives by the free parameters (batch, out, P)."""
    free = free or FreeParameters(network)
    values = network.select_inputs(x)
    seen = []
    for l, layer in enumerate(network.layers):
        if layer.has_splines():
            splines, slopes = basis_with_slope(values, layer.knots, layer.k, layer.extrapolation)
            base, base_slope = layer.base_values(values), layer.base_values(values, slope=True)
            sums = splines.flatten(1) @ (layer.coefficients * layer.mask.unsqueeze(1)).flatten(0, 1)
            sums = sums + base @ (layer.base_weights * layer.mask)
            edge_slopes = torch.einsum("nib,ibo->nio", slopes, layer.coefficients)
            edge_slopes = (edge_slopes + base_slope.unsqueeze(-1) * layer.base_weights) * layer.mask
        else:
            splines, base = values.new_empty(*values.shape, layer.coefficients.shape[1]), values
            sums = values.new_zeros(len(values), layer.out_features)
            edge_slopes = values.new_zeros(*values.shape, layer.out_features)
        for (source, target, name, _), (a, b, c, d) in zip(layer.named, layer.affine, strict=True):
            function, u = named_function(name), a * values[:, source] + b
            sums[:, target] += c * function.value(u) + d
            edge_slopes[:, source, target] += a * c * function.slope(u)
        seen.append((values, splines, base, edge_slopes, sums))
        values = network.combine(l + 1, sums)
    outputs = values
    sensitivity = torch.eye(outputs.shape[1], dtype=outputs.dtype, device=outputs.device).expand(len(outputs), -1, -1)
    blocks: list[list[Tensor]] = []
    for l in reversed(range(len(seen))):
        inputs, splines, base, edge_slopes, sums = seen[l]
        sensitivity = _to_sums(network, l + 1, sums, sensitivity)
        blocks.append(_blocks(network.layers[l], free, l, inputs, splines, base, sensitivity))
        sensitivity = sensitivity @ edge_slopes.transpose(1, 2)
    return outputs, torch.cat([block for layer in reversed(blocks) for block in layer], dim=-1)


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


def _blocks(
    layer: KANLayer, free: FreeParameters, l: int, inputs: Tensor, splines: Tensor, base: Tensor, sensitivity: Tensor
) -> list[Tensor]:
    """Columns of the Jacobian of one layer, in the order of `FreeParameters`."""
    source, target = free.edges[l]
    by_sum = sensitivity[:, :, target]  # (batch, out, edges)
    blocks = [(by_sum.unsqueeze(-1) * splines[:, None, source, :]).flatten(2)]
    if layer.base != "zero":
        blocks.append(by_sum * base[:, None, source])
    for n in free.named[l]:
        i, j, name, _ = layer.named[n]
        a, b, c, _ = layer.affine[n]
        function, u = named_function(name), a * inputs[:, i] + b
        slope = c * function.slope(u)
        columns = torch.stack([slope * inputs[:, i], slope, function.value(u), torch.ones_like(u)], dim=-1)
        blocks.append(sensitivity[:, :, j].unsqueeze(-1) * columns.unsqueeze(1))
    return blocks
