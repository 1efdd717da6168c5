"""Sums of terms with constants inside as candidates for a table, alone and under outer functions of the targets."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from knotwork.functions import NamedFunction
from knotwork.regression.curve_names import EXPONENTIAL, IDENTITY, INVERSE, LOGARITHM
from knotwork.regression.inside.fits_inside import Fits, State
from knotwork.regression.inside.functions_inside import Feature, Inputs, Powers, cost_of_powers
from knotwork.regression.inside.scan_inside import Scanner
from knotwork.regression.inside.search_inside import InsideSearch, Table
from knotwork.regression.inside.settings import INSIDE
from knotwork.regression.structures import Axis, Rows
from knotwork.regression.term_fits import Frame
from knotwork.regression.term_search import TermSearch


@dataclass(frozen=True, eq=False)
class InsideFit:
    """A frame around a sum of terms of scaled inputs, with its coefficients.

    Errors and `residuals` (n,) are relative to the spread of the target (`Rows.scale`); `bits` is about the description
    length.
    """

    frame: Frame
    state: State
    inputs: Inputs = field(repr=False)
    error: float
    validation_error: float
    bits: float
    residuals: Tensor = field(repr=False)

    @property
    def size(self) -> int:
        """The number of terms and functions."""
        return sum(1 + len(column.functions) for column in self.state.columns)

    def rms(self, rows: Rows) -> float:
        """Root mean square of the residuals of all rows, in units of the target."""
        return float(self.residuals.square().mean().sqrt()) * rows.scale

    def __str__(self) -> str:
        """In words."""
        return f"{self.frame.outer.words}a sum of functions with constants inside"


class InsideTerms:
    """The search for sums of terms with constants inside, for a table whose simpler sums were searched for before."""

    def __init__(self, rows: Rows, terms: TermSearch, functions: Sequence[NamedFunction]) -> None:
        self.rows, self.terms = rows, terms
        assert terms.table is not None
        columns = [column.detach().numpy() for column in terms.table.columns]
        self.inputs, train = Inputs(columns, terms.table.scales), rows.train
        some = terms.some[: INSIDE.rows].numpy()
        few = self.inputs.rows(some)
        powers = sorted(
            (term.powers for term in terms.table.terms if term.part is None), key=cost_of_powers
        )[: INSIDE.monomials]  # fmt: skip
        scanner = Scanner(few, [function.name for function in functions], terms.straight)
        grid = max(INSIDE.coarsest_grid, min(INSIDE.finest_grid, INSIDE.intervals_beside // len(columns)))
        bases = [torch.ones(len(some), 1, dtype=torch.float64)]
        for axis in rows.axes:  # each basis sums to one
            curve = axis.at[:train, None] if axis.straight else Axis(axis.values[:train], train, grid).basis[:, 1:]
            bases.append(curve[some])
        self.table = Table(
            self.inputs.rows(slice(train)), some, few, scanner, distinct(powers, few)[: INSIDE.factors], powers,
            [p for p in powers if any(p) and not any(p[i] for i in terms.straight)], torch.cat(bases, 1).numpy(),
        )  # fmt: skip

    @staticmethod
    def possible(rows: Rows) -> bool:
        """Whether there are several inputs, not too many, and rows enough for constants of several functions."""
        return 1 < len(rows.axes) <= INSIDE.most_inputs and rows.train >= INSIDE.least_rows

    def fits(self, enough: Callable[[InsideFit], bool]) -> Iterator[InsideFit]:
        """The best sums, alone and under outer functions, until one is exact or `enough`, or the time is used up."""
        several = len(self.inputs.columns) > INSIDE.most_inputs_of_frames
        for outer in (IDENTITY,) if several else (IDENTITY, EXPONENTIAL, INVERSE, LOGARITHM):
            for frame in self.terms.frames(outer, self.terms.table) if self.terms.table is not None else []:
                if any(frame.powers) or any(frame.factor.powers):
                    continue
                if self.terms.reporter.late:
                    return
                for fit in (found := self.in_frame(frame)):
                    yield fit
                    if fit.validation_error < INSIDE.exact:
                        return
                if found and enough(min(found, key=lambda fit: fit.bits)):
                    return

    def in_frame(self, frame: Frame) -> list[InsideFit]:
        """The best sums in one frame, fitted to all training rows."""
        target, weight = (part[: self.rows.train].numpy() for part in self.terms.undone(frame))
        with np.errstate(all="ignore"):  # what leaves the range of floats is never chosen
            search = InsideSearch(self.table, target, weight, self.terms.reporter, quick=frame.outer is not IDENTITY)
            whole = Fits(self.table.inputs, target, weight, reporter=self.terms.reporter)
            best = [whole.refined(state.columns, INSIDE.steps) for state in search.run()[: INSIDE.results]]
            return [self.fit(frame, state) for state in best if state.columns]

    def fit(self, frame: Frame, state: State) -> InsideFit:
        """A sum with its errors on all rows."""
        values = np.zeros(len(self.rows.y))
        for coefficient, column in zip(state.coefficients, state.columns, strict=True):
            values = values + coefficient * self.inputs.value(column)
        found = frame.sign * frame.outer.apply(torch.from_numpy(values))
        residuals = torch.nan_to_num(self.rows.residuals(found), nan=1e150, posinf=1e150, neginf=-1e150)
        parts = residuals[: self.rows.train], residuals[self.rows.train :]
        error, rest = (float(part.square().mean().sqrt()) if len(part) else math.nan for part in parts)
        cost = state.cost + 2 * (frame.outer is not IDENTITY)
        bits = len(residuals) * math.log2(float(residuals.square().mean().sqrt()) + INSIDE.exact)
        return InsideFit(
            frame, state, self.inputs, error, rest if rest == rest else error,
            bits + cost * math.log2(len(residuals)), residuals,
        )  # fmt: skip


def distinct(powers: Sequence[Powers], inputs: Inputs) -> list[Powers]:
    """Products of powers, the simplest first, without those that are nearly multiples of simpler ones."""
    kept: list[Powers] = []
    units = np.zeros((0, len(inputs.columns[0])))
    for one in powers:
        values = inputs.feature(Feature(one))
        unit = values / max(float(np.linalg.norm(values)), 1e-300)
        if not len(units) or float(np.abs(units @ unit).max()) ** 2 < 1 - INSIDE.same_factor**2:
            kept.append(one)
            units = np.concatenate([units, unit[None]])
    return kept
