"""Names for all edges of a network, each in the context of the whole network."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from knotwork.data import Dataset, as_dataset
from knotwork.formulas.candidate_table import Candidate, Candidates
from knotwork.formulas.candidates import candidates
from knotwork.formulas.compositions import candidates_to_depth, fitted_again, simpler
from knotwork.formulas.goals import goal_of, targets_of
from knotwork.functions import NamedFunction, named_function
from knotwork.functions import select as select_functions
from knotwork.journal import recalled
from knotwork.model import KANNetwork, Trace, trace
from knotwork.symbolic.inner_constants import refit_inside
from knotwork.symbolic.naming import check_depth
from knotwork.symbolic.naming_units import Units
from knotwork.symbolic.settings import SYMBOLIC
from knotwork.training import Reporter, levenberg_marquardt, threads_for
from knotwork.training.fit_result import state_of
from knotwork.training.levenberg_marquardt import NORMAL
from knotwork.training.likelihood import Goal

Network = TypeVar("Network", bound=KANNetwork)
Edge = tuple[int, int, int]


def auto_symbolic(
    network: Network,
    data: object,
    lib: Iterable[str] | None = None,
    *,
    r2_threshold: float = 0.0,
    loss: str = "mse",
    reporter: Reporter | None = None,
    depth: int = 1,
) -> Network:
    """A copy of the network in which every edge has a name; the constants of all edges are refitted together.

    Edges are named one at a time, the one with the best candidate first. After each, the network is refitted briefly,
    so that the splines adapt. Then edges are tried with their second and third candidates, if these are close. A
    candidate is kept if the refitted network has a smaller description length of the training rows. Edges that are
    nearly lines or parabolas over the rows get these names where that shortens it. No edge is ever removed; "0" is not
    in the default library.

    With depth 2, edges may become compositions of two functions, such as log(sin(x) + 2.1), where these take fewer
    bits. The search takes about a second an edge. Refits of numbers also move the decimals inside such functions.

    With labels, the accuracy and the cross-entropy on training and validation rows are watched, and constants are
    bounded in the scale of the values that enter an edge. An edge stays a spline where no name holds.

    Args:
        network: a trained network; it is not changed.
        data: the training data.
        lib: names of functions to try; None: the default library.
        r2_threshold: edges whose best candidate has a smaller r² stay splines. The default names all edges.
        loss: that of the fit: "mse" for numbers, "cross_entropy" for labels.
        reporter: tells when naming ends; edges without a name by then stay splines. None: once all have one.
        depth: 1 names edges by single functions, 2 by compositions of two as well. The default is the faster one.

    Returns:
        The copy.

    Raises:
        SpecError: there is no such function, loss or depth.
    """
    data, goal, reporter = as_dataset(data).to("cpu"), goal_of(loss), reporter or Reporter()
    check_depth(depth)
    with threads_for(len(data.X_train) * network.parameters_in_use()):
        start, units = network.copy(), Units.of(data, network, goal)
        if not units.change(network):
            return _named(start, data, select_functions(lib), r2_threshold, goal, reporter, depth)
        carriers = units.enter(start)
        named = _named(start, units.rows(data), select_functions(lib), r2_threshold, goal, reporter, depth)
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


def _named(
    network: Network,
    data: Dataset,
    functions: list[NamedFunction],
    r2_threshold: float,
    goal: Goal,
    reporter: Reporter,
    depth: int,
) -> Network:
    """The network with names for its edges."""
    like = network.layers[0].coefficients
    x, y = (v.to(like) for v in (data.X_train, targets_of(data.y_train, goal)))
    judge = Judge.of(network, data, goal)
    current, tables = network, {}
    left = _spline_edges(current)
    while left and not reporter.late:
        seen = trace(current, x[: SYMBOLIC.edge_rows])
        for edge in left:
            if edge not in tables:
                tables[edge] = candidates_to_depth(*_points(seen, edge), functions, edge, depth, simple=False)
        left = [edge for edge in left if len(tables[edge]) and tables[edge][0].r2 >= r2_threshold]
        if not left:
            break
        edge = min(left, key=lambda e: tables[e][0].score)
        near = [row for n, row in enumerate(tables[edge]) if n < 2 * _alternatives(depth) or row.function == "x"]
        tables[edge] = fitted_again(*_points(seen, edge), near, edge)
        left.remove(edge)
        current = _with_name(current, edge, tables[edge], x, y, judge)
    some_x, some_y = x[: SYMBOLIC.edge_rows], y[: SYMBOLIC.edge_rows]
    refit, plainer = (
        partial(_refit, judge=judge),
        partial(_plainer, edges=tables.keys(), functions=functions, judge=judge),
    )
    swap = partial(_swap, tables=tables, judge=judge, reporter=reporter, alternatives=_alternatives(depth))
    for improved in (refit, plainer, swap, plainer, partial(_with_simple_numbers, judge=judge)):
        current = current if reporter.late else improved(current, x=some_x, y=some_y)
    return current if reporter.late else refit(current, x=x, y=y)


@dataclass(frozen=True)
class Judge:
    """Says whether a network with names holds what the network with splines has learned about labels.

    For numbers every name holds, since all edges are to get one. `x` and `y` are training and validation rows; `right`
    is the share of the labels that splines give right, and `loss` their cross-entropy, on training or validation rows
    alone, whichever is worse: wrong labels that splines have learned by heart do not count.
    """

    x: Tensor
    y: Tensor
    goal: Goal
    right: float = 0.0
    loss: float = math.inf

    @classmethod
    def of(cls, network: KANNetwork, data: Dataset, goal: Goal) -> "Judge":
        """The judge of the names of a network."""
        like = network.layers[0].coefficients
        x, y = torch.cat([data.X_train, data.X_val]).to(like), torch.cat([data.y_train, data.y_val])
        targets = targets_of(y, goal).to(like)
        shares = [
            cls(*share, goal)
            for share in zip(x.split(len(data.X_train)), targets.split(len(data.X_train)), strict=True)
        ]
        worst = min(share.share_right(network) for share in shares)
        return cls(x, targets, goal, worst, max(_loss(network, share.x, share.y, goal) for share in shares))

    def holds(self, network: KANNetwork) -> bool:
        """Whether constants are no larger than the rows can tell, and as many labels are right as with splines."""
        if self.goal is NORMAL:
            return True
        least = self.right - SYMBOLIC.accuracy_lost
        most = self.loss + SYMBOLIC.loss_gained * self.goal.spread(self.y)
        return (
            bounded(network, self.x)
            and self.share_right(network) >= least
            and _loss(network, self.x, self.y, self.goal) <= most
        )

    @torch.no_grad()
    def share_right(self, network: KANNetwork) -> float:
        """The share of the labels that the network gives."""
        if self.goal is NORMAL:
            return 0.0
        logits = network(self.x)
        found = (logits > 0).to(self.y) if logits.shape[1] == 1 else logits.argmax(1, keepdim=True).to(self.y)
        return float((found == self.y).double().mean())


@torch.no_grad()
def bounded(network: KANNetwork, x: Tensor) -> bool:
    """Whether the constants of all names are bounded in the scale of the values (n,) that enter their edges.

    A step must be wider than a small share of the range, and a curve must not be a small difference of large terms.
    """
    seen = trace(network, x)
    for layer, values in zip(network.layers, seen.layers, strict=True):
        for (source, target, name, _), (a, b, c, _) in zip(layer.named, layer.affine, strict=True):
            function, inside = named_function(name), a * values.inputs[:, source] + b
            terms, curve = c * function.value(inside), values.edges[:, source, target]
            if function.power is None and float(inside.max() - inside.min()) > 2 * SYMBOLIC.steepest:
                return False
            if not float(terms.abs().max()) <= SYMBOLIC.most_cancellation * float(curve.max() - curve.min()):
                return bool(curve.max() == curve.min())
    return True


def _with_name(current: Network, edge: Edge, table: Candidates, x: Tensor, y: Tensor, judge: Judge) -> Network:
    """The network with the first candidate that holds on an edge, briefly refitted; as it is where none does."""
    target = _enough(y, judge.goal)
    for row in table[: SYMBOLIC.alternatives]:
        other = current.copy()
        _name(other, edge, row)
        for steps in SYMBOLIC.steps_of_name:
            _improve(other, x, y, judge.goal, steps=steps, tolerance=1e-3, patience=3, target=target)
            if judge.holds(other):
                return other
    return current


def _plainer(
    current: Network, edges: Iterable[Edge], functions: list[NamedFunction], x: Tensor, y: Tensor, judge: Judge
) -> Network:
    """Name edges that are nearly lines or parabolas over the rows as these, all at once; keep it if it saves bits.

    One at a time would not do: refits let the small curvatures of one edge compensate those of others.
    """
    plain = [f for f in functions if f.name in ("x", "x^2")]
    exact = _loss(current, x, y, judge.goal) <= _rounding(y, judge.goal)
    for share in SYMBOLIC.nearly_plain[-1:] if exact else SYMBOLIC.nearly_plain:
        other, seen = current.copy(), trace(current, x)
        for edge, name in [(edge, name) for edge, name in _names(current) if edge in edges]:
            rows = candidates(*_points(seen, edge), plain)
            near = [row for row in rows if 1 - row.r2 <= share and row.cost <= named_function(name).cost]
            best = min(near, key=lambda row: row.cost, default=None)
            if best is not None and best.function != name:
                _name(other, edge, best)
        if list(_names(other)) != list(_names(current)):
            other = _refit(other, x, y, judge)
            bits = [description(one, x, y, judge.goal, constants=True) for one in (other, current)]
            current = other if bits[0] < bits[1] and judge.holds(other) else current
    return current


def _with_simple_numbers(current: Network, x: Tensor, y: Tensor, judge: Judge) -> Network:
    """Replace decimals inside functions that are expressions in x by simple numbers, where that saves bits."""
    for edge, name in list(_names(current)):
        for function in simpler(name) if named_function(name).written else ():
            other = current.copy()
            place = other.layers[edge[0]].named_at(*edge[1:])
            constants = other.layers[edge[0]].affine[place].detach()
            other.layers[edge[0]].name_edge(*edge[1:], function, constants)
            other = _refit(other, x, y, judge)
            if description(other, x, y, judge.goal) < description(current, x, y, judge.goal) and judge.holds(other):
                current = other
                break
    return current


def _names(network: KANNetwork) -> Iterator[tuple[Edge, str]]:
    """The named edges and the names of their functions."""
    return (((edge.layer, edge.source, edge.target), edge.function) for edge in network.spec.named)


def _alternatives(depth: int) -> int:
    return SYMBOLIC.alternatives if depth == 1 else SYMBOLIC.alternatives_of_compositions


def _swap(
    current: Network,
    tables: dict[Edge, Candidates],
    x: Tensor,
    y: Tensor,
    judge: Judge,
    reporter: Reporter,
    alternatives: int,
) -> Network:
    """Try other candidates, those closest to the chosen ones first; keep those that shorten the description."""
    goal = judge.goal
    bits = description(current, x, y, goal)
    named = dict(_names(current))
    rivals = [
        (row.score - tables[e][0].score, e, row)
        for e in named.keys() & tables.keys()
        for row in tables[e][1:alternatives]
    ]
    nearest = sorted(rivals, key=lambda rival: rival[:2])[: SYMBOLIC.most_swaps]
    for _, edge, row in reporter.timely(nearest):
        if _loss(current, x, y, goal) <= _rounding(y, goal):
            break
        other = current.copy()
        _name(other, edge, row)
        other = _refit(other, x, y, judge)
        new = description(other, x, y, goal)
        if new < bits and judge.holds(other):
            current, bits = other, new
    return current


def description(network: KANNetwork, x: Tensor, y: Tensor, goal: Goal = NORMAL, constants: bool | None = None) -> float:
    """Description length of residuals and formula: n/2 log₂ MSE + costs of the named functions times log₂ n.

    Residuals below 1e-10 of rms(y) count as zero: they are rounding errors and no reason for another function.
    For labels the first term is the cross-entropy in bits. With `constants`, by default for labels, which hold little
    information, every constant inside a function costs another half of log₂ n.
    """
    floor = 1e-20 * float(y.square().mean()) + 1e-300
    functions = [named_function(edge.function) for edge in network.spec.named]
    cost = sum(function.cost for function in functions)
    n = float(y.numel())
    loss = _loss(network, x, y, goal)
    if loss != loss:
        return float("inf")
    inside = sum(2 - (f.power is not None) - f.shift_free for f in functions)
    if goal is not NORMAL if constants is None else constants:
        cost += inside / 2
    bits = n / 2 * math.log2(loss + floor) if goal is NORMAL else n * loss / math.log(2)
    return bits + cost * math.log2(n)


def _refit(network: Network, x: Tensor, y: Tensor, judge: Judge) -> Network:
    """The network with all constants refitted together; as it was where its names then do not hold."""
    other, goal = network.copy(), judge.goal
    target = _enough(y, goal) * (1e-4 if goal is NORMAL else 1.0)
    _improve(other, x, y, goal, steps=100, tolerance=1e-3, patience=5, target=target)
    if goal is NORMAL:
        refit_inside(other, x, y, target)
    return other if judge.holds(other) else network


def _improve(network: KANNetwork, x: Tensor, y: Tensor, goal: Goal, **options: float) -> None:
    """Fit the network in place."""

    def compute() -> dict[str, Tensor]:
        levenberg_marquardt(network, x, y, likelihood=goal, **options)  # type: ignore[arg-type]
        return state_of(network)

    given = network.spec.to_json(), state_of(network), x, y, type(goal).__name__, options
    state = recalled("named_network", lambda: given, compute, lambda found: found, lambda kept: kept)
    network.load_state_dict(state)


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


def _enough(y: Tensor, goal: Goal) -> float:
    """Loss at which a refit ends. Constants of classes that are told apart without error would grow without end."""
    return _rounding(y, goal) if goal is NORMAL else SYMBOLIC.labels_learned * goal.spread(y)
