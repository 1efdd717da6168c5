"""Huber's loss by weights: squares of small residuals, and the sizes of large ones (iteratively reweighted)."""

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from knotwork.data import Dataset
from knotwork.data.row_errors import RowErrors
from knotwork.discovery.outliers import Searched, refitted_entry
from knotwork.discovery.settings import DISCOVERY
from knotwork.discovery.table import sample_of
from knotwork.formulas.constants import Sample, Template, fitted, values_of
from knotwork.formulas.settings import FORMULAS
from knotwork.regression import REGRESSION, distances


def huber_weights_at_first(data: Dataset) -> Dataset:
    """The data with weights from a robust polynomial, before there is a formula."""
    sample = sample_of(data)
    apart = distances(list(sample.columns.values()), sample.y)
    return data if apart is None else _weighed(data, _weights(apart))


def huber_weights_of(searched: Searched, data: Dataset) -> tuple[Searched, Dataset]:
    """The search with all formulas fitted by the weights that belong to its chosen formula, and the data with these.

    `data` has no such weights yet. Constants and weights are computed in turn until they no longer change.
    """
    from knotwork.expressions import parametrise

    task = searched.task
    rows = task.own.rows(data)
    sample = sample_of(rows)
    general, symbols, values = parametrise(searched.chosen.expression)
    template = Template(general, dict(zip(symbols, values, strict=True)))
    weights = torch.ones(len(sample), dtype=torch.float64)
    for _ in range(DISCOVERY.huber_steps):
        before, weights = weights, _weights(_relative(template, sample))
        template = fitted(template, sample_of(_weighed(rows, weights)))
        if float((weights - before).abs().max()) <= DISCOVERY.same_weights:
            break
    rows = _weighed(rows, weights)
    entries = [task.failures.attempt(partial(refitted_entry, entry, rows, task.relative)) for entry in searched.entries]
    kept = [entry for entry in entries if entry is not None]
    return searched._replace(task=replace(task, data=rows), entries=kept), _weighed(data, weights)


def _relative(template: Template, sample: Sample) -> Tensor:
    """Sizes of the residuals (n,) in standard deviations: those that are known, or that of most residuals."""
    apart = sample.residuals(values_of(template, sample)).abs()
    usual = sample.deviation or REGRESSION.deviation_of_median * float(apart.median())
    return apart / (usual + FORMULAS.exact_error * sample.scale)


def _weights(relative: Tensor) -> Tensor:
    return (REGRESSION.huber_limit / relative.clamp_min(1e-300)).clamp_max(1.0)


def _weighed(data: Dataset, weights: Tensor) -> Dataset:
    """The data with these further weights (n,) of training and validation rows."""
    own = data.errors or RowErrors.equal(data.rows())
    train, validation = weights.split([len(data.X_train), len(data.X_val)])
    parts = own.weights[0] * train, own.weights[1] * validation
    mean = float(torch.cat(parts).mean())
    deviation = None if own.deviation is None else own.deviation / mean**0.5
    return replace(data, errors=RowErrors((parts[0] / mean, parts[1] / mean, own.weights[2]), deviation))
