"""Temperatures in °C and °F: the search is done in their own unit and from absolute zero, and the shorter law taken.

A law with fewer constants from absolute zero is taken even for a few bits more: elsewhere a constant does the work of
the zero, as in exp(a/(temperature + 262.6)).
"""

import math
from collections.abc import Callable

from knotwork.data import Dataset
from knotwork.discovery.column_units import Units
from knotwork.discovery.entries import disagreement
from knotwork.discovery.outliers import Searched
from knotwork.discovery.settings import DISCOVERY
from knotwork.formulas import Constant
from knotwork.solvers import StopReason
from knotwork.training import Reporter


def shorter_search(rows: Dataset, search: Callable[[Units, float], Searched], reporter: Reporter) -> Searched:
    """The search of these rows; where they have temperatures in °C or °F, that of the zero which takes fewer bits.

    `search` is called with the units of the columns and the share of the time budget after which it ends.
    """
    own, absolute = Units.of(rows), Units.of(rows, absolute=True)
    if not absolute.zeros:
        return search(own, 1.0)
    found = search(own, DISCOVERY.share_of_own_zero)
    if found.stop is StopReason.EXACT or reporter.stopped:
        return found
    reporter.stage("counting temperatures from absolute zero")
    other = search(absolute, 1.0)
    fewer = len(_constants(other)) < len(_constants(found))
    margin = DISCOVERY.bits_of_absolute_zero if fewer else -DISCOVERY.bits_of_own_zero
    return other if _bits(other) < _bits(found) + margin else found


def _constants(searched: Searched) -> tuple[Constant, ...]:
    return () if searched.chosen.formula is None else searched.chosen.formula.constants


def _bits(searched: Searched) -> float:
    """The bits of the chosen formula without those for its units, which are known from absolute zero alone."""
    chosen, data = searched.chosen, searched.task.data
    units = () if chosen.formula is None else chosen.formula.units
    return chosen.bits - disagreement(units) * math.log2(len(data.X_train) + len(data.X_val))
