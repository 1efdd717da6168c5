"""How sure a formula is: its constants with their standard errors, their covariance, and intervals."""

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
from knotwork.formulas.settings import FORMULAS
from knotwork.training.likelihood import Goal

KINDS = ("prediction", "confidence")
Kind = Literal["prediction", "confidence"]
LARGE = 2**62  # degrees of freedom where no noise is estimated


@dataclass(frozen=True)
class Constant:
    """A decimal constant of a formula: `value` with its standard `error`, in a `unit`.

    `symbol` (c_1, c_2, ...) stands in its place in `Formula.parametric`. `error` is infinite where the data do not
    determine the constant. `unit` is the unit that the constant needs for the units of the formula to agree: "1" for a
    pure number; None where units are not known, do not agree, or would differ from place to place. A number in front,
    as in "10 s/m^(1/2)", converts from the units of the columns.

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
    """A value and its error as text, both to the last digit that the error determines."""
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
    """Values of a formula and the interval around each; arrays (n,), or (n, outputs) of several outputs."""

    mean: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """What rows tell about the decimal constants of one expression, from its slopes there (Gauss-Newton).

    `template` is the expression with its constants as symbols; `factor` (r, P) with s²·factorᵀ·factor as their
    covariance, in the directions that the rows see; `blind` (m, P) are the others, in constants measured by `scale`
    (P,). `deviation` is s, the standard deviation of the noise, from `degrees` of freedom (Seber and Wild, Nonlinear
    Regression, 1989, section 2.1).
    """

    template: Template = field(repr=False)
    factor: Tensor = field(repr=False)
    blind: Tensor = field(repr=False)
    scale: Tensor = field(repr=False)
    deviation: float
    degrees: int

    @classmethod
    def of(cls, expression: Any, sample: Sample) -> "Uncertainty":
        """That of an expression whose constants were fitted to these rows by least squares."""
        template = _template(expression)
        found, jacobian = _slopes(template, sample)
        n, count = len(sample), jacobian.shape[1]
        residuals = found - sample.y
        unit = float(residuals.abs().max()) or 1.0  # squares of 1e200 are no numbers
        squares = float((residuals / unit).square().sum())
        deviation = unit * math.sqrt(squares / (n - count)) if n > count else math.inf
        return cls(template, *_inverse_root(jacobian), deviation, n - count)

    @classmethod
    def of_logits(cls, expressions: Sequence[Any], sample: Sample, goal: Goal) -> tuple["Uncertainty", ...]:
        """Those of expressions for the logits of labels, whose constants were fitted together; the sample has labels.

        The information is Fisher's, so there is no noise to be estimated, and quantiles are those of a normal.
        """
        templates = [_template(expression) for expression in expressions]
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
        """That of the expression with its sign changed, which changes the signs of some of its constants."""
        template, old = _template(-self.template.filled()), list(self.values)
        places = [(old.index(v), 1.0) if v in old else (old.index(-v), -1.0) for v in template.values.values()]
        order, signs = [place for place, _ in places], torch.tensor([sign for _, sign in places], dtype=torch.float64)
        parts = {"factor": self.factor[:, order] * signs, "blind": self.blind[:, order] * signs}
        return replace(self, template=template, scale=self.scale[order], **parts)

    @property
    def values(self) -> tuple[float, ...]:
        """The values of the constants, in the order of the covariance: from the smallest to the largest."""
        return tuple(self.template.values.values())

    def covariance(self, other: "Uncertainty | None" = None) -> np.ndarray:
        """Covariance (P, P) of the constants; infinite variances, and NaN beside, where the rows leave one open.

        With those of another output, (P, Q), of logits; the constants of other outputs count as independent.
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
        """The standard error of each constant, infinite where the rows leave it open; of any size."""
        return torch.where(self._open(), torch.inf, self.deviation * self.factor.norm(dim=0)).tolist()

    def _open(self) -> Tensor:
        if self.degrees <= 0:
            return torch.ones(len(self.values), dtype=torch.bool)
        return self.blind.square().sum(0) > FORMULAS.open_share

    def deviations(self, columns: Mapping[str, Tensor], kind: Kind) -> Tensor:
        """Standard deviations (n,) of the value at other rows, or of an observation there.

        Infinite where the value depends on what the rows of the fit left open.
        """
        parts = zip(*(column.split(FORMULAS.rows_at_once) for column in columns.values()), strict=True)
        variance = torch.cat([self._variance(dict(zip(columns, part, strict=True))) for part in parts])
        found = self.deviation * (variance + 1 if kind == "prediction" else variance).sqrt()
        return torch.where(variance.isinf(), torch.inf, found)  # also where there is no noise at all

    def _variance(self, columns: Mapping[str, Tensor]) -> Tensor:
        """Variances (n,) of the value, in those of the noise."""
        like = next(iter(columns.values()))
        if self.degrees <= 0:
            return torch.full_like(like, torch.inf)
        _, slopes = _slopes(self.template, Sample(columns, torch.zeros_like(like)))
        measured = slopes / self.scale
        unseen = (measured @ self.blind.T).square().sum(1) > FORMULAS.open_share * measured.square().sum(1)
        return torch.where(unseen, torch.inf, (slopes @ self.factor.T).square().sum(1))


