"""A table ready for fitting: inputs and targets split into training, validation and test rows."""

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from knotwork.data.arrays import check_finite, matrix
from knotwork.data.names import check_unique, check_units, listed, split_units, unknown_name, with_unit
from knotwork.data.randomness import seeded
from knotwork.errors import DataError, KnotworkWarning

Scale = Literal["standard", "range", False]


class Rows(NamedTuple):
    """How many rows each part of a data set has."""

    train: int
    validation: int
    test: int


@dataclass(frozen=True)
class Scaling:
    """The affine change of the inputs, (X - center) / scale column by column, and its inverse."""

    center: tuple[float, ...]
    scale: tuple[float, ...]

    def apply(self, X: Any) -> Tensor:
        """Original units to stored ones; X has shape (..., in)."""
        X, center, scale = self._matched(X)
        return (X - center) / scale

    def undo(self, X: Any) -> Tensor:
        """Stored units to original ones; X has shape (..., in)."""
        X, center, scale = self._matched(X)
        return X * scale + center

    def _matched(self, X: Any) -> tuple[Tensor, Tensor, Tensor]:
        X = torch.as_tensor(X)
        X = X if X.is_floating_point() else X.to(torch.float64)
        if X.ndim == 0 or X.shape[-1] != len(self.center):
            raise DataError(f"This scaling is for {len(self.center)} columns, got an array of shape {tuple(X.shape)}.")
        return X, X.new_tensor(self.center), X.new_tensor(self.scale)

    @classmethod
    def fitted(cls, X: Tensor, kind: Scale) -> "Scaling":
        """The scaling of (N, in) to mean 0, deviation 1 ("standard") or to [-1, 1] ("range"); constants are centred."""
        if kind == "standard":
            center, scale = X.mean(dim=0), X.std(dim=0, correction=0)
        elif kind == "range":
            low, high = X.amin(dim=0), X.amax(dim=0)
            center, scale = low / 2 + high / 2, high / 2 - low / 2
        else:
            raise DataError(f"scale={kind!r} is not known: use 'standard', 'range' or False.")
        constant = X.amin(dim=0) == X.amax(dim=0)
        return cls(tuple(center.tolist()), tuple(torch.where(constant, torch.ones_like(scale), scale).tolist()))


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Inputs (N, in) and targets (N, out) on the CPU, in three parts; validation and test may have no rows.

    Inputs are stored scaled if `scaling` is set. `units` holds the units of columns by name, before any scaling, as
    far as they are known. `ranges` is the domain the inputs were drawn from, (low, high) each, in stored units; None
    where that is not known. Made by `from_arrays`, `from_csv`, `from_dict`, `sample` and
    `load_table`; changed copies come from `to`, `select` and `dataclasses.replace`.
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

    def __post_init__(self) -> None:
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
            raise DataError("There are no training rows: at least one is needed.")
        check_unique((*self.input_names, *self.target_names), "The names of inputs and targets")
        check_units(self.units, (*self.input_names, *self.target_names))

    def label(self, name: str) -> str:
        """How an axis that shows a column is labelled: `speed [m/s]`, or `speed (scaled)` where it is stored so."""
        if name not in (*self.input_names, *self.target_names):
            raise DataError(unknown_name(name, (*self.input_names, *self.target_names), "column"))
        if self.scaling and name in self.input_names:
            return f"{name} (scaled)"
        return with_unit(name, self.units)

    @property
    def n_inputs(self) -> int:
        return len(self.input_names)

    @property
    def n_outputs(self) -> int:
        return len(self.target_names)

    def rows(self) -> Rows:
        """How many training, validation and test rows there are."""
        return Rows(len(self.X_train), len(self.X_val), len(self.X_test))

    def __repr__(self) -> str:
        train, validation, test = self.rows()
        title = f"{self.title}: " if self.title else ""
        inputs = f"{self.n_inputs} input{'s' if self.n_inputs > 1 else ''}{' (scaled)' if self.scaling else ''}"
        dtype = str(self.X_train.dtype).removeprefix("torch.")
        return (
            f"Dataset({title}{train:,} training, {validation:,} validation and {test:,} test rows; "
            f"{inputs} {_brief(self.input_names, self.units)} -> {_brief(self.target_names, self.units)}; {dtype})"
        )

    def to(self, dtype: torch.dtype) -> "Dataset":
        """The same data in another floating-point type."""
        check_dtype(dtype)
        return dataclasses.replace(self, **{name: getattr(self, name).to(dtype) for name in _TENSORS})

    def select(self, inputs: Sequence[str | int]) -> "Dataset":
        """The data set with only these inputs, by name or place, in this order. Raises DataError for unknown ones."""
        places = [self._place(one) for one in ([inputs] if isinstance(inputs, (str, int)) else inputs)]
        if not places:
            raise DataError(f"select() got no inputs: name at least one of {listed(self.input_names)}.")
        names = tuple(self.input_names[i] for i in places)
        check_unique(names, "The inputs to select")
        columns = {f"X_{part}": getattr(self, f"X_{part}")[:, places] for part in ("train", "val", "test")}
        scaling = self.scaling and Scaling(
            tuple(self.scaling.center[i] for i in places), tuple(self.scaling.scale[i] for i in places)
        )
        ranges = self.ranges and tuple(self.ranges[i] for i in places)
        units = {name: unit for name, unit in self.units.items() if name in (*names, *self.target_names)}
        return dataclasses.replace(self, **columns, input_names=names, scaling=scaling, ranges=ranges, units=units)

    def _place(self, one: str | int) -> int:
        if isinstance(one, str):
            if one not in self.input_names:
                raise DataError(unknown_name(one, self.input_names, "input"))
            return self.input_names.index(one)
        if not 0 <= one < self.n_inputs:
            raise DataError(f"There is no input {one}: the {self.n_inputs} inputs are numbered from 0.")
        return one

    @classmethod
    def from_arrays(
        cls,
        X: Any,
        y: Any,
        test: float | None = None,
        validation: float = 0.2,
        names: Sequence[str] | None = None,
        target_names: Sequence[str] | str | None = None,
        X_test: Any = None,
        y_test: Any = None,
        scale: Scale = False,
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
        title: str = "",
        units: Mapping[str, str] | None = None,
    ) -> "Dataset":
        """A data set from NumPy arrays, tensors, tables of pandas, or nested lists, which are copied, never edited.

        The rows are shuffled by `seed` and split: `test` is the share set aside for the test (default 0.2, or 0 where
        X_test and y_test are given), `validation` the share of what remains. Names are those of a data frame, or
        x_1, x_2, ... and y, unless given; one such as `speed [m/s]` or `speed (m/s)` is the name speed and its unit,
        and `units={"speed": "m/s"}` says it too. `scale` maps the inputs to mean 0 and deviation 1 ("standard") or
        to [-1, 1] ("range") with figures from the training rows alone; targets keep their units.
        Raises DataError for anything but finite numbers in matching rows; warns about constant columns.
        """
        check_dtype(dtype)
        target_names = (target_names,) if isinstance(target_names, str) else target_names
        _check_same_order(X, y)
        X, own_names = matrix(X, "X", names)
        y, own_targets = matrix(y, "y", target_names)
        if len(X) != len(y):
            raise DataError(f"X has {len(X)} rows and y has {len(y)}: every row needs its target.")
        names, target_names, units = resolved_names(
            names or own_names, target_names or own_targets, X.shape[1], y.shape[1], units
        )

        given = X_test is not None
        if given != (y_test is not None):
            raise DataError("X_test and y_test come together: only one of them was given.")
        if given and test:
            raise DataError(f"test={test} and X_test were both given: pass a share to split off, or the test rows.")
        if test is None:
            test = 0.0 if given else 0.2
        train_rows, val_rows, test_rows = _split(len(X), test, validation, seeded(seed))
        held_out = (X[test_rows], y[test_rows])
        if given:
            held_out = (_matching(X_test, "X_test", names), _matching(y_test, "y_test", target_names))
            if len(held_out[0]) != len(held_out[1]):
                raise DataError(f"X_test has {len(held_out[0])} rows and y_test has {len(held_out[1])}.")
        parts = (X[train_rows], y[train_rows], X[val_rows], y[val_rows], *held_out)
        return assemble(parts, names, target_names, scale=scale, dtype=dtype, title=title, units=units)

    @classmethod
    def from_csv(
        cls,
        path: str | PathLike,
        target: str | Sequence[str],
        inputs: Sequence[str] | None = None,
        *,
        separator: str | None = None,
        decimal: str | None = None,
        **options: Any,
    ) -> "Dataset":
        """A data set from a CSV or Parquet file: columns `target`, and `inputs` or else all the others.

        Names are those of the first line, with or without a unit in brackets. What separates the values of a CSV file
        and marks their decimals is found out, with a warning where it is not comma and point, unless `separator` and
        `decimal` say it. The other options are those of `from_arrays`. Raises DataError for a file that is not a
        table of numbers, and for names that are not in it.
        """
        from knotwork.data.tables import choose, read_file

        X, y = choose(read_file(path, separator, decimal), target, inputs)
        return cls.from_arrays(X, y, **{"title": Path(path).name, **options})

    from_parquet = from_csv

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], **options: Any) -> "Dataset":
        """A data set from pykan's form: train_input, train_label, test_input, test_label, each (N, columns).

        The options are those of `from_arrays`, which splits the validation rows off the training rows.
        """
        missing = [key for key in PYKAN_KEYS if key not in data]
        if missing:
            raise DataError(f"The dict lacks {listed(missing)}: it needs the keys {listed(PYKAN_KEYS)}.")
        X, y, X_test, y_test = (data[key] for key in PYKAN_KEYS)
        return cls.from_arrays(X, y, X_test=X_test, y_test=y_test, **options)


