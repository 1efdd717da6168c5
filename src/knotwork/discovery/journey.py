"""From a table to a formula: the whole journey. Read this file first."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from os import PathLike
from typing import Any, Literal, overload

from knotwork.data import Dataset
from knotwork.data.preparation import Missing
from knotwork.data.table_files import named_targets
from knotwork.discovery.choice import permitted, warn_unless_explained, whole_front
from knotwork.discovery.class_discovery import ClassDiscovery
from knotwork.discovery.class_journey import discover_classes, refuse_with_labels
from knotwork.discovery.column_units import Units
from knotwork.discovery.dependent_columns import of_independent_columns
from knotwork.discovery.discovery import Discovery, Outlier
from knotwork.discovery.few_rows import error_rows
from knotwork.discovery.forms import search_of_form
from knotwork.discovery.going_on import expressions_of
from knotwork.discovery.grouped_discovery import GroupedDiscovery
from knotwork.discovery.grouped_journey import discover_groups, refuse_shared, refuse_with_groups
from knotwork.discovery.known_form import KnownForm
from knotwork.discovery.outliers import Searched, named_rows, rows_without, without_outliers
from knotwork.discovery.plainer import with_plainer
from knotwork.discovery.prepared_arguments import Arguments, prepared_arguments
from knotwork.discovery.reweighting import of_counts, weights_at_first, with_weights_of
from knotwork.discovery.search_question import question
from knotwork.discovery.stages import searched_stages
from knotwork.discovery.table import copies, dimensions_of, relative_errors, sample_of, table
from knotwork.discovery.target_discoveries import TargetDiscoveries
from knotwork.discovery.targets_journey import discover_targets, refuse_with_targets
from knotwork.discovery.targets_table import several_targets, tables_of_targets
from knotwork.discovery.task import Asked, Task, asked_for, check_settings, read_once
from knotwork.discovery.temperatures import shorter_search
from knotwork.discovery.undefined import undefined_within
from knotwork.discovery.what_matters import importance_of
from knotwork.journal import clock, remembering
from knotwork.keywords import check_keywords
from knotwork.regression import Limits
from knotwork.training import Callback, Reporter, reporting


@overload
def discover(
    X: Any,
    y: Any = None,
    *,
    groups: None = None,
    form: str | None = ...,
    start: Any = ...,
    names: Sequence[str] | None = ...,
    lib: Iterable[str] | None = ...,
    time_budget: float | None = ...,
    seed: int = ...,
    units: Mapping[str, str] | Literal[False] | None = ...,
    forbid: Iterable[str] | None = ...,
    linear: Iterable[str] | None = ...,
    required: Iterable[str] | None = ...,
    max_complexity: int | None = ...,
    constant_range: Sequence[float] | None = ...,
    exponent_range: Sequence[float] | None = ...,
    nested: Mapping[str, Mapping[str, int]] | None = ...,
    monotone: Mapping[str, str | int] | None = ...,
    positive: bool = ...,
    loss: Literal["auto", "mse", "relative", "huber", "poisson"] = ...,
    sigma: Any = ...,
    sample_weight: Any = ...,
    keep_outliers: bool = ...,
    missing: Missing = ...,
    split: Any = ...,
    progress: bool | None = ...,
    callback: Callback | None = ...,
    checkpoint: str | PathLike[str] | None = ...,
) -> Discovery: ...
@overload
def discover(
    X: Any,
    y: Any = None,
    *,
    groups: Any,
    form: str | None = ...,
    shared: Iterable[str] | None = ...,
    names: Sequence[str] | None = ...,
    lib: Iterable[str] | None = ...,
    time_budget: float | None = ...,
    seed: int = ...,
    units: Mapping[str, str] | Literal[False] | None = ...,
    forbid: Iterable[str] | None = ...,
    linear: Iterable[str] | None = ...,
    required: Iterable[str] | None = ...,
    max_complexity: int | None = ...,
    constant_range: Sequence[float] | None = ...,
    exponent_range: Sequence[float] | None = ...,
    nested: Mapping[str, Mapping[str, int]] | None = ...,
    monotone: Mapping[str, str | int] | None = ...,
    positive: bool = ...,
    loss: Literal["auto", "mse", "relative"] = ...,
    missing: Missing = ...,
    split: Any = ...,
    progress: bool | None = ...,
    callback: Callback | None = ...,
    checkpoint: str | PathLike[str] | None = ...,
) -> GroupedDiscovery: ...
@overload
def discover(
    X: Any,
    y: Any = None,
    *,
    names: Sequence[str] | None = ...,
    lib: Iterable[str] | None = ...,
    time_budget: float | None = ...,
    seed: int = ...,
    units: Mapping[str, str] | Literal[False] | None = ...,
    forbid: Iterable[str] | None = ...,
    linear: Iterable[str] | None = ...,
    required: Iterable[str] | None = ...,
    max_complexity: int | None = ...,
    constant_range: Sequence[float] | None = ...,
    exponent_range: Sequence[float] | None = ...,
    nested: Mapping[str, Mapping[str, int]] | None = ...,
    loss: Literal["cross_entropy"],
    sample_weight: Any = ...,
    missing: Missing = ...,
    split: Any = ...,
    progress: bool | None = ...,
    callback: Callback | None = ...,
    checkpoint: str | PathLike[str] | None = ...,
) -> ClassDiscovery: ...
@check_keywords
def discover(
    X: Any,
    y: Any = None,
    *,
    groups: Any = None,
    form: str | None = None,
    shared: Iterable[str] | None = None,
    start: Any = None,
    names: Sequence[str] | None = None,
    lib: Iterable[str] | None = None,
    time_budget: float | None = None,
    seed: int = 0,
    units: Mapping[str, str] | Literal[False] | None = None,
    forbid: Iterable[str] | None = None,
    linear: Iterable[str] | None = None,
    required: Iterable[str] | None = None,
    max_complexity: int | None = None,
    constant_range: Sequence[float] | None = None,
    exponent_range: Sequence[float] | None = None,
    nested: Mapping[str, Mapping[str, int]] | None = None,
    monotone: Mapping[str, str | int] | None = None,
    positive: bool = False,
    loss: Literal["auto", "mse", "relative", "huber", "poisson", "cross_entropy"] = "auto",
    sigma: Any = None,
    sample_weight: Any = None,
    keep_outliers: bool = False,
    missing: Missing = "drop",
    split: Any = "random",
    progress: bool | None = None,
    callback: Callback | None = None,
    checkpoint: str | PathLike[str] | None = None,
) -> Discovery | GroupedDiscovery | ClassDiscovery | TargetDiscoveries:
    """The formula that describes a table in the fewest bits, with the networks behind it.

    A sparse baseline network tells which inputs matter. Structures of curves are searched, the
    curves of those that come close are named with functions of `lib`, and all constants are fitted together and rounded
    where the rows allow it. The search ends at the first formula that is exact to rounding, or soon after one whose
    residuals look random. Where there is none, networks of ever more general shape follow. Ctrl-C ends the search and
    keeps the best so far. Where nothing beats the mean of the target, that is the formula, with a KnotworkWarning.

    Inputs that are linear combinations of others take no part in the search (`Discovery.dependent`); the formula holds
    them where they make it shorter. A candidate whose calculation fails is dropped and counted (`Discovery.failures`).

    Args:
        X: The inputs (rows, columns), an array, a data frame, or the path of a CSV or Parquet file; or a `Dataset` that
            holds inputs and target. One axis is one input. Texts become numbers, dates, or indicators of categories
            such as `sex=male`, and columns that only name the rows are skipped: see `Preparation`.
        y: The target (rows,), or the name of its column in `X`; None if `X` is a `Dataset`. Several columns, or names,
            are several targets, whose formulas share terms and constants where that takes fewer bits: the result is
            then a `TargetDiscoveries`. A row in which a target is missing (NaN) takes no part for this target. Texts,
            categories and truth values are labels of classes: the result is then a `ClassDiscovery`, with the boundary
            g = 0 between two classes, or of each class against all others. Of a table with more than 12,500 rows,
            10,000 are used.
        groups: The group that every row belongs to, such as a patient, a planet or a batch: the name of a column of
            `X`, which may hold texts, or an array of labels (rows,). One law is searched for whose constants may differ
            between groups; which of them do is decided by the description length. The result is then a
            `GroupedDiscovery`. None: all rows have the same constants.
        form: The form of the law where it is known, such as "V*x/(K + x)" or "a*f(x) + g(y)/z". Names that are no
            columns are constants, which are fitted from many starts and get errors. Names that are called like
            functions, and are none, are unknown curves of one argument, an expression of columns and constants. They
            are fitted as splines together with the constants, then named with functions of `lib`; one that no name fits
            stays a spline. Scales and offsets that the form leaves open are chosen, and `Discovery.unknowns` says how.
            Nothing else is searched for.
        shared: With `groups` and `form`, the constants of the form that all groups share; the others differ. None: this
            is decided by the description length.
        start: A formula to go on from: a text, a `Formula`, or an earlier `Discovery`, whose front comes along. Its
            constants are fitted again, and formulas near it are tried: a part more or less, other functions, inputs in
            place of constants. The search then goes on as usual; by its criterion, the result is never worse.
        names: Names of the columns of `X`, where it has none.
        lib: Names of the functions that formulas may hold, such as `["x", "x^2", "sin"]`; powers are always allowed.
        time_budget: Seconds after which the search, or the fit of a form, ends with the best so far, within two seconds
            or so; of several targets, within as much for each.
        seed: Seed of the split into training, validation and test rows, and of starting points.
        units: Units of columns, `{"speed": "m/s"}` (1 for pure numbers), if headers such as `speed [m/s]` do not have
            them. Where those of all columns are known, formulas in dimensionless groups are tried first, and among
            formulas that are about as good one in which units agree is chosen. False ignores units. A unit that is
            not known gives a KnotworkWarning, and the search goes on without. Boundaries of labels have none.
        forbid: Names of functions that no formula may hold.
        linear: Inputs that enter linearly, y = a + b·x, where a and b may depend on the other inputs.
        required: Inputs that every formula holds.
        max_complexity: Operators, functions, constants and variables of a formula at most; None: any number.
        constant_range: The smallest and the largest number in a formula, `(-10, 10)`, but for exponents and signs, in
            the units of the columns; None as an end: no limit.
        exponent_range: The same for exponents.
        nested: How often a function may stand inside another one, one within the other: `{"sin": {"sin": 0}}`. A cosine
            counts as a sine.
        monotone: Inputs with which the result grows or falls, `{"x": "increasing"}` or "decreasing" (1 or -1).
        positive: Whether the result must not fall below 0 on the rows and between them. Where no formula satisfies what
            is asked, the result is a constant and says so.
        loss: What a formula shall make small on the rows: "mse" the squared residuals, "relative" the squared relative
            deviations, close to logarithms of value / target, so that the smallest targets count as much as the
            largest, "huber" squares of small residuals and sizes of large ones, for noise with long tails, "poisson"
            the likelihood of counts, of which none counts as an outlier, "cross_entropy" the likelihood of labels, for
            numbers that are labels. "auto" chooses "relative" where all targets have one sign and run over four decades
            or more, and `remarks` says so.
        sigma: The standard deviation of the error of each row's target, in its unit: an array (rows,), one number, or
            the name of a column of `X`, which is then no input. Rows count by 1/sigma², the errors of constants follow
            from sigma, and `Formula.reduced_chi2` tells whether the residuals agree with it. For several targets, it
            may have a column for each.
        sample_weight: How much each row counts, given as `sigma` is, where errors are known up to a factor; 0: not.
        keep_outliers: Whether rows take part, too, that contradict the formula of all others, such as a slip of a sign
            or a unit. Default: they are left out and named in `Discovery.outliers`.
        missing: What is done with missing values: "drop" leaves out their rows, and columns that lack most values;
            "fill" takes the median, or the most frequent category, of the training rows (with `groups` and for several
            targets, of all rows); "error" refuses them. `Discovery.preparation` and a warning tell what was done.
        split: How rows are split into training, validation and test rows: "random"; "time", where test rows are the
            latest; the name of a column of `X`, or a label for each row, (rows,), whose rows stay together, such as
            those of a patient: see `Dataset.from_arrays`. Where few rows are left out one at a time, such rows are left
            out together, or blocks of neighbours in time. `remarks` says so.
        progress: Whether stages and fits are shown; None shows them on a terminal and in notebooks.
        callback: A function of an `Event`, which holds the stage and the front of formulas so far (as `Entry`). It is
            called when a stage begins, after every step of a fit, whenever a formula joins the front, and every quarter
            of a second or so of a search among candidates. It ends the search by returning True; the best so far is
            kept.
        checkpoint: A file in which the search keeps its results every few seconds, such as "search.kw". After a kill or
            Ctrl-C the same call goes on from there and ends with the same formulas; after its end it leads there again
            in a short time. Seconds before a kill count in `time_budget`, which may be another one in the next call.
            The file is refused for other data and settings. None: nothing is kept.

    Returns:
        A `Discovery`: `formula`, the `front` of formulas from simple to accurate, models, importance of the inputs.
        With `groups` a `GroupedDiscovery`, whose `formula` has a table of constants; for labels a `ClassDiscovery`; for
        several targets `TargetDiscoveries`.

    Raises:
        DataError: For a table that cannot be used, or names of columns it does not have.
        SpecError: For functions that the library does not have.
        TrainingError: For other settings that are not possible.
        CheckpointError: For a checkpoint that cannot be written, is damaged, or belongs to another calculation.

    Example:
        >>> import numpy as np
        >>> import knotwork as kw
        >>> X = np.random.default_rng(0).uniform(0.5, 2, (200, 2))
        >>> found = kw.discover(X, X[:, 0] / X[:, 1], names=["voltage", "resistance"])
        >>> print(found.formula)
        y = voltage/resistance
    """
    lib, forbid, linear, required = map(read_once, (lib, forbid, linear, required))
    limited = required, max_complexity, constant_range, exponent_range, nested, monotone, positive
    X, y = named_targets(X, y)
    if several_targets(X, y):
        refuse_with_targets(y, loss, groups=groups, form=form, start=start)
    kinds = loss, seed, missing, split
    came = prepared_arguments(X, y, groups, names, sigma, sample_weight, *kinds, linear, required)
    asked = Asked(lib, forbid, linear, limited, units, form, start, loss, seed, keep_outliers)
    with remembering(checkpoint, lambda: question(came, asked, names, shared, missing)):
        return _discovered(came, asked, shared, time_budget, progress, callback)


def _discovered(
    came: Arguments,
    asked: Asked,
    shared: Iterable[str] | None,
    time_budget: float | None,
    progress: bool | None,
    callback: Callback | None,
) -> Discovery | GroupedDiscovery | ClassDiscovery | TargetDiscoveries:
    """The discovery of a table that is prepared: of classes, groups, several targets or one target."""
    X, y, groups, names, sigma, sample_weight = came.values
    form, loss, seed = asked.form, asked.loss, asked.seed
    of_search = asked.lib, time_budget, seed, asked.units, asked.forbid, asked.linear, asked.limited
    if came.labels:
        given = asked.start, sigma, asked.limited[6], asked.limited[5], asked.keep_outliers
        refuse_with_labels(groups, form, shared, *given)
        known = *of_search, sample_weight, came.split
        return came.kept_with(discover_classes(X, y, names, *known, progress, callback))
    if groups is not None:
        refuse_with_groups(loss, sigma=sigma, sample_weight=sample_weight, start=asked.start, split=came.split)
        found = discover_groups(X, y, groups, names, *of_search, form, shared, loss, progress, callback)
        return came.kept_with(found)
    refuse_shared(shared)
    began = clock()
    check_settings(seed, time_budget, loss)
    if several_targets(X, y):
        tables = tables_of_targets(X, y, names, asked.units, seed, sigma, sample_weight, came.split)
        search = partial(_of_rows, asked=asked)
        with reporting(progress, callback) as reporter:
            return came.kept_with(discover_targets(tables, asked, search, began, time_budget, reporter))
    asked.constraints(every := table(X, y, names, asked.units, seed, sigma, sample_weight, came.split))
    with reporting(progress, callback) as reporter:
        found = _of_rows(every, began, time_budget, reporter, asked)
    warn_unless_explained(found)
    return came.kept_with(found)


def _of_rows(every: Dataset, began: float, time_budget: float | None, reporter: Reporter, asked: Asked) -> Discovery:
    """The discovery of the one target of these rows; the search `began` at this time and reports to this reporter."""
    loss, seed = asked.loss, asked.seed
    constraints, starts = asked.constraints(every), expressions_of(asked.start, every.input_names)
    limits = constraints.limits
    absolute = Units.of(every, absolute=True)
    with_units = replace(every, units=absolute.units(every))
    dimensions = None if asked.units is False else dimensions_of(with_units, given=bool(asked.units))
    constraints = constraints if loss != "poisson" else of_counts(every, constraints)
    given = None if asked.form is None else KnownForm.of(asked.form, every.input_names, constraints, asked.start)
    data = weights_at_first(every, loss) if loss in ("huber", "poisson") else every

    def search_in(own: Units, share: float, rows: Dataset, **options: Any) -> Searched:
        inside, budget = own.rows(rows), None if time_budget is None else share * time_budget
        used = [*constraints.linear, *limits.required] if given is None else inside.input_names
        inputs, dependent = of_independent_columns(inside, own.inputs, used)
        dims = own.dimensions(dimensions) if bool(own.zeros) == bool(absolute.zeros) else None
        known = dims, seed, began, budget, reporter, own, inputs, dependent
        usual = constraints if own.usual else replace(constraints, limits=constraints.limits.without_units())
        task = Task(inside, usual, *known, relative_errors(rows, loss), start=starts, **options)
        return Searched(task, *searched_stages(task)) if given is None else search_of_form(task, given)

    def search(rows: Dataset, **options: Any) -> Searched:
        if given is not None:
            return search_in(Units(1.0, {}), 1.0, rows, **options)
        return shorter_search(rows, partial(search_in, rows=rows, **options), reporter)

    keep = asked.keep_outliers or loss == "poisson"
    searched, wrong = (search(data), None) if keep else without_outliers(data, search, reporter)
    data, searched = every if wrong is None else rows_without(every, wrong), with_plainer(searched)
    if loss in ("huber", "poisson"):
        searched, data = with_weights_of(searched, data, loss)
    known = asked_for(searched.task, asked.lib is not None or asked.forbid is not None, loss)
    settings = {**known, "form": asked.form}
    outliers = () if wrong is None else named_rows(searched, every, wrong)
    return _discovery(searched, data, limits, began, settings, outliers)


def _discovery(
    searched: Searched,
    data: Dataset,
    limits: Limits,
    began: float,
    settings: dict[str, Any],
    outliers: tuple[Outlier, ...],
) -> Discovery:
    """The result of a search of these rows, for columns in their own units."""
    task, entries, baseline, stop, answer = searched
    own, chosen = task.own, searched.chosen
    fronts = whole_front(entries if searched.constant_possible else entries[1:] or entries, chosen, task.data)
    chosen, front = own.entries(chosen, fronts, data, task.relative, task.constraints)
    if answer is None:
        chosen, front, unmet = permitted(chosen, front, limits, sample_of(data))
    else:
        unmet = answer.unmet(data)
        answer.warn_of_undetermined()
    undefined = undefined_within(chosen.expression, sample_of(data))
    general = own.baseline(baseline, data)
    assert chosen.formula and chosen.symbolic_model and chosen.spline_model
    return Discovery(
        chosen.formula,
        front,
        chosen.symbolic_model,
        chosen.spline_model,
        chosen.shape,
        general,
        importance_of(chosen.formula, general, data, task.relative, task.deadline),
        data,
        clock() - began,
        stop,
        settings,
        own.combinations(task.dependent),
        dict(task.failures.reasons),
        "" if undefined is None else undefined.reason,
        copies(data),
        outliers,
        unmet,
        {} if answer is None else answer.said,
        error_rows=error_rows(data),
    )
