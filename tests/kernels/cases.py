"""Knots and samples with the values of SciPy and SymPy, for the tests of all kernels."""

from functools import cache

import numpy as np
import pytest
import sympy
import torch
from scipy.interpolate import BSpline

DTYPES = [pytest.param(torch.float32, id="f32"), pytest.param(torch.float64, id="f64")]
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
BOUND = {torch.float32: 5e-6, torch.float64: 1e-13}  # largest allowed error of sums, relative to the largest sum

Z = sympy.Symbol("z")
BASES = {"silu": Z / (1 + sympy.exp(-Z)), "identity": Z, "sine": sympy.sin(Z), "zero": sympy.Integer(0)}


def make_knots(k, grid=5, inputs=3, spacing="uneven", dtype=torch.float64, seed=0):
    """Knots of `inputs` inputs with `grid` intervals on [-1, 1]; "uneven" intervals differ by up to a factor 4."""
    rng = np.random.default_rng(seed)
    steps = np.ones((inputs, grid + 2 * k)) if spacing == "even" else rng.uniform(0.5, 2.0, (inputs, grid + 2 * k))
    ends = np.concatenate([np.zeros((inputs, 1)), steps.cumsum(1)], 1)
    low, high = ends[:, k : k + 1], ends[:, grid + k : grid + k + 1]
    return torch.tensor(2 * (ends - low) / (high - low) - 1, dtype=dtype)


def make_samples(knots, k, outside, seed=0):
    """Random samples, every knot and its neighbours; with `outside` also far samples, else only samples in the grid."""
    rng = np.random.default_rng(seed)
    low, high = knots[:, k], knots[:, -k - 1]
    random = torch.tensor(rng.uniform(-1.9, 1.9, (40, len(knots))), dtype=knots.dtype)
    infinity = torch.full_like(knots.T, torch.inf)
    x = torch.cat([random, knots.T, knots.T.nextafter(infinity), knots.T.nextafter(-infinity)])
    if outside:
        far = torch.tensor([-1e4, -3.0, 3.0, 1e4], dtype=x.dtype)[:, None].expand(-1, len(knots))
        return torch.cat([x, far])
    return x.clamp(low, high)


def normal(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def make_case(batch, n_in, n_out, grid, k, dtype, scaled=True, spacing="uneven"):
    """Knots, (x, coefficients, base weights, scale) and a gradient, x reaching beyond the grid."""
    x = torch.rand(batch, n_in, generator=torch.Generator().manual_seed(batch), dtype=torch.float64) * 2.6 - 1.3
    tensors = (
        x.to(dtype),
        normal(n_in, grid + k, n_out, dtype=dtype, seed=1),
        normal(n_in, n_out, dtype=dtype, seed=2),
        normal(batch, n_in, dtype=dtype, seed=3) if scaled else None,
    )
    return make_knots(k, grid, n_in, spacing, dtype), tensors, normal(batch, n_out, dtype=dtype, seed=4)


def scipy_basis(x, knots, k, derivative, extrapolation):
    """The definition in float64 by SciPy, one input at a time."""
    columns = [
        _scipy_column(x_i, t, k, derivative, extrapolation)
        for x_i, t in zip(x.double().numpy().T, knots.double().numpy(), strict=True)
    ]
    return torch.tensor(np.stack(columns, 1))


def _scipy_column(x, t, k, derivative, extrapolation):
    def evaluate(t, x, nu):
        n = len(t) - k - 1
        return np.zeros((len(x), n)) if nu > k else BSpline(t, np.eye(n), k)(x, nu=nu)

    if extrapolation == "zero":
        steps = np.arange(1, k + 1)
        more = np.concatenate([t[0] - steps[::-1] * (t[1] - t[0]), t, t[-1] + steps * (t[-1] - t[-2])])
        covered = (t[0] <= x) & (x <= t[-1])
        return covered[:, None] * evaluate(more, np.clip(x, t[0], t[-1]), derivative)[:, k : len(more) - 2 * k - 1]
    inside = np.clip(x, t[k], t[-k - 1])
    values = evaluate(t, inside, derivative)
    if extrapolation == "constant":
        return values if derivative == 0 else (x == inside)[:, None] * values
    if derivative == 0:
        return values + (x - inside)[:, None] * evaluate(t, inside, 1)
    return values if derivative == 1 else (x == inside)[:, None] * values


@cache
def base_derivative(base, order, modules):
    """The derivative of a base function by SymPy, for "numpy" or to any precision for "mpmath"."""
    return sympy.lambdify(Z, sympy.diff(BASES[base], Z, order), modules)


def sympy_base(x, knots, k, base, derivative, extrapolation="linear"):
    """Derivatives by x of b((x - centre) / half the length of the grid) in float64, in the shape of x."""
    x, low, high = x.double(), knots[:, k].double(), knots[:, -k - 1].double()
    if extrapolation == "constant":
        inside = torch.minimum(torch.maximum(x, low), high)
        values = sympy_base(inside, knots, k, base, derivative)
        return values if derivative == 0 else torch.where(x == inside, values, 0.0)
    half = (high - low) / 2
    values = base_derivative(base, derivative, "numpy")(((x - (low + high) / 2) / half).numpy())
    return torch.as_tensor(values).expand(x.shape) / half**derivative


def twin(x, coefficients, base_weights, knots, k, base, extrapolation, derivative, scale, gradient):
    """`edge_sums` and the gradients of (sums * gradient).sum(), from their definitions in float64."""
    coefficients, base_weights, gradient = coefficients.double(), base_weights.double(), gradient.double()
    factor = torch.ones_like(x).double() if scale is None else scale.double()
    flat = coefficients.flatten(0, 1)
    (splines, base_values), (slopes, base_slopes) = (
        (scipy_basis(x, knots, k, d, extrapolation), sympy_base(x, knots, k, base, d, extrapolation))
        for d in (derivative, derivative + 1)
    )
    by_spline, by_base = (gradient @ flat.T).reshape(splines.shape), gradient @ base_weights.T
    scaled, base_scaled = (splines * factor.unsqueeze(-1)).flatten(1), base_values * factor
    return {
        "sums": scaled @ flat + base_scaled @ base_weights,
        "by x": factor * ((slopes * by_spline).sum(-1) + base_slopes * by_base),
        "by coefficients": (scaled.T @ gradient).reshape(coefficients.shape),
        "by base weights": base_scaled.T @ gradient,
        "by scale": (splines * by_spline).sum(-1) + base_values * by_base,
    }


def relative_error(actual, expected):
    """The largest difference as a share of the largest value."""
    return (actual.double() - expected).abs().max() / expected.abs().max().clamp_min(torch.finfo(torch.float32).tiny)
