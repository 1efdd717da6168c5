"""Columns of any size and zero: they are explained in other units, such as kelvin for °C, and shown in their own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from typing import Any

import torch

from knotwork.data import Dataset, Scaling
from knotwork.data.units import absolute_zero
from knotwork.discovery.discovery import Entry
from knotwork.discovery.entries import built
from knotwork.discovery.few_rows import LeftOut, few_rows
from knotwork.discovery.settings import DISCOVERY
from knotwork.discovery.table import sample_of
from knotwork.errors import DataError
from knotwork.formulas import simplest
from knotwork.formulas.dimensions import Dimensions
from knotwork.formulas.settings import FORMULAS
from knotwork.kan import KAN
from knotwork.regression import Constraints
from knotwork.training import FitResult
from knotwork.training.standardization import rescale_inputs, rescale_outputs


@dataclass(frozen=True)
class Units:
    """The unit of the target, and those of the inputs that need one, by name: powers of ten.

    Before, `zeros` are added to the values of temperatures that shall count from absolute zero, by name.
    """

    target: float
    inputs: Mapping[str, float]
    zeros: Mapping[str, Fraction] = field(default_factory=dict)

    @classmethod
    def of(cls, data: Dataset, absolute: bool = False) -> Units:
        """The units in which numbers have usual sizes; inputs of about the same size get the same unit.

        Temperatures in °C and °F count from their own zero, or from absolute zero if `absolute`. DataError for inputs
        whose squares no number holds, in which no formula could be written.
        """
        x = data.X_train if data.scaling is None else data.scaling.undo(data.X_train)
        zeros = _zeros(data, x) if absolute else {}
        x = x + x.new_tensor([float(zeros.get(name, 0)) for name in data.input_names])
        inputs = {}
        for name, size in zip(data.input_names, x.abs().amax(0).tolist(), strict=True):
            if size and not 1 / DISCOVERY.largest_size <= size <= DISCOVERY.largest_size:
                raise DataError(
                    f"'{name}' has values up to {size:.3g}, whose powers no number holds: use another unit, in which "
                    "they are near 1."
                )
            if size and not 1 / DISCOVERY.largest_input <= size <= DISCOVERY.largest_input:
                decades = DISCOVERY.decades_of_units
                inputs[name] = 10.0 ** (decades * round(math.log10(size) / decades))
        size, target = float(data.y_train.abs().max()), 1.0
        typical = float(data.y_train.abs().median()) or size  # the largest of targets over decades says little
        usual = 1 / DISCOVERY.largest_target <= typical <= DISCOVERY.largest_target
        if size and not (usual and size <= DISCOVERY.largest_size):
            target = 10.0 ** math.floor(math.log10(size))
        return cls(target, inputs, zeros)

    @property
    def usual(self) -> bool:
        """Whether all columns keep their own unit."""
        return self.target == 1 and not self.inputs and not self.zeros

    @property
    def said(self) -> str:
        """Which temperatures count from absolute zero, in words; empty if none does."""
        pairs = [f"{name} + {float(zero):g}" for name, zero in self.zeros.items()]
        return f"they count from absolute zero, as {', '.join(pairs)}" if pairs else ""

    def rows(self, data: Dataset) -> Dataset:
        """The data in these units."""
        if self.usual:
            return data
        unit, zero = self._each(data)
        parts = ("train", "val", "test")
        changed: dict[str, Any] = {f"y_{part}": getattr(data, f"y_{part}") / self.target for part in parts}
        if data.errors is not None and data.errors.deviation is not None:
            changed["errors"] = replace(data.errors, deviation=data.errors.deviation / self.target)
        if data.scaling is None:
            size, added = data.X_train.new_tensor(unit), data.X_train.new_tensor(zero)
            changed |= {f"X_{part}": (getattr(data, f"X_{part}") + added) / size for part in parts}
            if data.ranges is not None:
                each = zip(data.ranges, unit, zero, strict=True)
                changed["ranges"] = tuple(((low + more) / one, (high + more) / one) for (low, high), one, more in each)
        else:
            known = zip(data.scaling.center, data.scaling.scale, unit, zero, strict=True)
            pairs = [((center + more) / one, scale / one) for center, scale, one, more in known]
            changed["scaling"] = Scaling(tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs))
        changed["units"] = self.units(data)
        return replace(data, **changed)

    def units(self, data: Dataset) -> dict[str, str]:
        """The texts of the units of the columns, with absolute ones for temperatures that count from absolute zero."""
        known = {name: absolute_zero(data.units[name]) for name in self.zeros}
        return {**data.units, **{name: found[1] for name, found in known.items() if found is not None}}

    def dimensions(self, own: Dimensions | None) -> Dimensions | None:
        """The dimensions of the columns, whose factors are those of these units."""
        if own is None or self.usual:
            return own
        inputs = {
            name: replace(unit, factor=unit.factor * self.inputs.get(name, 1.0)) for name, unit in own.inputs.items()
        }
        return Dimensions(inputs, replace(own.target, factor=own.target.factor * self.target))

    def shown(self, front: tuple[Entry, ...]) -> tuple[Entry, ...]:
        """The front of a running search, for columns in their own units."""
        if self.usual:
            return front
        return tuple(
            replace(one, error=self.target * one.error, expression=self._own(one.expression), formula=None)
            for one in front
        )

    def inside(self, expression: Any) -> Any:
        """An expression of columns in their own units as one of columns in these units."""
        from knotwork.expressions import number, symbol

        if self.usual:
            return expression
        units = {symbol(name): self._own_input(name, symbol(name)) for name in {**self.inputs, **self.zeros}}
        inside = expression.xreplace(units)
        return inside * number(1 / self.target) if self.target != 1 else inside

    def entries(
        self, chosen: Entry, front: tuple[Entry, ...], data: Dataset, relative: bool, constraints: Constraints
    ) -> tuple[Entry, tuple[Entry, ...]]:
        """The chosen entry and the front for columns in their own units; the chosen one stays the same entry."""
        if self.usual:
            return chosen, front
        allowed = partial(constraints.allows, sample=sample_of(data, relative))
        own = self._entry(chosen, data, relative, allowed)
        return own, tuple(own if one is chosen else self._entry(one, data, relative, allowed) for one in front)

    def combinations(self, dependent: Mapping[str, Any]) -> dict[str, str]:
        """Columns that follow from others, as texts by name."""
        from knotwork.expressions import algebra, simplify_constants, text

        if self.usual:
            return {name: text(one) for name, one in dependent.items()}
        own = {name: self._own_input(name, self._inside(one)) for name, one in dependent.items()}
        exactly = FORMULAS.exact_error
        return {
            name: text(simplify_constants(algebra.expand(one), lambda _: True, exactly)) for name, one in own.items()
        }

    def baseline(self, result: FitResult | None, data: Dataset) -> FitResult | None:
        """The fit of a network whose outputs are sums of splines, for columns in their own units."""
        if self.usual or result is None:
            return result
        assert isinstance(result.model, KAN)
        model = result.model.copy()
        rescale_outputs(model, self.target)
        if data.scaling is None:
            unit, zero = (torch.tensor(values, dtype=torch.float64) for values in self._each(data))
            rescale_inputs(model, unit, -zero)
        errors = {name: getattr(result, name) for name in ("train_rmse", "val_rmse", "test_rmse")}
        errors = {name: None if error is None else self.target * error for name, error in errors.items()}
        return replace(result, model=model, objective=self.target * self.target * result.objective, **errors)

    def _entry(self, entry: Entry, data: Dataset, relative: bool, allowed: Callable[[Any], bool]) -> Entry:
        expression = simplest(self._own(entry.expression), data, relative, allowed)
        error = self.target * entry.error
        symbolic, spline, formula = built(expression, data, relative)
        if few_rows(data):
            sample = sample_of(data, relative)
            formula = LeftOut.of_formula(formula, sample).told_by(formula, data, sample)
        return Entry(
            formula.complexity, error, expression, entry.shape, formula, symbolic, spline, entry.bits, entry.gaps
        )

    def _own(self, expression: Any) -> Any:
        """The target as an expression of columns in their own units."""
        from knotwork.expressions import number

        inside = self._inside(expression)
        return number(self.target) * inside if self.target != 1 else inside

    def _inside(self, expression: Any) -> Any:
        """An expression of inputs in these units as one of inputs in their own units."""
        from knotwork.expressions import algebra, number, symbol

        replaced = {}
        for name in {**self.inputs, **self.zeros}:
            zero = self.zeros.get(name, Fraction(0))
            own = symbol(name) + algebra.Rational(zero.numerator, zero.denominator)
            replaced[symbol(name)] = own * number(1 / self.inputs[name]) if name in self.inputs else own
        return expression.xreplace(replaced)

    def _own_input(self, name: str, inside: Any) -> Any:
        """An input in its own unit, of its expression in these units."""
        from knotwork.expressions import algebra, number

        zero = self.zeros.get(name, Fraction(0))
        own = number(self.inputs[name]) * inside if name in self.inputs else inside
        return own - algebra.Rational(zero.numerator, zero.denominator)

    def _each(self, data: Dataset) -> tuple[list[float], list[float]]:
        """The unit of every input, and what is added before."""
        names = data.input_names
        return [self.inputs.get(name, 1.0) for name in names], [float(self.zeros.get(name, 0)) for name in names]


def _zeros(data: Dataset, x: torch.Tensor) -> dict[str, Fraction]:
    """What is added to inputs in °C and °F, by name; nothing to those that reach below absolute zero."""
    found = {}
    for name, column in zip(data.input_names, x.unbind(1), strict=True):
        known = absolute_zero(data.units[name]) if name in data.units else None
        if known is not None and float(column.min()) > -float(known[0]):
            found[name] = known[0]
    return found
