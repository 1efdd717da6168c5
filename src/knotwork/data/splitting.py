"""The numbers of training, validation and test rows, and the random split."""

from numbers import Integral, Real
from typing import NamedTuple

import torch
from torch import Tensor

from knotwork.errors import DataError


class Rows(NamedTuple):
    """The number of training, validation and test rows of a data set."""

    train: int
    validation: int
    test: int


def row_count(name: str, size: object, of: int) -> int:
    """The number of rows for `size`: an int counts rows, a float is a share of `of` rows.

    A share above zero gives at least one row. `name` is used in the message.
    Raises DataError for a negative or boolean `size`, and for a float outside [0, 1).
    """
    if isinstance(size, Integral) and not isinstance(size, bool) and int(size) >= 0:
        return int(size)
    if isinstance(size, Real) and not isinstance(size, Integral) and 0 <= float(size) < 1:
        return max(1, round(float(size) * of)) if size else 0
    raise DataError(
        f"{name}={size!r} is not possible: give a number of rows (an int of 0 or more) or a share of the rows "
        "(a float from 0 up to, but below, 1)."
    )


def split_rows(
    count: int, test_size: float, validation_size: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Shuffled row numbers of the training, validation and test parts of `count` rows.

    Each size is an int (rows) or a float (a share: of all rows for the test, of the rest for validation).
    Raises DataError where no training row would be left.
    """
    n_test = row_count("test_size", test_size, count)
    n_val = row_count("validation_size", validation_size, count - n_test)
    check_split(count, n_test, n_val, test_size, validation_size)
    order = torch.randperm(count, generator=generator, device="cpu")
    test_rows, val_rows, train_rows = order.split([n_test, n_val, count - n_test - n_val])
    return train_rows, val_rows, test_rows


def check_split(count: int, n_test: int, n_val: int, test_size: float, validation_size: float) -> None:
    """Raises DataError unless at least one of `count` rows is left for training."""
    if n_test + n_val >= count:
        rows = "1 row" if count == 1 else f"{count} rows"
        raise DataError(
            f"{rows} cannot be split into training rows, {n_test} test and {n_val} validation rows "
            f"(test_size={test_size}, validation_size={validation_size}): add rows or choose smaller sizes."
        )
