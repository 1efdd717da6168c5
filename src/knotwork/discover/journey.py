"""From a table to a formula: the whole journey. Read this file first."""

import math
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from knotwork.data import Dataset, as_dataset, seeded
from knotwork.data.column_names import check_units, listed
from knotwork.discover.network_shapes import Shape, shapes
from knotwork.errors import DataError, ExpressionError, KnotworkWarning, SpecError, TrainingError
from knotwork.formulas import Formula, measured, simplest
from knotwork.formulas.constants import ROUNDING, Constants, Sample, fitted, simplified
from knotwork.formulas.dimensions import Dimensions
from knotwork.kan import KAN
from knotwork.model import Spec
from knotwork.regression.candidate_formulas import Reading, read
from knotwork.regression.constraints import Guidance
from knotwork.regression.dimensionless import groupings, needed, obstacle
from knotwork.regression.dimensionless_search import GroupSearch
from knotwork.regression.search import Search
from knotwork.simplify import input_shares
from knotwork.symbolic import Relations, from_expression
from knotwork.symbolic.construction import splines_of
from knotwork.training import (
    INTERRUPTED,
    Callback,
    FitOptions,
    FitResult,
    Reporter,
    fit_levels,
    fit_with,
    held_out,
    reporting,
)

SCOUT_WIDTH = 5  # hidden nodes of the first, general network
STARTS = 8  # of every shape
SPARSITY = 1e-3  # weight of the penalty in its first fit, in units of rms(y)
LEAST_SCORE = 0.01  # of the largest input's: inputs below it are left out
HOPELESS = 10.0  # times the scout's error and FAR of rms(y): a shape that far off on a coarse grid is not refined
FAR = 0.05
WORTH_NAMING = 3.0  # times the best error so far: shapes within it are turned into formulas at once,
CLOSE = 0.01  # and so are those within this share of rms(y): a kink costs splines much and a formula nothing
BETTER = 0.9  # times the error of a simpler formula, which a longer one must reach to be shown
MOST_SHOWN = 6
AS_WELL = 1.2  # times the scout's error that leaving out faint inputs may bring
GRIDS = (5, 10, 20)
SCOUT_GRIDS = GRIDS[:2]  # a wide network needs no finer ones
MOST_ROWS = 10_000
FEW_ROWS = 1000  # of the first look where time is short
SHARE = 0.75  # of a time budget that the search among structures of curves may take
GROUPS = 0.67  # of that, for groups of inputs without a unit
LARGEST = 1e100  # of targets; larger ones, and smaller ones than one over that, are searched in another unit
SLIGHT = 0.3  # share, at a first look, of inputs without a part in groups, from which more than one group is not tried
ODD = 4  # symbols that a formula counts as longer by where units do not agree, and 1 for each constant with a unit
BRIEF: dict[str, Any] = {"optimizer": "lm", "tolerance": 1e-3}

Say = Callable[[str], None]


@dataclass(frozen=True)
class Trial:
    """One shape on the way: the spline network, its copy with named edges, and the formula of that."""

    shape: str
    network: KAN = field(repr=False)
    error: float
    named: KAN | None = field(default=None, repr=False)
    formula: Formula | None = None
    held_out: float = float("inf")
    bits: float = float("inf")

    def _times(self, data: Dataset, unit: float) -> "Trial":
        """The trial of a formula for the targets of `data`, which are those it was made for times the unit."""
        from knotwork.expressions import number

        assert self.formula is not None
        expression = number(unit) * self.formula.expression
        named, network, formula = built(expression, data)
        return Trial(self.shape, network, unit * self.error, named, formula, unit * self.held_out, self.bits)


class Find(NamedTuple):
    """A formula on the way: how long it is, its root mean squared error on the rows it was fitted to, and itself."""

    complexity: int
    error: float
    expression: Any
    shape: str

    def _times(self, unit: float) -> "Find":
        """The same for the target times a unit."""
        from knotwork.expressions import number

        return self._replace(error=unit * self.error, expression=number(unit) * self.expression)


