"""The rows of one of several targets, and a formula of it as the choice of all formulas together sees it."""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from knotwork.formulas.constants import Sample, Template
from knotwork.formulas.settings import FORMULAS
from knotwork.regression.targets.common_parts import bits_together, multiplied_out
from knotwork.regression.targets.settings import TARGETS


@dataclass(frozen=True, eq=False)
class TargetRows:
    """One target: its rows, what was found for it alone, and how formulas of it are judged.

    Attributes:
        name: of the target.
        sample: the rows that formulas are fitted to.
        found: expressions that were found for this target alone, the chosen one first.
        judge: bits of the residuals of a template, and of all that follows neither from its symbols nor its decimals.
        allowed: whether an expression may be the formula.
        symbol: bits of a symbol.
        constant: bits of a decimal, in excess of those of a symbol.
        simplify: whether constants may be replaced by simple numbers.
    """

    name: str
    sample: Sample = field(repr=False)
    found: tuple[Any, ...]
    judge: Callable[[Template], float]
    allowed: Callable[[Any], bool]
    symbol: float
    constant: float
    simplify: bool = True

    def worse(self, mse: float, before: float, fewer: int) -> bool:
        """Whether mean squared residuals tell, by more than chance, that a formula is worse than one with as many
        constants more as `fewer` says."""
        from scipy.stats import chi2

        if before == math.inf:
            return False
        rounding = max((FORMULAS.exact_error * self.sample.scale) ** 2, sys.float_info.min)  # squares may underflow
        apart = len(self.sample) * math.log((mse + rounding) / (before + rounding))
        return not apart <= float(chi2.isf(TARGETS.chance_of_difference, max(1, fewer)))


@dataclass(frozen=True, eq=False)
class Law:
    """A formula of one target with fitted constants.

    Attributes:
        expression: with its constants as decimals.
        mse: mean squared residual on the rows of the target.
        judged: bits as `TargetRows.judge` gives them.
        words: where it comes from.
    """

    expression: Any
    mse: float
    judged: float
    words: str

    @cached_property
    def forms(self) -> tuple[Any, ...]:
        """The expression as it is, and as a sum of terms."""
        return (self.expression, multiplied_out(self.expression))

    @cached_property
    def decimals(self) -> int:
        """The number of different decimals."""
        from knotwork.expressions import algebra

        return len(self.expression.atoms(algebra.Float))


def total_bits(targets: Sequence[TargetRows], laws: Sequence[Law]) -> float:
    """The bits of all residuals and of the formulas together."""
    pairs = list(zip(targets, laws, strict=True))
    written = bits_together([(law.forms, one.symbol, one.constant) for one, law in pairs])
    return written + sum(law.judged for law in laws)


def alone(target: TargetRows, law: Law) -> float:
    """The bits of one formula by itself."""
    return total_bits([target], [law])
