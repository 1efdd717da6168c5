"""Constants inside of equal parts of several formulas: made equal where the rows do not tell them apart."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from knotwork.formulas.constants import Template, fitted
from knotwork.regression.failures import Failures
from knotwork.regression.targets.common_parts import keyed
from knotwork.regression.targets.laws import Law, TargetRows, total_bits
from knotwork.regression.targets.proposals import as_written
from knotwork.regression.targets.settings import TARGETS
from knotwork.training import Reporter


@dataclass(frozen=True)
class CommonConstant:
    """A constant that formulas of several targets have in common.

    Attributes:
        value: the mean of what the rows of each target tell, weighted by how well they tell it.
        error: its standard error from the rows of all these targets.
        targets: the names of the targets.
    """

    value: float
    error: float
    targets: tuple[str, ...]

    def __str__(self) -> str:
        from knotwork.formulas import Constant

        return f"{Constant('', self.value, self.error)} in {', '.join(self.targets)}"


class Place(NamedTuple):
    """Constants of one part of a formula: the number of its target, the part's shape, and the constants' symbols.

    `roles` say for each constant what it multiplies inside of which function, or its place in the shape.
    """

    target: int
    shape: str
    symbols: tuple[Any, ...]
    roles: tuple[str, ...]


class Told(NamedTuple):
    """What rows tell of constants (k,): their values, and the inverse (k, k) of their covariance."""

    values: Tensor
    information: Tensor


class Equal(NamedTuple):
    """Constants at several places that became equal, and what the rows of each place tell of them."""

    places: tuple[Place, ...]
    told: tuple[Told, ...]

    @property
    def together(self) -> Told:
        """The mean weighted by the covariances, and what all rows tell."""
        information = torch.stack([one.information for one in self.told]).sum(0)
        weighed = torch.stack([one.information @ one.values for one in self.told]).sum(0)
        return Told(torch.linalg.solve(information, weighed), information)

    @property
    def apart(self) -> float:
        """χ² of the differences from the mean, with k degrees of freedom for all places but one."""
        mean = self.together.values
        return sum(float((one.values - mean) @ one.information @ (one.values - mean)) for one in self.told)


def with_common_constants(
    targets: Sequence[TargetRows], laws: Sequence[Law], failures: Failures, reporter: Reporter
) -> tuple[list[Law], list[Equal]]:
    """The formulas with constants made equal where that saves bits, and these constants.

    The constants of each formula are fitted alone. Those at the same place of parts of one shape, which noise explains
    as equal, become their mean, weighted by what the rows of each target tell, and the other constants are fitted
    again. First all constants of a part become equal, then single ones.
    """
    alone = [failures.attempt(partial(_fitted_alone, *pair)) for pair in zip(targets, laws, strict=True)]
    places = [place for n, fit in enumerate(alone) if fit is not None for place in _places(n, fit)]
    current, best, equal = list(laws), total_bits(targets, laws), []
    for parts in (places, [single for place in places for single in _singles(place)]):
        done = {(place.target, symbol) for one in equal for place in one.places for symbol in place.symbols}
        left = [place for place in parts if not any((place.target, symbol) in done for symbol in place.symbols)]
        for group in reporter.timely(_groups(left, alone)):
            changed = failures.attempt(partial(_with_equal, targets, current, alone, [*equal, group]))
            if changed is not None and (bits := total_bits(targets, changed)) < best:
                current, best = changed, bits
                equal.append(group)
    return current, equal


def common_constants(equal: Sequence[Equal], targets: Sequence[TargetRows]) -> tuple[CommonConstant, ...]:
    """The constants with the errors that the rows of all their targets leave."""
    found = []
    for one in equal:
        names = tuple(targets[place.target].name for place in one.places)
        together = one.together
        errors = torch.linalg.inv(together.information).diagonal().clamp_min(0).sqrt()
        found += [
            CommonConstant(value, error, names)
            for value, error in zip(together.values.tolist(), errors.tolist(), strict=True)
        ]
    return tuple(found)


def _fitted_alone(target: TargetRows, law: Law) -> Template:
    """The formula with all its decimals fitted to the rows of its target, and their covariance."""
    return fitted(as_written(law.expression), target.sample)


def _places(number: int, template: Template) -> Iterator[Place]:
    """The functions and powers of a formula that hold constants, the outermost ones."""
    free = frozenset(template.values)

    def outermost(node: Any) -> Iterator[Any]:
        if node.is_Add or node.is_Mul:
            for part in node.args:
                yield from outermost(part)
        elif node.args and node.free_symbols & free and node.free_symbols - free:
            yield node

    for node in dict.fromkeys(outermost(template.expression)):
        shape, symbols = keyed(node, free)
        if len(set(symbols)) == len(symbols):
            function, factors = shape.partition("(")[0], _factors(node, free)
            roles = [f"{function}({factors.get(symbol, (shape, n))})" for n, symbol in enumerate(symbols)]
            yield Place(number, shape, symbols, tuple(roles))


def _factors(node: Any, free: frozenset[Any]) -> dict[Any, str]:
    """The shapes of the products of which constants are factors."""
    found = {part: keyed(node, free).shape for part in node.args if node.is_Mul and part in free}
    for part in node.args:
        found |= _factors(part, free)
    return found


def _singles(place: Place) -> list[Place]:
    """The constants of a part one by one."""
    pairs = zip(place.roles, place.symbols, strict=True)
    return [Place(place.target, role, (symbol,), (role,)) for role, symbol in pairs]


def _told(place: Place, template: Template) -> Told | None:
    """What the rows of its target tell of the constants at a place; None where they do not determine them."""
    assert template.covariance is not None
    symbols = list(template.values)
    numbers = [symbols.index(symbol) for symbol in place.symbols]
    values = torch.tensor([template.values[symbol] for symbol in place.symbols], dtype=torch.float64)
    covariance = template.covariance[numbers][:, numbers]
    if not bool(covariance.isfinite().all()) or not bool((values != 0).all()):
        return None
    least = (TARGETS.exact_share * values).square()
    scale = values.abs()
    relative = (covariance + least.diag()) / (scale * scale[:, None])
    return Told(values, torch.linalg.inv(relative) / (scale * scale[:, None]))


def _groups(places: Sequence[Place], alone: Sequence[Template | None]) -> Iterator[Equal]:
    """Places of one shape in different targets whose constants noise explains as equal; the closest join first."""
    from scipy.stats import chi2

    shapes: dict[str, list[Equal]] = {}
    for place in places:
        template = alone[place.target]
        told = None if template is None else _told(place, template)
        if told is not None:
            shapes.setdefault(place.shape, []).append(Equal((place,), (told,)))
    for shape in sorted(shapes):
        groups = shapes[shape]
        while True:
            joined = []
            for n, one in enumerate(groups):
                for other in groups[n + 1 :]:
                    both = Equal(one.places + other.places, one.told + other.told)
                    names = {place.target for place in both.places}
                    degrees = len(both.told[0].values) * (len(both.told) - 1)
                    if len(names) == len(both.places) and both.apart <= chi2.isf(TARGETS.chance_of_difference, degrees):
                        joined.append((both.apart / degrees, n, other, both))
            if not joined:
                break
            _, n, other, both = min(joined, key=lambda one: one[0])
            groups = [one for m, one in enumerate(groups) if m != n and one is not other] + [both]
        yield from (one for one in groups if len(one.places) > 1)


def _with_equal(
    targets: Sequence[TargetRows], laws: Sequence[Law], alone: Sequence[Template | None], equal: Sequence[Equal]
) -> list[Law] | None:
    """The formulas with these constants equal and the others fitted again; None where one gets worse than noise
    explains."""
    from knotwork.expressions import number

    fixed: dict[int, dict[Any, float]] = {}
    for one in equal:
        for place in one.places:
            values = one.together.values.tolist()
            fixed.setdefault(place.target, {}).update(zip(place.symbols, values, strict=True))
    changed = list(laws)
    for n, values in fixed.items():
        template, target = alone[n], targets[n]
        assert template is not None
        expression = template.expression.xreplace({symbol: number(value) for symbol, value in values.items()})
        rest = {symbol: value for symbol, value in template.values.items() if symbol not in values}
        fit = fitted(replace(template, expression=expression, values=rest, covariance=None), target.sample)
        judged = target.judge(fit)
        if not math.isfinite(judged) or target.worse(fit.mse, template.mse, len(values)):
            return None
        changed[n] = Law(fit.filled(), fit.mse, judged, laws[n].words)
        if not target.allowed(changed[n].expression):
            return None
    return changed