class Front:
    """The formulas so far that no shorter one beats, shown to `watch` whenever one joins them."""

    def __init__(self, watch: Callable[[tuple[Find, ...]], None] | None) -> None:
        self.watch, self.finds = watch, ()

    def add(self, error: float, expression: Any, shape: str) -> None:
        """Take up a formula unless one that is as short is as good."""
        from knotwork.expressions import complexity

        new = Find(complexity(expression), error, expression, shape)
        if (
            self.watch is None
            or not error < math.inf
            or any(f.complexity <= new.complexity and f.error <= error for f in self.finds)
        ):
            return
        kept = [f for f in self.finds if f.complexity < new.complexity or f.error < error]
        self.finds = tuple(sorted([*kept, new], key=lambda find: find.complexity))
        self.watch(self.finds)


@dataclass(frozen=True)
class Discovery:
    """What was found in a table.

    `formula` describes the training and held-out rows in the fewest bits (of residuals, and of the formula); `pareto`
    holds the best formula of every complexity, simplest first. `model` is the spline network of the chosen shape,
    `named` the same with named edges, `scout` the general network fitted first, sparse where the search ended before
    more was asked of it; all take every input column.
    `importance` maps inputs to their shares, `stop_reason` says why the search ended where it did,
    `settings` what was asked for.
    """

    formula: Formula
    pareto: tuple[Trial, ...] = field(repr=False)
    model: KAN = field(repr=False)
    named: KAN = field(repr=False)
    shape: str
    scout: FitResult = field(repr=False)
    importance: dict[str, float]
    data: Dataset = field(repr=False)
    seconds: float
    stop_reason: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def _times(self, data: Dataset, unit: float) -> "Discovery":
        """What was found for the targets of `data` over a unit, as found for these targets."""
        tried = (Trial(self.shape, self.model, 0.0, self.named, self.formula), *self.pareto)
        made = {id(trial.formula): trial._times(data, unit) for trial in tried}  # what the front shares with the choice
        pareto, chosen = tuple(made[id(trial.formula)] for trial in self.pareto), made[id(self.formula)]
        assert chosen.formula is not None and chosen.named is not None
        model, named, scout = chosen.network, chosen.named, scaled(self.scout, unit)
        return replace(self, formula=chosen.formula, pareto=pareto, model=model, named=named, scout=scout, data=data)

    def plot(self, beta: float = 3.0, **options: Any) -> Any:
        """The diagram of `named`, as a matplotlib Figure."""
        return self.named.plot(self.data, beta, **options)

    def relations(self, **options: Any) -> Relations:
        """How the inputs act together in `named`: which can be split apart, and which matter by a combination only."""
        return self.named.relations(self.data, **options)

    def report(self, path: str | Path, title: str | None = None) -> Path:
        """Write all of this as one HTML page to `path`, a file that needs no other; DataError where that fails."""
        lib = self.settings.get("functions")
        asked = {"Seed": self.settings.get("seed"), "Functions": ", ".join(lib) if lib else "the default library"}
        for known in ("forbidden", "linear"):
            if self.settings.get(known):
                asked[known.capitalize()] = ", ".join(self.settings[known])
        if self.settings.get("time budget") is not None:
            asked["Time budget"] = f"{self.settings['time budget']:g} s"
        return self.named.report(
            path,
            self.data,
            title=title,
            formula=self.formula,
            splines=self.model,
            scout=self.scout,
            importance=self.importance,
            tried=self.pareto,
            lib=lib,
            settings=asked,
            seconds=self.seconds,
        )


