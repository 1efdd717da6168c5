"""Errors of a fit against its steps, and one curve with candidate functions drawn over it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from knotwork.drawing.figure import (
    BLUE,
    GREEN,
    GREY,
    INK,
    RED,
    SHADE,
    Sheet,
    closing_fonts,
    label,
    plain_axes,
    rounded_down,
    typeset,
    typeset_function,
)
from knotwork.functions import named_function

POINTS = 400  # number of points of a curve
TICKS = 100  # number of ticks at samples


@closing_fonts()
def training_curves(
    steps: Sequence[int], errors: Mapping[str, Sequence[float | None]], grids: Sequence[int], measure: str = "RMSE"
) -> Figure:
    """Errors against step on a logarithmic scale, with a thin line where the grid changed.

    `errors` holds those of the training rows and, if there are any, of the validation rows; None where a step has none.
    `grids` holds the number of intervals at each step. `measure` is the name of the errors.
    """
    figure = Sheet(5.2, 3.2)
    axes = plain_axes(figure, left=0.9)
    if not len(steps):
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, "no steps were recorded", ha="center", transform=axes.transAxes, color=GREY)
        return figure
    axes.set(xlabel="step", ylabel=measure)
    positive = False
    for (name, losses), colour, style in zip(errors.items(), (BLUE, RED), ("-", "--"), strict=False):
        values = np.array([np.nan if v is None else v for v in losses], dtype=float)
        values[~(np.isfinite(values) & (values > 0))] = np.nan
        positive = positive or bool(np.isfinite(values).any())
        marker = "o" if np.isfinite(values).sum() == 1 else ""
        axes.plot(steps, values, color=colour, linestyle=style, linewidth=1.6, marker=marker, label=name)
    if positive:
        axes.set_yscale("log")
        axes.tick_params(axis="y", which="minor", labelsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _mark_grids(axes, steps, grids)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    return figure


def _mark_grids(axes: Axes, steps: Sequence[int], grids: Sequence[int]) -> None:
    """A vertical line and G=... where the grid changed, also for the first G. Labels that would overlap are omitted."""
    current, labelled = 0, -np.inf
    for step, grid in zip(steps, grids, strict=True):
        if grid == current or not grid:
            continue
        if current:
            axes.axvline(step, color=GREY, linewidth=0.6, zorder=0, gid="grid")
        if step - labelled >= 0.1 * (steps[-1] - steps[0]):
            labelled = step
            where = axes.get_xaxis_transform()
            axes.text(step, 1.01, f"G={grid}", transform=where, va="bottom", fontsize=8, color=GREY)
        current = grid


@closing_fonts()
def candidates_curve(
    inputs: Tensor,
    values: Tensor,
    candidates: Sequence[Any],
    name: str,
    edge: tuple[int, int, int] | None = None,
) -> Figure:
    """A curve on samples (n,) with the first three candidates drawn over it. `name` is the label of its input.

    A candidate has `function` (a name of the library), `constants` (a, b, c, d) of c·f(a·x + b) + d, and `r2`. Ticks
    at the bottom show the samples. `edge` (layer, source, target) is the index in the label of the vertical axis.
    """
    x, y = (v.detach().double().cpu().numpy() for v in (inputs, values))
    chosen = thinned(x, POINTS)
    u, values_there = x[chosen], y[chosen]
    figure = Sheet(4.2, 3.2)
    axes = plain_axes(figure, left=0.85)
    axes.plot(u, values_there, color=SHADE, linewidth=4.5, solid_capstyle="round", label="edge", gid="edge", zorder=2)
    for candidate, colour, style in zip(candidates, (RED, BLUE, GREEN), ("-", "--", ":"), strict=False):
        fitted = _values(candidate, u)
        entry = f"{typeset_function(candidate.function)[0]}   $r^2$ = {rounded_down(candidate.r2)}"
        axes.plot(u, fitted, color=colour, linestyle=style, linewidth=1.6, label=entry, gid="candidate", zorder=3)
    _keep_in_view(axes, values_there)
    ticks, bottom = x[thinned(x, TICKS)], axes.get_xaxis_transform()
    axes.vlines(ticks, 0, 0.025, transform=bottom, color=GREY, linewidth=0.5, alpha=0.6)
    label(axes.xaxis, typeset(name))
    label(axes.yaxis, (rf"$\phi_{{{','.join(map(str, edge))}}}$" if edge else r"$\phi$", True))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6))
    if len(candidates):
        axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    return figure


def thinned(x: np.ndarray, most: int) -> np.ndarray:
    """Indices of at most `most` finite values of x (n,), ascending, spread over their range with both ends."""
    order = np.argsort(x, kind="stable")  # NaN comes last
    order = order[np.isfinite(x[order])]
    if not len(order):
        return order
    targets = np.linspace(x[order[0]], x[order[-1]], most - 1)
    chosen = np.searchsorted(x[order], targets).clip(0, len(order) - 1)
    return order[np.unique(np.append(chosen, len(order) - 1))]


def _values(candidate: Any, u: np.ndarray) -> np.ndarray:
    """c·f(a·u + b) + d, nan outside the domain of f."""
    a, b, c, d = (float(v) for v in candidate.constants)
    function, inner = named_function(candidate.function), torch.from_numpy(a * u + b)
    values = (c * function.value(inner) + d).numpy()
    return np.where(np.isfinite(values) & function.in_domain(inner).numpy(), values, np.nan)


def _keep_in_view(axes: Axes, values: np.ndarray) -> None:
    """Set the limits so that the edge fills the axes, even if a poor candidate leaves them."""
    values = values[np.isfinite(values)]
    if len(values):
        room = 0.12 * np.ptp(values) or 0.1 * max(np.abs(values).max(), 1.0)
        axes.set_ylim(values.min() - room, values.max() + room)