_TENSORS = ("X_train", "y_train", "X_val", "y_val", "X_test", "y_test")
PYKAN_KEYS = ("train_input", "train_label", "test_input", "test_label")


def assemble(
    parts: Sequence[Tensor],
    names: Sequence[str],
    target_names: Sequence[str],
    *,
    scale: Scale,
    dtype: torch.dtype,
    title: str,
    ranges: Sequence[tuple[float, float]] | None = None,
    units: Mapping[str, str] | None = None,
) -> Dataset:
    """The Dataset of six float64 parts (X_train, y_train, X_val, ...) in original units, scaled and cast as asked.

    Warns about inputs and targets that are constant over the training rows.
    """
    tensors = dict(zip(_TENSORS, parts, strict=True))
    _warn_of_constants(tensors["X_train"], names, "Input", "it cannot explain anything")
    _warn_of_constants(tensors["y_train"], target_names, "Target", "there is nothing to explain")
    scaling = Scaling.fitted(tensors["X_train"], scale) if scale else None
    if scaling:
        tensors |= {name: scaling.apply(tensors[name]) for name in ("X_train", "X_val", "X_test")}
        if ranges is not None:
            corners = scaling.apply(torch.tensor(ranges, dtype=torch.float64).T).T
            ranges = [(low, high) for low, high in corners.tolist()]
    tensors = {name: tensor.to(dtype) for name, tensor in tensors.items()}
    for name, tensor in tensors.items():
        what = f"{name} as {str(dtype).removeprefix('torch.')}"
        check_finite(tensor, what, names if name.startswith("X") else target_names)
    return Dataset(
        **tensors,
        input_names=tuple(names),
        target_names=tuple(target_names),
        scaling=scaling,
        ranges=None if ranges is None else tuple(ranges),
        title=title,
        units=dict(units or {}),
    )