def discover(
    X: Any,
    y: Any = None,
    names: Sequence[str] | None = None,
    lib: Iterable[str] | None = None,
    time_budget: float | None = None,
    seed: int = 0,
    say: Say | None = None,
    progress: bool | None = None,
    *,
    callback: Callback | None = None,
    units: Mapping[str, str] | Literal[False] | None = None,
    forbid: Iterable[str] | None = None,
    linear: Iterable[str] | None = None,
    watch: Callable[[tuple[Find, ...]], None] | None = None,
) -> Discovery:
    """Fit KANs of growing shape to a table, name their edges, and choose the formula that says most in least.

    `X` and `y` are arrays or pandas objects, or `X` is a `Dataset`. A sparse general network tells which inputs matter.
    Then structures of curves are tried, the curves of those that come close are named
    with functions of `lib`, and all constants are fitted together and rounded where the rows allow it.
    It ends at the first formula that is exact to rounding, or soon after one that leaves what looks random. Where there
    is none, networks of ever more general shape follow. It ends too after `time_budget` seconds (checked between steps
    of a second or so, on large tables several), or at Ctrl-C, with the best so far. Where nothing beats the mean of the
    target, that is the formula, and a KnotworkWarning says so. At most 10,000 training rows are used. `say` is told
    each stage in words; `progress` shows stages and fits and `callback` receives them as in `fit`; `watch` is shown the
    best formulas so far (`Find`), shortest first, whenever one joins them.

    What is known beforehand: with `lib=["x", "x^2", "sin"]` formulas hold no other functions but powers,
    `forbid=["tan"]` takes functions out of the library and out of formulas, and inputs in `linear` enter linearly,
    y = a + b·x, where a and b may depend on the others.

    Where the units of all columns are known, from headers such as `speed [m/s]` or `units={"speed": "m/s"}` (1 for pure
    numbers), inputs are put together to groups without a unit, and formulas of these are tried before others.
    `found.formula.units` then says whether units agree, and of formulas that are about as good one in which they do is
    chosen. A unit that is not known gives a KnotworkWarning, and the search goes on without; `units=False` leaves them
    out of it.
    Raises DataError for a table that cannot be used, for more than one target, and for inputs that it does not have;
    SpecError for functions that the library does not have; TrainingError for other settings.
    """
    began = time.perf_counter()
    seeded(seed)  # a wrong seed, too, is refused before any work
    if time_budget is not None and (not isinstance(time_budget, Real) or not time_budget >= 0):
        raise TrainingError(
            f"time_budget={time_budget!r} is not possible: give seconds, 0 or more, or None for no end."
        )
    if y is None and names is not None:
        raise DataError("names= was given without y=: pass X and y, or a Dataset, which has names of its own.")
    data = as_dataset(X) if y is None else Dataset.from_arrays(X, y, names=names, seed=seed)
    if units is not None and units is not False:
        check_units(units, (*data.input_names, *data.target_names))
        data = replace(data, units={**data.units, **units})
    data = first_rows(data)
    if data.n_outputs != 1:
        raise DataError(f"discover() explains one target, but got {data.n_outputs}: pass one column of y at a time.")
    guidance = Guidance.of(lib, forbid, linear, data.input_names)
    size = float(data.y_train.abs().max())
    if size and not 1 / LARGEST <= size <= LARGEST:
        unit = 10.0 ** math.floor(math.log10(size))
        told = None if watch is None else lambda finds: watch(tuple(find._times(unit) for find in finds))
        settings = {
            "lib": lib,
            "time_budget": time_budget,
            "seed": seed,
            "say": say,
            "progress": progress,
            "callback": callback,
        }
        known = {"forbid": forbid, "linear": linear, "watch": told, "units": False if units is False else None}
        return discover(times(data, 1 / unit), **settings, **known)._times(data, unit)
    dimensions = None if units is False else understood(data, told=bool(units))

    until = math.inf if time_budget is None else began + time_budget
    with reporting(progress, callback) as reporter:

        def stage(text: str) -> Reporter:
            if say is not None:
                say(text)
            return reporter.within(text)

        trials, front = [constant(data)], Front(watch)
        assert trials[0].formula is not None
        front.add(rms(data), trials[0].formula.expression, trials[0].shape)
        few = data if time_budget is None else first_rows(data, FEW_ROWS)
        sparse, scout = first_look(few, seed, stage("looking for inputs that matter"))
        importance = input_shares(sparse, data)
        try:
            if scout.stopped_by_caller:
                raise KeyboardInterrupt
            search_until = math.inf if time_budget is None else began + SHARE * time_budget
            search = Searching(trials, importance, data, guidance, search_until, seed, stage, front)
            reason = None if dimensions is None else search.groups(dimensions)
            reason = reason or search.structures()
            if reason is None:
                scout = look_around(sparse, data, stage("fitting a general network"))
                kept = worth_keeping(importance, scout, data, seed, stage("looking for inputs that matter"))
                reason = try_shapes(trials, kept, held_out(scout), data, guidance, until, seed, stage, front)
        except KeyboardInterrupt:
            stage("interrupted: the best so far is kept")
            reason = INTERRUPTED

    chosen = choice(trials, data)
    assert chosen.formula is not None and chosen.named is not None
    if chosen is trials[0] and reason != INTERRUPTED:
        warnings.warn(
            f"no formula that was tried explains {data.target_names[0]} better than a constant does, by more than "
            "chance; the curves of the general network (scout.model) may tell more.",
            KnotworkWarning,
            stacklevel=2,
        )
    return Discovery(
        chosen.formula,
        pareto_front(trials),
        chosen.network,
        chosen.named,
        chosen.shape,
        scout,
        importance,
        data,
        time.perf_counter() - began,
        reason,
        settings={
            "seed": seed,
            "functions": guidance.names if lib is not None or forbid is not None else None,
            "forbidden": [function.name for function in guidance.forbidden],
            "linear": list(guidance.linear),
            "time budget": time_budget,
        },
    )


