"""Slow versions: layers and networks from their definitions by SciPy and loops; no code is shared with knotwork."""

import numpy as np
from scipy.interpolate import BSpline
from scipy.special import expit

BASES = {"silu": lambda z: z * expit(z), "identity": lambda z: z, "sine": np.sin, "zero": np.zeros_like}
NAMED = {
    "x": lambda u: u,
    "x^2": lambda u: u * u,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "gaussian": lambda u: np.exp(-u * u),
    "arctan": np.arctan,
    "sigmoid": expit,
}


def spline(x, t, c, k, extrapolation):
    """Σ_m c_m B_m(x), extrapolated outside the grid as specified."""
    low, high = t[k], t[-k - 1]
    inside = np.clip(x, low, high)
    curve = BSpline(t, c, k)
    value = curve(inside)
    if extrapolation == "linear":
        return value + (curve(inside, nu=1) * (x - inside) if k else 0.0)
    if extrapolation == "constant":
        return value
    fading = sum(
        c_m * np.nan_to_num(BSpline.basis_element(t[m : m + k + 2], extrapolate=False)(x)) for m, c_m in enumerate(c)
    )
    return np.where(x == inside, value, fading)


def edge(layer, i, j, x):
    """φ_ij of values x (n,)."""
    for (source, target, name, _), (a, b, c, d) in zip(layer.named, numbers(layer.affine), strict=True):
        if (source, target) == (i, j):
            return c * NAMED[name](a * x + b) + d
    if layer.mask[i, j] == 0:
        return np.zeros_like(x)
    t, k = numbers(layer.knots)[i], layer.k
    low, high = t[k], t[-k - 1]
    x = np.clip(x, low, high) if layer.extrapolation == "constant" else x
    base = BASES[layer.base]((2 * x - (low + high)) / (high - low))
    return numbers(layer.base_weights)[i, j] * base + spline(
        x, t, numbers(layer.coefficients)[i, :, j], k, layer.extrapolation
    )


def edges(layer, x):
    """Every edge, one at a time: (n, in) → (n, in, out)."""
    values = np.zeros((len(x), layer.in_features, layer.out_features))
    for i in range(layer.in_features):
        for j in range(layer.out_features):
            values[:, i, j] = edge(layer, i, j, x[:, i])
    return values


def forward(network, x):
    """Node by node: (n, in_features) → (n, out)."""
    spec = network.spec
    values = numbers(x)[:, list(spec.inputs)]
    for l, layer in enumerate(network.layers):
        incoming = edges(layer, values).sum(1)
        n_sums, n_products = spec.width[l + 1]
        nodes = [incoming[:, j] for j in range(n_sums)]
        for p in range(n_products):
            node = np.ones(len(values))
            for m in range(spec.arity):
                node = node * incoming[:, n_sums + spec.arity * p + m]
            nodes.append(node)
        values = np.stack(nodes, 1)
    return values


def numbers(tensor):
    return tensor.detach().double().numpy()
