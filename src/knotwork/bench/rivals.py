"""Other libraries of spline KANs, each behind one small adaptor; those that are not installed are excluded.

`benchmarks/README.md` says how to install them. Nothing here runs unless its package is installed.
"""

import contextlib
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor, nn

from knotwork.bench.cases import Case
from knotwork.bench.implementations import Implementation, Prepare
from knotwork.bench.tasks import Call, prepare
from knotwork.errors import KnotworkError


def installed() -> dict[str, str]:
    """The versions of the other libraries that are installed."""
    found = {}
    for package in RIVALS:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def rivals() -> list[Implementation]:
    """The implementations of every other library that is installed."""
    return [candidate for package in installed() for candidate in RIVALS[package]]


def _pykan(case: Case) -> nn.Module:
    with contextlib.redirect_stdout(sys.stderr):
        kan = import_module("kan")
        return kan.KAN(width=list(case.width), grid=case.grid, k=case.k, seed=0, auto_save=False)


def _pykan_speed(case: Case) -> nn.Module:
    return _pykan(case).speed()  # type: ignore[operator]


def _inkan(case: Case) -> nn.Module:
    return import_module("inkan").KANNetwork(list(case.width), case.grid, case.k)


def _inkan_eager(case: Case) -> nn.Module:
    return import_module("inkan").KANNetwork(list(case.width), case.grid, case.k, compile_basis=False)


def _flashkan(case: Case) -> nn.Module:
    return import_module("flashkan").KANNetwork(list(case.width), case.grid, case.k).to(case.dtype)


def _torch(build: Callable[[Case], nn.Module]) -> Prepare:
    return lambda case, x, y: prepare(build(case), x, y, case.task)


def _jaxkan(case: Case, x: Tensor, y: Tensor) -> Call:
    """jaxkan's "spline" layers, every task one jitted function of plain arrays."""
    jax, nnx, optax = (import_module(name) for name in ("jax", "flax.nnx", "optax"))
    network = import_module("jaxkan.models.KAN").KAN
    double = case.dtype is torch.float64
    with jax.enable_x64(double):
        model = network(list(case.width), "spline", {"G": case.grid, "k": case.k, "grid_range": (-1, 1)}, 0)
        graph, start, rest = nnx.split(model, nnx.Param, ...)
        start = jax.tree.map(lambda values: values.astype("float64" if double else "float32"), start)
        points, targets = jax.numpy.asarray(x.numpy()), jax.numpy.asarray(y.numpy())

    def outputs(parameters: Any, points: Any) -> Any:
        return nnx.merge(graph, parameters, rest)(points)

    def loss(parameters: Any, points: Any, targets: Any) -> Any:
        return ((outputs(parameters, points) - targets) ** 2).mean()

    def residual(parameters: Any, points: Any, targets: Any) -> Any:
        def slope(points: Any) -> Any:
            return jax.grad(lambda points: outputs(parameters, points).sum())(points)

        total = outputs(parameters, points)[:, 0]
        for i, direction in enumerate(jax.numpy.eye(points.shape[1], dtype=points.dtype)):
            along = jax.numpy.broadcast_to(direction, points.shape)
            total = total + jax.jvp(slope, (points,), (along,))[1][:, i]
        return (total**2).mean()

    optimiser = optax.adam(1e-3)

    def step(state: Any, points: Any, targets: Any) -> Any:
        parameters, moments = state
        gradient = jax.grad(loss)(parameters, points, targets)
        change, moments = optimiser.update(gradient, moments)
        return optax.apply_updates(parameters, change), moments

    if case.task == "step":
        with jax.enable_x64(double):
            state, work = (start, optimiser.init(start)), jax.jit(step, donate_argnums=0)

        def call() -> None:
            nonlocal state
            with jax.enable_x64(double):
                state = jax.block_until_ready(work(state, points, targets))

        return call
    works = {
        "forward": lambda parameters, points, targets: outputs(parameters, points),
        "gradient": jax.value_and_grad(loss),
        "laplacian": jax.value_and_grad(residual),
    }
    if case.task not in works:
        raise KnotworkError("its adaptor does not refit grids")
    pure = jax.jit(works[case.task])

    def evaluate() -> Any:
        with jax.enable_x64(double):
            return jax.block_until_ready(pure(start, points, targets))

    return evaluate


RIVALS = {
    "pykan": [
        Implementation("pykan", "rival", _torch(_pykan)),
        Implementation("pykan, speed()", "rival", _torch(_pykan_speed)),
    ],
    "inkan": [
        Implementation("inkan", "rival", _torch(_inkan), compiles=True),
        Implementation("inkan, eager", "rival", _torch(_inkan_eager)),
    ],
    "jaxkan": [Implementation("jaxkan", "rival", _jaxkan, compiles=True)],
    "flashkan": [Implementation("flashkan", "rival", _torch(_flashkan), exact=False, compiles=True)],
}
