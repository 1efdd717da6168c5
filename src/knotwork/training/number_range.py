"""Whether numbers of a floating-point type can hold the values of a table."""

import torch
from torch import nn

from knotwork.data import Dataset
from knotwork.errors import DataError, warn
from knotwork.model import KANNetwork
from knotwork.training.settings import TRAINING


def check_range(data: Dataset, dtype: torch.dtype, model: nn.Module) -> None:
    """DataError for values so large or so small that a network of this type cannot be fitted to them.

    Warns of inputs of a KAN whose differences are lost when they are rounded to this type.
    """
    kind, info = str(dtype).removeprefix("torch."), torch.finfo(dtype)
    advice = "use another unit" if dtype == torch.float64 else "use another unit, or a network with dtype=torch.float64"
    named = ((data.X_train, data.input_names), (data.y_train, data.target_names))
    for values, names in named:
        for column, name in zip(values.T, names, strict=True):
            size = float(column.abs().max()) if len(column) else 0.0
            if size > info.max * TRAINING.largest_share_of_range:
                raise DataError(f"{name!r} holds values of {size:.3g}, too large to compute with in {kind}: {advice}.")
    for column, name in zip(data.y_train.T, data.target_names, strict=True):
        low, high = (float(column.min()), float(column.max())) if len(column) else (0.0, 0.0)
        spread = high - low
        if 0 < spread < info.smallest_normal * TRAINING.smallest_multiple_of_normal:
            raise DataError(f"{name!r} varies by {spread:.3g}, too little to compute with in {kind}: {advice}.")
        if dtype == torch.float32 and 0 < spread < TRAINING.digits_of_target * info.eps * max(abs(low), abs(high)):
            raise DataError(
                f"{name!r} varies by {spread:.3g} about {low:.6g}, which {kind} cannot resolve: subtract {low:.6g}, or "
                "use a network with dtype=torch.float64."
            )
    for i in model.structure.inputs if isinstance(model, KANNetwork) else ():
        column, name = data.X_train[:, i], data.input_names[i]
        low, high = float(column.min()), float(column.max())
        if 0 < high - low < info.smallest_normal * TRAINING.knots_above_normal:
            raise DataError(f"{name!r} varies by {high - low:.3g}, too little to compute with in {kind}: {advice}.")
        if 0 < high - low <= TRAINING.constant_input * info.eps * max(abs(low), abs(high)):
            warn(
                f"{name!r} varies by {high - low:.3g} about {low:.6g}, which {kind} cannot resolve, so that it counts "
                f"as a constant: subtract {low:.6g}{'' if dtype == torch.float64 else ', or use dtype=torch.float64'}."
            )
