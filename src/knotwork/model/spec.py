"""The structure of a network without its numbers: enough to build another network of the same form."""

import json
import math
import operator
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from operator import index
from typing import Any

import torch

from knotwork.errors import SpecError
from knotwork.functions import named_function
from knotwork.kernels.reference import BASES, EXTRAPOLATIONS
from knotwork.keywords import check_keywords

Width = Sequence[int | Sequence[int]]


@dataclass(frozen=True)
class NamedEdge:
    """Edge (layer, source, target), which computes c·f(a·x + b) + d with a named function f.

    Args:
        layer: number of the layer of edges, from 0.
        source: number of the node that the edge comes from.
        target: number of the sum that it leads to.
        function: name of f, such as "sin", or f as an expression in x, such as "exp(sin(3*x))".
        trainable: whether fits change (a, b, c, d).
    """

    layer: int
    source: int
    target: int
    function: str
    trainable: bool = True


@check_keywords
@dataclass(frozen=True)
class Spec:
    """The structure of a KAN: frozen, comparable, and written to JSON in checkpoints. `KAN.spec` gives it.

    Args:
        width: (sums, products) of the nodes of each layer, inputs first. `KAN` also takes [2, (3, 1), 1].
        grid: number of intervals G of every spline.
        k: order of the splines, 0 to 7.
        arity: number of sums that a product node multiplies.
        base: b(x) of eq. 2.10: "silu", "identity", "sine" or "zero".
        extrapolation: what an edge does outside its grid: "linear", "constant", "zero" or "error".
        grid_range: (low, high) of the input grids. None: the first fit places them over the data.
        dtype: "float32" or "float64".
        in_features: number of columns that the network accepts. 0 stands for the nodes of the first layer.
        inputs: the columns that it uses, counted from 0. A network whose inputs were pruned has fewer inputs than
            `in_features`, and still takes the original rows. Empty: all columns.
        named: the edges that have a name.

    Raises:
        SpecError: for settings that describe no network.

    Example:
        >>> import knotwork as kw
        >>> spec = kw.KAN([2, (3, 1), 1], grid=8).spec
        >>> spec.width, spec.depth, spec.nodes(1), spec.sums(1)
        (((2, 0), (3, 1), (1, 0)), 2, 4, 5)
        >>> kw.Spec.from_json(spec.to_json()) == spec
        True
    """

    width: tuple[tuple[int, int], ...]
    grid: int = 5
    k: int = 3
    arity: int = 2
    base: str = "silu"
    extrapolation: str = "linear"
    grid_range: tuple[float, float] | None = None
    dtype: str = "float64"
    in_features: int = 0
    inputs: tuple[int, ...] = ()
    named: tuple[NamedEdge, ...] = ()

    def __post_init__(self) -> None:
        if len(self.width) < 2 or any(s < 0 or p < 0 or s + p < 1 for s, p in self.width):
            raise SpecError(
                f"width={plain(self.width)} does not describe a network: give at least an input and an output layer, "
                "each with one node or more, such as width=[2, 5, 1] or, with product nodes, [2, (3, 1), 1]."
            )
        if self.width[0][1]:
            raise SpecError(
                f"the input layer of width={plain(self.width)} cannot hold product nodes; give it one number."
            )
        for name, value, least, most in (
            ("grid", self.grid, 1, 10**6),
            ("k", self.k, 0, 7),
            ("arity", self.arity, 2, 64),
        ):
            if is_whole(value):  # integers of NumPy as of Python
                value = operator.index(value)
                object.__setattr__(self, name, value)
            if not is_whole(value) or not least <= value <= most:
                raise SpecError(f"{name}={value!r} is not possible: it must be a whole number from {least} to {most}.")
        for name, value, options in (
            ("base", self.base, tuple(BASES)),
            ("extrapolation", self.extrapolation, EXTRAPOLATIONS),
            ("dtype", self.dtype, ("float32", "float64")),
        ):
            if value not in options:
                raise SpecError(f"{name}={value!r} is not known; choose one of {', '.join(map(repr, options))}.")
        if self.grid_range is not None and not _is_range(self.grid_range):
            raise SpecError(f"grid_range={self.grid_range!r} must be (low, high), finite numbers with low < high.")
        if not self.in_features:
            object.__setattr__(self, "in_features", self.width[0][0])
            object.__setattr__(self, "inputs", tuple(range(self.width[0][0])))
        n_inputs = self.width[0][0]
        in_range = all(0 <= i < self.in_features for i in self.inputs)
        if not (len(set(self.inputs)) == len(self.inputs) == n_inputs and in_range):
            raise SpecError(
                f"inputs={self.inputs} do not match width={plain(self.width)} and in_features={self.in_features}: "
                f"name {n_inputs} different columns, counted from 0."
            )
        for edge in self.named:
            self.check_edge(edge.layer, edge.source, edge.target)
            named_function(edge.function)
        places = [(edge.layer, edge.source, edge.target) for edge in self.named]
        if len(set(places)) < len(places):
            twice = next(place for place in places if places.count(place) > 1)
            raise SpecError(f"edge {twice} has two names: give it one.")

    @property
    def depth(self) -> int:
        """Number of KAN layers."""
        return len(self.width) - 1

    def nodes(self, layer: int) -> int:
        """Number of nodes of a layer, sums and products together; layer 0 holds the inputs in use."""
        return sum(self.width[layer])

    def sums(self, layer: int) -> int:
        """Number of sums that the edges into this layer compute: its sum nodes and the factors of its products."""
        return self.width[layer][0] + self.arity * self.width[layer][1]

    def check_edge(self, layer: int, source: int, target: int) -> None:
        """Check that this network has the edge (layer, source, target), each counted from 0.

        Raises:
            SpecError: there is no such edge.
        """
        if not 0 <= layer < self.depth:
            raise SpecError(
                f"there is no layer {layer}: this KAN (width={plain(self.width)}) has layers 0 to {self.depth - 1}."
            )
        if not (0 <= source < self.nodes(layer) and 0 <= target < self.sums(layer + 1)):
            raise SpecError(
                f"there is no edge ({layer}, {source}, {target}): layer {layer} of this KAN leads from "
                f"{self.nodes(layer)} nodes to {self.sums(layer + 1)} sums, counted from 0."
            )

    def __str__(self) -> str:
        return f"KAN width={plain(self.width)} grid={self.grid} k={self.k}"

    def to_json(self) -> str:
        """This structure as one line of JSON, which `from_json` reads."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> "Spec":
        """The structure that `to_json` wrote. No code from the text is run.

        Args:
            text: what `to_json` returned.

        Raises:
            SpecError: the text is no structure of a KAN.
        """
        try:
            fields = json.loads(text)
            named = tuple(map(_named_edge, fields.pop("named")))
            width = tuple((index(s), index(p)) for s, p in fields.pop("width"))
            bounds = fields.pop("grid_range")
            inputs = tuple(index(i) for i in fields.pop("inputs"))
            if not (inputs and index(fields["in_features"])):
                raise SpecError("it uses no inputs.")
            return Spec(
                width=width, named=named, inputs=inputs, grid_range=None if bounds is None else tuple(bounds), **fields
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise SpecError(f"this is not the structure of a KAN: {error}") from error

    def torch_dtype(self) -> torch.dtype:
        """The dtype of the parameters."""
        return getattr(torch, self.dtype)


def parse_width(width: Width) -> tuple[tuple[int, int], ...]:
    """[2, (3, 1), 1] as ((2, 0), (3, 1), (1, 0)). The caller's list is not changed."""
    try:
        layers = [tuple(n) if isinstance(n, Sequence) else (n, 0) for n in map(_unpacked, _unpacked(width))]
        if any(len(n) != 2 or any(isinstance(v, bool) for v in n) for n in layers):
            raise TypeError
        return tuple((operator.index(s), operator.index(p)) for s, p in layers)
    except TypeError:
        raise SpecError(
            f"width={width!r} is not understood: give whole numbers, or (sums, products) pairs, from inputs to "
            "outputs, such as [2, 5, 1] or [2, (3, 1), 1]."
        ) from None


