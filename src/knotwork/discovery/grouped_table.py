"""A table with groups: which row belongs to which group, and which rows are test rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from knotwork.data import Dataset, seeded
from knotwork.data.arrays import columns_by_name
from knotwork.data.column_names import split_units, unknown_name
from knotwork.data.labels import in_order, labels_of
from knotwork.data.matrix import matrix
from knotwork.data.splitting import equal_rows
from knotwork.discovery.settings import DISCOVERY
from knotwork.discovery.table import table
from knotwork.errors import DataError
from knotwork.formulas.constants import Sample
from knotwork.formulas.grouped_constants import GroupedSample
from knotwork.formulas.grouped_formula import Label


@dataclass(frozen=True)
class GroupedTable:
    """The rows of `data`, the group of each training and test row as its place in `labels`, and the column's `name`."""

    data: Dataset
    training: Tensor
    test: Tensor
    labels: tuple[Label, ...]
    name: str

    def sample(self, test: bool = False, relative: bool = False) -> GroupedSample:
        """The training rows, or the test rows, with their groups."""
        data = self.data
        X, y, group = (data.X_test, data.y_test, self.test) if test else (data.X_train, data.y_train, self.training)
        columns = dict(zip(data.input_names, X.double().unbind(1), strict=True))
        return GroupedSample(Sample(columns, y[:, 0].double(), relative), group, len(self.labels))


def grouped_table(
    X: Any,
    y: Any,
    groups: Any,
    names: Sequence[str] | None,
    units: Mapping[str, str] | Literal[False] | None,
    seed: int,
) -> GroupedTable:
    """The table of the arguments of `discover(..., groups=)`; DataError for one that cannot be used.

    Tables of at least `DISCOVERY.few_rows_below` rows have test rows, the same share of each group; copies of a row
    stay together.
    """
    if isinstance(X, Dataset) or y is None:
        raise DataError("groups= needs the rows in their order: pass X and y, since a Dataset has shuffled its rows.")
    X, groups, name = without_groups(X, groups, names)
    rows, own = matrix(X, "X", names, one_column=True)
    labels = labels_of(groups, len(rows))
    known = in_order(labels)
    if len(known) < 2:
        raise DataError(f"groups has one label alone ({known[0]!r}): leave groups= out, or pass rows of other groups.")
    code = {label: float(n) for n, label in enumerate(known)}
    column = torch.tensor([code[label] for label in labels], dtype=torch.float64)
    headers = names or own or [f"x_{n + 1}" for n in range(rows.shape[1])]
    taken = {*split_units([str(header) for header in headers])[0], "y"}
    while name in taken:
        name += "_"
    whole = torch.cat([rows, column[:, None]], dim=1)
    data = Dataset.from_arrays(whole, y, test_size=0, validation_size=0, names=[*headers, name], seed=seed)
    group, data = data.X_train[:, -1].long(), table(data.select(data.input_names[:-1]), None, None, units, seed)
    group = group[: len(data.X_train)]
    test = _test_rows(data, group, seed)
    parts = (data.X_train[~test], data.y_train[~test], data.X_val, data.y_val, data.X_train[test], data.y_train[test])
    data = Dataset(*parts, data.input_names, data.target_names, title=data.title, units=data.units)
    return GroupedTable(data, group[~test], group[test], tuple(known), name)


def without_groups(X: Any, groups: Any, names: Sequence[str] | None) -> tuple[Any, Any, str]:
    """X without the column of the groups, the groups, and the name of their column."""
    if not isinstance(groups, str):
        name = getattr(groups, "name", None)
        return X, groups, str(name) if isinstance(name, str) and name else "group"
    columns = columns_by_name(X, "X")
    if columns is None:
        if names is None or groups not in names:
            raise DataError(
                f"groups={groups!r} names a column, but X is an array without names: pass the groups as an array of "
                "one label for each row, or X as a data frame."
            )
        place = list(names).index(groups)
        raise DataError(f"groups={groups!r}: pass the column itself, groups=X[:, {place}], and X without it.")
    plain = dict(zip(split_units(list(columns))[0], columns, strict=True))
    header = groups if groups in columns else plain.get(groups)
    if header is None:
        raise DataError(unknown_name(groups, list(plain), "column"))
    rest = {name: column for name, column in columns.items() if name != header}
    if not rest:
        raise DataError(f"X has no column but the groups '{groups}': at least one input is needed.")
    return rest, columns[header], split_units([header])[0][0]


def _test_rows(data: Dataset, group: Tensor, seed: int) -> Tensor:
    """Whether each row (n,) is a test row: a share of the different rows of every group."""
    test = torch.zeros(len(group), dtype=torch.bool)
    if len(group) < DISCOVERY.few_rows_below:
        return test
    equal = equal_rows(data.X_train, data.y_train)
    generator = seeded(seed)
    for one in group.unique().tolist():
        own = equal[group == one].unique()
        chosen = own[torch.randperm(len(own), generator=generator)[: int(DISCOVERY.test_share * len(own))]]
        test |= (group == one) & torch.isin(equal, chosen)
    return test
