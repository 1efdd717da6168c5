"""Names for single edges: what an edge could be, and what the user says that it is."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from knotwork.data import Dataset, input_rows
from knotwork.errors import SpecError
from knotwork.formulas.candidate_table import Candidate, Candidates
from knotwork.formulas.candidates import candidates
from knotwork.formulas.compositions import candidates_to_depth
from knotwork.functions import named_function
from knotwork.functions import select as select_functions
from knotwork.model import KANNetwork, is_whole, trace
from knotwork.sizes import deviation, root_mean_square
from knotwork.splines import grid_range
from knotwork.symbolic.settings import SYMBOLIC

Edge = tuple[int, int, int]


def edge_samples(network: KANNetwork, edge: Edge, data: object = None) -> tuple[Tensor, Tensor]:
    """Inputs and outputs of one edge, each (n,) on the CPU: on the training rows, without data evenly over its grid."""
    l, i, j = edge
    network.spec.check_edge(l, i, j)
    with torch.no_grad():
        if data is not None:
            layer = trace(network, _inputs(network, data)[0][: SYMBOLIC.edge_rows]).layers[l]
            return layer.inputs[:, i].cpu(), layer.edges[:, i, j].cpu()
        layer = network.layers[l]
        low, high = (float(v[i]) for v in grid_range(layer.knots, layer.k))
        line = torch.linspace(low, high, SYMBOLIC.rows_without_data, dtype=layer.knots.dtype, device=layer.knots.device)
        return line.cpu(), layer.edges(line[:, None].expand(-1, layer.in_features))[:, i, j].cpu()


def _inputs(network: KANNetwork, data: object) -> tuple[Tensor, Dataset | None]:
    return input_rows(data, network.structure.in_features, "this KAN")


def check_depth(depth: int) -> None:
    """Raise SpecError for a depth of names that is neither 1 nor 2."""
    if not is_whole(depth) or depth not in (1, 2):
        raise SpecError(f"depth={depth!r} is not possible: give 1 for single functions, or 2 for compositions of two.")


def suggest_symbolic(
    network: KANNetwork,
    layer: int,
    source: int,
    target: int,
    data: object = None,
    lib: Iterable[str] | None = None,
    *,
    depth: int = 1,
) -> Candidates:
    """The ranked table of named functions for edge (layer, source, target), fitted to its curve (section 2.5.1).

    Args:
        network: a trained network; it is not changed.
        layer: number of the layer of edges, from 0.
        source: number of the node that the edge comes from.
        target: number of the sum that it leads to.
        data: the training data. Without them the curve is sampled evenly over the grid of the edge.
        lib: names of functions to try; None: the default library.
        depth: 1 tries single functions, 2 also compositions f(p·g(x) + q) of two of them. The search takes about a
            second. The default is the faster one.

    Returns:
        The candidates, best score first.

    Raises:
        SpecError: there is no such edge or function, or another depth.
    """
    check_depth(depth)
    edge = (layer, source, target)
    table = candidates_to_depth(*edge_samples(network, edge, data), select_functions(lib), edge, depth)
    if layer or data is None:
        return table
    known = _inputs(network, data)[1]
    return replace(table, input_name=known.input_names[network.spec.inputs[source]]) if known else table


def fix_symbolic(
    network: KANNetwork,
    layer: int,
    source: int,
    target: int,
    function: str,
    data: object = None,
    *,
    params: Sequence[float] | None = None,
    trainable: bool = True,
) -> Candidate:
    """Name one edge in place, as c·f(a·x + b) + d, and return the fit.

    Args:
        network: the network that is changed.
        layer: number of the layer of edges, from 0.
        source: number of the node that the edge comes from.
        target: number of the sum that it leads to.
        function: a name of the library, such as "sin", or an expression in x, such as "exp(sin(3*x))". The numbers in
            it stay as they are.
        data: the training data. Without them the curve is sampled evenly over the grid of the edge.
        params: the constants (a, b, c, d). Without them they are fitted to the curve of the edge.
        trainable: whether later fits may change the constants.

    Returns:
        The candidate, with its constants and how well it describes the edge.

    Raises:
        SpecError: there is no such edge or function, `params` are not four numbers, or no constants keep a·x + b inside
            the domain of the function.
    """
    edge, record = (layer, source, target), named_function(function)
    x, y = edge_samples(network, edge, data)
    if params is None:
        table = candidates(x, y, [record], edge)
        if not len(table):
            raise SpecError(
                f"{record.name} cannot be fitted to edge {edge}: no constants keep a·x + b inside its domain "
                f"({record.low:g}, {record.high:g}) for the values that enter the edge, {float(x.min()):.4g} to "
                f"{float(x.max()):.4g}. Choose another function (suggest_symbolic lists them) or give "
                "params=(a, b, c, d)."
            )
        fit = table[0]
    else:
        if len(params) != 4:
            raise SpecError(
                f"params={tuple(params)} has {len(params)} numbers; give four, (a, b, c, d) of c·f(a·x + b) + d."
            )
        a, b, c, d = (float(v) for v in params)
        if data is not None and not bool(record.in_domain(a * x + b).all()):
            raise SpecError(
                f"params={tuple(params)} lead {record.name} out of its domain ({record.low:g}, {record.high:g}) for "
                f"the values that enter edge {edge}, {float(x.min()):.4g} to {float(x.max()):.4g}; choose "
                "other constants."
            )
        error = float(root_mean_square(c * record.value(a * x + b) + d - y))
        spread = float(deviation(y))
        share = error / spread if spread else float("nan")
        r2 = 1 - share * share  # the power of a large number raises
        fit = Candidate(record.name, (a, b, c, d), r2, error, record.cost)
    network.layers[layer].name_edge(
        source, target, record.name, torch.tensor(fit.constants, dtype=torch.float64, device="cpu"), trainable
    )
    return fit


def unfix_symbolic(network: KANNetwork, layer: int, source: int, target: int) -> None:
    """Make a named edge a spline again, in place, with the coefficients it had before it was named.

    Raises:
        SpecError: there is no such edge, or it has no name.
    """
    network.spec.check_edge(layer, source, target)
    if network.layers[layer].named_at(source, target) is None:
        raise SpecError(f"edge {(layer, source, target)} is not named, so there is nothing to undo.")
    network.layers[layer].unname_edge(source, target)
