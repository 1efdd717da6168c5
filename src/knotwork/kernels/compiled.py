"""The kernels of `reference` over C++ (csrc/): the same arguments, the same results, many times faster.

The C++ reads memory directly, so it takes ordinary float32 and float64 tensors on the CPU. Every other call goes to the
reference: other dtypes and devices, `torch.func` transforms, forward-mode differentiation, `torch.compile`, tracing.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter

from knotwork.kernels import _compiled, reference
from knotwork.kernels.reference import LayerArrays

_BASIS = {torch.float32: _compiled.basis_float32, torch.float64: _compiled.basis_float64}
_INSIDE_GRID = {torch.float32: _compiled.inside_grid_float32, torch.float64: _compiled.inside_grid_float64}
_FORWARD = {torch.float32: _compiled.forward_float32, torch.float64: _compiled.forward_float64}
_BACKWARD = {torch.float32: _compiled.backward_float32, torch.float64: _compiled.backward_float64}
_SERIES = {torch.float32: _compiled.series_float32, torch.float64: _compiled.series_float64}
_SERIES_BACKWARD = {torch.float32: _compiled.series_backward_float32, torch.float64: _compiled.series_backward_float64}
_PLAN_BYTES = {torch.float32: _compiled.plan_bytes_float32, torch.float64: _compiled.plan_bytes_float64}
_OUTPUTS = {torch.float32: _compiled.outputs_float32, torch.float64: _compiled.outputs_float64}
_LOSS = {torch.float32: _compiled.loss_float32, torch.float64: _compiled.loss_float64}
_JACOBIAN = {torch.float32: _compiled.jacobian_float32, torch.float64: _compiled.jacobian_float64}
_NORMAL = {torch.float32: _compiled.normal_equations_float32, torch.float64: _compiled.normal_equations_float64}
_PEAK = {torch.float32: _compiled.peak_float32, torch.float64: _compiled.peak_float64}
_BASES = {"zero": 0, "identity": 1, "silu": 2, "sine": 3}  # as in csrc/kernels.hpp
SPARSE = 7.0  # P² against the square of what a row of the Jacobian holds: below, BLAS on dense rows is faster
FEW = 16  # outputs up to which one pass for all derivatives is faster than one a derivative
CHUNK = 2**20  # entries of dense rows held at once
_HIGHEST_DERIVATIVE = _compiled.HIGHEST_DERIVATIVE


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
    weights = coefficients, base_weights
    if not (
        _readable(x, knots, k)
        and _plain(x.dtype, *weights, *(() if scale is None else (scale,)))
        and derivative < _HIGHEST_DERIVATIVE
        and x.numel()
        and base_weights.numel()
    ):
        return reference.edge_sums(x, coefficients, base_weights, knots, k, base, extrapolation, derivative, scale)
    reference.check_arguments(x, knots, k, derivative, extrapolation)
    reference.check_layer(x, coefficients, base_weights, knots, k, scale)
    if extrapolation == "error":
        _check_inside(x, knots, k)
    layer = _Layer(knots.contiguous(), k, base, "zero" if extrapolation == "zero" else "linear")
    if torch.is_grad_enabled() and (
        x.requires_grad
        or coefficients.requires_grad
        or base_weights.requires_grad
        or (scale is not None and scale.requires_grad)
    ):
        if x.requires_grad and coefficients.requires_grad:
            weights = coefficients.view_as(coefficients), base_weights.view_as(base_weights)  # see _wanted
        return _apply(_Sums, x, *weights, scale, layer, derivative)
    return layer.sums(x, *weights, scale, derivative, keep=False)


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
    arguments = x, coefficients, base_weights, knots, k, base, extrapolation
    if not (
        _readable(x, knots, k)
        and _plain(x.dtype, coefficients, base_weights, scales)
        and scales.shape == (len(derivatives) - 1, *x.shape)
        and max(derivatives) < _HIGHEST_DERIVATIVE
        and x.numel()
        and 0 < base_weights.numel() <= FEW * len(base_weights)
    ):
        return reference.one_by_one(edge_sums, *arguments, derivatives=derivatives, scales=scales)
    reference.check_arguments(x, knots, k, max(derivatives), extrapolation)
    reference.check_layer(x, coefficients, base_weights, knots, k, None)
    if extrapolation == "error":
        _check_inside(x, knots, k)
    layer = _Layer(knots.contiguous(), k, base, "zero" if extrapolation == "zero" else "linear")
    return _apply(_Series, x, coefficients, base_weights, scales, layer, list(derivatives))


def fma_peak(dtype: torch.dtype = torch.float32) -> float:
    """GFLOP/s of multiply-adds that one thread reaches in registers: what the machine could do at best."""
    return max(_PEAK[dtype]() for _ in range(20))


class _Network:
    """`reference.Network` over C++."""

    def __init__(self, layers: Sequence[LayerArrays], arity: int) -> None:
        self.arity, self.dtype = arity, layers[0].coefficients.dtype
        self._kept = [
            (la.coefficients.contiguous(), la.base_weights.contiguous(), la.knots.contiguous()) for la in layers
        ]
        self._rows = [
            [
                *c.shape[::2],
                t.shape[1] - 2 * la.k - 1,
                la.k,
                la.extrapolation == "zero",
                _BASES[la.base],
                c.data_ptr(),
                b.data_ptr(),
                t.data_ptr(),
                la.sums,
                la.products,
            ]
            for la, (c, b, t) in zip(layers, self._kept, strict=True)
        ]
        self.size = sum(c.numel() + b.numel() for c, b, _ in self._kept)
        self.held = sum(b.numel() * (la.k + 2) for la, (_, b, _) in zip(layers, self._kept, strict=True))
        self.outputs = layers[-1].sums + layers[-1].products
        self._widths = [b.shape[1] for _, b, _ in self._kept]

    def values(self, x: Tensor) -> Tensor:
        x = x.contiguous()
        found = x.new_empty(len(x), self.outputs)
        _OUTPUTS[self.dtype](self._rows, self.arity, len(x), x.data_ptr(), found.data_ptr(), 0, torch.get_num_threads())
        return found

    def sums(self, x: Tensor) -> list[Tensor]:
        x = x.contiguous()
        found = x.new_empty(len(x) * sum(self._widths))
        _OUTPUTS[self.dtype](self._rows, self.arity, len(x), x.data_ptr(), 0, found.data_ptr(), torch.get_num_threads())
        return [part.view(len(x), -1) for part in found.split([len(x) * width for width in self._widths])]

    def loss(self, x: Tensor, y: Tensor, gradient: bool = True) -> tuple[float, Tensor]:
        x, y = x.contiguous(), y.contiguous()
        found = x.new_empty(self.size if gradient else 0)
        address = found.data_ptr() if gradient else 0
        value = _LOSS[self.dtype](
            self._rows, self.arity, len(x), x.data_ptr(), y.data_ptr(), address, torch.get_num_threads()
        )
        return value, found

    def jacobian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.contiguous()
        outputs = x.new_empty(len(x), self.outputs)
        derivatives = x.new_empty(len(x), self.outputs, self.size)
        _JACOBIAN[self.dtype](self._rows, self.arity, len(x), x.data_ptr(), outputs.data_ptr(), derivatives.data_ptr())
        return outputs, derivatives

    def normal_equations(self, x: Tensor, residuals: Tensor, directions: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x, residuals = x.contiguous(), residuals.contiguous()
        directions = None if directions is None else directions.contiguous()
        if self.size**2 < SPARSE * self.held**2:
            matrix, vector = x.new_zeros(self.size, self.size), x.new_zeros(self.size)
            rows = max(1, CHUNK // (self.size * self.outputs))
            for at in range(0, len(x), rows):
                derivatives = self.jacobian(x[at : at + rows])[1]
                if directions is not None:
                    derivatives = directions[at : at + rows] @ derivatives
                derivatives = derivatives.flatten(0, 1)
                matrix.addmm_(derivatives.T, derivatives)
                vector.addmv_(derivatives.T, residuals[at : at + rows].flatten())
            return matrix, vector
        matrix, vector = x.new_empty(self.size, self.size), x.new_empty(self.size)
        _NORMAL[self.dtype](
            self._rows,
            self.arity,
            len(x),
            x.data_ptr(),
            residuals.shape[1],
            0 if directions is None else directions.data_ptr(),
            residuals.data_ptr(),
            matrix.data_ptr(),
            vector.data_ptr(),
            torch.get_num_threads(),
        )
        return matrix, vector


def network(layers: Sequence[LayerArrays], arity: int) -> reference.Network | None:
    """The network of these layers, or None if the compiled kernels cannot read them."""
    first = layers[0].coefficients
    readable = all(
        _readable(la.knots, la.knots, la.k) and _plain(first.dtype, la.knots, la.coefficients, la.base_weights)
        for la in layers
    )
    return _Network(layers, arity) if readable and all(la.base_weights.numel() for la in layers) else None


Weights = tuple[Tensor, Tensor]  # coefficients and base weights


def _apply(function: type[torch.autograd.Function], *arguments: Any) -> Any:
    return function.apply(*arguments)


class _Layer:
    """What the samples of one call share: knots, order, base, and, once `sums` has run, where the samples lie."""

    def __init__(self, knots: Tensor, k: int, base: str, extrapolation: str) -> None:
        self.settings = knots, k, base, extrapolation  # as the reference takes them
        self.knots, self.k, self.base, self.fade = knots, k, _BASES[base], extrapolation == "zero"
        self.grid = knots.shape[1] - 2 * k - 1
        self.plan: Tensor | None = None

    def _call(self, x: Tensor, coefficients: Tensor, base_weights: Tensor) -> tuple[int | bool, ...]:
        arrays = coefficients.data_ptr(), base_weights.data_ptr(), self.knots.data_ptr()
        return (len(x), *base_weights.shape, self.grid, self.k, self.fade, self.base, *arrays)

    def sums(
        self,
        x: Tensor,
        coefficients: Tensor,
        base_weights: Tensor,
        scale: Tensor | None,
        derivative: int,
        keep: bool = True,
    ) -> Tensor:
        """Σ_i scale_i φ_ij^(derivative)(x_i): (batch, out). `keep` where the samples lie for later calls."""
        x, coefficients, base_weights = x.contiguous(), coefficients.contiguous(), base_weights.contiguous()
        scale = None if scale is None else scale.contiguous()
        y = x.new_empty(len(x), base_weights.shape[1])
        known = self.plan is not None
        if keep and not known:
            self.plan = torch.empty(_PLAN_BYTES[x.dtype](*x.shape), dtype=torch.uint8)
        _FORWARD[x.dtype](
            *self._call(x, coefficients, base_weights),
            0 if self.plan is None else self.plan.data_ptr(),
            0 if known else x.data_ptr(),
            0 if scale is None else scale.data_ptr(),
            derivative,
            y.data_ptr(),
            torch.get_num_threads(),
        )
        return y

    def series(
        self, x: Tensor, coefficients: Tensor, base_weights: Tensor, scales: Tensor, derivatives: list[int]
    ) -> Tensor:
        """Σ_i scale_qi φ_ij^(d_q)(x_i), a row for every d_q: (rows, batch, out)."""
        x, coefficients, base_weights = x.contiguous(), coefficients.contiguous(), base_weights.contiguous()
        scales = scales.contiguous()
        y = x.new_empty(len(derivatives), len(x), base_weights.shape[1])
        call = self._call(x, coefficients, base_weights)
        _SERIES[x.dtype](*call, x.data_ptr(), derivatives, scales.data_ptr(), y.data_ptr())
        return y

    def series_pulled(
        self,
        x: Tensor,
        coefficients: Tensor,
        base_weights: Tensor,
        scales: Tensor,
        derivatives: list[int],
        gradient: Tensor,
        wanted: tuple[bool, ...],
    ) -> tuple[Tensor | None, ...]:
        """Gradients by x, coefficients, base weights and scales, each if wanted, for `gradient` (rows, batch, out)."""
        x, coefficients, base_weights = x.contiguous(), coefficients.contiguous(), base_weights.contiguous()
        scales, gradient = scales.contiguous(), gradient.contiguous()
        by_x, by_coefficients, by_base, by_scales = wanted
        by_weights = by_coefficients or by_base
        shapes = (x, by_x), (coefficients, by_weights), (base_weights, by_weights), (scales, by_scales)
        found = [torch.empty_like(tensor) if want else None for tensor, want in shapes]
        addresses = [0 if part is None else part.data_ptr() for part in found]
        _SERIES_BACKWARD[x.dtype](
            *self._call(x, coefficients, base_weights),
            x.data_ptr(),
            derivatives,
            scales.data_ptr(),
            gradient.data_ptr(),
            addresses[0],
            addresses[3],
            addresses[1],
            addresses[2],
        )
        return tuple(part if want else None for part, want in zip(found, wanted, strict=True))

    def pulled(
        self,
        x: Tensor,
        coefficients: Tensor,
        base_weights: Tensor,
        scale: Tensor | None,
        gradient: Tensor,
        derivative: int,
        wanted: tuple[bool, bool, bool, bool],
    ) -> tuple[Tensor | None, ...]:
        """Contractions of `gradient` (batch, out), each if wanted.

        Σ_j gradient_j φ_ij^(d+1)(x_i) and Σ_j gradient_j φ_ij^(d)(x_i), both (batch, in), then the gradients by the
        coefficients and base weights of the scaled sums.
        """
        coefficients, base_weights, gradient = (
            coefficients.contiguous(),
            base_weights.contiguous(),
            gradient.contiguous(),
        )
        scale = None if scale is None else scale.contiguous()
        shapes = (x.shape, x.shape, coefficients.shape, base_weights.shape)
        found = [x.new_empty(shape) if want else None for shape, want in zip(shapes, wanted, strict=True)]
        assert self.plan is not None
        _BACKWARD[x.dtype](
            *self._call(x, coefficients, base_weights),
            self.plan.data_ptr(),
            0 if scale is None else scale.data_ptr(),
            derivative,
            gradient.data_ptr(),
            *(0 if part is None else part.data_ptr() for part in found),
            torch.get_num_threads(),
        )
        return tuple(found)


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
            if wanted[at] and nodes[n][0].name() != "torch::autograd::AccumulateGrad":
                wanted[at] = torch._C._will_engine_execute_node(nodes[n][0])
    return wanted


def _times(value: Tensor | None, scale: Tensor | None) -> Tensor | None:
    return value if scale is None or value is None else scale * value


# The three products below are closed under differentiation: d/dx of each is the same product one derivative higher.


class _Sums(torch.autograd.Function):
    """Σ_i scale_i φ_ij^(d)(x_i)."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, coefficients: Tensor, base_weights: Tensor, scale: Tensor | None, layer: _Layer, d: int
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
        if not torch.is_grad_enabled() and _untransformed(gradient) and d < _HIGHEST_DERIVATIVE:
            wanted = by_x, by_scale, by_coefficients, by_base
            first, second, third, fourth = layer.pulled(x, *weights, scale, gradient, d, wanted)
            return _times(first, scale), third, fourth, second, None, None
        first = _pulls(x, gradient, weights, layer, d + 1) if by_x else None
        second = _pulls(x, gradient, weights, layer, d) if by_scale else None
        third, fourth = _collects(x, gradient, scale, weights, layer, d, by_coefficients or by_base)
        return _times(first, scale), third, fourth, second, None, None


