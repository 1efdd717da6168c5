"""A problem as its user states it: a residual, a domain, conditions, and unknown coefficients."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from knotwork.errors import SpecError
from knotwork.keywords import check_keywords
from knotwork.pde.problems.conditions import Condition, Hard
from knotwork.pde.problems.directional import Multi
from knotwork.pde.problems.evaluation_context import EvaluationContext, residuals_of
from knotwork.pde.problems.fields import DerivativeRecorder, Field, values_of


@check_keywords
class Problem:
    """A differential equation on a box, or on points of your own, with its conditions.

    Least squares on the residuals solve it (Raissi, Perdikaris and Karniadakis 2019, with splines in place of an MLP;
    Liu et al. 2024, section 3.4, eq. 3.2).

    Args:
        residual: what shall be zero, (n,), or a tuple of such tensors for several equations. It takes fields,
            coordinates and unknown coefficients by the names of its arguments: `u` and `u.value` are the field's
            values, `u.d("x", "x")` its derivatives, coordinates are tensors, all (n,).
        domain: each coordinate's (low, high), in the order of the network's inputs.
        conditions: made by `dirichlet`, `neumann`, `initial`, `periodic`, `data`, `condition` and `hard`.
        fields: the names of the unknown functions, one a network's output.
        unknowns: first guesses of physical coefficients that shall be estimated, by name.
        time: the coordinate that initial conditions and time windows are about; "t" if there is one of that name.
        points: points (n, coordinates) of a domain of another shape. The equation is solved at them; from 50 points on
            a tenth is set aside to judge the solution.
        exact: the exact solution, a function of the coordinates, or one for each field by its name. Only reported
            errors use it.

    Raises:
        SpecError: for names that are used twice or missing, a domain without a length, a condition outside of it.

    Example:
        >>> import torch
        >>> from knotwork import pde
        >>> problem = pde.Problem(lambda u, t: u.d("t") + u, {"t": (0, 1)}, [pde.initial(1.0)])
        >>> solution = pde.solve(problem, width=[1, 1], grid=5, starts=1)
        >>> print(f"{solution(1.0):.6f}")
        0.367879
    """

    def __init__(
        self,
        residual: Callable[..., Any],
        domain: Mapping[str, tuple[float, float]],
        conditions: Sequence[Condition | Hard] = (),
        *,
        fields: str | Sequence[str] = "u",
        unknowns: Mapping[str, float] | None = None,
        time: str | None = None,
        points: object = None,
        exact: Callable[..., Any] | Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        self.residual, self.points = residual, points
        self.domain = _checked_domain(domain)
        self.fields = (fields,) if isinstance(fields, str) else tuple(fields)
        self.unknowns = {name: float(value) for name, value in (unknowns or {}).items()}
        if time is not None and time not in self.domain:
            raise SpecError(f"time={time!r} is no coordinate of this domain, which has {', '.join(self.domain)}.")
        self.time = time or ("t" if "t" in self.domain else None)
        conditions = [conditions] if isinstance(conditions, Condition | Hard) else list(conditions)
        self.conditions = tuple(c for c in conditions if isinstance(c, Condition))
        self.hard = {c.field or self.fields[0]: c for c in conditions if isinstance(c, Hard)}
        for c in conditions:
            if not isinstance(c, Condition | Hard):
                raise SpecError(
                    f"conditions holds {c!r}: make conditions with pde.dirichlet(), pde.initial() and so on."
                )
        self.exact = {self.fields[0]: exact} if callable(exact) else dict(exact or {})
        self._check_names()

    def _check_names(self) -> None:
        names = [*self.fields, *self.domain, *self.unknowns]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise SpecError(
                f"{sorted(twice)[0]!r} names two things of this problem: fields, coordinates and unknowns need "
                "names of their own."
            )
        for c in self.conditions:
            if c.kind == "initial" and self.time is None:
                raise SpecError(
                    "initial() needs a time, but no coordinate is called t: pass Problem(time=...) with its name, or "
                    "use dirichlet() on a face."
                )
            for name, value in c.on:
                if name not in self.domain:
                    raise SpecError(
                        f"a {c.kind} condition is on {name!r}, which is no coordinate: the domain has "
                        f"{', '.join(self.domain)}."
                    )
                if value is not None and not self.domain[name][0] <= value <= self.domain[name][1]:
                    raise SpecError(f"a {c.kind} condition is on {name} = {value:g}, outside of {self.domain[name]}.")
        for name in [*self.hard, *self.exact]:
            if name not in self.fields:
                raise SpecError(f"there is no field {name!r} in this problem, which has {', '.join(self.fields)}.")

    @property
    def coordinates(self) -> tuple[str, ...]:
        """The names of the coordinates, in the order of the model's inputs."""
        return tuple(self.domain)

    def ends(self) -> Tensor:
        """The low and the high ends of the box: (2, coordinates)."""
        return torch.tensor(list(self.domain.values()), dtype=torch.float64).T

    def by_name(self, x: Tensor) -> dict[str, Tensor]:
        """The columns of x (n, coordinates) by name."""
        return dict(zip(self.domain, x.unbind(1), strict=True))

    def equation(self, context: EvaluationContext) -> Any:
        """The residual of the equation."""
        return context.call(self.residual, "the residual")

    def derivatives_in(
        self, residual: Callable[[EvaluationContext], Any], context: EvaluationContext, what: str
    ) -> set[Multi]:
        """The partial derivatives that a residual uses, found by evaluating it once at the points of `context`.

        SpecError for a residual that does not depend on any field, or has the wrong shape.
        """
        multis: set[Multi] = set()
        parts = self._evaluate_once(residual, context, what, multis)
        if not any(part.requires_grad for part in parts):
            raise SpecError(
                f"{what} does not depend on {' or '.join(self.fields)}: write it with "
                f'{self.fields[0]}, {self.fields[0]}.value or {self.fields[0]}.d("{self.coordinates[0]}").'
            )
        return multis

    def finite_at(self, x: Tensor) -> Tensor:
        """Whether the equation's residual is finite at points x (n, coordinates) for some smooth field: (n,).

        On a face it may not be: u.d("r") / r is not at r = 0.
        """
        unknowns = {name: torch.tensor(value, dtype=x.dtype) for name, value in self.unknowns.items()}
        context = EvaluationContext([{}], self.by_name(x), unknowns, self.time)
        parts = self._evaluate_once(self.equation, context, "the residual", set())
        return torch.stack(parts).isfinite().all(0)

    def _evaluate_once(
        self, residual: Callable[[EvaluationContext], Any], context: EvaluationContext, what: str, multis: set[Multi]
    ) -> list[Tensor]:
        """The residuals (n,) where all fields and derivatives are 1/2; the derivatives used are added to `multis`."""
        some = next(iter(context.coordinates.values()))
        recorder = DerivativeRecorder(some, self.coordinates, multis)
        fields = {name: Field(name, recorder) for name in self.fields}
        with torch.enable_grad():
            return residuals_of(residual(context.with_fields([fields, fields])), len(some), what)

    def apply_hard(self, name: str, x: Tensor, values: Tensor) -> Tensor:
        """A field at x (n, coordinates) from the network's output (n,), by its hard condition."""
        at, hard = self.by_name(x), self.hard[name]
        factor = values_of(hard.factor, "the factor of hard()", at)
        return values_of(hard.offset, "the offset of hard()", at) + factor * values

    def exact_values(self, x: Tensor) -> dict[str, Tensor]:
        """The exact fields at x (n, coordinates), those that are known."""
        at = self.by_name(x)
        return {name: values_of(f, f"exact ({name})", at).detach() for name, f in self.exact.items()}


def _checked_domain(domain: Mapping[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    if not isinstance(domain, Mapping) or not domain:
        raise SpecError(f'domain={domain!r} must map every coordinate to its ends, such as {{"x": (-1, 1)}}.')
    found = {}
    for name, ends in domain.items():
        try:
            low, high = (float(end) for end in ends)
        except (TypeError, ValueError):
            low, high = math.nan, math.nan
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise SpecError(f"the domain of {name} is {ends!r}: give (low, high), finite numbers with low < high.")
        found[str(name)] = (low, high)
    return found
