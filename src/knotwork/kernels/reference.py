"""KAN layers in plain torch: the readable definition that every faster kernel is tested against.

Runs on any device and under autograd, `torch.func` and `torch.compile`. Only the k + 1 functions that are
non-zero at a sample are computed (local Cox-de Boor recursion, de Boor 1978, chapter X).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from knotwork.errors import SpecError

EXTRAPOLATIONS = ("linear", "constant", "zero", "error")


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
    """The output of a layer, or a derivative: Σ_i scale_i φ_ij^(derivative)(x_i), shape (batch, out) (eq. 2.5, 2.10).

    φ_ij is the spline with coefficients [i, :, j] plus base_weights[i, j] times the base function of x_i measured in
    its grid. Differentiable by everything but the knots, any number of times.

    Args:
        x: Samples, (batch, in).
        coefficients: Spline coefficients, (in, G + k, out).
        base_weights: Weights of the base function, (in, out).
        knots: Knots of every input, (in, G + 2k + 1), increasing along the last axis.
        k: Order of the splines, from 0.
        base: Base function: "silu", "identity", "sine" or "zero".
        extrapolation: Outside the grid: "linear", "constant", "zero" or "error", as in `basis`. With "constant" the
            base function is constant there too.
        derivative: Order of the derivative by x, from 0.
        scale: Factors, (batch, in); None stands for 1.

    Raises:
        SpecError: Shapes do not fit together, or with "error" a sample lies outside its grid.

    Example:
        >>> import torch
        >>> from knotwork.kernels import edge_sums
        >>> knots = torch.linspace(-4, 4, 9).double()[None]  # one input, cubic splines on [-1, 1], G = 2
        >>> ones, none = torch.ones(1, 5, 1).double(), torch.zeros(1, 1).double()
        >>> edge_sums(torch.tensor([[0.5]]).double(), ones, none, knots, 3)  # the basis sums to one
        tensor([[1.]], dtype=torch.float64)
    """
    check_arguments(x, knots, k, derivative, extrapolation)
    check_layer(x, coefficients, base_weights, knots, k, scale)
    if extrapolation == "constant":
        x, scale = held(x, knots, k, derivative, scale)
    with torch.autocast(x.device.type, enabled=False):  # a half-precision sum of splines would be worthless
        splines = basis(x, knots, k, derivative, "linear" if extrapolation == "constant" else extrapolation)
        values = base_values(x, knots, k, base, derivative)
        if scale is not None:
            splines, values = splines * scale.unsqueeze(-1), values * scale
        return _rows(splines) @ _columns(coefficients) + values @ base_weights


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
    """`edge_sums` of several derivatives at the same x, (rows, batch, out), one row a derivative.

    `scales` (rows - 1, batch, in) are those of all but the first, which has none.
    """
    return one_by_one(
        edge_sums, x, coefficients, base_weights, knots, k, base, extrapolation, derivatives=derivatives, scales=scales
    )


def one_by_one(sums: Callable[..., Tensor], *layer: Any, derivatives: Sequence[int], scales: Tensor) -> Tensor:
    """The rows of `edge_series` by one call of `edge_sums` each."""
    return torch.stack([sums(*layer, d, scale) for d, scale in zip(derivatives, (None, *scales), strict=True)])


def scale_vjp(
    x: Tensor,
    gradient: Tensor,
    coefficients: Tensor,
    base_weights: Tensor,
    knots: Tensor,
    k: int,
    base: str = "silu",
    extrapolation: str = "linear",
    derivative: int = 0,
) -> Tensor:
    """Vector-Jacobian product of `edge_sums` by its scale, Σ_j gradient_j φ_ij^(derivative)(x_i): (batch, in)."""
    splines = basis(x, knots, k, derivative, extrapolation)
    values = base_values(x, knots, k, base, derivative)
    by_function = (gradient @ _columns(coefficients).T).reshape(splines.shape)
    return (splines * by_function).sum(-1) + values * (gradient @ base_weights.T)


def weights_vjp(
    x: Tensor,
    gradient: Tensor,
    scale: Tensor | None,
    knots: Tensor,
    k: int,
    base: str = "silu",
    extrapolation: str = "linear",
    derivative: int = 0,
) -> tuple[Tensor, Tensor]:
    """Vector-Jacobian products of `edge_sums` by coefficients (in, G + k, out) and by base weights (in, out)."""
    splines = basis(x, knots, k, derivative, extrapolation)
    values = base_values(x, knots, k, base, derivative)
    if scale is not None:
        splines, values = splines * scale.unsqueeze(-1), values * scale
    return (_rows(splines).T @ gradient).reshape(*splines.shape[1:], gradient.shape[-1]), values.T @ gradient


def _columns(coefficients: Tensor) -> Tensor:
    """(in, basis, out) → (in · basis, out), also for nothing in or out."""
    return coefficients.reshape(coefficients.shape[0] * coefficients.shape[1], coefficients.shape[2])


def _rows(splines: Tensor) -> Tensor:
    """(batch, in, basis) → (batch, in · basis), also for an empty batch."""
    return splines.reshape(splines.shape[0], splines.shape[1] * splines.shape[2])


def held(
    x: Tensor, knots: Tensor, k: int, derivative: int = 0, scale: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """x, or the nearest end of its grid, and the scale that makes derivatives zero outside: "constant" extrapolation.

    Curves at the first, times the second, are those that keep the value at the ends of their grids.
    """
    low, high = knots[:, k].detach().to(x.dtype), knots[:, -k - 1].detach().to(x.dtype)
    if derivative:
        outside = (x < low) | (x > high)
        scale = torch.where(outside, 0.0, torch.ones_like(x) if scale is None else scale)
    return torch.where(x < low, low, torch.where(x > high, high, x)), scale


def base_values(
    x: Tensor, knots: Tensor, k: int, base: str = "silu", derivative: int = 0, extrapolation: str = "linear"
) -> Tensor:
    """Derivatives by x of b(z), z being x measured in its grid, -1 at its first point and 1 at its last.

    With "constant" extrapolation b keeps its value at the ends of the grid; all others change nothing.
    """
    knots = knots.detach()
    if extrapolation == "constant":
        x, scale = held(x, knots, k, derivative)
        values = base_values(x, knots, k, base, derivative)
        return values if scale is None else values * scale
    low, high = knots[:, k], knots[:, -k - 1]
    scale = 2 / (high - low)
    return BASES[base]((x - (low + high) / 2) * scale, derivative) * scale**derivative


def _silu(z: Tensor, derivative: int) -> Tensor:
    """Derivatives of z·s(z), s the logistic function: n s⁽ⁿ⁻¹⁾ + z s⁽ⁿ⁾."""
    if derivative == 0:
        return torch.nn.functional.silu(z)
    return derivative * _logistic(z, derivative - 1) + z * _logistic(z, derivative)


def _logistic(z: Tensor, derivative: int) -> Tensor:
    """Derivatives of s(z) = 1 / (1 + e⁻ᶻ) as polynomials in w = s(z) s(-z), where nothing cancels.

    Even derivatives have a factor t = s(-z) - s(z): s' = w, w' = w t, t' = -2 w and t² = 1 - 4 w.
    """
    s, other = torch.sigmoid(z), torch.sigmoid(-z)
    if derivative == 0:
        return s
    powers = [0, 1]  # coefficients by powers of w
    for n in range(1, derivative):
        slopes = [power * c for power, c in enumerate(powers)]  # w p'(w)
        if n % 2:  # p, differentiated: t w p'
            powers = slopes
        else:  # t p: -2 w p + (1 - 4 w) w p'
            powers = [a - 4 * b - 2 * c for a, b, c in zip([*slopes, 0], [0, *slopes], [0, *powers], strict=True)]
    w, total = s * other, torch.zeros_like(z)
    for c in reversed(powers):
        total = total * w + c
    return total if derivative % 2 else total * (other - s)


def _identity(z: Tensor, derivative: int) -> Tensor:
    return (z, torch.ones_like(z), torch.zeros_like(z))[min(derivative, 2)]


def _sine(z: Tensor, derivative: int) -> Tensor:
    return (-1.0) ** (derivative // 2) * (torch.cos(z) if derivative % 2 else torch.sin(z))


BASES: Mapping[str, Callable[[Tensor, int], Tensor]] = {
    "silu": _silu,
    "identity": _identity,
    "sine": _sine,
    "zero": lambda z, derivative: torch.zeros_like(z),
}


def basis(x: Tensor, knots: Tensor, k: int, derivative: int = 0, extrapolation: str = "linear") -> Tensor:
    """All B-splines of order k, or their derivatives, at x: shape (batch, in, G + k) (eq. 2.12).

    The grid of an input is [knots[k], knots[-k-1]]. A sample on an inner knot belongs to the interval at its right, one
    on the last knot of the grid to the last interval. Derivatives of order above k are zero. A NaN sample gives NaN in
    all its functions. Differentiable in x to any order; the knots are constants.

    Args:
        x: Samples, (batch, in).
        knots: Knots of every input, (in, G + 2k + 1), increasing along the last axis.
        k: Order of the splines, from 0.
        derivative: Order of the derivative by x, from 0.
        extrapolation: Outside the grid, "linear" continues value and slope (C1), "constant" keeps the value at its end.
            "zero" evaluates the functions on the extended knots, where they fade to zero within k intervals, as in the
            paper. "error" raises SpecError; it reads the values, so it cannot run under vmap or in a compiled graph.

    Raises:
        SpecError: Shapes do not fit together, or with "error" a sample lies outside its grid.

    Example:
        >>> import torch
        >>> from knotwork.kernels import basis
        >>> knots = torch.tensor([[-1.0, 0.0, 1.0, 2.0]]).double()  # straight lines on [0, 1], G = 1
        >>> basis(torch.tensor([[0.25]]).double(), knots, k=1)
        tensor([[[0.7500, 0.2500]]], dtype=torch.float64)
    """
    check_arguments(x, knots, k, derivative, extrapolation)
    if extrapolation == "constant":
        return held_basis(basis, x, knots, k, derivative)
    knots = knots.detach()
    n_knots = knots.shape[1]
    if extrapolation == "error":
        check_inside(x, knots, k)
    first = 0 if extrapolation == "zero" else k
    last = n_knots - 2 - first
    low, high = knots[:, first], knots[:, last + 1]
    inside = torch.where(x < low, low, torch.where(x > high, high, x))
    interval = ((inside.unsqueeze(-1) >= knots).sum(-1) - 1).clamp(first, last)
    values = _local(inside, knots, interval, k, derivative)
    if extrapolation == "zero" or derivative > 1:
        values = torch.where(((x < low) | (x > high)).unsqueeze(-1), 0.0, values)
    elif derivative == 0:
        values = values + (x - inside).unsqueeze(-1) * _local(inside, knots, interval, k, 1)
    # Functions numbered below 0 or above G + k - 1 exist only on the padding: they are cut off again.
    places = interval.unsqueeze(-1) + torch.arange(k + 1, device=x.device)
    padded = torch.zeros(*x.shape, n_knots - 1 + k, dtype=values.dtype, device=x.device)
    dense = padded.scatter(-1, places, values)[..., k : n_knots - 1]
    return torch.where(x.isnan().unsqueeze(-1), x.unsqueeze(-1), dense)


def held_basis(basis: Callable[..., Tensor], x: Tensor, knots: Tensor, k: int, derivative: int) -> Tensor:
    """`basis` with "constant" extrapolation, from one that needs none."""
    x, scale = held(x, knots, k, derivative)
    values = basis(x, knots, k, derivative)
    return values if scale is None else values * scale.unsqueeze(-1)


def basis_with_slope(x: Tensor, knots: Tensor, k: int, extrapolation: str = "linear") -> tuple[Tensor, Tensor]:
    """`basis` and its first derivative at x, each of shape (batch, in, G + k).

    For solvers that compute their own derivatives: the result of the compiled kernel has no gradient.
    """
    return basis(x, knots, k, 0, extrapolation), basis(x, knots, k, 1, extrapolation)


@dataclass(frozen=True)
class LayerArrays:
    """One layer of a network, as the calls for whole networks take it; shapes as in `edge_sums`."""

    coefficients: Tensor
    base_weights: Tensor
    knots: Tensor
    k: int
    base: str
    extrapolation: str
    sums: int  # sum nodes behind the layer; they come first
    products: int  # product nodes behind it, of `arity` sums each


class Network(Protocol):
    """A whole network of splines in one compiled call.

    Derivatives are by all P parameters in one row: for each layer the coefficients [in, G + k, out], then the base
    weights [in, out]. The results have no gradients.
    """

    size: int  # P, the number of parameters

    def values(self, x: Tensor) -> Tensor:
        """Outputs (batch, out)."""
        ...

    def sums(self, x: Tensor) -> list[Tensor]:
        """The sums of every layer, (batch, sums) each."""
        ...

    def loss(self, x: Tensor, y: Tensor, gradient: bool = True) -> tuple[float, Tensor]:
        """Mean squared error of the outputs for x (batch, in) against y (batch, out), and its gradient (P,) or (0,)."""
        ...

    def jacobian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (batch, out) and their derivatives (batch, out, P)."""
        ...

    def normal_equations(self, x: Tensor, residuals: Tensor, directions: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """JᵀJ (P, P) and Jᵀr (P,) for residuals r (batch, R) whose derivatives by the outputs are `directions`.

        These have shape (batch, R, out). Without them there is one residual for each output, with derivative one. J is
        never held as a whole.
        """
        ...


def network(layers: Sequence[LayerArrays], arity: int) -> Network | None:
    """None: only the compiled kernels compute whole networks in one call. The slow twin is `knotwork.model.sweep`."""


def fma_peak(dtype: torch.dtype = torch.float32) -> float:
    """NaN: not measured in plain torch. (The compiled kernels measure the GFLOP/s of one thread's multiply-adds.)"""
    return float("nan")


def check_arguments(x: Tensor, knots: Tensor, k: int, derivative: int, extrapolation: str) -> None:
    """Raise SpecError unless shapes, orders and the name of the extrapolation fit together."""
    if extrapolation not in EXTRAPOLATIONS:
        raise SpecError(f"extrapolation is {extrapolation!r}. Use one of {', '.join(map(repr, EXTRAPOLATIONS))}.")
    if k < 0 or derivative < 0:
        raise SpecError(f"order k = {k} and derivative = {derivative} must both be 0 or more.")
    if x.ndim != 2 or knots.ndim != 2 or x.shape[1] != knots.shape[0]:
        raise SpecError(
            f"x has shape {tuple(x.shape)} and knots {tuple(knots.shape)}. "
            "Pass x of shape (batch, in) and knots of shape (in, G + 2k + 1)."
        )
    if knots.shape[1] < 2 * k + 2:
        raise SpecError(f"{knots.shape[1]} knots an input are too few for order {k}: pass at least {2 * k + 2}.")


def check_layer(
    x: Tensor, coefficients: Tensor, base_weights: Tensor, knots: Tensor, k: int, scale: Tensor | None = None
) -> None:
    """Raise SpecError unless the arrays of a layer fit together and take x."""
    functions = knots.shape[1] - k - 1
    outputs = base_weights.shape[-1] if base_weights.ndim else 0
    if coefficients.shape != (knots.shape[0], functions, outputs) or base_weights.shape != (knots.shape[0], outputs):
        raise SpecError(
            f"coefficients have shape {tuple(coefficients.shape)} and base_weights {tuple(base_weights.shape)}, but "
            f"knots {tuple(knots.shape)} of order {k} go with ({knots.shape[0]}, {functions}, out) "
            f"and ({knots.shape[0]}, out)."
        )
    if scale is not None and scale.shape != x.shape:
        raise SpecError(f"scale has shape {tuple(scale.shape)} and x {tuple(x.shape)}: they must be the same.")


def check_inside(x: Tensor, knots: Tensor, k: int) -> None:
    """Raise SpecError if a sample lies outside its grid (the "error" extrapolation)."""
    low, high = knots[:, k], knots[:, -k - 1]
    outside = (x < low) | (x > high)
    if bool(outside.any()):
        row, column = (int(v) for v in outside.nonzero()[0])
        raise SpecError(
            f"input {column} is {float(x[row, column]):.6g} in row {row}, outside its grid "
            f"[{float(low[column]):.6g}, {float(high[column]):.6g}]. Use extrapolation='linear', or a wider grid_range."
        )


def _local(x: Tensor, knots: Tensor, interval: Tensor, k: int, derivative: int) -> Tensor:
    """Values at x of the functions numbered interval - k ... interval: shape (batch, in, k + 1)."""
    if derivative > k:
        return torch.zeros(*x.shape, k + 1, dtype=x.dtype, device=x.device)
    # around[..., j] is knot number interval - k + 1 + j. Beyond the ends any knot that leaves no interval empty serves,
    # since only functions that are cut off use it.
    numbers = interval.unsqueeze(-1) + torch.arange(1 - k, k + 1, device=x.device)
    rows = torch.arange(knots.shape[0], device=x.device).view(1, -1, 1)
    around = knots[rows, numbers.clamp(0, knots.shape[1] - 1)]
    values = torch.ones(*x.shape, 1, dtype=x.dtype, device=x.device)
    for p in range(1, k + 1):
        low, high = around[..., k - p : k], around[..., k : k + p]
        share = values / (high - low)
        if p <= k - derivative:  # raise the order by one
            from_left, from_right = (high - x.unsqueeze(-1)) * share, (x.unsqueeze(-1) - low) * share
        else:  # differentiate: B'_p = p (B_{p-1} / h - next / h)
            from_left, from_right = -p * share, p * share
        values = torch.nn.functional.pad(from_left, (0, 1)) + torch.nn.functional.pad(from_right, (1, 0))
    return values
