"""What was found in a table: the formula, the front of formulas, and the networks behind them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from knotwork.data import Dataset
from knotwork.formulas import Formula
from knotwork.kan import KAN
from knotwork.solvers import StopReason
from knotwork.symbolic import Relations
from knotwork.training import FitResult


@dataclass(frozen=True)
class Entry:
    """One formula on the front: how long it is, how far off, and the networks that compute it.

    `complexity` counts operators, functions, constants and variables. `error` is the root mean squared error on the
    validation rows, or on the training rows where there are none. `shape` says in words how the formula is built.
    `symbolic_model` is the network with named edges, `spline_model` the same with splines. `bits` is the length of
    formula and residuals together, by which formulas are chosen.

    While a search runs, entries have no formula and no networks yet, and their `error` is that on the rows that the
    expression was fitted to.
    """

    complexity: int
    error: float
    expression: Any
    shape: str
    formula: Formula | None = None
    symbolic_model: KAN | None = field(default=None, repr=False)
    spline_model: KAN | None = field(default=None, repr=False)
    bits: float = float("inf")


@dataclass(frozen=True)
class Discovery:
    """What `discover` found in a table.

    `formula` describes the training and validation rows in the fewest bits, those of the residuals and those of the
    formula; `shape` says in words how it is built. `front` holds the best formula of every complexity, simplest
    first. `symbolic_model` is the network that computes the formula, `spline_model` the same with splines in the place
    of named functions, `baseline` the fit of the general network that came first, sparse where the search ended before
    more was needed. All networks take every input column. `importance` maps inputs to their shares, `stop` says why
    the search ended, `settings` what was asked for.
    """

    formula: Formula
    front: tuple[Entry, ...] = field(repr=False)
    symbolic_model: KAN = field(repr=False)
    spline_model: KAN = field(repr=False)
    shape: str
    baseline: FitResult = field(repr=False)
    importance: dict[str, float]
    data: Dataset = field(repr=False)
    seconds: float
    stop: StopReason = StopReason.EXHAUSTED
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def stop_reason(self) -> str:
        """Why the search ended, as a sentence."""
        return self.stop.value

    def plot(self, beta: float = 3.0, **options: Any) -> Any:
        """The diagram of `symbolic_model`, as a matplotlib Figure."""
        return self.symbolic_model.plot(self.data, beta, **options)

    def relations(self, **options: Any) -> Relations:
        """How inputs act together in `symbolic_model`: which can be separated, which matter by a combination only."""
        return self.symbolic_model.relations(self.data, **options)

    def report(self, path: str | Path, title: str | None = None) -> Path:
        """Write all of this as one HTML page to `path`, a file that needs no other; DataError where that fails."""
        lib = self.settings.get("functions")
        asked = {"Seed": self.settings.get("seed"), "Functions": ", ".join(lib) if lib else "the default library"}
        for known in ("forbidden", "linear"):
            if self.settings.get(known):
                asked[known.capitalize()] = ", ".join(self.settings[known])
        if self.settings.get("time budget") is not None:
            asked["Time budget"] = f"{self.settings['time budget']:g} s"
        return self.symbolic_model.report(
            path,
            self.data,
            title=title,
            formula=self.formula,
            splines=self.spline_model,
            baseline=self.baseline,
            importance=self.importance,
            tried=self.front,
            lib=lib,
            settings=asked,
            seconds=self.seconds,
        )
