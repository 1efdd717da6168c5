"""The errors of rows: how much each row counts in a fit, and how large the errors of the targets are."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from knotwork.errors import DataError


@dataclass(frozen=True, eq=False)
class RowErrors:
    """What is known about the errors of the rows of a `Dataset`.

    Attributes:
        weights: how much each training, validation and test row counts, one tensor (n,) each; 1 on average over the
            training and validation rows.
        deviation: the standard deviation of the error of a row of weight 1, in units of the target. None where only the
            weights are known.
        shares: the factors (n,) of the weights of training, validation and test rows that follow from residuals, not
            from what is known of the rows: up to 1, and 1 where residuals count as squares. None where there are none.
    """

    weights: tuple[Tensor, Tensor, Tensor]
    deviation: float | None = None
    shares: tuple[Tensor, Tensor, Tensor] | None = None

    @classmethod
    def of_sigma(cls, parts: Sequence[Tensor]) -> "RowErrors":
        """From the standard deviation of each row's error, (n,) for training, validation and test rows."""
        unit = float(torch.cat([parts[0], parts[1]]).min())  # squares of 1e200 overflow
        weights = [(unit / part).square() for part in parts]
        mean = float(torch.cat(weights[:2]).mean())
        return cls((weights[0] / mean, weights[1] / mean, weights[2] / mean), unit / mean**0.5)

    @classmethod
    def of_weights(cls, parts: Sequence[Tensor]) -> "RowErrors":
        """From weights of any size, (n,) for training, validation and test rows."""
        unit = float(torch.cat([parts[0], parts[1]]).max())
        mean = unit * float(torch.cat([parts[0] / unit, parts[1] / unit]).mean())
        return cls((parts[0] / mean, parts[1] / mean, parts[2] / mean))

    @classmethod
    def equal(cls, rows: Sequence[int]) -> "RowErrors":
        """Weights of 1 for so many training, validation and test rows."""
        train, validation, test = (torch.ones(count, dtype=torch.float64) for count in rows)
        return cls((train, validation, test))

    @property
    def fitted(self) -> Tensor:
        """The weights of the training rows, then those of the validation rows."""
        return torch.cat(self.weights[:2])

    @property
    def fitted_shares(self) -> Tensor | None:
        """The shares of the training rows, then those of the validation rows."""
        return None if self.shares is None else torch.cat(self.shares[:2])

    def check(self, rows: Sequence[int]) -> None:
        """Raises DataError unless there is a weight for each of so many training, validation and test rows."""
        if [len(part) for part in self.weights] != list(rows):
            own = ", ".join(str(len(part)) for part in self.weights)
            raise DataError(f"errors= is for {own} training, validation and test rows, but the data has {tuple(rows)}.")
