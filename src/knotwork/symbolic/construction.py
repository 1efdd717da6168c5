"""A network that computes an expression, with a named function on every edge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch

from knotwork.data import Dataset, as_dataset
from knotwork.errors import ExpressionError, SpecError
from knotwork.functions import LIBRARY
from knotwork.model import KANNetwork, Spec, trace
from knotwork.splines import fit_coefficients

if TYPE_CHECKING:
    from knotwork.expressions.algebra import Expr

Network = TypeVar("Network", bound=KANNetwork)
Constants = tuple[float, float, float, float]

SPELLED = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "atanh": "arctanh", "Abs": "abs", "sign": "sgn"}
POWERS = {f.power: f.name for f in LIBRARY.values() if f.power and f.name not in ("abs", "sgn")}


@dataclass(eq=False)
class _Node:
    """A node of the future network: an input (`column`), a sum of edges, or a product of such sums."""

    level: int
    column: int | None = None
    sums: list[list[_Edge]] = field(default_factory=list)
    product: bool = False
    place: int = -1


@dataclass(eq=False)
class _Edge:
    source: _Node
    function: str
    constants: Constants
    curve: Any = None  # a learned curve, of which the named function only holds the place


def from_expression(
    kind: type[Network],
    expressions: Any,
    variables: Sequence[str] | None = None,
    data: object = None,
    grid: int = 5,
    k: int = 3,
) -> Network:
    """The network whose outputs are these expressions of the variables; `KAN.from_expression` describes it."""
    from knotwork.expressions import number, symbol

    several = list(expressions) if isinstance(expressions, (list, tuple)) else [expressions]
    if not several:
        raise SpecError("there is no expression; give one for every output.")
    data = None if data is None else as_dataset(data)
    parsed = [_without_extremes(_parsed(e, variables)) for e in several]
    used = sorted({str(s) for e in parsed for s in e.free_symbols})
    names = list(variables) if variables is not None else used if data is None else list(data.input_names)
    if not names:
        raise SpecError("an expression without variables has no inputs; name them: variables=['x'].")
    if len(set(names)) < len(names):
        raise SpecError(f"variables={names} names an input twice.")
    unknown = [name for name in used if name not in names]
    if unknown:
        raise SpecError(f"the expression uses {', '.join(unknown)}, but the variables are {', '.join(names)}.")
    columns = range(len(names)) if data is None else [_column(data, name) for name in names]
    if data is not None and data.scaling is not None:  # the rows are scaled, the variables are not
        center, scale = data.scaling.center, data.scaling.scale
        inner = {
            symbol(n): number(center[c]) + number(scale[c]) * symbol(n) for n, c in zip(names, columns, strict=True)
        }
        parsed = [cast("Expr", e.xreplace(inner)) for e in parsed]
    in_features = len(names) if data is None else data.n_inputs
    builder = _Builder(names)
    network = builder.network(kind, parsed, grid, k, in_features, tuple(columns))
    if builder.curves and data is None:
        raise SpecError("the expression holds a learned curve, whose grid follows rows: pass data=.")
    if data is not None:
        _place_grids(network, data.X_train)
        for layer, source, target, edge in sorted(builder.curves, key=lambda one: one[:3]):
            _place_curve(network, layer, source, target, edge, torch.cat([data.X_train, data.X_val]))
    return network


def _place_curve(network: KANNetwork, number: int, source: int, target: int, edge: _Edge, x: torch.Tensor) -> None:
    """The spline of a learned curve on its edge; those of earlier layers are in place."""
    layer = network.layers[number]
    layer.update_grid(trace(network, x).layers[number].inputs)
    layer.unname_edge(source, target)
    knots, k = layer.knots[source], layer.k
    points = torch.linspace(float(knots[k]), float(knots[-k - 1]), 10 * layer.grid, dtype=knots.dtype)
    a, b, c, d = edge.constants
    values = c * edge.curve.torch_values(a * points + b) + d
    with torch.no_grad():
        solved = fit_coefficients(points[:, None], values[:, None, None], knots[None], k)
        layer.coefficients[source, :, target] = solved[0, :, 0]
        layer.base_weights[source, target] = 0.0


def _column(data: Dataset, name: str) -> int:
    if name not in data.input_names:
        raise SpecError(f"the data has no column {name!r}; its inputs are {', '.join(data.input_names)}.")
    return data.input_names.index(name)


def splines_of(network: Network, x: torch.Tensor) -> Network:
    """A copy whose curved edges are splines, close to the named functions on the rows x (batch, in_features)."""
    found = network.copy()
    _place_grids(found, x)
    seen = trace(network, x)
    for layer, values in zip(found.layers, seen.layers, strict=True):
        for source, target, name, _ in list(layer.named):
            if name == "x":
                continue
            layer.unname_edge(source, target)
            points, curve = values.inputs[:, source], values.edges[:, source, target]
            usable = points.isfinite() & curve.isfinite()  # a logarithm or a root may have no value on some rows
            points, targets = points[usable][:, None], curve[usable][:, None, None]
            with torch.no_grad():
                solved = fit_coefficients(points, targets, layer.knots[source : source + 1], layer.k)
                layer.coefficients[source, :, target] = solved[0, :, 0]
                layer.base_weights[source, target] = 0.0
    return found


def _place_grids(network: KANNetwork, x: torch.Tensor) -> None:
    for layer, values in zip(network.layers, trace(network, x).layers, strict=True):
        if bool(values.inputs.isfinite().all()):
            layer.update_grid(values.inputs)


def _parsed(expression: Any, variables: Sequence[str] | None) -> Expr:
    from knotwork.expressions import algebra, number, parse

    if isinstance(expression, str):
        return parse(expression, variables)
    if isinstance(expression, algebra.Expr):
        return expression
    if isinstance(expression, (int, float)):
        return number(float(expression))
    raise SpecError(f"{expression!r} is no expression: give text, a SymPy expression, or a list of these.")


def _without_extremes(expression: Expr) -> Expr:
    """The least and the largest of several values as sums of their absolute differences, which edges can compute."""
    from knotwork.expressions import algebra

    def largest(*values: Expr) -> Any:
        first, *rest = values
        for other in rest:
            first = (first + other + algebra.Abs(first - other)) / 2
        return first

    found = expression.replace(algebra.Max, largest)
    return cast("Expr", found.replace(algebra.Min, lambda *values: -largest(*(-value for value in values))))


class _Builder:
    def __init__(self, variables: list[str]) -> None:
        self.inputs = {name: _Node(0, column=n) for n, name in enumerate(variables)}
        self.known: dict[Any, _Node] = {}
        self.carried: dict[tuple[int, int], _Node] = {}
        self.curves: list[tuple[int, int, int, _Edge]] = []  # layer, source and target of learned curves

    def network(
        self, kind: type[Network], expressions: Sequence[Expr], grid: int, k: int, in_features: int,
        inputs: tuple[int, ...],
    ) -> Network:  # fmt: skip
        """A network with nodes for all expressions, arranged in layers."""
        if len(expressions) == 1 and len(_factors(expressions[0])[1]) > 1:
            outputs = [self.node(expressions[0])]
        else:
            outputs = [self.sum_node(e) for e in expressions]
        depth = max(max(node.level for node in outputs), 1)
        layers: list[list[_Node]] = [list(self.inputs.values()), *([] for _ in range(depth))]
        layers[depth] = [self.at(node, depth) for node in outputs]
        for level in range(depth, 0, -1):
            for node in layers[level]:
                for edges in node.sums:
                    for edge in edges:
                        edge.source = self.at(edge.source, level - 1)
                        if edge.source not in layers[level - 1]:
                            layers[level - 1].append(edge.source)
        arity = max([len(n.sums) for nodes in layers for n in nodes if n.product], default=2)
        width = []
        for nodes in layers:
            nodes.sort(key=lambda node: node.product)
            for place, node in enumerate(nodes):
                node.place = place
            products = sum(node.product for node in nodes)
            width.append((len(nodes) - products, products))
        network = kind.from_spec(Spec(tuple(width), grid, k, arity, in_features=in_features, inputs=inputs))
        for level, layer in enumerate(network.layers, start=1):
            with torch.no_grad():
                layer.mask.zero_()
            for node in layers[level]:
                first = node.place if not node.product else width[level][0] + (node.place - width[level][0]) * arity
                sums = node.sums + [[_Edge(layers[level - 1][0], "x", (1, 0, 0, 1))]] * (
                    node.product * (arity - len(node.sums))
                )
                for target, edges in enumerate(sums, start=first):
                    for edge in edges:
                        if edge.curve is not None:
                            self.curves.append((level - 1, edge.source.place, target, edge))
                        layer.name_edge(
                            edge.source.place, target, edge.function, torch.tensor(edge.constants, dtype=torch.float64)
                        )
        return network

    def at(self, node: _Node, level: int) -> _Node:
        """The node, or one that passes its value on to that layer."""
        if node.level == level:
            return node
        key = (id(node), level)
        if key not in self.carried:
            below = self.at(node, level - 1)
            self.carried[key] = _Node(level, sums=[[_Edge(below, "x", (1, 0, 1, 0))]])
        return self.carried[key]

    def node(self, expression: Expr) -> _Node:
        """The node with the value of an expression."""
        if expression.is_Symbol:
            return self.inputs[str(expression)]
        if expression not in self.known:
            number, factors = _factors(expression)
            if len(factors) > 1:
                sums = [self.edges(f, _value(number) if n == 0 else 1.0) for n, f in enumerate(factors)]
                self.known[expression] = _Node(_above(sums), sums=sums, product=True)
            else:
                self.known[expression] = self.sum_node(expression)
        return self.known[expression]

    def sum_node(self, expression: Expr) -> _Node:
        """A node for the sum of edges that equals an expression."""
        sums = [self.edges(expression)]
        return _Node(_above(sums), sums=sums)

    def edges(self, expression: Expr, times: float = 1.0) -> list[_Edge]:
        """Edges whose sum is `times` the expression, at most one from each node."""
        from knotwork.expressions import algebra

        constant, edges = 0.0, []
        for term in algebra.Add.make_args(expression):
            number, atom = term.as_coeff_Mul()
            if atom == 1 or not atom.free_symbols:
                constant += times * _value(term)
                continue
            edge = self.edge(times * _value(number), atom)
            if any(edge.source is other.source for other in edges):
                own = _Node(edge.source.level + 1, sums=[[edge]])
                edge = _Edge(own, "x", (1, 0, 1, 0))
            edges.append(edge)
        if not edges:
            edges.append(_Edge(next(iter(self.inputs.values())), "x", (1, 0, 0, 0)))
        a, b, c, d = edges[0].constants
        edges[0].constants = (a, b, c, d + constant)
        return edges

    def edge(self, number: float, atom: Expr) -> _Edge:
        """One edge with the value number · atom."""
        from knotwork.expressions import algebra

        constant, factors = _factors(atom)
        if atom.is_Symbol or len(factors) > 1:
            return _Edge(self.node(algebra.Mul(*factors)), "x", (1, 0, number * _value(constant), 0))
        if isinstance(atom, algebra.Mul):  # one factor and constants such as pi
            return self.edge(number * _value(constant), factors[0])
        if isinstance(atom, algebra.Add):
            return _Edge(self.sum_node(atom), "x", (1, 0, number, 0))
        if isinstance(atom, algebra.Pow) and atom.exp.free_symbols:
            base, exponent = atom.as_base_exp()
            return self.edge(number, algebra.exp(exponent * algebra.log(base), evaluate=False))
        if isinstance(atom, algebra.Pow):
            return self.power(number, cast("Expr", atom.base), cast("Expr", atom.exp))
        curve = atom.func if isinstance(atom, algebra.LearnedCurve) else None
        name = f"J{atom.args[0]}" if isinstance(atom, algebra.besselj) else atom.func.__name__
        name = "x" if curve else SPELLED.get(name, name)
        if name not in LIBRARY:
            raise SpecError(f"{name} is not in the library: it has {', '.join(LIBRARY)}.")
        a, b, source = self.argument(cast("Expr", atom.args[-1]))
        return _Edge(source, name, (a, b, number, 0), curve)

    def power(self, number: float, base: Expr, exponent: Expr) -> _Edge:
        """One edge with the value number · base**exponent."""
        from knotwork.expressions import algebra

        p = _value(exponent)
        if p in POWERS:
            a, b, source = self.argument(base)
            return _Edge(source, POWERS[p], (a, b, number, 0))
        if p == int(p) and p > 0:
            half = int(p) // 2
            whole = algebra.Pow(base, half, evaluate=False), algebra.Pow(base, int(p) - half, evaluate=False)
            powers = (cast("tuple[Expr, Expr]", w.args) for w in whole)
            sums = [[self.power(1.0, *w) if len(w) == 2 else self.edge(1.0, base)] for w in powers]
            return _Edge(_Node(_above(sums), sums=sums, product=True), "x", (1, 0, number, 0))
        if p == int(p):
            inner = _Node(0, sums=[[self.power(1.0, base, -exponent)]])
            inner.level = _above(inner.sums)
            return _Edge(inner, "1/x", (1, 0, number, 0))
        a, b, source = self.argument(base)  # exp(p log base)
        logarithm = _Node(source.level + 1, sums=[[_Edge(source, "log", (a, b, 1, 0))]])
        return _Edge(logarithm, "exp", (p, 0, number, 0))

    def argument(self, expression: Expr) -> tuple[float, float, _Node]:
        """(a, b, node) such that the expression is a · node + b."""
        from knotwork.expressions import algebra

        constant, rest = expression.as_coeff_Add()
        terms = algebra.Add.make_args(rest)
        fixed = algebra.Add(*[t for t in terms if not t.free_symbols])
        terms = [t for t in terms if t.free_symbols]
        if len(terms) != 1:
            return 1.0, 0.0, self.node(expression)
        number, factors = _factors(terms[0])
        return _value(number), _value(constant + fixed), self.node(algebra.Mul(*factors))


def _above(sums: list[list[_Edge]]) -> int:
    return 1 + max(edge.source.level for edges in sums for edge in edges)


def _factors(expression: Expr) -> tuple[Expr, list[Expr]]:
    """The constant factor of a product, and the factors that hold variables."""
    from knotwork.expressions import algebra

    factors = algebra.Mul.make_args(expression)
    return algebra.Mul(*[f for f in factors if not f.free_symbols]), [f for f in factors if f.free_symbols]


def _value(expression: Any) -> float:
    from knotwork.expressions import constant_value

    value = float(expression) if isinstance(expression, (int, float)) else constant_value(expression)
    if not abs(value) < float("inf"):
        raise ExpressionError(f"'{expression}' is not a finite real number.")
    return value
