"""Products of powers, one of them of an input and a constant: x·y/(z - 1) where z comes close to 1.

Splines do not follow a pole at the end of an input's range, and noise hides the small targets far from it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from knotwork.formulas.constants import Constants, Sample, Template, fitted, simplified
from knotwork.regression.candidate_formulas import CandidateFormula
from knotwork.regression.settings import REGRESSION
from knotwork.regression.structures import Rows, least_squares, nearest_product
from knotwork.regression.term_settings import TERMS

if TYPE_CHECKING:
    from knotwork.regression.search import Search

WORDS = "a product of powers, one of a shifted input"


@dataclass(frozen=True)
class ShiftedPowers:
    """`factor` · product over inputs i of x_i**`powers`[i] · |x_`shifted` - `shift`|**`power`.

    The shift lies `above` or below all values of its input.
    """

    shifted: int
    shift: float
    above: bool
    power: float
    factor: float
    powers: tuple[float, ...]

    def template(self, names: list[str]) -> Template:
        """The expression; powers that are almost multiples of 1/2 are taken for these."""
        from knotwork.expressions import algebra, symbol

        constants = Constants()

        def raised(base: Any, power: float) -> Any:
            near = round(2 * power) / 2
            close = abs(power - near) < TERMS.firm_power
            return base ** (algebra.Rational(round(2 * near), 2) if close else constants(power))

        factors = [raised(symbol(name), power) for name, power in zip(names, self.powers, strict=True) if power]
        x, shift = symbol(names[self.shifted]), constants(self.shift)
        factors.append(raised(shift - x if self.above else x - shift, self.power))
        return constants.template(constants(self.factor) * algebra.Mul(*factors))


def shifted_powers(search: "Search") -> Iterator[CandidateFormula]:
    """The formulas of such products that leave little; one may end the search."""
    if len(search.rows.axes) == 1 or search.late or search.reporter.stage("trying powers of shifted inputs"):
        return
    for found in search.failures.attempt(partial(fit_shifted_powers, search.rows)) or ():
        formula = search.failures.attempt(partial(formula_of, found, search.positive_sample))
        if formula is not None and formula.error < REGRESSION.error_of_shifted_powers * search.sample.scale:
            formula = formula.negated() if search.negative else formula
            yield formula
            search.judge(formula)
            if search.done:
                return


def formula_of(found: ShiftedPowers, sample: Sample) -> CandidateFormula:
    """The product with its constants fitted to the targets themselves."""
    fit = fitted(found.template(list(sample.columns)), sample, REGRESSION.structure_steps)
    return CandidateFormula.of(WORDS, simplified(fit, sample), sample)


def fit_shifted_powers(rows: Rows) -> list[ShiftedPowers]:
    """The two products nearest to the targets: without a power of the shifted input itself, and with one.

    There are none where more than few of the squares belong to targets of the other sign. The largest targets decide:
    those that noise makes negative are small. All rows are fitted, as the few next to the pole may be any of them.
    """
    problem = _Problem(rows)
    return [problem.fitted(*problem.nearest(own)) for own in (False, True)] if problem.possible else []


class _Problem:
    """Logarithms of targets (n,) as linear functions of those of inputs and of the distances from a pole."""

    def __init__(self, rows: Rows) -> None:
        self.relative, self.columns = rows.relative, [axis.values for axis in rows.axes]
        self.sign = float(rows.y.square().mul(rows.y.sign()).sum().sign())
        self.y, self.root = self.sign * rows.y, rows.weighed(torch.ones_like(rows.y))
        self.used = self.y > 0
        self.bent = [i for i, x in enumerate(self.columns) if not rows.axes[i].straight and bool(x.max() > x.min())]
        self.positive = [i for i in self.bent if rows.axes[i].positive]
        self.logs = {i: self.columns[i].log() for i in self.positive}
        self.weight = (self.root if self.relative else self.root * self.y)[self.used]

    @property
    def possible(self) -> bool:
        """Whether hardly any squares belong to targets of the other sign, for not too many inputs and enough rows."""
        share = float(self.y[self.used].square().sum() / self.y.square().sum().clamp_min(1e-300))
        enough = int(self.used.sum()) > TERMS.rows_per_term * (len(self.positive) + 3)
        few = len(self.bent) > 0 and len(self.columns) <= REGRESSION.most_inputs_of_products
        return few and enough and share >= REGRESSION.positive_share

    def powers(self, j: int, own: bool) -> list[int]:
        """The inputs that have powers beside a shifted one, with it if it has its `own`."""
        return [i for i in self.positive if own or i != j]

    def fixed(self, powers: Sequence[int]) -> Tensor:
        """1 and the logarithms of these inputs, (n, 1 + inputs)."""
        return torch.stack([torch.ones_like(self.y), *(self.logs[i] for i in powers)], 1)

    def nearest(self, own: bool) -> tuple[list[int], int, float, float]:
        """The powers, the shifted input, the end of its values and the distance beyond it of the least squares."""
        shares, least = torch.tensor(REGRESSION.shifts_beyond, dtype=self.y.dtype), math.inf
        target = (self.y[self.used].log() * self.weight)[:, None]
        for j in self.bent:
            column, powers = self.columns[j], self.powers(j, own)
            base, _ = torch.linalg.qr(self.fixed(powers)[self.used] * self.weight[:, None])
            rest = target - base @ (base.T @ target)
            for end in (column.min(), column.max()):
                beyond = shares * (column.max() - column.min())
                more = ((column - end).abs()[:, None] + beyond).log()[self.used] * self.weight[:, None]
                more = more - base @ (base.T @ more)
                losses = rest.square().sum() - (more * rest).sum(0).square() / more.square().sum(0).clamp_min(1e-300)
                if float(losses.min()) < least:
                    least, best = float(losses.min()), (powers, j, float(end), float(beyond[losses.argmin()]))
        return best

    def fitted(self, powers: list[int], j: int, end: float, beyond: float) -> ShiftedPowers:
        """The product with its powers and its shift fitted to the targets."""
        gap, fixed = (self.columns[j] - end).abs(), self.fixed(powers)
        start = torch.cat([fixed, (gap + beyond).log()[:, None]], 1)[self.used]
        if self.relative:
            near = least_squares(start * self.weight[:, None], self.y[self.used].log() * self.weight)
        else:
            near, beyond = self.refined(fixed, gap, nearest_product(start, self.y[self.used]), beyond)
        of = dict(zip(powers, near[1:-1].tolist(), strict=True))
        every = [p if abs(p) > TERMS.firm_power else 0.0 for p in (of.get(i, 0.0) for i in range(len(self.columns)))]
        above = bool((self.columns[j] < end).any())
        shift = end + beyond if above else end - beyond
        return ShiftedPowers(j, shift, above, float(near[-1]), self.sign * float(near[0].exp()), tuple(every))

    def refined(self, fixed: Tensor, gap: Tensor, near: Tensor, beyond: float) -> tuple[Tensor, float]:
        """Powers and distance after Gauss-Newton steps of the targets themselves, those of the other sign, too.

        The logarithm of the distance moves, so that the shift stays outside of the range.
        """
        at = torch.cat([near, torch.tensor([beyond], dtype=near.dtype).log()])

        def values(at: Tensor) -> tuple[Tensor, Tensor]:
            logs = torch.cat([fixed, (gap + at[-1].exp()).log()[:, None]], 1)
            return (logs @ at[:-1]).clamp(max=700).exp(), logs

        def loss(at: Tensor) -> float:
            return float(((values(at)[0] - self.y) * self.root).square().sum())

        for _ in range(REGRESSION.structure_steps):
            now, logs = values(at)
            slope = at[-2] * at[-1].exp() / (gap + at[-1].exp())
            jacobian = torch.cat([logs, slope[:, None]], 1) * (now * self.root)[:, None]
            step, before = least_squares(jacobian, (self.y - now) * self.root), loss(at)
            trials = (at + 0.5**k * step for k in range(REGRESSION.lengths_of_shift_steps))
            better = next((one for one in trials if loss(one) < before), None)
            if better is None:
                break
            at = better
        return at[:-1], float(at[-1].exp())
