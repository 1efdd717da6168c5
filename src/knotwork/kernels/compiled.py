"""The kernels of `reference` over C++ (csrc/): the same arguments, the same results, many times faster.

Calls that the C++ cannot serve go to the reference: other dtypes and devices, `torch.func` transforms, forward-mode
differentiation, `torch.compile`, tracing. Which they are is decided in `eligibility`; `calls` has the C++ functions,
`autograd` their derivatives, `whole_network` what is computed for a network in one call.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from knotwork.kernels import autograd, calls, reference
from knotwork.kernels.calls import FUNCTIONS, Layer
from knotwork.kernels.eligibility import HIGHEST_DERIVATIVE, plain, readable
from knotwork.kernels.reference import LayerArrays
from knotwork.kernels.settings import KERNELS
from knotwork.kernels.whole_network import CompiledNetwork


def edge_sums(
    x: Tensor,
    coefficients: Tensor,
    base_weights: Tensor,
    knots: Tensor,
    k: int,
    base: str = "silu",
    extrapolation: str = "linear",
    derivative: int = 0,
    scale: Tensor | None = None,
) -> Tensor:
    """Sums of curves or of their derivatives, Σ_i scale_i φ_ij^(derivative)(x_i): (batch, out). See `reference`."""
    if extrapolation == "constant":
        reference.check_arguments(x, knots, k, derivative, extrapolation)
        reference.check_layer(x, coefficients, base_weights, knots, k, scale)
        x, scale = reference.held(x, knots, k, derivative, scale)
        extrapolation = "linear"
    if not (
        readable(x, knots, k)
        and plain(x.dtype, coefficients, base_weights, *(() if scale is None else (scale,)))
        and derivative < HIGHEST_DERIVATIVE
        and x.numel()
        and base_weights.numel()
    ):
        return reference.edge_sums(x, coefficients, base_weights, knots, k, base, extrapolation, derivative, scale)
    reference.check_arguments(x, knots, k, derivative, extrapolation)
    reference.check_layer(x, coefficients, base_weights, knots, k, scale)
    layer = _layer(x, knots, k, base, extrapolation)
    return autograd.layer_sums(x, coefficients, base_weights, scale, layer, derivative)


def edge_series(
    x: Tensor,
    coefficients: Tensor,
    base_weights: Tensor,
    knots: Tensor,
    k: int,
    base: str,
    extrapolation: str,
    derivatives: Sequence[int],
    scales: Tensor,
) -> Tensor:
    """`edge_sums` of several derivatives at the same x: (rows, batch, out). See `reference`."""
    if not (
        readable(x, knots, k)
        and plain(x.dtype, coefficients, base_weights, scales)
        and scales.shape == (len(derivatives) - 1, *x.shape)
        and max(derivatives) < HIGHEST_DERIVATIVE
        and extrapolation != "constant"
        and x.numel()
        and 0 < base_weights.numel() <= KERNELS.most_outputs_for_series * len(base_weights)
    ):
        arguments = x, coefficients, base_weights, knots, k, base, extrapolation
        return reference.one_by_one(edge_sums, *arguments, derivatives=derivatives, scales=scales)
    reference.check_arguments(x, knots, k, max(derivatives), extrapolation)
    reference.check_layer(x, coefficients, base_weights, knots, k, None)
    layer = _layer(x, knots, k, base, extrapolation)
    return autograd.layer_series(x, coefficients, base_weights, scales, layer, list(derivatives))


def basis(x: Tensor, knots: Tensor, k: int, derivative: int = 0, extrapolation: str = "linear") -> Tensor:
    """All B-splines of order k, or their derivatives, at x: shape (batch, in, G + k). See `reference.basis`."""
    if not readable(x, knots, k):
        return reference.basis(x, knots, k, derivative, extrapolation)
    reference.check_arguments(x, knots, k, derivative, extrapolation)
    if extrapolation == "constant":
        return reference.held_basis(basis, x, knots, k, derivative)
    if extrapolation == "error":
        calls.check_inside(x, knots, k)
    return autograd.basis(x, knots, k, derivative, extrapolation == "zero")


def basis_with_slope(x: Tensor, knots: Tensor, k: int, extrapolation: str = "linear") -> tuple[Tensor, Tensor]:
    """`basis` and its first derivative in one pass, without gradients. See `reference.basis_with_slope`."""
    if not readable(x, knots, k):
        return reference.basis_with_slope(x, knots, k, extrapolation)
    reference.check_arguments(x, knots, k, 0, extrapolation)
    if extrapolation == "constant":
        x, scale = reference.held(x, knots, k, 1, torch.ones_like(x))
        values, slopes = basis_with_slope(x, knots, k)
        return values, slopes * scale.unsqueeze(-1)  # type: ignore[union-attr]
    if extrapolation == "error":
        calls.check_inside(x, knots, k)
    x = x.detach()
    slope = x.new_empty((*x.shape, knots.shape[1] - k - 1))
    return calls.basis(x, knots, k, 0, extrapolation == "zero", slope), slope


def network(layers: Sequence[LayerArrays], arity: int) -> reference.Network | None:
    """The network of these layers, or None if the compiled kernels cannot read them."""
    first = layers[0].coefficients
    eligible = all(
        readable(la.knots, la.knots, la.k) and plain(first.dtype, la.knots, la.coefficients, la.base_weights)
        for la in layers
    )
    return CompiledNetwork(layers, arity) if eligible and all(la.base_weights.numel() for la in layers) else None


def fma_peak(dtype: torch.dtype = torch.float32) -> float:
    """GFLOP/s of multiply-adds that one thread reaches in registers: the most that the machine could do."""
    return max(FUNCTIONS[dtype].peak() for _ in range(KERNELS.peak_rounds))


for _function, _twin in (
    (edge_sums, reference.edge_sums),
    (edge_series, reference.edge_series),
    (basis, reference.basis),
):
    _function.__doc__ = _twin.__doc__  # one description serves both


def _layer(x: Tensor, knots: Tensor, k: int, base: str, extrapolation: str) -> Layer:
    """What one call needs of a layer, after x was found inside the grid where "error" asks for it."""
    if extrapolation == "error":
        calls.check_inside(x, knots, k)
    return Layer(knots.contiguous(), k, base, "zero" if extrapolation == "zero" else "linear")
