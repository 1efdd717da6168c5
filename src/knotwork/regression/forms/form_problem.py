"""A form of the law with unknown constants and unknown curves, fitted together: the curves are splines."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from knotwork.formulas.constants import Sample
from knotwork.formulas.deviations import slopes_of_deviations
from knotwork.kernels import basis
from knotwork.regression.forms.settings import FORMS
from knotwork.solvers import NormalEquations, VectorProblem
from knotwork.splines import uniform_knots


@dataclass(frozen=True)
class CurveForm:
    """`expression` holds a symbol of `calls` for every call of a curve: (name of the curve, argument, symbol).

    `numbers` are those of constants that became numbers.
    """

    expression: Any
    constants: tuple[Any, ...]
    calls: tuple[tuple[str, Any, Any], ...]
    numbers: Mapping[Any, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, expression: Any, constants: Sequence[Any]) -> "CurveForm":
        """From an expression with calls of unknown functions."""
        from knotwork.expressions import algebra, unknown_curves

        calls, places = [], {}
        for number, (name, argument, call) in enumerate(unknown_curves(expression)):
            places[call] = algebra.Symbol(f"\0call {number}", real=True)
            calls.append((name, argument, places[call]))
        return cls(expression.xreplace(places), tuple(constants), tuple(calls))

    @property
    def curves(self) -> tuple[str, ...]:
        """Names of the curves."""
        return tuple(dict.fromkeys(name for name, _, _ in self.calls))

    def named(self, curve: str, name: Any, t: Any, constants: Sequence[Any]) -> "CurveForm":
        """The form with a curve replaced by an expression of the symbol t with further constants."""
        places = {place: name.xreplace({t: u}) for one, u, place in self.calls if one == curve}
        rest = tuple(call for call in self.calls if call[0] != curve)
        return CurveForm(self.expression.xreplace(places), (*self.constants, *constants), rest, self.numbers)

    def with_number(self, constant: Any, value: Any) -> "CurveForm":
        """The form with a number in place of a constant."""
        calls = tuple((name, u.xreplace({constant: value}), place) for name, u, place in self.calls)
        rest = tuple(one for one in self.constants if one != constant)
        return CurveForm(self.expression.xreplace({constant: value}), rest, calls, {**self.numbers, constant: value})

    def written(self) -> Any:
        """The expression with calls of unknown functions in place of their symbols."""
        from knotwork.expressions import algebra

        return self.expression.xreplace({place: algebra.Function(name)(u) for name, u, place in self.calls})


@dataclass(frozen=True)
class Linear:
    """A form at one place: values (n,), their slopes by constants (n, P) and calls (n, C).

    Of every call its argument (n,), the basis there (n, B), and the slopes of the argument on the scale of the knots
    (n, P).
    """

    values: Tensor
    by_constants: Tensor
    by_calls: Tensor
    arguments: tuple[Tensor, ...]
    bases: tuple[Tensor, ...]
    moved: tuple[Tensor, ...]


class FormProblem(VectorProblem):
    """Constants (P,) and the coefficients of all curves (curves, B), one after the other, as a problem for the solver.

    The knots of a curve are even over the range of its arguments, and follow the constants in them, so that a shift or
    a scale inside a curve that nothing determines changes nothing. `weights` (curves,) are those of the roughness, the
    squared differences of order 4 as in `training.smoothness`. Constants that are `pinned` stay as they are: without
    it, the roughness would make the factor of a curve ever larger and the curve ever smaller.
    """

    def __init__(
        self,
        form: CurveForm,
        sample: Sample,
        grid: int,
        start: Tensor,
        weights: Tensor,
        pinned: Sequence[int] = (),
    ) -> None:
        super().__init__(start)
        from knotwork.expressions import to_torch

        self.pinned = list(pinned)
        self.form, self.sample, self.grid, self.weights = form, sample, grid, weights
        self.size_of_curve = grid + FORMS.order
        one = torch.ones(1, dtype=torch.float64)
        self.knots = uniform_knots(-one, one, grid, FORMS.order)
        self.differences = torch.eye(self.size_of_curve, dtype=torch.float64).diff(n=FORMS.order + 1, dim=0)
        names = [*sample.columns, *(c.name for c in form.constants)]
        self.outer = to_torch(form.expression, [*names, *(place for _, _, place in form.calls)])
        self.inner = [to_torch(u, names) for _, u, _ in form.calls]
        self.columns = list(sample.columns.values())

    # --- places ---

    @property
    def count(self) -> int:
        """Number of constants."""
        return len(self.form.constants)

    def coefficients(self, at: Tensor) -> Tensor:
        """The coefficients (curves, B)."""
        return at[self.count :].view(-1, self.size_of_curve)

    def ranges(self, arguments: Sequence[Tensor]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """Of each curve, call and row of its smallest and of its largest argument."""
        found = []
        for curve in self.form.curves:
            own = [k for k, (name, _, _) in enumerate(self.form.calls) if name == curve]
            low = min(own, key=lambda k: float(arguments[k].min()))
            high = max(own, key=lambda k: float(arguments[k].max()))
            found.append(((low, int(arguments[low].argmin())), (high, int(arguments[high].argmax()))))
        return found

    def linear_at(self, at: Tensor, slopes: bool = True) -> Linear | None:
        """The form at this place; None where its values are not finite."""
        rows = [c.expand(len(self.sample)).clone().requires_grad_(slopes) for c in at[: self.count]]
        coefficients, moved, bases, values = self.coefficients(at), [], [], []
        with torch.set_grad_enabled(slopes):
            arguments = [inner(*self.columns, *rows) for inner in self.inner]
        grads = [_slopes(u, rows) for u in arguments] if slopes else []
        arguments = [u.detach() for u in arguments]
        if not all(bool(u.isfinite().all()) for u in arguments):
            return None
        places = dict(zip(self.form.curves, self.ranges(arguments), strict=True))
        for k, (name, _, _) in enumerate(self.form.calls):
            (i, low), (j, high) = places[name]
            start, end = arguments[i][low], arguments[j][high]
            width = end - start if bool(end > start) else torch.ones_like(start)
            share = (arguments[k] - start) / width
            if slopes:
                edge = (1 - share)[:, None] * grads[i][low] + share[:, None] * grads[j][high]
                moved.append(2 * (grads[k] - edge) / width)
            t = (2 * share - 1)[:, None]
            bases.append(basis(t, self.knots, FORMS.order)[:, 0])
            values.append(bases[-1] @ coefficients[self.form.curves.index(name)])
        calls = [v.detach().clone().requires_grad_(slopes) for v in values]
        with torch.set_grad_enabled(slopes):
            found = self.outer(*self.columns, *rows, *calls) * torch.ones(len(self.sample), dtype=torch.float64)
        if not bool(found.isfinite().all()):
            return None
        if not slopes:
            return Linear(found, found[:, None], found[:, None], tuple(arguments), tuple(bases), ())
        every = _slopes(found, [*rows, *calls])
        by_calls = every[:, self.count :]
        by_constants = every[:, : self.count].clone()
        for k, (name, _, _) in enumerate(self.form.calls):
            own = coefficients[self.form.curves.index(name)]
            t = _places(arguments[k], arguments, places[name])
            bend = basis(t[:, None], self.knots, FORMS.order, 1)[:, 0] @ own
            by_constants += (by_calls[:, k] * bend)[:, None] * moved[k]
        return Linear(found.detach(), by_constants, by_calls, tuple(arguments), tuple(bases), tuple(moved))

    def unit(self, values: Tensor) -> Tensor:
        """Derivatives (n,) of the residuals by the values."""
        y = self.sample.y
        return self.sample.weighed(slopes_of_deviations(values, y) if self.sample.relative else torch.ones_like(y))

    def jacobian(self, linear: Linear) -> Tensor:
        """Derivatives (n, P + curves·B) of the residuals."""
        blocks: list[Tensor] = [linear.by_constants]
        for curve in self.form.curves:
            own = [k for k, (name, _, _) in enumerate(self.form.calls) if name == curve]
            blocks.append(torch.stack([linear.by_calls[:, k, None] * linear.bases[k] for k in own]).sum(0))
        found = torch.nan_to_num(torch.cat(blocks, 1) * self.unit(linear.values)[:, None], 0.0, 0.0, 0.0)
        found[:, self.pinned] = 0.0
        return found

    @cached_property
    def penalty(self) -> Tensor:
        """The matrix of the roughness, (P + curves·B) squared."""
        square = self.differences.T @ self.differences
        blocks = [torch.zeros(self.count, self.count, dtype=torch.float64), *(w * square for w in self.weights)]
        found = torch.block_diag(*blocks)
        found[self.pinned] = 0.0
        found[:, self.pinned] = 0.0
        return found

    # --- the interface of the solver ---

    def evaluate(self, at: Tensor) -> tuple[float, None]:
        linear = self.linear_at(at, slopes=False)
        if linear is None:
            return math.inf, None
        rough = (self.coefficients(at) @ self.differences.T).square().sum(1)
        loss = float(self.sample.residuals(linear.values).square().mean() + self.weights @ rough)
        return (loss if loss == loss else math.inf), None

    def linearise(self) -> NormalEquations:
        linear = self.linear_at(self.at)
        assert linear is not None
        jacobian, n = self.jacobian(linear), len(self.sample)
        penalty = self.penalty
        matrix = jacobian.T @ jacobian / n + penalty
        gradient = jacobian.T @ self.sample.residuals(linear.values) / n + penalty @ self.at
        return NormalEquations(matrix, gradient)


def _places(u: Tensor, arguments: Sequence[Tensor], ends: tuple[tuple[int, int], tuple[int, int]]) -> Tensor:
    """Arguments on the scale of the knots, from -1 to 1."""
    (i, low), (j, high) = ends
    start, end = arguments[i][low], arguments[j][high]
    return 2 * (u - start) / (end - start if bool(end > start) else torch.ones_like(start)) - 1


def _slopes(values: Tensor, rows: Sequence[Tensor]) -> Tensor:
    """Derivatives (n, len(rows)) of values (n,) by numbers of the same row."""
    if not rows or not values.requires_grad:
        return values.new_zeros(len(values), len(rows))
    parts = torch.autograd.grad(values.sum(), rows, retain_graph=True, materialize_grads=True)
    return torch.stack(parts, dim=-1)
