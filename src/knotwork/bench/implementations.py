"""The implementations that are compared: our layers in every way to call them, and an MLP of the same size."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from knotwork.bench.cases import Case
from knotwork.bench.tasks import Call, prepare
from knotwork.kan import KAN
from knotwork.model import MLP, KANLayer

Prepare = Callable[[Case, Tensor, Tensor], Call]


@dataclass(frozen=True)
class Implementation:
    """One implementation of a network: `prepare` builds it and returns the call that is measured.

    `family` is "knotwork", "MLP" or "rival" (another library). `exact` is True if its splines are those of the
    definition up to rounding, `compiles` if its first call runs a compiler.
    """

    name: str
    family: str
    prepare: Prepare
    exact: bool = True
    compiles: bool = False


def ours(case: Case) -> list[Implementation]:
    """Our network in every way to do the task, the best way first."""
    ways: dict[str, Prepare] = {"autograd": _through_autograd}
    if case.task == "gradient":
        ways = {"one call": _one_call, **ways}
    if case.task == "laplacian":
        ways = {"Taylor sweep": _taylor, **ways}
    names = [f"knotwork, {way}" if case.task in ("gradient", "laplacian") else "knotwork" for way in ways]
    return [Implementation(name, "knotwork", way) for name, way in zip(names, ways.values(), strict=True)]


def mlp(case: Case) -> Implementation:
    """The MLP. It has no grid, so in the task "refit" it only makes the step."""
    return Implementation("MLP", "MLP", _mlp)


def on_grids(case: Case) -> list[Implementation]:
    """Our fastest implementation with 5 and with 200 intervals, of equal and of different lengths."""
    best = ours(case)[0]

    def way(grid: int, even: bool) -> Prepare:
        return lambda case, x, y: best.prepare(replace(case, grid=grid, even=even), x, y)

    return [
        Implementation(f"G={grid} {'even' if even else 'uneven'}", "knotwork", way(grid, even))
        for grid in (5, 200)
        for even in (True, False)
    ]


def build(case: Case) -> nn.Module:
    """A KAN for the task "gradient", a sequence of KANLayers for the others."""
    network: nn.Module
    if case.task == "gradient":
        network = _network(case)
    else:
        generator = torch.Generator().manual_seed(0)
        layers = [
            KANLayer(n, m, case.grid, case.k, dtype=case.dtype, generator=generator) for n, m in pairwise(case.width)
        ]
        network = nn.Sequential(*layers) if len(layers) > 1 else layers[0]
    if not case.even:
        state = network.state_dict()
        state.update({name: uneven(values, case.k) for name, values in state.items() if name.endswith("knots")})
        network.load_state_dict(state)
    return network


def _network(case: Case) -> KAN:
    return KAN(case.width, case.grid, case.k, seed=0, grid_range=(-1.0, 1.0), dtype=case.dtype)


def uneven(knots: Tensor, k: int) -> Tensor:
    """Knots (in, G + 2k + 1) over the same grid with intervals of 0.5 to 1.5 times the mean length."""
    generator = torch.Generator().manual_seed(0)
    steps = 0.5 + torch.rand(knots.shape, generator=generator, dtype=knots.dtype)
    places = steps.cumsum(-1)
    low, high = places[:, k, None], places[:, -k - 1, None]
    return knots[:, k, None] + (places - low) / (high - low) * (knots[:, -k - 1, None] - knots[:, k, None])


def _through_autograd(case: Case, x: Tensor, y: Tensor) -> Call:
    return prepare(build(case), x, y, case.task)


def _one_call(case: Case, x: Tensor, y: Tensor) -> Call:
    model: Any = build(case)
    return lambda: model.loss_and_grad(x, y)


def _taylor(case: Case, x: Tensor, y: Tensor) -> Call:
    model = _network(case)
    parameters = [p for p in model.parameters() if p.numel()]

    def call() -> object:
        u, _, bends = model.derivatives(x)
        loss = (u[:, 0] + bends.sum(1)[:, 0]).square().mean()
        return loss, torch.autograd.grad(loss, parameters)

    return call


def _mlp(case: Case, x: Tensor, y: Tensor) -> Call:
    module = MLP(case.mlp_width, seed=0, dtype=case.dtype).layers
    return prepare(module, x, y, "step" if case.task == "refit" else case.task)