class _Pulls(torch.autograd.Function):
    """Σ_j g_j φ_ij^(d)(x_i)."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, g: Tensor, coefficients: Tensor, base_weights: Tensor, layer: _Layer, d: int
    ) -> Tensor:
        ctx.save_for_backward(x, g, coefficients, base_weights)
        ctx.layer, ctx.d = layer, d
        # As the derivative of the one below it is found with fewer products.
        wanted, order = ((True, False, False, False), d - 1) if d else ((False, True, False, False), d)
        first, second, _, _ = layer.pulled(x, coefficients, base_weights, None, g, order, wanted)
        return first if d else second  # type: ignore[return-value]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (q,) = gradients
        x, g, coefficients, base_weights = ctx.saved_tensors
        weights = coefficients, base_weights
        by_x, by_g, by_coefficients, by_base = _wanted(ctx, 0, 1, 2, 3)
        first = q * _pulls(x, g, weights, ctx.layer, ctx.d + 1) if by_x else None
        second = _sums(x, weights, q, ctx.layer, ctx.d) if by_g else None
        third, fourth = _collects(x, g, q, weights, ctx.layer, ctx.d, by_coefficients or by_base)
        return first, second, third, fourth, None, None


class _Collects(torch.autograd.Function):
    """Σ_n scale_ni g_nj B_b^(d)(x_ni) for every coefficient, and the same for the base."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        g: Tensor,
        scale: Tensor | None,
        coefficients: Tensor,
        base_weights: Tensor,
        layer: _Layer,
        d: int,
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(x, g, scale)
        ctx.layer, ctx.d = layer, d
        _, _, first, second = layer.pulled(x, coefficients, base_weights, scale, g, d, (False, False, True, True))
        return first, second  # type: ignore[return-value]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, g, scale = ctx.saved_tensors
        weights = gradients[0], gradients[1]
        by_x, by_g, by_scale = _wanted(ctx, 0, 1, 2)
        first = _times(_pulls(x, g, weights, ctx.layer, ctx.d + 1), scale) if by_x else None
        second = _sums(x, weights, scale, ctx.layer, ctx.d) if by_g else None
        third = _pulls(x, g, weights, ctx.layer, ctx.d) if by_scale else None
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
        layer: _Layer,
        derivatives: list[int],
    ) -> Tensor:
        ctx.save_for_backward(x, coefficients, base_weights, scales, layer.knots)
        ctx.layer, ctx.derivatives = layer, derivatives
        return layer.series(x, coefficients, base_weights, scales, derivatives)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, coefficients, base_weights, scales, knots = ctx.saved_tensors
        layer, derivatives, wanted = ctx.layer, ctx.derivatives, ctx.needs_input_grad[:4]
        given = x, coefficients, base_weights, scales
        if not torch.is_grad_enabled() and _untransformed(gradients[0]):
            return *layer.series_pulled(*given, derivatives, gradients[0], wanted), None, None
        with torch.enable_grad():  # to be differentiated again: through sums that can be
            sums = x, coefficients, base_weights, knots, *layer.settings[1:]
            rows = reference.one_by_one(edge_sums, *sums, derivatives=derivatives, scales=scales)
            moving = [tensor for tensor, want in zip(given, wanted, strict=True) if want]
            slopes = iter(torch.autograd.grad(rows, moving, gradients[0], create_graph=True, allow_unused=True))
        return *(next(slopes) if want else None for want in wanted), None, None


