"""Fields over one or two coordinates, such as a solution, its error, and the residual of the equation."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from knotwork.drawing.figure import BLUE, GREY, INK, Sheet, closing_fonts, label, plain_axes, typeset, write
from knotwork.errors import DataError

WIDTH, HEIGHT, BAR = 3.5, 3.0, 0.12  # width and height of a panel, width of its colour bar, in inches
FEW, FAR = 0.005, 3.0  # largest share of outliers, and how many times the range of the others they exceed
SIGNED = 0.05  # share of the largest value that the other sign must reach for a scale around zero


@closing_fonts()
def field_maps(coordinates: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]) -> Figure:
    """One panel for each field, side by side: curves over one coordinate, or maps over two with a colour bar.

    `coordinates` maps names to values along each axis, and `fields` titles to values at all combinations of these, (n,)
    or (n, m). Fields of both signs have colours around zero. Where a few values are far beyond all others, such as
    residuals in a corner, the colour scale excludes them and the colour bar is pointed. Raises DataError for other
    shapes.
    """
    axes_values = list(coordinates.values())
    shape = tuple(len(values) for values in axes_values)
    if len(shape) not in (1, 2) or not fields:
        raise DataError(
            f"maps are drawn of one or more fields over 1 or 2 coordinates, not {len(fields)} over {len(shape)}."
        )
    figure = Sheet(WIDTH * len(fields), HEIGHT)
    names = list(coordinates)
    for number, (title, values) in enumerate(fields.items()):
        if values.shape != shape:
            raise DataError(f"field {title!r} has shape {values.shape}, but its coordinates make {shape}.")
        left, right = WIDTH * number + 0.7, WIDTH * (len(fields) - 1 - number) + (0.95 if len(shape) == 2 else 0.2)
        axes = plain_axes(figure, left=left, bottom=0.6, right=right, top=0.5)
        label(axes.xaxis, typeset(names[0]))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(5))
        write(axes, 0.0, 1.1, typeset(title), 11.0, transform=axes.transAxes, va="bottom")
        if len(shape) == 1:
            axes.plot(axes_values[0], values, color=BLUE, linewidth=1.4)
        else:
            label(axes.yaxis, typeset(names[1]))
            _map(figure, axes, axes_values[0], axes_values[1], values)
    return figure


def _ends(values: np.ndarray) -> tuple[float, float]:
    """Smallest and largest of the values, or of all except a few that are far away."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    least, greatest = (float(v) for v in np.nanquantile(values, (FEW, 1 - FEW)))
    size = FAR * (greatest - least)
    return (least if low < least - size else low), (greatest if high > greatest + size else high)


def _map(figure: Figure, axes: Axes, x: np.ndarray, y: np.ndarray, values: np.ndarray) -> None:
    low, high = _ends(values)
    most = max(abs(low), abs(high))
    signed = min(-low, high) > SIGNED * most
    colours: dict[str, Any] = {"cmap": "RdBu_r", "vmin": -most, "vmax": most}
    if not signed:
        colours = {"cmap": "viridis", "vmin": low, "vmax": high}
    beyond = bool(np.nanmin(values) < colours["vmin"]), bool(np.nanmax(values) > colours["vmax"])
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get(beyond, "neither")
    drawn = axes.pcolormesh(x, y, values.T, shading="gouraud", rasterized=True, **colours)
    box, width = axes.get_position(), figure.get_size_inches()[0]
    bar_axes = figure.add_axes((box.x1 + 0.1 / width, box.y0, BAR / width, box.height))
    bar = figure.colorbar(drawn, cax=bar_axes, extend=extend, extendfrac=0.03)
    bar.outline.set(edgecolor=GREY, linewidth=0.8)  # type: ignore[operator]
    bar.formatter.set_powerlimits((-3, 3))  # type: ignore[attr-defined]
    bar_axes.tick_params(colors=GREY, labelcolor=INK, labelsize=8)
    bar_axes.yaxis.get_offset_text().set(fontsize=8, ha="left")