def understood(data: Dataset, told: bool) -> Dimensions | None:
    """The units of the columns; None where one has none, or one that is not known, with a warning if some were told."""
    if not told and not all(name in data.units for name in (*data.input_names, *data.target_names)):
        return None
    try:
        return Dimensions.of(data)
    except DataError as error:
        warnings.warn(f"{error} The search goes on without units.", KnotworkWarning, stacklevel=3)
        return None


@dataclass(frozen=True)
class Searching:
    """What searches need to know; each appends a trial for every reading that no simpler one beats."""

    trials: list[Trial]
    importance: dict[str, float]
    data: Dataset
    guidance: Guidance
    until: float
    seed: int
    stage: Callable[[str], Reporter]
    front: Front

    def structures(self) -> str | None:
        """Search in the columns themselves; why the whole search can end, or None."""
        sample, faint = sample_of(self.data, self.importance)
        return self.read(self.search(self.guidance, sample, len(self.data.X_train), self.until, faint), sample)

    def groups(self, dimensions: Dimensions) -> str | None:
        """Search in groups of inputs without a unit, where there are such; why the whole search can end, or None."""
        if not dimensions.base:
            return None  # pure numbers are groups themselves
        sample, _ = sample_of(self.data, dict.fromkeys(self.data.input_names, 1.0))
        every = sample.columns
        names = needed(dimensions, self.importance, LEAST_SCORE * max(self.importance.values()))
        found = [] if names is None else groupings(dimensions, {name: every[name] for name in names})
        lost = 1 - sum(self.importance[name] for name in names or ())
        if names is None or not found or (lost > SLIGHT and len(found[0].groups) > 1):
            self.stage(f"units: {obstacle(dimensions, self.data)}")
            return None
        count = len(found[0].groups)
        groups = f"{count} group{'' if count == 1 else 's'} without a unit in place of {len(names)} inputs"
        self.stage(f"units: {groups if count else f'all but one constant follows from those of {listed(names)}'}")
        rest = [column for name, column in every.items() if name not in names]
        guidance = replace(self.guidance, linear=())  # readings are held against the inputs themselves
        left = self.until - time.perf_counter()
        search = GroupSearch(
            found,
            Sample({name: every[name] for name in names}, sample.y),
            len(self.data.X_train),
            lambda *rows: self.search(guidance, *rows),
            time.perf_counter() + GROUPS * left,
            rest,
        )
        return self.read(search, search.sample)

    def search(self, guidance: Guidance, sample: Sample, train: int, until: float, *settings: Any) -> Search:
        return guidance.search(sample, train, self.seed, until, lambda text: self.stage(f"trying {text}"), *settings)

    def read(self, search: Search | GroupSearch, sample: Sample) -> str | None:
        """Go through the search."""
        readings: list[Reading] = []
        before, in_groups, all_allowed = len(self.trials), isinstance(search, GroupSearch), True
        try:
            for reading in search.readings():
                if self.guidance.allows(reading.template.filled(), sample):
                    readings.append(reading)
                    self.front.add(reading.error, reading.template.filled(), reading.meaning)
                else:
                    all_allowed = False
        finally:  # Ctrl-C keeps what was read
            for reading in front_of(readings or ([] if in_groups else straight(sample))):
                trial = trial_of(reading, self.data)
                if trial is not None:
                    self.trials.append(trial)
        new = self.trials[before:]
        if any(trial.held_out <= ROUNDING * rms(self.data) for trial in new):
            return "the formula is exact to rounding"
        if new and time.perf_counter() > self.until:
            return "the time budget was used up"
        # what is not allowed may have ended the search in groups, which knows nothing of that
        ended = search.done and bool(new) and (all_allowed or not in_groups)
        return "what the formula leaves unexplained looks random" if ended else None


