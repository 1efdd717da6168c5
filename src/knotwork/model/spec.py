"""What a network is, apart from its numbers: enough to build another one just like it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch

from knotwork.errors import SpecError
from knotwork.functions import named_function
from knotwork.kernels.reference import EXTRAPOLATIONS
from knotwork.model.bases import BASES

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
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
                raise SpecError(f"{name}={value!r} is not possible: it must be a whole number from {least} to {most}.")
        for name, value, options in (
            ("base", self.base, tuple(BASES)),
            ("extrapolation", self.extrapolation, EXTRAPOLATIONS),
            ("dtype", self.dtype, ("float32", "float64")),
        ):
            if value not in options:
                raise SpecError(f"{name}={value!r} is not known; choose one of {', '.join(map(repr, options))}.")
        if self.grid_range is not None and not self.grid_range[0] < self.grid_range[1]:
            raise SpecError(f"grid_range={self.grid_range} must be (low, high) with low < high.")
        if not self.in_features:
            object.__setattr__(self, "in_features", self.width[0][0])
            object.__setattr__(self, "inputs", tuple(range(self.width[0][0])))

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
            named = tuple(NamedEdge(**edge) for edge in fields.pop("named"))
            width = tuple((int(s), int(p)) for s, p in fields.pop("width"))
            bounds = fields.pop("grid_range")
            inputs = tuple(int(i) for i in fields.pop("inputs"))
            spec = Spec(
                width=width, named=named, inputs=inputs, grid_range=None if bounds is None else tuple(bounds), **fields
            )
            if len(inputs) != width[0][0] or any(not 0 <= i < spec.in_features for i in inputs):
                raise SpecError("its inputs do not match its width.")
            for edge in named:
                spec.check_edge(edge.layer, edge.source, edge.target)
                named_function(edge.function)
            return spec
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise SpecError(f"this is not the structure of a KAN: {error}") from error

    def torch_dtype(self) -> torch.dtype:
        """The dtype of the parameters."""
        return getattr(torch, self.dtype)


def parse_width(width: Width) -> tuple[tuple[int, int], ...]:
    """[2, (3, 1), 1] as ((2, 0), (3, 1), (1, 0)); the caller's list is left alone."""
    try:
        layers = [tuple(n) if isinstance(n, Sequence) else (n, 0) for n in width]
        if any(len(n) != 2 or any(not isinstance(v, int) or isinstance(v, bool) for v in n) for n in layers):
            raise TypeError
    except TypeError:
        raise SpecError(
            f"width={width!r} is not understood: give whole numbers, or (sums, products) pairs, from inputs to "
            "outputs, such as [2, 5, 1] or [2, (3, 1), 1]."
        ) from None
    return tuple((int(s), int(p)) for s, p in layers)


def _plain(width: tuple[tuple[int, int], ...]) -> list[int | tuple[int, int]]:
    return [(s, p) if p else s for s, p in width]
