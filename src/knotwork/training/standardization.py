"""Targets with mean 0 and deviation 1 while a network is fitted, whatever the unit of the user's targets."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeGuard

import torch
from torch import Tensor, nn

from knotwork.errors import TrainingError
from knotwork.model import KANLayer, KANNetwork, tensors_of


@dataclass(frozen=True)
class Standardization:
    """The map from targets y (n, K) to (y - shift) / scale, with one scale for all columns, and its inverse.

    One scale keeps the squared error what it is: the mean over all columns, in another unit.

    Attributes:
        shift: (K,), the mean of each column.
        scale: the root mean square of all targets about these means; 1 for constants.
        varies: (K,), whether the targets of a column differ by more than rounding errors of its largest.
    """

    shift: Tensor
    scale: float
    varies: Tensor

    @classmethod
    def of(cls, y: Tensor, weights: Tensor | None = None) -> Standardization:
        """That of targets y (n, K), whose rows may count `weights` (n,) times.

        Sums are taken of targets relative to the largest of their column, so that neither they nor their squares
        overflow or vanish, and a small column counts beside a large constant one.
        """
        y = y.to("cpu", torch.float64)
        if not len(y):
            return cls.none(y.shape[1])
        share = y.new_full((len(y),), 1 / len(y)) if weights is None else weights.to(y) / weights.sum()
        counted = y if weights is None else y[weights.to(y.device) > 0]
        equal, size = (counted == counted[0]).all(0), y.abs().amax(0)
        relative = y / torch.where(size > 0, size, 1.0)
        mean = share @ relative
        deviation = torch.where(equal, 0.0, (share @ (relative - mean).square()).sqrt())
        varies = deviation > len(y) ** 0.5 * torch.finfo(y.dtype).eps
        spread = deviation * size
        largest = float(spread.max())
        scale = largest * float((spread / largest).square().mean().sqrt()) if bool(varies.any()) else 1.0
        return cls(torch.where(equal, counted[0], mean * size), scale, varies)

    @classmethod
    def none(cls, outputs: int) -> Standardization:
        """The one that changes nothing."""
        zeros = torch.zeros(outputs, dtype=torch.float64, device="cpu")
        return cls(zeros, 1.0, torch.ones_like(zeros, dtype=torch.bool))

    def possible_for(self, network: KANNetwork) -> Standardization:
        """The same with no shift where an output of the network has no edge that adds a constant everywhere."""
        carried = torch.tensor([carrier is not None for carrier in carriers_of(network)], device="cpu")
        return replace(self, shift=torch.where(carried, self.shift, torch.zeros_like(self.shift)))

    def changes(self, model: nn.Module) -> TypeGuard[KANNetwork]:
        """Whether the model is one that is fitted in other units than the user's."""
        return isinstance(model, KANNetwork) and not (self.scale == 1 and not bool(self.shift.any()))

    def __call__(self, y: Tensor) -> Tensor:
        """Targets in these units."""
        return ((y.to(torch.float64) - self.shift.to(y.device)) / self.scale).to(y.dtype)


def dtype_of(model: nn.Module) -> torch.dtype:
    """The type of a model's numbers; TrainingError where it has none.

    A network whose edges are all fixed has no parameters, only buffers.
    """
    for _, tensor in tensors_of(model):
        if tensor.is_floating_point():
            return tensor.dtype
    raise TrainingError(f"this {type(model).__name__} has no parameters, so there is nothing to fit.")


def device_of(model: nn.Module) -> torch.device:
    """The device of a model's numbers."""
    return next(tensor.device for _, tensor in tensors_of(model))


