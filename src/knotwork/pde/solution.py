"""The result of `solve` as a value: the fields, how accurate they are, and how it was found."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from knotwork.data import tensor_of
from knotwork.data.arrays import is_single
from knotwork.errors import SpecError
from knotwork.kan import KAN
from knotwork.keywords import check_keywords
from knotwork.notebooks import one_line, table
from knotwork.pde.problems.points import PointSet, sobol_points, split_own_points
from knotwork.pde.problems.problem import Problem
from knotwork.pde.settings import PDE
from knotwork.pde.solving.terms import Term
from knotwork.solvers import StopReason

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@check_keywords
@dataclass(frozen=True)
class Step:
    """One entry of the history: the objective Σ w·mean r² after a step, with the grid and the time window."""

    step: int
    seconds: float
    grid: int
    window: int
    objective: float

    def __str__(self) -> str:
        return f"objective {self.objective:.2e}"


@check_keywords
@dataclass(frozen=True)
class Estimate:
    """An estimated coefficient and its standard error; NaN where there are no data whose noise could be estimated."""

    value: float
    error: float

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the coefficient, for Gaussian noise."""
        return self.value - 1.96 * self.error, self.value + 1.96 * self.error

    def __str__(self) -> str:
        return f"{self.value:.6g} ± {self.error:.2g}"


@check_keywords
@dataclass(frozen=True)
class Check:
    """How well an equation or a condition is met, or how accurate a field is, at points that were not used.

    - `what`: "the equation", "condition 2, neumann()" (numbers are those of conditions=), "the field u".
    - `relative`: the root mean square of the residual, divided by what it would be if the terms of the residual did not
      cancel. For a field its estimated error, divided by the standard deviation of the field.
    - `most`: the largest value that counts as solved.
    """

    what: str
    relative: float
    most: float

    @property
    def met(self) -> bool:
        """Whether it is at most the largest value that counts as solved; NaN is not."""
        return self.relative <= self.most

    def __str__(self) -> str:
        limit = f"and at most {self.most:g} counts as solved"
        if self.what.startswith("the field"):
            size = f"about {self.relative:.2g} of" if self.relative < 1 else "above"
            return f"the estimated error of {self.what} is {size} its spread, {limit}"
        return f"the residual of {self.what} is {self.relative:.2g} of its terms, {limit}"


