"""The affine map between the units of the user and the stored inputs."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from knotwork.data.arrays import table_of
from knotwork.errors import DataError

Scale = Literal["standard", "range", False]


@dataclass(frozen=True)
class Scaling:
    """The affine map of the inputs, (X - center) / scale for each column, and its inverse.

    Attributes:
        center: The value of each column that is stored as 0, in the column's own unit.
        scale: The length that is stored as 1, in the column's own unit.
    """

    center: tuple[float, ...]
    scale: tuple[float, ...]

    def apply(self, X: Any) -> Tensor:
        """The stored values of X (..., in), which is in the original units."""
        X, center, scale = self._matched(X)
        return (X - center) / scale

    def undo(self, X: Any) -> Tensor:
        """The values in the original units of X (..., in), which holds stored values."""
        X, center, scale = self._matched(X)
        return X * scale + center

    def _matched(self, X: Any) -> tuple[Tensor, Tensor, Tensor]:
        X = X if isinstance(X, Tensor) else table_of(X, "X")[0]
        X = X if X.is_floating_point() else X.to(torch.float64)
        if X.ndim == 0 or X.shape[-1] != len(self.center):
            raise DataError(f"This scaling is for {len(self.center)} columns, got an array of shape {tuple(X.shape)}.")
        return X, X.new_tensor(self.center), X.new_tensor(self.scale)

    @classmethod
    def fitted(cls, X: Tensor, kind: Scale) -> "Scaling":
        """The scaling of X (N, in) to mean 0 and standard deviation 1 ("standard") or to [-1, 1] ("range").

        A constant column is stored as 0 and keeps its unit. Raises DataError for another `kind`.
        """
        if kind == "standard":
            center, scale = X.mean(dim=0), X.std(dim=0, correction=0)
        elif kind == "range":
            low, high = X.amin(dim=0), X.amax(dim=0)
            center, scale = low / 2 + high / 2, high / 2 - low / 2
        else:
            raise DataError(f"scale={kind!r} is not known: use 'standard', 'range' or False.")
        constant = X.amin(dim=0) == X.amax(dim=0)
        return cls(tuple(center.tolist()), tuple(torch.where(constant, torch.ones_like(scale), scale).tolist()))
