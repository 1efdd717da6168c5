"""Values and directional derivatives of a network, and their Jacobian by every parameter, in one sweep each way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from knotwork import kernels
from knotwork.errors import SpecError
from knotwork.model import FreeParameters, KANLayer, KANNetwork
from knotwork.model.taylor import bell_polynomials, combined
from knotwork.pde.problems.directional import Directions


@dataclass(frozen=True)
class JetSweep:
    """The result of a forward sweep: jets with autograd's history from the sums of the first layer on.

    For each layer `features` (jet, n, in, basis + 1), the jets of its basis functions and of b(x) at its inputs
    (complete only with history), and `sums` (jet, n, sums); then the network's `outputs` (jet, n, out).
    """

    features: tuple[Tensor, ...]
    sums: tuple[Tensor, ...]
    outputs: Tensor


def input_features(layer: KANLayer, x: Tensor, directions: Directions, scale: Tensor) -> Tensor:
    """Jets of the first layer's functions at x (n, in) along the directions: (jet, n, in, basis + 1).

    The unit of a direction is `scale` (in,) times its whole numbers. They change only when the input knots change.
    """
    by_order = _functions(layer, x, directions.order)
    found = [by_order[0]]
    for vector, order in zip(directions.vectors, directions.orders, strict=True):
        step = (torch.tensor(vector, dtype=x.dtype) * scale).view(-1, 1)
        found += [by_order[m] * step**m for m in range(1, order + 1)]
    return torch.stack(found)


def jet_sweep(network: KANNetwork, first: Tensor, directions: Directions, history: bool = True) -> JetSweep:
    """One pass from the features of the first layer to the jets of the outputs.

    With `history` the sums of every layer carry autograd's history, right for one differentiation: φ^(r) of a hidden
    value h is entered as φ^(r) + φ^(r+1)·(h - h'), h' being h without its history.
    """
    refuse_named(network)
    layers = list(network.layers)
    with torch.no_grad():
        start = torch.einsum("jnif,ifo->jno", first, _weights(layers[0]))
    features, sums = [first], [start.requires_grad_(history)]
    with torch.set_grad_enabled(history):
        nodes = _nodes(network, 1, sums[0], directions)
        for l, layer in enumerate(layers[1:], 2):
            found, through = _through(layer, nodes, directions, history)
            features.append(found)
            sums.append(through)
            nodes = _nodes(network, l, through, directions)
    return JetSweep(tuple(features), tuple(sums), nodes)


def rows_of_jacobian(
    swept: JetSweep, by_sums: Sequence[Tensor], free: FreeParameters, copies: int = 1, first: int = 0
) -> Tensor:
    """The Jacobian (n / copies, P) of one residual a row by the free parameters, from that by every layer's sums.

    The parameters are those of the layers from `first` on; `by_sums` are shaped as their `swept.sums`. A residual that
    depends on the network at several points, as periodic ones do, has their rows in as many blocks, which are added.
    """
    blocks = []
    for l, (features, by) in enumerate(zip(swept.features[first:], by_sums, strict=True), first):
        if not len(free.coefficients[l]) and not len(free.base_weights[l]):  # frozen, or without splines
            continue
        n, inputs = features.shape[1:3]
        block = torch.bmm(features.flatten(2).permute(1, 2, 0), by.transpose(0, 1)).view(n, inputs, -1, by.shape[-1])
        if copies > 1:
            block = block.view(copies, n // copies, *block.shape[1:]).sum(0)
        coefficients, base = block[:, :, :-1].flatten(1), block[:, :, -1].flatten(1)
        for part, places in ((coefficients, free.coefficients[l]), (base, free.base_weights[l])):
            blocks.append(part if len(places) == part.shape[1] else part[:, places])
    return torch.cat(blocks, dim=1) if blocks else swept.outputs.new_empty(swept.outputs.shape[1] // copies, 0)


def gradient(swept: JetSweep, by_sums: Sequence[Tensor], free: FreeParameters) -> Tensor:
    """The gradient (P,) of a number by the free parameters, from its derivatives by every layer's sums."""
    blocks = []
    for l, (features, by) in enumerate(zip(swept.features, by_sums, strict=True)):
        block = torch.einsum("jnif,jno->ifo", features, by)
        if block.shape[1]:
            blocks += [block[:, :-1].flatten()[free.coefficients[l]], block[:, -1].flatten()[free.base_weights[l]]]
    return torch.cat(blocks)


def refuse_named(network: KANNetwork) -> None:
    """Raises SpecError for named edges that cannot be solved for: those of the first layer, and trainable ones."""
    for l, layer in enumerate(network.layers):
        if any(l == 0 or trainable for _, _, _, trainable in layer.named):
            raise SpecError(
                "this network has named edges, but equations are solved by splines: unfix_symbolic them first, or "
                "name edges beyond the first layer with trainable=False."
            )


def _functions(layer: KANLayer, x: Tensor, order: int) -> list[Tensor]:
    """The basis functions and b at x (n, in), and their derivatives up to `order`: each (n, in, basis + 1).

    None, (n, in, 0), of a layer whose edges all are named or removed.
    """
    if not layer.has_splines():
        return [x.new_empty(*x.shape, 0)] * (order + 1)
    found = []
    for r in range(order + 1):
        splines = kernels.basis(x, layer.knots, layer.k, r, layer.extrapolation)
        if layer.base == "zero":
            found.append(torch.nn.functional.pad(splines, (0, 1)))
        else:
            base = kernels.base_values(x, layer.knots, layer.k, layer.base, r, layer.extrapolation)
            found.append(torch.cat([splines, base.unsqueeze(-1)], dim=-1))
    return found


def _weights(layer: KANLayer) -> Tensor:
    """Coefficients and base weights in one, (in, basis + 1, out), zero where an edge was removed."""
    return torch.cat([layer.coefficients, layer.base_weights.unsqueeze(1)], dim=1) * layer.mask.unsqueeze(1)


def _through(layer: KANLayer, nodes: Tensor, directions: Directions, history: bool) -> tuple[Tensor, Tensor]:
    """Features and sums of a hidden layer for the jets of its inputs, by Faà di Bruno's formula."""
    values = nodes[0].detach()
    with torch.no_grad():
        functions = _functions(layer, values, directions.order + int(history))
        if layer.has_splines():
            curves = [torch.einsum("nif,ifo->nio", f, _weights(layer)) for f in functions]
        else:
            curves = [values.new_zeros(*values.shape, layer.out_features) for _ in functions]
        for r, curve in enumerate(curves):
            for n, (source, target, _, _) in enumerate(layer.named):
                curve[:, source, target] = layer.named_values(n, values[:, source], r)
    if history:
        moved = (nodes[0] - values).unsqueeze(-1)
        curves = [c + slope * moved for c, slope in pairwise(curves)]
    features, sums = [functions[0]], [curves[0].sum(1)]
    for series in directions.series(nodes):
        bell = bell_polynomials(series)
        for m in range(1, len(series)):
            sums.append(_weighted(curves, bell[m], m).sum(1))
            if history:
                with torch.no_grad():
                    features.append(_weighted(functions, bell[m], m))
    return torch.stack(features), torch.stack(sums)


def _weighted(functions: list[Tensor], bell: list[Tensor], m: int) -> Tensor:
    """Σ_r f^(r)·B_mr for r from 1 to m: (n, in, functions)."""
    total = functions[1] * bell[1].unsqueeze(-1)
    for r in range(2, m + 1):
        total = torch.addcmul(total, functions[r], bell[r].unsqueeze(-1))
    return total


def _nodes(network: KANNetwork, layer: int, sums: Tensor, directions: Directions) -> Tensor:
    """Jets of a layer's nodes from those of its sums."""
    if not network.structure.width[layer][1]:
        return sums
    parts = [combined(network, layer, series) for series in directions.series(sums)]
    value = network.combine(layer, sums[0])
    return torch.stack([value, *(entry for series in parts for entry in series[1:])])
