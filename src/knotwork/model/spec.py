"""What a network is, apart from its numbers: enough to build another one just like it."""

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

Width = Sequence[int | Sequence[int]]


@dataclass(frozen=True)
class NamedEdge:
    """Edge (layer, source, target) computes c·f(a·x + b) + d with the library's function of that name."""

    layer: int
    source: int
    target: int
    function: str
    trainable: bool = True


@dataclass(frozen=True)
class Spec:
    """The structure of a KAN: frozen, comparable, and written to JSON in checkpoints.

    `width` holds (sums, products) of nodes a layer, inputs first; a product node multiplies `arity` incoming sums.
    `in_features` columns are accepted and `inputs` are the ones used, so a network whose inputs were pruned still takes
    the original rows. `grid_range` is the user's range of the input grids, or None where the first fit sets it.
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
                f"width={_plain(self.width)} does not describe a network: give at least an input and an output layer, "
                "each with one node or more, such as width=[2, 5, 1] or, with product nodes, [2, (3, 1), 1]."
            )
        if self.width[0][1]:
            raise SpecError(
                f"the input layer of width={_plain(self.width)} cannot hold product nodes; give it one number."
            )
        for name, value, least, most in (
            ("grid", self.grid, 1, 10**6),
            ("k", self.k, 0, 7),
            ("arity", self.arity, 2, 64),
        ):
            if is_whole(value):  # NumPy's whole numbers are as good as Python's
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
                f"inputs={self.inputs} do not match width={_plain(self.width)} and in_features={self.in_features}: "
                f"name {n_inputs} different columns, counted from 0."
            )
        for edge in self.named:
            self.check_edge(edge.layer, edge.source, edge.target)
            named_function(edge.function)

    @property
    def depth(self) -> int:
        """Number of KAN layers."""
        return len(self.width) - 1

    def nodes(self, layer: int) -> int:
        """Nodes of a layer, sums and products together; layer 0 holds the inputs in use."""
        return sum(self.width[layer])

    def sums(self, layer: int) -> int:
        """Sums that the edges into this layer's nodes feed: its sum nodes and the factors of its products."""
        return self.width[layer][0] + self.arity * self.width[layer][1]

    def check_edge(self, layer: int, source: int, target: int) -> None:
        """Raise SpecError unless edge (layer, source, target) is in this network."""
        if not 0 <= layer < self.depth:
            raise SpecError(
                f"there is no layer {layer}: this KAN (width={_plain(self.width)}) has layers 0 to {self.depth - 1}."
            )
        if not (0 <= source < self.nodes(layer) and 0 <= target < self.sums(layer + 1)):
            raise SpecError(
                f"there is no edge ({layer}, {source}, {target}): layer {layer} of this KAN leads from "
                f"{self.nodes(layer)} nodes to {self.sums(layer + 1)} sums, counted from 0."
            )

    def __str__(self) -> str:
        return f"KAN width={_plain(self.width)} grid={self.grid} k={self.k}"

    def to_json(self) -> str:
        """This structure as one line of JSON."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> "Spec":
        """The structure that `to_json` wrote; SpecError if it is not one."""
        try:
            fields = json.loads(text)
            named = tuple(
                NamedEdge(index(e["layer"]), index(e["source"]), index(e["target"]), e["function"], e["trainable"])
                for e in fields.pop("named")
            )
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
    """[2, (3, 1), 1] as ((2, 0), (3, 1), (1, 0)); the caller's list is left alone."""
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
    """True for whole numbers of Python and NumPy, not for truth values."""
    try:
        operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    return not isinstance(value, bool) and not str(getattr(value, "dtype", "")).endswith("bool")  # such as np.True_


def _unpacked(value: Any) -> Any:
    """Arrays and numbers of NumPy and torch as those of Python, all else as it is."""
    return value.tolist() if hasattr(value, "tolist") else value


def _is_range(bounds: tuple[float, float]) -> bool:
    """True for two finite numbers, the smaller first."""
    try:
        low, high = (float(v) for v in bounds)
    except (TypeError, ValueError, OverflowError):
        return False
    return -math.inf < low < high < math.inf


def _plain(width: tuple[tuple[int, int], ...]) -> list[int | tuple[int, int]]:
    return [(s, p) if p else s for s, p in width]
