"""The search for an expression: structures of curves, the ones that come closest read first."""

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from knotwork.formulas.constants import ROUNDING, Sample, fitted, simplified, values_of
from knotwork.functions import NamedFunction
from knotwork.regression.candidate_formulas import Reading, read, read_ridges, read_structure
from knotwork.regression.curve_names import EXPONENTIAL, OUTER, PLAIN, RARE
from knotwork.regression.ridges import fit_ridges
from knotwork.regression.structures import Rows, Structure, fit_structure
from knotwork.regression.symmetry import factors, looks_random, pairs

GOOD = 0.98  # held-out error, relative to that of a constant, from which a structure is worth reading
NEAR = 2.0  # times the least error: structures that far off are read too
MOST_READ = 8
SIMPLER = 1.12  # times the error, for every curve
STRANGE = 3  # curves that an unusual outer function counts for
AS_GOOD = 1.3  # times the least error of all structures: a reading further off leaves more than noise
MORE = 1  # reading after one that leaves but noise
PROMISING = 0.02, 0.005  # relative errors of simple structures that are read before others are tried
ROWS_EACH = 2  # rows for every coefficient of a structure, at least
MOST_INPUTS = 12  # of structures whose number of terms grows with the square of the inputs

Say = Callable[[str], Any]


@dataclass(frozen=True)
class _Lead:
    """A structure that was fitted, its held-out error, and `off`, which is a little more for every curve."""

    error: float
    off: float
    readings: Callable[[], Iterator[Reading]]


