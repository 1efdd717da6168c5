"""Predictions against true values."""

import numpy as np
import torch
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from knotwork.drawing.figure import BLUE, GREY, INK, Sheet, closing_fonts, label, plain_axes, rounded_down, typeset
from knotwork.errors import DataError
from knotwork.sizes import deviation, root_mean_square

CROWD = 2000  # number of points above which their density is drawn
DENSITY = LinearSegmentedColormap.from_list("density", [to_rgba(BLUE, 0.15), to_rgba(BLUE, 1.0)])  # for any background


@closing_fonts()
def predicted_vs_true(y_true: object, y_pred: object, name: str) -> Figure:
    """Predictions of the target called `name` against its true values, (n,) or (n, 1), with the diagonal, r² and RMSE.

    More than 2,000 points are shown as the density of points in hexagons.

    Raises DataError where the lengths differ, there are no values, or some are not finite.
    """
    true, predicted = _column(y_true, "y_true"), _column(y_pred, "y_pred")
    if len(true) != len(predicted):
        raise DataError(
            f"y_true has {len(true)} values but y_pred has {len(predicted)}; pass predictions of the same rows."
        )
    if not len(true):
        raise DataError("y_true and y_pred have no values to draw; pass at least one row.")
    figure = Sheet(3.6, 3.6)
    axes = plain_axes(figure, left=0.7, bottom=0.6, right=0.2, top=0.3)
    low, high = min(true.min(), predicted.min()), max(true.max(), predicted.max())
    room = 0.05 * (high - low) or 0.05 * max(abs(high), 1.0)
    low, high = low - room, high + room
    crowded = len(true) > CROWD
    if crowded:
        shading = {"bins": "log", "cmap": DENSITY, "vmin": 0.3, "mincnt": 1, "linewidths": 0.1}
        axes.hexbin(true, predicted, gridsize=55, extent=(low, high, low, high), **shading)
    else:
        opacity = 0.9 if len(true) < 100 else 0.45
        axes.scatter(true, predicted, s=14, color=BLUE, alpha=opacity, linewidths=0, gid="points")
    axes.plot([low, high], [low, high], color=GREY, linewidth=0.8, zorder=3 if crowded else 0, gid="diagonal")
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    text, mathematics = typeset(name)
    for axis, kind in ((axes.xaxis, "true"), (axes.yaxis, "predicted")):
        label(axis, (text, mathematics), f" {kind}" if mathematics else f", {kind}")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))
    axes.text(0.04, 0.96, _summary(true, predicted), transform=axes.transAxes, va="top", fontsize=9, color=INK)
    return figure


def _column(values: object, argument: str) -> np.ndarray:
    array = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise DataError(
            f"{argument} must be one column of values, but has shape {array.shape}; pick one output, as in y[:, 0]."
        )
    array = array.astype(float)
    wrong = int((~np.isfinite(array)).sum())
    if wrong:
        raise DataError(f"{argument} has {wrong} values that are not finite numbers; drop those rows first.")
    return array


def _summary(true: np.ndarray, predicted: np.ndarray) -> str:
    error = float(root_mean_square(torch.from_numpy(predicted - true)))
    spread = float(deviation(torch.from_numpy(true)))
    explained = rounded_down(1 - error / spread * (error / spread)) if spread > 0 else None
    r2 = f"$r^2$ = {explained}" if explained else "$r^2$ undefined: the true values are all equal"
    return f"{r2}\nRMSE = {error:.3g}"