def sample_of(data: Dataset, importance: dict[str, float]) -> tuple[Sample, list[Tensor]]:
    """Training and held-out rows in their own units: of the inputs that are not faint, and the faint columns."""
    rows, y = torch.cat([data.X_train, data.X_val]), torch.cat([data.y_train, data.y_val])[:, 0].double()
    rows = (rows if data.scaling is None else data.scaling.undo(rows)).double()
    least = LEAST_SCORE * max(importance.values())
    columns = dict(zip(data.input_names, rows.unbind(1), strict=True))
    faint = [columns.pop(name) for name in data.input_names if importance[name] < least]
    return Sample(columns, y), faint


def straight(sample: Sample) -> list[Reading]:
    """A constant and a multiple of every input that rows tell apart from none, if there is one."""
    from knotwork.expressions import algebra, symbol

    constants = Constants()
    terms = [constants(0.0) * symbol(name) for name in sample.columns]
    template = fitted(constants.template(algebra.Add(constants(float(sample.y.mean())), *terms)), sample)
    found = read("a straight line", simplified(template, sample), sample)
    return [found] if found.template.filled().free_symbols else []


def front_of(readings: Sequence[Reading]) -> list[Reading]:
    """The readings that are worth a formula: the one with the fewest bits, and simpler ones that come close."""
    front: list[Reading] = []
    for reading in sorted(readings, key=lambda reading: reading.complexity):
        if not front or reading.error < BETTER * front[-1].error:
            front.append(reading)
    best = min(readings, key=lambda reading: reading.bits, default=None)
    if best is not None and best not in front:
        front.append(best)
    return sorted(front, key=lambda reading: reading.bits)[:MOST_SHOWN]


def trial_of(reading: Reading, data: Dataset) -> Trial | None:
    """The reading as a formula, a network that computes it, and the same network with splines; None if it cannot be."""
    try:
        expression = simplest(reading.template.filled(), data)
        named, network, formula = built(expression, data)
        with torch.no_grad():
            error = float((network(data.X_train) - data.y_train).square().mean().sqrt())
        return judged(Trial(reading.meaning, network, error), named, formula, data)
    except (ExpressionError, SpecError):  # a constant beyond what a float holds, a function no edge can be
        return None


def built(expression: Any, data: Dataset) -> tuple[KAN, KAN, Formula]:
    """A network that computes the expression, the same with splines, and what data say of it."""
    used = {str(s) for s in expression.free_symbols}
    columns = [name for name in data.input_names if name in used] or [data.input_names[0]]
    named = from_expression(KAN, expression, columns, data)
    return named, splines_of(named, data.X_train), measured((expression,), named, data)


def times(data: Dataset, unit: float) -> Dataset:
    """The data with targets in another unit."""
    return replace(data, y_train=unit * data.y_train, y_val=unit * data.y_val, y_test=unit * data.y_test)


def scaled(result: FitResult, unit: float) -> FitResult:
    """The result of a network whose outputs are sums of splines, for targets in another unit."""
    assert isinstance(result.model, KAN)
    model = result.model.copy()
    with torch.no_grad():
        model.layers[-1].coefficients.mul_(unit)
        model.layers[-1].base_weights.mul_(unit)
    errors = {name: getattr(result, name) for name in ("train_rmse", "val_rmse", "test_rmse")}
    errors = {name: None if error is None else unit * error for name, error in errors.items()}
    return replace(result, model=model, objective=unit * unit * result.objective, **errors)


