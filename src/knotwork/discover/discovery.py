"""What was found in a table: the formula, the front of formulas, and the networks behind them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from knotwork.data import Dataset, as_dataset
from knotwork.errors import DataError
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
    more was needed. All networks take every input column. `importance` maps inputs to their shares, `data` holds
    the rows that were used, `stop` says why the search ended, `settings` what was asked for.
    """

    formula: Formula
    front: tuple[Entry, ...] = field(repr=False)
    symbolic_model: KAN = field(repr=False)
    spline_model: KAN = field(repr=False)
    shape: str
    baseline: FitResult = field(repr=False)
    importance: dict[str, float]
    data: Dataset | None = field(repr=False)
    seconds: float
    stop: StopReason = StopReason.EXHAUSTED
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def stop_reason(self) -> str:
        """Why the search ended, as a sentence."""
        return self.stop.value

    def plot(self, beta: float = 3.0, *, data: object = None, **options: Any) -> Any:
        """The diagram of `symbolic_model`, as a matplotlib Figure."""
        return self.symbolic_model.plot(self._rows(data, "plot"), beta, **options)

    def plot_predictions(self, *, data: object = None) -> Any:
        """Predictions of the formula against true values, as a matplotlib Figure.

        The rows are the test rows, or the validation or training rows where fewer than two were set aside.
        """
        from knotwork.outputs import predictions

        return predictions(self.symbolic_model, self._rows(data, "plot_predictions"))

    def relations(self, *, data: object = None, **options: Any) -> Relations:
        """How inputs act together in `symbolic_model`: which can be separated, which matter by a combination only."""
        return self.symbolic_model.relations(self._rows(data, "relations"), **options)

    def save(self, path: str | Path) -> None:
        """Write everything but the data to one JSON file, which `Discovery.load` reads.

        It holds the formulas with the covariance of their constants, the importance, the settings, why and after how
        many seconds the search ended, and the three networks, as safetensors in base64. Networks of other entries of
        the front are not saved.

        Args:
            path: The file to write, such as "law.json". A file that exists is replaced.

        Raises:
            CheckpointError: If the file cannot be written.
        """
        from knotwork.discover.storage import write

        write(self, path)

    @classmethod
    def load(cls, path: str | Path) -> "Discovery":
        """The discovery that `save` wrote, with `data` None: figures and reports of it need `data=`. Runs no code.

        Args:
            path: A file that `save` wrote.

        Raises:
            CheckpointError: For any other file, and for one that was changed.
        """
        from knotwork.discover.storage import read

        return read(path)

    def __str__(self) -> str:
        from knotwork.discover.display import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from knotwork.discover.display import as_html

        return as_html(self)

    def _rows(self, data: object, verb: str) -> Dataset:
        """The data that were passed, or those of the search; DataError where there are none."""
        if data is None and self.data is None:
            raise DataError(f"{verb}() needs rows, and a discovery that was loaded has none: pass data=.")
        return as_dataset(self.data if data is None else data)

    def report(self, path: str | Path, title: str | None = None, *, data: object = None) -> Path:
        """Write all of this as one HTML page to `path`, a file that needs no other.

        Args:
            path: The file to write, such as "report.html". A file that exists is replaced.
            title: The heading; None: the target as a function of the inputs.
            data: The rows to judge on; None: those of the search.

        Returns:
            The path of the page.

        Raises:
            DataError: If the file cannot be written, or if there are no data.
        """
        lib = self.settings.get("functions")
        asked = {"Seed": self.settings.get("seed"), "Functions": ", ".join(lib) if lib else "the default library"}
        for known in ("forbidden", "linear"):
            if self.settings.get(known):
                asked[known.capitalize()] = ", ".join(self.settings[known])
        if self.settings.get("time budget") is not None:
            asked["Time budget"] = f"{self.settings['time budget']:g} s"
        return self.symbolic_model.report(
            path,
            self._rows(data, "report"),
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
