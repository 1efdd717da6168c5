"""The arguments of `discover` for a table as it comes: prepared inputs and targets, and what goes with their rows."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from torch import Tensor

from knotwork.data import Dataset, Preparation, tensor_of
from knotwork.data.arrays import converted
from knotwork.data.matrix import check_same_order
from knotwork.data.preparation import Missing, PreparedTable, is_plain, prepare
from knotwork.data.prepared_data import tell
from knotwork.data.row_split import RowSplit, split_asked
from knotwork.discovery.class_discovery import ClassDiscovery
from knotwork.discovery.class_journey import holds_labels
from knotwork.discovery.discovery import Discovery
from knotwork.discovery.grouped_discovery import GroupedDiscovery
from knotwork.discovery.grouped_table import without_groups
from knotwork.discovery.table import table
from knotwork.discovery.target_discoveries import TargetDiscoveries
from knotwork.discovery.targets_table import several_targets
from knotwork.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

Found = TypeVar("Found", Discovery, GroupedDiscovery, ClassDiscovery, TargetDiscoveries)


@dataclass(frozen=True)
class Arguments:
    """Arguments of `discover` whose rows and columns belong together, and how they were prepared.

    `rows` are the numbers of the rows in the table that came, where some were left out. Targets may be `labels`. The
    rows are split at random unless there is a `split`.
    """

    X: Any
    y: Any
    groups: Any
    names: Sequence[str] | None
    sigma: Any
    sample_weight: Any
    preparation: Preparation | None = None
    rows: np.ndarray | None = None
    labels: bool = False
    split: RowSplit | None = None

    @property
    def values(self) -> tuple[Any, Any, Any, Sequence[str] | None, Any, Any]:
        """The arguments in their order."""
        return self.X, self.y, self.groups, self.names, self.sigma, self.sample_weight

    def kept_with(self, found: Found) -> Found:
        """A result with the preparation, and with rows as they are numbered in the table that came."""
        if isinstance(found, TargetDiscoveries):
            return replace(found, discoveries=tuple(map(self.kept_with, found.discoveries)))
        if isinstance(found, Discovery) and self.rows is not None:
            own = [replace(one, row=None if one.row is None else int(self.rows[one.row])) for one in found.outliers]
            found = replace(found, outliers=tuple(own))
        return found if self.preparation is None else replace(found, preparation=self.preparation)


def prepared_arguments(
    X: Any,
    y: Any,
    groups: Any,
    names: Sequence[str] | None,
    sigma: Any,
    sample_weight: Any,
    loss: str,
    seed: int,
    missing: Missing,
    split: Any,
    *named: Any,
) -> Arguments:
    """The arguments with columns of numbers without gaps; those that hold nothing else come back as they are.

    Targets are labels by `loss`, or by what they are. Columns that are `named` in other arguments are not skipped.
    """
    labels = loss == "cross_entropy" or (loss == "auto" and holds_labels(y))
    if y is None and not (isinstance(split, str) and split == "random"):
        raise DataError("split= needs the rows in their order: pass X and y, or give it to Dataset.from_arrays.")
    X, kept = split_asked(X, split)
    given = Arguments(X, y, groups, names, sigma, sample_weight, labels=labels, split=kept)
    if isinstance(X, Dataset):
        return replace(given, preparation=X.preparation)
    if y is None or (is_plain(X) and (labels or is_plain(y))):
        return given
    check_same_order(X, y)
    check_same_order(X, groups, ("X", "groups"))
    name, present = "", None
    if groups is not None:
        X, groups, name = without_groups(X, groups, names)
        groups = _labels(groups)
        present = np.array([one is not None and one == one for one in groups.tolist()])
    several = several_targets(X, y)
    keep = _names_among(sigma, sample_weight, *named)
    found = prepare(
        X, y, names=names, missing=missing, keep=keep, labels=labels, present=present, each=several,
        training=None if groups is not None or several else lambda one: _training_rows(one, labels, seed, kept),
    )  # fmt: skip
    tell(found.preparation)
    if groups is not None:
        groups = groups.iloc[found.rows].rename(name).set_axis(found.X.index)
    sigma, sample_weight = _of_rows(sigma, found, "sigma"), _of_rows(sample_weight, found, "sample_weight")
    own = None if kept is None else kept.taken(found.rows)
    return Arguments(found.X, found.y, groups, None, sigma, sample_weight, found.preparation, found.rows, labels, own)


def _names_among(*given: Any) -> list[str]:
    """The names of columns among arguments of which some are names, some lists of names, and some arrays."""
    found = []
    for one in given:
        if isinstance(one, (list, tuple, set, frozenset)):
            found += [name for name in one if isinstance(name, str)]
        elif isinstance(one, str):
            found.append(one)
    return found


def _labels(groups: Any) -> "pd.Series":
    """One label for each row as a series, whose labels are checked later."""
    import pandas as pd

    groups = groups.detach().cpu().numpy() if isinstance(groups, Tensor) else converted(groups)
    array = np.asarray(groups, dtype=object)
    return pd.Series(array.reshape(-1) if array.ndim == 2 and 1 in array.shape else list(array), dtype=object).map(
        lambda one: None if type(one).__name__ in ("NAType", "NaTType") else one
    )


def _of_rows(values: Any, found: PreparedTable, what: str) -> Any:
    """One value for each row that stayed, of an array with one for each row of the table; anything else as it is."""
    if values is None or isinstance(values, (str, Real)):
        return values
    array = tensor_of(values, what).numpy()
    return array[found.rows] if array.shape[:1] == (found.came,) else array


def _training_rows(found: PreparedTable, labels: bool, seed: int, kept: RowSplit | None) -> np.ndarray:
    """The numbers of the rows that the search will train on."""
    y = found.y
    if labels:
        y = np.unique(np.asarray(found.y).astype(str), return_inverse=True)[1].reshape(-1).astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = table(found.X, y, None, None, seed, split=None if kept is None else kept.taken(found.rows))
    assert data.row_numbers is not None
    return data.row_numbers[0].numpy()
