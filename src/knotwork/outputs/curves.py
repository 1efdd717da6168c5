"""One edge with candidate functions drawn over it, and how a fit went."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from knotwork.errors import SpecError
from knotwork.formulas import Candidates
from knotwork.functions import named_function
from knotwork.model import KANNetwork, trace
from knotwork.outputs.diagram import names_of, rows_of, thinned
from knotwork.outputs.figure import (
    BLUE,
    GREEN,
    GREY,
    INK,
    RED,
    SHADE,
    Sheet,
    label,
    plain_axes,
    rounded_down,
    typeset,
    typeset_function,
)
from knotwork.training import FitResult

POINTS = 400  # of a curve
TICKS = 100  # where samples are


def training_curves(result: FitResult, measure: str = "RMSE") -> Figure:
    """Training and validation error against step, on a logarithmic scale; a thin line wherever the grid changed.

    `measure` says what the history holds: the RMSE, or the loss that was passed to the fit.
    """
    figure = Sheet(5.2, 3.2)
    axes = plain_axes(figure, left=0.9)
    if not result.history:
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, "no steps were recorded", ha="center", transform=axes.transAxes, color=GREY)
        return figure
    axes.set(xlabel="step", ylabel=measure)
    steps = np.array([record.step for record in result.history])
    shares: list[tuple[str, str, str, list[float | None]]] = [
        ("training", BLUE, "-", [record.train for record in result.history])
    ]
    if any(record.validation is not None for record in result.history):
        shares.append(("validation", RED, "--", [record.validation for record in result.history]))
    positive = False
    for name, colour, style, losses in shares:
        values = np.array([np.nan if v is None else v for v in losses], dtype=float)
        values[~(np.isfinite(values) & (values > 0))] = np.nan
        positive = positive or bool(np.isfinite(values).any())
        marker = "o" if np.isfinite(values).sum() == 1 else ""
        axes.plot(steps, values, color=colour, linestyle=style, linewidth=1.6, marker=marker, label=name)
    if positive:
        axes.set_yscale("log")
        axes.tick_params(axis="y", which="minor", labelsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _mark_grids(axes, result)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    return figure


def _mark_grids(axes: Axes, result: FitResult) -> None:
    """A vertical line and G=... where the grid changed, the first G too; labels that would overlap are omitted."""
    first, last = result.history[0].step, result.history[-1].step
    grid, labelled = 0, -np.inf
    for record in result.history:
        if record.grid == grid or not record.grid:
            continue
        if grid:
            axes.axvline(record.step, color=GREY, linewidth=0.6, zorder=0, gid="grid")
        if record.step - labelled >= 0.1 * (last - first):
            labelled = record.step
            where = axes.get_xaxis_transform()
            axes.text(record.step, 1.01, f"G={record.grid}", transform=where, va="bottom", fontsize=8, color=GREY)
        grid = record.grid


def edge_curve(
    network: KANNetwork,
    x: Tensor,
    layer: int,
    source: int,
    target: int,
    candidates: Sequence[Any] = (),
    *,
    input_names: Sequence[str] | None = None,
) -> Figure:
    """The curve of edge (layer, source, target) on the rows x, with the first three candidates drawn over it.

    A candidate has `function` (a name of the library), `constants` (a, b, c, d) of c·f(a·x + b) + d, and `r2`. Ticks
    at the bottom show where samples are. `input_names` name the original columns.

    Raises SpecError if there is no such edge or it was removed, or if names do not fit the network.
    """
    network.spec.check_edge(layer, source, target)
    x = rows_of(network, x, "edge_curve()")
    columns = names_of(input_names, network.spec.in_features, "input_names", "inputs", "x_{}")
    with torch.no_grad():
        seen = trace(network, x).layers[layer]
    if not seen.active[source, target]:
        raise SpecError(
            f"edge ({layer}, {source}, {target}) was removed from this KAN and has no curve to draw; "
            "trace(network, x).layers[layer].active says which edges are left."
        )
    inputs, values = (v.double().cpu().numpy() for v in (seen.inputs[:, source], seen.edges[:, source, target]))
    name = f"node {source} of layer {layer}" if layer else columns[network.spec.inputs[source]]
    figure = _curve(inputs, values, candidates, name, (layer, source, target))
    named = next((f for s, t, f, _ in network.layers[layer].named if (s, t) == (source, target)), None)  # type: ignore[union-attr]
    if named:
        figure.axes[0].set_title(f"named {named}", fontsize=10, color=RED, parse_math=False)
    return figure


def candidates_curve(candidates: Candidates) -> Figure:
    """The curve that candidates were fitted to, with the first three drawn over it; SpecError if it is not known."""
    if candidates.samples is None:
        raise SpecError("these candidates do not hold the curve that they were fitted to.")
    inputs, values = (v.detach().double().cpu().numpy() for v in candidates.samples)
    layer, source, _ = candidates.edge or (0, 0, 0)
    name = candidates.input_name or (f"node {source} of layer {layer}" if layer else f"x_{source + 1}")
    return _curve(inputs, values, candidates, name, candidates.edge)


def _curve(
    inputs: np.ndarray, values: np.ndarray, candidates: Sequence[Any], name: str, edge: tuple[int, int, int] | None
) -> Figure:
    """A curve on samples (n,) with the first three candidates over it, the input called `name`."""
    chosen = thinned(inputs, POINTS)
    u, values = inputs[chosen], values[chosen]
    figure = Sheet(4.2, 3.2)
    axes = plain_axes(figure, left=0.85)
    axes.plot(u, values, color=SHADE, linewidth=4.5, solid_capstyle="round", label="edge", gid="edge", zorder=2)
    for candidate, colour, style in zip(candidates, (RED, BLUE, GREEN), ("-", "--", ":"), strict=False):
        fitted = _values(candidate, u)
        entry = f"{typeset_function(candidate.function)[0]}   $r^2$ = {rounded_down(candidate.r2)}"
        axes.plot(u, fitted, color=colour, linestyle=style, linewidth=1.6, label=entry, gid="candidate", zorder=3)
    _keep_in_view(axes, values)
    ticks, bottom = inputs[thinned(inputs, TICKS)], axes.get_xaxis_transform()
    axes.vlines(ticks, 0, 0.025, transform=bottom, color=GREY, linewidth=0.5, alpha=0.6)
    label(axes.xaxis, typeset(name))
    label(axes.yaxis, (rf"$\phi_{{{','.join(map(str, edge))}}}$" if edge else r"$\phi$", True))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6))
    if len(candidates):
        axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    return figure


def _values(candidate: Any, u: np.ndarray) -> np.ndarray:
    """c·f(a·u + b) + d, nan outside the domain of f."""
    a, b, c, d = (float(v) for v in candidate.constants)
    function, inner = named_function(candidate.function), torch.from_numpy(a * u + b)
    values = (c * function.value(inner) + d).numpy()
    return np.where(np.isfinite(values) & function.in_domain(inner).numpy(), values, np.nan)


def _keep_in_view(axes: Axes, values: np.ndarray) -> None:
    """The edge fills the axes, wherever a poor candidate runs off to."""
    values = values[np.isfinite(values)]
    if len(values):
        room = 0.12 * np.ptp(values) or 0.1 * max(np.abs(values).max(), 1.0)
        axes.set_ylim(values.min() - room, values.max() + room)