def default_target(names: Sequence[str], wanted: str = "y") -> str:
    """A name for the target that no input has."""
    return next(name for name in (wanted, "y", "f", "target", "_".join(("target", *names))) if name not in names)


def resolved_names(
    names: Sequence[str] | None,
    target_names: Sequence[str] | str | None,
    inputs: int,
    targets: int,
    units: Mapping[str, str] | None = None,
) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, str]]:
    """Names of inputs and targets, those given or else x_1, x_2, ... and y, and the units they bring or are told."""
    target_names = (target_names,) if isinstance(target_names, str) else target_names
    names = _named(names, [f"x_{i + 1}" for i in range(inputs)], "names", "X")
    target_names = _named(target_names, _default_targets(targets, names), "target_names", "y")
    every, found = split_units((*names, *target_names))
    check_unique(every, "The names of inputs and targets")
    if units is not None:
        check_units(units, every)
    units = {name: unit for name, unit in {**found, **(units or {})}.items() if unit}
    return every[: len(names)], every[len(names) :], units


def _default_targets(count: int, names: Sequence[str]) -> list[str]:
    stem = default_target(names)
    return [stem] if count == 1 else [f"{stem}_{i + 1}" for i in range(count)]


def _named(names: Sequence[str] | None, default: Sequence[str], option: str, what: str) -> tuple[str, ...]:
    names = tuple(default) if names is None else tuple(str(name) for name in names)
    if len(names) != len(default):
        raise DataError(f"{option} has {len(names)} names, but {what} has {len(default)} columns: give one name each.")
    return names


