"""Which dimensionless groups the inputs of a table have, and which of them are chosen (Buckingham 1914).

The target and the other inputs are divided by powers of a few inputs, the scaling base (Buckingham's repeating
variables). Each possible base gives one choice of groups; `group_choices` sorts the choices, the preferred one first.
"""

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
from knotwork.regression.settings import REGRESSION


@dataclass(frozen=True)
class DimensionlessGroups:
    """One choice of groups: target = target scale · a function of the groups, where the groups are pure numbers.

    Args:
        target_scale: powers of inputs whose product has the dimension of the target.
        groups: powers of inputs in each group.
        scale_factor: converts the product for the target scale to the unit of the target.
        group_factors: converts the product of each group to a pure number.
    """

    target_scale: Powers
    groups: tuple[Powers, ...]
    scale_factor: float
    group_factors: tuple[float, ...]

    def scale_values(self, columns: Mapping[str, Tensor]) -> Tensor:
        """The target scale in every row, (n,), in the unit of the target."""
        return self.scale_factor * _product(self.target_scale, columns)

    def group_values(self, columns: Mapping[str, Tensor]) -> list[Tensor]:
        """The values of each group, (n,)."""
        return [f * _product(group, columns) for f, group in zip(self.group_factors, self.groups, strict=True)]


def group_choices(dimensions: Dimensions, columns: Mapping[str, Tensor]) -> list[DimensionlessGroups]:
    """All choices of dimensionless groups of these inputs, the preferred one first: that of the least `_cost`.

    A scaling base has as many inputs as there are independent dimensions, none of them with zeros. Every other input
    gives one group. Fractional powers are only taken of positive inputs. Powers are exact.
    """
    found: dict[tuple[frozenset, ...], tuple[float, DimensionlessGroups]] = {}
    for target_scale, groups in itertools.islice(_bases(dimensions, columns), REGRESSION.most_bases_kept):
        key = (frozenset(target_scale.items()), frozenset(frozenset(group.items()) for group in groups))
        if key not in found:
            group_factors = tuple(_factor(group, dimensions) for group in groups)
            scale_factor = _factor(target_scale, dimensions) / dimensions.target.factor
            choice = DimensionlessGroups(target_scale, groups, scale_factor, group_factors)
            found[key] = (_cost(choice, columns), choice)
    return [choice for _, choice in sorted(found.values(), key=lambda one: one[0])]


def _cost(choice: DimensionlessGroups, columns: Mapping[str, Tensor]) -> float:
    """What is minimal for the preferred choice: number and size of powers, plus the spread of log(target scale)."""
    powers = [p for one in (choice.target_scale, *choice.groups) for p in one.values()]
    size = sum(1 + abs(float(p)) + REGRESSION.cost_of_fraction * (p.denominator > 1) for p in powers)
    return size + float(choice.scale_values(columns).abs().log().std(correction=0))


def _bases(dimensions: Dimensions, columns: Mapping[str, Tensor]) -> Iterator[tuple[Powers, tuple[Powers, ...]]]:
    """Powers of the target scale and of the groups, for each possible scaling base."""
    from knotwork.expressions import solve_exactly

    names, target = list(columns), dimensions.vector(dimensions.target)
    vectors = {name: dimensions.vector(dimensions.inputs[name]) for name in names}
    nonzero = [name for name in names if bool((columns[name] != 0).all())]
    positive = {name for name in names if bool((columns[name] > 0).all())}
    rank = _rank(list(vectors.values()))
    for chosen in itertools.islice(itertools.combinations(nonzero, rank), REGRESSION.most_bases_tried):
        base = [vectors[name] for name in chosen]
        if _rank(base) < rank:
            continue
        others = [name for name in names if name not in chosen]
        solved = solve_exactly(base, [target, *(vectors[name] for name in others)])
        if any(one is None for one in solved):
            return  # no product of inputs has the dimension of the target
        target_scale, *rest = ({n: p for n, p in zip(chosen, one or [], strict=True) if p} for one in solved)
        groups = tuple(
            _whole({other: Fraction(1), **{n: -p for n, p in powers.items()}}, positive)
            for other, powers in zip(others, rest, strict=True)
        )
        if all(_possible(powers, positive) for powers in (target_scale, *groups)):
            yield target_scale, groups


def _rank(vectors: Sequence[Sequence[Fraction]]) -> int:
    from knotwork.expressions import solve_exactly

    return sum(solve_exactly(vectors[:n], [vector])[0] is None for n, vector in enumerate(vectors))


def _whole(powers: Powers, positive: set[str]) -> Powers:
    """The group raised to the power that makes all exponents whole, unless the sign of an input is lost by that."""
    least = math.lcm(*(p.denominator for p in powers.values()))
    if least == 1 or not (least % 2 or set(powers) <= positive):
        return powers
    return {name: p * least for name, p in powers.items()}


def _possible(powers: Powers, positive: set[str]) -> bool:
    """Whether exponents are small, and fractions only of positive inputs."""
    largest = REGRESSION.largest_power
    small = all(abs(p) <= largest and p.denominator <= largest for p in powers.values())
    return small and all(p.denominator == 1 or name in positive for name, p in powers.items())


def _factor(powers: Powers, dimensions: Dimensions) -> float:
    return math.prod(dimensions.inputs[name].factor ** float(p) for name, p in powers.items())


def _product(powers: Powers, columns: Mapping[str, Tensor]) -> Tensor:
    result = torch.ones_like(next(iter(columns.values())))
    for name, p in powers.items():
        result = result * columns[name] ** (int(p) if p.denominator == 1 else float(p))
    return result


def inputs_of_groups(dimensions: Dimensions, shares: Mapping[str, float], negligible: float) -> list[str] | None:
    """The inputs that groups are made of: those whose share is at least `negligible`, and others that these need.

    An input is needed by another one if the other is in no group without it. Inputs that are in no group at all are
    excluded. None if no product of inputs has the dimension of the target.
    """
    strong = [name for name, share in shares.items() if share >= negligible]
    chosen, unused = list(strong), dimensions.unused(strong)
    for more in sorted(set(shares) - set(strong), key=lambda name: -shares[name]):
        if unused is not None and not set(unused) & set(strong):
            break
        chosen.append(more)
        unused = dimensions.unused(chosen)
    if unused is None:
        return None
    return [name for name in shares if name in chosen and name not in unused] or None


def reason_for_no_groups(dimensions: Dimensions, data: Dataset) -> str:
    """Why no dimensionless groups are used, in words."""
    unused = dimensions.unused(list(dimensions.inputs))
    if unused is None:
        target = data.label(data.target_names[0])
        return f"no product of inputs has the unit of {target}, so constants have units, too"
    if unused:
        shown = ", ".join(with_unit(name, data.units) for name in unused)
        return f"no dimensionless group contains {shown}, which matters, so constants have units, too"
    return "no group can be formed, since inputs with zeros or of both signs cannot be divided by"
