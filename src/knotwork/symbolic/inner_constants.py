"""Refits that also move the decimals inside functions that are expressions in x, as 2.1 in log(sin(x) + 2.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from knotwork.functions import named_function
from knotwork.model import KANNetwork, trace
from knotwork.model.free_parameters import FreeParameters
from knotwork.model.jacobian import jacobian
from knotwork.solvers import NormalEquations, Options, VectorProblem, gauss_newton
from knotwork.symbolic.settings import SYMBOLIC


@dataclass(frozen=True)
class _Inside:
    """The decimals inside the function of one named edge.

    `place` is the number of the edge among the named ones of its layer, and `column` that of its constant d among the
    free parameters of the network. `text` is its expression with the names of `symbols` in place of the decimals, whose
    values are `start`; `values` gives it for x and these numbers.
    """

    layer: int
    place: int
    column: int
    text: str
    symbols: Sequence[Any]
    start: Sequence[float]
    values: Callable[..., Tensor]

    def function(self, constants: Sequence[float]) -> str:
        """The function with other decimals."""
        text = self.text
        for symbol, value in reversed(list(zip(self.symbols, constants, strict=True))):
            text = text.replace(symbol.name, f"({value!r})")
        return text

    def slopes(self, u: Tensor, constants: Tensor) -> Tensor:
        """Derivatives of f(u), u (n,), by the decimals: (n, P)."""
        with torch.enable_grad():
            rows = [value.expand(len(u)).clone().requires_grad_() for value in constants]
            parts = torch.autograd.grad(self.values(u, *rows).sum(), rows, materialize_grads=True)
        return torch.stack(parts, -1)


def _all_inside(network: KANNetwork, free: FreeParameters) -> list[_Inside]:
    """The edges whose functions hold decimals and whose constants are free."""
    from knotwork.expressions import parametrise, parse, text, to_torch

    found, at = [], 0
    for l, layer in enumerate(network.layers):
        at += len(free.coefficients[l]) + len(free.base_weights[l])
        for k, n in enumerate(free.named[l]):
            function = named_function(layer.named[n][2])
            if function.written:
                expression, symbols, start = parametrise(parse(function.expression, ["x"]))
                values = to_torch(expression, ["x", *symbols])
                if symbols:
                    found.append(_Inside(l, n, at + 4 * k + 3, text(expression), symbols, start, values))
        at += 4 * len(free.named[l])
    return found


class _WithInside(VectorProblem):
    """The mean squared error of a network; the place is its free parameters and then the decimals of `inside`."""

    def __init__(self, network: KANNetwork, x: Tensor, y: Tensor, free: FreeParameters, inside: list[_Inside]) -> None:
        self.network, self.x, self.y, self.free, self.inside = network, x, y, free, inside
        super().__init__(torch.cat([free.get(), x.new_tensor([v for one in inside for v in one.start])]))

    def put(self, at: Tensor) -> None:
        """Write a place into the network; functions have brackets around their decimals then."""
        self.free.set(at[: self.free.size])
        numbers = at[self.free.size :].tolist()
        for one in self.inside:
            own, numbers = numbers[: len(one.symbols)], numbers[len(one.symbols) :]
            named = self.network.layers[one.layer].named
            source, target, _, trainable = named[one.place]
            named[one.place] = (source, target, one.function(own), trainable)

    @torch.no_grad()
    def evaluate(self, at: Tensor) -> tuple[float, Any]:
        if not bool(at.isfinite().all()):
            return float("nan"), None
        self.put(at)
        return float((self.network(self.x) - self.y).square().mean()), None

    @torch.no_grad()
    def linearise(self) -> NormalEquations:
        self.put(self.at)
        outputs, columns = jacobian(self.network, self.x, self.free)
        seen, blocks, start = trace(self.network, self.x), [columns], self.free.size
        for one in self.inside:
            layer = self.network.layers[one.layer]
            a, b, c, _ = layer.affine[one.place]
            u = a * seen.layers[one.layer].inputs[:, layer.named[one.place][0]] + b
            slopes = c * one.slopes(u, self.at[start : start + len(one.symbols)])
            blocks.append(columns[:, :, one.column, None] * slopes[:, None])
            start += len(one.symbols)
        matrix = torch.cat(blocks, -1).flatten(0, 1)
        residual = (outputs - self.y).flatten()
        return NormalEquations(matrix.T @ matrix / len(residual), matrix.T @ residual / len(residual))


def refit_inside(network: KANNetwork, x: Tensor, y: Tensor, target: float) -> None:
    """Fit all free constants of a network in place, those inside of its functions with them, if it has such.

    Rows x (n, in) and y (n, out). The fit ends at the mean squared error `target`.
    """
    free = FreeParameters(network)
    inside = _all_inside(network, free)
    if not inside:
        return
    problem = _WithInside(network, x, y, free, inside)
    steps = SYMBOLIC.steps_inside
    gauss_newton(problem, Options(steps, 2 * steps, tolerance=1e-3, patience=5, target=target))
    problem.put(problem.at)
    for one in inside:
        named = network.layers[one.layer].named
        source, target, function, trainable = named[one.place]
        named[one.place] = (source, target, named_function(function).name, trainable)
