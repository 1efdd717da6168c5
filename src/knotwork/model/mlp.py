"""The baseline that every claim about KANs is measured against."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from knotwork.errors import SpecError


class MLP(nn.Module):
    """Linear maps with SiLU between them (eq. 2.9): (..., in) → (..., out), float64 unless dtype is given."""

    def __init__(self, width: Sequence[int], *, seed: int | None = None, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        if len(width) < 2:
            raise SpecError(
                f"width={list(width)} does not describe a network: give at least an input and an output layer, such as "
                "width=[2, 20, 1]."
            )
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(width):
            linear = nn.Linear(n_in, n_out, device="meta", dtype=dtype).to_empty(device="cpu")
            bound = n_in**-0.5  # as nn.Linear starts, but from our own generator
            for values in (linear.weight, linear.bias):
                nn.init.uniform_(values, -bound, bound, generator=generator)
            layers += [linear, nn.SiLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.to(next(self.parameters()).dtype))
