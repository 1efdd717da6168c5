"""Derivatives of a network by its inputs in one forward pass: Taylor series propagated through the layers."""

from math import comb

import torch
from torch import Tensor

from knotwork.errors import SpecError
from knotwork.model.layer import KANLayer
from knotwork.model.network import KANNetwork
from knotwork.model.spec import is_whole

# Entry m holds the m-th derivatives (directions, batch, nodes) of some values; entry 0 the values (batch, nodes).
Series = list[Tensor]


def derivatives(network: KANNetwork, x: Tensor, order: int = 2, directions: Tensor | None = None) -> tuple[Tensor, ...]:
    """Outputs (batch, out) for x (batch, in_features), and their derivatives up to `order`, each (batch, in, out).

    The derivatives are those along `directions` (D, in_features) at each row, each (batch, D, out). Without directions
    they are those by every input: ∂u_o/∂x_i, ∂²u_o/∂x_i² and so on. A mixed derivative is (D²_{e+f} - D²_{e-f}) / 4
    with directions e ± f. All can be differentiated by the parameters. Raises SpecError for wrong shapes and orders.
    """
    spec = network.structure
    if not is_whole(order) or order < 1:
        raise SpecError(f"order={order!r} is not possible: it must be a whole number of at least 1.")
    rows = network.select_inputs(x)
    if rows.ndim != 2:
        raise SpecError(f"x has shape {tuple(x.shape)}: pass rows of shape (batch, {spec.in_features}).")
    if directions is None:
        directions = torch.eye(spec.in_features, device=rows.device)
    shape = tuple(directions.shape) if isinstance(directions, Tensor) else None
    if shape is None or len(shape) != 2 or shape[0] == 0 or shape[1] != spec.in_features:
        came = f"are a {type(directions).__name__}" if shape is None else f"have shape {shape}"
        raise SpecError(f"directions {came}: pass a tensor of shape (directions, {spec.in_features}).")
    directions = directions.to(rows)[:, list(spec.inputs)]
    first, *others = network.layers
    inside = _moves(network, x.to(rows)) if bool(network.held.any()) else None
    series = combined(network, 1, _from_inputs(first, rows, directions, order, inside))
    for l, layer in enumerate(others, 2):
        series = combined(network, l, _through(layer, series))
    return series[0], *(part.transpose(0, 1) for part in series[1:])


def _moves(network: KANNetwork, x: Tensor) -> Tensor:
    """1 where an input of rows x (batch, in_features) is the row's value, 0 where it is held at an end: (batch, in)."""
    low, high = network.input_limits()
    values = x[:, list(network.structure.inputs)]
    return ((values >= low) & (values <= high)).to(values)


def _from_inputs(layer: KANLayer, x: Tensor, directions: Tensor, order: int, moves: Tensor | None) -> Series:
    """Sums of the first layer, whose inputs change along straight lines, where `moves` (batch, in) is 1.

    The m-th derivative of Σ_i φ_i(x_i) is Σ_i v_i^m φ_i^(m)(x_i).
    """
    found = [layer.sums(x)]
    for m in range(1, order + 1):
        parts = []
        for v in directions:
            moving = v.nonzero().flatten().tolist()
            if len(moving) == 1:
                i = moving[0]
                scale = None if moves is None else moves[:, i : i + 1]
                parts.append(layer.sums(x[:, i : i + 1], m, scale, i) * v[i] ** m)
            else:
                scale = (v**m).expand_as(x)
                parts.append(layer.sums(x, m, scale if moves is None else scale * moves))
        found.append(torch.stack(parts))
    return found


def _through(layer: KANLayer, series: Series) -> Series:
    """Sums of a layer from the series of its inputs, by Faà di Bruno's formula.

    The n-th derivative of φ(h) is Σ_m φ^(m)(h)·B_nm, where B_nm are the Bell polynomials of the derivatives of h.
    """
    order, d = len(series) - 1, len(series[1])
    bell = bell_polynomials(series)
    terms = [(r, m) for r in range(1, order + 1) for m in range(1, r + 1)]
    scales = torch.cat([bell[r][m] for r, m in terms])
    values, *parts = layer.series(series[0], [0, *(m for _, m in terms for _ in range(d))], scales).split(
        [1, *(d * r for r in range(1, order + 1))]
    )
    return [values[0], *(part.unflatten(0, (-1, d)).sum(0) for part in parts)]


def bell_polynomials(series: Series) -> list[list[Tensor]]:
    """Partial Bell polynomials B_nm of the derivatives in `series`, entry [n][m] for 1 <= m <= n, without factorials.

    B_nm = Σ_i C(n-1, i-1)·h_i·B_(n-i)(m-1) (Comtet 1974, section 3.3); entry [n][0] is not used.
    """
    one = torch.ones_like(series[1])
    found = [[one]]
    for n in range(1, len(series)):
        row = [torch.zeros_like(one)]
        for m in range(1, n + 1):
            terms = [comb(n - 1, i - 1) * series[i] * found[n - i][m - 1] for i in range(1, n - m + 2)]
            row.append(torch.stack(terms).sum(0) if len(terms) > 1 else terms[0])
        found.append(row)
    return found


def combined(network: KANNetwork, layer: int, sums: Series) -> Series:
    """Nodes of a layer from its sums, product nodes by Leibniz' rule."""
    n_sums, n_products = network.structure.width[layer]
    if not n_products:
        return sums
    arity = network.structure.arity
    factors = [part[..., n_sums:].unflatten(-1, (n_products, arity)) for part in sums]
    product = [part[..., 0] for part in factors]
    for r in range(1, arity):
        other = [part[..., r] for part in factors]
        product = [
            sum((comb(m, i) * product[i] * other[m - i] for i in range(m + 1)), start=torch.zeros_like(product[m]))
            for m in range(len(sums))
        ]
    return [torch.cat([part[..., :n_sums], made], dim=-1) for part, made in zip(sums, product, strict=True)]
