"""Uncertainty of a formula: standard errors and covariance of its constants, and intervals."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from knotwork.errors import SpecError
from knotwork.formulas.agreement import Agreement
from knotwork.formulas.constants import Sample, Template, values_and_slopes
from knotwork.formulas.deviations import slopes_of_deviations
from knotwork.formulas.settings import FORMULAS
from knotwork.sizes import root_mean_square
from knotwork.training.likelihood import Goal

KINDS = ("prediction", "confidence")
Kind = Literal["prediction", "confidence"]
LARGE = 2**62  # number of degrees of freedom where no noise is estimated


@dataclass(frozen=True)
class Constant:
    """A decimal constant of a formula: `value` with its standard `error`, in a `unit`.

    `symbol` (c_1, c_2, ...) stands for it in `Formula.parametric`. `error` is infinite where the data do not determine
    the constant. `unit` is the unit that the constant needs for the units of the formula to agree: "1" for a pure
    number; None where units are not known, do not agree, or would differ between places. A number in front, as in "10
    s/m^(1/2)", converts from the units of the columns.

    Example:
        >>> print(Constant("c_1", 2.00612, 0.0031, "s/m^(1/2)"))
        2.006 ± 0.003 s/m^(1/2)
    """

    symbol: str
    value: float
    error: float
    unit: str | None = None

    def __str__(self) -> str:
        shown = " ± ".join(_with_error(self.value, self.error))
        if self.unit in (None, "1"):
            return shown
        factor = self.unit.partition(" ")[0]
        return f"({shown}) × {self.unit}" if factor[-1:].isdigit() and " " in self.unit else f"{shown} {self.unit}"


def _with_error(value: float, error: float) -> tuple[str, str]:
    """A value and its error as text, both with the digits that the error determines."""
    if not math.isfinite(error):
        return f"{value:.6g}", "∞"
    if error == 0:
        return f"{value:.6g}", "0"
    # one digit of the error, two where the first would be 1 or 2 (Particle Data Group, Review, section 5.3)
    digits = 2 if f"{error:.1e}"[0] in "12" else 1
    place = int(f"{error:.{digits - 1}e}".partition("e")[2]) - digits + 1
    if -6 <= place <= 0 and abs(value) < 1e6:
        return f"{value:.{-place}f}", f"{error:.{-place}f}"
    known = max(int(f"{value:e}".partition("e")[2]) - place, 0)
    return f"{value:.{known}e}" if value else "0", f"{error:.{digits - 1}e}"


class Prediction(NamedTuple):
    """Values of a formula and the ends of the interval of each, arrays (n,), or (n, outputs) with several outputs."""

    mean: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """The uncertainty of the decimal constants of one expression, from its derivatives on rows (Gauss-Newton).

    `template` is the expression with its constants as symbols. In the directions that the rows determine, their
    covariance is s²·factorᵀ·factor with `factor` (r, P). `blind` (m, P) are the other directions, for constants in
    units of `scale` (P,). `deviation` is s, the standard deviation of the noise, with `degrees` of freedom (Seber and
    Wild, Nonlinear Regression, 1989, section 2.1). Where rows have weights it is that of a row of weight 1; with
    `relative` it is that of shares of the values.
    """

    template: Template = field(repr=False)
    factor: Tensor = field(repr=False)
    blind: Tensor = field(repr=False)
    scale: Tensor = field(repr=False)
    deviation: float
    degrees: int
    relative: bool = False

    @classmethod
    def of(cls, expression: Any, sample: Sample) -> "Uncertainty":
        """The uncertainty of an expression whose constants were fitted to these rows by least squares.

        Where the standard deviations of the rows are known, they are s, and quantiles are those of a normal. Where
        weights follow from residuals, as in a fit by Huber's loss, the covariance is that of such a fit.
        """
        return cls.of_template(template_of(expression), sample)

    @classmethod
    def of_template(cls, template: Template, sample: Sample) -> "Uncertainty":
        """The same for an expression whose constants are the symbols of a template."""
        found, jacobian = _slopes(template, sample)
        n, count = len(sample), jacobian.shape[1]
        residuals = sample.residuals(found)
        if sample.relative:
            jacobian = jacobian * slopes_of_deviations(found, sample.y)[:, None]
        jacobian = sample.weighed(jacobian)
        deviation, degrees = _deviation(residuals, count), n - count
        if sample.deviation is not None:
            deviation, degrees = sample.deviation, LARGE
        if sample.shares is None:
            return cls(template, *_inverse_root(jacobian), deviation, degrees, sample.relative)
        factor, blind, scale = _inverse_root(jacobian / sample.shares.sqrt()[:, None])
        robust = _deviation_of_robust(residuals * sample.shares.sqrt(), sample.shares, count)
        factor = factor * (robust / deviation) if 0 < deviation < math.inf else factor
        return cls(template, factor, blind, scale, deviation, degrees, sample.relative)

    @classmethod
    def of_logits(cls, expressions: Sequence[Any], sample: Sample, goal: Goal) -> tuple["Uncertainty", ...]:
        """The uncertainties of logits of labels, whose constants were fitted together; the sample has labels.

        The covariance is the inverse of the Fisher information. No noise is estimated, so quantiles are those of a
        normal.
        """
        templates = [template_of(expression) for expression in expressions]
        values, slopes = zip(*(_slopes(template, sample) for template in templates), strict=True)
        _, bends = goal.residuals(torch.stack(values, 1), sample.y[:, None])
        assert bends is not None
        bends = bends if bends.ndim == 3 else bends[:, :, None]
        jacobian = torch.cat([bends[:, :, k, None] * part[:, None, :] for k, part in enumerate(slopes)], dim=2)
        factor, blind, scale = _inverse_root(jacobian.flatten(0, 1))
        own = [part.shape[1] for part in slopes]
        parts = (factor.split(own, dim=1), blind.split(own, dim=1), scale.split(own))
        return tuple(cls(*one, 1.0, LARGE) for one in zip(templates, *parts, strict=True))

    def negated(self) -> "Uncertainty":
        """The uncertainty of the negative expression. The signs of some constants change."""
        template, old = template_of(-self.template.filled()), list(self.values)
        places = [(old.index(v), 1.0) if v in old else (old.index(-v), -1.0) for v in template.values.values()]
        order, signs = [place for place, _ in places], torch.tensor([sign for _, sign in places], dtype=torch.float64)
        parts = {"factor": self.factor[:, order] * signs, "blind": self.blind[:, order] * signs}
        return replace(self, template=template, scale=self.scale[order], **parts)

    @property
    def values(self) -> tuple[float, ...]:
        """The values of the constants in the order of the covariance, from the smallest to the largest."""
        return tuple(self.template.values.values())

    def covariance(self, other: "Uncertainty | None" = None) -> np.ndarray:
        """Covariance (P, P) of the constants.

        Variances are infinite, and covariances NaN, where the rows do not determine a constant. With `other`, the
        covariance (P, Q) with the constants of another logit; constants of other outputs count as independent.
        """
        right = self if other is None else other
        if right is not self and self.degrees != LARGE:
            return np.zeros((len(self.values), len(right.values)))
        found = self.deviation**2 * (self.factor.T @ right.factor)
        found[self._open()] = math.nan
        found[:, right._open()] = math.nan
        if right is self:
            found.diagonal()[self._open()] = math.inf
        return found.numpy()

    def errors(self) -> list[float]:
        """The standard error of each constant; infinite where the rows do not determine it."""
        return torch.where(self._open(), torch.inf, self.deviation * _norms(self.factor)).tolist()

    def _open(self) -> Tensor:
        if self.degrees <= 0:
            return torch.ones(len(self.values), dtype=torch.bool)
        return self.blind.square().sum(0) > FORMULAS.open_share

    def deviations(self, columns: Mapping[str, Tensor], kind: Kind) -> Tensor:
        """Standard deviations (n,) of the value at other rows, or of an observation there.

        Infinite where the value depends on constants that the rows of the fit did not determine.
        """
        parts = zip(*(column.split(FORMULAS.rows_at_once) for column in columns.values()), strict=True)
        variance = torch.cat([self._variance(dict(zip(columns, part, strict=True)), kind) for part in parts])
        found = self.deviation * variance.sqrt()
        return torch.where(variance.isinf(), torch.inf, found)  # also where the noise is zero

    def _variance(self, columns: Mapping[str, Tensor], kind: Kind) -> Tensor:
        """Variances (n,) of the value or of an observation, in units of the variance of the noise."""
        like = next(iter(columns.values()))
        if self.degrees <= 0:
            return torch.full_like(like, torch.inf)
        values, slopes = _slopes(self.template, Sample(columns, torch.zeros_like(like)))
        noise = values.square() if self.relative else torch.ones_like(like)
        measured = slopes / self.scale
        unseen = (measured @ self.blind.T).square().sum(1) > FORMULAS.open_share * measured.square().sum(1)
        variance = (slopes @ self.factor.T).square().sum(1) + (noise if kind == "prediction" else 0.0)
        return torch.where(unseen, torch.inf, variance)


def constants_of(
    uncertainty: Sequence[Uncertainty], variables: Sequence[str], units: Sequence[Agreement] = ()
) -> tuple[Constant, ...]:
    """The constants of all outputs, in the order of their covariance; `units` are those of each output, if known."""
    prefix = "c"
    while any(re.fullmatch(rf"{prefix}_\d+", name) for name in variables):
        prefix += "c"  # no constant has the name of a variable
    found: list[Constant] = []
    for n, one in enumerate(uncertainty):
        known = dict(units[n].constant_units) if units else {}
        for value, error in zip(one.values, one.errors(), strict=True):
            found.append(Constant(f"{prefix}_{len(found) + 1}", value, error, known.get(value)))
    return tuple(found)


def quantile(interval: float, degrees: int) -> float:
    """The value that Student's |t| does not exceed with this probability; infinite without a degree of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(min(degrees, 1e12), (1 + interval) / 2)) if degrees > 0 else math.inf


