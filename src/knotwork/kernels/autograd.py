"""The compiled kernels under autograd, differentiable any number of times.

Three products are closed under differentiation: the derivative by x of each is the same product with splines of one
derivative more. They are the sums of a layer and their two vector-Jacobian products, by the scale and by the weights.
"""

from typing import Any

import torch
from torch import Tensor

from knotwork.kernels import calls, reference
from knotwork.kernels.calls import Layer, Weights
from knotwork.kernels.eligibility import HIGHEST_DERIVATIVE, readable, untransformed
from knotwork.kernels.torch_internals import will_execute


def layer_sums(
    x: Tensor, coefficients: Tensor, base_weights: Tensor, scale: Tensor | None, layer: Layer, derivative: int
) -> Tensor:
    """Σ_i scale_i φ_ij^(derivative)(x_i), (batch, out), of tensors that the C++ may read."""
    if torch.is_grad_enabled() and (
        x.requires_grad
        or coefficients.requires_grad
        or base_weights.requires_grad
        or (scale is not None and scale.requires_grad)
    ):
        if x.requires_grad and coefficients.requires_grad:  # views, see _wanted
            coefficients, base_weights = coefficients.view_as(coefficients), base_weights.view_as(base_weights)
        return _apply_sums(x, coefficients, base_weights, scale, layer, derivative)
    return layer.sums(x, coefficients, base_weights, scale, derivative, keep=False)


def layer_series(
    x: Tensor, coefficients: Tensor, base_weights: Tensor, scales: Tensor, layer: Layer, derivatives: list[int]
) -> Tensor:
    """Σ_i scale_qi φ_ij^(d_q)(x_i), (rows, batch, out), a row for every d_q, of tensors that the C++ may read."""
    return _apply_series(x, coefficients, base_weights, scales, layer, derivatives)


def basis(x: Tensor, knots: Tensor, k: int, derivative: int, fade: bool) -> Tensor:
    """All B-splines of order k, (batch, in, G + k), of tensors that the C++ may read."""
    if x.requires_grad and torch.is_grad_enabled():
        return _apply_basis(x, knots, k, derivative, fade)
    return calls.basis(x, knots, k, derivative, fade)


def _wanted(ctx: Any, *inputs: int) -> list[bool]:
    """Which inputs' gradients the running backward pass will use.

    `ctx.needs_input_grad` is true for weights even where `torch.autograd.grad` asks for d/dx alone. The engine
    knows better, but not about leaves: so weights come as views where x may be differentiated.
    """
    needed = ctx.needs_input_grad
    wanted = [needed[n] for n in inputs]
    if torch.is_grad_enabled():
        nodes: Any = ctx.next_functions
        for at, n in enumerate(inputs):
            if wanted[at]:
                wanted[at] = will_execute(nodes[n][0])
    return wanted


def _times(value: Tensor | None, scale: Tensor | None) -> Tensor | None:
    return value if scale is None or value is None else scale * value


class _Sums(torch.autograd.Function):
    """Σ_i scale_i φ_ij^(d)(x_i)."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, coefficients: Tensor, base_weights: Tensor, scale: Tensor | None, layer: Layer, d: int
    ) -> Tensor:
        ctx.save_for_backward(x, coefficients, base_weights, scale, layer.knots)
        ctx.layer, ctx.d = layer, d
        return layer.sums(x, coefficients, base_weights, scale, d)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        x, coefficients, base_weights, scale, _ = ctx.saved_tensors
        by_x, by_coefficients, by_base, by_scale = _wanted(ctx, 0, 1, 2, 3)
        layer, d, weights = ctx.layer, ctx.d, (coefficients, base_weights)
        if not torch.is_grad_enabled() and untransformed(gradient) and d < HIGHEST_DERIVATIVE:
            wanted = by_x, by_scale, by_coefficients, by_base
            first, second, third, fourth = layer.vjp(x, *weights, scale, gradient, d, wanted)
            return _times(first, scale), third, fourth, second, None, None
        first = _scale_vjp(x, gradient, weights, layer, d + 1) if by_x else None
        second = _scale_vjp(x, gradient, weights, layer, d) if by_scale else None
        third, fourth = _weights_vjp(x, gradient, scale, weights, layer, d, by_coefficients or by_base)
        return _times(first, scale), third, fourth, second, None, None


class _ScaleVjp(torch.autograd.Function):
    """Σ_j g_j φ_ij^(d)(x_i): the vector-Jacobian product of the sums by their scale."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, g: Tensor, coefficients: Tensor, base_weights: Tensor, layer: Layer, d: int
    ) -> Tensor:
        ctx.save_for_backward(x, g, coefficients, base_weights)
        ctx.layer, ctx.d = layer, d
        # As the derivative of the one below it is found with fewer products.
        wanted, order = ((True, False, False, False), d - 1) if d else ((False, True, False, False), d)
        first, second, _, _ = layer.vjp(x, coefficients, base_weights, None, g, order, wanted)
        return first if d else second  # type: ignore[return-value]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (q,) = gradients
        x, g, coefficients, base_weights = ctx.saved_tensors
        weights = coefficients, base_weights
        by_x, by_g, by_coefficients, by_base = _wanted(ctx, 0, 1, 2, 3)
        first = q * _scale_vjp(x, g, weights, ctx.layer, ctx.d + 1) if by_x else None
        second = _sums(x, weights, q, ctx.layer, ctx.d) if by_g else None
        third, fourth = _weights_vjp(x, g, q, weights, ctx.layer, ctx.d, by_coefficients or by_base)
        return first, second, third, fourth, None, None