# The same products for what comes back in a backward pass: in plain torch if that is a batched or other special tensor.


def _sums(x: Tensor, weights: Weights, scale: Tensor | None, layer: _Layer, d: int) -> Tensor:
    if _untransformed(*weights, *(() if scale is None else (scale,))):
        return _apply(_Sums, x, *weights, scale, layer, d)
    return reference.edge_sums(x, *weights, *layer.settings, d, scale)


def _pulls(x: Tensor, g: Tensor, weights: Weights, layer: _Layer, d: int) -> Tensor:
    if d > _HIGHEST_DERIVATIVE or not _untransformed(g, *weights):
        return reference.edge_pulls(x, g, *weights, *layer.settings, d)
    return _apply(_Pulls, x, g, *weights, layer, d)


def _collects(
    x: Tensor, g: Tensor, scale: Tensor | None, weights: Weights, layer: _Layer, d: int, wanted: bool
) -> tuple[Tensor | None, Tensor | None]:
    if not wanted:
        return None, None
    if not _untransformed(g, *(() if scale is None else (scale,))):
        return reference.edge_collects(x, g, scale, *layer.settings, d)
    return _apply(_Collects, x, g, scale, *(w.detach() for w in weights), layer, d)


def basis(x: Tensor, knots: Tensor, k: int, derivative: int = 0, extrapolation: str = "linear") -> Tensor:
    """All B-splines of order k, or their derivatives, at x: shape (batch, in, G + k). See `reference.basis`."""
    if not _readable(x, knots, k):
        return reference.basis(x, knots, k, derivative, extrapolation)
    reference.check_arguments(x, knots, k, derivative, extrapolation)
    if extrapolation == "error":
        _check_inside(x, knots, k)
    fade = extrapolation == "zero"
    if x.requires_grad and torch.is_grad_enabled():
        return _apply(_Basis, x, knots, k, derivative, fade)
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


def _plain(dtype: torch.dtype, *tensors: Tensor) -> bool:
    return all(
        type(t) in (Tensor, Parameter)
        and t.dtype is dtype
        and t.is_cpu
        and not t.is_neg()
        and torch._C._has_storage(t)  # batched tensors have none
        for t in tensors
    )


def _untransformed(*tensors: Tensor) -> bool:
    """Whether the C++ may read these tensors: nothing watches or transforms what is going on."""
    return (
        not torch._C._are_functorch_transforms_active()
        and not torch.compiler.is_compiling()
        and forward_ad._current_level < 0
        and torch._C._len_torch_dispatch_stack() == 0
        and torch._C._get_tracing_state() is None
        and _plain(tensors[0].dtype, *tensors)
    )


def _readable(x: Tensor, knots: Tensor, k: int) -> bool:
    """Whether the compiled kernels serve x and knots."""
    return (
        _untransformed(x)
        and x.dtype in _BASIS
        and x.dtype is knots.dtype
        and knots.is_cpu
        and k <= _compiled.HIGHEST_ORDER
        and (knots.dim() != 2 or knots.shape[1] < 2**16)  # intervals are numbered by 16 bits
    )
