"""The network as a formula, with its distance from the network measured."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from knotwork.data import Dataset, as_dataset
from knotwork.errors import ExpressionError, SpecError
from knotwork.functions import named_function
from knotwork.model import KANNetwork

ROWS = 2000  # training rows on which terms are judged and errors estimated


@dataclass(frozen=True)
class Formula:
    """One expression an output, in the units of the original columns.

    `gap` is the root mean squared difference between formula and network over the rows it was made with, in units of
    the target; `r2` the share of variance explained on the rows that `r2_rows` names: "test", or "validation" or
    "training" where fewer than two were held out. `errors` maps each decimal constant of the expression to its standard
    error, from the Gauss-Newton matrix of the expression itself on the training rows; infinite where the data cannot
    tell the constants apart.
    """

    expressions: tuple[Any, ...]
    variables: tuple[str, ...]
    targets: tuple[str, ...]
    gap: float
    r2: float
    rmse: float
    r2_rows: str = "test"
    errors: Mapping[float, float] = field(default_factory=dict, repr=False)

    @property
    def expression(self) -> Any:
        """The SymPy expression of the first output, the only one of most formulas."""
        return self.expressions[0]

    @property
    def complexity(self) -> int:
        """Number of operators, functions, constants and variables over all outputs."""
        from knotwork.expressions import complexity

        return sum(complexity(e) for e in self.expressions)

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
        import numpy as np

        from knotwork.expressions import to_numpy

        functions = [to_numpy(e, self.variables) for e in self.expressions]
        if len(functions) == 1:
            return functions[0]
        return lambda *columns: np.stack([f(*columns) for f in functions], axis=-1)

    def __str__(self) -> str:
        from knotwork.expressions import text

        shown = self.round(4).expressions
        return "\n".join(f"{name} = {text(expr)}" for name, expr in zip(self.targets, shown, strict=True))


def symbolic_formula(network: KANNetwork, data: object = None, *, simplify: bool = True) -> Formula:
    """The formula of a network whose edges are all named, in the columns' own units.

    Constants are gathered, terms that add less than 1e-8 of their sum dropped, and constants within 1e-7 of a simple
    number replaced by it where the fit to the training rows does not suffer (`simplify=False` leaves all as it is).
    Raises SpecError while an edge is still a spline, and without `data`, which the gap and the names need.
    """
    if data is None:
        raise SpecError(
            "symbolic_formula() measures its gap to the network on samples, and a model keeps none: pass data=."
        )
    data = as_dataset(data)
    raw = _expressions(network, data)
    if simplify:
        raw = tuple(_simplified(e, data, n) for n, e in enumerate(raw))
    return measured(raw, network, data)


def measured(expressions: Sequence[Any], network: KANNetwork, data: Dataset) -> Formula:
    """A `Formula` of these expressions: its gap to the network, its r² and its constants' errors on `data`."""
    x = torch.cat([data.X_train, data.X_val, data.X_test])
    with torch.no_grad():
        difference = evaluate(expressions, data, x) - network(x)
    shares = {
        "test": (data.X_test, data.y_test),
        "validation": (data.X_val, data.y_val),
        "training": (data.X_train, data.y_train),
    }
    rows = next((name for name, (inputs, _) in shares.items() if len(inputs) > 1), "training")
    inputs, target = shares[rows]
    error = (evaluate(expressions, data, inputs) - target).square().mean()
    variance = (target - target.mean(0)).square().mean()
    r2 = 1 - float(error / variance) if float(variance) > 0 else float("nan")
    gap = float(difference.square().mean().sqrt())
    errors = _errors(expressions[0], data) if len(expressions) == 1 else {}
    return Formula(tuple(expressions), data.input_names, data.target_names, gap, r2, float(error.sqrt()), rows, errors)


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
    from knotwork.expressions import algebra, complexity, tidy

    x = data.X_train[:ROWS]
    before = evaluate((expression,), data, x)
    allowed = 1e-9 * float(before.square().mean().sqrt())

    def same(candidate: Any) -> bool:
        return float((evaluate((candidate,), data, x) - before).square().mean().sqrt()) <= allowed

    samples = {name: column.double().numpy() for name, column in zip(data.input_names, _raw(data, x).T, strict=True)}
    best: Any = expression
    ways: tuple[Callable[[Any], Any], ...] = (
        lambda e: tidy(e, samples, 1e-10),
        algebra.powdenest,
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


def _simplified(expression: Any, data: Dataset, output: int) -> Any:
    from knotwork.expressions import snap, tidy

    x, y = data.X_train[:ROWS], data.y_train[:ROWS, output : output + 1]
    columns = _raw(data, x)
    samples = {name: columns[:, n].double().numpy() for n, name in enumerate(data.input_names)}
    tidied = tidy(expression, samples)

    def error(candidate: Any) -> float:
        return float((evaluate((candidate,), data, x) - y).square().mean().sqrt())

    before = error(expression)
    rounding = 1e-9 * float(y.square().mean().sqrt())
    if not error(tidied) <= 1.001 * before + rounding:
        tidied = expression
    allowed = 1.001 * error(tidied) + rounding
    snapped = snap(tidied, lambda candidate: error(candidate) <= allowed)
    # a snapped constant can be a power or a factor that lets more of the expression come together
    again = tidy(snapped, samples)
    return again if error(again) <= allowed else snapped


def _errors(expression: Any, data: Dataset) -> dict[float, float]:
    """Standard errors of the decimal constants, from s² (JᵀJ)⁻¹ at the training rows."""
    from knotwork.expressions import parametrise, to_torch

    general, symbols, values = parametrise(expression)
    if not symbols:
        return {}
    x, y = data.X_train, data.y_train[:, 0]
    residual = evaluate((expression,), data, x)[:, 0] - y
    columns = list(_raw(data, x).unbind(-1))
    # one constant a row, so that the gradient of the sum is the Jacobian
    constants = [torch.full((len(x),), v, dtype=x.dtype).requires_grad_() for v in values]
    names = [*data.input_names, *(s.name for s in symbols)]
    total = to_torch(general, names)(*columns, *constants).sum()
    jacobian = torch.stack(torch.autograd.grad(total, constants, materialize_grads=True), dim=-1)
    degrees = max(len(x) - len(symbols), 1)
    scale = jacobian.norm(dim=0).clamp_min(1e-300)
    _, singular, right = torch.linalg.svd(torch.nan_to_num(jacobian / scale), full_matrices=False)
    known = singular > 1e-10 * singular[0]
    inverse = (right.square()[known] / singular[known, None].square()).sum(0)
    variance = residual.square().sum() / degrees * inverse / scale.square()
    blurred = (right.square()[~known].sum(0) > 1e-6) if bool((~known).any()) else torch.zeros(len(values)) > 0
    variance = torch.where(blurred, torch.full_like(variance, torch.inf), variance)
    return dict(zip(values, variance.sqrt().tolist(), strict=True))
