"""Tables of few rows: no row is kept aside, formulas are judged on rows that are left out one at a time."""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from knotwork.data import Dataset
from knotwork.data.row_selection import rows_taken
from knotwork.discovery.settings import DISCOVERY
from knotwork.errors import DataError, warn
from knotwork.formulas import Formula
from knotwork.formulas.constants import Constants, Sample, Template, fitted, simplified, values_of
from knotwork.formulas.left_out import distinct_rows, left_out
from knotwork.formulas.settings import FORMULAS
from knotwork.formulas.simple_exponents import with_simple_exponents, without_unit_factors
from knotwork.regression import LINE, POWER_LAW, CandidateFormula, bits_of_law, plain_laws
from knotwork.regression.residual_randomness import looks_random

ALWAYS_SHOWN = (LINE, POWER_LAW)


def few_rows(data: Dataset) -> bool:
    """Whether training and validation rows are so few that none is kept aside."""
    return len(data.y_train) + len(data.y_val) < DISCOVERY.few_rows_below


def error_rows(data: Dataset) -> str:
    """The rows on which errors of entries are measured."""
    return "left-out" if few_rows(data) else "validation" if len(data.X_val) else "training"


def most_constants(rows: int) -> int:
    """The largest number of constants of a formula: fewer than a third of the rows."""
    return math.ceil(rows / 3) - 1


