"""Plain laws for tables of few rows: sums of terms, products of powers and exponentials, ratios; all rows are fitted.

Curves need rows that such tables do not have. A plain law is outer(c₁ φ₁ + c₂ φ₂ + ...), where the outer function is
none, the exponential or 1/·, and every feature φ is a simple function of one or two inputs. With given features this is
a linear problem, so that very many are compared; the best are then fitted to the target itself.
"""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from knotwork.formulas.constants import Constants, Sample, Template, fitted
from knotwork.regression.plain.plain_features import (
    Feature,
    logarithm,
    monomial,
    origin_of,
    pairs_of_powers,
    product_of_powers,
    shapes,
    single_powers,
)
from knotwork.regression.plain.settings import PLAIN
from knotwork.regression.plain.shifted_features import poles, poles_beside_inputs, saturations, shifted_logarithms
from knotwork.regression.settings import REGRESSION

Kind = TypeVar("Kind", bound="Sum")
LINE, POWER_LAW = "a straight line", "a power law"


@dataclass(frozen=True)
class Law:
    """Features of a law, with the coefficients of the linear problem, and the bits that rank it."""

    features: tuple[Feature, ...]
    coefficients: tuple[float, ...]
    bits: float


def plain_laws(sample: Sample, most_constants: int) -> Iterator[tuple[str, Template]]:
    """Laws with at most this number of constants, fitted to all rows, each with words for its kind.

    The best straight line and the best power law are always among them, where the signs of the values allow them.
    """
    columns, names = list(sample.columns.values()), list(sample.columns)
    if not columns:
        return
    found: list[tuple[float, float, str, Template]] = []
    for kind in (Sum, Exponential, Ratio):
        problem = kind.of(columns, sample)
        if problem is None:
            continue
        always = problem.only(problem.plainest).best(most_constants)[:1]
        for law in (*always, *problem.best(most_constants)):
            first = -math.inf if law in always else law.bits
            gap = PLAIN.gap_of_grid if any(one.inner for one in law.features) else PLAIN.gap
            found.append((first, gap, problem.words(law), problem.template(law, names)))
    least = min((bits for bits, *_ in found if bits > -math.inf), default=0.0)
    found.sort(key=lambda one: one[0] - one[1])
    for bits, gap, words, template in found[: PLAIN.most_laws]:
        if bits <= least + gap and len(template.values) <= most_constants:
            fit = fitted(template, sample, PLAIN.steps)
            if math.isfinite(fit.mse) and not pole_near(fit, sample):
                yield words, fit


def pole_near(law: Template, sample: Sample) -> bool:
    """Whether a divisor of a fitted law changes its sign where an input lies a little beyond its values.

    New rows lie as far beyond n rows as these are apart on average, the range over n. An input of one sign has no
    values of the other there either.
    """
    from knotwork.expressions import conditions, to_torch

    divisors = [part for part, need in conditions(law.filled()) if need == "not zero"]
    names, columns = list(sample.columns), list(sample.columns.values())
    for part in divisors:
        divisor = to_torch(part, names)
        here = divisor(*columns)
        for i, column in enumerate(columns):
            reach = (column.max() - column.min()) / len(sample)
            low = column - reach if bool((column < 0).any()) else (column - reach).clamp_min(0.0)
            high = column + reach if bool((column > 0).any()) else (column + reach).clamp_max(0.0)
            for moved in (low, high):
                if bool((divisor(*columns[:i], moved, *columns[i + 1 :]) * here < 0).any()):
                    return True
    return False


def bits_of_law(square: float, constants: int, symbols: float, rows: int) -> float:
    """Bits of a law: of its mean squared residual, of its constants and of its symbols."""
    of_constants = constants * math.log2(rows) / 2
    return rows / 2 * math.log2(square + 1e-300) + of_constants + symbols * PLAIN.bits_of_symbol


