"""Constants of one expression for rows in groups: some are shared by all groups, others differ between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from knotwork.formulas.constants import ConstantsFit, Sample, Template
from knotwork.formulas.deviations import slopes_of_deviations
from knotwork.formulas.settings import FORMULAS
from knotwork.formulas.uncertainty import Uncertainty, _inverse_root
from knotwork.journal import Value, recalled
from knotwork.solvers import ArrowEquations, Options, gauss_newton
from knotwork.solvers.batched import solve_batched


@dataclass(frozen=True)
class GroupedSample:
    """Rows to fit an expression to, with the number (n,) of the group of each, from 0 to `count` - 1."""

    never_changes: ClassVar[bool] = True
    sample: Sample
    group: Tensor
    count: int

    @property
    def rows(self) -> Tensor:
        """The number of rows of every group, (G,)."""
        return torch.bincount(self.group, minlength=self.count)

    def of(self, group: int) -> Sample:
        """The rows of one group alone."""
        return self.sample.rows(self.group == group)


@dataclass(frozen=True)
class GroupedTemplate:
    """An expression whose constants are the symbols of `shared`, with one value, and of `differing`, with (G,) values.

    `doubt` corrects the description length, as in `Template`. `named` counts the symbols of a law that has a name,
    which cost half.
    """

    expression: Any
    shared: Mapping[Any, float]
    differing: Mapping[Any, Tensor]
    mse: float = float("inf")
    doubt: float = 0.0
    named: int = 0
    uncertainty: tuple[Uncertainty, ...] = field(default=(), repr=False, compare=False)

    @property
    def numbers(self) -> int:
        """How many numbers the rows have to determine."""
        return len(self.shared) + sum(len(values) for values in self.differing.values())

    def of(self, group: int) -> Template:
        """The expression with the constants of one group."""
        own = {symbol: float(values[group]) for symbol, values in self.differing.items()}
        return Template(self.expression, {**self.shared, **own})

    def replaced(self, symbol: Any, value: Any) -> "GroupedTemplate | None":
        """The template with a number in place of one constant; None where the result is no finite expression."""
        from knotwork.expressions import algebra

        expression = self.expression.xreplace({symbol: value})
        if expression.has(algebra.zoo, algebra.nan, algebra.oo, algebra.cot):
            return None
        left = expression.free_symbols
        shared = {s: v for s, v in self.shared.items() if s in left}
        differing = {s: v for s, v in self.differing.items() if s in left}
        return replace(self, expression=expression, shared=shared, differing=differing, mse=float("inf"))


class _Slopes:
    """Values (n,) of an expression and their derivatives (n, P), for constants (n, P) that every row has of its own."""

    def __init__(self, expression: Any, symbols: Sequence[Any], sample: Sample) -> None:
        from knotwork.expressions import to_torch

        self.function = to_torch(expression, [*sample.columns, *(s.name for s in symbols)])
        self.columns, self.ones = list(sample.columns.values()), torch.ones_like(sample.y)

    def values(self, constants: Tensor) -> Tensor:
        with torch.no_grad():
            return self.function(*self.columns, *constants.unbind(1)) * self.ones

    def slopes(self, constants: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            rows = [column.clone().requires_grad_() for column in constants.unbind(1)]
            found = self.function(*self.columns, *rows) * self.ones
            parts = torch.autograd.grad(found.sum(), rows, materialize_grads=True) if rows else ()
        jacobian = torch.stack(parts, dim=-1) if parts else found.new_zeros(len(self.ones), 0)
        return found.detach(), torch.nan_to_num(jacobian, nan=0.0, posinf=0.0, neginf=0.0)


class _Apart:
    """The fit of every group on its own, as a batch of problems."""

    def __init__(self, template: Template, grouped: GroupedSample) -> None:
        self.grouped, self.rows = grouped, grouped.rows.clamp_min(1)
        self.slopes = _Slopes(template.expression, list(template.values), grouped.sample)

    def evaluate(self, parameters: Tensor) -> tuple[Tensor, ...]:
        residuals = self.grouped.sample.residuals(self.slopes.values(parameters[self.grouped.group]))
        return self.summed(residuals.square()).nan_to_num(torch.inf, torch.inf), parameters

    def normal_equations(self, state: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        sample = self.grouped.sample
        values, jacobian = self.slopes.slopes(state[1][self.grouped.group])
        if sample.relative:
            jacobian = jacobian * slopes_of_deviations(values, sample.y)[:, None]
        jacobian = sample.weighed(jacobian)
        products = self.summed(jacobian[:, :, None] * jacobian[:, None, :])
        return products, self.summed(jacobian * sample.residuals(values)[:, None]).nan_to_num(0.0)

    def summed(self, rows: Tensor) -> Tensor:
        """The mean of the rows of every group, (G, ...)."""
        total = rows.new_zeros(self.grouped.count, *rows.shape[1:]).index_add_(0, self.grouped.group, rows)
        return total / self.rows.view(-1, *[1] * (rows.ndim - 1))


def fitted_apart(
    starts: Sequence[Template], grouped: GroupedSample, steps: int = FORMULAS.fit_steps
) -> GroupedTemplate:
    """The template with all constants differing, every group fitted on its own from each start, the best one taken.

    The starts have the same expression and symbols. Then every group also starts from the constants of the groups that
    are fitted best, as a group with few rows may have ended in a local minimum.
    """
    return recalled(
        "fitted_apart",
        lambda: (starts[0].expression, [_numbers(one.values) for one in starts], grouped, steps),
        lambda: _fitted_apart(starts, grouped, steps),
        lambda found: (list(found.differing.values()), found.mse),
        lambda kept: GroupedTemplate(
            starts[0].expression, {}, dict(zip(starts[0].values, kept[0], strict=True)), kept[1]
        ),
    )


def _numbers(values: Mapping[Any, Any]) -> list[tuple[str, Any]]:
    return [(symbol.name, value) for symbol, value in values.items()]


def _fitted_apart(starts: Sequence[Template], grouped: GroupedSample, steps: int) -> GroupedTemplate:
    problem, best = _Apart(starts[0], grouped), None
    size = problem.evaluate(torch.zeros(grouped.count, len(starts[0].values), dtype=torch.float64))[0].clamp_min(1e-300)
    size = torch.where(size.isfinite(), size, problem.summed(grouped.sample.y.square()).clamp_min(1e-300))

    def better(start: Tensor) -> tuple[Tensor, Tensor]:
        found = solve_batched(problem, start.expand(grouped.count, -1).clone(), steps)
        if best is None:
            return found.losses, found.parameters
        lower = found.losses < best[0]
        return torch.where(lower, found.losses, best[0]), torch.where(lower[:, None], found.parameters, best[1])

    for start in starts:
        best = better(torch.tensor([list(start.values.values())], dtype=torch.float64))
    assert best is not None
    for group in (best[0] / size).argsort()[: FORMULAS.groups_to_start_from].tolist():
        best = better(best[1][group : group + 1])
    mse = float((best[0] * grouped.rows).sum() / grouped.rows.sum())
    values = dict(zip(starts[0].values, best[1].unbind(1), strict=True))
    return GroupedTemplate(starts[0].expression, {}, values, mse)


def fitted_apart_each(template: Template, start: Tensor, grouped: GroupedSample) -> tuple[Tensor, Tensor]:
    """Constants (G, P) of every group, fitted on its own from a start (G, P) of its own, and the mean squares (G,)."""
    return recalled(
        "fitted_apart_each",
        lambda: (template.expression, [symbol.name for symbol in template.values], start, grouped),
        lambda: _fitted_apart_each(template, start, grouped),
        lambda found: found,
        lambda kept: kept,
    )


def _fitted_apart_each(template: Template, start: Tensor, grouped: GroupedSample) -> tuple[Tensor, Tensor]:
    found = solve_batched(_Apart(template, grouped), start, FORMULAS.fit_steps)
    return found.parameters, found.losses


class _Together(ConstantsFit):
    """Shared and differing constants in one vector, as a problem for the solver."""

    def __init__(self, template: GroupedTemplate, grouped: GroupedSample) -> None:
        start = [torch.tensor(list(template.shared.values()), dtype=torch.float64)]
        if template.differing:
            start.append(torch.stack(list(template.differing.values()), 1).flatten())
        self.grouped, self.count = grouped, len(template.shared)
        slopes = _Slopes(template.expression, [*template.shared, *template.differing], grouped.sample)
        super().__init__(
            torch.cat(start),
            grouped.sample,
            lambda at: slopes.values(self.each(at)),
            lambda at: slopes.slopes(self.each(at)),
        )

    def each(self, at: Tensor) -> Tensor:
        """The constants of every row, (n, S + V)."""
        group, own = self.grouped.group, at[self.count :].view(self.grouped.count, -1)
        return torch.cat([at[: self.count].expand(len(group), -1), own[group]], dim=1)

    def linearise(self) -> ArrowEquations:
        residuals, jacobian = self.linear()
        shared, own = jacobian[:, : self.count], jacobian[:, self.count :]

        def summed(rows: Tensor) -> Tensor:
            return rows.new_zeros(self.grouped.count, *rows.shape[1:]).index_add_(0, self.grouped.group, rows) / len(
                rows
            )

        gradient = torch.cat([shared.T @ residuals / len(residuals), summed(own * residuals[:, None]).flatten()])
        blocks = summed(own[:, :, None] * own[:, None, :])
        return ArrowEquations(
            shared.T @ shared / len(shared), summed(shared[:, :, None] * own[:, None, :]), blocks, gradient
        )


def fitted_together(
    template: GroupedTemplate, grouped: GroupedSample, steps: int = FORMULAS.fit_steps
) -> GroupedTemplate:
    """The template with all its constants fitted together to all rows, from the values they have."""

    def restored(kept: Value) -> GroupedTemplate:
        shared = dict(zip(template.shared, kept[0], strict=True))
        differing = dict(zip(template.differing, kept[1], strict=True))
        return replace(template, shared=shared, differing=differing, mse=kept[2], uncertainty=())

    return recalled(
        "fitted_together",
        lambda: (template.expression, _numbers(template.shared), _numbers(template.differing), grouped, steps),
        lambda: _fitted_together(template, grouped, steps),
        lambda found: (list(found.shared.values()), list(found.differing.values()), found.mse),
        restored,
    )


def _fitted_together(template: GroupedTemplate, grouped: GroupedSample, steps: int) -> GroupedTemplate:
    fit = _Together(template, grouped)
    fit.begin()
    if fit.size and fit.loss < float("inf"):
        target = (FORMULAS.smallest_residual * grouped.sample.scale) ** 2
        gauss_newton(fit, Options(None, steps, FORMULAS.slow_gain, FORMULAS.slow_steps, target))
    shared = dict(zip(template.shared, fit.at[: fit.count].tolist(), strict=True))
    own = fit.at[fit.count :].view(grouped.count, len(template.differing)).unbind(1)
    differing = dict(zip(template.differing, own, strict=True))
    return replace(template, shared=shared, differing=differing, mse=fit.loss, uncertainty=())


def with_uncertainty(template: GroupedTemplate, grouped: GroupedSample) -> GroupedTemplate:
    """The fitted template with the uncertainty of the constants of every group, shared ones first.

    The constants of a group are eliminated from its rows, and what they leave determines the shared constants: time
    and memory grow linearly with the number of groups.
    """
    fit = _Together(template, grouped)
    residuals, jacobian = fit.linear()
    degrees = len(residuals) - template.numbers
    deviation = float((residuals.square().sum() / degrees).sqrt()) if degrees > 0 else float("inf")
    groups = [_Eliminated.of(jacobian[grouped.group == g], fit.count) for g in range(grouped.count)]
    shared = _inverse_root_beside(torch.cat([one.rest for one in groups]), jacobian[:, : fit.count].norm(dim=0))
    noise = deviation, degrees, grouped.sample.relative
    every = [Uncertainty(template.of(g), *one.with_shared(*shared), *noise) for g, one in enumerate(groups)]
    return replace(template, uncertainty=tuple(every))


def _inverse_root_beside(rest: Tensor, norms: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`_inverse_root` of what other columns leave of columns of these lengths: beside them, rounding counts as zero."""
    scale = torch.where(norms > 0, norms, 1.0)
    _, singular, right = torch.linalg.svd(torch.linalg.qr(rest / scale, "r").R)
    singular = torch.cat([singular, singular.new_zeros(len(scale) - len(singular))])
    seen = singular > FORMULAS.unseen_direction
    return right[seen] / singular[seen, None] / scale, right[~seen], scale


