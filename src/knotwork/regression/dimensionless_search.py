"""The search for formulas of dimensionless groups: fewer variables, and formulas whose units agree."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor

from knotwork.data.units import simple_factor
from knotwork.formulas.constants import Constants, Sample, Template, fitted, simplified, values_of
from knotwork.formulas.dimensions import Powers
from knotwork.formulas.settings import FORMULAS
from knotwork.journal import clock
from knotwork.regression.candidate_formulas import CandidateFormula
from knotwork.regression.dimensionless_groups import DimensionlessGroups
from knotwork.regression.failures import Failures
from knotwork.regression.residual_randomness import looks_random
from knotwork.regression.search import Search
from knotwork.regression.settings import REGRESSION
from knotwork.training import Reporter

MakeSearch = Callable[..., Search]


class DimensionlessSearch:
    """`Search` in dimensionless groups, for the first few choices of groups; its formulas are those of the inputs.

    Args:
        choices: choices of groups, the preferred one first.
        sample: the inputs' own columns and the target.
        train: number of training rows, which come first.
        search: makes the search in the groups, from sample and train and the options `until` and `after_noise`.
        until: `clock()` at which the search ends.
        excluded: columns that residuals must not depend on either.
        reporter: that of the searches in groups; once a callback has asked to stop, no further choice is tried.
        failures: counts the formulas that are dropped because their calculation failed.
    """

    def __init__(
        self,
        choices: Sequence[DimensionlessGroups],
        sample: Sample,
        train: int,
        search: MakeSearch,
        until: float,
        excluded: Sequence[Tensor] = (),
        reporter: Reporter | None = None,
        failures: Failures | None = None,
    ) -> None:
        self.choices, self.sample, self.train, self.search = choices, sample, train, search
        self.until, self.excluded, self.reporter = until, list(excluded), reporter or Reporter()
        self.failures = failures or Failures()
        self.done = self.ended = False

    def formulas(self) -> Iterator[CandidateFormula]:
        """Candidate formulas, as they are found."""
        for n, choice in enumerate(self.choices[: REGRESSION.most_group_choices]):
            if n and (self.reporter.stopped or clock() > self.until):
                return
            found: list[CandidateFormula] = []
            for formula in self.of(choice):
                found.append(formula)
                yield formula
                if formula.error <= FORMULAS.exact_error * self.sample.scale:
                    self.done = True
                    return
            best = min(found, key=lambda formula: formula.bits, default=None)
            if self.ended and best is not None and self.failures.attempt(partial(self.leaves_noise, best)):
                self.done = True
                return

    def of(self, choice: DimensionlessGroups) -> Iterator[CandidateFormula]:
        """Formulas of one choice of groups; `ended` tells afterwards whether its search came to an end by itself."""
        in_inputs = _InInputs(choice)
        if not choice.groups:
            constant = Constants()
            template = constant.template(constant(1.0))
            only = self.failures.attempt(partial(self.whole, "a product of powers", template, in_inputs))
            self.ended = True
            if only is not None:
                yield only
            return
        scale = choice.scale_values(self.sample.columns)
        least = 0.0 if self.sample.relative else REGRESSION.small_scale * float(scale.abs().median())
        large = scale.abs() >= least
        columns = dict(zip(in_inputs.names, choice.group_values(self.sample.columns), strict=True))
        rows = replace(self.sample, columns=columns, y=self.sample.y / scale).rows(large)
        now = clock()
        begin = partial(
            self.search,
            rows,
            int(large[: self.train].sum()),
            until=now + REGRESSION.time_of_choice * (self.until - now),
            after_noise=REGRESSION.group_formulas_after_noise,
        )
        inner = self.failures.attempt(begin)
        self.ended = False
        if inner is None:
            return
        for formula in inner.formulas():
            whole = partial(self.whole, formula.structure, formula.template, in_inputs)
            found = self.failures.attempt(whole)
            if found is not None:
                yield found
        self.ended = inner.done

    def whole(self, structure: str, template: Template, in_inputs: "_InInputs") -> CandidateFormula:
        """The formula in the inputs, with its constants fitted to the target itself."""
        whole = replace(template, expression=in_inputs(template.expression))
        refitted = simplified(fitted(whole, self.sample, REGRESSION.refit_steps), self.sample)
        return CandidateFormula.of(structure, refitted, self.sample)

    def leaves_noise(self, formula: CandidateFormula) -> bool:
        """Whether the residuals of a formula look random."""
        residuals = self.sample.residuals(values_of(formula.template, self.sample))
        return looks_random([*self.sample.columns.values(), *self.excluded], residuals)


class _InInputs:
    """Writes an expression of groups as one of the inputs, times the target scale."""

    def __init__(self, choice: DimensionlessGroups) -> None:
        from knotwork.expressions import symbol

        self.names = [f"\0group {n}" for n in range(len(choice.groups))]
        products = (
            _exactly(factor) * _written(group)
            for factor, group in zip(choice.group_factors, choice.groups, strict=True)
        )
        self.meanings = dict(zip(map(symbol, self.names), products, strict=True))
        self.target_scale = _exactly(choice.scale_factor) * _written(choice.target_scale)

    def __call__(self, expression: Any) -> Any:
        return self.target_scale * expression.xreplace(self.meanings)


def _written(powers: Powers) -> Any:
    """The product of powers as an expression, with one root around it for fractions."""
    from knotwork.expressions import algebra, symbol

    root = math.lcm(*(p.denominator for p in powers.values()))
    return algebra.Mul(*(symbol(name) ** int(root * p) for name, p in powers.items())) ** algebra.Rational(1, root)


def _exactly(factor: float) -> Any:
    """A factor between units as a fraction, or a fraction of π, if it is one with few digits."""
    from knotwork.expressions import algebra, number

    for value, unit in ((factor, algebra.Integer(1)), (factor / math.pi, algebra.pi)):
        simple = simple_factor(value)
        if simple is not None:
            return algebra.Rational(simple.numerator, simple.denominator) * unit
    return number(factor)