class Search:
    """All that is tried with one table; `readings` yields expressions as they are found.

    Stages go from sums of curves over powers and ridges to sums of products, each under several outer functions; after
    a stage that comes close, its structures are read. It ends at a reading that is exact to rounding, and soon after
    one whose residuals `looks_random`.
    """

    def __init__(
        self, sample: Sample, train: int, functions: Sequence[NamedFunction], seed: int = 0, until: float = math.inf,
        say: Say = lambda text: None, left_out: Sequence[Tensor] = (), more: int = MORE,
    ) -> None:  # fmt: skip
        self.sample, self.train, self.functions, self.seed, self.until, self.say = (
            sample, train, functions, seed, until, say,
        )  # fmt: skip
        self.left_out = list(left_out)  # columns that residuals must not depend on either
        self.generator = torch.Generator().manual_seed(seed)
        self.negative = bool((sample.y < 0).double().mean() > 0.9)
        self.rows = Rows.of(list(sample.columns.values()), -sample.y if self.negative else sample.y, train)
        self.upright = Sample(sample.columns, self.rows.y)
        self.flat = self.rows.error_of_mean
        self.leads: list[_Lead] = []
        self.least = self.least_off = math.inf  # of all structures
        self.more: int | None = None  # readings left once one leaves but noise
        self.at_most = more
        self.read = 0
        self.done = False

    def readings(self) -> Iterator[Reading]:
        """Readings of the rows, as they are found."""
        for stage in (self.sums, self.ridges, self.symmetries, self.products, self.unusual):
            if stage != self.sums and time.perf_counter() > self.until:
                return
            found = stage()
            if found is not None:
                yield from found
            if self.done:
                return

    def sums(self) -> Iterator[Reading] | None:
        """Sums of curves, which are linear; under an exponential, products."""
        self.say("sums and products of curves")
        n, late = len(self.rows.axes), time.perf_counter() > self.until
        for outer in [PLAIN] if late else [*self.outer(), *self.rare()]:
            self.add(Structure(outer, tuple((i,) for i in range(n))), always=True)
        if n > 1 and EXPONENTIAL not in self.outer():
            self.add(Structure(PLAIN, (tuple(range(n)),)))
        return self.best_leads() if n == 1 or late or self.least < PROMISING[0] else None

    def ridges(self) -> Iterator[Reading] | None:
        """Powers and curves of products of powers; a product times a sum."""
        n = len(self.rows.axes)
        if n == 1:
            return None
        self.say("powers and ridges")
        wide = any(axis.positive and not axis.logarithmic for axis in self.rows.axes)
        for count in (1, 2):
            for free_sides in (False, True) if wide else (False,):
                self.add_ridges(count, free_sides)
        for outer in self.outer():
            if outer is not EXPONENTIAL and n <= MOST_INPUTS:
                self.add(Structure(outer, tuple((i,) for i in range(n)), tuple(range(n))))
        return self.best_leads() if self.least < PROMISING[1] else None

    def symmetries(self) -> Iterator[Reading] | None:
        """With plain factors divided out, and one variable for two that matter by their difference or sum."""
        columns, y = [axis.values[: self.train] for axis in self.rows.axes], self.rows.y
        outside = factors(columns, y[: self.train])
        inside = [i for i in range(len(columns)) if i not in outside]
        if len(inside) < 2:
            return None
        for i, power in outside.items():
            y = y / self.rows.axes[i].values ** power
        together = [(inside[i], inside[j], s) for i, j, s in pairs([columns[i] for i in inside], y[: self.train])]
        return self.reduced(together, outside) if together or outside else None

    def products(self) -> Iterator[Reading] | None:
        """Sums of two and three products of curves, and of one product and curves of single inputs."""
        n = len(self.rows.axes)
        if n == 1 or n > MOST_INPUTS:
            return self.best_leads()
        self.say("sums of products")
        for outer in self.outer():
            if outer is not EXPONENTIAL:
                for rank in (2, 3):
                    self.add(Structure(outer, (tuple(range(n)),) * rank))
                if n > 2:
                    self.add(Structure(outer, (*((i,) for i in range(n)), tuple(range(n)))))
        return self.best_leads()

    def unusual(self) -> Iterator[Reading] | None:
        """Products, and sums of two, under functions that are rarely the outermost."""
        n = len(self.rows.axes)
        self.say("unusual outer functions")
        for outer in self.rare() if n <= MOST_INPUTS else ():
            for rank in (1, 2):
                self.add(Structure(outer, (tuple(range(n)),) * rank))
        return self.best_leads()

    def outer(self) -> list[Any]:
        """Outer functions that the target can be undone of, but for a few rows with noise."""
        return [o for o in OUTER if not o.positive or bool((self.rows.y > 0).double().mean() > 0.95)]

    def rare(self) -> list[Any]:
        """Unusual outer functions that the target can be undone of."""
        return [outer for outer in RARE if outer.fits(self.rows.y)]

    def add(self, structure: Structure, always: bool = False) -> None:
        """Fit a structure of curves, to be read if it comes close; what is `always` wanted even if time is up.

        Others are left out, too, where there are hardly more rows than coefficients.
        """
        size = sum(self.rows.axes[i].basis.shape[1] for _, i in structure.places)
        if not always and (time.perf_counter() > self.until or size > self.train / ROWS_EACH):
            return
        fit = fit_structure(self.rows, structure, self.generator)

        def readings() -> Iterator[Reading]:
            found = read_structure(fit, self.rows, self.upright, self.functions)
            if found is not None:
                yield found

        self._add(fit.held_out, len(structure.places) + STRANGE * (structure.outer in RARE), readings)

    def add_ridges(self, count: int, free_sides: bool) -> None:
        """Fit so many ridges, to be read if they come close."""
        if time.perf_counter() > self.until:
            return
        found = fit_ridges(self.rows, count, self.generator, free_sides)
        if found is not None:
            curves = len(self.rows.axes) + count
            self._add(found.held_out, curves, lambda: read_ridges(found, self.rows, self.upright, self.functions))

    def _add(self, error: float, curves: int, readings: Callable[[], Iterator[Reading]]) -> None:
        if math.isfinite(error):
            self.leads.append(_Lead(error, error * SIMPLER**curves, readings))
            self.least = min(self.least, error)
            self.least_off = min(self.least_off, self.leads[-1].off)

    def best_leads(self) -> Iterator[Reading]:
        """Readings of the structures that come closest; they are read once."""
        for lead in sorted(self.leads, key=lambda lead: lead.off):
            late = time.perf_counter() > self.until
            near = lead.error <= GOOD * self.flat and lead.off <= NEAR * self.least_off
            if self.done or self.read >= MOST_READ or not near or (self.read and late):
                return
            self.leads.remove(lead)
            self.read += 1
            for reading in lead.readings():
                if self.negative:
                    template = replace(reading.template, expression=-reading.template.expression)
                    reading = replace(reading, template=template)
                yield reading
                self.judge(reading)
                if self.done or time.perf_counter() > self.until:
                    return

    def judge(self, reading: Reading) -> None:
        """Whether this reading ends the search, now or soon."""
        if reading.error <= ROUNDING * self.sample.scale:
            self.done = True
        elif self.more is None and self.leaves_noise(reading):
            self.more = self.at_most
        elif self.more is not None:
            self.more -= 1
            self.done = self.more <= 0

    def leaves_noise(self, reading: Reading) -> bool:
        """Whether the residuals of a reading tell nothing any more."""
        if not reading.template.expression.free_symbols - set(reading.template.values):
            return False  # a number explains nothing
        if reading.error > min(AS_GOOD * self.least, 1.0) * self.rows.scale:
            return False  # curves told more
        residuals = values_of(reading.template, self.sample) - self.sample.y
        return looks_random([*self.sample.columns.values(), *self.left_out], residuals)

    def reduced(self, together: list[tuple[int, int, int]], outside: dict[int, float]) -> Iterator[Reading]:
        """Readings of a smaller table; a pair's difference stands for the pair, at a second try its size."""
        from knotwork.expressions import algebra, symbol

        names, taken = list(self.sample.columns), {i for i, j, _ in together} | {j for i, j, _ in together}
        y, factor = self.sample.y, algebra.Integer(1)
        for i, power in outside.items():
            y = y / self.sample.columns[names[i]] ** power
            factor = factor * symbol(names[i]) ** algebra.Rational(round(2 * power), 2)
        for absolute in (False, True):
            columns = {
                name: self.sample.columns[name] for i, name in enumerate(names) if i not in taken and i not in outside
            }
            means: dict[Any, Any] = {}
            for i, j, sign in together:
                column = self.sample.columns[names[i]] + sign * self.sample.columns[names[j]]
                meaning = symbol(names[i]) + sign * symbol(names[j])
                if bool((column < 0).all()):
                    column, meaning = -column, -meaning
                if absolute and bool((column < 0).any()):
                    column, meaning = column.abs(), algebra.Abs(meaning)
                name = next(free for k in itertools.count() if (free := f"\0pair {k}") not in {*names, *columns})
                columns[name], means[symbol(name)] = column, meaning
            if absolute and not any(isinstance(meaning, algebra.Abs) for meaning in means.values()):
                return
            inner = Search(
                Sample(columns, y), self.train, self.functions, self.seed, self.until, self.say, self.left_out
            )
            for reading in inner.readings():
                whole = replace(reading.template, expression=reading.template.expression.xreplace(means) * factor)
                found = read(reading.meaning, simplified(fitted(whole, self.sample, 20), self.sample), self.sample)
                yield found
                self.judge(found)
                if self.done:
                    return
