"""A network of splines alone as one call of the compiled kernels, cached until the network changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from torch import Tensor

from knotwork import kernels
from knotwork.model.network import KANNetwork


@dataclass(frozen=True)
class KnownNetwork:
    """A network of splines for the compiled kernels, which use the memory of its parameters.

    It is valid as long as `places` are the same: until a parameter is moved or frozen, or a mask changes.
    """

    network: kernels.Network
    places: list[object]
    masks: list[Tensor]  # kept, so that no other tensor can get the id of one
    arrays: Sequence[Tensor]  # coefficients and base weights of every layer, of which some may be buffers
    trained: bool  # whether all parameters are trained


_known: WeakKeyDictionary[KANNetwork, KnownNetwork] = WeakKeyDictionary()


def _places(network: KANNetwork) -> list[object]:
    """Addresses of the arrays of a network, and the states of its masks and parameters."""
    found: list[object] = []
    for layer in network.layers:
        buffers = layer._buffers  # ten times faster than attributes of modules
        held, mask = {**buffers, **layer._parameters}, buffers["mask"]
        coefficients, base_weights = held["coefficients"], held["base_weights"]
        found += coefficients.data_ptr(), base_weights.data_ptr(), buffers["knots"].data_ptr()  # type: ignore[union-attr]
        found += coefficients.requires_grad, base_weights.requires_grad  # type: ignore[union-attr]
        found += id(mask), mask.is_inference() or mask._version, layer.base, layer.extrapolation  # type: ignore[union-attr]
    return found


def known_network(network: KANNetwork) -> KnownNetwork | None:
    """The cached network of splines; None if there is none or the network has changed."""
    known = _known.get(network)
    return known if known is not None and known.places == _places(network) else None


def compiled_splines(network: KANNetwork) -> kernels.Network | None:
    """A network without named edges for the compiled kernels; None if they cannot evaluate it."""
    known = known_network(network)
    if known is not None:
        return known.network
    layers = list(network.layers)
    if any(layer.named or layer.extrapolation in ("error", "constant") for layer in layers):
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
        trained = all(p.requires_grad for p in network.parameters())
        _known[network] = KnownNetwork(found, _places(network), [la.mask for la in layers], arrays_of(network), trained)
    return found


def arrays_of(network: KANNetwork) -> list[Tensor]:
    """Coefficients and base weights of every layer, in the order of the compiled gradients."""
    return [tensor for layer in network.layers for tensor in (layer.coefficients, layer.base_weights)]


class CompiledNetwork:
    """A network of splines that one compiled call evaluates, as a function of its free parameters (P,)."""

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
        """JᵀJ (P, P) and Jᵀr (P,) of residuals (batch, R).

        `directions` (batch, R, out) are their derivatives by the outputs; None: one residual per output, with
        derivative 1.
        """
        matrix, vector = self.network.normal_equations(x, residuals, directions)
        if self.places is None:
            return matrix, vector
        return matrix[self.places][:, self.places], vector[self.places]