def is_whole(value: object) -> bool:
    """True for integers of Python and NumPy, False for truth values and all else."""
    try:
        operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    return not isinstance(value, bool) and not str(getattr(value, "dtype", "")).endswith("bool")  # such as np.True_


def _named_edge(fields: dict[str, Any]) -> NamedEdge:
    """A named edge from its fields in JSON; TypeError for fields of other types, or more or fewer of them."""
    edge = NamedEdge(**fields)
    places = index(edge.layer), index(edge.source), index(edge.target)
    if not isinstance(edge.function, str) or not isinstance(edge.trainable, bool):
        raise TypeError(f"{fields} is no named edge.")
    return NamedEdge(*places, edge.function, edge.trainable)


def _unpacked(value: Any) -> Any:
    """Arrays and numbers of NumPy and torch as Python lists and numbers; all else as it is."""
    return value.tolist() if hasattr(value, "tolist") else value


def _is_range(bounds: tuple[float, float]) -> bool:
    """True for two finite numbers, the smaller first."""
    try:
        low, high = (float(v) for v in bounds)
    except (TypeError, ValueError, OverflowError):
        return False
    return -math.inf < low < high < math.inf


def plain(width: tuple[tuple[int, int], ...]) -> list[int | tuple[int, int]]:
    return [(s, p) if p else s for s, p in width]