def moved(values: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Values of this type on this device. The type changes first: not every device has float64."""
    return values.to(dtype).to(device)


def is_free(layer: KANLayer) -> bool:
    """Whether all parameters of a layer may move, so that it can be expressed in other units."""
    return all(parameter.requires_grad for parameter in layer.parameters())


@contextmanager
def standardized(model: nn.Module, units: Standardization, dtype: torch.dtype | None) -> Iterator[None]:
    """Within, a network's outputs are in standard units and its parameters of this type; afterwards as they were.

    With None the types stay. It happens in place, and the parameters stay the same objects. Constants of named edges
    that do not train return to exactly what they were. Ctrl-C never comes between the units.
    """
    own = dtype_of(model)
    types = {name: tensor.dtype for name, tensor in tensors_of(model)}
    fixed, converted = _fixed_constants(model), False
    try:
        with uninterrupted():
            if dtype is not None:
                _convert(model, dtype)
            if units.changes(model):
                _add(model, -units.shift)
                _multiply(model, 1.0, units.scale)
            converted = True
        yield
    finally:
        if converted:
            with uninterrupted():
                _to_own_units(model, units, own, fixed)
                for name, tensor in tensors_of(model):  # a module may hold several types
                    if tensor.dtype != types[name]:
                        tensor.data = tensor.data.to(types[name])


@contextmanager
def in_own_units(model: nn.Module, units: Standardization, dtype: torch.dtype) -> Iterator[None]:
    """Within `standardized`: the network as its user knows it, for a callback; afterwards exactly as it was before."""
    inside = dtype_of(model)
    if inside == dtype and not units.changes(model):
        yield
        return
    state = {name: value.clone() for name, value in model.state_dict().items()}
    try:
        with uninterrupted():
            _to_own_units(model, units, dtype, [])
        yield
    finally:
        with uninterrupted():
            _convert(model, inside)
            model.load_state_dict(state)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Within, Ctrl-C waits; it takes effect at the end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, waiting = signal.getsignal(signal.SIGINT), []
    signal.signal(signal.SIGINT, lambda *arguments: waiting.append(arguments))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if waiting and callable(before):
            before(*waiting[0])


def _to_own_units(
    model: nn.Module, units: Standardization, dtype: torch.dtype, fixed: list[tuple[int, Tensor]]
) -> None:
    if units.changes(model):
        _multiply(model, units.scale, 1.0)
        _add(model, units.shift)
    _convert(model, dtype)
    with torch.no_grad():
        for n, constants in fixed:
            model.layers[-1].affine[n] = constants  # type: ignore[union-attr,index,operator]


def _convert(model: nn.Module, dtype: torch.dtype) -> None:
    """Real numbers to this type. `model.to(dtype)` would drop the imaginary parts of complex ones."""
    model._apply(lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor)


@torch.no_grad()
def rescale_outputs(
    network: KANNetwork,
    numerator: float | Tensor,
    denominator: float = 1.0,
    shift: Tensor | None = None,
    carriers: Sequence[int | None] | None = None,
) -> None:
    """Replace the outputs by numerator/denominator·outputs + shift, in place; numerators (K,) and shifts (K,).

    Shifts are added to the edges from `carriers` (K,), by default those that `carriers_of` says. The splines that named
    edges had change with them.
    """
    layer = network.layers[-1]
    _multiply(network, numerator, denominator)
    for n, (_, target, _, _) in enumerate(layer.named):
        output = _output_of(network, target)
        if output is not None:
            own = numerator[output] if isinstance(numerator, Tensor) else numerator
            layer.kept[n] = layer.kept[n] * own / denominator
    if shift is not None:
        _add(network, shift, carriers, kept=True)


@torch.no_grad()
def rescale_inputs(network: KANNetwork, unit: Tensor, zero: Tensor) -> None:
    """Make a network of x one of unit·x + zero, both (in,) for all columns, in place: the outputs stay the same."""
    layer, places = network.layers[0], list(network.structure.inputs)
    unit, zero = unit[places].double(), zero[places].double()
    layer.knots.copy_(layer.knots.cpu().double() * unit[:, None] + zero[:, None])
    for n, (source, *_) in enumerate(layer.named):
        a, b = layer.affine[n, :2].tolist()
        a = a / float(unit[source])
        layer.affine[n, 0], layer.affine[n, 1] = a, b - a * float(zero[source])


def _fixed_constants(model: nn.Module) -> list[tuple[int, Tensor]]:
    """Constants of named edges of the last layer that do not train, by the number of the edge."""
    if not isinstance(model, KANNetwork):
        return []
    layer = model.layers[-1]
    return [(n, layer.affine[n].detach().clone()) for n, edge in enumerate(layer.named) if not edge[3]]


@torch.no_grad()
def _multiply(network: KANNetwork, numerator: float | Tensor, denominator: float) -> None:
    """Multiply all outputs by a ratio: every edge into a sum, and every edge into the first factor of a product.

    A ratio, since the reciprocal of a very small scale would be infinite. Numerators (K,) are those of the outputs.
    """
    layer, structure = network.layers[-1], network.structure
    n_sums, _ = structure.width[-1]
    columns = [*range(n_sums), *range(n_sums, layer.out_features, structure.arity)]
    layer.coefficients[:, :, columns] = layer.coefficients[:, :, columns] * numerator / denominator
    layer.base_weights[:, columns] = layer.base_weights[:, columns] * numerator / denominator
    for n, (_, target, _, _) in enumerate(layer.named):
        output = _output_of(network, target)
        if output is not None:
            own = numerator[output] if isinstance(numerator, Tensor) else numerator
            layer.affine[n, 2:] = layer.affine[n, 2:] * own / denominator


def _output_of(network: KANNetwork, target: int) -> int | None:
    """The output that grows with a sum of the last layer: its own, or that of the product whose first factor it is."""
    structure = network.structure
    n_sums, _ = structure.width[-1]
    place, rest = divmod(target - n_sums, structure.arity)
    return target if target < n_sums else None if rest else n_sums + place


@torch.no_grad()
def _add(network: KANNetwork, shift: Tensor, carriers: Sequence[int | None] | None = None, kept: bool = False) -> None:
    """Add constants (K,) to the outputs, each to the edge that carries it, and to the spline that this edge had."""
    layer = network.layers[-1]
    splines: list[tuple[int, int, float]] = []
    carriers = carriers_of(network) if carriers is None else carriers
    for target, (source, value) in enumerate(zip(carriers, shift.tolist(), strict=True)):
        if source is None or not value:
            continue
        named = layer.named_at(source, target)
        if named is None:
            splines.append((source, target, value))
        else:
            layer.affine[named, 3] += value
            if kept:
                layer.kept[named, :-1] += value
    if splines:
        sources, targets, values = (list(part) for part in zip(*splines, strict=True))
        layer.coefficients[sources, :, targets] += layer.coefficients.new_tensor(values).unsqueeze(1)


def carriers_of(network: KANNetwork) -> list[int | None]:
    """For each output the source of the edge that a constant is added to.

    It is the spline that varies most, so that an edge without influence stays zero; B-splines sum to one. Without
    splines it is a named edge with free constants. A product has no such edge, nor has a spline that ends at its grid.
    """
    layer, n_sums = network.layers[-1], network.structure.width[-1][0]
    is_spline, found = layer.mask > 0, []
    curves = layer.coefficients.detach()
    spans = torch.where(is_spline, curves.amax(1) - curves.amin(1), -1.0)
    varies_most, some = spans.argmax(0).tolist(), (is_spline.any(0) & (network.structure.extrapolation != "zero"))
    free = {target: source for source, target, _, trains in reversed(layer.named) if trains}
    for target in range(sum(network.structure.width[-1])):
        if target >= n_sums:
            found.append(None)
        elif bool(some[target]):
            found.append(varies_most[target])
        else:
            found.append(None if bool(is_spline[:, target].any()) else free.get(target))
    return found
