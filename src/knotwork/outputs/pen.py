"""The parts of a diagram, drawn on axes in inches."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_rgba

from knotwork.drawing.figure import GREY, INK, PALE, PAPER, RED, text_width, typeset, write
from knotwork.outputs.layout import MARGIN, ONE_ROW, ROOM, WIDEST, Array, Layout

INSIDE = 0.8  # share of the frame that its curve fills
NAME_SIZE = 10.5
UPRIGHT_SIZES = (5.0, 9.0)


@dataclass(frozen=True)
class Edges:
    """The active edges of one layer, from left to right.

    Attributes:
        ends: places (n, 2) of the node and of the sum that an edge leads from and to.
        opacity, scores: of each edge (n,).
        captions: typeset names of the functions of named edges; None for others.
        pairs: numbers (n, 2) of node and sum.
        signs: what inputs and values are multiplied by, (n, 2).
        bare: whether an edge is drawn as a line alone, (n,), as the one before it shows the curve of both.
        through: the sum that such a curve of two edges leads to, (n,); -1 for curves of one edge.
    """

    ends: Array
    opacity: Array
    scores: Array
    captions: tuple[tuple[str, bool] | None, ...]
    pairs: Array
    signs: Array
    bare: Array
    through: Array

    def colours(self, named: str = RED) -> list[tuple[float, float, float, float]]:
        """One colour for each edge, with its opacity."""
        return [to_rgba(named if f else INK, a) for f, a in zip(self.captions, self.opacity, strict=True)]


@dataclass(frozen=True)
class Names:
    """The names of the inputs or of the outputs: side by side if they fit the page, else vertical."""

    names: list[str]

    @cached_property
    def _longest(self) -> float:
        return max(text_width(typeset(name), NAME_SIZE) for name in self.names)

    @property
    def _room(self) -> float:
        return len(self.names) * (self._longest + 0.14) + 2 * MARGIN

    @property
    def upright(self) -> bool:
        """Whether the names are vertical."""
        return self._room > WIDEST

    @property
    def size(self) -> float:
        """Font size in points."""
        return float(np.clip(72 * 0.8 * WIDEST / len(self.names), *UPRIGHT_SIZES)) if self.upright else NAME_SIZE

    @property
    def least_width(self) -> float:
        """Width of the figure that these names need, in inches."""
        return 0.0 if self.upright else self._room

    @property
    def height(self) -> float:
        """Height that the names need below or above their nodes, in inches."""
        return self._longest * self.size / NAME_SIZE + 0.2 if self.upright else 0.36


@dataclass(frozen=True)
class Pen:
    """Draws a layout on axes; line widths and font sizes grow with `scale`."""

    axes: Axes
    layout: Layout
    scale: float

    def lines(self, number: int, edges: Edges) -> None:
        """The lines of layer `number`: from each source, vertical between the frames of the layer, to each end."""
        source, target = edges.ends.T
        place = self.layout.layers[number]
        starts, ends = self.layout.nodes[number][source], place.ends[target]
        if self.layout.side:
            x = place.frames[:, 0]
            paths = np.stack([starts, np.column_stack([x, place.enter]), np.column_stack([x, place.leave]), ends], 1)
            colours = edges.colours(named=INK)
        else:
            paths, colours = np.stack([starts, ends], 1), edges.colours()
        width = 0.9 if len(edges.ends) <= 60 else 0.45
        self._paths(list(paths), colors=colours, linewidths=width * self.scale, zorder=1, gid=f"lines_{number}")

    def curves(self, number: int, edges: Edges, curves: Sequence[Array], heights: Sequence[float]) -> None:
        """A plot with frame for each curve, given in the unit square; beside it what the height of the square is."""
        side, framed = self.layout.side, ~edges.bare
        centres = self.layout.layers[number].frames[framed]
        curves = [curve for curve, own in zip(curves, framed, strict=True) if own]
        heights = [height for height, own in zip(heights, framed, strict=True) if own]
        colours = [one for one, own in zip(edges.colours(), framed, strict=True) if own]
        boxes = list(centres[:, None] + side / 2 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]))
        drawn = [centre + side * INSIDE * (curve - 0.5) for centre, curve in zip(centres, curves, strict=True)]
        thin, thick = np.clip([1.6 * side, 2.9 * side], [0.5, 0.8], [0.8, 1.5]) * self.scale
        sheets = PolyCollection(boxes, facecolors=PAPER, edgecolors="none", zorder=2)
        frames = PolyCollection(boxes, facecolors="none", edgecolors=colours, linewidths=thin, zorder=3)
        frames.set_gid(f"frames_{number}")
        for collection in (sheets, frames):
            self.axes.add_collection(collection, autolim=False)
        self._paths(drawn, colors=colours, linewidths=thick, zorder=4, gid=f"curves_{number}")
        if side >= ONE_ROW:  # there is room between frames of one row
            style = {"color": GREY, "rotation": 90, "ha": "left", "va": "center", "zorder": 5, "gid": "height"}
            for (x, y), height in zip(centres, heights, strict=True):
                write(self.axes, x + side / 2 + 0.01, y, (f"{height:.2g}", False), 4.5 * self.scale, **style)

    def captions(self, number: int, edges: Edges, show_scores: bool) -> None:
        """The functions of named edges above their frames, and the scores below."""
        side, place = self.layout.side, self.layout.layers[number]
        crowded = max(ROOM * side, self.layout.width / max(1, len(edges.ends)))
        halo = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.6 * self.scale}
        for (source, target), frame, typed, score in zip(
            edges.ends, place.frames, edges.captions, edges.scores, strict=True
        ):
            start = self.layout.nodes[number][source]
            x, y = frame if side else (start + place.ends[target]) / 2
            if typed:
                size = min(8.5, max(5.0, 17 * side))
                size = max(4.0, size * min(1.0, crowded / text_width(typed, size))) * self.scale
                style = {"color": RED, "bbox": halo, "zorder": 5, "ha": "center", "va": "bottom" if side else "center"}
                write(self.axes, x, y + side / 2 + (0.03 if side else 0), typed, size, **style)
            if show_scores:
                away = 1 if start[0] <= x else -1  # on the other side of the incoming line
                style = {"zorder": 5, "ha": "right" if away > 0 else "left", "va": "top"}
                size = max(4.0, min(6.5, 14 * side)) * self.scale
                write(self.axes, x + away * side / 2, y - side / 2 - 0.03, (f"{score:.2g}", False), size, **style)

    def nodes(self, width: Sequence[tuple[int, int]], arity: int, edges: Sequence[Edges]) -> None:
        """Sum nodes as dots, with a plus where they add several edges; product nodes as circles with a cross."""
        self._dots(self.layout.nodes[0], _counts(len(self.layout.nodes[0]), edges[0].ends[:, 0]) > 0)
        for number, (n_sums, n_products) in enumerate(width[1:]):
            nodes, ends = self.layout.nodes[number + 1], self.layout.layers[number].ends
            arriving = _counts(len(ends), edges[number].ends[:, 1])
            leads_on, shown = np.ones(len(nodes), bool), np.ones(n_sums, bool)
            if number + 1 < len(edges):
                sources = edges[number + 1].ends[:, 0]
                leads_on = _counts(len(nodes), sources) > 0
                shown[sources[edges[number + 1].bare]] = False
            self._dots(nodes[:n_sums][shown], leads_on[:n_sums][shown], arriving[:n_sums][shown])
            if n_products:
                products, factors = nodes[n_sums:], ends[n_sums:]
                stems = np.stack([factors, np.repeat(products, arity, 0)], 1)
                self._paths(list(stems), colors=INK, linewidths=0.9 * self.scale, zorder=5, gid=f"factors_{number}")
                self._dots(factors, np.repeat(leads_on[n_sums:], arity), arriving[n_sums:], size=0.8)
                colours = [INK if on else PALE for on in leads_on[n_sums:]]
                self._marks(products, "o", 1.5, facecolors=PAPER, edgecolors=colours, linewidths=self.scale, zorder=6)
                self._marks(products, "x", 0.8, c=colours, linewidths=1.1 * self.scale, zorder=7, gid="products")

    def names(self, row: Names, points: Array, upward: bool) -> None:
        """Names above (outputs) or below (inputs) their nodes."""
        offset = (self.layout.radius + 0.07) * (1 if upward else -1)
        style = {"rotation": 90 if row.upright else 0, "ha": "center", "va": "bottom" if upward else "top"}
        for name, (x, y) in zip(row.names, points, strict=True):
            write(self.axes, x, y + offset, typeset(name), row.size * self.scale, **style)

    def _dots(self, points: Array, used: Array, arriving: Array | None = None, size: float = 1.0) -> None:
        self._marks(points[used], "o", size, c=INK, linewidths=0, zorder=6)
        self._marks(points[~used], "o", size, c=PALE, linewidths=0, zorder=6)
        if arriving is not None:
            adding, thick = points[arriving > 1], 0.9 * self.scale
            self._marks(adding, "+", 0.6 * size, c=PAPER, linewidths=thick, zorder=7, gid="sums")

    def _marks(self, points: Array, marker: str, size: float, **style: object) -> None:
        """Markers whose width is `size` times that of a node."""
        if len(points):
            diameter = 144 * size * self.layout.radius * self.scale
            self.axes.scatter(*points.T, s=diameter**2, marker=marker, clip_on=False, **style)  # type: ignore[arg-type]

    def _paths(self, paths: list[Array], **style: object) -> None:
        lines = LineCollection(paths, **style)  # type: ignore[arg-type]
        lines.set(capstyle="round", joinstyle="round")
        self.axes.add_collection(lines, autolim=False)


def _counts(n: int, places: Array) -> Array:
    return np.bincount(places, minlength=n)
