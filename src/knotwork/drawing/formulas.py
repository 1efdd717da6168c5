"""A formula over the rows of a table: its curve with a band, and how it depends on one input alone."""

import numpy as np
from matplotlib.figure import Figure

from knotwork.drawing.figure import BLUE, GREY, RED, Sheet, closing_fonts, label, plain_axes, typeset

Column = np.ndarray


@closing_fonts()
def curve_over_rows(
    rows: tuple[Column, Column],
    curve: tuple[Column, Column],
    names: tuple[str, str],
    band: tuple[Column, Column] | None = None,
    size: tuple[float, float] = (3.3, 2.5),
) -> Figure:
    """Rows (x, y) as points, and a curve (x, y) over them, with its band (lower, upper) if there is one.

    The axes show the rows and the curve; a band that is wider than both is cut off.
    """
    (x, y), (at, values) = rows, curve
    figure = Sheet(*size)
    axes = plain_axes(figure, left=0.75, bottom=0.55, right=0.12, top=0.28)
    axes.scatter(x, y, s=9, color=BLUE, alpha=0.55, linewidths=0, gid="points")
    finite = np.isfinite(values)
    if band is not None:
        known = finite & np.isfinite(band[0]) & np.isfinite(band[1])
        axes.fill_between(at, *band, where=known, color=GREY, alpha=0.25, linewidth=0, gid="band")
    axes.plot(at[finite], values[finite], color=RED, linewidth=1.6, gid="curve")
    shown = np.concatenate([y, values[finite]])
    low, high = float(shown.min()), float(shown.max())
    room = 0.06 * (high - low) or 0.05 * max(abs(high), 1.0)
    axes.set(ylim=(low - room, high + room))
    label(axes.xaxis, typeset(names[0]))
    label(axes.yaxis, typeset(names[1]))
    return figure
