"""Constants of an expression: fitted to data, with their covariance, and replaced by simple numbers where possible."""

import functools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from knotwork.formulas.deviations import relative_deviations, slopes_of_deviations
from knotwork.formulas.settings import FORMULAS
from knotwork.journal import Value, recalled
from knotwork.sizes import power_of_two
from knotwork.solvers import Options, ScaledEquations, System, VectorProblem, gauss_newton


@dataclass(frozen=True)
class Sample:
    """Rows to fit an expression to: a column (n,) for every variable, and targets (n,).

    With `relative`, residuals are shares of the values, and none of the targets is zero. Rows may count `weights` (n,)
    times, 1 on average; `deviation` is then the standard deviation of the error of a row of weight 1, if it is known.
    `shares` (n,) are the factors of the weights that follow from residuals, if there are some (`RowErrors`). Rows with
    the same number in `together` (n,) are left out together where rows are left out of a fit.
    """

    never_changes: ClassVar[bool] = True
    columns: Mapping[str, Tensor]
    y: Tensor
    relative: bool = False
    weights: Tensor | None = None
    deviation: float | None = None
    shares: Tensor | None = None
    together: Tensor | None = None

    def residuals(self, values: Tensor) -> Tensor:
        """The deviations (n,) of these values from the targets, times the roots of the weights.

        They are `relative_deviations` if `relative`.
        """
        return self.weighed(relative_deviations(values, self.y) if self.relative else values - self.y)

    def weighed(self, rows: Tensor) -> Tensor:
        """Numbers of rows, (n,) or (n, k), times the roots of the weights."""
        if self.weights is None:
            return rows
        root = self.weights.sqrt()
        return rows * (root if rows.ndim == 1 else root[:, None])

    @property
    def scale(self) -> float:
        """Root mean square of the targets about their mean, plus a small part for rounding errors of large targets.

        It is 1 for relative residuals.
        """
        if self.relative:
            return 1.0
        mean = self.y.mean() if self.weights is None else self.weights @ self.y / self.weights.sum()
        spread = float(self.weighed(self.y - mean).square().mean().sqrt())
        return max(spread, 1e-6 * float(self.y.abs().max()), 1e-300)

    def __len__(self) -> int:
        return len(self.y)

    def problem(self, start: Tensor, values: Any, slopes: Any) -> "ConstantsFit":
        """The fit of constants (P,) from this start, with the functions of `values_and_slopes`."""
        return ConstantsFit(start, self, values, slopes)

    def first(self, rows: int) -> "Sample":
        """The first rows alone."""
        return self.rows(slice(rows))

    def rows(self, some: slice | Tensor) -> "Sample":
        """Some rows alone: a slice, a mask (n,), or their numbers."""
        columns = {name: column[some] for name, column in self.columns.items()}
        known = {name: getattr(self, name) for name in ("weights", "shares", "together")}
        own = {name: values[some] for name, values in known.items() if values is not None}
        return replace(self, columns=columns, y=self.y[some], **own)


@dataclass(frozen=True)
class Template:
    """An expression whose constants are the symbols of `values`, all of them free.

    `doubt` is a correction of the description length in bits. Constants that became simple numbers save bits, but they
    may be close to such numbers by chance.
    """

    expression: Any
    values: Mapping[Any, float]
    mse: float = math.inf
    covariance: Tensor | None = field(default=None, repr=False, compare=False)
    doubt: float = 0.0

    def filled(self) -> Any:
        """The expression with its constants as decimals."""
        from knotwork.expressions import number

        return self.expression.xreplace({symbol: number(value) for symbol, value in self.values.items()})

    def errors(self) -> dict[Any, float]:
        """The standard error of every constant; infinite where the rows do not determine it."""
        if self.covariance is None:
            return {}
        return dict(zip(self.values, self.covariance.diagonal().sqrt().tolist(), strict=True))


class Constants:
    """Makes a new symbol for each constant, and keeps its value."""

    def __init__(self) -> None:
        self.values: dict[Any, float] = {}

    def __call__(self, value: float) -> Any:
        from knotwork.expressions import algebra

        symbol = algebra.Symbol(f"\0{len(self.values)}", real=True)
        self.values[symbol] = float(value)
        return symbol

    def template(self, expression: Any) -> Template:
        """The expression with those of the constants that occur in it."""
        left = expression.free_symbols
        return Template(expression, {s: v for s, v in self.values.items() if s in left})


