"""The curve of one edge of a network, and the predictions of a network against true values."""

from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from knotwork.data import Dataset
from knotwork.drawing import candidates_curve, predicted_vs_true
from knotwork.drawing.figure import RED
from knotwork.errors import SpecError
from knotwork.model import KANNetwork, on_cpu, trace
from knotwork.outputs.diagram import names_of, rows_of
from knotwork.outputs.findings import reported_share, shares


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
    at the bottom show the samples. `input_names` are those of the original columns.

    Raises SpecError if the edge does not exist or was removed, or if names do not match the network.
    """
    network = on_cpu(network)
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
    name = f"node {source} of layer {layer}" if layer else columns[network.spec.inputs[source]]
    edge = (layer, source, target)
    figure = candidates_curve(seen.inputs[:, source], seen.edges[:, source, target], candidates, name, edge)
    named = next((f for s, t, f, _ in network.layers[layer].named if (s, t) == (source, target)), None)  # type: ignore[union-attr]
    if named:
        figure.axes[0].set_title(f"named {named}", fontsize=10, color=RED, parse_math=False)
    return figure


def predictions(network: KANNetwork, data: Dataset) -> Figure:
    """Predictions of the first target against its true values, on the rows for which results are reported."""
    x, y = shares(data.to("cpu"))[reported_share(data)]
    with torch.no_grad():
        predicted = on_cpu(network)(x)[:, 0]
    return predicted_vs_true(y[:, 0], predicted, data.label(data.target_names[0]))
