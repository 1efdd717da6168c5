"""Outputs and their derivatives by every free parameter, by one forward and one backward pass in closed form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import Parameter

from knotwork.data import table_of
from knotwork.errors import SpecError
from knotwork.functions import named_function
from knotwork.kernels import basis, basis_with_slope
from knotwork.kernels.torch_internals import unflatten
from knotwork.model.compiled_network import arrays_of, compiled_splines, known_network
from knotwork.model.free_parameters import FreeParameters
from knotwork.model.layer import KANLayer
from knotwork.model.network import KANNetwork
from knotwork.model.settings import MODEL


@dataclass(frozen=True)
class LayerSweep:
    """The values of one layer in a forward pass.

    `inputs` (batch, in), basis functions `splines` (batch, in, basis), base functions `base` (batch, in), `sums`
    (batch, sums), and the derivatives `slopes` (batch, in, sums) of the edges, empty for the first layer, which needs
    none.
    """

    inputs: Tensor
    splines: Tensor
    base: Tensor
    slopes: Tensor
    sums: Tensor

    @property
    def known(self) -> tuple[Tensor, Tensor] | None:
        """Basis and base functions, as `KANLayer.edges` takes them; None where they were not kept."""
        return (self.splines, self.base) if self.splines.shape[-1] else None


@dataclass(frozen=True)
class Sweep:
    """The values that a forward pass keeps for a backward pass, layer by layer, and the outputs (batch, out).

    A pass that is not `whole` kept only the values of nodes.
    """

    layers: tuple[LayerSweep, ...]
    outputs: Tensor
    whole: bool = True


@torch.no_grad()
def sweep(network: KANNetwork, x: Tensor, known: Sweep | None = None, values_only: bool = False) -> Sweep:
    """One forward pass that keeps the values and derivatives of the edges; with `values_only` only the values of nodes.

    `known` is an earlier pass over the same rows with the same input knots. Its first basis is used again.
    """
    values = network.select_inputs(x)
    seen: list[LayerSweep] = []
    compiled = compiled_splines(network) if values_only else None
    known_sums = compiled.sums(values) if compiled is not None else None
    for l, layer in enumerate(network.layers):
        if values_only:
            none = values.new_empty(*values.shape, 0)
            sums = layer(values) if known_sums is None else known_sums[l]
            seen.append(LayerSweep(values, none, none, none, sums))
            values = network.combine(l + 1, seen[-1].sums)
            continue
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
    return Sweep(tuple(seen), values, not values_only)


@torch.no_grad()
def jacobian(
    network: KANNetwork, x: Tensor, free: FreeParameters | None = None, seen: Sweep | None = None
) -> tuple[Tensor, Tensor]:
    """Outputs (batch, out) and their derivatives by the free parameters (batch, out, P); `seen` is a forward pass."""
    free = free or FreeParameters(network)
    compiled = None if seen else free.compiled()
    if compiled is not None:
        return compiled.jacobian(network.select_inputs(x))
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


Residuals = Callable[[Tensor, slice], tuple[Tensor, Tensor | None]]


@torch.no_grad()
def normal_equations(
    network: KANNetwork, x: Tensor, residuals: Residuals, free: FreeParameters, seen: Sweep | None = None
) -> tuple[Tensor, Tensor]:
    """JᵀJ (P, P) and Jᵀr (P,) for the free parameters, computed in chunks of rows.

    `residuals(outputs, rows)` gives for outputs (batch, out) of these rows r (batch, R) and their derivatives by the
    outputs (batch, R, out), or None for one residual per output with derivative 1. `seen` is a forward pass over all
    rows, if there is one.
    """
    compiled, inputs = free.compiled(), network.select_inputs(x)
    matrix = torch.zeros(free.size, free.size, dtype=inputs.dtype, device=inputs.device)
    vector = torch.zeros(free.size, dtype=inputs.dtype, device=inputs.device)
    out = sum(network.structure.width[-1])
    length = max(1, MODEL.jacobian_entries // out**2) if compiled else rows_at_once(free) if seen is None else len(x)
    for at in range(0, len(x), length):
        rows = slice(at, at + length)
        if compiled is not None:
            outputs = compiled.values(inputs[rows]) if seen is None else seen.outputs[rows]
            found = compiled.normal_equations(inputs[rows], *residuals(outputs, rows))
            if len(x) <= length:
                return found
            matrix += found[0]
            vector += found[1]
            continue
        outputs, columns = jacobian(network, x[rows], free, seen)
        r, directions = residuals(outputs, rows)
        columns = (columns if directions is None else directions @ columns).flatten(0, 1)
        matrix += columns.T @ columns
        vector += columns.T @ r.flatten()
    return matrix, vector


@torch.no_grad()
def gradient(network: KANNetwork, x: Tensor, residuals: Residuals, free: FreeParameters) -> Tensor:
    """Jᵀr (P,) alone, as in `normal_equations`, at a cost that does not grow with the number of parameters a row."""
    total = torch.zeros(free.size, dtype=x.dtype, device=x.device)
    for at in range(0, len(x), MODEL.rows_of_gradient):
        rows = slice(at, at + MODEL.rows_of_gradient)
        outputs = network(x[rows])
        r, directions = residuals(outputs, rows)
        by_outputs = r if directions is None else (directions.transpose(1, 2) @ r.unsqueeze(2)).squeeze(2)
        total += product(network, x[rows], outputs, by_outputs, free)
    return total


@torch.no_grad()
def product(network: KANNetwork, x: Tensor, outputs: Tensor, by_outputs: Tensor, free: FreeParameters) -> Tensor:
    """The gradient (P,) of a loss from its derivatives by the outputs, both (batch, out)."""
    compiled = free.compiled()
    if compiled is not None:  # from the gradient of the mean of |by_outputs|²
        return compiled.loss_and_gradient(network.select_inputs(x), outputs - by_outputs)[1] * (outputs.numel() / 2)
    size = rows_at_once(free)
    parts = zip(x.split(size), by_outputs.split(size), strict=True)
    return torch.stack([vjp(network, sweep(network, some), by, free) for some, by in parts]).sum(0)


def rows_at_once(free: FreeParameters) -> int:
    """Number of rows whose Jacobian is held in memory at once."""
    return max(1, MODEL.jacobian_entries // max(1, sum(free.network.structure.width[-1]) * free.size))


def loss_and_grad(network: KANNetwork, x: Tensor, y: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Mean squared error and its gradients in the order of `parameters()`; `KAN.loss_and_grad` says more."""
    known = known_network(network)
    rows, x = x, network.select_inputs(x)
    y = y if isinstance(y, Tensor) else table_of(y, "y")[0]
    y = y.to(x.dtype).to(x.device)
    expected = (len(x), sum(network.structure.width[-1]))
    y = y.unsqueeze(-1) if y.ndim == 1 else y
    if x.ndim != 2 or y.shape != expected:
        raise SpecError(
            f"x has shape {tuple(x.shape)} and y {tuple(y.shape)}: pass rows of x and y of shape {expected}."
        )
    compiled = known.network if known else compiled_splines(network)
    if compiled is None:
        parameters = list(network.parameters())
        with torch.enable_grad():
            loss = (network(rows.detach()) - y.detach()).square().mean()
        moving = [p for p in parameters if p.requires_grad]
        slopes = iter(torch.autograd.grad(loss, moving, allow_unused=True) if moving else ())
        found = [next(slopes) if p.requires_grad else None for p in parameters]
        return loss.detach(), tuple(
            torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)
        )
    value, gradient = compiled.loss(x, y)
    arrays = known.arrays if known else arrays_of(network)
    gradients = unflatten(gradient, arrays)
    if known is None or not known.trained:
        for layer, at in zip(network.layers, range(0, len(arrays), 2), strict=True):
            gradients[at].mul_(layer.mask.unsqueeze(1))
            gradients[at + 1].mul_(layer.mask)
        for array, part in zip(arrays, gradients, strict=True):
            if not array.requires_grad:
                part.zero_()
    by_parameters = (part for array, part in zip(arrays, gradients, strict=True) if isinstance(array, Parameter))
    return torch.scalar_tensor(value, dtype=y.dtype, device=y.device), tuple(by_parameters)