def distinct(values: Mapping[Any, float]) -> dict[Any, float]:
    """Constants changed a little where two are equal, so that each is known in an expression by its value."""
    found: dict[Any, float] = {}
    for symbol, value in values.items():
        while value in found.values():
            value = value * (1 + FORMULAS.exact_error) + FORMULAS.exact_error
        found[symbol] = value
    return found


def values_of(template: Template, sample: Sample) -> Tensor:
    """Values of the expression on the rows, (n,)."""
    from knotwork.expressions import to_torch

    names = [*sample.columns, *(s.name for s in template.values)]
    constants = (torch.tensor(v, dtype=torch.float64) for v in template.values.values())
    return to_torch(template.expression, names)(*sample.columns.values(), *constants)


def values_and_slopes(template: Template, sample: Sample) -> tuple[Any, Any]:
    """Functions of a vector (P,) of constants: values (n,), and values with their derivatives (n, P)."""
    from knotwork.expressions import to_torch

    names = [*sample.columns, *(s.name for s in template.values)]
    function, columns, n = to_torch(template.expression, names), list(sample.columns.values()), len(sample)

    def values(constants: Tensor) -> Tensor:
        with torch.no_grad():
            return function(*columns, *constants.unbind()) * torch.ones(n, dtype=constants.dtype)

    def slopes(constants: Tensor) -> tuple[Tensor, Tensor]:
        # the constants once per row, so that the gradient of the sum is the Jacobian
        with torch.enable_grad():
            rows = [constants[i].expand(n).clone().requires_grad_() for i in range(len(constants))]
            found = function(*columns, *rows)
            parts = torch.autograd.grad(found.sum(), rows, materialize_grads=True)
        return found.detach(), torch.stack(parts, dim=-1)

    return values, slopes


def fitted(
    template: Template, sample: Sample, steps: int = FORMULAS.fit_steps, target: float | None = None
) -> Template:
    """The template with its constants at the nearest minimum of the mean squared error, and their covariance.

    Damped Gauss-Newton steps; `mse` is infinite where the expression is not finite at the start. Relative deviations
    hardly depend on values that are far too large; shares of the targets are fitted before them.
    """
    return recalled(
        "fitted",
        lambda: (template.expression, [(s.name, v) for s, v in template.values.items()], sample, steps, target),
        lambda: _fitted(template, sample, steps, target),
        _kept,
        lambda kept: _restored(template, kept),
    )


def _kept(template: Template) -> Value:
    return list(template.values.values()), template.mse, template.covariance


def _restored(template: Template, kept: Value) -> Template:
    values, mse, covariance = kept
    return replace(template, values=dict(zip(template.values, values, strict=True)), mse=mse, covariance=covariance)


def _fitted(template: Template, sample: Sample, steps: int, target: float | None) -> Template:
    target = (FORMULAS.smallest_residual * sample.scale) ** 2 if target is None else target
    values, slopes = values_and_slopes(template, sample)
    start = torch.tensor(list(template.values.values()), dtype=torch.float64)
    fit = sample.problem(start, values, slopes)
    fit.begin()
    if not fit.size or not math.isfinite(fit.loss):
        return replace(template, mse=fit.mse, covariance=torch.zeros(len(start), len(start)))
    options = Options(None, steps, FORMULAS.slow_gain, FORMULAS.slow_steps, target)
    if sample.relative:
        shares = _SharesFit(start, sample, values, slopes)
        gauss_newton(shares, options)
        fit = ConstantsFit(shares.at, sample, values, slopes)
    gauss_newton(fit, options)
    found = dict(zip(template.values, fit.at.tolist(), strict=False))
    return replace(template, values=found, mse=fit.mse, covariance=fit.covariance())


