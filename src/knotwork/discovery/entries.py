"""Formulas as entries: the networks that compute them, their error, and the bits they take to write down."""

import math
from collections.abc import Sequence
from typing import Any

import torch

from knotwork.data import Dataset
from knotwork.discovery.discovery import CONSTANT, Entry
from knotwork.discovery.few_rows import LeftOut, few_rows
from knotwork.discovery.settings import DISCOVERY
from knotwork.discovery.table import rms, sample_of
from knotwork.discovery.undefined import gaps_of
from knotwork.formulas import Agreement, Formula, measured
from knotwork.formulas.settings import FORMULAS
from knotwork.kan import KAN
from knotwork.model import Spec
from knotwork.symbolic import from_expression
from knotwork.symbolic.construction import splines_of


def constant_entry(data: Dataset, relative: bool) -> Entry:
    """The mean of the target: what every formula has to beat."""
    network = KAN.from_spec(Spec(((1, 0), (1, 0)), in_features=data.n_inputs, inputs=(0,)))
    y, errors = data.y_train[:, 0], data.errors
    mean = y.mean() if errors is None else errors.weights[0] @ y / errors.weights[0].sum()
    network.fix_symbolic(0, 0, 0, "x", data, params=(0.0, 0.0, 0.0, float(mean)))
    return entry_of(network.symbolic_formula(data), network, network, CONSTANT, data, relative)


def built(expression: Any, data: Dataset, relative: bool = False) -> tuple[KAN, KAN, Formula]:
    """A network that computes the expression, the same with splines, and the formula as measured on the data."""
    from knotwork.expressions import learned_curves, with_lines_of_indicators

    expression = with_lines_of_indicators(expression, indicators(data))
    used = {str(s) for s in expression.free_symbols}
    columns = [name for name in data.input_names if name in used] or [data.input_names[0]]
    grid = max((len(curve.coefficients) - curve.order for curve in learned_curves(expression)), default=5)
    symbolic = from_expression(KAN, expression, columns, data, grid)
    return symbolic, splines_of(symbolic, data.X_train), measured((expression,), symbolic, data, relative=relative)


def indicators(data: Dataset) -> list[str]:
    """The inputs whose values are 0 or 1 in all rows, as they are stored."""
    rows = torch.cat([data.X_train, data.X_val, data.X_test])
    own = ((rows == 0) | (rows == 1)).all(0).tolist() if data.scaling is None else []
    return [name for name, one in zip(data.input_names, own, strict=False) if one]


def entry_of(formula: Formula, symbolic: KAN, spline: KAN, shape: str, data: Dataset, relative: bool) -> Entry:
    """The formula with its error, and the bits that residuals and formula take to write down.

    Rows count as their weights say. With `relative`, the residuals of the bits are relative deviations. A formula that
    leaves its domain on some row, such as a logarithm, has an infinite error and is never chosen.
    """
    if few_rows(data):
        return _entry_of_few_rows(formula, symbolic, spline, shape, data, relative)
    sample, first = sample_of(data, relative), len(data.X_train) if len(data.X_val) else 0
    with torch.no_grad():
        values = torch.cat([symbolic(x) for x in (data.X_train, data.X_val) if len(x)])[:, 0]
    error, bits = math.inf, math.inf
    if bool(values.isfinite().all()):
        apart = sample.weighed(values - torch.cat([data.y_train, data.y_val])[:, 0])
        error = float(apart[first:].square().mean().sqrt())
        counted = sample.residuals(values.double()) if relative else apart
        scale = 1.0 if relative else rms(data)
        bits = description_length(formula, float(counted.square().mean().sqrt()), len(counted), scale)
    gaps = gaps_of(formula.expression, sample_of(data))
    return Entry(formula.complexity, error, formula.expression, shape, formula, symbolic, spline, bits, gaps)


def _entry_of_few_rows(
    formula: Formula, symbolic: KAN, spline: KAN, shape: str, data: Dataset, relative: bool
) -> Entry:
    """The entry of a formula that is judged on rows left out one at a time, unless there are test rows for r²."""
    sample = sample_of(data, relative)
    judged = LeftOut.of_formula(formula, sample)
    formula = judged.told_by(formula, data, sample)
    bits = judged.bits + disagreement(formula.units) * math.log2(len(sample))
    gaps = gaps_of(formula.expression, sample)
    return Entry(formula.complexity, judged.error, formula.expression, shape, formula, symbolic, spline, bits, gaps)


def disagreement(units: Sequence[Agreement]) -> int:
    """Symbols by which a formula counts as longer because of its units."""
    return sum(len(one.constants) if one.agree else DISCOVERY.disagreement_cost for one in units)


def error_of(expression: Any, data: Dataset) -> float:
    """The error of an `Entry` of this expression, without its network; NaN where it is not defined on some row."""
    from knotwork.expressions import to_torch

    sample, first = sample_of(data), len(data.X_train) if len(data.X_val) else 0
    values = to_torch(expression, list(sample.columns))(*sample.columns.values())
    return float(sample.weighed(values - sample.y)[first:].square().mean().sqrt())


def description_length(formula: Formula, error: float, rows: int, scale: float) -> float:
    """Bits of a number of rows with this error, plus those of the formula.

    A decimal counts as two symbols: 7*a + 5*b is shorter than 6.999*a + 4.998*b. Disagreeing units count, too.
    """
    from knotwork.expressions import algebra

    n, decimals = float(rows), len(formula.expression.atoms(algebra.Float))
    bits = math.log2(error + FORMULAS.exact_error * scale + 1e-300)
    return n * bits + (formula.complexity + decimals + disagreement(formula.units)) * math.log2(n)
