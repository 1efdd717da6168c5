"""From a table of labels to the boundaries between its classes."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from knotwork.data import Dataset
from knotwork.data.arrays import columns_by_name, converted
from knotwork.data.column_values import is_number
from knotwork.data.labels import in_order, labels_of
from knotwork.data.preparation.written_dates import format_of
from knotwork.data.preparation.written_numbers import style_of
from knotwork.discovery.class_discovery import Boundary, BoundaryEntry, ClassDiscovery, boundary_of
from knotwork.discovery.settings import DISCOVERY
from knotwork.discovery.table import sample_of, table
from knotwork.discovery.task import check_settings
from knotwork.errors import DataError, TrainingError, warn
from knotwork.formulas import Formula
from knotwork.formulas.constants import Template
from knotwork.formulas.label_constants import LabelSample, Probabilities, uncertainty_of_boundary
from knotwork.formulas.settings import FORMULAS
from knotwork.formulas.uncertainty import constants_of
from knotwork.journal import clock
from knotwork.regression import BoundarySearch, CandidateFormula, Constraints, Failures, Limits
from knotwork.solvers import StopReason
from knotwork.training import Callback, Reporter, reporting


def holds_labels(y: Any) -> bool:
    """Whether a target holds truth values, categories or texts that are no numbers, and nothing else."""
    if y is None or isinstance(y, Dataset):
        return False
    if isinstance(y, Tensor):
        return y.dtype == torch.bool
    named = columns_by_name(y, "y")
    if named is not None:
        return len(named) == 1 and holds_labels(next(iter(named.values())))
    values = converted(y)
    if hasattr(values, "cat"):
        return True
    try:
        array = np.asarray(values)
    except ValueError:
        return False
    if array.dtype.kind == "b":
        return True
    if array.dtype.kind not in "OUST" or not array.size or (array.ndim > 1 and 1 not in array.shape):
        return False
    entries = [one for one in array.reshape(-1).tolist() if one is not None and one == one]
    texts = [one for one in entries if isinstance(one, str)]
    known = all(isinstance(one, (str, bool)) for one in entries) and bool(entries)
    if known and len(texts) == len(entries) and (style_of(texts) is not None or format_of(texts) is not None):
        return False  # numbers as texts, or dates
    return known and not 2 * sum(map(is_number, texts)) > len(texts)  # numbers, some of which may be mistyped


def discover_classes(
    X: Any,
    y: Any,
    names: Sequence[str] | None,
    lib: Iterable[str] | None,
    time_budget: float | None,
    seed: int,
    units: Mapping[str, str] | Literal[False] | None,
    forbid: Iterable[str] | None,
    linear: Iterable[str] | None,
    limited: Sequence[Any],
    sample_weight: Any,
    split: Any,
    progress: bool | None,
    callback: Callback | None,
) -> ClassDiscovery:
    """The boundaries between the classes of a table; the arguments are those of `discover`."""
    began = clock()
    check_settings(seed, time_budget, "cross_entropy")
    data, classes = _labeled(X, y, names, units, seed, sample_weight, split)
    constraints = Constraints.of(lib, forbid, linear, data.input_names, limits := Limits.of(data.input_names, *limited))
    until = math.inf if time_budget is None else began + time_budget
    failures, boundaries = Failures(), []
    with reporting(progress, callback) as whole:
        reporter = whole.before(until)
        for place in (1,) if len(classes) == 2 else range(len(classes)):
            within = reporter if len(classes) == 2 else reporter.within(f"class {classes[place]}")
            sample = _label_sample(data, place)
            boundaries.append(_boundary(classes[place], sample, data, place, constraints, seed, within, failures))
        reason = None if reporter.stop is None else reporter.stop.reason
    if reason is None and not any(one.found for one in boundaries):
        warn("no boundary that was tried tells the classes apart better than chance does.")
    settings = {
        "seed": seed, "functions": constraints.names if lib is not None or forbid is not None else None,
        "forbidden": [one.name for one in constraints.forbidden], "linear": list(constraints.linear),
        "limits": limits.said(), "time budget": time_budget, "loss": "cross_entropy",
        "split": "" if data.row_split is None else data.row_split.words,
    }  # fmt: skip
    reason = reason or StopReason.EXHAUSTED
    found = ClassDiscovery(
        classes, tuple(boundaries), math.nan, math.nan, "training", data, 0.0, reason, settings, dict(failures.reasons)
    )
    found = replace(found, accuracy_rows="test" if len(data.X_test) else "training")
    reported = data.y_test if len(data.X_test) else _fitted_rows(data)[1]
    common = _fitted_rows(data)[1][:, 0].mode().values
    return replace(
        found, accuracy=found.share_of_right(data), seconds=clock() - began,
        commonest=float((reported[:, 0] == common).double().mean()),
    )  # fmt: skip


def refuse_with_labels(*given: Any) -> None:
    """Refuse these arguments of `discover`, which a search for boundaries does not know; TrainingError."""
    names = "groups", "form", "shared", "start", "sigma", "positive", "monotone", "keep_outliers"
    pairs = zip(names, given, strict=True)
    wrong = [f"{name}=" for name, value in pairs if value is not None and value is not False]
    if wrong:
        raise TrainingError(
            f"{' and '.join(wrong)} cannot be given with labels, for which the boundary between classes is searched: "
            "leave it out."
        )


def _labeled(
    X: Any, y: Any, names: Sequence[str] | None, units: Any, seed: int, sample_weight: Any, split: Any
) -> tuple[Dataset, tuple[Any, ...]]:
    """The dataset, whose targets are places of labels, and the labels in order; DataError for one label or many."""
    if y is None:
        data = table(X, None, names, units, seed, None, sample_weight)
        every = torch.cat([data.y_train, data.y_val, data.y_test])[:, 0]
        labels = labels_of(every, what="y")
        classes = _classes(labels)
        known = torch.tensor(classes, dtype=torch.float64)
        parts = {name: (getattr(data, name).double() == known).double().argmax(1, keepdim=True).double()
                 for name in ("y_train", "y_val", "y_test")}  # fmt: skip
        data = replace(data, **parts)
    else:
        labels = labels_of(y, what="y")
        classes = _classes(labels)
        codes = np.array([float(classes.index(label)) for label in labels])
        data = table(X, codes, names, units, seed, None, sample_weight, split)
    weights = sample_of(data).weights
    counted = _fitted_rows(data)[1][:, 0] if weights is None else _fitted_rows(data)[1][weights > 0, 0]
    without = [classes[place] for place in range(len(classes)) if not bool((counted == place).any())]
    if without:
        raise DataError(
            f"all rows with the label {without[0]!r} are test rows or have weight 0: add rows of that label, leave "
            f"it out{'' if split is None else ', or split the rows in another way'}."
        )
    return data, classes


def _classes(labels: Sequence[Any]) -> tuple[Any, ...]:
    classes = in_order(labels)
    if len(classes) < 2:
        raise DataError(f"y has one label alone ({labels[0]!r}): a boundary needs rows of two classes or more.")
    if len(classes) > DISCOVERY.most_classes:
        raise DataError(
            f"y has {len(classes)} different labels, but boundaries are searched for at most "
            f"{DISCOVERY.most_classes}: put labels together, or pass numbers without loss='cross_entropy'."
        )
    return tuple(classes)


def _fitted_rows(data: Dataset) -> tuple[Tensor, Tensor]:
    """Inputs and targets of all rows but the test rows."""
    return torch.cat([data.X_train, data.X_val]), torch.cat([data.y_train, data.y_val])


def _label_sample(data: Dataset, place: int) -> LabelSample:
    own = sample_of(data)
    return LabelSample(own.columns, (own.y == place).double(), weights=own.weights)


def _boundary(
    label: Any, sample: LabelSample, data: Dataset, place: int, constraints: Constraints, seed: int, reporter: Reporter,
    failures: Failures,
) -> Boundary:  # fmt: skip
    """The boundary of one class; Ctrl-C ends the search of this one and of all others."""
    constant = _constant(sample)
    found: list[CandidateFormula] = []
    entries = [constant]
    try:
        for candidate in BoundarySearch(sample, constraints, seed, reporter, failures).formulas():
            found.append(candidate)
            reporter.front((constant, *map(_plain_entry, _front(found))))
    except KeyboardInterrupt:
        reporter.interrupt()
    entries += [_plain_entry(candidate) for candidate in _front(found)]
    measured = [_measured(entry, sample, data, place) for entry in entries if entry.error <= constant.error]
    best = min(measured, key=lambda entry: entry.bits if entry.expression.free_symbols else math.inf)
    chosen = best if best.bits < constant.bits else measured[0]
    return boundary_of(label, tuple(measured), chosen)


def _constant(sample: LabelSample) -> BoundaryEntry:
    """The log-odds of the label, the same for all rows: what every boundary has to beat."""
    from knotwork.expressions import number

    weights = torch.ones_like(sample.y) if sample.weights is None else sample.weights
    share = float((weights * sample.y).sum() / weights.sum())
    error = -(share * math.log2(share) + (1 - share) * math.log2(1 - share))
    return BoundaryEntry(1, error, number(math.log(share / (1 - share))), "a constant", bits=error * len(sample))


def _front(found: Sequence[CandidateFormula]) -> list[CandidateFormula]:
    """The candidate of the fewest bits, and those of other complexities that no shorter one beats."""
    if not found:
        return []
    chosen, kept = min(found, key=lambda one: one.bits), []
    for one in sorted(found, key=lambda one: (one.complexity, one.error)):
        if one is chosen or (one.complexity != chosen.complexity and all(one.error < other.error for other in kept)):
            kept.append(one)
    return kept


def _plain_entry(candidate: CandidateFormula) -> BoundaryEntry:
    from knotwork.expressions import complexity

    expression = candidate.template.filled()
    error = math.log2(candidate.error)
    return BoundaryEntry(complexity(expression), error, expression, candidate.structure, bits=candidate.bits)


def _measured(entry: BoundaryEntry, sample: LabelSample, data: Dataset, place: int) -> BoundaryEntry:
    """The entry with its formula: errors of constants from the fitted rows, accuracy of probabilities on test rows."""
    entry = _readable(entry, sample)
    uncertainty, probabilities = uncertainty_of_boundary(entry.expression, sample)
    if not entry.expression.free_symbols:
        probabilities = Probabilities(1.0, 0.0)
    rows, x, codes = ("test", data.X_test, data.y_test) if len(data.X_test) > 1 else ("training", *_fitted_rows(data))
    x = x if data.scaling is None else data.scaling.undo(x)
    truth = (codes[:, 0] == place).double()
    columns = dict(zip(data.input_names, x.double().unbind(1), strict=True))
    values = _values(Template(entry.expression, {}), columns, len(x))
    p = probabilities.of(values).clamp(1e-12, 1 - 1e-12)
    share = truth.mean().clamp(1e-12, 1 - 1e-12)
    best = -float((truth * share.log() + (1 - truth) * (1 - share).log()).sum())
    deviance = -float((truth * p.log() + (1 - truth) * (1 - p).log()).sum())
    known = 0 < float(truth.mean()) < 1
    formula = Formula(
        (entry.expression,), data.input_names, ("g",), 0.0, 1 - deviance / best if known else math.nan,
        float((p - truth).square().mean().sqrt()), rows, constants_of((uncertainty,), data.input_names),
        (uncertainty,), "cross_entropy",
    )  # fmt: skip
    fitted = _values(Template(entry.expression, {}), sample.columns, len(sample))
    own = probabilities.of(fitted).clamp(1e-12, 1 - 1e-12)
    weights = torch.ones_like(own) if sample.weights is None else sample.weights
    lost = -(weights * torch.where(sample.y > 0.5, own, 1 - own).log2()).sum() / weights.sum()
    numbers = {"steepness": probabilities.steepness, "wrong": probabilities.wrong, "error": float(lost)}
    return replace(entry, formula=formula, **numbers)


def _readable(entry: BoundaryEntry, sample: LabelSample) -> BoundaryEntry:
    """The entry with numbers that are easier to read, where this changes no value by more than rounding."""
    from knotwork.expressions import readable

    before = _values(Template(entry.expression, {}), sample.columns, len(sample))

    def same(other: Any) -> bool:
        values = _values(Template(other, {}), sample.columns, len(sample))
        return bool(((values - before).abs() <= FORMULAS.exact_error * before.abs().max()).all())

    return replace(entry, expression=readable(entry.expression, same))


def _values(template: Template, columns: Mapping[str, Tensor], rows: int) -> Tensor:
    from knotwork.expressions import to_torch

    values = to_torch(template.expression, list(columns))(*columns.values())
    return values * torch.ones(rows, dtype=torch.float64)
