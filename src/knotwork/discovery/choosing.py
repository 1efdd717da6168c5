"""Another formula of the front in place of the one that the search chose."""

from dataclasses import replace
from typing import Any

from knotwork.data import Dataset
from knotwork.discovery.discovery import Discovery, Entry
from knotwork.discovery.entries import built
from knotwork.discovery.table import sample_of
from knotwork.discovery.undefined import undefined_within
from knotwork.discovery.what_matters import importance_of
from knotwork.errors import DataError
from knotwork.training import Reporter


def with_choice(found: Discovery, entry: Entry, data: Dataset | None) -> Discovery:
    """The discovery with this entry of its front as the answer; DataError where its networks cannot be built."""
    assert entry.formula is not None
    symbolic, spline = entry.symbolic_model, entry.spline_model
    if symbolic is None or spline is None:
        if data is None:
            raise DataError(
                "the file of this discovery has no network for this formula, as files of earlier versions: pass data=, "
                "the rows of the search."
            )
        symbolic, spline, _ = built(entry.expression, data, found.settings.get("loss") == "relative")
    importance = found.importance
    undefined = found.undefined if entry.formula is found.formula else ""
    if data is not None and entry.formula is not found.formula:
        where = undefined_within(entry.expression, sample_of(data))
        undefined = "" if where is None else where.reason
        relative = found.settings.get("loss") == "relative"
        importance = importance_of(entry.formula, found.baseline, data, relative, Reporter())
    form = found.settings.get("form")
    unknowns: Any = found.unknowns if not form or entry.formula is found.formula else {}
    return replace(
        found,
        formula=entry.formula,
        symbolic_model=symbolic,
        spline_model=spline,
        shape=entry.shape,
        importance=importance,
        undefined=undefined,
        unknowns=unknowns,
        by_hand=True,
    )