def check_interval(interval: object, kind: object) -> None:
    """Raises SpecError unless this is a probability and a kind of interval."""
    if isinstance(interval, bool) or not isinstance(interval, Real) or not 0 < float(interval) < 1:
        raise SpecError(f"interval={interval!r} is no probability: give one between 0 and 1, such as 0.95.")
    if kind not in KINDS:
        raise SpecError(
            f"kind={kind!r} is not known: 'prediction' is for a new observation, 'confidence' for the mean of many."
        )


def correlations(covariance: np.ndarray) -> np.ndarray:
    """Correlations (P, P) from a covariance, 1 on the diagonal; NaN for constants whose variance is infinite or 0."""
    deviations = np.sqrt(np.diag(covariance))
    deviations = np.where(np.isfinite(deviations) & (deviations > 0), deviations, np.nan)
    found = covariance / np.outer(deviations, deviations)
    np.fill_diagonal(found, np.where(np.isnan(deviations), np.nan, 1.0))
    return np.clip(found, -1, 1)


def template_of(expression: Any) -> Template:
    from knotwork.expressions import parametrise

    general, symbols, values = parametrise(expression)
    return Template(general, dict(zip(symbols, values, strict=True)))


def _inverse_root(jacobian: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A root of the inverse of JᵀJ: factor (r, P), undetermined directions (m, P), and scale (P,).

    factorᵀ·factor is the inverse in the directions that the rows determine.
    """
    norms = _norms(jacobian)
    scale = torch.where(norms > 0, norms, 1.0)
    # the triangular matrix has the same singular values and right vectors
    _, singular, right = torch.linalg.svd(torch.linalg.qr(jacobian / scale, "r").R)
    singular = torch.cat([singular, singular.new_zeros(jacobian.shape[1] - len(singular))])
    seen = singular > FORMULAS.unseen_direction * singular.amax() if len(singular) else singular > 0
    return right[seen] / singular[seen, None] / scale, right[~seen], scale


def _deviation(residuals: Tensor, constants: int) -> float:
    """The standard deviation of noise from residuals (n,) of a fit of so many constants; infinite for too few rows."""
    if len(residuals) <= constants:
        return math.inf
    unit = float(residuals.abs().max()) or 1.0  # squares of 1e200 overflow
    return unit * math.sqrt(float((residuals / unit).square().sum()) / (len(residuals) - constants))


def _deviation_of_robust(scores: Tensor, shares: Tensor, constants: int) -> float:
    """What takes the place of the standard deviation of noise in errors of constants of a fit by Huber's loss.

    `scores` ψ (n,) are residuals times their `shares`, and ψ' is 1 where these are 1, else 0 (Huber and Ronchetti,
    Robust Statistics, 2009, section 7.6).
    """
    n = len(shares)
    slope = max(float((shares == 1).double().mean()), 1 / n)
    return (1 + constants / n * (1 - slope) / slope) * _deviation(scores, constants) / slope


def _norms(matrix: Tensor) -> Tensor:
    """The length of each column of (n, P), also where squares of its entries are no numbers."""
    return root_mean_square(matrix, 0) * math.sqrt(len(matrix)) if len(matrix) else matrix.new_zeros(matrix.shape[1])


def _slopes(template: Template, sample: Sample) -> tuple[Tensor, Tensor]:
    """Values (n,) and their derivatives by the constants (n, P); 0 where there is none."""
    constants = torch.tensor(list(template.values.values()), dtype=torch.float64)
    values, slopes = values_and_slopes(template, sample)
    if not len(constants):
        return values(constants), torch.zeros(len(sample), 0, dtype=torch.float64)
    found, jacobian = slopes(constants)
    return found, torch.nan_to_num(jacobian, nan=0.0, posinf=0.0, neginf=0.0)
