"""Conditions that a solution must meet besides its equation: at faces of the box, at points, by a factor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from knotwork.errors import SpecError

if TYPE_CHECKING:
    from knotwork.pde.scene import Scene

Value = float | Callable[..., Any]
Face = tuple[str, float | None]  # a coordinate and where it is held; None: at both its ends


@dataclass(frozen=True)
class Condition:
    """A residual that shall be zero on faces of the box or at points; made by the functions of this file.

    `residual` maps a `Scene` to one tensor (n,) or several. `on` says where: coordinates held at a value, or at both
    ends (None); empty: all faces of space. `apart` is the coordinate of a periodic condition, whose scenes hold every
    field twice, at its low end and at its high end.
    """

    kind: str
    residual: Callable[[Scene], Any]
    on: tuple[Face, ...] = ()
    points: object = None
    weight: float = 1.0
    apart: str | None = None


@dataclass(frozen=True)
class Hard:
    """A field is offset + factor·(network), so that where the factor is zero it is the offset exactly."""

    factor: Value
    offset: Value = 0.0
    field: str | None = None


def dirichlet(
    value: Value = 0.0, on: object = None, *, field: str | None = None, points: object = None, weight: float = 1.0
) -> Condition:
    """The field is `value`, a number or a function of the coordinates, on faces of the box.

    `on="x"` means both ends of x, `on={"x": 0.0}` one of them, nothing all faces of space: of every coordinate but time
    and those with a periodic condition. `points` (n, coordinates) puts the condition at points of your own instead, on
    a boundary of any shape.
    """

    def residual(scene: Scene) -> Any:
        return scene.one(field).value - scene.values(value, "the value of dirichlet()")

    return Condition("dirichlet", residual, _faces(on), points, weight)


def neumann(value: Value = 0.0, on: object = None, *, field: str | None = None, weight: float = 1.0) -> Condition:
    """The derivative along the outward normal is `value` on faces of the box, which are named as in `dirichlet`."""

    def residual(scene: Scene) -> Any:
        coordinate, sign = scene.normal
        return sign * scene.one(field).d(coordinate) - scene.values(value, "the value of neumann()")

    return Condition("neumann", residual, _faces(on), None, weight)


def initial(value: Value = 0.0, *, order: int = 0, field: str | None = None, weight: float = 1.0) -> Condition:
    """At the first time the field, or its `order`-th derivative by time, is `value`."""

    def residual(scene: Scene) -> Any:
        one = scene.one(field)
        reached = one.d(*[scene.time] * order) if order else one.value
        return reached - scene.values(value, "the value of initial()")

    return Condition("initial", residual, (), None, weight)


def periodic(coordinate: str, *, derivatives: int = 1, weight: float = 1.0) -> Condition:
    """Every field and its first `derivatives` derivatives by a coordinate are the same at both its ends."""

    def residual(scene: Scene) -> Any:
        parts = []
        for low, high in zip(scene.every(0), scene.every(1), strict=True):
            parts.append(low.value - high.value)
            parts += [low.d(*[coordinate] * m) - high.d(*[coordinate] * m) for m in range(1, derivatives + 1)]
        return tuple(parts)

    return Condition("periodic", residual, ((coordinate, None),), None, weight, coordinate)


def data(points: object, values: object, *, field: str | None = None, weight: float = 0.01) -> Condition:
    """Measured values (n,) of a field at points (n, coordinates); they may be noisy.

    They count a hundredth of what other conditions do, so that noise moves unknown coefficients and not the residual.
    """

    measured = torch.as_tensor(values, dtype=torch.float64).reshape(-1)
    n = len(torch.as_tensor(points))
    if len(measured) != n or not bool(measured.isfinite().all()):
        came = f"{len(measured)} values for {n} points" if len(measured) != n else "values that are not finite"
        raise SpecError(f"data() got {came}: pass one finite value for every point.")

    def residual(scene: Scene) -> Any:
        return scene.one(field).value - scene.measured(measured)

    return Condition("data", residual, (), points, weight)


def condition(
    residual: Callable[..., Any], on: object = None, *, points: object = None, weight: float = 1.0
) -> Condition:
    """A residual of your own, written as that of the equation, on faces of the box or at points."""
    return Condition(
        "condition", lambda scene: scene.called(residual, "the residual of condition()"), _faces(on), points, weight
    )


def hard(factor: Value, offset: Value = 0.0, *, field: str | None = None) -> Hard:
    """Make a field offset + factor·(network): where the factor is zero the field is the offset exactly."""
    return Hard(factor, offset, field)


def _faces(on: object) -> tuple[Face, ...]:
    if on is None:
        return ()
    if isinstance(on, Mapping):
        return tuple((str(name), float(value)) for name, value in on.items())
    names = (on,) if isinstance(on, str) else tuple(on)  # type: ignore[arg-type]
    return tuple((str(name), None) for name in names)
