"""A formula of groups from a fitted template: constants with names, errors and units, and its accuracy."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from knotwork.formulas.agreement import Agreement, agreement
from knotwork.formulas.constants import Template, distinct
from knotwork.formulas.dimensions import Dimensions
from knotwork.formulas.grouped_constants import GroupedSample, GroupedTemplate, with_uncertainty
from knotwork.formulas.grouped_formula import GroupedFormula, Label
from knotwork.formulas.uncertainty import Constant


def measured_groups(
    template: GroupedTemplate,
    training: GroupedSample,
    test: GroupedSample,
    names: tuple[str, str],
    labels: Sequence[Label],
    dimensions: Dimensions | None = None,
    symbols: Sequence[str] = (),
) -> GroupedFormula:
    """The formula of a template that was fitted to the training rows, with its accuracy on the test rows, if any.

    `names` are those of the target and of the groups. Constants keep their names where these are among `symbols`;
    others are called c_1, c_2, ... in the order in which the formula is written.
    """
    template = with_uncertainty(_named(template, tuple(training.sample.columns), symbols), training)
    part, rows = (test, "test") if len(test.sample) > 1 else (training, "training")
    y, values = part.sample.y, values_of_groups(template, part)
    spread = float((y - y.mean()).square().sum())
    errors = float((values - y).square().sum())
    units = () if dimensions is None else (_agreement(template, dimensions, names[0]),)
    known = dict(units[0].constant_units) if units else {}
    own = distinct(template.of(0).values)

    def constant(symbol: Any, value: float, error: float) -> Constant:
        return Constant(symbol.name, value, error, known.get(own[symbol]))

    errors_of = [one.errors() for one in template.uncertainty]
    shared = [constant(s, v, errors_of[0][n]) for n, (s, v) in enumerate(template.shared.items())]
    differing = {
        s.name: tuple(constant(s, value, errors_of[g][n]) for g, value in enumerate(template.differing[s].tolist()))
        for n, s in enumerate(template.differing, start=len(shared))
    }
    return GroupedFormula(
        template.expression, tuple(training.sample.columns), *names, tuple(labels), tuple(training.rows.tolist()),
        tuple(shared), differing, 1 - errors / spread if spread > 0 else math.nan, math.sqrt(errors / len(y)), rows,
        template.uncertainty, units,
    )  # fmt: skip


def values_of_groups(template: GroupedTemplate, grouped: GroupedSample) -> Tensor:
    """Values (n,) of the expression, each with the constants of its group."""
    from knotwork.expressions import to_torch

    symbols = [*template.shared, *template.differing]
    constants = [torch.tensor(value, dtype=torch.float64) for value in template.shared.values()]
    constants += [values[grouped.group] for values in template.differing.values()]
    function = to_torch(template.expression, [*grouped.sample.columns, *(s.name for s in symbols)])
    return function(*grouped.sample.columns.values(), *constants) * torch.ones_like(grouped.sample.y)


def _named(template: GroupedTemplate, variables: Sequence[str], symbols: Sequence[str]) -> GroupedTemplate:
    """The template with names for its constants that no variable has."""
    from knotwork.expressions import symbol, text

    prefix = "c"
    while any(re.fullmatch(rf"{prefix}_\d+", name) for name in variables):
        prefix += "c"
    every = [*template.shared, *template.differing]
    marks = {s: symbol(f"constant{n}mark") for n, s in enumerate(every)}
    written = text(template.expression.xreplace(marks))
    order = sorted((s for s in every if s.name not in symbols), key=lambda s: written.find(marks[s].name))
    new = {s: symbol(f"{prefix}_{n}") for n, s in enumerate(order, start=1)}
    return replace(
        template,
        expression=template.expression.xreplace(new),
        shared={new.get(s, s): value for s, value in template.shared.items()},
        differing={new.get(s, s): values for s, values in template.differing.items()},
    )


def _agreement(template: GroupedTemplate, dimensions: Dimensions, target: str) -> Agreement:
    """Whether units agree, with the constants of the first group."""
    first = template.of(0)
    return agreement(Template(first.expression, distinct(first.values)).filled(), dimensions, target)
