"""Some rows of a data set, with what is known about them."""

from dataclasses import replace

from torch import Tensor

from knotwork.data.dataset import Dataset

Part = slice | Tensor


def rows_taken(data: Dataset, train: Part, validation: Part, test: Part) -> Dataset:
    """The data with these of its rows (slices, masks or numbers) and what is known about them."""
    parts = {"train": train, "val": validation, "test": test}
    changed = {f"{x}_{name}": getattr(data, f"{x}_{name}")[part] for name, part in parts.items() for x in "Xy"}
    errors, numbers = data.errors, data.row_numbers
    if errors is not None:
        known = {"weights": errors.weights, "shares": errors.shares}
        kept = {
            name: tuple(own[part] for own, part in zip(every, parts.values(), strict=True))
            for name, every in known.items()
            if every is not None
        }
        errors = replace(errors, **kept)
    if numbers is not None:
        numbers = tuple(own[part] for own, part in zip(numbers, parts.values(), strict=True))
    return replace(data, **changed, errors=errors, row_numbers=numbers)