def _matching(values: Any, what: str, names: tuple[str, ...]) -> Tensor:
    """Test rows, whose columns must be those of the training rows."""
    table, own = matrix(values, what, names)
    own = None if own is None else split_units(own)[0]
    if table.shape[1] != len(names):
        raise DataError(f"{what} has {table.shape[1]} columns, but the training rows have {len(names)}.")
    if own is not None and hasattr(values, "columns") and set(own) == set(names) and own != names:
        raise DataError(f"The columns of {what} are in another order than those of the training rows: reorder them.")
    return table


def check_share(name: str, share: object) -> None:
    """Raises DataError unless this is a number from 0 up to, but below, 1."""
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share < 1:
        raise DataError(f"{name}={share!r} is not a share of the rows: give a number from 0 up to, but below, 1.")


def _split(count: int, test: float, validation: float, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Shuffled row numbers of the training, validation and test parts; a share above zero gets at least one row."""
    check_share("test", test)
    check_share("validation", validation)
    n_test = max(1, round(test * count)) if test else 0
    n_val = max(1, round(validation * (count - n_test))) if validation else 0
    if n_test + n_val >= count:
        rows = "1 row" if count == 1 else f"{count} rows"
        raise DataError(
            f"{rows} cannot be split into training rows, {n_test} test and {n_val} validation rows (test={test}, "
            f"validation={validation}): bring more rows or set smaller shares."
        )
    order = torch.randperm(count, generator=generator)
    test_rows, val_rows, train_rows = order.split([n_test, n_val, count - n_test - n_val])
    return train_rows, val_rows, test_rows


def _check_same_order(X: Any, y: Any) -> None:
    """Pandas rows carry labels: the same labels in another order would pair rows with the wrong targets."""
    if not (hasattr(X, "iloc") and hasattr(y, "iloc")) or len(X) != len(y) or X.index.equals(y.index):
        return
    if X.index.isin(y.index).all():
        raise DataError("X and y have the same row labels in different orders: align them with y = y.loc[X.index].")


def check_dtype(dtype: Any) -> None:
    """Raises DataError unless this is a floating-point type of torch."""
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise DataError(f"dtype={dtype} cannot hold the data: use torch.float64 or torch.float32.")


def _warn_of_constants(table: Tensor, names: Sequence[str], what: str, consequence: str) -> None:
    if len(table) < 2:
        return
    constant = [name for name, same in zip(names, (table == table[0]).all(dim=0).tolist(), strict=True) if same]
    if constant:
        text = f"{what} {listed(constant)} is constant over the training rows: {consequence}."
        warnings.warn(text, KnotworkWarning, stacklevel=4)


def _brief(names: Sequence[str], units: Mapping[str, str]) -> str:
    shown = [with_unit(name, units) for name in names]
    return ", ".join(shown if len(shown) <= 6 else (*shown[:5], "..."))
