"""From a table to a formula: the whole journey. Read this file first."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from knotwork.data import Dataset, as_dataset
from knotwork.errors import DataError
from knotwork.kan import KAN
from knotwork.simplify import attribute
from knotwork.symbolic import Formula
from knotwork.symbolic.shapes import Shape, shapes
from knotwork.training import FitResult, fit_multilevel

SCOUT_WIDTH = 5  # hidden nodes of the first, general network
SPARSITY = 1e-3  # weight of the penalty in its first fit, in units of rms(y)
LEAST_SCORE = 0.01  # of the largest input's: inputs below it are left out
EXACT = 1e-9  # of rms(y): residuals below it are rounding
HOPELESS = 10.0  # times the scout's error and FAR of rms(y): a shape that far off on a coarse grid is not refined
FAR = 0.05
WORTH_NAMING = 3.0  # times the best error so far: shapes within it are turned into formulas at once,
CLOSE = 0.01  # and so are those within this share of rms(y): a kink costs splines much and a formula nothing
GRIDS = (5, 10, 20)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Trial:
    """One shape on the way: the spline network, its copy with named edges, and the formula of that."""

    shape: str
    network: KAN = field(repr=False)
    error: float
    interrupted: bool = False
    named: KAN | None = field(default=None, repr=False)
    formula: Formula | None = None
    held_out: float = float("inf")
    bits: float = float("inf")


@dataclass(frozen=True)
class Discovery:
    """What was found in a table.

    `formula` describes the data in the fewest bits (residuals on held-out rows plus size of the formula); `pareto`
    holds the best formula of every complexity, simplest first. `model` is the spline network of the chosen shape,
    `named` the same with named edges, `scout` the general network fitted first; all take every input column.
    `importance` maps inputs to their shares.
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

    def plot(self, beta: float = 3.0, **options: Any) -> Any:
        """The diagram of `named`, as a matplotlib Figure."""
        return self.named.plot(self.data, beta, **options)


def discover(
    X: Any,
    y: Any = None,
    names: Sequence[str] | None = None,
    lib: Iterable[str] | None = None,
    time_budget: float | None = None,
    seed: int = 0,
    say: Say | None = None,
) -> Discovery:
    """Fit KANs of growing shape to a table, name their edges, and choose the formula that says most in least.

    `X` and `y` are arrays or pandas objects, or `X` is a `Dataset`. A general network tells which inputs matter and how
    well the target can be predicted at all. Then shapes are tried from simple to general; the edges of those that come
    close are named with functions of `lib`. It ends at the first formula that is exact to rounding, when all shapes
    were tried, after `time_budget` seconds (checked between shapes), or at Ctrl-C during a fit, with the best so
    far. `say` is told each stage in words.
    Raises DataError for a table that cannot be used, and for more than one target.
    """
    began = time.perf_counter()
    say = say or (lambda text: None)
    data = as_dataset(X if y is None else Dataset.from_arrays(X, y, names=names, seed=seed))
    if data.n_outputs != 1:
        raise DataError(f"discover() explains one target, but got {data.n_outputs}: pass one column of y at a time.")

    say("fitting a general network")
    scout, importance = fit_scout(data, seed)
    least = LEAST_SCORE * max(importance.values())
    kept = tuple(i for i, share in enumerate(importance.values()) if share >= least)

    trials: list[Trial] = []
    best = scout_error = held_out(scout)
    for shape in shapes(len(kept)):
        if time_budget is not None and trials and time.perf_counter() - began > time_budget:
            break
        say(f"trying {shape.meaning}")
        trial = fit_shape(shape, kept, data, scout_error, seed)
        if trial.interrupted:
            trials.append(trial)
            break
        if trial.error <= max(WORTH_NAMING * best, CLOSE * rms(data)):
            trial = name(trial, data, lib)
        trials.append(trial)
        best = min(best, trial.error, trial.held_out)
        if trial.held_out <= EXACT * rms(data):
            break
    if all(trial.formula is None for trial in trials):
        say("naming the closest shape")
        closest = min(trials, key=lambda trial: trial.error)
        trials[trials.index(closest)] = name(closest, data, lib)

    chosen = min((trial for trial in trials if trial.formula is not None), key=lambda trial: trial.bits)
    assert chosen.formula is not None and chosen.named is not None
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
    )


