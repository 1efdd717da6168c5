"""What a residual is evaluated with: the fields, coordinates and unknown coefficients at some points."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from knotwork.errors import SpecError
from knotwork.pde.problems.fields import Field, call_by_name, values_of


class EvaluationContext:
    """The values that a residual is computed from, at n points, by name.

    `fields` holds one mapping; for a periodic condition it holds two, at the low and at the high end. `time` is the
    name of time, `normal` (coordinate, ±1) the outward normal on a face of the box. `rows` are the rows of measured
    values that belong to the points.
    """

    def __init__(
        self,
        fields: Sequence[Mapping[str, Field]],
        coordinates: Mapping[str, Tensor],
        unknowns: Mapping[str, Tensor],
        time: str | None = None,
        normal: tuple[str, int] | None = None,
        rows: slice = slice(None),
    ) -> None:
        self.fields, self.coordinates, self.unknowns = fields, coordinates, unknowns
        self.time, self._normal, self.rows = time or "", normal, rows

    def with_fields(self, fields: Sequence[Mapping[str, Field]]) -> EvaluationContext:
        """The same points with other fields."""
        return EvaluationContext(fields, self.coordinates, self.unknowns, self.time, self._normal, self.rows)

    def field(self, name: str | None) -> Field:
        """The field of that name, or the only one; SpecError where there is none or where there are several."""
        fields = self.fields[0]
        if name is None and len(fields) > 1:
            raise SpecError(
                f"this problem has the fields {', '.join(fields)}: name the one that a condition is on, field=."
            )
        if name is not None and name not in fields:
            raise SpecError(f"there is no field {name!r} in this problem, which has {', '.join(fields)}.")
        return fields[name] if name is not None else next(iter(fields.values()))

    def all_fields(self, end: int) -> list[Field]:
        """All fields: at the low end (0) or at the high end (1) of a periodic coordinate."""
        return list(self.fields[end].values())

    def values(self, function: object, what: str) -> Tensor:
        """A number, or a function of the coordinates, at the points: (n,)."""
        return values_of(function, what, self.coordinates)

    def call(self, residual: Callable, what: str) -> Any:
        """A residual as users write it, a function of fields, coordinates and unknowns, at the points."""
        return call_by_name(residual, what, {**self.fields[0], **self.coordinates, **self.unknowns})

    def measured(self, values: object) -> Tensor:
        """The measured values that belong to the points: (n,)."""
        some = next(iter(self.coordinates.values()))
        return torch.as_tensor(values, dtype=some.dtype).reshape(-1)[self.rows]

    @property
    def normal(self) -> tuple[str, int]:
        """The coordinate across the face that the points are on, and ±1; SpecError at points that are on none."""
        if self._normal is None:
            raise SpecError("neumann() needs a face of the box, whose normal is known: name it with on=.")
        return self._normal


def residuals_of(found: Any, n: int, what: str) -> list[Tensor]:
    """What a residual returned, as a list of tensors (n,); SpecError for anything else."""
    parts = list(found) if isinstance(found, list | tuple) else [found]
    parts = [part.value if isinstance(part, Field) else part for part in parts]
    for part in parts:
        if not isinstance(part, Tensor) or part.shape != (n,):
            came = f"shape {tuple(part.shape)}" if isinstance(part, Tensor) else type(part).__name__
            raise SpecError(
                f"{what} gave {came} for {n} points: it must give one number a point, shape ({n},), or a tuple of "
                "such tensors, one an equation."
            )
    return parts
