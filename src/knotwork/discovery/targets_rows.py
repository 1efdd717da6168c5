"""Discoveries of several targets as the choice of all formulas together sees them, and with the formulas it chose."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from knotwork.data import Dataset
from knotwork.discovery.choice import front_of
from knotwork.discovery.column_units import Units
from knotwork.discovery.discovery import Discovery
from knotwork.discovery.entries import built, disagreement, entry_of
from knotwork.discovery.few_rows import LeftOut, few_rows, most_constants
from knotwork.discovery.table import sample_of
from knotwork.discovery.task import Asked
from knotwork.discovery.undefined import gaps_of, undefined_within
from knotwork.formulas import simplest
from knotwork.formulas.constants import Sample, Template
from knotwork.formulas.left_out import distinct_rows
from knotwork.formulas.measuring import agreements
from knotwork.formulas.settings import FORMULAS
from knotwork.formulas.uncertainty import Uncertainty, constants_of
from knotwork.regression.plain import PLAIN
from knotwork.regression.targets import Equal, Law, TargetRows


def rows_of(found: Discovery, asked: Asked) -> TargetRows:
    """A target with the formulas that were found for it alone, and how others of it are judged."""
    data = found.data
    assert data is not None
    sample, few = sample_of(data, _relative(found)), few_rows(data)
    constraints, gaps = asked.constraints(data), gaps_of(found.formula.expression, sample)

    def allowed(expression: Any) -> bool:
        from knotwork.expressions import algebra

        if few and len(expression.atoms(algebra.Float)) > most_constants(len(sample)):
            return False
        return constraints.allows(expression, sample) and gaps_of(expression, sample) <= gaps

    others = [entry.expression for entry in found.front if entry.expression != found.formula.expression]
    return TargetRows(
        found.formula.targets[0],
        sample,
        (found.formula.expression, *others),
        partial(_judged_few if few else _judged, sample=sample, data=data),
        allowed,
        PLAIN.bits_of_symbol if few else math.log2(len(sample)),
        math.log2(distinct_rows(sample)) / 2 if few else math.log2(len(sample)),
        simplify=not few and Units.of(data).usual,
    )


def _relative(found: Discovery) -> bool:
    return found.settings["loss"] == "relative"


def _judged(template: Template, sample: Sample, data: Dataset) -> float:
    """Bits of the residuals, and of units that disagree."""
    n = len(sample)
    error = math.sqrt(template.mse) + FORMULAS.exact_error * sample.scale
    return n * math.log2(error) + template.doubt + _disagreement(template, data) * math.log2(n)


def _judged_few(template: Template, sample: Sample, data: Dataset) -> float:
    """Bits of the residuals of rows that are left out one at a time, and of units that disagree."""
    from knotwork.expressions import complexity

    rows = distinct_rows(sample)
    written = len(template.values) * math.log2(rows) / 2 + complexity(template.expression) * PLAIN.bits_of_symbol
    bits = LeftOut.of(template, sample, len(sample.columns)).bits - written
    return bits + _disagreement(template, data) * math.log2(len(sample))


def _disagreement(template: Template, data: Dataset) -> int:
    """Symbols by which a formula counts as longer because of its units."""
    return disagreement(agreements((template.filled(),), data))


def with_law(found: Discovery, law: Law) -> Discovery:
    """The discovery with another formula, in the shortest form that keeps its decimals."""
    from knotwork.expressions import algebra

    data, relative = found.data, _relative(found)
    assert data is not None
    decimals = law.expression.atoms(algebra.Float)
    shorter = simplest(law.expression, data, relative, lambda form: decimals >= form.atoms(algebra.Float))
    symbolic, spline, formula = built(shorter, data, relative)
    entry = entry_of(formula, symbolic, spline, law.words or found.shape, data, relative)
    assert entry.formula is not None and math.isfinite(entry.error)
    undefined = undefined_within(shorter, sample_of(data))
    return replace(
        found,
        formula=entry.formula,
        front=front_of(found.front, entry, data),
        symbolic_model=symbolic,
        spline_model=spline,
        shape=entry.shape,
        undefined="" if undefined is None else undefined.reason,
        unmet="",
    )


def with_told_constants(found: Sequence[Discovery], equal: Sequence[Equal]) -> list[Discovery]:
    """The discoveries whose formulas know what the rows of other targets tell of constants that are equal."""
    told: dict[int, list[tuple[list[float], Tensor]]] = {}
    for one in equal:
        values = one.together.values.tolist()
        for n, place in enumerate(one.places):
            rest = torch.stack([other.information for m, other in enumerate(one.told) if m != n]).sum(0)
            told.setdefault(place.target, []).append((values, rest))
    return [each if n not in told else _with_told(each, told[n]) for n, each in enumerate(found)]


def _with_told(found: Discovery, told: Sequence[tuple[list[float], Tensor]]) -> Discovery:
    formula = found.formula
    uncertainty = _informed(formula.uncertainty[0], told)
    constants = constants_of((uncertainty,), formula.variables, formula.units)
    new = replace(formula, uncertainty=(uncertainty,), constants=constants)
    front = tuple(replace(one, formula=new) if one.formula is formula else one for one in found.front)
    return replace(found, formula=new, front=front)


def _informed(own: Uncertainty, told: Sequence[tuple[list[float], Tensor]]) -> Uncertainty:
    """The uncertainty of constants of whose values other rows tell something, given as the inverse of a covariance."""
    places = {value: n for n, value in enumerate(own.values)}
    if len(own.blind) or not 0 < own.deviation < math.inf or own.degrees <= 0:
        return own
    precision = torch.linalg.inv(own.factor.T @ own.factor)
    for values, information in told:
        if all(value in places for value in values):
            numbers = torch.tensor([places[value] for value in values])
            precision[numbers[:, None], numbers] += own.deviation**2 * information
    scale = precision.diagonal().sqrt()
    root = torch.linalg.cholesky(torch.linalg.inv(precision / (scale * scale[:, None])))
    return replace(own, factor=root.T / scale)
