"""A formula from expressions, measured on data: difference to a model, r², errors of constants, and units."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from knotwork.data import Dataset
from knotwork.errors import DataError
from knotwork.formulas.agreement import Agreement, agreement
from knotwork.formulas.constants import Sample
from knotwork.formulas.dimensions import Dimensions
from knotwork.formulas.formula import Formula
from knotwork.formulas.goals import LABELS, goal_of, targets_of
from knotwork.formulas.uncertainty import Uncertainty, constants_of
from knotwork.formulas.values import evaluate, original_units
from knotwork.training.levenberg_marquardt import NORMAL


def measured(
    expressions: Sequence[Any],
    model: Callable[[Tensor], Tensor],
    data: Dataset,
    loss: str = "mse",
    relative: bool = False,
) -> Formula:
    """A `Formula` of these expressions: its difference to `model`, its r² and the errors of its constants on `data`.

    Rows count as the errors of `data` say. With `relative`, constants were fitted to shares of the targets, and their
    errors follow from these. `model` maps rows (batch, in), as the data set stores them, to outputs (batch, out).
    """
    goal = goal_of(loss)
    x = torch.cat([data.X_train, data.X_val, data.X_test])
    with torch.no_grad():
        difference = (evaluate(expressions, data, x) - model(x)).double()
    if goal is LABELS and len(expressions) > 1:
        difference = difference - difference.mean(1, keepdim=True)  # a common constant of all logits has no effect
    shares = {
        "test": (data.X_test, data.y_test),
        "validation": (data.X_val, data.y_val),
        "training": (data.X_train, data.y_train),
    }
    rows = next((name for name, (inputs, _) in shares.items() if len(inputs) > 1), "training")
    weights = _weights(data, rows)
    inputs, target = shares[rows]
    values, target = evaluate(expressions, data, inputs), targets_of(target, goal)
    unit = 1.0 if goal is LABELS else float(target.double().abs().max()) or 1.0  # squares of 1e200 overflow
    values, target = values.double() / unit, target.double() / unit
    best = goal.spread(target, weights)  # the loss of a constant
    losses = goal.values(values, target) if weights is None else weights * goal.values(values, target)
    r2 = 1 - goal.scale(target) * float(losses.sum()) / best if best > 0 else float("nan")
    columns = dict(zip(data.input_names, original_units(data, data.X_train).double().unbind(-1), strict=True))
    counts = None if data.errors is None else data.errors.weights[0].double()
    deviation = None if data.errors is None else data.errors.deviation
    y = targets_of(data.y_train.double(), goal)
    if goal is NORMAL:
        squares = (values - target).square()
        error = squares.mean() if weights is None else (weights[:, None] * squares).mean()
        each = zip(expressions, y.unbind(-1), strict=True)
        known = relative, counts, deviation, _shares(data)
        samples = [(e, Sample(columns, column, *known)) for e, column in each]
        uncertainty = tuple(Uncertainty.of(*one) for one in samples)
        names = data.target_names
    else:
        truth = LABELS.truth(values, target)
        error = (LABELS.probabilities(values) - truth).square().mean()
        uncertainty = Uncertainty.of_logits(expressions, Sample(columns, y[:, 0]), goal)
        names = logit_names(data, len(expressions))
    units = agreements(expressions, data) if goal is NORMAL else ()
    largest = float(difference.abs().max()) or 1.0
    gap, rmse = largest * float((difference / largest).square().mean().sqrt()), unit * float(error.sqrt())
    constants = constants_of(uncertainty, data.input_names, units)
    chi2 = reduced_chi2(expressions, data, len(constants)) if goal is NORMAL else None
    return Formula(
        tuple(expressions), data.input_names, names, gap, r2, rmse, rows, constants, uncertainty, loss, units, chi2
    )


def _weights(data: Dataset, rows: str) -> Tensor | None:
    """The weights (n,) of the training, validation or test rows, 1 on average; None where all rows count the same."""
    if data.errors is None:
        return None
    own = data.errors.weights[("training", "validation", "test").index(rows)].double()
    return own / own.mean()


def reduced_chi2(expressions: Sequence[Any], data: Dataset, constants: int) -> float | None:
    """χ² per degree of freedom of the training rows; None where their errors are not known.

    Every row counts as its own error says, also where a loss gives large residuals less weight.
    """
    if data.errors is None or data.errors.deviation is None:
        return None
    apart = (evaluate(expressions, data, data.X_train) - data.y_train).double() / data.errors.deviation
    degrees, shares = apart.numel() - constants, _shares(data)
    weights = data.errors.weights[0] if shares is None else data.errors.weights[0] / shares
    return float((weights[:, None] * apart.square()).sum()) / degrees if degrees > 0 else None


def _shares(data: Dataset) -> Tensor | None:
    """Factors (n,) of the weights of the training rows that follow from residuals; None where there are none."""
    shares = None if data.errors is None else data.errors.shares
    return None if shares is None else shares[0].double()


def logit_names(data: Dataset, outputs: int) -> tuple[str, ...]:
    """Names of logits: logit_y for the one output of a column y of 0 and 1, else logit_0, logit_1, ..."""
    if data.n_outputs > 1:
        return tuple(f"logit_{name}" for name in data.target_names)
    return (f"logit_{data.target_names[0]}",) if outputs == 1 else tuple(f"logit_{n}" for n in range(outputs))


def agreements(expressions: Sequence[Any], data: Dataset) -> tuple[Agreement, ...]:
    """The agreement of units for each expression; empty where the unit of some column is not known."""
    try:
        every = [Dimensions.of(data, output) for output in range(len(expressions))]
    except DataError:
        return ()
    return tuple(agreement(*one) for one in zip(expressions, every, data.target_names, strict=True))