@dataclass(frozen=True)
class _Eliminated:
    """The rows of one group without the constants of the group.

    `factor`, `blind` and `scale` are those of its own constants with the shared ones known, `follows` (V, S) the
    negative derivative of its own constants by the shared ones, `rest` (r, S) the derivatives left.
    """

    factor: Tensor
    blind: Tensor
    scale: Tensor
    follows: Tensor
    rest: Tensor

    @classmethod
    def of(cls, jacobian: Tensor, count: int) -> "_Eliminated":
        shared, own = jacobian[:, :count], jacobian[:, count:]
        factor, blind, scale = _inverse_root(own)
        basis = own @ factor.T  # orthonormal columns
        rest = shared - basis @ (basis.T @ shared)
        return cls(factor, blind, scale, factor.T @ (basis.T @ shared), torch.linalg.qr(rest, "r").R)

    def with_shared(self, factor: Tensor, blind: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Factor (r, S + V), blind directions (m, S + V) and scale (S + V,) of shared and own constants together."""
        whole = torch.cat([factor, -factor @ self.follows.T], dim=1)
        below = torch.cat([self.factor.new_zeros(len(self.factor), len(scale)), self.factor], dim=1)
        moves = -(blind / scale) @ self.follows.T * self.scale
        open_ = torch.cat([blind, moves], dim=1)
        open_ = open_ / open_.norm(dim=1, keepdim=True)
        own = torch.cat([self.blind.new_zeros(len(self.blind), len(scale)), self.blind], dim=1)
        return torch.cat([whole, below]), torch.cat([open_, own]), torch.cat([scale, self.scale])
