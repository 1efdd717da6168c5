"""Losses that are squares with weights of their own: Huber's, and that of Poisson counts (iteratively reweighted)."""

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from knotwork.data import Dataset
from knotwork.data.row_errors import RowErrors
from knotwork.discovery.outliers import Searched, with_fits_to
from knotwork.discovery.settings import DISCOVERY
from knotwork.discovery.table import sample_of
from knotwork.errors import DataError
from knotwork.formulas.constants import Sample, fitted, values_of
from knotwork.formulas.settings import FORMULAS
from knotwork.formulas.uncertainty import template_of
from knotwork.regression import REGRESSION, Constraints, distances, smoothed

Loss = Literal["huber", "poisson"]


def of_counts(data: Dataset, constraints: Constraints) -> Constraints:
    """The constraints of formulas of counts, which are positive.

    DataError unless the targets are counts and nothing else is known of their errors.
    """
    y = torch.cat([data.y_train, data.y_val, data.y_test])
    wrong = y[(y < 0) | (y != y.round())]
    if len(wrong):
        raise DataError(
            f"loss='poisson' is for counts 0, 1, 2, ..., but {data.target_names[0]} holds {float(wrong[0]):g}."
        )
    if data.errors is not None:
        raise DataError("loss='poisson' follows from the counts: leave out sigma= and sample_weight=.")
    return replace(constraints, limits=replace(constraints.limits, positive=True))


def weights_at_first(data: Dataset, loss: Loss) -> Dataset:
    """The data with weights from a polynomial, before there is a formula."""
    sample = sample_of(data)
    columns = list(sample.columns.values())
    if loss == "poisson":
        return _weighed(data, _of_counts(smoothed(columns, sample.y.sqrt()).clamp_min(0).square()), loss)
    apart = distances(columns, sample.y)
    return data if apart is None else _weighed(data, _of_huber(apart), loss)


def with_weights_of(searched: Searched, data: Dataset, loss: Loss) -> tuple[Searched, Dataset]:
    """The search with all formulas fitted by the weights that belong to its chosen formula, and the data with these.

    `data` has no such weights yet. Constants and weights are computed in turn until they no longer change. Where they
    do not, the constants of the chosen formula minimise the loss.
    """
    task, answer = searched.task, searched.answer
    sample = sample_of(task.own.rows(data))
    template = template_of(searched.chosen.expression) if answer is None else answer.template
    weights = torch.ones(len(sample), dtype=torch.float64)
    for _ in range(DISCOVERY.reweighting_steps):
        found = values_of(template, sample) * torch.ones(len(sample), dtype=torch.float64)
        before = weights
        weights = _of_counts(found * task.own.target) if loss == "poisson" else _of_huber(_relative(found, sample))
        weighed = sample_of(task.own.rows(_weighed(data, weights, loss)))
        answer = None if answer is None else answer.refitted(weighed)
        template = fitted(template, weighed) if answer is None else answer.template
        if float((weights / before - 1).abs().max()) <= DISCOVERY.same_weights:
            break
    data = _weighed(data, weights, loss)
    return with_fits_to(searched._replace(answer=answer), task.own.rows(data)), data


def _relative(values: Tensor, sample: Sample) -> Tensor:
    """Sizes of the residuals (n,) in standard deviations: those that are known, or that of most residuals."""
    apart = sample.residuals(values).abs()
    usual = sample.deviation or REGRESSION.deviation_of_median * float(apart.median())
    return apart / (usual + FORMULAS.exact_error * sample.scale)


def _of_huber(relative: Tensor) -> Tensor:
    return (REGRESSION.huber_limit / relative.clamp_min(1e-300)).clamp_max(1.0)


def _of_counts(expected: Tensor) -> Tensor:
    """One over the variance of counts, which is their expected number."""
    return 1 / expected.clamp_min(DISCOVERY.least_expected_count)


def _weighed(data: Dataset, weights: Tensor, loss: Loss) -> Dataset:
    """The data with these further weights (n,) of training and validation rows."""
    own = data.errors or RowErrors.equal(data.rows())
    train, validation = weights.split([len(data.X_train), len(data.X_val)])
    parts = own.weights[0] * train, own.weights[1] * validation
    mean = float(torch.cat(parts).mean())
    shares = (train, validation, torch.ones_like(own.weights[2])) if loss == "huber" else None
    deviation = 1.0 if loss == "poisson" else own.deviation
    deviation = None if deviation is None else deviation / mean**0.5
    return replace(data, errors=RowErrors((parts[0] / mean, parts[1] / mean, own.weights[2] / mean), deviation, shares))
