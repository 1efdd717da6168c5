"""Dimensionless groups of inputs, and what a target is measured by (Buckingham 1914)."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from knotwork.data import Dataset
from knotwork.data.column_names import with_unit
from knotwork.formulas.dimensions import Dimensions, Powers

MOST = 400  # sets of inputs that others are measured by, of which the simplest groups are taken,
MOST_TRIED = 1000  # of so many that are looked at
LARGEST = 6  # power of an input in a group, and denominator
FRACTION = 2.0  # how many whole powers one that is a fraction is as odd as


@dataclass(frozen=True)
class Grouping:
    """target = product of inputs to the powers `measure`, times a function of the `groups`, all pure numbers.

    `factor` and `factors` are what the products of the columns' numbers have to be multiplied by for that.
    """

    measure: Powers
    groups: tuple[Powers, ...]
    factor: float
    factors: tuple[float, ...]

    def measured(self, columns: Mapping[str, Tensor]) -> Tensor:
        """What the target is measured by, (n,)."""
        return self.factor * _product(self.measure, columns)

    def values(self, columns: Mapping[str, Tensor]) -> list[Tensor]:
        """The groups' values, (n,) each."""
        return [f * _product(group, columns) for f, group in zip(self.factors, self.groups, strict=True)]


def groupings(dimensions: Dimensions, columns: Mapping[str, Tensor]) -> list[Grouping]:
    """All ways to group these inputs (Buckingham 1914), those of small whole powers first.

    As many inputs as there are independent units measure the target and the others, one group each. Only inputs without
    zeros measure, and of fractions of a power only positive ones are taken. Powers are exact.
    """
    found: dict[tuple[frozenset, ...], tuple[float, Grouping]] = {}
    for measure, groups in itertools.islice(_ways(dimensions, columns), MOST):
        key = (frozenset(measure.items()), frozenset(frozenset(group.items()) for group in groups))
        if key not in found:
            factors = tuple(_factor(group, dimensions) for group in groups)
            factor = _factor(measure, dimensions) / dimensions.target.factor
            grouping = Grouping(measure, groups, factor, factors)
            found[key] = (_oddness(grouping, columns), grouping)
    return [grouping for _, grouping in sorted(found.values(), key=lambda one: one[0])]


def _ways(dimensions: Dimensions, columns: Mapping[str, Tensor]) -> Iterator[tuple[Powers, tuple[Powers, ...]]]:
    from knotwork.expressions import solve_exactly

    names, target = list(columns), dimensions.vector(dimensions.target)
    vectors = {name: dimensions.vector(dimensions.inputs[name]) for name in names}
    whole = [name for name in names if bool((columns[name] != 0).all())]
    positive = {name for name in names if bool((columns[name] > 0).all())}
    rank = _rank(list(vectors.values()))
    for chosen in itertools.islice(itertools.combinations(whole, rank), MOST_TRIED):
        basis = [vectors[name] for name in chosen]
        if _rank(basis) < rank:
            continue
        others = [name for name in names if name not in chosen]
        solved = solve_exactly(basis, [target, *(vectors[name] for name in others)])
        if any(one is None for one in solved):
            return  # the target's unit cannot be made of these
        measure, *rest = ({n: p for n, p in zip(chosen, one or [], strict=True) if p} for one in solved)
        groups = tuple(
            _whole({other: Fraction(1), **{n: -p for n, p in powers.items()}}, positive)
            for other, powers in zip(others, rest, strict=True)
        )
        if all(_possible(powers, positive) for powers in (measure, *groups)):
            yield measure, groups


def _rank(vectors: Sequence[Sequence[Fraction]]) -> int:
    from knotwork.expressions import solve_exactly

    return sum(solve_exactly(vectors[:n], [vector])[0] is None for n, vector in enumerate(vectors))


def _whole(powers: Powers, positive: set[str]) -> Powers:
    """The group to the power that makes all of them whole, if the sign of no input is lost by that."""
    least = math.lcm(*(p.denominator for p in powers.values()))
    if least == 1 or not (least % 2 or set(powers) <= positive):
        return powers
    return {name: p * least for name, p in powers.items()}


def _possible(powers: Powers, positive: set[str]) -> bool:
    small = all(abs(p) <= LARGEST and p.denominator <= LARGEST for p in powers.values())
    return small and all(p.denominator == 1 or name in positive for name, p in powers.items())


def _oddness(grouping: Grouping, columns: Mapping[str, Tensor]) -> float:
    """How far from simple: by powers and their size, and by how unlike rows become that are measured so."""
    powers = [p for one in (grouping.measure, *grouping.groups) for p in one.values()]
    size = sum(1 + abs(float(p)) + FRACTION * (p.denominator > 1) for p in powers)
    return size + float(grouping.measured(columns).abs().log().std(correction=0))


def _factor(powers: Powers, dimensions: Dimensions) -> float:
    return math.prod(dimensions.inputs[name].factor ** float(p) for name, p in powers.items())


def _product(powers: Powers, columns: Mapping[str, Tensor]) -> Tensor:
    result = torch.ones_like(next(iter(columns.values())))
    for name, p in powers.items():
        result = result * columns[name] ** (int(p) if p.denominator == 1 else float(p))
    return result


def needed(dimensions: Dimensions, shares: Mapping[str, float], faint: float) -> list[str] | None:
    """The inputs to group: those with a share above `faint`, and others where it takes them for all to have a part.

    Those that can have none are left out. None where the target's unit cannot be made even with all inputs.
    """
    strong = [name for name, share in shares.items() if share >= faint]
    chosen, unused = list(strong), dimensions.unused(strong)
    for more in sorted(set(shares) - set(strong), key=lambda name: -shares[name]):
        if unused is not None and not set(unused) & set(strong):
            break
        chosen.append(more)
        unused = dimensions.unused(chosen)
    if unused is None:
        return None
    return [name for name in shares if name in chosen and name not in unused] or None


def obstacle(dimensions: Dimensions, data: Dataset) -> str:
    """Why inputs are not grouped, in words."""
    unused = dimensions.unused(list(dimensions.inputs))
    if unused is None:
        target = data.label(data.target_names[0])
        return f"{target} cannot be made of the units of the inputs, so constants have units, too"
    if unused:
        shown = ", ".join(with_unit(name, data.units) for name in unused)
        return f"no group without a unit holds {shown}, which matters, so constants have units, too"
    return "inputs with zeros or of both signs measure nothing"
