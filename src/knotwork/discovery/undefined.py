"""Formulas that are not defined at some places within the ranges of the rows."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from knotwork.discovery.settings import DISCOVERY
from knotwork.formulas.constants import Sample


class Undefined(NamedTuple):
    """The share of places within the ranges of the rows where a formula is not defined, and why, in words."""

    share: float
    reason: str


def undefined_within(expression: Any, sample: Sample) -> Undefined | None:
    """Where the formula is not defined within the ranges of the rows; None where no such place is found.

    The conditions for logarithms, roots and divisors are tested at places that combine values of the columns
    independently of each other, and at corners of the box that holds all rows. A divisor that changes its sign has a
    zero in between, which has no share.
    """
    from knotwork.expressions import conditions, round_constants, text, to_torch

    needs, variables = conditions(expression), {str(one) for one in expression.free_symbols}
    columns = {name: column for name, column in sample.columns.items() if name in variables}
    if not needs or not columns:
        return None
    places = dict(zip(columns, places_within(list(columns.values())), strict=True))
    bad = torch.zeros(len(next(iter(places.values()))), dtype=torch.bool)
    reasons: list[str] = []
    for part, need in needs:
        values = to_torch(part, list(places))(*places.values()) * torch.ones(len(bad), dtype=torch.float64)
        wrong = _violates(values, need)
        if bool(wrong.any()):
            where = "at some places" if need == "not zero" else f"at {float(wrong.double().mean()):.1%} of the places"
            reasons.append(f"{text(round_constants(part, 4))} must be {need}, and is not {where}")
            bad |= wrong & (need != "not zero")
    return Undefined(float(bad.double().mean()), "; ".join(reasons)) if reasons else None


def _violates(values: Tensor, need: str) -> Tensor:
    if need == "positive":
        return values <= 0
    if need == "not negative":
        return values < -DISCOVERY.rounding_of_columns * values.abs().nan_to_num(0, 0, 0).max()
    if need == "between -1 and 1":
        return values.abs() > 1 + DISCOVERY.rounding_of_columns
    negative = values < 0
    return negative if bool((values > 0).any()) else torch.zeros_like(negative)


def places_within(columns: list[Tensor]) -> Iterator[Tensor]:
    """Values (places,) of each column: between its values, drawn independently, then corners of the box."""
    generator = torch.Generator().manual_seed(0)
    count = DISCOVERY.places_within
    for column, ends in zip(columns, _corners(len(columns), generator).unbind(1), strict=True):
        ordered = column.sort().values
        at = torch.rand(count, generator=generator, dtype=torch.float64) * (len(ordered) - 1)
        low = at.floor().long()
        high = (low + 1).clamp_max(len(ordered) - 1)
        yield torch.cat([torch.lerp(ordered[low], ordered[high], at - low), ordered[-ends]])


def _corners(columns: int, generator: torch.Generator) -> Tensor:
    """Corners (corners, columns) of a box as 0 and 1: all of them, or some drawn at random where they are too many."""
    if 2**columns <= DISCOVERY.most_corners:
        return torch.cartesian_prod(*[torch.arange(2)] * columns).reshape(-1, columns)
    return torch.randint(2, (DISCOVERY.most_corners, columns), generator=generator)


def gaps_of(expression: Any, sample: Sample) -> float:
    """The share of places where the formula is not defined, 0 if the rows avoid them: the limit is then their own.

    They do if places of this share would hold some rows, were these spread like their columns.
    """
    found = undefined_within(expression, sample)
    if found is None or len(sample) * found.share > DISCOVERY.surely_avoided:
        return 0.0
    return found.share
