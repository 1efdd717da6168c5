"""The result of a search for one law of several groups."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from knotwork.data import Dataset, Preparation
from knotwork.data.arrays import columns_by_name
from knotwork.data.column_names import split_units
from knotwork.discovery.front_numbers import number_on_front
from knotwork.discovery.result_files import preparation_of, read_content, write_content, write_page
from knotwork.errors import DataError
from knotwork.formulas import GroupedFormula
from knotwork.keywords import check_keywords
from knotwork.solvers import StopReason

FORMAT = "knotwork discovery of groups 1"


@dataclass(frozen=True)
class GroupedEntry:
    """One law of the front.

    Attributes:
        complexity: number of operators, functions, constants and variables; a constant counts once.
        numbers: values that the rows determine: one for a shared constant, one for each group for others.
        error: root mean squared error on the training rows.
        expression: the SymPy expression.
        shape: where the law was found, in words.
        formula: the `GroupedFormula`; None while the search runs.
        bits: description length of law and residuals together. The law with the fewest bits is chosen.
    """

    complexity: int
    numbers: int
    error: float
    expression: Any
    shape: str
    formula: GroupedFormula | None = None
    bits: float = float("inf")


@check_keywords
@dataclass(frozen=True, repr=False)
class GroupedDiscovery:
    """What `discover(..., groups=)` found: one law for all groups, with constants that are shared or differ by group.

    Attributes:
        formula: the `GroupedFormula` with the smallest description length over all groups.
        front: laws from the simplest to the most accurate, each a `GroupedEntry`.
        shape: where the law was found, in words.
        data: the inputs and targets that were used; None after `load`.
        groups: the labels of the training rows, in their order; empty after `load`.
        seconds: duration of the search, in s.
        stop: the reason why the search ended, a `StopReason`.
        settings: the arguments of `discover`.
        failures: number of candidates that were dropped because their calculation failed, by reason.
        preparation: what was done with the columns of the table, a `Preparation`; None for plain numbers.

    Example:
        >>> import numpy as np, knotwork as kw
        >>> x = np.tile(np.linspace(1, 2, 20), 2)
        >>> day = np.repeat(["Mon", "Tue"], 20)
        >>> found = kw.discover(x[:, None], x**2 + np.where(day == "Mon", 0.3, 0.7), groups=day, progress=False)
        >>> found.formula["Mon"]
        Formula(y = x_1**2 + 0.3; r² = 1 on the training rows)
    """

    formula: GroupedFormula
    front: tuple[GroupedEntry, ...] = field(repr=False)
    shape: str
    data: Dataset | None = field(repr=False)
    groups: tuple[Any, ...] = field(repr=False)
    seconds: float
    stop: StopReason = StopReason.EXHAUSTED
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    failures: Mapping[str, int] = field(default_factory=dict)
    preparation: Preparation | None = field(default=None, repr=False)

    @property
    def stop_reason(self) -> str:
        """Why the search ended, as a sentence."""
        return self.stop.value

    @property
    def remarks(self) -> dict[str, str]:
        """What a reader must know of the groups and of the search, as sentences by title; mostly empty."""
        said: dict[str, str] = {}
        if self.preparation is not None and self.preparation.notes:
            said["The table"] = "; ".join(self.preparation.notes)
        least = len(self.formula.differing) + len(self.formula.shared)
        few = [f"{label} ({n})" for label, n in zip(self.formula.labels, self.formula.rows, strict=True) if n <= least]
        if few:
            said["Groups with hardly more training rows than constants"] = ", ".join(few)
        unknown = sorted({one.symbol for one in self.formula.constants if one.error == float("inf")})
        if unknown:
            said["Constants that the rows do not determine"] = ", ".join(unknown)
        if self.settings.get("loss") == "relative":
            said["Errors"] = "shares of the target, so that small targets count as much as large ones"
        if self.failures:
            reasons = "; ".join(f"{count} × {reason}" for reason, count in self.failures.items())
            said["Candidates dropped because their calculation failed"] = f"{sum(self.failures.values())} ({reasons})"
        return said

    def predict(self, X: Any, groups: Any = None) -> np.ndarray:
        """Values of the law at the rows X, (n,), each with the constants of its group.

        Args:
            X: rows with the columns of the table that came to `discover`, which are prepared in the same way.
            groups: the group of every row, (n,), or one label for all rows. None: the column of X that has the name of
                the groups.

        Raises:
            DataError: for other columns, unknown categories, missing values, and for a group that has no constants.
        """
        if self.preparation is None:
            return self.formula.predict(X, groups)
        if groups is None:
            headers = columns_by_name(X, "X") or {}
            short = dict(zip(split_units(list(headers))[0], headers.values(), strict=True))
            if self.formula.group not in short:
                raise DataError(
                    f"predict() needs the group of every row: pass groups=, or a column '{self.formula.group}' in X."
                )
            groups = short[self.formula.group]
        return self.formula.predict(self.preparation.needed(X, self.formula.variables, "predict()"), groups)

    def choose(self, k: int) -> "GroupedDiscovery":
        """The same discovery with another law of the front as its answer.

        Args:
            k: number of the law on `front`, from 0 for the simplest; texts and reports show it.

        Raises:
            SpecError: the front has no law of this number.
        """
        entry = self.front[number_on_front(k, len(self.front))]
        assert entry.formula is not None
        return replace(self, formula=entry.formula, shape=entry.shape)

    def plot_predictions(self, *, data: tuple[Any, Any] | None = None) -> Any:
        """Predictions of the law against true values, as a matplotlib Figure.

        Args:
            data: rows as a pair (X, y), where X has the column of the groups; None: the training rows of the search.

        Raises:
            DataError: there are no rows, as after `load` without `data`.
        """
        from knotwork.drawing.predicted import predicted_vs_true

        if data is not None:
            return predicted_vs_true(data[1], self.predict(data[0]), self.formula.target)
        if self.data is None:
            raise DataError(
                "plot_predictions() needs rows, and a discovery that was loaded has none: pass data=(X, y)."
            )
        values = self.formula.predict(self.data.X_train, groups=list(self.groups))
        return predicted_vs_true(self.data.y_train[:, 0], values, self.data.label(self.formula.target))

    def report(self, path: str | Path, title: str | None = None) -> Path:
        """Write the discovery as one HTML page that needs no other file: the law, its constants by group, the front.

        Args:
            path: the file to write, such as "report.html". An existing file is replaced.
            title: the heading; None: the target as a function of the inputs.

        Returns:
            The path of the page.

        Raises:
            DataError: the file cannot be written.
        """
        from knotwork.discovery.grouped_display import as_page

        return write_page(path, as_page(self, title))

    def save(self, path: str | Path) -> None:
        """Write everything except the data to one JSON file, which `GroupedDiscovery.load` reads.

        Args:
            path: the file to write, such as "law.json". An existing file is replaced.

        Raises:
            CheckpointError: the file cannot be written.
        """
        front = [
            {"numbers": one.numbers, "error": one.error, "shape": one.shape, "bits": str(one.bits),
             "formula": one.formula.to_dict()}
            for one in self.front
            if one.formula is not None
        ]  # fmt: skip
        content = {
            "format": FORMAT,
            "chosen": next(n for n, one in enumerate(self.front) if one.formula is self.formula),
            "front": front,
            "seconds": self.seconds,
            "stop": self.stop.name,
            "settings": dict(self.settings),
            "failures": dict(self.failures),
            "preparation": self.preparation and self.preparation.to_dict(),
        }
        write_content(content, path)

    @classmethod
    def load(cls, path: str | Path) -> "GroupedDiscovery":
        """The discovery that `save` wrote, without data. No code is run.

        Args:
            path: a file that `save` wrote.

        Raises:
            CheckpointError: for any other file, and for a file that was changed.
        """
        needed = "discovery of groups: give a file that GroupedDiscovery.save() wrote."
        return read_content(path, FORMAT, needed, _discovery)

    def __repr__(self) -> str:
        return f"GroupedDiscovery({self.formula!r}, {len(self.front)} laws on the front, {self.seconds:.2g} s)"

    def __str__(self) -> str:
        from knotwork.discovery.grouped_display import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from knotwork.discovery.grouped_display import as_html

        return as_html(self)


def _entry(one: Mapping[str, Any]) -> GroupedEntry:
    formula = GroupedFormula.from_dict(one["formula"])
    numbers, error = int(one["numbers"]), float(one["error"])
    return GroupedEntry(
        formula.complexity, numbers, error, formula.expression, one["shape"], formula, float(one["bits"])
    )


def _discovery(content: dict[str, Any]) -> GroupedDiscovery:
    front = tuple(map(_entry, content["front"]))
    chosen = front[content["chosen"]]
    assert chosen.formula is not None
    return GroupedDiscovery(
        chosen.formula, front, chosen.shape, None, (), float(content["seconds"]),
        StopReason[content["stop"]], content["settings"], content["failures"], preparation_of(content),
    )  # fmt: skip
