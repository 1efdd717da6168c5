"""Two formulas of one table: whether its rows tell them apart, and where a new measurement would."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from knotwork.data import Dataset
from knotwork.discovery.settings import DISCOVERY
from knotwork.discovery.table import sample_of
from knotwork.discovery.undefined import places_within
from knotwork.errors import DataError
from knotwork.formulas import Formula
from knotwork.formulas.constants import Sample
from knotwork.formulas.left_out import left_out
from knotwork.formulas.settings import FORMULAS

Columns = dict[str, Tensor]


@dataclass(frozen=True)
class Place:
    """A place where two formulas differ, as a proposal for a measurement.

    Attributes:
        inputs: the value of each input that one of the formulas holds.
        values: what the two formulas predict there.
        noise: standard deviation of one measurement there, from the residuals of the better formula.
        repeats: number of measurements there whose mean tells the two values apart with a probability of 95 %; 0 where
            there is no noise.
    """

    inputs: Mapping[str, float]
    values: tuple[float, float]
    noise: float
    repeats: int

    @property
    def difference(self) -> float:
        """How far the two values are apart, in units of the noise; infinite where there is no noise."""
        apart = abs(self.values[1] - self.values[0])
        return apart / self.noise if self.noise else math.inf if apart else 0.0

    def __str__(self) -> str:
        where = ", ".join(f"{name} = {value:.4g}" for name, value in self.inputs.items())
        first, second = _apart(*self.values)
        if not self.noise:
            return f"at {where}: {first} and {second}"
        many = f"{self.repeats:,} measurements there tell" if self.repeats > 1 else "one measurement there tells"
        return f"at {where}: {first} and {second}, {self.difference:.2g} times the noise; {many} them apart"


@dataclass(frozen=True)
class Comparison:
    """What the rows of a table say about two formulas of its front, and where new rows would say more.

    Printed, it is a few sentences.

    Attributes:
        numbers: the numbers of the two formulas on the front.
        formulas: the two formulas.
        rows: "test", or "left-out" where there are few test rows: all rows but these, each predicted by formulas whose
            constants were fitted to the others (to first order).
        count: number of these rows.
        rmse: root mean squared errors of the two formulas on these rows, as the search counts errors: shares of the
            targets where it fits these, and with the weights of rows.
        noise: standard deviation of the residuals of the better formula on these rows.
        p: probability of squared residuals that differ so much on average, if both formulas predict equally well: that
            of Student's t for paired differences, two-sided.
        typical: root mean squared difference of the two predictions on these rows, in units of `noise`.
        largest: the largest such difference.
        within: where they differ most within the ranges of the rows, relative to the noise and to the errors of their
            constants; None where they do not differ.
        beyond: the same in ranges that are wider by a fifth on each side.
    """

    numbers: tuple[int, int]
    formulas: tuple[Formula, Formula]
    rows: str
    count: int
    rmse: tuple[float, float]
    noise: float
    p: float
    typical: float
    largest: float
    within: Place | None
    beyond: Place | None

    @property
    def better(self) -> int | None:
        """The number on the front of the formula that predicts better; None where the rows do not tell."""
        if not self.p < DISCOVERY.level_of_comparisons:
            return None
        return self.numbers[self.rmse[1] < self.rmse[0]]

    def __str__(self) -> str:
        lines = [f"{n}: {formula}" for n, formula in zip(self.numbers, self.formulas, strict=True)]
        errors = " and ".join(f"{one:.3g}" for one in self.rmse)
        test = f"RMSE = {errors}; paired test: p = {self.p:.2g}"
        if self.better is None:
            short = min(range(2), key=lambda n: self.formulas[n].complexity)
            same = self.formulas[0].complexity == self.formulas[1].complexity
            words = "" if same else f" Formula {self.numbers[short]} is the shorter one."
            lines.append(f"The {self.count:,} {self.rows} rows cannot tell them apart ({test}).{words}")
        else:
            lines.append(
                f"The {self.count:,} {self.rows} rows tell them apart: formula {self.better} predicts better ({test})."
            )
        if self.noise:
            lines.append(
                f"On these rows, predictions differ by {self.typical:.2g} times the noise ({self.noise:.3g}), and by "
                f"{self.largest:.2g} times at most."
            )
        for place, where in ((self.within, "Within the ranges of the rows"), (self.beyond, "A fifth beyond them")):
            lines.append(f"{where}, they differ most {place}." if place else f"{where}, they do not differ.")
        return "\n".join(lines)


def compare(numbers: tuple[int, int], formulas: tuple[Formula, Formula], data: Dataset, relative: bool) -> Comparison:
    """The comparison of two formulas on these data; with `relative`, errors are shares of the targets."""
    every, test = sample_of(data, relative), _test_rows(data, relative)
    rows, sample = ("test", test) if len(test) >= DISCOVERY.fewest_compared_rows else ("left-out", every)
    predicted = [_values(one, sample) if rows == "test" else _left_out(one, sample) for one in formulas]
    residuals = [sample.residuals(one) for one in predicted]
    if not all(bool(one.isfinite().all()) for one in residuals):
        raise DataError("compare() needs two formulas that are defined on all rows; one of these is not.")
    first, second = (float(one.square().mean().sqrt()) for one in residuals)
    noise = min(first, second)
    if noise <= FORMULAS.exact_error * sample.scale:
        noise = 0.0
    apart = residuals[1] - residuals[0]
    unit = noise or 1.0
    typical, largest = float(apart.square().mean().sqrt()) / unit, float(apart.abs().max()) / unit
    p = _paired(residuals[0], residuals[1], FORMULAS.exact_error * sample.scale)
    criterion = _Criterion(formulas, noise, relative)
    used = {str(symbol) for one in formulas for symbol in one.expression.free_symbols}
    columns = {name: column for name, column in every.columns.items() if name in used}
    within, beyond = (criterion.best(columns, share) if columns else None for share in (0.0, DISCOVERY.share_beyond))
    return Comparison(numbers, formulas, rows, len(sample), (first, second), noise, p, typical, largest, within, beyond)


def _test_rows(data: Dataset, relative: bool) -> Sample:
    x = (data.X_test if data.scaling is None else data.scaling.undo(data.X_test)).double()
    columns, errors = dict(zip(data.input_names, x.unbind(1), strict=True)), data.errors
    weights = None if errors is None else errors.weights[2].double()
    return Sample(columns, data.y_test[:, 0].double(), relative, weights)


def _values(formula: Formula, sample: Sample) -> Tensor:
    return _function(formula)(sample.columns) * torch.ones(len(sample), dtype=torch.float64)


def _function(formula: Formula) -> Callable[[Columns | Mapping[str, Tensor]], Tensor]:
    from knotwork.expressions import to_torch

    names = sorted(str(one) for one in formula.expression.free_symbols)
    function = to_torch(formula.expression, names)
    return lambda columns: function(*(columns[name] for name in names))


def _left_out(formula: Formula, sample: Sample) -> Tensor:
    from knotwork.expressions import learned_curves

    if learned_curves(formula.expression) or not formula.uncertainty:
        return _values(formula, sample)
    return left_out(formula.uncertainty[0].template, sample) * torch.ones(len(sample), dtype=torch.float64)


def _paired(first: Tensor, second: Tensor, rounding: float) -> float:
    """The probability of so large a mean difference of squared residuals (n,), where their expectations are equal."""
    from scipy.stats import t

    unit = max(float(first.abs().max()), float(second.abs().max()))
    if unit <= rounding or len(first) < 2:
        return 1.0
    gain = (first / unit).square() - (second / unit).square()
    deviation = float(gain.std())
    if not deviation:
        return 1.0 if not float(gain.mean()) else 0.0
    return float(2 * t.sf(abs(float(gain.mean())) / deviation * math.sqrt(len(gain)), len(gain) - 1))


class _Criterion:
    """How much a measurement at some place tells: the difference in units of the errors of all three numbers there.

    These are the measurement and the two predictions (Box and Hill, Technometrics 9, 1967, p. 57).
    """

    def __init__(self, formulas: tuple[Formula, Formula], noise: float, relative: bool) -> None:
        self.formulas, self.noise, self.relative = formulas, noise, relative
        self.functions = [_function(one) for one in formulas]

    def values(self, columns: Columns) -> tuple[Tensor, Tensor]:
        """The two predictions (places,)."""
        ones = torch.ones(len(next(iter(columns.values()))), dtype=torch.float64)
        first, second = (one(columns) * ones for one in self.functions)
        return first, second

    def noise_at(self, first: Tensor, second: Tensor) -> Tensor:
        """The standard deviation (places,) of a measurement."""
        size = (first.abs() + second.abs()) / 2 if self.relative else torch.ones_like(first)
        return self.noise * size

    def __call__(self, columns: Columns) -> Tensor:
        """The criterion (places,); 0 where one of the formulas is not defined."""
        first, second = self.values(columns)
        apart, noise = (first - second).abs(), self.noise_at(first, second)
        if not self.noise:
            return apart.nan_to_num(0, 0, 0)
        variance = noise.square() + sum(self._deviations(one, columns).square() for one in self.formulas)
        return (apart / variance.sqrt()).nan_to_num(0, 0, 0)

    @staticmethod
    def _deviations(formula: Formula, columns: Columns) -> Tensor:
        from knotwork.expressions import learned_curves

        none = torch.zeros(len(next(iter(columns.values()))), dtype=torch.float64)
        if not formula.uncertainty or learned_curves(formula.expression):
            return none
        every = {name: columns.get(name, none) for name in formula.variables}
        return formula.uncertainty[0].deviations(every, "confidence")

    def best(self, columns: Columns, share: float) -> Place | None:
        """The best place in the box of these columns, widened by a share of its width on each side."""
        boxes = {name: _Box.of(column, share) for name, column in columns.items()}
        drawn = dict(zip(columns, places_within(list(columns.values())), strict=True))
        wider = {name: boxes[name].from_inside(column) for name, column in drawn.items()}
        found = self(wider)
        at = {name: float(column[found.argmax()]) for name, column in wider.items()}
        for _ in range(DISCOVERY.rounds_of_places):
            for name, box in boxes.items():
                line = {one: torch.full_like(box.levels, value) for one, value in at.items()}
                line[name] = box.levels
                at[name] = float(box.levels[self(line).argmax()])
        place = {name: torch.tensor([value], dtype=torch.float64) for name, value in at.items()}
        first, second = self.values(place)
        if not float(self(place)) > 0:
            return None
        noise, apart = float(self.noise_at(first, second)), abs(float(second - first))
        return Place(at, (float(first), float(second)), noise, _repeats(apart, noise))


def _repeats(apart: float, noise: float) -> int:
    """Measurements whose mean lies on the right side of the middle of two values with a certain probability."""
    from scipy.stats import norm

    return math.ceil((2 * float(norm.ppf(DISCOVERY.certainty_of_places)) * noise / apart) ** 2) if noise else 0


@dataclass(frozen=True)
class _Box:
    """The range of one column: the places that are tried along it, and factors that widen it."""

    low: float
    high: float
    wide_low: float
    levels: Tensor
    discrete: bool

    @classmethod
    def of(cls, column: Tensor, share: float) -> "_Box":
        """Of a column (n,). One of few different values has no others; one without negative values gets none."""
        low, high = float(column.min()), float(column.max())
        different = column.unique()
        if len(different) <= DISCOVERY.most_levels:
            return cls(low, high, low, different, True)
        beyond = share * (high - low)
        wide_low = low - beyond
        if low >= 0:
            wide_low = max(wide_low, low * (1 - share))
        step = 10.0 ** (math.floor(math.log10(high - low)) - DISCOVERY.digits_of_places + 1)
        count = DISCOVERY.places_along_a_line
        levels = torch.linspace(wide_low, high + beyond, count, dtype=torch.float64)
        rounded = (levels / step).round() * step
        inside = (rounded >= wide_low) & (rounded <= high + beyond)
        return cls(low, high, wide_low, torch.cat([rounded[inside], levels[[0, -1]]]).unique(), False)

    def from_inside(self, column: Tensor) -> Tensor:
        """Places (n,) in the wide range for places in the range of the column."""
        if self.discrete:
            nearest = (column[:, None] - self.levels).abs().argmin(1)
            return self.levels[nearest]
        share = (column - self.low) / (self.high - self.low)
        return self.wide_low + share * (float(self.levels[-1]) - self.wide_low)


def _apart(first: float, second: float) -> tuple[str, str]:
    """Two numbers with as many digits as show that they differ, four or more."""
    for digits in range(4, 17):
        texts = f"{first:.{digits}g}", f"{second:.{digits}g}"
        if texts[0] != texts[1]:
            return texts
    return f"{first:.17g}", f"{second:.17g}"