def constants_of(
    uncertainty: Sequence[Uncertainty], variables: Sequence[str], units: Sequence[Agreement] = ()
) -> tuple[Constant, ...]:
    """The constants of all outputs, in the order of their covariance; `units` are those of each output, if known."""
    prefix = "c"
    while any(re.fullmatch(rf"{prefix}_\d+", name) for name in variables):
        prefix += "c"  # no constant is called like a variable
    found: list[Constant] = []
    for n, one in enumerate(uncertainty):
        known = dict(units[n].constant_units) if units else {}
        for value, error in zip(one.values, one.errors(), strict=True):
            found.append(Constant(f"{prefix}_{len(found) + 1}", value, error, known.get(value)))
    return tuple(found)


def quantile(interval: float, degrees: int) -> float:
    """Student's t that |t| stays below with this probability; infinite without a degree of freedom."""
    from scipy.stats import t

    return float(t.ppf((1 + interval) / 2, min(degrees, 1e12))) if degrees > 0 else math.inf


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


def _template(expression: Any) -> Template:
    from knotwork.expressions import parametrise

    general, symbols, values = parametrise(expression)
    return Template(general, dict(zip(symbols, values, strict=True)))


def _inverse_root(jacobian: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """factor (r, P), factorᵀ·factor as the inverse of JᵀJ where rows see; directions (m, P) they do not; scale (P,)."""
    norms = jacobian.norm(dim=0)
    scale = torch.where(norms > 0, norms, 1.0)
    # the triangle has the singular values of the whole, and a square of right vectors
    _, singular, right = torch.linalg.svd(torch.linalg.qr(jacobian / scale, "r").R)
    singular = torch.cat([singular, singular.new_zeros(jacobian.shape[1] - len(singular))])
    seen = singular > FORMULAS.unseen_direction * singular.amax() if len(singular) else singular > 0
    return right[seen] / singular[seen, None] / scale, right[~seen], scale


def _slopes(template: Template, sample: Sample) -> tuple[Tensor, Tensor]:
    """Values (n,) and their derivatives by the constants (n, P), 0 where there is none."""
    constants = torch.tensor(list(template.values.values()), dtype=torch.float64)
    values, slopes = values_and_slopes(template, sample)
    if not len(constants):
        return values(constants), torch.zeros(len(sample), 0, dtype=torch.float64)
    found, jacobian = slopes(constants)
    return found, torch.nan_to_num(jacobian, nan=0.0, posinf=0.0, neginf=0.0)