@torch.no_grad()
def vjp(network: KANNetwork, seen: Sweep, by_outputs: Tensor, free: FreeParameters) -> Tensor:
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


@torch.no_grad()
def vjp_of_edges(network: KANNetwork, seen: Sweep, by_edges: Sequence[Tensor], free: FreeParameters) -> Tensor:
    """The gradient (P,) of a function of all edges from its derivatives by them, (batch, in, sums) for each layer."""
    sensitivity = torch.zeros_like(seen.outputs).unsqueeze(1)
    gradients: list[tuple[Tensor, Tensor, Tensor]] = []
    for l in reversed(range(len(seen.layers))):
        saw, layer = seen.layers[l], network.layers[l]
        by_edge = by_edges[l] + _to_sums(network, l + 1, saw.sums, sensitivity)
        coefficients, base_weights = torch.zeros_like(layer.coefficients), torch.zeros_like(layer.base_weights)
        if saw.known:
            coefficients = torch.einsum("nib,nio->ibo", saw.splines, by_edge)
            base_weights = torch.einsum("ni,nio->io", saw.base, by_edge)
        affine = torch.zeros_like(layer.affine)
        for n, (i, j, name, _) in enumerate(layer.named):
            affine[n] = by_edge[:, i, j] @ _affine_columns(name, layer.affine[n], saw.inputs[:, i])
        gradients.append((coefficients, base_weights, affine))
        if l:
            sensitivity = (by_edge * saw.slopes).sum(2).unsqueeze(1)
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
    )  # the product of all factors but one, without a division
    by_factor = sensitivity[..., n_sums:].unsqueeze(-1) * others.unsqueeze(1)
    return torch.cat([sensitivity[..., :n_sums], by_factor.flatten(-2)], dim=-1)


def _blocks(layer: KANLayer, free: FreeParameters, l: int, saw: LayerSweep, sensitivity: Tensor) -> list[Tensor]:
    """Columns of the Jacobian of one layer, in the order of `FreeParameters`."""
    blocks = []
    if len(free.coefficients[l]):
        by_coefficients = saw.splines[:, None, :, :, None] * sensitivity[:, :, None, None, :]
        blocks.append(by_coefficients.flatten(2)[..., free.coefficients[l]])
    if len(free.base_weights[l]):
        by_base = saw.base[:, None, :, None] * sensitivity[:, :, None, :]
        blocks.append(by_base.flatten(2)[..., free.base_weights[l]])
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