def try_shapes(
    trials: list[Trial],
    kept: tuple[int, ...],
    scout_error: float,
    data: Dataset,
    guidance: Guidance,
    until: float,
    seed: int,
    stage: Callable[[str], Reporter],
    front: Front,
) -> str:
    """Append a trial for every shape, from simple to general, with its formula if it comes close; why it ended."""
    best = scout_error
    reason = "all shapes were tried"
    for shape in shapes(len(kept)):
        if guidance.linear and not shape.keeps_straight:
            continue
        if len(trials) > 1 and time.perf_counter() > until:
            reason = "the time budget was used up"
            break
        line = stage(f"trying {shape.meaning}")
        trial = fit_shape(shape, kept, data, guidance, scout_error, seed, line)
        trials.append(trial)
        if trial.error <= max(WORTH_NAMING * best, CLOSE * rms(data)):
            line.stage("naming its edges")
            trials[-1] = trial = name(trial, data, guidance)
            if trial.formula is not None:
                front.add(trial.held_out, trial.formula.expression, trial.shape)
        best = min(best, trial.error, trial.held_out)
        if trial.held_out <= ROUNDING * rms(data):
            return "the formula is exact to rounding"
    for trial in sorted(trials[1:], key=lambda trial: trial.error):
        if all(trial.formula is None for trial in trials[1:]):
            stage("naming the closest shape").stage("naming its edges")
            trials[trials.index(trial)] = name(trial, data, guidance)
    return reason


def first_rows(data: Dataset, most: int = MOST_ROWS) -> Dataset:
    """The data with at most so many training rows (rows are in random order): curves need no more than 10,000."""
    if len(data.X_train) <= most:
        return data
    return replace(data, X_train=data.X_train[:most], y_train=data.y_train[:most])


def first_look(data: Dataset, seed: int, line: Reporter) -> tuple[KAN, FitResult]:
    """A general network after a short, sparse fit, in which an input that explains nothing fades."""
    sparse = general_network(data, seed)
    options = FitOptions(starts=1, steps=25, lamb=SPARSITY * rms(data), seed=seed, **BRIEF)
    return sparse, fit_with(sparse, data, options, line)


def look_around(sparse: KAN, data: Dataset, line: Reporter) -> FitResult:
    """How well a general network predicts the target; it goes on from the sparse one."""
    scout = fit_levels(sparse, data, SCOUT_GRIDS, FitOptions(steps=30, **BRIEF), line, patience=0)
    if scout.stopped_by_caller:
        raise KeyboardInterrupt
    return scout


def worth_keeping(
    importance: dict[str, float], scout: FitResult, data: Dataset, seed: int, line: Reporter
) -> tuple[int, ...]:
    """The inputs worth keeping: faint ones are left out only if the held-out rows are predicted as well without."""
    every = tuple(range(data.n_inputs))
    least = LEAST_SCORE * max(importance.values())
    kept = tuple(i for i, share in zip(every, importance.values(), strict=True) if share >= least)
    if kept == every:
        return every
    without = general_network(data, seed, kept)
    options = FitOptions(starts=1, steps=30, seed=seed, **BRIEF)
    result = fit_levels(without, data, SCOUT_GRIDS, options, line, patience=0)
    if result.stopped_by_caller:
        raise KeyboardInterrupt
    return kept if held_out(result) <= AS_WELL * held_out(scout) else every


def general_network(data: Dataset, seed: int, inputs: tuple[int, ...] | None = None) -> KAN:
    """A fresh network [n, 5, 1] of these inputs, or of all."""
    inputs = tuple(range(data.n_inputs)) if inputs is None else inputs
    width = ((len(inputs), 0), (SCOUT_WIDTH, 0), (1, 0))
    spec = Spec(width, GRIDS[0], in_features=data.n_inputs, inputs=inputs)
    return KAN.from_spec(spec, "power", torch.Generator().manual_seed(seed))