def fit_scout(data: Dataset, seed: int) -> tuple[FitResult, dict[str, float]]:
    """A general network [n, 5, outputs] as fine as the held-out rows support, and what its inputs matter.

    Importance is read off a first, sparse fit, in which an input that explains nothing fades.
    """
    network = KAN([data.n_inputs, SCOUT_WIDTH, data.n_outputs], grid=GRIDS[0], seed=seed)
    network.fit(data, starts=1, steps=40, tolerance=1e-3, lamb=SPARSITY * rms(data), seed=seed, progress=False)
    importance = input_importance(network, data)
    return fit_multilevel(network, data, GRIDS, patience=0, steps=30, tolerance=1e-3, progress=False), importance


def input_importance(network: Any, data: Dataset) -> dict[str, float]:
    """Share of every input in the attribution scores; they sum to one."""
    scores = attribute(network, data.X_train).inputs
    total = float(scores.sum()) or 1.0
    return {name: float(score) / total for name, score in zip(data.input_names, scores, strict=True)}


def fit_shape(shape: Shape, inputs: tuple[int, ...], data: Dataset, scout_error: float, seed: int) -> Trial:
    """The shape fitted coarsely from many starts, then on finer grids unless it is hopeless."""
    network = shape.build(KAN, GRIDS[0], seed, data.n_inputs, inputs)
    coarse = network.fit(data, starts=16, steps=30, seed=seed, progress=False)
    if coarse.stopped_by_caller or held_out(coarse) > max(HOPELESS * scout_error, FAR * rms(data)):
        return Trial(shape.meaning, network, held_out(coarse), coarse.stopped_by_caller)
    result = fit_multilevel(network, data, GRIDS, patience=0, steps=40, tolerance=1e-3, seed=seed, progress=False)
    return Trial(shape.meaning, result.model, held_out(result), result.stopped_by_caller)  # type: ignore[arg-type]


def name(trial: Trial, data: Dataset, lib: Iterable[str] | None) -> Trial:
    """The trial with its edges named, its formula, and what residuals and formula take to write down."""
    named = trial.network.auto_symbolic(data, lib)
    formula = named.symbolic_formula(data)
    x, y = (data.X_val, data.y_val) if len(data.X_val) else (data.X_train, data.y_train)
    with torch.no_grad():
        error = float((named(x) - y).square().mean().sqrt())
    if not math.isfinite(error):  # a logarithm, say, that leaves its domain on the held-out rows
        return replace(trial, named=named, formula=formula)
    floor = EXACT * rms(data) + 1e-300
    n = float(y.numel())
    bits = n * math.log2(error + floor) + formula.complexity * math.log2(n)
    return replace(trial, named=named, formula=formula, held_out=error, bits=bits)


def pareto_front(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    """Trials with a formula that no simpler one beats on held-out rows, simplest first."""
    named = sorted((t.formula.complexity, t.held_out, n) for n, t in enumerate(trials) if t.formula is not None)
    front: list[Trial] = []
    for _, error, n in named:
        if not front or error < front[-1].held_out:
            front.append(trials[n])
    return tuple(front)


def held_out(result: FitResult) -> float:
    """RMSE on the validation rows, or on the training rows where there are none."""
    return result.train_rmse if result.val_rmse is None else result.val_rmse


def rms(data: Dataset) -> float:
    """Root mean square of the training targets about their mean: the scale of errors."""
    y: Tensor = data.y_train
    return float((y - y.mean(0)).square().mean().sqrt())
