"""Predictions of a network for rows of any kind, and the warning of rows beyond those of the fit."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from knotwork.data import inputs_of
from knotwork.errors import warn
from knotwork.model.network import KANNetwork
from knotwork.model.settings import MODEL

BEYOND = {
    "linear": "curves continue there as straight lines",
    "zero": "splines are zero there",
    "constant": "curves continue there as constants",
}


def predict(network: KANNetwork, X: Any) -> np.ndarray:
    """Outputs for the rows X, (n,) for one output and (n, outputs) for several; `KAN.predict` says more."""
    rows = inputs_of(X, network.structure.in_features, "this KAN", only_read=True)
    warn_of_rows_beyond(network, rows)
    values = outputs_of(network, rows).numpy()
    return values[:, 0] if values.shape[1] == 1 else values


@torch.no_grad()
def outputs_of(network: KANNetwork, rows: Tensor) -> Tensor:
    """The outputs (n, outputs) on the CPU for rows (n, in_features), computed in parts.

    Each part is contiguous, so that rounding does not depend on how the rows lie in memory.
    """
    own, size = network.layers[0].coefficients, MODEL.rows_predicted_at_once
    found = torch.empty(len(rows), sum(network.structure.width[-1]), dtype=own.dtype, device="cpu")
    for at in range(0, len(rows), size):  # small results between parts would keep their memory from reuse
        found[at : at + size] = network(rows[at : at + size].contiguous().to(own.device)).cpu()
    return found


def warn_of_rows_beyond(network: KANNetwork, rows: Tensor, names: Sequence[str] | None = None) -> None:
    """Warn once, with counts, of rows (n, in_features) outside of the grids, which cover the rows of the fit.

    A few rows that lie a little beyond a grid are no reason to warn, as rows of the same table do (`far_beyond`,
    `many_beyond`). Inputs of which all edges are named or removed have no grid, and inputs with long tails keep what
    holds at their ends. A network that was never fitted has seen no rows.
    """
    if not bool(network.fitted):
        return
    beyond, parts = torch.zeros(len(rows), dtype=torch.bool, device=rows.device), []
    for column, low, high in _grids(network):
        values, room = rows[:, column].to(torch.float64), MODEL.far_beyond * (high - low)
        outside = (values < low) | (values > high)
        far = (values < low - room) | (values > high + room)
        if bool(far.any()) or int(outside.sum()) > max(1, MODEL.many_beyond * len(rows)):
            beyond |= outside
            name = f"x_{column + 1}" if names is None else names[column]
            ends = f"{float(values.min()):.4g} to {float(values.max()):.4g}, grid {low:.4g} to {high:.4g}"
            parts.append(f"{name} in {int(outside.sum()):,} ({ends})")
    if parts:
        count, more = int(beyond.sum()), len(parts) - MODEL.columns_listed
        shown = "; ".join(parts[: MODEL.columns_listed]) + (f"; and {more} more inputs" if more > 0 else "")
        what = BEYOND.get(network.structure.extrapolation)
        lie = "rows lies" if count == 1 else "rows lie"
        warn(
            f"{count:,} of {len(rows):,} {lie} outside the grids, which cover the rows of the fit: "
            f"{shown}{f'; {what}' if what else ''}."
        )


def _grids(network: KANNetwork) -> list[tuple[int, float, float]]:
    """Column, and lowest and highest value of its grid, for each input that leads to a spline and is not held."""
    layer = network.layers[0]
    ends = layer.knots[:, [layer.k, -layer.k - 1]].cpu()
    rooms = 4 * torch.finfo(ends.dtype).eps * ends.abs().amax(1)  # for rounding to the type of the network
    goes_on = (layer.mask > 0).any(1) & ~network.held
    each = zip(network.structure.inputs, ends.tolist(), rooms.tolist(), goes_on.tolist(), strict=True)
    return [(column, low - room, high + room) for column, (low, high), room, matters in each if matters]