def constant(data: Dataset) -> Trial:
    """The mean of the target: what every formula has to beat."""
    network = KAN.from_spec(Spec(((1, 0), (1, 0)), in_features=data.n_inputs, inputs=(0,)))
    network.fix_symbolic(0, 0, 0, "x", data, params=(0.0, 0.0, 0.0, float(data.y_train.mean())))
    return judged(Trial("a constant", network, rms(data)), network, network.symbolic_formula(data), data)


def fit_shape(
    shape: Shape,
    inputs: tuple[int, ...],
    data: Dataset,
    guidance: Guidance,
    scout_error: float,
    seed: int,
    line: Reporter,
) -> Trial:
    """The shape fitted coarsely from many starts, then on finer grids unless it is hopeless."""
    network = shape.build(KAN, GRIDS[0], seed, data.n_inputs, inputs)
    guidance.straighten(network, [data.input_names[i] for i in inputs])
    options = FitOptions(starts=STARTS, steps=30, seed=seed, optimizer="lm")
    coarse = fit_with(network, data, options, line)
    if coarse.stopped_by_caller:
        raise KeyboardInterrupt
    if held_out(coarse) > max(HOPELESS * scout_error, FAR * rms(data)):
        return Trial(shape.meaning, network, held_out(coarse))
    result = fit_levels(network, data, GRIDS, FitOptions(steps=40, seed=seed, **BRIEF), line, patience=0)
    if result.stopped_by_caller:
        raise KeyboardInterrupt
    return Trial(shape.meaning, result.model, held_out(result))  # type: ignore[arg-type]


def name(trial: Trial, data: Dataset, guidance: Guidance) -> Trial:
    """The trial with its edges named and its formula; as it was where the named network has none that is allowed."""
    named = trial.network.auto_symbolic(data, guidance.names)
    try:
        formula = named.symbolic_formula(data)
        every = dict.fromkeys(data.input_names, 1.0)
        allowed = guidance.allows(formula.expression, sample_of(data, every)[0])
        return judged(trial, named, formula, data) if allowed else trial
    except (ExpressionError, SpecError):  # a constant beyond what a float holds, an edge that nothing fits
        return trial


def judged(trial: Trial, named: KAN, formula: Formula, data: Dataset) -> Trial:
    """The trial with its formula and what residuals and formula take to write down."""
    with torch.no_grad():
        squares = [(named(x) - y).square() for x, y in ((data.X_train, data.y_train), (data.X_val, data.y_val))]
    every, held_out = torch.cat(squares), squares[1] if len(squares[1]) else squares[0]
    error = float(every.mean().sqrt())
    if not math.isfinite(error):  # a logarithm, say, that leaves its domain on the held-out rows
        return replace(trial, named=named, formula=formula)
    n = float(every.numel())
    odd = sum(len(one.constants) if one.agree else ODD for one in formula.units)
    bits = n * math.log2(error + ROUNDING * rms(data) + 1e-300) + (formula.complexity + odd) * math.log2(n)
    return replace(trial, named=named, formula=formula, held_out=float(held_out.mean().sqrt()), bits=bits)


def choice(trials: Sequence[Trial], data: Dataset) -> Trial:
    """The trial of the fewest bits; before the constant one that would have fewer if a formula took half as many."""
    constant, *others = sorted((t for t in trials if t.formula is not None), key=lambda trial: trial is not trials[0])
    best = min(others, key=lambda trial: trial.bits, default=constant)
    assert best.formula is not None
    half = best.formula.complexity * math.log2(len(data.y_train) + len(data.y_val)) / 2
    return best if best.bits - half < constant.bits else constant


def pareto_front(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    """Trials with a formula that no simpler one beats on held-out rows, simplest first."""
    named = sorted((t.formula.complexity, t.held_out, n) for n, t in enumerate(trials) if t.formula is not None)
    front: list[Trial] = []
    for _, error, n in named:
        if not front or error < front[-1].held_out:
            front.append(trials[n])
    return tuple(front)


def rms(data: Dataset) -> float:
    """Root mean square of the training targets about their mean: the scale of errors."""
    y: Tensor = data.y_train
    return float((y - y.mean(0)).square().mean().sqrt())
