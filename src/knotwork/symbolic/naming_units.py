"""Units in which the edges of a network are named: inputs and targets of any size become numbers of usual size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from knotwork.data import Dataset
from knotwork.formulas.candidates import unit_of
from knotwork.model import KANNetwork
from knotwork.symbolic.settings import SYMBOLIC
from knotwork.training.levenberg_marquardt import NORMAL
from knotwork.training.likelihood import Goal
from knotwork.training.standardization import Standardization, carriers_of, rescale_inputs, rescale_outputs


@dataclass(frozen=True)
class Units:
    """Inputs become (x - zero) / unit, with `zero` and `unit` (in,), and targets what `targets` says.

    Refits would fail otherwise: constants would differ by many orders of magnitude, and a slope and an offset far from
    all rows could not be told apart. Units are powers of two, which change no digit. Nothing changes for usual numbers.
    """

    zero: Tensor
    unit: Tensor
    targets: Standardization

    @classmethod
    def of(cls, data: Dataset, network: KANNetwork, goal: Goal) -> Units:
        """The units for the training rows; labels have none."""
        zero, unit = _middle(data.X_train), [_unit(column) for column in data.X_train.unbind(1)]
        targets = Standardization.none(data.n_outputs)
        if goal is NORMAL:
            targets = replace(targets, shift=_middle(data.y_train), scale=unit_of(data.y_train)).possible_for(network)
        return cls(zero, zero.new_tensor(unit), targets)

    def change(self, network: KANNetwork) -> bool:
        """Whether any unit is another than the network's own."""
        return self.targets.changes(network) or bool(((self.zero != 0) | (self.unit != 1)).any())

    def rows(self, data: Dataset) -> Dataset:
        """The data with training rows in these units."""
        x = ((data.X_train.double() - self.zero) / self.unit).to(data.X_train.dtype)
        return replace(data, X_train=x, y_train=self.targets(data.y_train))

    def enter(self, network: KANNetwork) -> list[int | None]:
        """Express a network of the user's units in these, in place; the edges that carry the shift of the targets."""
        carriers, scale = carriers_of(network), self.targets.scale
        rescale_inputs(network, 1 / self.unit, -self.zero / self.unit)
        rescale_outputs(network, 1.0, scale, -self.targets.shift / scale, carriers)
        return carriers

    def leave(self, network: KANNetwork, carriers: Sequence[int | None]) -> None:
        """The inverse of `enter`."""
        rescale_inputs(network, self.unit, self.zero)
        rescale_outputs(network, self.targets.scale, 1.0, self.targets.shift, carriers)


def _middle(values: Tensor) -> Tensor:
    """For each column (rows,) the middle of its values where it is far from all of them, else 0."""
    values = values.cpu().double()
    low, high = values.amin(0), values.amax(0)
    middle, half = low / 2 + high / 2, high / 2 - low / 2
    return torch.where((half > 0) & (middle.abs() > SYMBOLIC.far * half), middle, torch.zeros_like(middle))


def _unit(column: Tensor) -> float:
    """The unit of a column: a power of two near its spread, 1 for usual spreads."""
    half = float(column.max()) / 2 - float(column.min()) / 2
    exponent = math.frexp(half)[1]
    return 1.0 if not 0 < half < math.inf or abs(exponent) <= SYMBOLIC.usual_exponent else 2.0 ** max(exponent, -1022)
