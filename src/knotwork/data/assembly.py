"""A Dataset from its six parts: scaled, cast to its dtype and checked."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from knotwork.data.dataset import TENSORS, Dataset
from knotwork.data.matrix import check_finite, warn_of_constants
from knotwork.data.scaling import Scale, Scaling


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
    row_numbers: tuple[Tensor, Tensor, Tensor] | None = None,
) -> Dataset:
    """The Dataset of six float64 parts (X_train, y_train, X_val, ...) in original units, scaled and cast as specified.

    Warns about inputs and targets that are constant over the training rows.
    """
    tensors = dict(zip(TENSORS, parts, strict=True))
    warn_of_constants(tensors["X_train"], names, "Input", "it cannot explain anything")
    warn_of_constants(tensors["y_train"], target_names, "Target", "there is nothing to explain")
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
        *(tensors[name] for name in TENSORS),
        input_names=tuple(names),
        target_names=tuple(target_names),
        scaling=scaling,
        ranges=None if ranges is None else tuple(ranges),
        title=title,
        units=dict(units or {}),
        errors=None,
        row_numbers=row_numbers,
    )
