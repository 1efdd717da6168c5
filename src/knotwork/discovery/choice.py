"""Which formula is chosen: that of the fewest bits for residuals and formula, unless a constant does as well."""

import math
from collections.abc import Sequence

import torch

from knotwork.data import Dataset
from knotwork.discovery.discovery import Entry
from knotwork.discovery.table import rms
from knotwork.errors import warn
from knotwork.formulas.settings import FORMULAS


def exact(entry: Entry, data: Dataset, relative: bool = False) -> bool:
    """Whether the entry explains the validation rows to rounding; every single one of them if `relative`."""
    if not relative:
        return entry.error <= FORMULAS.exact_error * rms(data)
    assert entry.symbolic_model is not None
    x, y = (data.X_val, data.y_val) if len(data.X_val) else (data.X_train, data.y_train)
    with torch.no_grad():
        apart = (entry.symbolic_model(x) - y).abs()
    return bool((apart <= FORMULAS.exact_error * y.abs()).all())


def choice(constant: Entry, others: Sequence[Entry], data: Dataset) -> Entry:
    """The entry of the fewest bits; before the constant one that would have fewer if a formula took half as many.

    A formula that is worse than the constant on validation or test rows is never chosen, and one that has gaps within
    the ranges of the rows only if it is exact.
    """
    possible = [entry for entry in others if not entry.gaps or exact(entry, data)]
    best = min(
        (entry for entry in possible if _as_good(entry, constant)), key=lambda entry: entry.bits, default=constant
    )
    half = best.complexity * math.log2(len(data.y_train) + len(data.y_val)) / 2
    return best if best.bits - half < constant.bits else constant


def _as_good(entry: Entry, constant: Entry) -> bool:
    """Whether the errors on validation and on test rows are no larger than those of the constant, or of their mean."""
    assert entry.formula is not None and constant.formula is not None
    no_worse = entry.error <= constant.error and entry.formula.rmse <= constant.formula.rmse  # False for NaN
    return no_worse and not entry.formula.r2 < 0  # NaN where all these targets are equal


def front_of(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """The entries that no shorter one beats, shortest first; of two that are as good and as short, the first."""
    kept: list[Entry] = []
    for entry in sorted(entries, key=lambda entry: (entry.complexity, entry.error)):
        if not kept or entry.error < kept[-1].error:
            kept.append(entry)
    return tuple(kept)


def joined(front: tuple[Entry, ...], entry: Entry) -> tuple[Entry, ...]:
    """The front with one more entry, without those it beats; the same front where a shorter one is as good."""
    beaten = any(one.complexity <= entry.complexity and one.error <= entry.error for one in front)
    if beaten or not entry.error < math.inf:
        return front
    kept = [one for one in front if one.complexity < entry.complexity or one.error < entry.error]
    return tuple(sorted([*kept, entry], key=lambda one: one.complexity))


def warn_of_constant(data: Dataset) -> None:
    """Warn the caller of `discover` that nothing beats the mean of the target."""
    warn(
        f"no formula that was tried explains {data.target_names[0]} better than a constant does, by more than chance; "
        "the curves of the baseline network (baseline.model) may tell more."
    )
