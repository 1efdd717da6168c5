"""The C++ functions of one layer, called with tensors: shapes and addresses go in, new tensors come out.

Nothing is checked here: see `eligibility`. Nothing is differentiable here: see `autograd`.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from knotwork.kernels import _compiled, reference

Weights = tuple[Tensor, Tensor]  # coefficients and base weights
BASE_NUMBERS = {"zero": 0, "identity": 1, "silu": 2, "sine": 3}  # as in csrc/kernels.hpp


@dataclass(frozen=True, slots=True)
class Functions:
    """The functions of csrc/bindings.cpp for one dtype; their arguments are documented there."""

    basis: Callable[..., None]
    inside_grid: Callable[..., bool]
    plan_bytes: Callable[[int, int], int]
    forward: Callable[..., None]
    backward: Callable[..., None]
    series: Callable[..., None]
    series_backward: Callable[..., None]
    outputs: Callable[..., None]
    loss: Callable[..., float]
    jacobian: Callable[..., None]
    normal_equations: Callable[..., None]
    peak: Callable[[], float]

    @classmethod
    def of(cls, precision: str) -> "Functions":
        return cls(**{field.name: getattr(_compiled, f"{field.name}_{precision}") for field in fields(cls)})


FUNCTIONS = {torch.float32: Functions.of("float32"), torch.float64: Functions.of("float64")}


def basis(x: Tensor, knots: Tensor, k: int, derivative: int, fade: bool, slope: Tensor | None = None) -> Tensor:
    """The basis at x, (batch, in, G + k), and into `slope` of the same shape its first derivative."""
    (batch, n_inputs), n_knots = x.shape, knots.shape[1]
    x, knots = x.contiguous(), knots.contiguous()
    out = x.new_empty((batch, n_inputs, n_knots - k - 1))
    slopes = 0 if slope is None else slope.data_ptr()
    FUNCTIONS[x.dtype].basis(
        batch, n_inputs, n_knots, k, derivative, fade, x.data_ptr(), knots.data_ptr(), out.data_ptr(), slopes
    )
    return out


def check_inside(x: Tensor, knots: Tensor, k: int) -> None:
    """Raise SpecError if a sample lies outside its grid."""
    (batch, n_inputs), n_knots = x.shape, knots.shape[1]
    x, knots = x.contiguous(), knots.contiguous()
    if not FUNCTIONS[x.dtype].inside_grid(batch, n_inputs, n_knots, k, x.data_ptr(), knots.data_ptr()):
        reference.check_inside(x, knots, k)


class Layer:
    """What all calls for one batch share: knots, order, base, and the plan.

    The plan holds the samples and their intervals. `sums` writes it, `vjp` reads it.
    """

    def __init__(self, knots: Tensor, k: int, base: str, extrapolation: str) -> None:
        self.settings = knots, k, base, extrapolation  # as the reference takes them
        self.knots, self.k, self.base, self.fade = knots, k, BASE_NUMBERS[base], extrapolation == "zero"
        self.grid = knots.shape[1] - 2 * k - 1
        self.plan: Tensor | None = None
        self.functions = FUNCTIONS[knots.dtype]

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
        """Σ_i scale_i φ_ij^(derivative)(x_i): (batch, out). `keep` the plan for later calls."""
        x, coefficients, base_weights = x.contiguous(), coefficients.contiguous(), base_weights.contiguous()
        scale = None if scale is None else scale.contiguous()
        y = x.new_empty(len(x), base_weights.shape[1])
        known = self.plan is not None
        if keep and not known:
            self.plan = torch.empty(self.functions.plan_bytes(*x.shape), dtype=torch.uint8, device="cpu")
        self.functions.forward(
            *self._call(x, coefficients, base_weights),
            0 if self.plan is None else self.plan.data_ptr(),
            0 if known else x.data_ptr(),
            0 if scale is None else scale.data_ptr(),
            derivative,
            y.data_ptr(),
            torch.get_num_threads(),
        )
        return y

    def vjp(
        self,
        x: Tensor,
        coefficients: Tensor,
        base_weights: Tensor,
        scale: Tensor | None,
        gradient: Tensor,
        derivative: int,
        wanted: tuple[bool, bool, bool, bool],
    ) -> tuple[Tensor | None, ...]:
        """Vector-Jacobian products of `sums` with `gradient` (batch, out), each if wanted.

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
        self.functions.backward(
            *self._call(x, coefficients, base_weights),
            self.plan.data_ptr(),
            0 if scale is None else scale.data_ptr(),
            derivative,
            gradient.data_ptr(),
            *(0 if part is None else part.data_ptr() for part in found),
            torch.get_num_threads(),
        )
        return tuple(found)

    def series(
        self, x: Tensor, coefficients: Tensor, base_weights: Tensor, scales: Tensor, derivatives: list[int]
    ) -> Tensor:
        """Σ_i scale_qi φ_ij^(d_q)(x_i), a row for every d_q: (rows, batch, out)."""
        x, coefficients, base_weights = x.contiguous(), coefficients.contiguous(), base_weights.contiguous()
        scales = scales.contiguous()
        y = x.new_empty(len(derivatives), len(x), base_weights.shape[1])
        call = self._call(x, coefficients, base_weights)
        self.functions.series(*call, x.data_ptr(), derivatives, scales.data_ptr(), y.data_ptr())
        return y

    def series_vjp(
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
        self.functions.series_backward(
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
