"""The search for sums of terms with constants inside: a beam of sums that grow by one function at a time."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch

from knotwork.journal import recalled
from knotwork.regression.inside.fits_inside import Fits, State
from knotwork.regression.inside.functions_inside import (
    CORNER,
    Array,
    Column,
    Feature,
    Inputs,
    Inside,
    Powers,
    cost_of_powers,
)
from knotwork.regression.inside.scan_inside import Factor, Scanner
from knotwork.regression.inside.settings import INSIDE
from knotwork.regression.sparse_fits import sparse_fits
from knotwork.training import Reporter


@dataclass(frozen=True)
class Table:
    """What the search needs of a table: inputs of all training rows and of some, and curves (rows, m) of each input."""

    inputs: Inputs
    some: Array
    few: Inputs
    scanner: Scanner
    factors: list[Powers]
    monomials: list[Powers]
    features: list[Powers]
    curves: Array
    never_changes: ClassVar[bool] = True

    def identity(self) -> Any:
        """All that a search depends on."""
        whole, powers = self.inputs.whole, (self.factors, self.monomials, self.features)
        return whole.columns, whole.scales, self.some, self.scanner.kinds, self.scanner.bent, powers, self.curves


class InsideSearch:
    """The search for one target: (n,) with weights (n,) of its residuals, on the training rows of a table.

    A `quick` search follows fewer sums.
    """

    def __init__(self, table: Table, target: Array, weight: Array, reporter: Reporter, quick: bool = False) -> None:
        self.table, self.reporter = table, reporter
        self.given = table, target, weight
        self.most_functions, self.beam = (2, 2) if quick else (INSIDE.most_functions, INSIDE.beam)
        target, weight = target[table.some], weight[table.some]
        self.fits = Fits(table.few, target, weight, reporter=reporter)
        self.free = Fits(table.few, target, weight, table.curves, reporter)
        none = (0.0,) * len(table.inputs.columns)
        self.monomials = [Column(powers) for powers in table.monomials]
        self.values = self.fits.design(self.monomials)
        self.one = Column(none)
        self.seen: dict[object, State] = {}

    @property
    def late(self) -> bool:
        return self.reporter.late

    def run(self) -> list[State]:
        """The best sums, the fewest bits first."""
        plain = self.filled([])
        beam = [self.fits.state([]), self.fits.state([self.one]), *plain][: self.beam + 1]
        found: list[State] = list(plain)
        for depth in range(self.most_functions):
            trials = [] if depth else self.mixed()
            for state in self.reporter.timely(beam):
                trials += self.grown(state)
            best = ranked(trials)
            whole = []
            for state in self.reporter.timely(best[: INSIDE.filled]):
                whole += [state, *self.filled([c for c in state.columns if c.functions])]
            before = min((one.bits for one in found), default=math.inf)
            found = ranked([*found, *whole])
            polished = [self.polished(state) for state in self.reporter.timely(found[: INSIDE.polished])]
            found = ranked([*polished, *found])
            beam = ranked([*polished, *(s for s in whole)])[: self.beam]
            if found[0].error < INSIDE.exact or self.late or found[0].bits > before - INSIDE.least_gain:
                break
        return found

    def mixed(self) -> list[State]:
        """Sums that begin with a function of two inputs or more, beside any curves of single inputs.

        There are none where the curves have half as many coefficients as there are rows.
        """
        return self._recalled("mixed", (), self._mixed)

    def _recalled(self, name: str, own: Any, compute: Callable[[], list[State]]) -> list[State]:
        """The sums that a function of this search finds, given its `own` arguments."""
        return recalled(
            name,
            lambda: (*self.given, own),
            compute,
            lambda found: [state.as_value() for state in found],
            lambda kept: [State.of_value(one) for one in kept],
            lambda: not self.late,
        )

    def _mixed(self) -> list[State]:
        if 2 * self.table.curves.shape[1] > len(self.table.curves):
            return []
        residual, q = self.free.solved(self.free.design([]))[1:3]
        factors = self.factors(self.table.factors[: INSIDE.factors_beside])
        found = []
        proposals = self.table.scanner.proposals(residual, q, factors, 0, several=True)[: INSIDE.mixed]
        for one in self.reporter.timely(proposals):
            state = self.free.refined([Column(one.factor, (one.inside,))], INSIDE.rough_steps)  # type: ignore[arg-type]
            found.append(state)
        return [other for state in self.reporter.timely(found) for other in self.filled(list(state.columns))]

    def factors(self, powers: Sequence[Powers]) -> list[Factor]:
        """Products of powers as factors."""
        inputs, weight = self.table.few, self.fits.weight
        return [Factor(p, 4 + cost_of_powers(p) + bool(any(p)), inputs.feature(Feature(p)) * weight) for p in powers]

    def grown(self, state: State) -> list[State]:
        """The sum with one function more: in a new term, as a factor of a term, or with one feature more inside."""
        return self._recalled("grown", state.as_value(), partial(self._grown, state))

    def _grown(self, state: State) -> list[State]:
        fits, design = self.fits, self.fits.design(state.columns)
        _, residual, q, _ = fits.solved(design)
        trials: list[list[Column]] = []
        for one in self.table.scanner.proposals(residual, q, self.factors(self.table.factors), state.cost):
            trials.append([*state.columns, Column(one.factor, (one.inside,))])  # type: ignore[arg-type]
        for k, column in self.reporter.timely(enumerate(state.columns)):
            if not column.functions or len(column.functions) > 1:
                continue
            rest = [other for n, other in enumerate(state.columns) if n != k]
            _, residual, q, _ = fits.solved(fits.design(rest))
            factor = [Factor(None, column.cost + 1, design[:, k])]
            own = [one.kind for one in column.functions]
            for one in self.table.scanner.proposals(residual, q, factor, state.cost - column.cost)[: INSIDE.products]:
                if one.inside.kind is CORNER and CORNER in own:
                    continue  # |u|·|u| is a square
                trials.append([*rest, Column(column.powers, (*column.functions, one.inside))])
        trials += self.with_features(state)
        found = ranked(fits.refined(columns, INSIDE.rough_steps) for columns in self.reporter.timely(trials))
        return found[: INSIDE.grown]

    def with_features(self, state: State) -> Iterator[list[Column]]:
        """One more feature inside one of the functions: those that explain most to first order."""
        fits, inputs = self.fits, self.table.few
        _, residual, q, _ = fits.solved(fits.design(state.columns))
        found = []
        for k, column in enumerate(state.columns):
            for f, one in enumerate(column.functions):
                if len(one.features) >= INSIDE.most_features:
                    continue
                rest = inputs.value(Column(column.powers, (*column.functions[:f], *column.functions[f + 1 :])))
                rest = rest * one.kind.slope(inputs.argument(one)) * fits.weight
                for powers in self.table.features[: INSIDE.features]:
                    feature = Feature(powers)
                    if feature in one.features:
                        continue
                    slope = rest * inputs.feature(feature)
                    left = slope - q @ (q.T @ slope)
                    square = float(left @ left)
                    if not square > 1e-8 * float(slope @ slope):
                        continue
                    gain = float(left @ residual) ** 2 / square
                    size = float(left @ residual) / square / state.coefficients[k]
                    cost = 4 + feature.cost
                    rows = fits.n * math.log2(1 - min(gain / float(residual @ residual), 1 - 1e-9)) / 2
                    found.append((rows + math.log2(fits.n) * cost, k, f, feature, size))
        for _, k, f, feature, size in sorted(found, key=lambda row: row[0])[: INSIDE.extended]:
            column = state.columns[k]
            one = column.functions[f]
            at = len(one.features)
            constants = (*one.constants[:at], size, *one.constants[at:])
            inside = Inside(one.kind, (*one.features, feature), constants)
            functions = (*column.functions[:f], inside, *column.functions[f + 1 :])
            yield [*state.columns[:k], Column(column.powers, functions), *state.columns[k + 1 :]]

    def filled(self, columns: list[Column]) -> list[State]:
        """These terms with products of powers, the best sums of them."""
        own = self.fits.design(columns)
        if not np.isfinite(own).all():
            return []
        every = [*columns, *self.monomials]
        design = torch.from_numpy(np.concatenate([own, self.values], 1))
        costs = torch.tensor([float(column.cost) for column in every], dtype=torch.float64)
        target = torch.from_numpy(self.fits.target)
        found = []
        for supports in self.reporter.timely(sparse_fits(design, target, costs, INSIDE.widths_of_fills)):
            found += [self.fits.state([every[n] for n in support]) for support in supports[: INSIDE.fills_of_size]]
        with_own = [state for state in found if not columns or any(c.functions for c in state.columns)]
        return ranked(with_own)[: INSIDE.fills]

    def polished(self, state: State) -> State:
        """The sum with all its inner constants fitted, and without terms that save no bits."""
        if state.columns in self.seen:
            return self.seen[state.columns]
        (found,) = self._recalled("polished", state.as_value(), lambda: [self._polished(state)])
        self.seen[state.columns] = self.seen[found.columns] = found
        return found

    def _polished(self, state: State) -> State:
        found = self.fits.refined(state.columns, INSIDE.steps)
        for _ in self.reporter.timely(range(len(found.columns) - 1)):
            shorter = [self.fits.state(found.columns[:k] + found.columns[k + 1 :]) for k in range(len(found.columns))]
            best = self.fits.refined(min(shorter, key=lambda one: one.bits).columns, INSIDE.rough_steps)
            if not best.bits < found.bits:
                break
            found = best
        return found


def ranked(states: Iterable[State]) -> list[State]:
    """The best state of each shape, the fewest bits first."""
    best: dict[object, State] = {}
    for state in states:
        if state.bits < math.inf and state.bits < best.get(state.shape, state).bits + (state.shape not in best):
            best[state.shape] = state
    return sorted(best.values(), key=lambda one: one.bits)
