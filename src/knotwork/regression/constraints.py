"""What is known about a formula beforehand: its functions, forbidden ones, inputs that enter linearly, its limits."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from knotwork.data.column_names import unknown_name
from knotwork.errors import DataError, SpecError
from knotwork.formulas.constants import Sample
from knotwork.functions import NamedFunction, named_function, select
from knotwork.regression.candidate_formulas import CandidateFormula
from knotwork.regression.curve_names import IDENTITY, OuterFunction
from knotwork.regression.fitted_structures import AnyFit
from knotwork.regression.limits import Limits, names_of
from knotwork.regression.search import Search
from knotwork.regression.settings import REGRESSION
from knotwork.regression.structures import Axis


@dataclass(frozen=True)
class Constraints:
    """What every formula of a search must satisfy.

    Args:
        functions: functions that curves may be named with.
        forbidden: functions that no formula may contain, not as a part either.
        linear: inputs that enter linearly: y = a + b·x, where a and b may depend on the others.
        only: whether formulas may contain no functions but those that occur in `functions`, and powers.
        limits: what else formulas must satisfy.
    """

    functions: tuple[NamedFunction, ...]
    forbidden: tuple[NamedFunction, ...] = ()
    linear: tuple[str, ...] = ()
    only: bool = False
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def of(
        cls,
        lib: Iterable[str] | None,
        forbid: Iterable[str] | None,
        linear: Iterable[str] | None,
        columns: Sequence[str],
        limits: Limits | None = None,
    ) -> "Constraints":
        """From names of functions and columns.

        Raises:
            SpecError: a function is unknown (with the closest name), all are forbidden, or a text stands in place of a
                list.
            DataError: an input is unknown (with the closest name).
        """
        forbidden = tuple(named_function(name) for name in names_of(forbid, "forbid"))
        if any(function.name == "x" for function in forbidden):
            raise SpecError(
                "'x' cannot be forbidden: every formula contains it. To exclude an input, remove it from the table."
            )
        functions = tuple(f for f in select(None if lib is None else names_of(lib, "lib")) if f not in forbidden)
        if not functions:
            raise SpecError("all functions of lib= are forbidden: leave at least one, such as 'x'.")
        linear_inputs = names_of(linear, "linear")
        for name in linear_inputs:
            if name not in columns:
                raise DataError(unknown_name(name, columns, "input"))
        return cls(functions, forbidden, linear_inputs, lib is not None, limits or Limits())

    @property
    def names(self) -> list[str]:
        """Names of the functions that curves may be named with."""
        return [function.name for function in self.functions]

    def allows(self, expression: Any, sample: Sample) -> bool:
        """Whether an expression satisfies all of this; linearity is tested on the rows of the sample."""
        return self._allows_parts(expression, sample) and self.limits.unmet(expression, sample) is None

    def satisfied(self, formula: CandidateFormula, sample: Sample) -> CandidateFormula | None:
        """The formula, or one close to it that satisfies all of this; None where there is none."""
        if not self._allows_parts(formula.template.filled(), sample):
            return None
        if self.limits.any and self.limits.unmet(formula.template.filled(), sample) is not None:
            formula = self.limits.repaired(formula, sample)
        return formula if self.allows(formula.template.filled(), sample) else None

    def _allows_parts(self, expression: Any, sample: Sample) -> bool:
        """Whether the functions of an expression are allowed, and inputs enter it linearly that must."""
        from knotwork.expressions import contains, function_names, parse

        if any(contains(expression, parse(function.expression, ["x"])) for function in self.forbidden):
            return False
        if self.only:
            known = {name for f in self.functions for name in function_names(parse(f.expression, ["x"]))}
            if not function_names(expression) <= known:
                return False
        return all(_is_linear(expression, name, sample) for name in self.linear)

    def search(self, sample: Sample, train: int, **options: Any) -> Search:
        """A search for formulas that satisfy this; `options` are those of `Search`, without the functions."""
        if not (self.forbidden or self.linear or self.only or self.limits.any):
            return Search(sample, train, self.functions, **options)
        return _ConstrainedSearch(self, sample, train, **options)


class _ConstrainedSearch(Search):
    """A search in which linear inputs have straight curves, and formulas that are not allowed do not end it."""

    def __init__(self, constraints: Constraints, sample: Sample, train: int, **options: Any) -> None:
        super().__init__(sample, train, constraints.functions, **options)
        self.constraints = constraints
        axes = zip(sample.columns, self.rows.axes, strict=True)
        constrained = tuple(_LinearAxis(axis) if name in constraints.linear else axis for name, axis in axes)
        self.rows = replace(self.rows, axes=constrained)

    def usual_outer(self) -> list[OuterFunction]:
        return [IDENTITY] if self.constraints.linear else super().usual_outer()

    def unusual_outer(self) -> list[OuterFunction]:
        return [] if self.constraints.linear else super().unusual_outer()

    def kept(self, fits: list[AnyFit]) -> list[AnyFit]:
        best, sizes = super().kept(fits), {fit.size: fit for fit in reversed(fits)}
        return [*best, *(fit for fit in sizes.values() if fit not in best)]  # short ones, too: long ones may be refused

    def judge(self, formula: CandidateFormula) -> bool:
        satisfied = self.constraints.satisfied(formula, self.sample)
        return satisfied is not None and super().judge(satisfied)


class _LinearAxis(Axis):
    """An input whose curves are straight lines. Its basis has as many columns as others; all but two are zero."""

    straight = True

    def __init__(self, axis: Axis) -> None:
        self.values, self.positive, self.logarithmic = axis.values, axis.positive, False
        low, high = axis.values.min(), axis.values.max()
        self.half, self.train = float(high - low) / 2 or 1.0, axis.train
        self.at = (axis.values - low) / self.half - 1
        self.basis = torch.zeros_like(axis.basis)
        self.basis[:, 0], self.basis[:, 1] = 1.0, self.at
        self.projection = torch.linalg.pinv(self.basis[: self.train], rtol=REGRESSION.pseudoinverse_cutoff)


def _is_linear(expression: Any, name: str, sample: Sample) -> bool:
    """Whether the values lie on a straight line, in every row, when this input moves through its range."""
    from knotwork.expressions import symbol, to_torch

    if symbol(name) not in expression.free_symbols:
        return True
    function, column = to_torch(expression, list(sample.columns)), sample.columns[name]
    shares = torch.linspace(0, 1, REGRESSION.linear_points, dtype=torch.float64)
    places = column.min() + shares * (column.max() - column.min())
    values = torch.stack(
        [function(*{**sample.columns, name: place.expand_as(column)}.values()) for place in places.unbind()]
    )
    line = values[:1] + shares[:, None] * (values[-1:] - values[:1])
    distance = float((values - line).abs().nan_to_num(torch.inf).max())
    return distance <= REGRESSION.linear_tolerance * sample.scale