@check_keywords
@dataclass(frozen=True, repr=False)
class Solution:
    """The solution of a problem; call it with coordinates to get the field. Each time window has a model.

    - `residual`: root mean square of the equation's residual at the points it was solved at.
    - `held_out`: the same at 4,000 other points. With `Problem(points=)` it is at the tenth that was set aside, NaN
      where there are fewer than 50.
    - `relative_l2`: |u - exact| / |exact| at those other points, over all fields that are known; None without `exact`.
      `mse` is the mean of (u - exact)².
    - `unknowns`: an `Estimate` for each unknown coefficient.
    - `parameters`: the number of free parameters, summed over windows. Frozen ones, and splines beyond the domain, do
      not count.
    - `checks`: a `Check` of every equation and condition, and of the error of each field where it can be estimated.
    - `stop`, `stop_reason`: why the last minimisation ended, as a value and as a sentence. A solution that fails a
      check has not converged: `stop` is then `StopReason.UNSOLVED`.
    - `history`: a `Step` after every step; `steps` is their number, `seconds` the time of the whole call.

    Example:
        >>> from knotwork import pde
        >>> growth = pde.Problem(lambda u, t: u.d("t") - u, {"t": (0, 1)}, [pde.initial(1.0)])
        >>> solution = pde.solve(growth, width=[1, 1], grid=5, starts=1)
        >>> print(f"{solution(1.0):.5f}, residual below 1e-4: {solution.held_out < 1e-4}")
        2.71828, residual below 1e-4: True
    """

    problem: Problem = field(repr=False)
    models: tuple[KAN, ...] = field(repr=False)
    windows: tuple[tuple[float, float], ...]
    unknowns: dict[str, Estimate]
    residual: float
    held_out: float
    relative_l2: float | None
    mse: float | None
    parameters: int
    stop: StopReason
    stop_reason: str
    steps: int
    seconds: float
    history: tuple[Step, ...] = field(repr=False, default=())
    checks: tuple[Check, ...] = field(repr=False, default=())

    @property
    def converged(self) -> bool:
        """Whether no further step was of use (`StopReason.converged`) and all checks are met."""
        return self.stop.converged

    @property
    def model(self) -> KAN:
        """The model, that of the last time window if there are several."""
        return self.models[-1]

    def __call__(self, *coordinates: Any) -> Any:
        """The field at points; for several fields a dict from their names to values.

        Args:
            coordinates: one a coordinate, in the order of the domain: numbers, arrays or tensors whose shapes
                broadcast. Tensors give tensors, everything else NumPy arrays of that shape.

        Raises:
            SpecError: for another number of coordinates.
        """
        names = self.problem.coordinates
        if len(coordinates) != len(names):
            raise SpecError(
                f"a solution takes {len(names)} coordinates, {', '.join(names)}, but got {len(coordinates)}."
            )
        tensors = any(isinstance(c, Tensor) for c in coordinates)
        columns = torch.broadcast_tensors(*map(_coordinate, coordinates))
        found = self.fields(torch.stack([c.reshape(-1) for c in columns], dim=1))
        shaped = {name: v.reshape(columns[0].shape) for name, v in found.items()}
        values = shaped if tensors else {name: v.numpy()[()] for name, v in shaped.items()}
        return values if len(values) > 1 else next(iter(values.values()))

    @torch.no_grad()
    def fields(self, x: Tensor) -> dict[str, Tensor]:
        """Every field at points x (n, coordinates)."""
        found = {name: torch.empty(len(x), dtype=x.dtype) for name in self.problem.fields}
        for model, rows in self._by_window(x):
            at = x[rows]
            for o, name in enumerate(self.problem.fields):
                values = model(at)[:, o]
                if name in self.problem.hard:
                    values = self.problem.apply_hard(name, at, values)
                found[name][rows] = values
        return found

    def residual_at(self, x: Tensor) -> Tensor:
        """The residuals of the equation at points x (n, coordinates): (equations, n)."""
        unknowns = torch.tensor([e.value for e in self.unknowns.values()], dtype=torch.float64)
        found: Tensor | None = None
        for model, rows in self._by_window(x):
            values = residual_of(self.problem, model, x[rows], unknowns)
            found = x.new_empty(len(values), len(x)) if found is None else found
            found[:, rows] = values
        assert found is not None
        return found

    def errors(self, x: Tensor) -> dict[str, Tensor]:
        """The field minus the exact field (n,) at points x (n, coordinates), for every field that is known."""
        found, exact = self.fields(x), self.problem.exact_values(x)
        return {name: found[name] - value for name, value in exact.items()}

    def plot(self, field: str | None = None, points: int = 120) -> Figure:
        """A matplotlib Figure of a field, of its error where that is known, and of the equation's residual.

        Over one coordinate they are curves, over two or more maps of the first two, with the others in the middle of
        the domain.

        Args:
            field: its name; the first field by default.
            points: samples along each axis.

        Raises:
            SpecError: for a name that is no field.
        """
        from knotwork.drawing import field_maps

        name = field or self.problem.fields[0]
        if name not in self.problem.fields:
            raise SpecError(f"there is no field {name!r} in this solution, which has {', '.join(self.problem.fields)}.")
        ends = self.problem.ends()
        shown = self.problem.coordinates[:2]
        axes = [np.linspace(*self.problem.domain[c], points) for c in shown]
        mesh = np.meshgrid(*axes, indexing="ij")
        x = ends.mean(0).repeat(mesh[0].size, 1)
        for i, values in enumerate(mesh):
            x[:, i] = torch.as_tensor(values.reshape(-1))
        panels = {name: self.fields(x)[name]}
        if name in self.problem.exact:
            panels["error"] = self.errors(x)[name]
        panels["residual"] = (
            self.residual_at(x).square().sum(0).sqrt() if len(self.problem.fields) > 1 else self.residual_at(x)[0]
        )
        return field_maps(
            dict(zip(shown, axes, strict=True)), {n: v.reshape(mesh[0].shape).numpy() for n, v in panels.items()}
        )

    def _by_window(self, x: Tensor) -> list[tuple[KAN, Tensor]]:
        """Each model with the indices of the rows of x that belong to its window."""
        if len(self.models) == 1:
            return [(self.model, torch.arange(len(x)))]
        time = x[:, self.problem.coordinates.index(self.problem.time or "")].contiguous()
        which = torch.bucketize(time, torch.tensor([end for _, end in self.windows[:-1]], dtype=x.dtype))
        found = [(model, (which == w).nonzero().flatten()) for w, model in enumerate(self.models)]
        return [(model, rows) for model, rows in found if len(rows)]

    def __repr__(self) -> str:
        return f"Solution({one_line(str(self).replace(chr(10), '; '), 240)})"

    def _repr_html_(self) -> str:
        rows = [(check.what, f"{check.relative:.1e}", "met" if check.met else "not met") for check in self.checks]
        head = ("at points that were not used", "relative residual or error", "")
        return table(rows, head, str(self))

    def __str__(self) -> str:
        known = "" if self.relative_l2 is None else f"relative L2 error {self.relative_l2:.2g}, "
        unknowns = "".join(f"{name} = {estimate}, " for name, estimate in self.unknowns.items())
        elsewhere = f", {self.held_out:.2g} elsewhere" if not isnan(self.held_out) else ""
        return (
            f"{unknowns}{known}residual {self.residual:.2g} where solved{elsewhere}; "
            f"{self.parameters} parameters, {self.steps} steps in {self.seconds:.2g} s\nstopped: {self.stop_reason}"
        )


def _coordinate(values: Any) -> Tensor:
    """Values of one coordinate, a number or any array, as float64."""
    if is_single(values):
        return torch.tensor(float(values), dtype=torch.float64)
    return tensor_of(values, "a coordinate")


def residual_of(problem: Problem, model: KAN, x: Tensor, unknowns: Tensor) -> Tensor:
    """The residuals of the equation at points x (n, coordinates) for one model: (equations, n)."""
    term = Term(problem, "equation", problem.equation, PointSet(x))
    term.prepare(model)
    return term.values(model, unknowns)


def other_points(problem: Problem) -> Tensor:
    """Points that no equation is solved at, (4000, coordinates), or those of the user's own that were set aside."""
    if problem.points is not None:
        return split_own_points(problem)[1]
    return sobol_points(PDE.test_points, problem.ends(), PDE.test_seed)