class Sum:
    """c₁ φ₁ + c₂ φ₂ + ..., fitted with weights: the base of the other kinds, which transform the target.

    `sign` is that of the target, where a kind needs one.
    """

    sign = 1.0

    def __init__(self, features: Sequence[Feature], target: Tensor, weights: Tensor, columns: int) -> None:
        self.features, self.target, self.columns = list(features), target * weights, columns
        values = torch.stack([one.values for one in features], 1)
        values[:, ~values.isfinite().all(0)] = 0.0
        self.design = values * weights[:, None]

    @classmethod
    def of(cls: type[Kind], columns: Sequence[Tensor], sample: Sample) -> Kind | None:
        """The linear problem of a table; None where its target is not in the range of the outer function."""
        features = [_one(columns), *single_powers(columns, PLAIN.powers), *_logarithms(columns)]
        features += [*pairs_of_powers(columns, PLAIN.pairs), *shapes(columns), *poles(columns)]
        features += [*poles_beside_inputs(columns), *shifted_logarithms(columns), *saturations(columns)]
        weights = 1 / sample.y.abs() if sample.relative else torch.ones_like(sample.y)
        return cls(features, sample.y, sample.weighed(weights), len(columns))

    def plainest(self, feature: Feature) -> bool:
        """Whether a feature is one of the law that is always tried: of a straight line."""
        powers = feature.powers
        return powers is not None and set(powers) <= {0.0, 1.0} and sum(powers) <= 1

    def words(self, law: Law) -> str:
        """What kind of law it is."""
        if all(map(self.plainest, law.features)):
            return LINE
        power = len(law.features) == 1 and law.features[0].kind.startswith("power ")
        return POWER_LAW if power else "a sum of terms"

    def template(self, law: Law, names: Sequence[str]) -> Template:
        """The expression of a law, with its constants at the solution of the linear problem."""
        from knotwork.expressions import algebra, symbol

        constants, symbols = Constants(), [symbol(name) for name in names]
        terms = zip(law.coefficients, law.features, strict=True)
        return constants.template(
            algebra.Add(*(constants(c / f.scale) * f.build(symbols, constants) for c, f in terms))
        )

    def allowed(self, features: Sequence[Feature]) -> bool:
        """Whether the last of the features may be added to the others."""
        return all(features[-1].stands_beside(one) for one in features[:-1])

    def only(self: Kind, allowed: Callable[[Feature], bool]) -> Kind:
        """The same with these features alone."""
        kept = [n for n, feature in enumerate(self.features) if allowed(feature)]
        found = copy.copy(self)
        found.features, found.design = [self.features[n] for n in kept], self.design[:, kept]
        return found

    def best(self, most_constants: int) -> list[Law]:
        """Laws of at least one input, the fewest bits first: some for each number of features, of different kinds."""
        found: list[Law] = []
        level: list[tuple[int, ...]] = [()]
        for size in range(1, PLAIN.terms + 1):
            laws: dict[frozenset[str], tuple[float, tuple[int, ...]]] = {}
            for members in level:
                for bits, more in self._extended(members, most_constants):
                    key = frozenset(self.features[n].kind for n in more)
                    if len(key) == size and bits < laws.get(key, (math.inf,))[0]:
                        laws[key] = bits, more
            ranked = sorted(laws.values())
            level = [members for _, members in ranked[: PLAIN.beam]]
            lawful = [one for one in ranked if any(self.features[n].inputs for n in one[1])]
            found += [self._law(*one) for one in lawful[: PLAIN.laws_of_size]]
        return sorted(found, key=lambda law: law.bits)

    def _law(self, bits: float, members: tuple[int, ...]) -> Law:
        design = self.design[:, members]
        solution = torch.linalg.lstsq(design, self.target[:, None], driver="gelsd").solution[:, 0]
        return Law(tuple(self.features[n] for n in members), tuple(solution.tolist()), bits)

    def _extended(self, members: tuple[int, ...], most: int) -> Iterator[tuple[float, tuple[int, ...]]]:
        """The members with one more feature, the best of each kind, and the bits."""
        rows, design, kept = len(self.target), self.design, list(members)
        rest, target = design, self.target
        if kept:
            base, _ = torch.linalg.qr(design[:, kept])
            rest, target = design - base @ (base.T @ design), self.target - base @ (base.T @ self.target)
        size = rest.square().sum(0)
        free = size > PLAIN.dependence * design.square().sum(0).clamp_min(1e-300)
        gain = torch.where(free, (rest.T @ target).square() / size.clamp_min(1e-300), torch.zeros_like(size))
        left = ((target.square().sum() - gain) / rows).clamp_min(1e-24 * float(self.target.square().mean()))
        used = [self.features[m] for m in members]
        best: dict[str, tuple[float, tuple[int, ...]]] = {}
        for m, (square, fine) in enumerate(zip(left.tolist(), free.tolist(), strict=True)):
            whole = [*used, self.features[m]]
            count = sum(1 + one.inner for one in whole)
            allowed = m not in members and count <= most and self.allowed(whole)
            if not fine or not allowed:
                continue
            # the error expected on other rows (Akaike 1969, final prediction error)
            square *= (rows + count) / (rows - count)
            symbols = sum(one.cost + one.inputs * math.log2(self.columns) for one in whole) + 2 * len(whole) - 1
            bits = bits_of_law(square, count, symbols, rows)
            if bits < best.get(whole[-1].kind, (math.inf,))[0]:
                best[whole[-1].kind] = bits, (*members, m)
        yield from best.values()


