"""Rows that contradict the formula of all other rows: blunders, which would hide it. They are left out and named."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from knotwork.data import Dataset
from knotwork.data.row_selection import rows_taken
from knotwork.discovery.choice import choice
from knotwork.discovery.discovery import Entry, Outlier
from knotwork.discovery.entries import built, constant_entry, entry_of
from knotwork.discovery.form_answers import FormAnswer
from knotwork.discovery.settings import DISCOVERY
from knotwork.discovery.table import sample_of
from knotwork.discovery.task import Task
from knotwork.errors import ExpressionError, SpecError
from knotwork.formulas.constants import Sample, Template, fitted
from knotwork.formulas.deviations import log_ratios
from knotwork.formulas.settings import FORMULAS
from knotwork.formulas.values import evaluate
from knotwork.regression import REGRESSION, far_off, suspicious
from knotwork.solvers import StopReason
from knotwork.training import FitResult, Reporter

Masks = tuple[Tensor, Tensor, Tensor]
"""Which training, validation and test rows are outliers."""


class Searched(NamedTuple):
    """What one search found: its task, the entries with a constant first, the general network, and why it ended.

    With a known form, its `answer`; a constant is then no formula to choose.
    """

    task: Task
    entries: list[Entry]
    baseline: FitResult | None
    stop: StopReason
    answer: FormAnswer | None = None

    @property
    def chosen(self) -> Entry:
        """The formula that would be the answer."""
        return choice(self.entries[0], self.entries[1:], self.task.data, self.constant_possible)

    @property
    def constant_possible(self) -> bool:
        """Whether a constant satisfies the limits of formulas."""
        if self.answer is not None:
            return False
        limits = self.task.constraints.limits
        return not limits.any or limits.unmet(self.entries[0].expression, sample_of(self.task.data)) is None

    @property
    def solved(self) -> bool:
        """Whether the search ended because its formula leaves nothing to explain."""
        return self.stop in (StopReason.EXACT, StopReason.RANDOM_RESIDUAL)


def without_outliers(data: Dataset, search: Callable[..., Searched], reporter: Reporter) -> tuple[Searched, Masks]:
    """The search of the rows that do not contradict its formula, and a mask of those that do; mostly none do.

    Rows that are suspicious at first sight are left out of a first search. If its formula leaves nothing to explain, it
    tells which of them are outliers; the others come back. Otherwise all rows are searched, and where few of them
    contradict the formula, the others are searched again. Of two searches that one is taken whose formula and outliers
    take fewer bits.
    """
    sample = sample_of(data)
    doubtful = suspicious(list(sample.columns.values()), sample.y)
    tried = None
    if bool(doubtful.any()):
        tried, outliers = _settled(data, _masks(data, doubtful), search, reporter)
        explained = tried.solved and tried.chosen is not tried.entries[0]
        if tried.stop.by_caller or (explained and not _misses(tried, data, outliers)):
            return _with_rows(tried, data, outliers), outliers
    doubts = _Doubts(data)
    every = search(data) if tried else search(data, doubts=doubts)
    if every.stop.by_caller:
        return every, _masks(data)
    outliers = contradicting(every, data, proposed=tried is None)
    if tried is None and bool(outliers[0].any() | outliers[1].any()):
        tried, _ = _settled(data, outliers, search, reporter)
        if doubts.arisen and not tried.solved and not tried.stop.by_caller:
            every = search(data)
    if tried is not None:
        left_out = contradicting(tried, data)
        if tried.stop.by_caller or _bits(tried, data, left_out) < _bits(every, data, _masks(data)):
            return _with_rows(tried, data, left_out), left_out
    none = _masks(data)
    outliers = (none[0], none[1], outliers[2]) if every.solved else none
    return _with_rows(every, data, outliers), outliers


class _Doubts:
    """Asks a search before it goes on to networks, which take long, whether few rows contradict its best formula."""

    def __init__(self, data: Dataset) -> None:
        self.data, self.arisen = data, False

    def __call__(self, task: Task, entries: Sequence[Entry]) -> bool:
        so_far = Searched(task, list(entries), None, StopReason.EXHAUSTED)
        outliers = contradicting(so_far, self.data, proposed=True)
        self.arisen = bool(outliers[0].any() | outliers[1].any())
        return self.arisen


def contradicting(searched: Searched, data: Dataset, proposed: bool = False) -> Masks:
    """Which rows contradict the formula of a search: few, apart from the others, and wrong in no regular way.

    Their inputs are among those of other rows, which tell what the target should be, and not all in one place. Where
    the search left something to explain, the gap to other residuals is wide, unless the rows are only `proposed`.
    """
    none, apart = _masks(data), _residuals(searched, data)
    count = len(data.X_train) + len(data.X_val)
    known = apart[:count]
    if count < REGRESSION.fewest_rows_for_blunders or not bool(known.isfinite().all()):
        return none
    usual = REGRESSION.deviation_of_median * float(known.median())
    least = max(DISCOVERY.least_outlier * usual, 1e-300)
    lenient = proposed or searched.solved
    found = _apart(known, usual) if lenient else far_off(known, least, DISCOVERY.gap_of_doubtful_outliers)
    columns = _columns(searched, data)
    found = found & _among_others(columns[:count], found, columns[:count])
    found = torch.zeros_like(found) if _in_one_place(columns[:count], found) else found
    largest = float(known[~found].max())
    limit = max(least, largest * (DISCOVERY.gap_of_outliers if bool(found.any()) else DISCOVERY.gap_of_test_outliers))
    tested = (apart[count:] > limit) & _among_others(columns[:count], found, columns[count:])
    if int(tested.sum()) > max(1, REGRESSION.largest_share_of_blunders * len(tested)):
        tested = torch.zeros_like(tested)
    train = len(data.X_train)
    return found[:train], found[train:], tested


def named_rows(searched: Searched, data: Dataset, outliers: Masks) -> tuple[Outlier, ...]:
    """The outliers with their numbers in the table, their targets, and what the formula gives for them."""
    expression, own = searched.chosen.expression, searched.task.own
    values = _values(expression, own.rows(data)) * own.target
    parts = values.split(list(data.rows()))
    found = []
    for n, part in enumerate(("train", "val", "test")):
        numbers = None if data.row_numbers is None else data.row_numbers[n]
        for place in outliers[n].nonzero().flatten().tolist():
            row = None if numbers is None else int(numbers[place])
            found.append(Outlier(row, float(getattr(data, f"y_{part}")[place, 0]), float(parts[n][place])))
    return tuple(sorted(found, key=lambda one: -1 if one.row is None else one.row))


def rows_without(data: Dataset, outliers: Masks) -> Dataset:
    """The data without the outliers."""
    if not any(bool(part.any()) for part in outliers):
        return data
    return rows_taken(data, *(~part for part in outliers))


def _settled(
    data: Dataset, left_out: Masks, search: Callable[..., Searched], reporter: Reporter
) -> tuple[Searched, Masks]:
    """A search without these rows, and the rows that contradict its formula.

    If there are some among its own rows, which its formula had to follow, it is done again without these.
    """
    tried = _searched_without(data, left_out, search, reporter)
    outliers = contradicting(tried, data)
    inside = any(bool((found & ~out).any()) for found, out in zip(outliers[:2], left_out[:2], strict=True))
    if inside and not tried.stop.by_caller:
        again = _searched_without(data, outliers, search, reporter)
        tried, outliers = again, contradicting(again, data)
    return tried, outliers


def _searched_without(
    data: Dataset, outliers: Masks, search: Callable[[Dataset], Searched], reporter: Reporter
) -> Searched:
    count = int(outliers[0].sum() + outliers[1].sum())
    reporter.stage(f"leaving out {count} row{'s' if count > 1 else ''} that may be wrong")
    return search(rows_without(data, (outliers[0], outliers[1], torch.zeros_like(outliers[2]))))


def _misses(searched: Searched, data: Dataset, outliers: Masks) -> bool:
    """Whether rows that are no outliers lie as far from the formula as outliers do."""
    rest = rows_without(data, outliers)
    apart = _residuals(searched, rest)[: len(rest.X_train) + len(rest.X_val)]
    usual = REGRESSION.deviation_of_median * float(apart.median())
    return not bool((apart <= DISCOVERY.least_outlier * usual).all())


def _masks(data: Dataset, fitted_rows: Tensor | None = None) -> Masks:
    """Masks of training, validation and test rows; none of them but those of the first two that are given."""
    parts = [torch.zeros(count, dtype=torch.bool) for count in data.rows()]
    if fitted_rows is not None:
        parts[:2] = fitted_rows.split([len(parts[0]), len(parts[1])])
    return parts[0], parts[1], parts[2]


def _values(expression: Any, rows: Dataset) -> Tensor:
    """Values (n,) of an expression on training, validation and test rows."""
    return evaluate((expression,), rows, torch.cat([rows.X_train, rows.X_val, rows.X_test]))[:, 0].double()


def _residuals(searched: Searched, data: Dataset) -> Tensor:
    """Sizes (n,) of the residuals of training, validation and test rows, without what rounding explains.

    Relative ones are logarithms of ratios, since relative deviations have a limit that wide noise comes close to.
    """
    rows = searched.task.own.rows(data)
    values = _values(searched.chosen.expression, rows)
    y = torch.cat([rows.y_train, rows.y_val, rows.y_test])[:, 0].double()
    weights = None if rows.errors is None else torch.cat(rows.errors.weights).double()
    sample, relative = Sample({}, y, weights=weights), searched.task.relative
    size = torch.ones_like(y) if relative else values.abs() + y.abs()
    apart = log_ratios(values, y) if relative else (values - y).abs()
    return sample.weighed(apart - DISCOVERY.rounding_of_columns * size).clamp_min(0)


def _columns(searched: Searched, data: Dataset) -> Tensor:
    """The inputs (n, used) of training, validation and test rows that the formula holds; all if it holds none."""
    used = {str(symbol) for symbol in searched.chosen.expression.free_symbols}
    places = [n for n, name in enumerate(data.input_names) if name in used] or list(range(data.n_inputs))
    return torch.cat([data.X_train, data.X_val, data.X_test])[:, places].double()


def _apart(sizes: Tensor, usual: float) -> Tensor:
    """Residuals beyond what noise of this `usual` size makes, if there are few, and few between them and the noise."""
    found = sizes > DISCOVERY.least_outlier * usual
    count = int(found.sum())
    if not 0 < count <= max(1, REGRESSION.largest_share_of_blunders * len(sizes)):
        return torch.zeros_like(found)
    gap = float(sizes[found].min()) >= DISCOVERY.gap_of_outliers * float(sizes[~found].max())
    between = int((sizes[~found] > DISCOVERY.most_noise * usual).sum())
    few = count >= DISCOVERY.outliers_without_gap and between <= 1 + count // 4
    return found if gap or few else torch.zeros_like(found)


def _among_others(columns: Tensor, outliers: Tensor, of: Tensor) -> Tensor:
    """Which rows (m, k) have inputs within the range of those rows (n, k) that are no outliers, or just beside it."""
    others = columns[~outliers]
    quarter, three = others.quantile(torch.tensor([0.25, 0.75], dtype=others.dtype), dim=0)
    beside = (three - quarter) * max(DISCOVERY.beside_range, DISCOVERY.rows_beside_range / len(others))
    return ((of >= others.amin(0) - beside) & (of <= others.amax(0) + beside)).all(1)


def _in_one_place(columns: Tensor, outliers: Tensor) -> bool:
    """Whether outliers lie together along one of the inputs, as a narrow peak of the law does (Kolmogorov-Smirnov)."""
    if int(outliers.sum()) < DISCOVERY.outliers_without_gap:
        return False
    from scipy.stats import kstest  # a second of import, which hardly any table needs

    shares = columns.argsort(0).argsort(0).double() / len(columns)
    chance = DISCOVERY.chance_of_one_place / columns.shape[1]
    return any(kstest(column[outliers].numpy(), "uniform").pvalue < chance for column in shares.unbind(1))


def _bits(searched: Searched, data: Dataset, outliers: Masks) -> float:
    """Bits of the formula and of the residuals of training and validation rows, in which outliers have a place each."""
    chosen = searched.chosen
    assert chosen.formula is not None
    apart = _residuals(searched, data)[: len(data.X_train) + len(data.X_val)]
    apart = apart if searched.task.relative else apart * searched.task.own.target
    left_out, n = torch.cat(outliers[:2]), len(apart)
    y = torch.cat([data.y_train, data.y_val])[:, 0].double()
    scale = 1.0 if searched.task.relative else float((y - y.median()).abs().median())
    error = float(apart[~left_out].square().mean().sqrt()) + FORMULAS.exact_error * scale + 1e-300
    rows = (n - int(left_out.sum())) * math.log2(error)
    own = float((apart[left_out] + error).log2().sum()) + int(left_out.sum()) * (
        math.log2(n) + DISCOVERY.bits_of_outlier
    )
    return rows + own + (chosen.complexity + len(chosen.formula.constants)) * math.log2(n)


def _with_rows(searched: Searched, data: Dataset, outliers: Masks) -> Searched:
    """The search with its formulas fitted to all rows but the outliers, if its rows were others."""
    task = searched.task
    rows = task.own.rows(rows_without(data, outliers))
    fitted_rows = all(len(getattr(rows, part)) == len(getattr(task.data, part)) for part in ("X_train", "X_val"))
    if fitted_rows and len(rows.X_test) == len(task.data.X_test):
        return searched
    return with_fits_to(searched, rows, fitted_rows)


def with_fits_to(searched: Searched, rows: Dataset, same: bool = False) -> Searched:
    """The search with all its formulas fitted to these rows, unless they are the `same`."""
    task, answer = searched.task, searched.answer
    constant = constant_entry(rows, task.relative)
    if answer is not None:
        answer = answer if same else answer.refitted(sample_of(rows, task.relative))
        entries = [constant, answer.entry(rows, task.relative, task.dimensions)]
    else:
        attempts = (partial(refitted_entry, one, rows, task.relative, same) for one in searched.entries[1:])
        entries = [constant, *(entry for entry in map(task.failures.attempt, attempts) if entry is not None)]
    return searched._replace(task=replace(task, data=rows), entries=entries, answer=answer)


def refitted_entry(entry: Entry, rows: Dataset, relative: bool, same: bool = False) -> Entry | None:
    """The entry with its constants fitted to these rows, unless they are the `same`; None where no network has it."""
    from knotwork.expressions import parametrise

    expression = entry.expression
    if not same:
        general, symbols, values = parametrise(expression)
        template = fitted(Template(general, dict(zip(symbols, values, strict=True))), sample_of(rows, relative))
        expression = template.filled() if math.isfinite(template.mse) else expression
    try:
        symbolic, spline, formula = built(expression, rows, relative)
        return entry_of(formula, symbolic, spline, entry.shape, rows, relative)
    except (ExpressionError, SpecError):
        return None
