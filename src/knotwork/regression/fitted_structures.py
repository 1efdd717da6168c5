"""The structures of curves that a search has fitted: those with names and those without, and how close they come."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch

from knotwork.formulas.constants import Sample
from knotwork.functions import NamedFunction
from knotwork.regression.candidate_formulas import Formulas, StructureFormulas, Unnamed, formulas_of_ridges
from knotwork.regression.curve_names import EXPONENTIAL, IDENTITY, UNUSUAL_OUTER, USUAL_OUTER, OuterFunction
from knotwork.regression.failures import Failures
from knotwork.regression.inside import InsideFit
from knotwork.regression.ridges import Ridges, fit_ridges
from knotwork.regression.settings import REGRESSION
from knotwork.regression.structures import Rows, Structure, StructureFit, fit_structure, partitions, positive_share
from knotwork.regression.term_fits import TermFit
from knotwork.regression.term_settings import TERMS
from knotwork.training import Reporter

AnyFit = TermFit | InsideFit
AnyStructure = AnyFit | StructureFit | Ridges


class FittedStructures:
    """The structures fitted to one table: `candidates` have no names yet, `fitted` are all whose formulas are allowed.

    The arguments are those of `Search`, with the `deadline` in place of a time. Of targets that are negative, the
    opposite is fitted.
    """

    def __init__(
        self,
        sample: Sample,
        train: int,
        functions: Sequence[NamedFunction],
        seed: int,
        deadline: Reporter,
        failures: Failures,
    ) -> None:
        self.sample, self.train, self.functions = sample, train, functions
        self.deadline, self.failures = deadline, failures
        self.generator = torch.Generator().manual_seed(seed)
        self.negative = positive_share(-sample.y) > REGRESSION.negative_share
        y = -sample.y if self.negative else sample.y
        self.rows = Rows.of(list(sample.columns.values()), y, train, sample.relative, sample.weights)
        self.positive_sample = replace(sample, y=y)
        self.error_of_mean = self.rows.error_of_mean
        self.candidates: list[Unnamed] = []
        self.fitted: list[Unnamed] = []
        self.sums_tried = self.ridges_tried = False

    @property
    def least_error(self) -> float:
        """The least validation error of all structures."""
        return min((one.error for one in self.fitted), default=math.inf)

    @property
    def least_penalised(self) -> float:
        """The same with the penalties for curves."""
        return min((one.penalised for one in self.fitted), default=math.inf)

    @property
    def late(self) -> bool:
        """Whether the time is used up, or a callback asks to stop."""
        return self.deadline.late

    def fit_sums(self, late: bool = False) -> None:
        """Fit sums of curves under every outer function, and their product; only a plain sum if it is `late`."""
        n, self.sums_tried = len(self.rows.axes), True
        for outer in [IDENTITY] if late else [*self.usual_outer(), *self.unusual_outer()]:
            self.add(Structure(outer, tuple((i,) for i in range(n))), always=True)
        if n > 1 and EXPONENTIAL not in self.usual_outer():
            self.add(Structure(IDENTITY, (tuple(range(n)),)))

    def parted(self) -> bool:
        """Whether a sum of products in which every input stands once explains as much as one with all curves."""
        n, before = len(self.rows.axes), -math.inf
        every = (*((i,) for i in range(n)), tuple(range(n)))
        for terms in [every, *partitions(n)] if 2 < n <= REGRESSION.most_inputs_of_partitions else []:
            self.add(Structure(IDENTITY, terms))
            if self.least_error > REGRESSION.early_error_of_ridges:
                return False
            before = self.least_penalised if terms is every else before
        return self.least_penalised < before

    def add(self, structure: Structure, always: bool = False) -> None:
        """Fit a structure of curves and keep it as a candidate.

        Unless `always` is set, it is passed over if the time is used up, or if there are few rows for its coefficients.
        """
        size = sum(self.rows.axes[i].basis.shape[1] for _, i in structure.places)
        if not always and (self.late or size > self.train / REGRESSION.rows_per_coefficient):
            return
        fit = self.failures.attempt(lambda: fit_structure(self.rows, structure, self.generator))
        if fit is not None:
            unusual = REGRESSION.curves_of_unusual_outer * (structure.outer in UNUSUAL_OUTER)
            of = StructureFormulas(fit, self.rows, self.positive_sample, self.functions, self.deadline)
            self._add(fit, len(structure.places) + unusual, of.quick, of.deeper)

    def fit_ridges(self) -> None:
        """Fit one and two ridges, with and without curves of single inputs, and keep them as candidates."""
        self.ridges_tried = True
        wide = any(axis.positive and not axis.logarithmic for axis in self.rows.axes)
        for count, free_sides in itertools.product((1, 2), (False, True)[: 1 + wide]):
            fit = partial(fit_ridges, self.rows, count, self.generator, free_sides)
            found = None if self.late else self.failures.attempt(fit)
            if found is not None:
                names = partial(formulas_of_ridges, found, self.rows, self.positive_sample, self.functions)
                self._add(found, len(self.rows.axes) + count, names)

    def _add(self, fit: AnyStructure, curves: int, formulas: Formulas, deeper: Formulas = lambda: iter(())) -> None:
        error = fit.validation_error
        if math.isfinite(error):
            penalised = max(error, TERMS.exact_terms) * REGRESSION.penalty_of_curve**curves  # below it is rounding
            candidate = Unnamed(error, penalised, fit.residuals, formulas, deeper)
            self.candidates.append(candidate)
            self.fitted.append(candidate)

    def usual_outer(self) -> list[OuterFunction]:
        """Usual outer functions whose inverse the target has, except in a few rows with noise."""
        positive = positive_share(self.rows.y) > REGRESSION.positive_share
        return [outer for outer in USUAL_OUTER if not outer.positive or positive]

    def unusual_outer(self) -> list[OuterFunction]:
        """Unusual outer functions whose inverse the target has."""
        return [outer for outer in UNUSUAL_OUTER if outer.invertible(self.rows.y)]
