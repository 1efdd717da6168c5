"""Shapes of network worth trying when nothing is known of a formula, the simplest first."""

from dataclasses import dataclass
from typing import TypeVar

import torch

from knotwork.discovery.settings import DISCOVERY
from knotwork.model import KANNetwork, Spec

Network = TypeVar("Network", bound=KANNetwork)


@dataclass(frozen=True)
class Shape:
    """A network to try; with `own_factor`, factor i of a product sees input i alone."""

    meaning: str
    width: tuple[tuple[int, int], ...]
    arity: int = 2
    own_factor: bool = False

    @property
    def keeps_straight(self) -> bool:
        """Whether straight edges from an input make the output linear in it."""
        return len(self.width) == 2 and (self.own_factor or not self.width[1][1])

    def build(self, kind: type[Network], grid: int, seed: int, in_features: int, inputs: tuple[int, ...]) -> Network:
        """A fresh network of this shape that uses the columns `inputs` of `in_features`."""
        spec = Spec(self.width, grid, arity=self.arity, in_features=in_features, inputs=inputs)
        network = kind.from_spec(spec, "power", torch.Generator().manual_seed(seed))
        if self.own_factor:
            layer, sums = network.layers[0], self.width[1][0]
            for i in range(self.width[0][0]):
                for factor in range(self.arity * self.width[1][1]):
                    if i != factor % self.arity:
                        layer.remove_edge(i, sums + factor)
        return network


def shapes(inputs: int) -> list[Shape]:
    """Shapes for that many inputs, from a plain sum to a wide network."""
    if inputs == 1:
        return [
            Shape("f(x)", ((1, 0), (1, 0))),
            Shape("g(f(x))", ((1, 0), (1, 0), (1, 0))),
            Shape("a sum of two g(f(x))", ((1, 0), (2, 0), (1, 0))),
        ]
    n, sum_only = (inputs, 0), (1, 0)
    found = [
        Shape("a sum of functions of one input", (n, sum_only)),
        Shape("a product of functions of one input", (n, (0, 1)), inputs, own_factor=True),
        Shape("a function of a sum", (n, sum_only, sum_only)),
        Shape("a function of a product", (n, (0, 1), sum_only), inputs, own_factor=True),
        Shape("a sum and a product", (n, (1, 1), sum_only), inputs, own_factor=True),
        Shape("two functions of sums", (n, (2, 0), sum_only)),
        Shape("a product of two sums", (n, (0, 1))),
    ]
    return [shape for shape in found if shape.arity <= DISCOVERY.most_factors]
