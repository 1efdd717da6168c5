"""A formula as a value: expressions, constants with standard errors, predictions with intervals, text and LaTeX."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
from torch import Tensor

from knotwork.data.column_names import listed
from knotwork.errors import CheckpointError, SpecError
from knotwork.files import write_text
from knotwork.formulas.agreement import Agreement
from knotwork.formulas.formula_files import formula_from_dict, formula_from_json, formula_to_dict
from knotwork.formulas.uncertainty import (
    Constant,
    Kind,
    Prediction,
    Uncertainty,
    check_interval,
    constants_of,
    correlations,
    quantile,
)
from knotwork.formulas.values import columns_of, plain_column
from knotwork.keywords import check_keywords
from knotwork.model import is_whole
from knotwork.notebooks import one_line


@check_keywords
@dataclass(frozen=True, repr=False)
class Formula:
    """One expression for each output, in the units of the original columns.

    A formula is made by `KAN.symbolic_formula` or `discover`; no method changes it.

    Args:
        expressions: SymPy expressions. For a network that was fitted to labels they are logits: the log-odds of the
            second of two classes, or one logit for each class. Only differences of these matter, so one is 0.
        variables: names of the inputs, in the order in which `numpy` and `predict` take them.
        targets: names of the outputs.
        gap: root mean squared difference between formula and network over all rows, in units of the target.
        r2: share of the variance explained on the rows that `r2_rows` names; for labels, of the deviance. Rows with
            known errors count by them, here and in rmse.
        rmse: root mean squared error on the same rows; for labels, that of probabilities.
        r2_rows: "test", or "validation" or "training" where there are fewer than two test rows; "left-out" for those of
            `discover`, which leaves rows out one at a time where it has few. Below 10 rows `r2` is then NaN.
        constants: the decimal constants, each a `Constant` with symbol, value, standard error and unit. Numbers that
            are written as whole numbers, fractions or multiples of pi count as known and are not among them. Errors
            come from the Gauss-Newton matrix of the expression on the training rows; they are infinite where the data
            do not determine a constant. Equal numbers in one output are one constant.
        uncertainty: the covariance of the constants of each output; intervals need it.
        loss: "mse" for numbers, "cross_entropy" for labels.
        units: whether the units of target and inputs agree in each output; empty where some units are not known.
        reduced_chi2: χ² per degree of freedom of the training rows, about 1 where the formula is right; None where the
            errors of the rows are not known. Where they are, the errors of constants follow from them.

    Example:
        >>> import numpy as np, knotwork as kw
        >>> x = np.linspace(1, 2, 100)
        >>> data = kw.Dataset.from_arrays(x[:, None], 3 * x**2, names=["x"], seed=0)
        >>> model = kw.KAN([1, 1], seed=0)
        >>> fit = model.fix_symbolic(0, 0, 0, "x^2", params=(1, 0, 3, 0))
        >>> formula = model.symbolic_formula(data)
        >>> print(formula)
        y = 3*x**2
        >>> formula.predict([[2.0]])
        array([12.])
    """

    expressions: tuple[Any, ...]
    variables: tuple[str, ...]
    targets: tuple[str, ...]
    gap: float
    r2: float
    rmse: float
    r2_rows: str = "test"
    constants: tuple[Constant, ...] = field(default=(), repr=False, hash=False)
    uncertainty: tuple[Uncertainty, ...] = field(default=(), repr=False, compare=False)
    loss: str = "mse"
    units: tuple[Agreement, ...] = field(default=(), repr=False, compare=False)
    reduced_chi2: float | None = field(default=None, repr=False, compare=False)

    @property
    def expression(self) -> Any:
        """The SymPy expression of the first output, the only one of most formulas."""
        return self.expressions[0]

    @property
    def complexity(self) -> int:
        """Number of operators, functions, constants and variables over all outputs."""
        from knotwork.expressions import complexity

        return sum(complexity(e) for e in self.expressions)

    @property
    def parametric(self) -> tuple[Any, ...]:
        """The expressions with the symbols of `constants` in place of their values: c_1*sqrt(x)."""
        from knotwork.expressions import symbol

        symbols = iter(self.constants)
        places = [{place: symbol(next(symbols).symbol) for place in one.template.values} for one in self.uncertainty]
        pairs = zip(self.uncertainty, places, strict=True)
        return tuple(one.template.expression.xreplace(place) for one, place in pairs) or self.expressions

    @property
    def covariance(self) -> np.ndarray:
        """Covariance (P, P) of the constants, in the order of `constants`; its diagonal holds squared standard errors.

        Variances are infinite where the data do not determine a constant, and covariances with it are NaN. Constants of
        different outputs count as independent, except those of logits.
        """
        blocks = [[one.covariance(other) for other in self.uncertainty] for one in self.uncertainty]
        return np.block(blocks) if blocks else np.zeros((0, 0))

    @property
    def correlations(self) -> np.ndarray:
        """Correlations (P, P) of the constants, in their order; NaN where the data do not determine a constant."""
        return correlations(self.covariance)

    @overload
    def predict(self, X: Any, interval: None = None, kind: Kind = "prediction") -> np.ndarray: ...
    @overload
    def predict(self, X: Any, interval: float, kind: Kind = "prediction") -> Prediction: ...
    def predict(self, X: Any, interval: float | None = None, kind: Kind = "prediction") -> np.ndarray | Prediction:
        """Values at the rows X, (n,) or (n, outputs), and with `interval` also the ends of an interval.

        Intervals assume that the formula is right and that its noise is independent, of equal variance and normal
        (Student's t; the variance of a value follows from the covariance of the constants). They are infinite where the
        value depends on constants that the data do not determine. Those of a rounded formula are wider by the change
        that rounding causes.

        Args:
            X: one column for each of `variables`, in that order, (n, variables), or columns by name: a data frame or a
                dict, of which only the variables in use are needed. Numbers in place of columns give a number, and so
                does an empty dict for a formula without variables.
            interval: probability that the interval covers the value, such as 0.95; None: no interval.
            kind: "prediction" for the interval of a new observation, whose noise is that of the training rows;
                "confidence" for the interval of the mean of many observations.

        Returns:
            An array, or with `interval` a `Prediction` of mean, lower and upper.

        Raises:
            DataError: for other columns.
            SpecError: for an interval of a formula that was measured on no data, or that holds a curve without a name.

        Example:
            >>> from knotwork import Formula
            >>> from knotwork.expressions import parse
            >>> Formula((parse("2.5*x"),), ("x",), ("y",), gap=0.0, r2=1.0, rmse=0.0).predict({"x": [1.0, 2.0]})
            array([2.5, 5. ])
        """
        from knotwork.expressions import learned_curves

        used = {str(symbol) for expression in self.expressions for symbol in expression.free_symbols}
        columns, shape = columns_of(X, self.variables, used)
        values = self.numpy()(*(column.numpy() for column in columns.values()))
        values = values.reshape(shape + values.shape[1:])[()]
        if interval is None:
            return values
        check_interval(interval, kind)
        if any(learned_curves(expression) for expression in self.expressions):
            raise SpecError("this formula holds a curve without a name, so it has no intervals: leave out interval=.")
        if self.loss != "mse" and kind == "prediction":
            raise SpecError(
                "this formula gives logits, and labels have no intervals: pass kind='confidence' for the logits."
            )
        if not self.uncertainty:
            raise SpecError(
                "this formula was measured on no data, so it has no intervals; symbolic_formula() makes one."
            )
        half = [quantile(interval, one.degrees) * one.deviations(columns, kind).numpy() for one in self.uncertainty]
        half = [one + self._moved(n, columns) for n, one in enumerate(half)]
        width = (half[0] if len(half) == 1 else np.stack(half, axis=-1)).reshape(values.shape)
        return Prediction(values, values - width, values + width)

    def _moved(self, output: int, columns: Mapping[str, Tensor]) -> np.ndarray | float:
        """The change of the values (n,) of an output by rounding."""
        from knotwork.expressions import to_numpy

        exact = self.uncertainty[output].template.filled()
        if exact == self.expressions[output]:
            return 0.0
        before, now = (to_numpy(e, list(columns)) for e in (exact, self.expressions[output]))
        rows = [column.numpy() for column in columns.values()]
        return np.abs(now(*rows) - before(*rows))

    def __iter__(self) -> Iterator["Formula"]:
        """The formulas of the outputs, one by one."""
        return (self[n] for n in range(len(self.targets)))

    def __getitem__(self, target: str | int) -> "Formula":
        """The formula of one output alone, by its name in `targets` or its number; KeyError for another.

        `r2` and `rmse` remain those of all outputs together.
        """
        n = self.targets.index(target) if target in self.targets else target
        if not is_whole(n) or not 0 <= int(n) < len(self.targets):
            raise KeyError(f"there is no output {target!r}: they are {listed(self.targets, 20)}")
        one = slice(int(n), int(n) + 1)
        before = sum(len(other.values) for other in self.uncertainty[: int(n)])
        count = sum(len(other.values) for other in self.uncertainty[one])
        return replace(
            self,
            expressions=self.expressions[one],
            targets=self.targets[one],
            constants=self.constants[before : before + count],
            uncertainty=self.uncertainty[one],
            units=self.units[one],
        )

    def latex(self) -> str:
        """LaTeX of the expression; with several outputs one line for each."""
        from knotwork.expressions import latex

        return r" \\ ".join(latex(e) for e in self.expressions)

    def equation(self) -> str:
        """LaTeX of the whole equation, `target = expression`; with several outputs one line for each."""
        from knotwork.expressions import latex, symbol

        pairs = zip(self.targets, self.expressions, strict=True)
        return r" \\ ".join(f"{latex(symbol(name))} = {latex(e)}" for name, e in pairs)

    def __repr__(self) -> str:
        equations = one_line("; ".join(str(self).splitlines()), 200)
        return f"Formula({equations}; r² = {self.r2:.5g} on the {self.r2_rows} rows)"

    def _repr_html_(self) -> str:
        """What notebooks show: each equation as MathML, and the share of variance that is explained."""
        from knotwork.expressions import mathml, symbol

        lines = []
        for name, expression in zip(self.targets, self.round(4).expressions, strict=True):
            left, right = "".join(mathml(symbol(name))), "".join(mathml(expression))
            lines.append(f"<p><math><mrow>{left}<mo>=</mo>{right}</mrow></math></p>")
        return f"{''.join(lines)}<p>r² = {self.r2:.5g} on the {self.r2_rows} rows</p>"

    def _repr_latex_(self) -> str:
        """What notebooks show: the equation as mathematics, with constants rounded to four digits."""
        rows = self.round(4).equation()
        if len(self.targets) > 1:
            rows = rf"\begin{{aligned}} {rows.replace(' = ', ' &= ')} \end{{aligned}}"
        return f"$${rows}$$"

    def round(self, digits: int = 3) -> "Formula":
        """A new formula with constants rounded to significant digits, in `expressions` and in `constants`.

        Every constant keeps its standard error. `gap`, `r2` and `rmse` remain those of the exact formula.

        Args:
            digits: number of significant digits, at least 1.

        Raises:
            ExpressionError: `digits` is below 1.
        """
        from knotwork.expressions import number, round_constants

        constants = tuple(
            replace(one, value=float(round_constants(number(one.value), digits))) for one in self.constants
        )
        expressions = tuple(round_constants(e, digits) for e in self.expressions)
        return replace(self, expressions=expressions, constants=constants)

    def negated(self, target: str) -> "Formula":
        """A new formula with the sign of its only output changed: of two classes, the logit of the other class.

        Args:
            target: name of the new output.
        """
        changed = tuple(one.negated() for one in self.uncertainty)
        constants = constants_of(changed, self.variables)
        return replace(
            self, expressions=(-self.expression,), targets=(target,), constants=constants, uncertainty=changed
        )

    def numpy(self) -> Callable[..., Any]:
        """A function of one array or number for each of `variables`. Several outputs are stacked on the last axis."""
        from knotwork.expressions import to_numpy

        functions = [to_numpy(e, self.variables) for e in self.expressions]

        def evaluate(*columns: Any) -> Any:
            arrays = [plain_column(column) for column in columns]
            values = [function(*arrays) for function in functions]
            return values[0] if len(values) == 1 else np.stack(values, axis=-1)

        return evaluate

    def to_dict(self) -> dict[str, Any]:
        """All that the formula holds, as lists, dicts, texts and numbers for JSON. `from_dict` reads it."""
        return formula_to_dict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Formula":
        """The formula that `to_dict` wrote, with the same expressions, predictions and intervals. No code is run.

        Args:
            content: what `to_dict` returned.

        Raises:
            CheckpointError: for any other content, and where something was changed.
        """
        return formula_from_dict(cls, content)

    def to_json(self) -> str:
        """The formula as a JSON text: expressions, names, constants with their covariance, units, gap, r² and loss."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Formula":
        """The formula that `to_json` wrote. No code from the text is run.

        Args:
            text: what `to_json` returned.

        Raises:
            CheckpointError: for any other text.
        """
        return formula_from_json(cls, text)

    def save(self, path: str | Path) -> None:
        """Write the formula to a JSON file, without any data.

        Args:
            path: the file to write, such as "law.json". An existing file is replaced.

        Raises:
            CheckpointError: the file cannot be written.

        Example:
            >>> import tempfile
            >>> from knotwork import Formula
            >>> from knotwork.expressions import parse
            >>> formula = Formula((parse("2.5*x"),), ("x",), ("y",), gap=0.0, r2=1.0, rmse=0.0)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     formula.save(f"{folder}/line.json")
            ...     print(Formula.load(f"{folder}/line.json"))
            y = 2.5*x
        """
        try:
            write_text(path, self.to_json() + "\n")
        except OSError as error:
            raise CheckpointError(f"{str(path)!r} cannot be written ({error}); give the path of a file.") from error

    @classmethod
    def load(cls, path: str | Path) -> "Formula":
        """The formula that `save` wrote, with the same expressions, predictions and intervals. No code is run.

        Args:
            path: a file that `save` wrote.

        Raises:
            CheckpointError: the file is missing, is no formula or was changed.
        """
        if not Path(path).is_file():
            raise CheckpointError(f"there is no file {str(path)!r} to load; give the path that was passed to save().")
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CheckpointError(f"{str(path)!r} cannot be read as text ({error}).") from error
        return formula_from_json(cls, text, repr(str(path)))

    def __str__(self) -> str:
        from knotwork.expressions import text

        shown = self.round(4).expressions
        lines = [f"{name} = {text(expr)}" for name, expr in zip(self.targets, shown, strict=True)]
        return "\n".join([*lines, *(f"({one})" for one in self.units if not one.agree)])
