"""The search among groups of inputs that have no unit: fewer variables, and formulas that are right in their units."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from knotwork.data.units import simple_factor
from knotwork.formulas.constants import ROUNDING, Constants, Sample, Template, fitted, simplified, values_of
from knotwork.formulas.dimensions import Powers
from knotwork.regression.candidate_formulas import Reading, read
from knotwork.regression.dimensionless import Grouping
from knotwork.regression.search import Search
from knotwork.regression.symmetry import looks_random

TRIED = 3  # groupings
SMALL = 0.25  # of the median of what the target is measured by: smaller rows tell of noise only
FIRST = 0.67  # of the time left that a grouping may take
MORE = 6  # readings after one that leaves but noise: with few variables the right one may not be the first
STEPS = 20

MakeSearch = Callable[..., Search]


class GroupSearch:
    """`Search` in the groups of a few groupings, the simplest first; readings are in the inputs' own columns."""

    def __init__(
        self,
        groupings: Sequence[Grouping],
        sample: Sample,
        train: int,
        search: MakeSearch,
        until: float,
        left_out: Sequence[Tensor] = (),
    ) -> None:
        self.groupings, self.sample, self.train, self.search = groupings[:TRIED], sample, train, search
        self.until, self.left_out, self.done, self.ended = until, list(left_out), False, False

    def readings(self) -> Iterator[Reading]:
        """Readings of the rows, as they are found."""
        for n, grouping in enumerate(self.groupings):
            if n and time.perf_counter() > self.until:
                return
            found: list[Reading] = []
            for reading in self.of(grouping):
                found.append(reading)
                yield reading
                if reading.error <= ROUNDING * self.sample.scale:
                    self.done = True
                    return
            if self.ended and found and self.leaves_noise(min(found, key=lambda reading: reading.bits)):
                self.done = True
                return

    def of(self, grouping: Grouping) -> Iterator[Reading]:
        """Those with one grouping; `ended` says afterwards whether they explain what the groups can."""
        restored = _Restored(grouping)
        if not grouping.groups:
            constant = Constants()
            yield self.whole("a product of powers", constant.template(constant(1.0)), restored)
            self.ended = True
            return
        measured = grouping.measured(self.sample.columns)
        large = measured.abs() >= SMALL * measured.abs().median()
        values = (column[large] for column in grouping.values(self.sample.columns))
        rows = Sample(dict(zip(restored.names, values, strict=True)), (self.sample.y / measured)[large])
        left = self.until - time.perf_counter()
        inner = self.search(rows, int(large[: self.train].sum()), time.perf_counter() + FIRST * left, [], MORE)
        for reading in inner.readings():
            yield self.whole(reading.meaning, reading.template, restored)
        self.ended = inner.done

    def whole(self, meaning: str, template: Template, restored: "_Restored") -> Reading:
        """The reading in the inputs, with its constants fitted to the target itself."""
        whole = replace(template, expression=restored(template.expression))
        return read(meaning, simplified(fitted(whole, self.sample, STEPS), self.sample), self.sample)

    def leaves_noise(self, reading: Reading) -> bool:
        """Whether the residuals tell nothing any more."""
        residuals = values_of(reading.template, self.sample) - self.sample.y
        return looks_random([*self.sample.columns.values(), *self.left_out], residuals)


class _Restored:
    """An expression in groups as one in inputs, times what the target is measured by."""

    def __init__(self, grouping: Grouping) -> None:
        from knotwork.expressions import symbol

        self.names = [f"\0group {n}" for n in range(len(grouping.groups))]
        products = (
            _exactly(factor) * _written(group) for factor, group in zip(grouping.factors, grouping.groups, strict=True)
        )
        self.meanings = dict(zip(map(symbol, self.names), products, strict=True))
        self.measure = _exactly(grouping.factor) * _written(grouping.measure)

    def __call__(self, expression: Any) -> Any:
        return self.measure * expression.xreplace(self.meanings)


def _written(powers: Powers) -> Any:
    from knotwork.expressions import algebra, symbol

    root = math.lcm(*(p.denominator for p in powers.values()))
    return algebra.Mul(*(symbol(name) ** int(root * p) for name, p in powers.items())) ** algebra.Rational(1, root)


def _exactly(factor: float) -> Any:
    """A factor between units as a fraction, or one of π, where it is one of few digits."""
    from knotwork.expressions import algebra, number

    for value, unit in ((factor, algebra.Integer(1)), (factor / math.pi, algebra.pi)):
        simple = simple_factor(value)
        if simple is not None:
            return algebra.Rational(simple.numerator, simple.denominator) * unit
    return number(factor)
