"""The table and the formula that a command is given: from a file, or from the packaged tables."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knotwork.cli.option_words import for_command
from knotwork.data import Dataset, load_dataset, packaged_tables
from knotwork.data.column_names import split_units, unknown_name
from knotwork.data.preparation import Missing
from knotwork.data.prepared_data import dataset_of
from knotwork.data.row_split import split_asked
from knotwork.data.table_files import choose, read_file
from knotwork.discovery.settings import DISCOVERY
from knotwork.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Reading:
    """A file, how it is read, and how its rows are split: --separator, --decimal, --missing and --split."""

    file: str
    separator: str | None = None
    decimal: str | None = None
    missing: Missing = "drop"
    split: str = "random"

    @property
    def is_file(self) -> bool:
        """Whether there is such a file; if not, the name is that of a packaged table."""
        return Path(self.file).exists()

    def frame(self) -> "pd.DataFrame":
        """The table in the file."""
        return read_file(self.file, *self._marks())

    def columns(
        self,
        target: str | list[str] | None,
        inputs: list[str] | None,
        exclude: list[str] | None,
        groups: str | None = None,
    ) -> tuple["pd.DataFrame", "pd.DataFrame", Any]:
        """The inputs, the target or several, and the split of the rows; DataError for names that it does not have."""
        frame = self.frame()
        if target is None:
            raise DataError(f"The target must be named with --target: {', '.join(frame.columns)}.")
        names = split_units(list(frame.columns))[0]
        for name in (*([] if groups is None else [groups]), *(exclude or ())):
            if name not in names:
                raise DataError(unknown_name(name, list(names), "column"))
        targets = [target] if isinstance(target, str) else target
        left = {*split_units(targets)[0], *targets, *(exclude or ()), *([] if groups is None else [groups])}
        headers = dict(zip(names, frame.columns, strict=True)) | {header: header for header in frame.columns}
        known = frame.drop(columns=[headers[one] for one in targets if one in headers])
        rest, split = split_asked(known, self.split)
        own = set(split_units([header for header in known.columns if header not in rest.columns])[0])
        X, y = choose(frame, target, [name for name in inputs or names if name not in left | own])
        X.attrs["asked"] = () if inputs is None else tuple(X.columns)
        return X, y, split or "random"

    def labels(self, groups: str) -> "pd.Series":
        """The column of groups of this name, which the table has."""
        frame = self.frame()
        return frame.iloc[:, split_units(list(frame.columns))[0].index(groups)].rename(groups)

    def data(
        self,
        target: str | None,
        inputs: list[str] | None,
        exclude: list[str] | None = None,
        *,
        test_size: float | None,
        seed: int,
    ) -> Dataset:
        """The data set of the file, or of a packaged table where there is no file of that name.

        Test rows are those asked for, or a fifth, or none where there are few.
        """
        if test_size is None:
            data = self.data(target, inputs, exclude, test_size=0.2, seed=seed)
            few = sum(data.rows()) < DISCOVERY.few_rows_below
            return self.data(target, inputs, exclude, test_size=0, seed=seed) if few else data
        if not self.is_file:
            return self._packaged(target, inputs, exclude, test_size=test_size, seed=seed)
        if target is None:
            columns = ", ".join(self.frame().columns)
            raise DataError(f"'{self.file}' is a file, so the target must be named with --target: {columns}.")
        options = {"test_size": test_size, "seed": seed, "title": Path(self.file).name}
        X, y, split = self.columns(target, inputs, exclude)
        return dataset_of(X, y, self.missing, split, **options)

    def _packaged(
        self, target: str | None, inputs: list[str] | None, exclude: list[str] | None, **options: Any
    ) -> Dataset:
        if self.file not in packaged_tables():
            names = ", ".join(packaged_tables())
            raise DataError(f"'{self.file}' is neither a file nor a packaged table; packaged: {names}.")
        if self.split != "random":
            raise DataError("--split is for the rows of a file: those of a packaged table are split at random.")
        if exclude and inputs is None:
            inputs = list(load_dataset(self.file, target, **options).input_names)
        for name in exclude or ():
            if name not in (inputs or ()):
                raise DataError(unknown_name(name, inputs or (), "input"))
        kept = [name for name in inputs or () if name not in exclude] if exclude else inputs
        return load_dataset(self.file, target, kept, **options)

    def _marks(self) -> tuple[str | None, str | None]:
        """Separator and decimal mark; a tab may be written as tab or \\t."""
        return "\t" if self.separator in ("tab", "\\t") else self.separator, self.decimal


def formula_of(start: str | None) -> str | None:
    """The formula of --start, or of the result file that it names."""
    if start is None or not os.path.isfile(start):
        return start
    try:
        return str(json.loads(Path(start).read_text(encoding="utf-8"))["formula"]["text"])
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(
            f"--start {start!r} holds no result: name result.json of an --out folder, or a formula."
        ) from None


def notes_of(found: Any) -> list[str]:
    """What was done with the columns of the table, a sentence each."""
    return [] if found.preparation is None else list(map(for_command, found.preparation.notes))
