"""Names for edges: for one edge as specified, or for all edges, each in the context of the whole network."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from knotwork.data import Dataset, as_dataset, input_rows
from knotwork.errors import SpecError
from knotwork.formulas.candidates import Candidate, Candidates, candidates
from knotwork.formulas.goals import goal_of, targets_of
from knotwork.functions import NamedFunction, named_function
from knotwork.functions import select as select_functions
from knotwork.model import KANNetwork, Trace, trace
from knotwork.sizes import deviation, root_mean_square
from knotwork.splines import grid_range
from knotwork.symbolic.naming_units import Units
from knotwork.symbolic.settings import SYMBOLIC
from knotwork.training import levenberg_marquardt, threads_for
from knotwork.training.levenberg_marquardt import NORMAL
from knotwork.training.likelihood import Goal

Network = TypeVar("Network", bound=KANNetwork)
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


def suggest_symbolic(
    network: KANNetwork, layer: int, source: int, target: int, data: object = None, lib: Iterable[str] | None = None
) -> Candidates:
    """The ranked table of named functions for edge (layer, source, target), fitted to its curve (section 2.5.1).

    Args:
        network: a trained network; it is not changed.
        layer: number of the layer of edges, from 0.
        source: number of the node that the edge comes from.
        target: number of the sum that it leads to.
        data: the training data. Without them the curve is sampled evenly over the grid of the edge.
        lib: names of functions to try; None: the default library.

    Returns:
        The candidates, best score first.

    Raises:
        SpecError: there is no such edge, or no such function.
    """
    edge = (layer, source, target)
    table = candidates(*edge_samples(network, edge, data), select_functions(lib), edge)
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
        function: a name of the library, such as "sin".
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


def auto_symbolic(
    network: Network,
    data: object,
    lib: Iterable[str] | None = None,
    *,
    r2_threshold: float = 0.0,
    loss: str = "mse",
) -> Network:
    """A copy of the network in which every edge has a name; the constants of all edges are refitted together.

    Edges are named one at a time, the one with the best candidate first. After each, the network is refitted briefly,
    so that the splines adapt. Then edges are tried with their second and third candidates, if these are close. A
    candidate is kept if the refitted network has a smaller description length of the training rows. No edge is ever
    removed; "0" is not in the default library.

    Args:
        network: a trained network; it is not changed.
        data: the training data.
        lib: names of functions to try; None: the default library.
        r2_threshold: edges whose best candidate has a smaller r² stay splines. The default names all edges.
        loss: that of the fit: "mse" for numbers, "cross_entropy" for labels.

    Returns:
        The copy.

    Raises:
        SpecError: there is no such function or loss.
    """
    data, goal = as_dataset(data).to("cpu"), goal_of(loss)
    with threads_for(len(data.X_train) * network.parameters_in_use()):
        start, units = network.copy(), Units.of(data, network, goal)
        if not units.change(network):
            return _named(start, data, select_functions(lib), r2_threshold, goal)
        carriers = units.enter(start)
        named = _named(start, units.rows(data), select_functions(lib), r2_threshold, goal)
        units.leave(named, carriers)
        _keep_fixed(named, network)
        return named


@torch.no_grad()
def _keep_fixed(named: KANNetwork, before: KANNetwork) -> None:
    """Give constants that do not train the values they had, to the bit."""
    for edge in before.spec.named:
        if not edge.trainable:
            old, new = (one.layers[edge.layer] for one in (before, named))
            places = [one.named_at(edge.source, edge.target) for one in (old, new)]
            new.affine[places[1]] = old.affine[places[0]]


def _named(network: Network, data: Dataset, functions: list[NamedFunction], r2_threshold: float, goal: Goal) -> Network:
    """A network with names, made of `network` itself."""
    current = network
    x, y = (v.to(current.layers[0].coefficients) for v in (data.X_train, targets_of(data.y_train, goal)))
    tables: dict[Edge, Candidates] = {}
    left = _spline_edges(current)
    while left:
        seen = trace(current, x[: SYMBOLIC.edge_rows])
        for edge in left:
            if edge not in tables:
                tables[edge] = candidates(*_points(seen, edge), functions, edge)
        left = [edge for edge in left if len(tables[edge]) and tables[edge][0].r2 >= r2_threshold]
        if not left:
            break
        edge = min(left, key=lambda e: tables[e][0].score)
        names = [
            named_function(row.function)
            for n, row in enumerate(tables[edge])
            if n < 2 * SYMBOLIC.alternatives or row.function == "x"
        ]
        tables[edge] = candidates(*_points(seen, edge), names, edge)
        left.remove(edge)
        if len(tables[edge]):
            _name(current, edge, tables[edge][0])
            target = _rounding(y, goal)
            levenberg_marquardt(current, x, y, steps=10, tolerance=1e-3, patience=3, target=target, likelihood=goal)
    some_x, some_y = x[: SYMBOLIC.edge_rows], y[: SYMBOLIC.edge_rows]
    _refit(current, some_x, some_y, goal)
    current = _swap(current, tables, some_x, some_y, goal)
    _refit(current, x, y, goal)
    return current


def _swap(current: Network, tables: dict[Edge, Candidates], x: Tensor, y: Tensor, goal: Goal) -> Network:
    """Try other candidates, those closest to the chosen ones first; keep those that shorten the description."""
    bits = description(current, x, y, goal)
    named = {(edge.layer, edge.source, edge.target) for edge in current.spec.named} & tables.keys()
    rivals = [(row.score - tables[e][0].score, e, row) for e in named for row in tables[e][1 : SYMBOLIC.alternatives]]
    for _, edge, row in sorted(rivals, key=lambda rival: rival[:2])[: SYMBOLIC.most_swaps]:
        if _loss(current, x, y, goal) <= _rounding(y, goal):
            break
        other = current.copy()
        _name(other, edge, row)
        _refit(other, x, y, goal)
        new = description(other, x, y, goal)
        if new < bits:
            current, bits = other, new
    return current


def description(network: KANNetwork, x: Tensor, y: Tensor, goal: Goal = NORMAL) -> float:
    """Description length of residuals and formula: n/2 log₂ MSE + costs of the named functions times log₂ n.

    Residuals below 1e-10 of rms(y) count as zero: they are rounding errors and no reason for another function.
    For labels the first term is the cross-entropy in bits. Labels hold little information, so every constant inside a
    function costs another half of log₂ n.
    """
    floor = 1e-20 * float(y.square().mean()) + 1e-300
    functions = [named_function(edge.function) for edge in network.spec.named]
    cost = sum(function.cost for function in functions)
    n = float(y.numel())
    loss = _loss(network, x, y, goal)
    if loss != loss:
        return float("inf")
    if goal is NORMAL:
        return n / 2 * math.log2(loss + floor) + cost * math.log2(n)
    inside = sum(2 - (f.power is not None) - f.shift_free for f in functions)
    return n * loss / math.log(2) + (cost + inside / 2) * math.log2(n)


def _refit(network: KANNetwork, x: Tensor, y: Tensor, goal: Goal) -> None:
    target = _rounding(y, goal) * 1e-4
    levenberg_marquardt(network, x, y, steps=100, tolerance=1e-3, patience=5, target=target, likelihood=goal)


def _name(network: KANNetwork, edge: Edge, fit: Candidate) -> None:
    network.layers[edge[0]].name_edge(
        edge[1], edge[2], fit.function, torch.tensor(fit.constants, dtype=torch.float64, device="cpu")
    )


def _points(seen: Trace, edge: Edge) -> tuple[Tensor, Tensor]:
    layer = seen.layers[edge[0]]
    return layer.inputs[:, edge[1]].detach(), layer.edges[:, edge[1], edge[2]].detach()


def _spline_edges(network: KANNetwork) -> list[Edge]:
    return [(l, int(i), int(j)) for l in range(network.spec.depth) for i, j in (network.layers[l].mask > 0).nonzero()]


def _loss(network: KANNetwork, x: Tensor, y: Tensor, goal: Goal) -> float:
    """The mean squared error, or the mean cross-entropy of labels."""
    with torch.no_grad():
        return goal.scale(y) * float(goal.values(network(x), y).sum())


def _rounding(y: Tensor, goal: Goal) -> float:
    """Loss below which a formula is exact to rounding. For labels there is none."""
    return SYMBOLIC.rounding**2 * float(y.square().mean()) if goal is NORMAL else 0.0