class _WeightsVjp(torch.autograd.Function):
    """Σ_n scale_ni g_nj B_b^(d)(x_ni) for every coefficient, and the same for the base."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        g: Tensor,
        scale: Tensor | None,
        coefficients: Tensor,
        base_weights: Tensor,
        layer: Layer,
        d: int,
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(x, g, scale)
        ctx.layer, ctx.d = layer, d
        _, _, first, second = layer.vjp(x, coefficients, base_weights, scale, g, d, (False, False, True, True))
        return first, second  # type: ignore[return-value]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, g, scale = ctx.saved_tensors
        weights = gradients[0], gradients[1]
        by_x, by_g, by_scale = _wanted(ctx, 0, 1, 2)
        first = _times(_scale_vjp(x, g, weights, ctx.layer, ctx.d + 1), scale) if by_x else None
        second = _sums(x, weights, scale, ctx.layer, ctx.d) if by_g else None
        third = _scale_vjp(x, g, weights, ctx.layer, ctx.d) if by_scale else None
        return first, second, third, None, None, None, None


class _Series(torch.autograd.Function):
    """Σ_i scale_qi φ_ij^(d_q)(x_i), a row for every d_q."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        coefficients: Tensor,
        base_weights: Tensor,
        scales: Tensor,
        layer: Layer,
        derivatives: list[int],
    ) -> Tensor:
        ctx.save_for_backward(x, coefficients, base_weights, scales, layer.knots)
        ctx.layer, ctx.derivatives = layer, derivatives
        return layer.series(x, coefficients, base_weights, scales, derivatives)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        *given, knots = ctx.saved_tensors  # x, coefficients, base weights, scales
        layer, derivatives, wanted = ctx.layer, ctx.derivatives, ctx.needs_input_grad[:4]
        if not torch.is_grad_enabled() and untransformed(gradients[0]):
            return *layer.series_vjp(*given, derivatives, gradients[0], wanted), None, None
        x, coefficients, base_weights, scales = given
        settings = knots, *layer.settings[1:]
        with torch.enable_grad():  # to be differentiated again: through sums that can be
            sums = x, coefficients, base_weights, settings
            rows = [_row(*sums, scale, d) for d, scale in zip(derivatives, (None, *scales), strict=True)]
            moving = [tensor for tensor, want in zip(given, wanted, strict=True) if want]
            slopes = torch.autograd.grad(torch.stack(rows), moving, gradients[0], create_graph=True, allow_unused=True)
        each = iter(slopes)
        return *(next(each) if want else None for want in wanted), None, None


class _Basis(torch.autograd.Function):
    """The basis under autograd: its derivative is the basis of the next derivative, to any order."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, knots: Tensor, k: int, derivative: int, fade: bool) -> Tensor:
        ctx.save_for_backward(x, knots)
        ctx.settings = k, derivative, fade
        return calls.basis(x, knots, k, derivative, fade)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        x, knots = ctx.saved_tensors
        k, derivative, fade = ctx.settings
        if readable(x, knots, k):
            slope = basis(x, knots, k, derivative + 1, fade)
        else:
            slope = reference.basis(x, knots, k, derivative + 1, "zero" if fade else "linear")
        return (grad_outputs[0] * slope).sum(-1), None, None, None, None


_apply_sums: Any = _Sums.apply
_apply_scale_vjp: Any = _ScaleVjp.apply
_apply_weights_vjp: Any = _WeightsVjp.apply
_apply_series: Any = _Series.apply
_apply_basis: Any = _Basis.apply


# The same products for tensors that come in a backward pass. Those may be batched or otherwise special: then in torch.


def _sums(x: Tensor, weights: Weights, scale: Tensor | None, layer: Layer, d: int) -> Tensor:
    if untransformed(*weights, *(() if scale is None else (scale,))):
        return _apply_sums(x, *weights, scale, layer, d)
    return reference.edge_sums(x, *weights, *layer.settings, d, scale)


def _scale_vjp(x: Tensor, g: Tensor, weights: Weights, layer: Layer, d: int) -> Tensor:
    if d > HIGHEST_DERIVATIVE or not untransformed(g, *weights):
        return reference.scale_vjp(x, g, *weights, *layer.settings, d)
    return _apply_scale_vjp(x, g, *weights, layer, d)


def _weights_vjp(
    x: Tensor, g: Tensor, scale: Tensor | None, weights: Weights, layer: Layer, d: int, wanted: bool
) -> tuple[Tensor | None, Tensor | None]:
    if not wanted:
        return None, None
    if not untransformed(g, *(() if scale is None else (scale,))):
        return reference.weights_vjp(x, g, scale, *layer.settings, d)
    return _apply_weights_vjp(x, g, scale, *(w.detach() for w in weights), layer, d)


def _row(
    x: Tensor,
    coefficients: Tensor,
    base_weights: Tensor,
    settings: tuple[Tensor, int, str, str],
    scale: Tensor | None,
    d: int,
) -> Tensor:
    """One row of a series, with a plan of its own."""
    if untransformed(x, coefficients, base_weights, *(() if scale is None else (scale,))):
        return layer_sums(x, coefficients, base_weights, scale, Layer(*settings), d)
    return reference.edge_sums(x, coefficients, base_weights, *settings, d, scale)