def all_in_training(data: Dataset) -> Dataset:
    """The data with validation rows among the training rows, if there are few; test rows stay apart.

    DataError where there are too few for a formula with one constant, a warning where there are few even for that.
    """
    if not few_rows(data):
        return data
    rows = len(data.y_train) + len(data.y_val)
    if most_constants(rows) < 1:
        raise DataError(
            f"discover() got {rows} row{'s' if rows > 1 else ''}, but a formula with one constant needs at least "
            f"{DISCOVERY.fewest_rows}: add rows."
        )
    if rows < DISCOVERY.warn_below_rows:
        most = most_constants(rows)
        warn(
            f"{rows} rows can tell few formulas apart: they have at most {most} constant{'s' if most > 1 else ''} "
            "here, fewer than a third of the rows, and r² is not given. Add rows if you can, "
            f"{DISCOVERY.warn_below_rows} or more."
        )

    def together(train: torch.Tensor, validation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.cat([train, validation]), validation[:0]

    X, y = together(data.X_train, data.X_val), together(data.y_train, data.y_val)
    errors, numbers = data.errors, data.row_numbers
    if errors is not None:
        errors = replace(errors, weights=(*together(*errors.weights[:2]), errors.weights[2]))
    if numbers is not None:
        numbers = (*together(*numbers[:2]), numbers[2])
    changed = {"X_train": X[0], "X_val": X[1], "y_train": y[0], "y_val": y[1]}
    found = replace(data, **changed, errors=errors, row_numbers=numbers)
    kept = rows_together(found)
    return found if kept is None else rows_taken(found, kept.argsort(stable=True), slice(None), slice(None))


def rows_together(data: Dataset) -> torch.Tensor | None:
    """A number for each training and validation row, (n,), equal for rows that are left out together.

    They are those of a group of the split, or blocks of neighbours in time. None where every row is left out alone.
    """
    if data.row_split is None or data.row_numbers is None:
        return None
    number = data.row_split.codes[torch.cat(data.row_numbers[:2])]
    if not data.row_split.in_time:
        return number
    ranks = torch.unique(number, return_inverse=True)[1]
    return ranks * DISCOVERY.blocks_of_time // (int(ranks.max()) + 1)


def training_rows(data: Dataset) -> int:
    """The rows that curves are fitted to; of few rows, the others only tell which structure of curves comes first."""
    share = DISCOVERY.share_for_curves if few_rows(data) else 1.0
    return math.ceil(share * len(data.y_train))


@dataclass(frozen=True)
class LeftOut:
    """How well a formula predicts rows that are left out one at a time.

    `error` is the root mean squared error, `square` the mean squared residual in the sense of the sample, and `bits`
    the description length of residuals and formula.
    """

    error: float
    square: float
    bits: float

    @classmethod
    def of(cls, template: Template, sample: Sample, inputs: int) -> "LeftOut":
        """Of an expression with fitted constants; `inputs` is the number of columns from which its own were chosen."""
        from knotwork.expressions import complexity, function_names

        rows, constants = distinct_rows(sample), len(template.values)
        values = left_out(template, sample)
        square = _mean_square(sample.residuals(values))
        rounding = (FORMULAS.exact_error * sample.scale) ** 2
        variables = _occurrences(template.expression, sample.columns)
        symbols = complexity(template.expression)
        beyond = max(symbols - DISCOVERY.symbols_of_plain_law, 0)
        bits = bits_of_law(square + rounding, constants, symbols - beyond, rows) + beyond * math.log2(rows)
        bits += variables * math.log2(max(inputs, 1))
        bits += DISCOVERY.bits_of_logarithm * ("log" in function_names(template.expression))
        return cls(math.sqrt(_mean_square(values - sample.y)), square, bits)

    @classmethod
    def of_formula(cls, formula: Formula, sample: Sample) -> "LeftOut":
        """Of a formula, or of the nearest constant if it is one."""
        template = formula.uncertainty[0].template
        inputs = formula.expression.free_symbols
        return cls.of(template if inputs else nearest_constant(sample), sample, len(formula.variables))

    def told_by(self, formula: Formula, data: Dataset, sample: Sample) -> Formula:
        """The formula with this accuracy, unless there are test rows; r² only where there are enough rows."""
        if len(data.X_test):
            return formula
        mean = LeftOut.of(nearest_constant(sample), sample, 1).square
        r2 = 1 - self.square / mean if len(sample) >= DISCOVERY.warn_below_rows and mean else math.nan
        return replace(formula, r2=r2, rmse=self.error, r2_rows="left-out")


def nearest_constant(sample: Sample) -> Template:
    """The constant nearest to all targets, in the sense of the sample's residuals."""
    constants, y = Constants(), sample.y
    start = float(y.abs().log().mean().exp() * y[0].sign()) if sample.relative else float(y.mean())
    return fitted(constants.template(constants(start)), sample)


def _mean_square(values: torch.Tensor) -> float:
    found = float(values.square().mean())
    return found if found == found else math.inf


def _occurrences(expression: Any, names: Collection[str]) -> int:
    """How often inputs of these names occur in an expression."""
    own = int(not expression.args and str(expression) in names)
    return own + sum(_occurrences(one, names) for one in expression.args)


def candidates_of_few_rows(sample: Sample) -> Iterator[CandidateFormula]:
    """Plain laws, as they are and with simple exponents and factors of 1 within their errors.

    Other constants become simple numbers of exact rows alone. Few noisy rows cannot tell a factor of 3.2 from pi, and a
    number without an error would claim that they can.
    """
    for words, template in plain_laws(sample, most_constants(len(sample))):
        yield judged_on_left_out(CandidateFormula.of(words, template, sample), sample)
        exact = math.sqrt(template.mse) <= FORMULAS.exact_error * sample.scale
        whole = [simplified(template, sample)] if exact else []
        exponents = list(with_simple_exponents(template, sample))
        units = [way for one in (template, *exponents) for way in without_unit_factors(one, sample)]
        for simple in (*whole, *exponents, *units):
            if len(simple.values) < len(template.values):
                candidate = CandidateFormula.of(f"{words} of simple numbers", simple, sample)
                yield judged_on_left_out(candidate, sample)


def judged_on_left_out(candidate: CandidateFormula, sample: Sample) -> CandidateFormula:
    """The candidate with the bits of rows that are left out one at a time."""
    return replace(candidate, bits=LeftOut.of(candidate.template, sample, len(sample.columns)).bits)


def leaves_noise(candidate: CandidateFormula, sample: Sample) -> bool:
    """Whether the residuals look random along every input, each tested alone: together they need more rows."""
    residuals = sample.residuals(values_of(candidate.template, sample))
    return all(looks_random([column], residuals) for column in sample.columns.values())


def best_of_few_rows(candidates: Sequence[CandidateFormula], sample: Sample) -> list[CandidateFormula]:
    """The candidates worth a formula: those of the fewest bits, and a straight line and a power law.

    None has as many constants as a third of the rows.
    """
    different: dict[str, CandidateFormula] = {}
    # of equal formulas, bits differ by rounding: the name that is always shown comes first
    for candidate in sorted(candidates, key=lambda one: (round(one.bits, 3), one.structure not in ALWAYS_SHOWN)):
        allowed = len(candidate.template.values) <= most_constants(len(sample)) and candidate.bits < math.inf
        wanted = len(different) < DISCOVERY.most_of_few_rows or candidate.structure in ALWAYS_SHOWN
        if allowed and wanted:
            different.setdefault(_digits(candidate.template), candidate)
    ranked = list(different.values())
    always = [next((one for one in ranked if one.structure == words), None) for words in ALWAYS_SHOWN]
    chosen = ranked[: DISCOVERY.most_of_few_rows]
    return [*chosen, *(one for one in always if one is not None and one not in chosen)]


def _digits(template: Template) -> str:
    from knotwork.expressions import round_constants, text

    return text(round_constants(template.filled(), DISCOVERY.digits_of_equal_formulas))
