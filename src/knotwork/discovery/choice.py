"""Which formula is chosen: that of the fewest bits for residuals and formula, unless a constant does as well."""

import math
from collections.abc import Sequence

import torch

from knotwork.data import Dataset
from knotwork.discovery.discovery import CONSTANT, Discovery, Entry
from knotwork.discovery.few_rows import ALWAYS_SHOWN, few_rows
from knotwork.discovery.settings import DISCOVERY
from knotwork.discovery.table import rms
from knotwork.errors import warn
from knotwork.formulas.constants import Sample
from knotwork.formulas.settings import FORMULAS
from knotwork.regression import Limits


def exact(entry: Entry, data: Dataset, relative: bool = False) -> bool:
    """Whether the entry explains the validation rows to rounding; every single one of them if `relative`."""
    if not relative:
        return entry.error <= FORMULAS.exact_error * rms(data)
    assert entry.symbolic_model is not None
    x, y = (data.X_val, data.y_val) if len(data.X_val) else (data.X_train, data.y_train)
    with torch.no_grad():
        apart = (entry.symbolic_model(x) - y).abs()
    return bool((apart <= FORMULAS.exact_error * y.abs()).all())


def choice(constant: Entry, others: Sequence[Entry], data: Dataset, possible: bool = True) -> Entry:
    """The entry of the fewest bits; before the constant one that would have fewer if a formula took half as many.

    A formula that is worse than the constant on validation rows is never chosen, and one that has gaps within the
    ranges of the rows only if it takes clearly fewer bits than every one without. A constant that is not `possible`, as
    it does not satisfy the constraints, is chosen only where there is nothing else.
    """
    rows = len(data.y_train) + len(data.y_val)

    def bits(entry: Entry) -> float:
        return entry.bits + (rows * DISCOVERY.bits_of_gaps if entry.gaps else 0.0)

    if not possible:
        return min((entry for entry in others if entry.error < math.inf), key=bits, default=constant)
    few = few_rows(data)  # their bits are those of rows left out, in which a constant is better or not
    better = [one for one in others if few or one.error <= constant.error]  # not NaN
    best = min(better, key=bits, default=constant)
    if few:
        return best if bits(best) < constant.bits - DISCOVERY.bits_of_certainty else constant
    half = best.complexity * math.log2(rows) / 2
    return constant if bits(best) - half >= constant.bits else best


def front_of(entries: Sequence[Entry], chosen: Entry, data: Dataset) -> tuple[Entry, ...]:
    """The chosen entry, and those of other complexities that no shorter one beats; shortest first, one of each.

    Of few rows, a straight line and a power law are always shown.
    """
    shown = [entry for entry in entries if few_rows(data) and entry.shape in ALWAYS_SHOWN and entry is not chosen]
    others = [one for one in entries if one.complexity != chosen.complexity and one not in shown]
    kept, least = [], math.inf
    for entry in sorted([chosen, *shown, *others], key=lambda entry: (entry.complexity, entry.error)):
        if entry is chosen or entry in shown or not kept or entry.error < least:
            kept.append(entry)
            least = min(least, entry.error)
    return tuple(kept)


def whole_front(entries: Sequence[Entry], chosen: Entry, data: Dataset) -> tuple[Entry, ...]:
    """The front with the first entry, a constant, and where it has few entries, with others for comparison.

    These are the ones of fewest bits that have smaller errors than the constant.
    """
    front = front_of(entries, chosen, data)
    front = front if entries[0] in front else (entries[0], *front)
    known = {one.expression for one in front}  # several candidates may have the same simplest form
    others = {one.expression: one for one in sorted(entries, key=lambda one: -one.bits) if one.expression not in known}
    others = [one for one in others.values() if one.error < entries[0].error and not exact(one, data)]
    more = sorted(others, key=lambda one: one.bits)[: max(DISCOVERY.shown_formulas - len(front), 0)]
    return tuple(sorted([*front, *more], key=lambda one: (one.complexity, one is not entries[0], one.error)))


def permitted(
    chosen: Entry, front: tuple[Entry, ...], limits: Limits, sample: Sample
) -> tuple[Entry, tuple[Entry, ...], str]:
    """The chosen entry and the front without entries that break the limits, and why none is left, in words.

    Constants may have come out of range when columns got their own units back. If all break them, the shortest stays.
    """
    if not limits.any:
        return chosen, front, ""
    kept = tuple(one for one in front if limits.unmet(one.expression, sample) is None)
    if not kept:
        return chosen, (chosen,), limits.unmet(chosen.expression, sample) or ""
    return chosen if chosen in kept else min(kept, key=lambda one: one.bits), kept, ""


def joined(front: tuple[Entry, ...], entry: Entry) -> tuple[Entry, ...]:
    """The front with one more entry, without those it beats; the same front where a shorter one is as good."""
    beaten = any(one.complexity <= entry.complexity and one.error <= entry.error for one in front)
    if beaten or not entry.error < math.inf:
        return front
    kept = [one for one in front if one.complexity < entry.complexity or one.error < entry.error]
    return tuple(sorted([*kept, entry], key=lambda one: one.complexity))


def warn_unless_explained(found: Discovery) -> None:
    """Warn the caller of `discover` that nothing beats the mean of the target, or satisfies what was asked."""
    if found.stop.by_caller:
        return
    if found.unmet:
        warn(f"no formula that was tried satisfies what was asked; of this one, {found.unmet}.")
    elif found.shape == CONSTANT:
        warn(
            f"no formula that was tried explains {found.formula.targets[0]} better than a constant does, by more than "
            "chance."
        )
