"""The kernels of `reference` over C++ (csrc/): the same arguments, the same results, many times faster on small inputs.

The C++ reads memory directly, so it takes ordinary float32 and float64 tensors on the CPU. Every other call goes to the
reference: other dtypes and devices, `torch.func` transforms, forward-mode differentiation, `torch.compile`, tracing.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter

from knotwork.kernels import _compiled, reference

_BASIS = {torch.float32: _compiled.basis_float32, torch.float64: _compiled.basis_float64}
_INSIDE_GRID = {torch.float32: _compiled.inside_grid_float32, torch.float64: _compiled.inside_grid_float64}


def basis(x: Tensor, knots: Tensor, k: int, derivative: int = 0, extrapolation: str = "linear") -> Tensor:
    """All B-splines of order k, or their derivatives, at x: shape (batch, in, G + k). See `reference.basis`."""
    if not _readable(x, knots, k):
        return reference.basis(x, knots, k, derivative, extrapolation)
    reference.check_arguments(x, knots, k, derivative, extrapolation)
    if extrapolation == "error":
        _check_inside(x, knots, k)
    fade = extrapolation == "zero"
    if x.requires_grad and torch.is_grad_enabled():
        return _Basis.apply(x, knots, k, derivative, fade)  # type: ignore[return-value]
    return _evaluate(x, knots, k, derivative, fade)


def basis_with_slope(x: Tensor, knots: Tensor, k: int, extrapolation: str = "linear") -> tuple[Tensor, Tensor]:
    """`basis` and its first derivative in one pass, without gradients. See `reference.basis_with_slope`."""
    if not _readable(x, knots, k):
        return reference.basis_with_slope(x, knots, k, extrapolation)
    reference.check_arguments(x, knots, k, 0, extrapolation)
    if extrapolation == "error":
        _check_inside(x, knots, k)
    x = x.detach()
    slope = x.new_empty((*x.shape, knots.shape[1] - k - 1))
    return _evaluate(x, knots, k, 0, extrapolation == "zero", slope), slope


class _Basis(torch.autograd.Function):
    """The basis under autograd: its derivative is the basis of the next derivative, to any order."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, knots: Tensor, k: int, derivative: int, fade: bool) -> Tensor:
        ctx.save_for_backward(x, knots)
        ctx.settings = k, derivative, fade
        return _evaluate(x, knots, k, derivative, fade)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        x, knots = ctx.saved_tensors
        k, derivative, fade = ctx.settings
        slope = basis(x, knots, k, derivative + 1, "zero" if fade else "linear")
        return (grad_outputs[0] * slope).sum(-1), None, None, None, None


def _evaluate(x: Tensor, knots: Tensor, k: int, derivative: int, fade: bool, slope: Tensor | None = None) -> Tensor:
    """The basis of readable tensors, and into `slope` its first derivative."""
    (batch, n_inputs), n_knots = x.shape, knots.shape[1]
    x, knots = x.contiguous(), knots.contiguous()
    out = x.new_empty((batch, n_inputs, n_knots - k - 1))
    slopes = 0 if slope is None else slope.data_ptr()
    _BASIS[x.dtype](
        batch, n_inputs, n_knots, k, derivative, fade, x.data_ptr(), knots.data_ptr(), out.data_ptr(), slopes
    )
    return out


def _check_inside(x: Tensor, knots: Tensor, k: int) -> None:
    """Raise SpecError if a sample lies outside its grid."""
    (batch, n_inputs), n_knots = x.shape, knots.shape[1]
    x, knots = x.contiguous(), knots.contiguous()
    if not _INSIDE_GRID[x.dtype](batch, n_inputs, n_knots, k, x.data_ptr(), knots.data_ptr()):
        reference.check_inside(x, knots, k)


def _readable(x: Tensor, knots: Tensor, k: int) -> bool:
    """Whether the C++ may read x and knots as they lie in memory: nothing watches or transforms them."""
    return (
        not torch.compiler.is_compiling()
        and type(x) in (Tensor, Parameter)
        and x.dtype in _BASIS
        and x.dtype is knots.dtype
        and x.is_cpu
        and knots.is_cpu
        and k <= _compiled.HIGHEST_ORDER
        and not torch._C._are_functorch_transforms_active()
        and forward_ad._current_level < 0
        and torch._C._len_torch_dispatch_stack() == 0
        and torch._C._get_tracing_state() is None
        and not x.is_neg()
    )
