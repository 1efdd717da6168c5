"""One law for several groups of rows: some of its constants are shared, others have a value for each group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, overload

import numpy as np

from knotwork.data.arrays import columns_by_name
from knotwork.data.column_names import split_units, unknown_name
from knotwork.data.labels import labels_of
from knotwork.errors import DataError
from knotwork.formulas.agreement import Agreement
from knotwork.formulas.formula import Formula
from knotwork.formulas.grouped_files import grouped_from_dict, grouped_to_dict
from knotwork.formulas.uncertainty import Constant, Kind, Prediction, Uncertainty
from knotwork.keywords import check_keywords
from knotwork.notebooks import one_line

Label = str | int | float | bool


@check_keywords
@dataclass(frozen=True, repr=False)
class GroupedFormula:
    """One expression for all groups, with constants that are shared and constants that have a value for each group.

    Made by `discover(..., groups=)`. `formula[label]` is the `Formula` of one group.

    Args:
        template: the SymPy expression in the inputs and in the symbols of all constants, c_1, c_2, ...
        variables: names of the inputs, in the order in which `predict` takes them.
        target: name of the output.
        group: name of the column that holds the groups.
        labels: the groups.
        rows: number of training rows of each group.
        shared: the constants that all groups share, each a `Constant` with symbol, value, standard error and unit.
        differing: for every other constant its values, one `Constant` for each of `labels`.
        r2: share of the variance explained on the rows that `r2_rows` names.
        rmse: root mean squared error on the same rows.
        r2_rows: "test" or "training".
        uncertainty: the covariance of the constants of each group, shared ones first. Groups have the same noise.
        units: whether the units of target and inputs agree; empty where some units are not known.

    Example:
        >>> import numpy as np, knotwork as kw
        >>> x = np.tile(np.linspace(1, 2, 20), 2)
        >>> day = np.repeat(["Mon", "Tue"], 20)
        >>> found = kw.discover(x[:, None], x**2 + np.where(day == "Mon", 0.3, 0.7), groups=day, progress=False)
        >>> print(found.formula)
        y = x_1**2 + c_1[group]
        group    c_1
          Mon    0.3
          Tue    0.7
        >>> found.formula.predict([[2.0]], groups=["Tue"])
        array([4.7])
    """

    template: Any
    variables: tuple[str, ...]
    target: str
    group: str
    labels: tuple[Label, ...]
    rows: tuple[int, ...]
    shared: tuple[Constant, ...]
    differing: Mapping[str, tuple[Constant, ...]] = field(hash=False)
    r2: float
    rmse: float
    r2_rows: str = "test"
    uncertainty: tuple[Uncertainty, ...] = field(default=(), repr=False, compare=False)
    units: tuple[Agreement, ...] = field(default=(), repr=False, compare=False)

    @property
    def expression(self) -> Any:
        """The SymPy expression: shared constants have their values, others are indexed, as in c_1[state]."""
        from knotwork.expressions import algebra, number, symbol

        index = symbol(self.group)
        values = {symbol(one.symbol): number(one.value) for one in self.shared}
        base: Any = algebra.IndexedBase
        indexed = {symbol(name): base(name)[index] for name in self.differing}
        return self.template.xreplace({**values, **indexed})

    @property
    def complexity(self) -> int:
        """Number of operators, functions, constants and variables; a constant counts once, however many groups."""
        from knotwork.expressions import complexity

        return complexity(self.template)

    @property
    def constants(self) -> tuple[Constant, ...]:
        """All constants: the shared ones, then those of each group, whose symbols name it, as in c_1[treated]."""
        every = [
            replace(one, symbol=f"{name}[{label}]")
            for name, values in self.differing.items()
            for label, one in zip(self.labels, values, strict=True)
        ]
        return (*self.shared, *every)

    def __getitem__(self, label: Label) -> Formula:
        """The formula of one group, with the constants of this group; KeyError for an unknown group.

        Its r² and RMSE are those of all groups together.
        """
        if label not in self.labels:
            raise KeyError(unknown_name(str(label), list(map(str, self.labels)), "group"))
        n = self.labels.index(label)
        own = (*self.shared, *(values[n] for values in self.differing.values()))
        uncertainty = self.uncertainty[n : n + 1]
        expression = uncertainty[0].template.filled()
        names = (self.variables, (self.target,))
        return Formula(
            (expression,), *names, 0.0, self.r2, self.rmse, self.r2_rows, own, uncertainty, "mse", self.units
        )

    @overload
    def predict(self, X: Any, groups: Any = None, interval: None = None, kind: Kind = "prediction") -> np.ndarray: ...
    @overload
    def predict(self, X: Any, groups: Any = None, *, interval: float, kind: Kind = "prediction") -> Prediction: ...
    def predict(
        self, X: Any, groups: Any = None, interval: float | None = None, kind: Kind = "prediction"
    ) -> np.ndarray | Prediction:
        """Values at the rows X, (n,), each with the constants of its group; with `interval` also the ends of one.

        Args:
            X: one column for each of `variables`, in that order, (n, variables), or columns by name.
            groups: the group of every row, (n,), or one label for all rows. None: the column of X that has the name of
                the groups.
            interval: probability that the interval covers the value, such as 0.95; None: no interval.
            kind: "prediction" or "confidence", as in `Formula.predict`.

        Raises:
            DataError: for other columns, and for a group that has no constants.
        """
        columns = columns_by_name(X, "X")
        if groups is None:
            headers = {} if columns is None else dict(zip(split_units(list(columns))[0], columns, strict=True))
            if self.group not in headers:
                raise DataError(
                    f"predict() needs the group of every row: pass groups=, or a column '{self.group}' in X."
                )
            assert columns is not None
            groups = columns[headers[self.group]]
        if columns is not None:
            columns = {name: column for name, column in columns.items() if name != self.group}
            table = {name: np.asarray(column) for name, column in columns.items()}
        else:
            table = X if hasattr(X, "shape") else np.asarray(X, dtype=np.float64)
        count = len(next(iter(table.values()), ())) if isinstance(table, dict) else len(table)
        labels = labels_of([groups] * count if isinstance(groups, Label) else groups, count)
        for label in dict.fromkeys(labels):
            if label not in self.labels:
                known = list(map(str, self.labels))
                raise DataError(
                    f"{unknown_name(str(label), known, 'group')} A group without rows in the search has no constants."
                )
        parts = [np.full(count, np.nan) for _ in range(1 if interval is None else 3)]
        for label in dict.fromkeys(labels):
            own = np.array([one == label for one in labels])
            rows = {name: column[own] for name, column in table.items()} if isinstance(table, dict) else table[own]
            formula = self[label]
            found = formula.predict(rows) if interval is None else formula.predict(rows, interval, kind)
            for part, values in zip(parts, [found] if interval is None else found, strict=True):
                part[own] = values
        return parts[0] if interval is None else Prediction(*parts)

    def table(self) -> Any:
        """The constants of each group and their standard errors, as a pandas DataFrame with one line for each group."""
        import pandas as pd

        columns: dict[str, Sequence[float]] = {}
        for name, values in self.differing.items():
            columns[name] = [one.value for one in values]
            columns[f"{name} error"] = [one.error for one in values]
        return pd.DataFrame({**columns, "rows": self.rows}, index=pd.Index(self.labels, name=self.group))

    def latex(self) -> str:
        """LaTeX of the expression, in which the constants of groups have the name of the groups as index."""
        from knotwork.expressions import latex, round_constants

        return latex(round_constants(self.expression, 4))

    def equation(self) -> str:
        """LaTeX of the whole equation, `target = expression`."""
        from knotwork.expressions import latex, symbol

        return f"{latex(symbol(self.target))} = {self.latex()}"

    def latex_table(self) -> str:
        """The constants of each group as a LaTeX table, a `tabular`: one line for each group."""
        from knotwork.expressions import latex, symbol

        heads = [f"${latex(symbol(name))}$" for name in self.differing]
        lines = [rf"{_escaped(self.group)} & {' & '.join(heads)} \\"]
        for n, label in enumerate(self.labels):
            cells = (str(values[n]).replace("±", r"\pm") for values in self.differing.values())
            lines.append(rf"{_escaped(str(label))} & {' & '.join(f'${cell}$' for cell in cells)} \\")
        body = "\n".join(lines)
        return f"\\begin{{tabular}}{{l{'r' * len(heads)}}}\n{body}\n\\end{{tabular}}"

    def _lines(self, most: int = 20) -> list[str]:
        """The constants of each group as lines of text, at most this many groups."""
        if not self.differing:
            return []
        cells = [[self.group, *self.differing]]
        cells += [
            [str(label), *(_short(values[n]) for values in self.differing.values())]
            for n, label in enumerate(self.labels[:most])
        ]
        widths = [max(len(row[n]) for row in cells) for n in range(len(cells[0]))]
        lines = ["    ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
        more = len(self.labels) - most
        return [*lines, f"and {more} more groups"] if more > 0 else lines

    def __str__(self) -> str:
        from knotwork.expressions import round_constants, text

        lines = [f"{self.target} = {text(round_constants(self.expression, 4))}", *self._lines()]
        return "\n".join([*lines, *(f"({one})" for one in self.units if not one.agree)])

    def __repr__(self) -> str:
        equation = one_line(str(self).splitlines()[0], 200)
        return f"GroupedFormula({equation}; {len(self.labels)} groups; r² = {self.r2:.5g} on the {self.r2_rows} rows)"

    def to_dict(self) -> dict[str, Any]:
        """All that the formula holds, as lists, dicts, texts and numbers for JSON. `from_dict` reads it."""
        return grouped_to_dict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "GroupedFormula":
        """The formula that `to_dict` wrote. No code is run.

        Args:
            content: what `to_dict` returned.

        Raises:
            CheckpointError: for any other content, and where something was changed.
        """
        return grouped_from_dict(cls, content)


def _short(one: Constant) -> str:
    """A value with its error, if it has one."""
    return str(one) if one.error > 1e-9 * abs(one.value) else f"{one.value:.4g}"


def _escaped(text: str) -> str:
    return "".join("\\" + c if c in "&%$#_{}" else c for c in text)
