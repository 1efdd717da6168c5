"""The network as a formula, with its distance from the network measured."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from knotwork.data import Dataset, as_dataset
from knotwork.data.column_names import listed
from knotwork.errors import DataError, ExpressionError, SpecError
from knotwork.formulas.agreement import Agreement, agreement
from knotwork.formulas.constants import Sample
from knotwork.formulas.dimensions import Dimensions
from knotwork.formulas.goals import LABELS, goal_of, targets_of
from knotwork.formulas.intervals import (
    Kind,
    Prediction,
    Uncertainty,
    check_interval,
    columns_of,
    correlations,
    quantile,
)
from knotwork.functions import named_function
from knotwork.model import KANNetwork, is_whole
from knotwork.training.levenberg_marquardt import NORMAL
from knotwork.training.likelihood import Goal

ROWS = 2000  # training rows on which terms are judged and errors estimated


@dataclass(frozen=True)
class Formula:
    """One expression an output, in the units of the original columns.

    `gap` is the root mean squared difference between formula and network over the rows it was made with, in units of
    the target; `r2` the share of variance explained on the rows that `r2_rows` names: "test", or "validation" or
    "training" where fewer than two were held out. `errors` maps each decimal constant of the expression to its standard
    error, from the Gauss-Newton matrix of the expression itself on the training rows; infinite where the data cannot
    tell the constants apart. Numbers that are written as whole numbers, fractions or multiples of pi count as known.

    Of a network that was fitted to labels (`loss` "cross_entropy") the expressions are logits: of two classes with one
    output the log-odds of the second, else one a class, of which only differences matter: one of them is 0. Then `r2`
    is the share of the deviance explained, and `rmse` that of probabilities.

    `units` says of each output whether the units of target and inputs agree in it, where all of them are known.
    """

    expressions: tuple[Any, ...]
    variables: tuple[str, ...]
    targets: tuple[str, ...]
    gap: float
    r2: float
    rmse: float
    r2_rows: str = "test"
    errors: Mapping[float, float] = field(default_factory=dict, repr=False, hash=False)
    uncertainty: tuple[Uncertainty, ...] = field(default=(), repr=False, compare=False)
    loss: str = "mse"
    units: tuple[Agreement, ...] = field(default=(), repr=False, compare=False)

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
    def constants(self) -> tuple[float, ...]:
        """The decimal constants, unrounded: those of each output from the least to the largest."""
        return tuple(constant for one in self.uncertainty for constant in one.constants)

    @property
    def covariance(self) -> np.ndarray:
        """Covariance (P, P) of the constants, in the order of `constants`, whose roots are the standard errors.

        Variances are infinite where the data leave a constant open, and what stands beside them NaN. Constants of
        different outputs count as independent, but for logits.
        """
        blocks = [[one.covariance(other) for other in self.uncertainty] for one in self.uncertainty]
        return np.block(blocks) if blocks else np.zeros((0, 0))

    @property
    def correlations(self) -> np.ndarray:
        """Correlations (P, P) of the constants, in the order of `constants`; NaN where the data leave one open."""
        return correlations(self.covariance)

    @overload
    def predict(self, X: Any, interval: None = None, kind: Kind = "prediction") -> np.ndarray: ...
    @overload
    def predict(self, X: Any, interval: float, kind: Kind = "prediction") -> Prediction: ...
    def predict(self, X: Any, interval: float | None = None, kind: Kind = "prediction") -> np.ndarray | Prediction:
        """Values at the rows X, (n,) or (n, outputs); with `interval`, such as 0.95, also its ends: mean, lower, upper.

        X has one column a variable, in that order, or names: a data frame or a dict of columns, of which only those in
        the formula are needed. `kind="prediction"` gives intervals for a new observation, whose noise is that of the
        training rows; `kind="confidence"` for the mean of many. Both rest on the formula being right and its noise
        independent, equally large and normal (Student's t, slopes by the constants as in `errors`); they are infinite
        where the value depends on constants that the data leave open. Those of a rounded formula are wider by what
        rounding moves the value. Numbers in place of columns give a number, and so does a formula without variables
        for a dict without any. Raises DataError for other columns.
        """
        used = {str(symbol) for expression in self.expressions for symbol in expression.free_symbols}
        columns, shape = columns_of(X, self.variables, used)
        values = self.numpy()(*(column.numpy() for column in columns.values()))
        values = values.reshape(shape + values.shape[1:])[()]
        if interval is None:
            return values
        check_interval(interval, kind)
        if self.loss != "mse" and kind == "prediction":
            raise SpecError(
                "this formula gives logits, and labels have no intervals: kind='confidence' is for the logits."
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
        """By how much rounding has moved the values (n,) of an output."""
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
        one, uncertainty = slice(int(n), int(n) + 1), self.uncertainty[int(n) : int(n) + 1]
        errors = _errors(uncertainty) if uncertainty else self.errors
        targets, units = self.targets[one], self.units[one]
        return replace(
            self,
            expressions=self.expressions[one],
            targets=targets,
            errors=errors,
            uncertainty=uncertainty,
            units=units,
        )

    def latex(self) -> str:
        """LaTeX of the expression; several outputs one below the other."""
        from knotwork.expressions import latex

        return r" \\ ".join(latex(e) for e in self.expressions)

    def equation(self) -> str:
        """LaTeX of the whole equation, target and all."""
        from knotwork.expressions import latex, symbol

        pairs = zip(self.targets, self.expressions, strict=True)
        return r" \\ ".join(f"{latex(symbol(name))} = {latex(e)}" for name, e in pairs)

    def round(self, digits: int = 3) -> "Formula":
        """With constants rounded to significant digits; `gap`, `r2` and `rmse` remain those of the exact formula.

        `errors` holds the rounded constants, and of two that are rounded to the same number the larger error.
        """
        from knotwork.expressions import number, round_constants

        errors: dict[float, float] = {}
        for value, error in self.errors.items():
            rounded = float(round_constants(number(value), digits))
            errors[rounded] = max(error, errors.get(rounded, 0.0))
        return replace(self, expressions=tuple(round_constants(e, digits) for e in self.expressions), errors=errors)

    def numpy(self) -> Callable[..., Any]:
        """A function of one array a variable, in the order of `variables`; several outputs are stacked last."""
        from knotwork.expressions import to_numpy

        functions = [to_numpy(e, self.variables) for e in self.expressions]
        if len(functions) == 1:
            return functions[0]
        return lambda *columns: np.stack([f(*columns) for f in functions], axis=-1)

    def __str__(self) -> str:
        from knotwork.expressions import text

        shown = self.round(4).expressions
        lines = [f"{name} = {text(expr)}" for name, expr in zip(self.targets, shown, strict=True)]
        return "\n".join([*lines, *(f"({one})" for one in self.units if not one.agree)])


def symbolic_formula(network: KANNetwork, data: object = None, *, simplify: bool = True, loss: str = "mse") -> Formula:
    """The formula of a network whose edges are all named, in the columns' own units.

    Constants are gathered, terms that add less than 1e-8 of their sum dropped, and constants within 1e-7 of a simple
    number replaced by it where the fit to the training rows does not suffer (`simplify=False` leaves all as it is).
    `loss` is that of the fit: with "cross_entropy" the targets are labels, and the formula gives their logits.
    Raises SpecError while an edge is still a spline, and without `data`, which the gap and the names need.
    """
    if data is None:
        raise SpecError(
            "symbolic_formula() measures its gap to the network on samples, and a model keeps none: pass data=."
        )
    data, goal = as_dataset(data), goal_of(loss)
    raw = _expressions(network, data)
    if simplify:
        if goal is LABELS and len(raw) > 1:
            raw = _against_one(raw)
        for n in range(len(raw)):
            raw = (*raw[:n], _simplified(raw, data, n, goal), *raw[n + 1 :])
    return measured(raw, network, data, loss)


def opposite(formula: Formula, target: str) -> Formula:
    """The formula of one output with the sign turned, under another name."""
    turned = tuple(one.opposite() for one in formula.uncertainty)
    errors = {value: error for one in turned for value, error in zip(one.constants, one.errors(), strict=True)}
    return replace(formula, expressions=(-formula.expression,), targets=(target,), errors=errors, uncertainty=turned)


def _against_one(logits: Sequence[Any]) -> tuple[Any, ...]:
    """The same probabilities with the shortest logit as 0: only differences matter, and the rows tell of no others.

    Terms that differences have in common, as parabolas have, are put together where that leaves fewer constants.
    """
    from knotwork.expressions import algebra, complexity, float_constants

    least = min(logits, key=complexity)

    def difference(one: Any) -> Any:
        ways = [one - least, algebra.expand(one - least)]
        return min(ways, key=lambda way: (len(float_constants(way)), complexity(way)))

    return tuple(algebra.Integer(0) if one is least else difference(one) for one in logits)


def measured(expressions: Sequence[Any], network: KANNetwork, data: Dataset, loss: str = "mse") -> Formula:
    """A `Formula` of these expressions: its gap to the network, its r² and its constants' errors on `data`."""
    goal = goal_of(loss)
    x = torch.cat([data.X_train, data.X_val, data.X_test])
    with torch.no_grad():
        difference = (evaluate(expressions, data, x) - network(x)).double()
    if goal is LABELS and len(expressions) > 1:
        difference = difference - difference.mean(1, keepdim=True)  # what all logits share says nothing
    shares = {
        "test": (data.X_test, data.y_test),
        "validation": (data.X_val, data.y_val),
        "training": (data.X_train, data.y_train),
    }
    rows = next((name for name, (inputs, _) in shares.items() if len(inputs) > 1), "training")
    inputs, target = shares[rows]
    values, target = evaluate(expressions, data, inputs), targets_of(target, goal)
    unit = 1.0 if goal is LABELS else float(target.double().abs().max()) or 1.0  # squares of 1e200 are no numbers
    values, target = values.double() / unit, target.double() / unit
    best = goal.spread(target)  # the loss of a constant
    r2 = 1 - goal.scale(target) * float(goal.values(values, target).sum()) / best if best > 0 else float("nan")
    columns = dict(zip(data.input_names, _raw(data, data.X_train).double().unbind(-1), strict=True))
    y = targets_of(data.y_train.double(), goal)
    if goal is NORMAL:
        error = (values - target).square().mean()
        each = zip(expressions, y.unbind(-1), strict=True)
        uncertainty = tuple(Uncertainty.of(e, Sample(columns, column)) for e, column in each)
        names = data.target_names
    else:
        truth = LABELS.truth(values, target)
        error = (LABELS.probabilities(values) - truth).square().mean()
        uncertainty = Uncertainty.of_logits(expressions, Sample(columns, y[:, 0]), goal)
        names = logit_names(data, len(expressions))
    units = agreements(expressions, data) if goal is NORMAL else ()
    largest = float(difference.abs().max()) or 1.0
    gap, rmse = largest * float((difference / largest).square().mean().sqrt()), unit * float(error.sqrt())
    return Formula(
        tuple(expressions), data.input_names, names, gap, r2, rmse, rows, _errors(uncertainty), uncertainty, loss,
        units,
    )  # fmt: skip


def logit_names(data: Dataset, outputs: int) -> tuple[str, ...]:
    """What logits are called: logit_y of the one output for a column y of 0 and 1, else logit_0, logit_1, ..."""
    if data.n_outputs > 1:
        return tuple(f"logit_{name}" for name in data.target_names)
    return (f"logit_{data.target_names[0]}",) if outputs == 1 else tuple(f"logit_{n}" for n in range(outputs))


def agreements(expressions: Sequence[Any], data: Dataset) -> tuple[Agreement, ...]:
    """What units say of each expression; nothing where those of some column are not known."""
    try:
        every = [Dimensions.of(data, output) for output in range(len(expressions))]
    except DataError:
        return ()
    return tuple(agreement(*one) for one in zip(expressions, every, data.target_names, strict=True))


def evaluate(expressions: Sequence[Any], data: Dataset, x: Tensor) -> Tensor:
    """Values of the expressions on rows as the dataset stores them: (batch, in) → (batch, out)."""
    from knotwork.expressions import to_torch

    columns = _raw(data, x).unbind(-1)
    return torch.stack([to_torch(e, data.input_names)(*columns) for e in expressions], dim=-1)


def _raw(data: Dataset, x: Tensor) -> Tensor:
    return x if data.scaling is None else data.scaling.undo(x)


def _expressions(network: KANNetwork, data: Dataset) -> tuple[Any, ...]:
    """Every output as an expression in the original columns, exactly as the network computes it."""
    from knotwork.expressions import compose, number, symbol

    spec = network.spec
    nodes = []
    for column in spec.inputs:
        name = symbol(data.input_names[column])
        if data.scaling is not None:
            name = (name - number(data.scaling.center[column])) / number(data.scaling.scale[column])
        nodes.append(name)
    for l, layer in enumerate(network.layers):
        left = (layer.mask > 0).nonzero().tolist()
        if left:
            i, j = left[0]
            raise SpecError(
                f"edge ({l}, {i}, {j}) and {len(left) - 1} more of layer {l} are still splines, which no formula can "
                "show: name them with fix_symbolic() or auto_symbolic(), or remove them with prune()."
            )
        sums = [number(0.0) for _ in range(spec.sums(l + 1))]
        for (source, target, name, _), constants in zip(layer.named, layer.affine.tolist(), strict=True):
            a, b, c, d = (number(v) for v in constants)
            sums[target] += c * compose(named_function(name).expression, a * nodes[source] + b) + d
        n_sums, n_products = spec.width[l + 1]
        nodes = sums[:n_sums]
        for p in range(n_products):
            product = number(1.0)
            for factor in sums[n_sums + p * spec.arity : n_sums + (p + 1) * spec.arity]:
                product *= factor
            nodes.append(product)
    return tuple(nodes)


def simplest(expression: Any, data: Dataset) -> Any:
    """The expression with its constants gathered and its terms put together where that makes it shorter.

    All ways must give the same values on the training rows, to 1e-9 of their size.
    """
    from knotwork.expressions import algebra, complexity, snap, tidy

    x = data.X_train[:ROWS]
    before = evaluate((expression,), data, x)
    allowed = 1e-9 * float(before.square().mean().sqrt())

    def same(candidate: Any) -> bool:
        return float((evaluate((candidate,), data, x) - before).square().mean().sqrt()) <= allowed

    samples = {name: column.double().numpy() for name, column in zip(data.input_names, _raw(data, x).T, strict=True)}
    best: Any = expression
    ways: tuple[Callable[[Any], Any], ...] = (
        lambda e: tidy(e, samples, 1e-10),
        lambda e: snap(e, same, 1e-11),  # factors that have come together to 1
        lambda e: algebra.powdenest(e, force=True),  # as if variables were positive, which `same` judges
        algebra.together,
        algebra.cancel,
        algebra.factor_terms,
    )
    for way in ways:
        try:
            candidate: Any = way(best)
            if complexity(candidate) < complexity(best) and same(candidate):
                best = candidate
        except (ExpressionError, algebra.PolynomialError, NotImplementedError):
            continue
    return best


def _simplified(expressions: Sequence[Any], data: Dataset, output: int, goal: Goal) -> Any:
    from knotwork.expressions import snap, tidy

    expression, x, y = expressions[output], data.X_train[:ROWS], data.y_train[:ROWS]
    columns = _raw(data, x)
    samples = {name: columns[:, n].double().numpy() for n, name in enumerate(data.input_names)}
    tidied = tidy(expression, samples)
    if goal is NORMAL:
        y = y[:, output : output + 1]
    others, y = evaluate(expressions, data, x), targets_of(y, goal)

    def error(candidate: Any) -> float:
        values = evaluate((candidate,), data, x)
        if goal is NORMAL:
            return float((values - y).square().mean().sqrt())
        values = torch.cat([others[:, :output], values, others[:, output + 1 :]], dim=1)
        return goal.scale(y) * float(goal.values(values, y).sum())

    before = error(expression)
    rounding = 1e-9 * float(y.square().mean().sqrt())
    if not error(tidied) <= 1.001 * before + rounding:
        tidied = expression
    allowed = 1.001 * error(tidied) + rounding
    snapped = snap(tidied, lambda candidate: error(candidate) <= allowed)
    # a snapped constant can be a power or a factor that lets more of the expression come together
    again = tidy(snapped, samples)
    return again if error(again) <= allowed else snapped


def _errors(uncertainty: Sequence[Uncertainty]) -> dict[float, float]:
    """The standard error of every constant; of one that comes in several outputs, the largest."""
    errors: dict[float, float] = {}
    for one in uncertainty:
        for value, error in zip(one.constants, one.errors(), strict=True):
            errors[value] = max(error, errors.get(value, 0.0))
    return errors
