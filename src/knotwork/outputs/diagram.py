"""A network as one figure: its nodes, and the curve of every edge (as in figure 2.4 of the paper)."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from knotwork.data import table_of
from knotwork.drawing.curves import thinned
from knotwork.drawing.figure import Sheet, closing_fonts, typeset_function, write
from knotwork.errors import SpecError
from knotwork.functions import named_function
from knotwork.keywords import check_keywords
from knotwork.model import KANLayer, KANNetwork, LayerTrace, trace
from knotwork.outputs.arrangement import (
    nodes_of_sums,
    parity,
    places_of_factors,
    signs_of_nodes,
    signs_of_sums,
    untangled,
)
from knotwork.outputs.layout import MOST_CURVES, Array, lay_out
from knotwork.outputs.pen import NAME_SIZE, Edges, Names, Pen
from knotwork.simplify import Scores, attribute

FAINTEST = 0.05  # smallest opacity of an active edge
POINTS = 100  # number of points of a curve


@check_keywords
@closing_fonts()
def diagram(
    network: KANNetwork,
    x: Tensor,
    *,
    beta: float = 3.0,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    scores: Scores | None = None,
    method: str = "propagated",
    scale: float = 1.0,
    show_values: bool = False,
    untangle: bool = True,
    title: str | None = None,
) -> Figure:
    """A network drawn on the rows x (batch, in_features), with inputs at the bottom and outputs at the top.

    Every active edge has its curve over the range of its inputs. The heights of curves that are added compare: the
    largest fills its frame, and the small number beside a frame is what its height stands for. Removed edges are not
    drawn, and above 320 edges only lines are drawn. Named edges are red and have the name of their function. A dot with
    a plus is a sum, a circle with a cross a product; a grey node does not affect the outputs. Names are shown
    literally, except that a name such as x or x_1 is set as a variable.

    Hidden nodes and the factors of products are ordered so that few lines cross. Hidden nodes have the sign with which
    named curves look as their names say: x² opens upwards, exp rises. What cannot be turned so is named -x², exp(-x). A
    power that is computed as exp(p·log(x)) is drawn as one curve. None of this changes a value of the network.

    Args:
        network: the network.
        x: rows (batch, in_features), such as the training rows.
        beta: contrast. The opacity of an edge is tanh(beta·score), but at least 0.05.
        input_names: names of the original columns; those of pruned inputs are not shown. None: x_1, x_2, ...
        output_names: names of the outputs. None: y, or y_1, y_2, ...
        scores: importance of the edges. None: that of `attribute` on x.
        method: method of `attribute`.
        scale: factor of all sizes.
        show_values: whether the scores are written at the frames.
        untangle: whether hidden nodes are ordered and turned, and powers joined; False: nodes are in the order of their
            numbers, and curves are those of the edges, with their own signs.
        title: text above the figure.

    Raises:
        SpecError: x has no rows or other columns, or names or scores do not match the network.
    """
    for name, value in (("beta", beta), ("scale", scale)):
        if not value > 0:
            raise SpecError(f"{name}={value!r} is not possible: it must be a positive number.")
    x = rows_of(network, x, "diagram()")
    spec = network.spec
    columns = names_of(input_names, spec.in_features, "input_names", "inputs", "x_{}")
    n_outputs = spec.nodes(spec.depth)
    inputs = Names([columns[i] for i in spec.inputs])
    outputs = Names(names_of(output_names, n_outputs, "output_names", "outputs", "y_{}" if n_outputs > 1 else "y"))
    strengths = _strengths(network, attribute(network, x, method) if scores is None else scores)
    with torch.no_grad():
        layers = trace(network, x).layers
    edges = _arranged(network, layers, strengths, beta, untangle)

    layout = lay_out(
        spec.width,
        spec.arity,
        [layer.ends for layer in edges],
        least_width=max(inputs.least_width, outputs.least_width),
        below=inputs.height,
        above=outputs.height,
        captioned=[np.array([f is not None for f in layer.captions], bool) for layer in edges],
        bare=[layer.bare for layer in edges],
        notes=0.12 if show_values else 0.0,
    )
    heading = textwrap.fill(" ".join(title.split()), max(12, int(layout.width / 0.095))) if title else ""
    height = layout.height + (0.1 + 0.19 * (1 + heading.count("\n")) if heading else 0.0)
    figure = Sheet(layout.width * scale, height * scale)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, layout.width), ylim=(0, height))
    axes.set_axis_off()

    pen = Pen(axes, layout, scale)
    for number, layer in enumerate(edges):
        pen.lines(number, layer)
        if layout.side:
            pen.curves(number, layer, *_curves(layers[number : number + 2], layer))
        pen.captions(number, layer, show_values and layout.side > 0)
    pen.nodes(spec.width, spec.arity, edges)
    pen.names(inputs, layout.nodes[0], upward=False)
    pen.names(outputs, layout.nodes[-1], upward=True)
    if heading:
        write(axes, layout.width / 2, height - 0.08, (heading, False), NAME_SIZE * scale, ha="center", va="top")
    return figure


def telling_beta(scores: Scores) -> float:
    """A contrast for which the strongest edge of every layer is visible: 3 or more, at most 30.

    Where edges come from many inputs, they share the score of one output, so all of them would be very light. Where
    only lines are drawn, there are so many that light lines are easier to read, and the contrast is 3.
    """
    strongest = min(float(edges.max()) if edges.numel() else 0.0 for edges in scores.edges)
    crowded = sum(int((edges > 0).sum()) for edges in scores.edges) > MOST_CURVES
    return 3.0 if crowded or not 0 < strongest < 0.5 else min(1.5 / strongest, 30.0)


def rows_of(network: KANNetwork, x: Tensor, verb: str) -> Tensor:
    """x as rows on the device of the network; SpecError where there are no rows."""
    x = x if isinstance(x, Tensor) else table_of(x, "x")[0]
    if x.ndim != 2 or not len(x):
        raise SpecError(
            f"{verb} draws curves over rows of data, but x has shape {tuple(x.shape)}. "
            f"Pass a tensor of shape (rows, {network.spec.in_features}), such as the rows the KAN was trained on."
        )
    return x.to(network.fitted.device)


def names_of(names: Sequence[str] | None, n: int, argument: str, what: str, default: str) -> list[str]:
    """The names as given, checked, or default names; SpecError unless there is one for each."""
    if names is None:
        return [default.format(i + 1) for i in range(n)]
    if isinstance(names, str) or len(names) != n:
        came = f"the text {names!r}" if isinstance(names, str) else f"{len(names)} names ({', '.join(map(str, names))})"
        pruned = ", including the pruned ones" if what == "inputs" else ""
        raise SpecError(f"{argument} needs one name for each of the {n} {what} of this KAN{pruned}, but got {came}.")
    return [str(name) for name in names]


def _strengths(network: KANNetwork, scores: Scores) -> list[Array]:
    """One score for each edge, layer by layer. NaN counts as 0."""
    spec = network.spec
    wanted = [(spec.nodes(layer), spec.sums(layer + 1)) for layer in range(spec.depth)]
    came = [tuple(edges.shape) for edges in scores.edges]
    if came != wanted:
        raise SpecError(
            f"scores of edges with shapes {came} do not belong to this KAN, whose layers have {wanted}. "
            "Pass attribute(network, x) of this network, or no scores."
        )
    return [np.nan_to_num(edges.detach().cpu().double().numpy(), nan=0.0) for edges in scores.edges]


def _arranged(
    network: KANNetwork, layers: Sequence[LayerTrace], strengths: Sequence[Array], beta: float, untangle: bool
) -> list[Edges]:
    """The active edges of every layer, from left to right in the order of the nodes, with their signs and opacity."""
    spec, width, arity = network.spec, network.spec.width, network.spec.arity
    ends = [seen.active.nonzero().cpu().numpy() for seen in layers]
    scores = [strength[tuple(pairs.T)] for strength, pairs in zip(strengths, ends, strict=True)]
    names = [dict(_named(layer)) for layer in network.layers]  # type: ignore[arg-type]
    constants = [
        np.array([of.get((s, t), _Named("", 0.0, 0.0, 0))[1:4] for s, t in pairs], float).reshape(-1, 3)
        for of, pairs in zip(names, ends, strict=True)
    ]
    many = sum(map(len, ends)) > MOST_CURVES
    places = [np.arange(sum(nodes)) for nodes in width]
    signs = [np.ones(spec.sums(layer + 1)) for layer in range(spec.depth)]
    if untangle and not many:
        places = untangled(width, arity, ends)
        signs = signs_of_sums(width, arity, ends, constants, scores)
    powers = [_powers(names[n : n + 2], ends[n : n + 2], width[n + 1][0]) for n in range(len(ends))]
    powers = powers if untangle and not many else [{} for _ in powers]
    found, of_nodes = [], np.ones(len(places[0]))
    for layer, pairs in enumerate(ends):
        n_sums, n_products = width[layer + 1]
        nodes = nodes_of_sums(n_sums, n_products, arity)
        factors = np.arange(n_products * arity) % arity
        if untangle and not many:
            of_products = pairs[pairs[:, 1] >= n_sums]
            factors = places_of_factors(n_products, arity, of_products[:, 1] - n_sums, places[layer][of_products[:, 0]])
        place = places[layer + 1][nodes]
        place[n_sums:] = n_sums + (place[n_sums:] - n_sums) * arity + factors
        shown = np.column_stack([places[layer][pairs[:, 0]], place[pairs[:, 1]]])
        order = np.lexsort((shown[:, 1], shown[:, 0]))
        x_signs, y_signs = of_nodes[pairs[:, 0]], signs[layer][pairs[:, 1]]
        through = np.array([powers[layer][t].end if t in powers[layer] else -1 for t in pairs[:, 1]], int)
        bare = np.array([layer > 0 and s in powers[layer - 1] for s in pairs[:, 0]], bool)
        y_signs[through >= 0] = signs[layer + 1][through[through >= 0]] if (through >= 0).any() else 1.0
        captions = [
            None if own else _caption(powers[layer].get(t, names[layer].get((s, t))), x, y)
            for (s, t), own, x, y in zip(pairs, bare, x_signs, y_signs, strict=True)
        ]
        of_layer = scores[layer][order]
        found.append(
            Edges(
                shown[order], np.maximum(FAINTEST, np.tanh(beta * of_layer)), of_layer,
                tuple(captions[n] for n in order), pairs[order], np.column_stack([x_signs, y_signs])[order],
                bare[order], through[order],
            )
        )  # fmt: skip
        of_nodes = signs_of_nodes(signs[layer], nodes)
    return found


class _Named(NamedTuple):
    """The function of an edge, a and c of c·f(a·x + b) + d, and the parity of f; the `end` of a power."""

    function: str
    a: float
    c: float
    even: int
    end: int = -1


def _named(layer: KANLayer) -> Iterator[tuple[tuple[int, int], _Named]]:
    """The named edges of a layer."""
    for (source, target, name, _), (a, _, c, _) in zip(layer.named, layer.affine.tolist(), strict=True):
        yield (source, target), _Named(name, a, c, parity(named_function(name)))


def _powers(names: Sequence[Mapping[tuple[int, int], _Named]], ends: Sequence[Array], n_sums: int) -> dict[int, _Named]:
    """The powers that run through the nodes between two layers: to each a logarithm alone, from it exp alone.

    The end of a power is the sum that it leads to.
    """
    found: dict[int, _Named] = {}
    for node in range(n_sums if len(ends) == 2 else 0):
        below, above = ends[0][ends[0][:, 1] == node], ends[1][ends[1][:, 0] == node]
        if len(below) == len(above) == 1:
            low, high = names[0].get(tuple(below[0])), names[1].get(tuple(above[0]))
            if low and high and (low.function, high.function) == ("log", "exp") and low.a > 0:
                exponent = low.c * high.a
                power = f"{'1/' * (exponent < 0)}x^{abs(exponent):.4g}"
                found[node] = _Named(power, low.a, high.c, 0, int(above[0, 1]))
    return found


def _caption(named: _Named | None, x_sign: float, y_sign: float) -> tuple[str, bool] | None:
    """The name of a curve that is drawn with these signs, as typeset text; with a minus where it is turned."""
    if named is None:
        return None
    name, a, c, even, _ = named
    turned = bool(a * x_sign < 0)
    return typeset_function(name, bool(c * y_sign < 0) != (turned and even < 0), turned and even == 0)


def _curves(layers: Sequence[LayerTrace], edges: Edges) -> tuple[list[Array], list[float]]:
    """The curve of each edge in the unit square, (points, 2), and the value that its height stands for.

    That is the largest range of the curves of the same sum. Lines are horizontal where an edge or its input is
    constant. `layers` are that of the edges and the next one, whose values are those of powers.
    """
    inputs, *values = (one.double().cpu().numpy() for one in (layers[0].inputs, *(seen.edges for seen in layers)))
    chosen = {source: thinned(inputs[:, source], POINTS) for source in set(edges.pairs[:, 0])}
    drawn = []
    for (s, t), (x_sign, y_sign), end in zip(edges.pairs, edges.signs, edges.through, strict=True):
        of_edge = values[0][:, s, t] if end < 0 else values[1][:, t, end]
        drawn.append(_finite(x_sign * inputs[chosen[s], s], y_sign * of_edge[chosen[s]]))
    sums = [(end >= 0, t if end < 0 else end) for (_, t), end in zip(edges.pairs, edges.through, strict=True)]
    heights: dict[tuple[bool, int], float] = {}
    for one, (_, y) in zip(sums, drawn, strict=True):
        heights[one] = max(heights.get(one, 0.0), float(np.ptp(y)) if len(y) else 0.0)
    of_edges = [heights[one] for one in sums]
    return [_in_unit_square(x, y, height) for (x, y), height in zip(drawn, of_edges, strict=True)], of_edges


def _finite(x: Array, y: Array) -> tuple[Array, Array]:
    finite = np.isfinite(y)
    return x[finite], y[finite]


def _in_unit_square(x: Array, y: Array, height: float) -> Array:
    if not len(x) or np.ptp(x) == 0:
        return np.array([[0.0, 0.5], [1.0, 0.5]])
    middle = (y.max() + y.min()) / 2
    level = 0.5 + ((y - middle) / height if height > 1e-9 * np.abs(y).max() else np.zeros_like(y))
    return np.column_stack([(x - x.min()) / np.ptp(x), level])
