"""Some of the inputs of a data set, with what is known about them."""

from collections.abc import Sequence
from dataclasses import replace

from knotwork.data.column_names import check_unique, listed, unknown_name
from knotwork.data.dataset import Dataset
from knotwork.data.scaling import Scaling
from knotwork.errors import DataError


def columns_taken(data: Dataset, inputs: Sequence[str | int]) -> Dataset:
    """The data with these inputs, given by names or numbers; DataError for unknown, repeated or no ones."""
    places = [_place(data, one) for one in inputs]
    if not places:
        raise DataError(f"select() got no inputs: name at least one of {listed(data.input_names)}.")
    names = tuple(data.input_names[i] for i in places)
    check_unique(names, "The inputs to select")
    columns = {f"X_{part}": getattr(data, f"X_{part}")[:, places] for part in ("train", "val", "test")}
    scaling = data.scaling and Scaling(
        tuple(data.scaling.center[i] for i in places), tuple(data.scaling.scale[i] for i in places)
    )
    ranges = data.ranges and tuple(data.ranges[i] for i in places)
    units = {name: unit for name, unit in data.units.items() if name in (*names, *data.target_names)}
    return replace(data, **columns, input_names=names, scaling=scaling, ranges=ranges, units=units)


def _place(data: Dataset, one: str | int) -> int:
    if isinstance(one, str):
        if one not in data.input_names:
            raise DataError(unknown_name(one, data.input_names, "input"))
        return data.input_names.index(one)
    if not 0 <= one < data.n_inputs:
        raise DataError(f"There is no input {one}: the {data.n_inputs} inputs are numbered from 0.")
    return one