def linearised(template: Template, sample: Sample) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Values (n,), residuals (n,), their derivatives (n, P) by the constants, and those (n,) by the values."""
    values, slopes = values_and_slopes(template, sample)
    at = torch.tensor(list(template.values.values()), dtype=torch.float64)
    fit, found = ConstantsFit(at, sample, values, slopes), values(at)
    jacobian = fit.linear()[1] if len(at) else found.new_zeros(len(found), 0)
    return found, fit.residuals(found), torch.nan_to_num(jacobian, nan=0.0, posinf=0.0, neginf=0.0), fit.weights(found)


class ConstantsFit(VectorProblem):
    """The constants (P,) of an expression as a problem for the solver."""

    def __init__(self, start: Tensor, sample: Sample, values: Any, slopes: Any) -> None:
        super().__init__(start)
        self.sample, self.values, self.slopes = sample, values, slopes

    def evaluate(self, at: Tensor) -> tuple[float, None]:
        return _mean_square(self.residuals(self.values(at))), None

    def residuals(self, values: Tensor) -> Tensor:
        return self.sample.residuals(values)

    def weights(self, values: Tensor) -> Tensor:
        """Derivatives (n,) of the residuals by the values."""
        y = self.sample.y
        return self.sample.weighed(slopes_of_deviations(values, y) if self.sample.relative else torch.ones_like(y))

    def linear(self) -> tuple[Tensor, Tensor]:
        """Residuals (n,), and their derivatives (n, P)."""
        found, jacobian = self.slopes(self.at)
        return self.residuals(found), jacobian * self.weights(found)[:, None]

    def linearise(self) -> System:
        (residuals, jacobian), n = self.linear(), len(self.sample)
        if not bool(jacobian.isfinite().all()):
            jacobian = torch.nan_to_num(jacobian, nan=0.0, posinf=0.0, neginf=0.0)
        sizes = power_of_two(jacobian, 0)[0]
        jacobian = jacobian / sizes
        return ScaledEquations(jacobian.T @ jacobian / n, jacobian.T @ residuals / n, sizes)

    @property
    def mse(self) -> float:
        """The mean squared error, or for other likelihoods that of a normal of the same likelihood."""
        return self.loss

    def covariance(self) -> Tensor:
        """The covariance (P, P) of the constants."""
        return covariance_of(torch.nan_to_num(self.linear()[1]), self.loss, len(self.sample))


class _SharesFit(ConstantsFit):
    """The same with deviations as shares of the targets, which are linear in the values."""

    def residuals(self, values: Tensor) -> Tensor:
        return self.sample.weighed((values - self.sample.y) / self.sample.y)

    def weights(self, values: Tensor) -> Tensor:
        return self.sample.weighed(1 / self.sample.y)


def _mean_square(residuals: Tensor) -> float:
    mse = float(residuals.square().mean())
    return mse if mse == mse else math.inf


def covariance_of(jacobian: Tensor, mse: float, n: int) -> Tensor:
    """s² (JᵀJ)⁻¹ (P, P), with infinite variances of constants that the rows do not determine separately."""
    count = jacobian.shape[1]
    scale = jacobian.norm(dim=0).clamp_min(1e-300)
    _, singular, right = torch.linalg.svd(jacobian / scale, full_matrices=False)
    known = singular > 1e-9 * singular[0]
    rows = right[known] / singular[known, None]
    covariance = mse * n / max(n - count, 1) * (rows.T @ rows) / (scale * scale[:, None])
    open_ = right[~known].square().sum(0) > 1e-6 if bool((~known).any()) else torch.zeros(count, dtype=torch.bool)
    covariance.diagonal()[open_ | (jacobian.norm(dim=0) == 0)] = math.inf
    return covariance


def simplified(template: Template, sample: Sample, kept: Collection[Any] = ()) -> Template:
    """The fitted template with constants replaced by simple numbers, where the data are compatible with them.

    Constants are replaced one at a time, the most probable first, and the others are fitted again. Simple numbers are
    zero and one, integers, halves, thirds, quarters, fifths, simple multiples of π and 1/π, and the other constants. A
    number is taken if it is within three standard errors, if few simple numbers are that close to any value, and if the
    error does not grow by more than chance allows, by this number and by all so far. Constants that are `kept` stay.
    """
    refused: set[tuple[Any, Any]] = set()
    before, count = template.mse, len(template.values)
    equality = FORMULAS.equality_chance
    while template.values:
        proposals = sorted(
            (chance + equality * bool(simple.free_symbols), str(symbol), str(simple), chance, symbol, simple)
            for symbol, error in template.errors().items()
            for chance, simple in [*_simple_numbers(template.values[symbol], error), *_equals(template, symbol)]
            if (symbol, simple) not in refused and symbol not in kept
        )
        if not proposals:
            return template
        for *_, chance, symbol, simple in proposals:
            new = replaced(template, symbol, simple)
            if new is not None:
                new = fitted(new, sample, FORMULAS.refit_steps)
                if new.mse <= min(_allowed(template.mse, 1, sample), _allowed(before, count - len(new.values), sample)):
                    template = replace(new, doubt=new.doubt + _doubt(chance, len(sample)))
                    break
            refused.add((symbol, simple))
        else:
            return template
    return template


def _doubt(chance: float, n: int) -> float:
    """Bits that the omission of a constant saves in excess of its information: -log2 of the probability of chance."""
    return math.log2(n * max(chance, 1 / n))


def _equals(template: Template, symbol: Any) -> list[tuple[float, Any]]:
    """Later constants of the same or opposite value within the errors, each with the probability of chance."""
    assert template.covariance is not None
    symbols, covariance = list(template.values), template.covariance
    i, found = symbols.index(symbol), []
    for j in range(i + 1, len(symbols)):
        for sign in (1, -1):
            apart = template.values[symbol] - sign * template.values[symbols[j]]
            variance = float(covariance[i, i] + covariance[j, j] - 2 * sign * covariance[i, j])
            near = FORMULAS.sigmas * math.sqrt(variance) if 0 <= variance < math.inf else 0.0
            risk = 2 * near / abs(template.values[symbol] or 1.0)
            if abs(apart) <= near + 1e-9 * abs(template.values[symbol]) and risk < FORMULAS.chance:
                found.append((risk, sign * symbols[j]))
    return found


def _allowed(mse: float, fewer: int, sample: Sample) -> float:
    """Largest mean squared error with so many constants fewer: a likelihood ratio as rare as three standard errors."""
    from scipy.special import chdtri, erfc

    ratio = chdtri(fewer, erfc(FORMULAS.sigmas / math.sqrt(2)))
    return mse * math.exp(ratio / len(sample)) + (FORMULAS.exact_error * sample.scale) ** 2  # and rounding


def replaced(template: Template, symbol: Any, value: Any) -> Template | None:
    """The template with a number in place of one constant; None where the result is no finite expression."""
    from knotwork.expressions import algebra

    expression = template.expression.xreplace({symbol: value})
    if expression.has(algebra.zoo, algebra.nan, algebra.oo, algebra.cot):
        return None
    left = expression.free_symbols
    values = {s: v for s, v in template.values.items() if s in left}
    return replace(template, expression=expression, values=values, mse=math.inf, covariance=None)


def _simple_numbers(value: float, error: float) -> list[tuple[float, Any]]:
    """Simple numbers near a value known to ±`error`, each with the probability that one is so near by chance."""
    from knotwork.expressions import algebra

    if error == math.inf:  # the rows do not determine it: any value is possible
        return [(0.01 * n, algebra.Integer(value)) for n, value in enumerate((0, 1, -1))]
    near = FORMULAS.sigmas * error + 1e-7 * abs(value)
    found: list[tuple[float, Any]] = []
    if abs(value) <= max(near, FORMULAS.negligible_constant):
        found.append((0.0, algebra.Integer(0)))
    for cost, unit, of in _units():
        multiple = round(value / unit)
        if multiple and abs(multiple) <= FORMULAS.largest_multiple and abs(value - multiple * unit) <= near:
            risk = cost * 2 * near / unit
            if risk < FORMULAS.chance:
                found.append((risk, multiple * of))
    return found


@functools.cache
def _units() -> Sequence[tuple[float, float, Any]]:
    from knotwork.expressions import algebra

    ways = [
        (1.0, algebra.Integer(1)),
        (2.0, algebra.Rational(1, 2)),
        (4.0, algebra.Rational(1, 3)),
        (4.0, algebra.Rational(1, 4)),
        (8.0, algebra.Rational(1, 5)),
        (4.0, algebra.pi),
        (8.0, algebra.pi / 2),
        (8.0, 1 / (2 * algebra.pi)),
        (16.0, 1 / (4 * algebra.pi)),
    ]
    return [(cost, float(of), of) for cost, of in ways]
