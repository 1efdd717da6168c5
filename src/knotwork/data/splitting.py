"""The numbers of training, validation and test rows, and the random split."""

from numbers import Integral, Real
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from knotwork.data.settings import DATA
from knotwork.errors import DataError

if TYPE_CHECKING:
    from knotwork.data.row_split import RowSplit


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


def equal_rows(*parts: Tensor) -> Tensor:
    """A number (N,) for each row of these tables (N, columns) side by side: equal rows have the same one.

    Rows are told apart by sums of 64 bits. Each value is mixed first (as in the finaliser of MurmurHash3, Appleby
    2011), since the last bits of round numbers are zero: sums of their multiples would soon be equal.
    """
    columns = [column for part in parts for column in part.unbind(1)]
    factors = 2 * torch.randint(2**62, (len(columns), 3), generator=torch.Generator().manual_seed(0)) + 1
    sums = torch.zeros(len(parts[0]), dtype=torch.int64, device="cpu")
    for column, own in zip(columns, factors, strict=True):
        bits = (column.double() + 0.0).contiguous().view(torch.int64)  # + 0.0: -0 and 0 are equal
        for factor in own:
            bits = (bits ^ (bits >> 32 & 0xFFFFFFFF)) * factor
        sums += bits
    return torch.unique(sums, return_inverse=True)[1]


def split_rows(
    count: int,
    test_size: float,
    validation_size: float,
    generator: torch.Generator,
    equal: Tensor | None = None,
    kept: "RowSplit | None" = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Shuffled row numbers of the training, validation and test parts of `count` rows.

    Each size is an int (rows) or a float (a share: of all rows for the test, of the rest for validation). Rows with the
    same number in `equal` (count,) stay in one part, whose size is then the nearest possible one; so do those that a
    split keeps together, if there is one.
    Raises DataError where no training row would be left.
    """
    n_test = row_count("test_size", test_size, count)
    n_val = row_count("validation_size", validation_size, count - n_test)
    check_split(count, n_test, n_val, test_size, validation_size)
    if kept is not None:
        kept.check(count)
        return kept.parts(n_test, n_val, generator)
    order = torch.randperm(count, generator=generator, device="cpu")
    if equal is not None and DATA.fewest_distinct <= int(equal.max()) + 1 < count:
        order, n_test, n_val = order_together(order, equal, n_test, n_val)
    test_rows, val_rows, train_rows = order.split([n_test, n_val, count - n_test - n_val])
    return train_rows, val_rows, test_rows


def order_together(order: Tensor, equal: Tensor, n_test: int, n_val: int) -> tuple[Tensor, int, int]:
    """The order with equal rows next to each other, and sizes of test and validation parts that keep them together."""
    groups = equal[order]
    first = torch.full((int(equal.max()) + 1,), len(order)).scatter_reduce(0, groups, torch.arange(len(order)), "amin")
    order = order[first[groups].argsort(stable=True)]
    groups = equal[order]
    bounds = [0, *(torch.nonzero(groups[1:] != groups[:-1])[:, 0] + 1).tolist(), len(order)]

    def nearest(size: int, least: int, most: int) -> int:
        return min(range(least, most + 1), key=lambda k: abs(bounds[k] - size))

    last = len(bounds) - 2  # one group at least is left for training
    test = nearest(n_test, 1, last - (n_val > 0)) if n_test else 0
    end = nearest(n_test + n_val, test + 1, last) if n_val else test
    return order, bounds[test], bounds[end] - bounds[test]


def check_split(count: int, n_test: int, n_val: int, test_size: float, validation_size: float) -> None:
    """Raises DataError unless at least one of `count` rows is left for training."""
    if n_test + n_val >= count:
        rows = "1 row" if count == 1 else f"{count} rows"
        raise DataError(
            f"{rows} cannot be split into training rows, {n_test} test and {n_val} validation rows "
            f"(test_size={test_size}, validation_size={validation_size}): add rows or choose smaller sizes."
        )
