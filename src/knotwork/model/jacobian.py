"""Outputs and their derivatives by every free parameter, in closed form: one forward and one backward sweep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from knotwork import kernels
from knotwork.errors import SpecError
from knotwork.functions import named_function
from knotwork.kernels import basis, basis_with_slope
from knotwork.kernels.torch_internals import unflatten
from knotwork.model.layer import KANLayer
from knotwork.model.network import KANNetwork

CHUNK = 2**24  # entries of the Jacobian, or of what its rows are combined with, held at once


class FreeParameters:
    """The parameters that second-order methods move, as one vector of size P.

    Frozen tensors (requires_grad=False) are left out. Layer by layer: coefficients of every spline edge in the order of
    their tensor (in, basis, out), base weights (in, out) of these edges (unless the base is zero), then (a, b, c, d) of
    every trainable named edge. With `reached` (in, basis) coefficients of the first layer are those of these functions.
    """

    def __init__(self, network: KANNetwork, reached: Tensor | None = None) -> None:
        self.network = network
        self.coefficients: list[Tensor] = []  # places of the free ones in the flattened tensor, layer by layer
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
        """Where the coefficients of every free spline edge stand in the vector, layer by layer: (edges, grid + k)."""
        found, at = [], 0
        for layer, coefficients, base_weights, named in zip(
            self.network.layers, self.coefficients, self.base_weights, self.named, strict=True
        ):
            places = torch.full((layer.coefficients.numel(),), -1)
            places[coefficients] = torch.arange(at, at + len(coefficients))
            places = places.view_as(layer.coefficients).transpose(1, 2).flatten(0, 1)
            found.append(places[places[:, 0] >= 0])
            at += len(coefficients) + len(base_weights) + 4 * len(named)
        return found

    def get(self) -> Tensor:
        """The current values: (P,)."""
        return self.gather([(la.coefficients, la.base_weights, la.affine) for la in self.network.layers])

    def gather(self, tensors: Sequence[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
        """One vector (P,) from a layer-by-layer list shaped like (coefficients, base_weights, affine)."""
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
        """Write a vector (P,) back into the network."""
        at = 0
        for layer, coefficients, base_weights, named in zip(
            self.network.layers, self.coefficients, self.base_weights, self.named, strict=True
        ):
            for tensor, places in ((layer.coefficients, coefficients), (layer.base_weights, base_weights)):
                part = values[at : at + len(places)]
                if len(places) == tensor.numel():  # all of them, in their order
                    tensor.copy_(part.view_as(tensor))
                else:
                    tensor.put_(places, part)
                at += len(places)
            if named:
                layer.affine[named] = values[at : at + 4 * len(named)].view(-1, 4)
                at += 4 * len(named)

    def compiled(self) -> CompiledNetwork | None:
        """The network as one compiled call takes it; None with named edges, or where no compiled kernel can go."""
        found = _splines(self.network)
        return None if found is None else CompiledNetwork(found, self._places(found.size))

    def _places(self, size: int) -> Tensor | None:
        """Where the free parameters stand among all `size` of a network of splines; None if all are free."""
        if size == self.size:
            return None
        parts, at = [], 0
        for layer, coefficients, base_weights in zip(
            self.network.layers, self.coefficients, self.base_weights, strict=True
        ):
            parts += [at + coefficients, at + layer.coefficients.numel() + base_weights]
            at += layer.coefficients.numel() + layer.base_weights.numel()
        return torch.cat(parts)


@dataclass(frozen=True)
class _Known:
    """A network of splines for the compiled kernels, which read the parameters where they lie and keep that memory.

    It stays right until `places` are others: until a parameter is put elsewhere or frozen, or a mask changes.
    """

    network: kernels.Network
    places: list[object]
    masks: list[Tensor]  # kept, so that no other can take the place of one
    parameters: Sequence[Tensor]
    trained: bool  # every one of them


_known: WeakKeyDictionary[KANNetwork, _Known] = WeakKeyDictionary()


def _places(network: KANNetwork) -> list[object]:
    """Where the arrays of a network lie, and the states of its masks and parameters."""
    found: list[object] = []
    for layer in network.layers:
        own, buffers = layer._parameters, layer._buffers  # a tenth of the time that attributes of modules take
        coefficients, base_weights, mask = own["coefficients"], own["base_weights"], buffers["mask"]
        found += coefficients.data_ptr(), base_weights.data_ptr(), buffers["knots"].data_ptr()  # type: ignore[union-attr]
        found += coefficients.requires_grad, base_weights.requires_grad  # type: ignore[union-attr]
        found += id(mask), mask.is_inference() or mask._version, layer.base, layer.extrapolation  # type: ignore[union-attr]
    return found


def _looked_up(network: KANNetwork) -> _Known | None:
    """What is known of a network whose edges all are splines, if it has not changed since."""
    known = _known.get(network)
    return known if known is not None and known.places == _places(network) else None


def _splines(network: KANNetwork) -> kernels.Network | None:
    """A network without named edges for the compiled kernels, if they can take it."""
    known = _looked_up(network)
    if known is not None:
        return known.network
    layers = list(network.layers)
    if any(layer.named or layer.extrapolation == "error" for layer in layers):
        return None
    whole = all(layer.is_whole() for layer in layers)
    arrays = []
    for layer, nodes in zip(layers, network.structure.width[1:], strict=True):
        values = layer.coefficients.detach(), layer.base_weights.detach()
        if not layer.is_whole():
            values = values[0] * layer.mask.unsqueeze(1), values[1] * layer.mask
        arrays.append(kernels.LayerArrays(*values, layer.knots, layer.k, layer.base, layer.extrapolation, *nodes))
    found = kernels.network(arrays, network.structure.arity)
    contiguous = all(t.is_contiguous() for a in arrays for t in (a.coefficients, a.base_weights, a.knots))
    if found is not None and whole and contiguous:
        parameters = list(network.parameters())
        trained = all(p.requires_grad for p in parameters if p.numel())
        _known[network] = _Known(found, _places(network), [la.mask for la in layers], parameters, trained)
    return found


class CompiledNetwork:
    """One call for a whole network of splines, by its free parameters (P,)."""

    def __init__(self, network: kernels.Network, places: Tensor | None) -> None:
        self.network, self.places = network, places

    def values(self, x: Tensor) -> Tensor:
        """The outputs (batch, out) for x (batch, in)."""
        return self.network.values(x)

    def sums(self, x: Tensor) -> list[Tensor]:
        """The sums of every layer for x (batch, in): (batch, sums) each."""
        return self.network.sums(x)

    def loss(self, x: Tensor, y: Tensor) -> float:
        """The mean squared error of the outputs for x (batch, in) against y (batch, out)."""
        return self.network.loss(x, y, False)[0]

    def loss_and_gradient(self, x: Tensor, y: Tensor) -> tuple[float, Tensor]:
        """The mean squared error and its gradient (P,)."""
        value, gradient = self.network.loss(x, y)
        return value, gradient if self.places is None else gradient[self.places]

    def jacobian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (batch, out) and their derivatives (batch, out, P)."""
        outputs, derivatives = self.network.jacobian(x)
        return outputs, derivatives if self.places is None else derivatives[..., self.places]

    def normal_equations(self, x: Tensor, residuals: Tensor, directions: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """JᵀJ (P, P) and Jᵀr (P,) of residuals (batch, R) with derivatives (batch, R, out) by the outputs, or ones."""
        matrix, vector = self.network.normal_equations(x, residuals, directions)
        if self.places is None:
            return matrix, vector
        return matrix[self.places][:, self.places], vector[self.places]


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
def sweep(network: KANNetwork, x: Tensor, known: Sweep | None = None, values_only: bool = False) -> Sweep:
    """One pass through the network that keeps the values and slopes of its edges, or nothing but the nodes' values.

    `known` is an earlier sweep over the same rows with the same input knots, whose first basis is used again.
    """
    values = network.select_inputs(x)
    seen: list[LayerSweep] = []
    compiled = _splines(network) if values_only else None
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
    return Sweep(tuple(seen), values)


@torch.no_grad()
def jacobian(
    network: KANNetwork, x: Tensor, free: FreeParameters | None = None, seen: Sweep | None = None
) -> tuple[Tensor, Tensor]:
    """Outputs (batch, out) and their derivatives by the free parameters (batch, out, P); `seen` is a sweep at hand."""
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
    """JᵀJ (P, P) and Jᵀr (P,), a chunk of rows at a time, by the free parameters.

    `residuals(outputs, rows)` gives for outputs (batch, out) of these rows r (batch, R) and their derivatives by the
    outputs (batch, R, out), None if they are one an output. `seen` is a sweep over all rows, if there is one.
    """
    compiled, inputs = free.compiled(), network.select_inputs(x)
    matrix = torch.zeros(free.size, free.size, dtype=inputs.dtype, device=inputs.device)
    vector = torch.zeros(free.size, dtype=inputs.dtype, device=inputs.device)
    out = sum(network.structure.width[-1])
    length = max(1, CHUNK // out**2) if compiled else rows_at_once(free) if seen is None else len(x)
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


def rows_at_once(free: FreeParameters) -> int:
    """Of the Jacobian, where it is held as it is."""
    return max(1, CHUNK // max(1, sum(free.network.structure.width[-1]) * free.size))


def loss_and_grad(network: KANNetwork, x: Tensor, y: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Mean squared error and its gradients by every parameter, as `parameters()` has them; see `KAN.loss_and_grad`."""
    known = _looked_up(network)
    x = network.select_inputs(x)
    y = y.to(x.dtype)
    expected = (len(x), sum(network.structure.width[-1]))
    y = y.unsqueeze(-1) if y.ndim == 1 else y
    if x.ndim != 2 or y.shape != expected:
        raise SpecError(
            f"x has shape {tuple(x.shape)} and y {tuple(y.shape)}: pass rows of x and y of shape {expected}."
        )
    compiled = known.network if known else _splines(network)
    parameters = known.parameters if known else list(network.parameters())
    if compiled is None:
        with torch.enable_grad():
            loss = (network(x.detach()) - y.detach()).square().mean()
        moving = [p for p in parameters if p.requires_grad]
        slopes = iter(torch.autograd.grad(loss, moving, allow_unused=True))
        found = [next(slopes) if p.requires_grad else None for p in parameters]
        return loss.detach(), tuple(
            torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)
        )
    value, gradient = compiled.loss(x, y)
    gradients = unflatten(gradient, parameters)
    if known is None or not known.trained:
        for layer, at in zip(network.layers, range(0, len(parameters), 3), strict=True):
            gradients[at].mul_(layer.mask.unsqueeze(1))
            gradients[at + 1].mul_(layer.mask)
        for p, part in zip(parameters, gradients, strict=True):
            if not p.requires_grad:
                part.zero_()
    return torch.scalar_tensor(value, dtype=y.dtype), tuple(gradients)


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
