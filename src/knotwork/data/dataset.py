"""A table ready for fitting: inputs and targets split into training, validation and test rows."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from knotwork.data.column_names import check_unique, check_units, listed, resolved_names, unknown_name, with_unit
from knotwork.data.columns_table import columns_table, one_line_summary
from knotwork.data.matrix import check_dtype, check_same_order, matching_columns, matrix, moved_to, plain_tensor
from knotwork.data.preparation import Missing, Preparation
from knotwork.data.randomness import seeded
from knotwork.data.row_errors import RowErrors
from knotwork.data.row_split import RowSplit, split_asked
from knotwork.data.scaling import Scale, Scaling
from knotwork.data.splitting import Rows, equal_rows, split_rows
from knotwork.errors import DataError
from knotwork.keywords import check_keywords

TENSORS = ("X_train", "y_train", "X_val", "y_val", "X_test", "y_test")
PYKAN_KEYS = ("train_input", "train_label", "test_input", "test_label")


@check_keywords
@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Inputs and targets in three parts: training, validation and test rows. The last two may be empty.

    Made by `from_arrays`, `from_csv`, `from_parquet`, `from_dict`, `knotwork.sample` and `knotwork.load_dataset`.
    Changed copies come from `to`, `select` and `dataclasses.replace`.

    Attributes:
        X_train: Inputs of the training rows, (N, in), on the CPU until `to`; X_val and X_test likewise.
        y_train: Targets of the training rows, (N, out), on the CPU until `to`; y_val and y_test likewise.
        input_names: The name of each input column.
        target_names: The name of each target column.
        scaling: The map from original units to the stored inputs; None where they are stored as they came.
        ranges: The domain (low, high) of each input in stored units; None where it is not known.
        title: What the data are, for reports and figures.
        units: The original units of columns by name, as far as they are known.
        errors: The errors of the rows, by which fits weigh rows; None: all rows count the same.
        row_numbers: The number of each training, validation and test row in the table that was split, from 0; None
            where it is not known.
        preparation: The `Preparation` that made the inputs of the columns of a table; None where there was none.
        row_split: How rows were kept on one side of the split (its `words` say it); None where it was random.

    Raises:
        DataError: Shapes and names do not match, there are no training rows, or names repeat.

    Example:
        >>> import knotwork as kw
        >>> data = kw.sample("x + y", x=(0, 1), y=(0, 1), size=100, test_size=50, seed=0)
        >>> data
        Dataset(x + y: 100 training, 20 validation and 50 test rows; 2 inputs x, y -> f; float64)
        >>> data.select(["y"]).X_train.shape
        torch.Size([100, 1])
    """

    X_train: Tensor
    y_train: Tensor
    X_val: Tensor
    y_val: Tensor
    X_test: Tensor
    y_test: Tensor
    input_names: tuple[str, ...]
    target_names: tuple[str, ...]
    scaling: Scaling | None = None
    ranges: tuple[tuple[float, float], ...] | None = None
    title: str = ""
    units: Mapping[str, str] = field(default_factory=dict)
    errors: RowErrors | None = None
    row_numbers: tuple[Tensor, Tensor, Tensor] | None = None
    preparation: Preparation | None = None
    row_split: RowSplit | None = None

    def __post_init__(self) -> None:
        for name in TENSORS:
            object.__setattr__(self, name, plain_tensor(getattr(self, name), name))
        for part in ("train", "val", "test"):
            X, y = getattr(self, f"X_{part}"), getattr(self, f"y_{part}")
            expected = (len(self.input_names), len(self.target_names))
            if X.ndim != 2 or y.ndim != 2 or (X.shape[1], y.shape[1]) != expected:
                raise DataError(
                    f"X_{part} and y_{part} have shapes {tuple(X.shape)} and {tuple(y.shape)}, but "
                    f"(N, {expected[0]}) and (N, {expected[1]}) are needed for the names given."
                )
            if len(X) != len(y):
                raise DataError(f"X_{part} has {len(X)} rows and y_{part} has {len(y)}: they must be the same rows.")
        if not len(self.X_train):
            raise DataError("There are no training rows: at least one row is needed.")
        check_unique((*self.input_names, *self.target_names), "The names of inputs and targets")
        check_units(self.units, (*self.input_names, *self.target_names))
        if self.errors is not None:
            self.errors.check(self.rows())
        if self.row_numbers is not None and [len(part) for part in self.row_numbers] != list(self.rows()):
            object.__setattr__(self, "row_numbers", None)  # rows were replaced by others

    def label(self, name: str) -> str:
        """The label of an axis for a column: `speed [m/s]`, or `speed (scaled)` where the column is stored scaled.

        Args:
            name: Name of an input or target.

        Raises:
            DataError: There is no such column.
        """
        if name not in (*self.input_names, *self.target_names):
            raise DataError(unknown_name(name, (*self.input_names, *self.target_names), "column"))
        if self.scaling and name in self.input_names:
            return f"{name} (scaled)"
        return with_unit(name, self.units)

    @property
    def n_inputs(self) -> int:
        """Number of input columns."""
        return len(self.input_names)

    @property
    def n_outputs(self) -> int:
        """Number of target columns."""
        return len(self.target_names)

    def rows(self) -> Rows:
        """Numbers of training, validation and test rows: `Rows(train, validation, test)`."""
        return Rows(len(self.X_train), len(self.X_val), len(self.X_test))

    def __repr__(self) -> str:
        return one_line_summary(self)

    def _repr_html_(self) -> str:
        return columns_table(self)

    def to(self, *kinds: torch.dtype | torch.device | str) -> "Dataset":
        """A copy with the same data in another floating-point type, or on another device, or both.

        Args:
            kinds: `torch.float64` or `torch.float32`; a device, such as "cuda".

        Raises:
            DataError: One of them is neither a floating-point type nor a device.
        """
        return dataclasses.replace(self, **{name: moved_to(getattr(self, name), kinds) for name in TENSORS})

    def select(self, inputs: Sequence[str | int]) -> "Dataset":
        """A copy with some of the inputs, in the order given.

        Args:
            inputs: Names of inputs, or their numbers from 0.

        Raises:
            DataError: There is no such input, none is given, or one is given twice.
        """
        from knotwork.data.column_selection import columns_taken

        return columns_taken(self, [inputs] if isinstance(inputs, (str, int)) else inputs)

    @classmethod
    def from_arrays(
        cls,
        X: Any,
        y: Any,
        *,
        test_size: float | None = None,
        validation_size: float = 0.2,
        names: Sequence[str] | None = None,
        target_names: Sequence[str] | str | None = None,
        X_test: Any = None,
        y_test: Any = None,
        scale: Scale = False,
        split: Any = "random",
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
        title: str = "",
        units: Mapping[str, str] | None = None,
    ) -> "Dataset":
        """A data set from arrays, tensors, data frames or nested lists, which are copied and never changed.

        The rows are shuffled, then split. Constant columns give a KnotworkWarning.

        Args:
            X: Inputs (N, in); (N,) means (N, 1).
            y: Targets (N,) or (N, out); (N,) means (N, 1).
            test_size: Rows for the final test: an int counts rows, a float is a share of all rows. They never take
                part in a fit or a choice. Default 0.2, or 0 where X_test and y_test are given.
            validation_size: Rows on which a fit is stopped and models are chosen: an int counts rows, a float is a
                share of the rows that are no test rows. 0 for none.
            names: Names of the inputs. Default: those of a data frame, else x_1, x_2, ... A name such as
                `speed [m/s]` or `speed (m/s)` is the name speed and its unit.
            target_names: Names of the targets, read in the same way. Default: those of a data frame, else y.
            X_test: Test inputs (M, in) of your own, in place of a split.
            y_test: Their targets.
            scale: "standard" stores inputs with mean 0 and standard deviation 1, "range" in [-1, 1]. Both are computed
                from the training rows alone. False stores them as they are. Targets keep their units.
            split: "random"; "time", where training rows are the earliest and test rows the latest, by the one column of
                dates or called time, else by the order of the rows; the name of a column of X, or a label for each row,
                (N,), whose rows stay on one side, such as those of a patient. A column that is named is no input,
                unless it holds dates, which split in time.
            seed: Seed of the shuffle, a whole number from 0. Copies of a row stay in one part.
            dtype: Floating-point type of the stored tensors.
            title: What the data are, for reports and figures.
            units: Units of columns by name, such as {"speed": "m/s"}. They replace those found in names.

        Raises:
            DataError: X or y hold anything but finite numbers, their rows do not match, names repeat, or a size leaves
                no training row.

        Example:
            >>> import numpy as np, knotwork as kw
            >>> X = np.linspace(0, 1, 100)[:, None]
            >>> kw.Dataset.from_arrays(X, X[:, 0] ** 2, test_size=10, validation_size=0.1, names=["x"]).rows()
            Rows(train=81, validation=9, test=10)
        """
        from knotwork.data.assembly import assemble

        check_dtype(dtype)
        target_names = (target_names,) if isinstance(target_names, str) else target_names
        check_same_order(X, y)
        X, kept = split_asked(X, split)
        X, own_names = matrix(X, "X", names, one_column=True)
        y, own_targets = matrix(y, "y", target_names)
        if len(X) != len(y):
            raise DataError(f"X has {len(X)} rows and y has {len(y)}: every row needs its target.")
        names, target_names, units = resolved_names(
            names or own_names, target_names or own_targets, X.shape[1], y.shape[1], units
        )

        given = X_test is not None
        if given != (y_test is not None):
            raise DataError("X_test and y_test come together: only one of them was given.")
        if given and test_size:
            raise DataError(
                f"test_size={test_size} and X_test were both given: pass a size to split off, or the test rows."
            )
        if test_size is None:
            test_size = 0 if given else 0.2
        equal = equal_rows(X, y)
        train_rows, val_rows, test_rows = split_rows(len(X), test_size, validation_size, seeded(seed), equal, kept)
        test_part = (X[test_rows], y[test_rows])
        if given:
            check_same_order(X_test, y_test, ("X_test", "y_test"))
            test_part = (matching_columns(X_test, "X_test", names), matching_columns(y_test, "y_test", target_names))
            if len(test_part[0]) != len(test_part[1]):
                raise DataError(f"X_test has {len(test_part[0])} rows and y_test has {len(test_part[1])}.")
        parts = (X[train_rows], y[train_rows], X[val_rows], y[val_rows], *test_part)
        numbers = (train_rows, val_rows, torch.arange(len(test_part[0])) if given else test_rows)
        options = {"scale": scale, "dtype": dtype, "title": title, "units": units, "row_numbers": numbers}
        return dataclasses.replace(assemble(parts, names, target_names, **options), row_split=kept)

    @classmethod
    def from_csv(
        cls,
        path: str | PathLike,
        target: str | Sequence[str],
        inputs: Sequence[str] | None = None,
        *,
        missing: Missing = "drop",
        separator: str | None = None,
        decimal: str | None = None,
        test_size: float = 0.2,
        validation_size: float = 0.2,
        scale: Scale = False,
        split: Any = "random",
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
        title: str | None = None,
        units: Mapping[str, str] | None = None,
    ) -> "Dataset":
        """A data set from a table in a file: CSV (also compressed), Parquet, or a folder of Parquet files.

        Texts become numbers, dates or indicators of categories, and columns that only name the rows are skipped, as
        `Preparation` describes; a KnotworkWarning says what was done.

        Args:
            path: The file or folder. The first line of a CSV file names the columns.
            target: The target column, or several; with or without its unit.
            inputs: The input columns, in this order, none of which is skipped. Default: every column that is no target.
            missing: What is done with missing values: "drop" leaves out their rows, and columns that lack most values;
                "fill" takes the median, or the most frequent category, of the training rows; "error" refuses them.
            separator: The character between values of a CSV file. Default: detected, with a KnotworkWarning where it is
                not the comma.
            decimal: The decimal mark of a CSV file, "." or ",". Default: detected, with a KnotworkWarning where it is
                the comma.
            test_size, validation_size, scale, split, seed, dtype: As in `from_arrays`; a column that splits the rows
                need not be among the inputs.
            title: What the data are. Default: the name of the file.
            units: Units of columns by name. They replace those found in names.

        Raises:
            DataError: The file is missing or not a table of numbers, or a name is not in it.

        Example:
            >>> import knotwork as kw, pathlib, tempfile
            >>> path = pathlib.Path(tempfile.mkdtemp()) / "fall.csv"
            >>> _ = path.write_text("time [s],height [m]\\n" + "".join(f"{t},{5 - 4.9 * t**2}\\n" for t in range(10)))
            >>> kw.Dataset.from_csv(path, "height").units
            {'time': 's', 'height': 'm'}
        """
        from knotwork.data.prepared_data import dataset_of, tell
        from knotwork.data.table_files import choose, read_file

        options = {"validation_size": validation_size, "scale": scale, "seed": seed, "dtype": dtype, "units": units}
        options |= {"test_size": test_size, "title": Path(path).name if title is None else title}
        frame, options["split"] = split_asked(read_file(path, separator, decimal), split)
        data = dataset_of(*choose(frame, target, inputs), missing, **options)
        tell(data.preparation)
        return data

    @classmethod
    def from_parquet(
        cls,
        path: str | PathLike,
        target: str | Sequence[str],
        inputs: Sequence[str] | None = None,
        *,
        missing: Missing = "drop",
        test_size: float = 0.2,
        validation_size: float = 0.2,
        scale: Scale = False,
        split: Any = "random",
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
        title: str | None = None,
        units: Mapping[str, str] | None = None,
    ) -> "Dataset":
        """A data set from a Parquet file or a folder of them. Files larger than memory are read by `stream_parquet`.

        Args:
            path: The file or folder.
            target: The target column, or several; with or without its unit.
            inputs: The input columns, in this order. Default: every column that is no target.
            missing: As in `from_csv`.
            test_size, validation_size, scale, split, seed, dtype: As in `from_arrays`; a column that splits the rows
                need not be among the inputs.
            title: What the data are. Default: the name of the file.
            units: Units of columns by name. They replace those found in names.

        Raises:
            DataError: The file is missing or not a table of numbers, or a name is not in it.
        """
        options = {"validation_size": validation_size, "scale": scale, "seed": seed, "dtype": dtype, "title": title}
        return cls.from_csv(path, target, inputs, missing=missing, test_size=test_size, units=units, **options)

    @classmethod
    def from_dict(
        cls,
        data: Mapping[str, Any],
        *,
        validation_size: float = 0.2,
        names: Sequence[str] | None = None,
        target_names: Sequence[str] | str | None = None,
        scale: Scale = False,
        split: Any = "random",
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
        title: str = "",
        units: Mapping[str, str] | None = None,
    ) -> "Dataset":
        """A data set from pykan's form: a dict with train_input, train_label, test_input and test_label.

        Args:
            data: The dict of four arrays, each (N, columns). Validation rows are taken from the training rows.
            validation_size: Validation rows, as in `from_arrays`.
            names: Names of the inputs. Default x_1, x_2, ...
            target_names: Names of the targets. Default y.
            scale, seed, dtype, title, units: As in `from_arrays`.

        Raises:
            DataError: A key is missing, or an array cannot be used.
        """
        missing = [key for key in PYKAN_KEYS if key not in data]
        if missing:
            raise DataError(f"The dict lacks {listed(missing)}: it needs the keys {listed(PYKAN_KEYS)}.")
        X, y, X_test, y_test = (data[key] for key in PYKAN_KEYS)
        return cls.from_arrays(
            X,
            y,
            X_test=X_test,
            y_test=y_test,
            validation_size=validation_size,
            names=names,
            target_names=target_names,
            scale=scale,
            seed=seed,
            dtype=dtype,
            title=title,
            units=units,
        )
