"""Columns that are linear combinations of columns before them: the search leaves them out, the result names them."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from knotwork.data import Dataset
from knotwork.discovery.settings import DISCOVERY
from knotwork.discovery.table import sample_of
from knotwork.formulas import simplest


def dependent_columns(columns: Mapping[str, Tensor]) -> dict[str, Any]:
    """Expressions, by name, of those columns (n,) that are linear combinations of columns before them and a constant.

    A constant column is left alone: it tells nothing, but it is no combination.
    """
    kept: list[str] = []
    basis: list[Tensor] = []  # orthonormal, of the kept columns
    found: dict[str, Any] = {}
    for name, column in columns.items():
        centred = column - column.mean()
        size = float(centred.norm())
        if not size > DISCOVERY.rounding_of_columns * float(column.abs().max()) * len(column) ** 0.5:
            continue
        rest = centred / size
        for _ in range(2):  # twice is enough (Kahan, Parlett): the second removes the rounding of the first
            for one in basis:
                rest = rest - (one @ rest) * one
        left = float(rest.norm())
        if left > DISCOVERY.rounding_of_columns:
            kept.append(name)
            basis.append(rest / left)
        elif len(column) > len(kept) + 2:
            found[name] = _combination(column, {other: columns[other] for other in kept})
    return found


def _combination(column: Tensor, others: Mapping[str, Tensor]) -> Any:
    """The column as a linear expression of others, without those that take no part."""
    from knotwork.expressions import algebra, number, symbol

    design = torch.stack([torch.ones_like(column), *others.values()], 1)
    scale = design.norm(dim=0)
    weights = torch.linalg.lstsq(design / scale, column[:, None], driver="gelsd").solution[:, 0]
    size = float(column.norm())
    terms: Any = algebra.Integer(0)
    for weight, length, name in zip(weights.tolist(), scale.tolist(), [None, *others], strict=True):
        if abs(weight) > DISCOVERY.rounding_of_columns * size:
            factor = weight / length
            whole = round(factor) if abs(factor) < 2**53 else 0
            near = whole and abs(factor - whole) <= DISCOVERY.rounding_of_columns * abs(factor)
            coefficient = algebra.Integer(whole) if near else number(factor)
            terms = terms + (coefficient if name is None else coefficient * symbol(name))
    return terms


def shortest_of(expression: Any, dependent: Mapping[str, Any], data: Dataset) -> Any:
    """The shortest of the expression and those with a dependent column in place of another one."""
    from knotwork.expressions import complexity

    best = simplest(expression, data)
    for name, combination in dependent.items():
        ways = [simplest(way, data) for way in _with_column(best, name, combination)]
        best = min([best, *ways], key=complexity)
    return best


def _with_column(expression: Any, name: str, combination: Any) -> Iterator[Any]:
    """The expression with the column `name`, for each column of the combination that it can replace."""
    from knotwork.expressions import algebra, symbol

    for one in sorted(combination.free_symbols & expression.free_symbols, key=str):
        rest, factor = combination.xreplace({one: algebra.Integer(0)}), combination.coeff(one)
        written = expression.xreplace({one: (symbol(name) - rest) / factor})
        yield written
        yield algebra.expand(written)


def of_independent_columns(data: Dataset) -> tuple[tuple[int, ...], dict[str, Any]]:
    """The numbers of the inputs without those that are linear combinations of others, and these combinations."""
    dependent = dependent_columns(sample_of(data).columns)
    return tuple(n for n, name in enumerate(data.input_names) if name not in dependent), dependent
