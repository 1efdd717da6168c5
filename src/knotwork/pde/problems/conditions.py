"""Conditions that a solution must meet besides its equation. A new kind of boundary condition is a function here.

A condition is a residual, which shall be zero, and where it holds: on faces of the box, at points, at the first time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from knotwork.data import table_of, tensor_of
from knotwork.errors import SpecError
from knotwork.keywords import check_keywords

if TYPE_CHECKING:
    from knotwork.pde.problems.evaluation_context import EvaluationContext

Value = float | Callable[..., Any]
Face = tuple[str, float | None]  # a coordinate and its value on the face; None: the faces at both its ends


@check_keywords
@dataclass(frozen=True)
class Condition:
    """A residual that shall be zero on faces of the box or at points; made by the functions of this file.

    `residual` maps an evaluation context to one tensor (n,) or several. `on` are the faces; without any they are all
    faces of space. `points` (n, coordinates) are points instead of faces. `periodic_in` is the coordinate of a periodic
    condition, whose context holds every field twice, at its low end and at its high end.
    """

    kind: str
    residual: Callable[[EvaluationContext], Any]
    on: tuple[Face, ...] = ()
    points: object = None
    weight: float = 1.0
    periodic_in: str | None = None


@check_keywords
@dataclass(frozen=True)
class Hard:
    """A field is offset + factor·(network); where the factor is zero it is the offset exactly. Made by `hard`."""

    factor: Value
    offset: Value = 0.0
    field: str | None = None


@check_keywords
def dirichlet(
    value: Value = 0.0, on: object = None, *, field: str | None = None, points: object = None, weight: float = 1.0
) -> Condition:
    """A condition that prescribes values of a field on faces of the box, or at points.

    Args:
        value: a number, or a function of the coordinates, which it takes by their names as tensors (n,).
        on: the faces: "x" (both ends of x), ("x", "y"), or {"x": 0.0} (one end). Without it all faces of space, which
            are those of every coordinate but time and periodic ones.
        field: the field's name, where the problem has several.
        points: points (n, coordinates) instead of faces, on a boundary of any shape.
        weight: factor beside the automatic weight, by which a condition counts as much as the equation.

    Example:
        >>> from knotwork import pde
        >>> pde.dirichlet(0.0, on={"x": 0.0}).on
        (('x', 0.0),)
    """

    def residual(context: EvaluationContext) -> Any:
        return context.field(field).value - context.values(value, "the value of dirichlet()")

    return Condition("dirichlet", residual, _faces(on), points, weight)


@check_keywords
def neumann(value: Value = 0.0, on: object = None, *, field: str | None = None, weight: float = 1.0) -> Condition:
    """A condition that prescribes the derivative along the outward normal on faces of the box.

    Args:
        value: a number, or a function of the coordinates, which it takes by their names as tensors (n,).
        on: the faces, as in `dirichlet`.
        field: the field's name, where the problem has several.
        weight: factor beside the automatic weight, by which a condition counts as much as the equation.

    Example:
        >>> from knotwork import pde
        >>> insulated = pde.neumann(0.0, on="x")  # no flux through both ends of x
    """

    def residual(context: EvaluationContext) -> Any:
        coordinate, sign = context.normal
        return sign * context.field(field).d(coordinate) - context.values(value, "the value of neumann()")

    return Condition("neumann", residual, _faces(on), None, weight)


@check_keywords
def initial(value: Value = 0.0, *, order: int = 0, field: str | None = None, weight: float = 1.0) -> Condition:
    """A condition that prescribes a field, or a derivative of it by time, at the first time.

    Args:
        value: a number, or a function of the coordinates, which it takes by their names as tensors (n,).
        order: order of the derivative by time; 0 is the field itself, 1 its velocity.
        field: the field's name, where the problem has several.
        weight: factor beside the automatic weight, by which a condition counts as much as the equation.

    Example:
        >>> import torch
        >>> from knotwork import pde
        >>> at_rest = [pde.initial(lambda x: torch.sin(x)), pde.initial(0.0, order=1)]
    """

    def residual(context: EvaluationContext) -> Any:
        one = context.field(field)
        reached = one.d(*[context.time] * order) if order else one.value
        return reached - context.values(value, "the value of initial()")

    return Condition("initial", residual, (), None, weight)


@check_keywords
def periodic(coordinate: str, *, derivatives: int = 1, weight: float = 1.0) -> Condition:
    """A condition that every field and its derivatives by a coordinate are the same at both ends of it.

    Args:
        coordinate: its name.
        derivatives: the number of derivatives that agree; 1 suits equations of second order.
        weight: factor beside the automatic weight, by which a condition counts as much as the equation.

    Example:
        >>> from knotwork import pde
        >>> on_a_ring = pde.periodic("angle")
    """

    def residual(context: EvaluationContext) -> Any:
        parts = []
        for low, high in zip(context.all_fields(0), context.all_fields(1), strict=True):
            parts.append(low.value - high.value)
            parts += [low.d(*[coordinate] * m) - high.d(*[coordinate] * m) for m in range(1, derivatives + 1)]
        return tuple(parts)

    return Condition("periodic", residual, ((coordinate, None),), None, weight, coordinate)


@check_keywords
def data(points: object, values: object, *, field: str | None = None, weight: float = 0.01) -> Condition:
    """A condition that a field has measured values, which may be noisy.

    Args:
        points: where it was measured, (n, coordinates), or (n,) for one coordinate.
        values: the measured values (n,), all finite.
        field: the field's name, where the problem has several.
        weight: factor beside the automatic weight. By default measurements count a hundredth of other conditions, so
            that their noise moves unknown coefficients and not the residual of the equation.

    Raises:
        SpecError: for another number of values than of points, or values that are not finite.

    Example:
        >>> from knotwork import pde
        >>> measured = pde.data([[0.1, 0.5], [0.9, 0.5]], [1.21, 1.34])
    """

    measured, (at, _) = tensor_of(values, "values of data()").reshape(-1), table_of(points, "points of data()")
    n = len(at)
    if len(measured) != n or not bool(measured.isfinite().all()):
        came = f"{len(measured)} values for {n} points" if len(measured) != n else "values that are not finite"
        raise SpecError(f"data() got {came}: pass one finite value for every point.")

    def residual(context: EvaluationContext) -> Any:
        return context.field(field).value - context.measured(measured)

    return Condition("data", residual, (), at, weight)


@check_keywords
def condition(
    residual: Callable[..., Any], on: object = None, *, points: object = None, weight: float = 1.0
) -> Condition:
    """A condition with a residual of your own, on faces of the box or at points.

    Args:
        residual: a function of fields, coordinates and unknown coefficients, as that of `Problem`.
        on: the faces, as in `dirichlet`.
        points: points (n, coordinates) instead of faces.
        weight: factor beside the automatic weight, by which a condition counts as much as the equation.

    Example:
        >>> from knotwork import pde
        >>> radiating = pde.condition(lambda u: u.d("x") + u**4, on={"x": 1.0})
    """
    return Condition(
        "condition", lambda context: context.call(residual, "the residual of condition()"), _faces(on), points, weight
    )


@check_keywords
def hard(factor: Value, offset: Value = 0.0, *, field: str | None = None) -> Hard:
    """A condition that holds exactly: the field is offset + factor·(network), the offset where the factor is zero.

    Args:
        factor: a number, or a function of the coordinates, zero where the field is known.
        offset: the same; what the field is there.
        field: the field's name; the first one of the problem by default.

    Example:
        >>> from knotwork import pde
        >>> zero_at_both_ends = pde.hard(lambda x: x * (1 - x))
    """
    return Hard(factor, offset, field)


def _faces(on: object) -> tuple[Face, ...]:
    if on is None:
        return ()
    if isinstance(on, Mapping):
        return tuple((str(name), float(value)) for name, value in on.items())
    names = (on,) if isinstance(on, str) else tuple(on)  # type: ignore[arg-type]
    return tuple((str(name), None) for name in names)
