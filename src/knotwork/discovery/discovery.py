"""The result of a search for formulas: the best formula, the front of formulas, and their networks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from knotwork.data import Dataset, Preparation, as_dataset
from knotwork.discovery.front_numbers import number_on_front
from knotwork.discovery.what_matters import Importance
from knotwork.errors import DataError
from knotwork.formulas import Formula
from knotwork.kan import KAN
from knotwork.keywords import check_keywords
from knotwork.solvers import StopReason
from knotwork.symbolic import Relations
from knotwork.training import FitResult

if TYPE_CHECKING:
    from knotwork.discovery.comparison import Comparison

CONSTANT = "a constant"
"""The `shape` of the mean of the target, which is the answer where nothing was found."""


@dataclass(frozen=True)
class Entry:
    """One formula of the front: its complexity, its error, and the networks that compute it.

    While a search runs, entries have no formula and no networks yet.

    Attributes:
        complexity: number of operators, functions, constants and variables.
        error: root mean squared error on the validation rows, or on the training rows where there are none.
        expression: the SymPy expression.
        shape: how the formula is built, in words.
        formula: the `Formula`.
        symbolic_model: the network with named edges that computes it.
        spline_model: the same network with splines.
        bits: description length of formula and residuals together: each symbol takes the logarithm of the number of
            rows to base 2, a decimal twice that. The formula with the fewest bits is chosen.
        gaps: share of the places within the ranges of the rows where the formula is not defined, such as a root of
            negative numbers; 0 where the rows avoid these places.
    """

    complexity: int
    error: float
    expression: Any
    shape: str
    formula: Formula | None = None
    symbolic_model: KAN | None = field(default=None, repr=False)
    spline_model: KAN | None = field(default=None, repr=False)
    bits: float = float("inf")
    gaps: float = 0.0


@dataclass(frozen=True)
class Outlier:
    """A row whose target contradicts the formula that holds for the others, as after a slip of a sign or a unit.

    Attributes:
        row: the number of the row in the table, from 0; None where it is not known.
        value: the target.
        predicted: what the formula gives.
    """

    row: int | None
    value: float
    predicted: float

    def __str__(self) -> str:
        row = "a row" if self.row is None else f"row {self.row}"
        return f"{row} ({self.value:.6g} where the formula gives {self.predicted:.4g})"


@check_keywords
@dataclass(frozen=True, repr=False)
class Discovery:
    """What `discover` found in a table. It prints the formula and the front, and notebooks show both as mathematics.

    All networks take every input column.

    Attributes:
        formula: the `Formula` with the smallest description length: bits of its residuals on the training and
            validation rows, plus bits of the formula.
        front: the best `Entry` of every complexity, simplest first, and the chosen one; where these are fewer than
            five, also other formulas for comparison, such as a straight line.
        symbolic_model: the network with named edges that computes the formula.
        spline_model: the same network with splines in place of named functions.
        shape: how the formula is built, in words.
        baseline: the fit of the baseline network, for comparison; None where the search ended before one was needed.
        importance: share of each input in what predictions depend on, an `Importance`: a mapping by name.
        data: the rows that were used; None after `load`.
        seconds: duration of the search, in s.
        stop: the reason why the search ended, a `StopReason`.
        settings: the arguments of `discover`.
        dependent: inputs that are linear combinations of other inputs, as texts by name: {"c": "a + b"}.
        undefined: where the formula is not defined within the ranges of the rows, in words; mostly empty.
        copies: number of rows that are copies of another row.
        outliers: the rows that contradict the formula, each an `Outlier`; mostly none. They are left out of `data`, of
            the fit and of r².
        unmet: why the formula does not satisfy what was asked, where none that was tried does; mostly empty.
        failures: number of candidates that were dropped because their calculation failed, by reason.
        unknowns: the unknown curves of `form=`, and the constants that an end of their range holds, each in words by
            its name: {"f": "f(t) = sin(2*t)"}.
        preparation: what was done with the columns of the table, a `Preparation`; None for plain numbers.
        error_rows: the rows on which the errors of the front were measured: "validation", "training", or "left-out".
        by_hand: whether `choose` took the formula, in place of the search.

    Example:
        >>> import numpy as np, knotwork as kw
        >>> x = np.linspace(1, 2, 60)
        >>> found = kw.discover(x[:, None], 3 * x**2, names=["x"], seed=0, progress=False)
        >>> print(found.formula)
        y = 3*x**2
        >>> figure = found.plot_predictions()
    """

    formula: Formula
    front: tuple[Entry, ...] = field(repr=False)
    symbolic_model: KAN = field(repr=False)
    spline_model: KAN = field(repr=False)
    shape: str
    baseline: FitResult | None = field(repr=False)
    importance: Importance
    data: Dataset | None = field(repr=False)
    seconds: float
    stop: StopReason = StopReason.EXHAUSTED
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    dependent: Mapping[str, str] = field(default_factory=dict)
    failures: Mapping[str, int] = field(default_factory=dict)
    undefined: str = ""
    copies: int = 0
    outliers: tuple[Outlier, ...] = ()
    unmet: str = ""
    unknowns: Mapping[str, str] = field(default_factory=dict)
    preparation: Preparation | None = field(default=None, repr=False)
    error_rows: str = "validation"
    by_hand: bool = False

    @property
    def stop_reason(self) -> str:
        """Why the search ended, as a sentence."""
        return self.stop.value

    @property
    def accuracy(self) -> str:
        """How well the formula predicts rows, and how many, as words; r² only where these are enough."""
        if self.formula.r2 != self.formula.r2:
            return f"too few rows for r², or all of one value; RMSE = {self.formula.rmse:.4g}"
        return f"r² = {self.formula.r2:.5f} on the {self._count(self.formula.r2_rows)}{self.formula.r2_rows} rows"

    def _count(self, rows: str) -> str:
        """The number of rows of this kind and a space, if it is known."""
        if self.data is None:
            return ""
        train, validation, test = self.data.rows()
        return f"{ {'test': test, 'validation': validation}.get(rows, train):,} "

    @property
    def remarks(self) -> dict[str, str]:
        """What a reader must know of the table and of the search, as sentences by title; mostly empty."""
        from knotwork.discovery.remarks import remarks_of

        return remarks_of(self)

    def predict(self, X: Any) -> np.ndarray:
        """Values of the formula at the rows X, (n,).

        Args:
            X: rows with the columns of the table that came to `discover`, which are prepared in the same way; only the
                columns that the formula holds are needed. Intervals are those of `Formula.predict`.

        Raises:
            DataError: for other columns, unknown categories, and missing values.
        """
        if self.preparation is None:
            return self.formula.predict(X)
        used = {str(one) for one in self.formula.expression.free_symbols}
        if not used:
            return np.full(len(self.preparation.apply(X)), self.formula.predict({}))
        return self.formula.predict(self.preparation.needed(X, used, "predict()"))

    def choose(self, k: int, *, data: object = None) -> "Discovery":
        """The same discovery with another formula of the front as its answer: its formula, networks, plots and report.

        Args:
            k: number of the formula on `front`, from 0 for the simplest; texts and reports show it.
            data: the rows of the search, for a discovery that was loaded from a file of an earlier version.

        Raises:
            SpecError: the front has no formula of this number.
            DataError: networks of the formula cannot be built without data.

        Example:
            >>> import numpy as np, knotwork as kw
            >>> x = np.random.default_rng(0).uniform(0, 2, 200)
            >>> found = kw.discover(x[:, None], np.exp(x), names=["x"], progress=False)
            >>> print(found.choose(0).formula.expression.free_symbols, found.formula)
            set() y = exp(x)
        """
        from knotwork.discovery.choosing import with_choice

        rows = self.data if data is None else as_dataset(data)
        return with_choice(self, self.front[number_on_front(k, len(self.front))], rows)

    def compare(self, k: int, j: int, *, data: object = None) -> "Comparison":
        """Whether the rows tell two formulas of the front apart, and where a new measurement would.

        The squared residuals of both are compared row by row, on test rows if there are thirty or more, else on rows
        that are left out one at a time.

        Args:
            k: number of the first formula on `front`, from 0 for the simplest.
            j: number of the second formula.
            data: the rows; None: those of the search.

        Raises:
            SpecError: the front has no formula of this number.
            DataError: there are no rows, or a formula is not defined on all of them.

        Example:
            >>> import numpy as np, knotwork as kw
            >>> x = np.random.default_rng(0).uniform(0, 2, 200)
            >>> found = kw.discover(x[:, None], np.exp(x), names=["x"], progress=False)
            >>> answer = [one.formula is found.formula for one in found.front].index(True)
            >>> found.compare(0, answer).better == answer
            True
        """
        from knotwork.discovery.comparison import compare

        numbers = number_on_front(k, len(self.front)), number_on_front(j, len(self.front))
        first, second = (self.front[n].formula for n in numbers)
        assert first is not None and second is not None
        rows = self._rows(data, "compare")
        return compare(numbers, (first, second), rows, self.settings.get("loss") == "relative")

    def plot(self, beta: float = 3.0, *, data: object = None, **options: Any) -> Any:
        """The diagram of `symbolic_model`, as a matplotlib Figure.

        Args:
            beta: contrast between strong and weak edges, as in `KAN.plot`.
            data: the rows over which curves are drawn; None: those of the search.
            **options: those of `KAN.plot`.

        Raises:
            DataError: there are no rows, as after `load` without `data`.
        """
        return self.symbolic_model.plot(self._rows(data, "plot"), beta, **options)

    def plot_predictions(self, *, data: object = None) -> Any:
        """Predictions of the formula against true values, as a matplotlib Figure.

        Args:
            data: the rows to predict; None: those of the search. Of these the test rows are drawn, or the validation or
                training rows where there are fewer than two test rows.

        Raises:
            DataError: there are no rows, as after `load` without `data`.
        """
        from knotwork.outputs import predictions

        return predictions(self.symbolic_model, self._rows(data, "plot_predictions"))

    def relations(self, *, data: object = None, **options: Any) -> Relations:
        """How inputs act together in `symbolic_model`: which can be separated, which matter only in combination.

        Args:
            data: the rows to measure on; None: those of the search.
            **options: those of `KAN.relations`.

        Raises:
            DataError: there are no rows, as after `load` without `data`.
        """
        return self.symbolic_model.relations(self._rows(data, "relations"), **options)

    def save(self, path: str | Path) -> None:
        """Write everything except the data to one JSON file, which `Discovery.load` reads.

        The file holds the formulas with the covariance of their constants, the importance, the settings, the reason and
        the time at which the search ended, and all networks as safetensors in base64.

        Args:
            path: the file to write, such as "law.json". An existing file is replaced.

        Raises:
            CheckpointError: the file cannot be written.
        """
        from knotwork.discovery.storage import write

        write(self, path)

    @classmethod
    def load(cls, path: str | Path) -> "Discovery":
        """The discovery that `save` wrote. It holds no data, so its figures and reports need `data=`. No code is run.

        Args:
            path: a file that `save` wrote.

        Returns:
            The discovery, with `data` None.

        Raises:
            CheckpointError: for any other file, and for a file that was changed.
        """
        from knotwork.discovery.storage import read

        return read(path)

    def __repr__(self) -> str:
        count = len(self.outliers)
        out = f", {count} outlier{'s' if count > 1 else ''} left out" if count else ""
        return f"Discovery({self.formula!r}, {len(self.front)} formulas on the front{out}, {self.seconds:.2g} s)"

    def __str__(self) -> str:
        from knotwork.discovery.display import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from knotwork.discovery.display import as_html

        return as_html(self)

    def _rows(self, data: object, verb: str) -> Dataset:
        """The data that were passed, or those of the search; DataError where there are none."""
        if data is None and self.data is None:
            raise DataError(f"{verb}() needs rows, and a discovery that was loaded has none: pass data=.")
        return as_dataset(self.data if data is None else data)

    def report(self, path: str | Path, title: str | None = None, *, data: object = None) -> Path:
        """Write the discovery as one HTML page that needs no other file.

        Args:
            path: the file to write, such as "report.html". An existing file is replaced.
            title: the heading; None: the target as a function of the inputs.
            data: the rows on which accuracy is computed; None: those of the search.

        Returns:
            The path of the page.

        Raises:
            DataError: the file cannot be written, or there are no data.
        """
        from knotwork.discovery.display import settings_in_words

        return self.symbolic_model.report(
            path,
            self._rows(data, "report"),
            title=title,
            formula=self.formula,
            splines=self.spline_model,
            baseline=self.baseline,
            importance=self.importance,
            spread=self.importance.told,
            measured=self.importance.measured,
            tried=self.front,
            by_hand=self.by_hand,
            error_rows=self.error_rows,
            lib=self.settings.get("functions"),
            settings=settings_in_words(self),
            seconds=self.seconds,
        )
