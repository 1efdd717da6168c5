"""Positions of the parts of a diagram, in inches: inputs at the bottom, outputs at the top, curves between."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Array = np.ndarray

WIDEST = 7.5  # width of the figure, that of a page
LARGEST, SMALLEST = 0.52, 0.24  # side of the frame of a curve
ONE_ROW = 0.33  # smallest frame in one row; smaller ones are arranged in several rows
ROOM = 1.22  # distance between frames, in units of their side
MARGIN = 0.15
MOST_CURVES = 320  # number of edges above which only lines are drawn
CAPTION = 0.17  # height above a frame for the name of its function
RISE = 0.36  # height from the factors of a product to its node


@dataclass(frozen=True)
class LayerLayout:
    """Positions in one KAN layer: `ends` (sums, 2) of the edges, and the centre of the frame of each active edge.

    `ends` are the sum nodes first, then the factors of products. Where `frames` (edges, 2) are in several rows, an edge
    is vertical from the height `enter`, above its source, to `leave`, below its end.
    """

    ends: Array
    frames: Array
    enter: Array
    leave: Array


@dataclass(frozen=True)
class Layout:
    """Size of the sheet, `radius` of a node, `side` of every frame (0: lines only), and positions layer by layer."""

    width: float
    height: float
    side: float
    radius: float
    nodes: tuple[Array, ...]
    layers: tuple[LayerLayout, ...]


def lay_out(
    width: Sequence[tuple[int, int]],
    arity: int,
    edges: Sequence[Array],
    *,
    least_width: float = 0.0,
    below: float = 0.4,
    above: float = 0.4,
    captioned: Sequence[Array] = (),
    bare: Sequence[Array] = (),
    notes: float = 0.0,
) -> Layout:
    """The layout of a network with (sums, products) in each layer, whose active edges (n, 2) lead from a node to a sum.

    `below` and `above` are the heights of the names. `captioned` (n,) of each layer is True for frames with a text
    above them; where all of a layer are `bare` lines, there is no row for frames. `notes` is the height of the text
    below every frame.
    """
    counts = [len(layer) for layer in edges]
    side = _frame_side(counts)
    longest = max(n / _rows(n, side) for n in counts)
    across = min(WIDEST, max(2.2, least_width, 1.5 * side * longest)) if side else WIDEST
    radius = min(0.065, 0.36 * across / max(sum(layer) for layer in width))
    y = below + radius
    nodes, layers = [_row(width[0][0], across, y)], []
    for number, (n_sums, n_products) in enumerate(width[1:]):
        (source, target), n, n_rows = edges[number].T, counts[number], _rows(counts[number], side)
        written = captioned[number] if captioned else np.zeros(n, bool)
        caption = CAPTION if written.any() else 0.0
        row = _row(n_sums + n_products, across, 0.0)
        ends = _ends(row, n_sums, arity, across)
        x = _spread(n, across) if side else np.full(n, across / 2)
        enter = y + _gap(nodes[-1][source, 0] - x, side)
        frame = 0.0 if len(bare) and bare[number].all() else side
        low = enter + (notes if n_rows > 1 else 0.0)
        in_row = np.arange(n) % n_rows
        pitch = ROOM * side + caption + notes if side else 0.0
        high = low + (n_rows - 1) * pitch + frame
        turn = np.where((in_row == n_rows - 1) & ~written, high, high + caption)
        y = high + caption + _gap(ends[target, 0] - x, side) + (RISE if n_products else 0.0)
        frames = np.column_stack([x, low + in_row * pitch + side / 2])
        layers.append(LayerLayout(_raised(ends, y), frames, np.full(n, enter), turn))
        nodes.append(_raised(row, y))
    return Layout(across, y + radius + above, side, radius, tuple(nodes), tuple(layers))


def _gap(sideways: Array, side: float) -> float:
    """Height between nodes and frames: larger where edges are far from vertical, or numerous."""
    if not side:
        return 0.95
    crowd = 0.3 if len(sideways) > 60 else 0.0
    return float(np.clip(0.24 + 0.2 * np.abs(sideways).max(initial=0.0), 0.34, 0.9)) + crowd


def _raised(points: Array, y: float) -> Array:
    return np.column_stack([points[:, 0], points[:, 1] + y])


def _frame_side(counts: Sequence[int]) -> float:
    """One side for all frames: large if the curves of a layer fit in one row, else smaller, down to the smallest."""
    if sum(counts) > MOST_CURVES:
        return 0.0
    single = (WIDEST - 2 * MARGIN) / (ROOM * max(1, *counts, 1))
    return min(LARGEST, single) if single >= ONE_ROW else float(np.clip(2 * single, SMALLEST, 0.46))


def _rows(n: int, side: float) -> int:
    return max(1, int(np.ceil(n * ROOM * side / (WIDEST - 2 * MARGIN) - 1e-9)))


def _spread(n: int, across: float) -> Array:
    """n positions, evenly over the width."""
    return MARGIN + (across - 2 * MARGIN) * (np.arange(n) + 0.5) / max(n, 1)


def _row(n: int, across: float, y: float) -> Array:
    return np.column_stack([_spread(n, across), np.full(n, y)])


def _ends(nodes: Array, n_sums: int, arity: int, across: float) -> Array:
    """The sum nodes, then the factors below each product."""
    step = min(0.42, 0.8 * (across - 2 * MARGIN) / (len(nodes) * arity))
    offsets = step * (np.arange(arity) - (arity - 1) / 2)
    factors = [(x + offset, y - RISE) for x, y in nodes[n_sums:] for offset in offsets]
    return np.concatenate([nodes[:n_sums], np.asarray(factors).reshape(-1, 2)])