class Exponential(Sum):
    """A constant times powers, and exponentials, of the inputs: a sum of logarithms."""

    @classmethod
    def of(cls: type[Kind], columns: Sequence[Tensor], sample: Sample) -> Kind | None:
        sign = _sign(sample.y)
        if not sign:
            return None
        y = sign * sample.y
        weights = torch.where(y > 0, torch.ones_like(y) if sample.relative else y, torch.zeros_like(y))
        features = [_one(columns), *_logarithms(columns), *single_powers(columns, (1.0, -1.0))]
        features += [one for one in poles(columns) if one.kind.endswith(" 1")]
        features += [one for one in shapes(columns) if one.kind.startswith("exp")]
        logarithms = y.clamp_min(float(y[y > 0].min())).log()
        found = cls(features, logarithms, sample.weighed(weights), len(columns))
        found.sign = sign
        return found

    def allowed(self, features: Sequence[Feature]) -> bool:
        """Whether no function with a constant inside has another one of the same input beside it."""
        new = features[-1]
        return not any(one.of is not None and one.of == new.of and (one.inner or new.inner) for one in features[:-1])

    def plainest(self, feature: Feature) -> bool:
        """Whether a feature is one of a power law."""
        return feature.logarithm_of is not None or not feature.inputs

    def words(self, law: Law) -> str:
        return POWER_LAW if all(map(self.plainest, law.features)) else "a product of powers and exponentials"

    def template(self, law: Law, names: Sequence[str]) -> Template:
        from knotwork.expressions import algebra, symbol

        constants, symbols = Constants(), [symbol(name) for name in names]
        scale, inside, product = 0.0, algebra.Integer(0), algebra.Integer(1)
        poles = any(feature.kind.startswith("pole") for feature in law.features)  # log y = A - B/(x + C) (Antoine 1888)
        for c, feature in zip(law.coefficients, law.features, strict=True):
            written = feature.build(symbols, constants)
            if isinstance(written, algebra.log):
                product = product * written.args[0] ** constants(c)
            elif feature.inputs:
                origin = 0.0 if feature.inner else origin_of(feature.values, c)
                inside = inside + constants(c / feature.scale) * (written - origin)
                scale += c * origin
            else:
                scale += c
        if poles:
            return constants.template(int(self.sign) * product * algebra.exp(constants(scale) + inside))
        size = self.sign * math.exp(min(max(scale, -PLAIN.largest_exponent), PLAIN.largest_exponent))
        return constants.template(constants(size) * product * algebra.exp(inside))


class Ratio(Sum):
    """A product of powers over a sum of such: 1/y is a sum."""

    @classmethod
    def of(cls: type[Kind], columns: Sequence[Tensor], sample: Sample) -> Kind | None:
        sign = _sign(sample.y)
        if not sign:
            return None
        y = sign * sample.y
        safe = y.clamp_min(float(y[y > 0].min()) if sample.relative else PLAIN.least_of_ratio * float(y.max()))
        weights = torch.where(y == safe, y if sample.relative else y.square(), torch.zeros_like(y))
        features = [_one(columns), *single_powers(columns, PLAIN.powers_of_ratios)]
        features += pairs_of_powers(columns, PLAIN.pairs_of_ratios)
        return cls(features, sign / safe, sample.weighed(weights), len(columns))

    def plainest(self, feature: Feature) -> bool:
        return False

    def words(self, law: Law) -> str:
        return "a ratio"

    def best(self, most_constants: int) -> list[Law]:
        return [law for law in super().best(most_constants) if len(law.features) > 1]  # others are powers

    def template(self, law: Law, names: Sequence[str]) -> Template:
        """The ratio with positive powers, and 1 as the coefficient of the highest powers below."""
        from knotwork.expressions import symbol

        constants, symbols = Constants(), [symbol(name) for name in names]
        powers = [feature.powers or () for feature in law.features]
        lowest = [min(one) for one in zip(*powers, strict=True)]
        below = [tuple(p - q for p, q in zip(one, lowest, strict=True)) for one in powers]
        main = max(range(len(below)), key=lambda k: (sum(below[k]), k))
        unit, total = law.coefficients[main] or 1.0, monomial(symbols, below[main])
        for k, one in enumerate(below):
            if k != main:
                total = total + constants(law.coefficients[k] / unit) * monomial(symbols, one)
        return constants.template(constants(1 / unit) * monomial(symbols, [-q for q in lowest]) / total)


def _one(columns: Sequence[Tensor]) -> Feature:
    return product_of_powers(columns, (0.0,) * len(columns))


def _logarithms(columns: Sequence[Tensor]) -> list[Feature]:
    return [logarithm(columns, i) for i, column in enumerate(columns) if bool((column > 0).all())]


def _sign(y: Tensor) -> float:
    """The sign of nearly all targets, 0 if there is none."""
    shares = {1.0: (y > 0).double().mean(), -1.0: (y < 0).double().mean()}
    return next((sign for sign, share in shares.items() if float(share) >= REGRESSION.positive_share), 0.0)
