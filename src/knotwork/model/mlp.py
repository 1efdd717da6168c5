"""The multilayer perceptron that KANs are compared with."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from knotwork.errors import SpecError
from knotwork.keywords import check_keywords


@check_keywords
class MLP(nn.Module):
    """A multilayer perceptron, the baseline for KANs: linear maps with SiLU between them (eq. 2.9).

    Calling it maps (..., width[0]) to (..., width[-1]).

    Args:
        width: nodes of each layer, inputs first, such as [2, 20, 1].
        seed: makes the initial values reproducible; torch's own generator is not touched. None draws them at random.
        dtype: float64 by default, as in `KAN`, so that both are compared at the same precision.
        device: where the network is, as in `KAN`.

    Raises:
        SpecError: `width` has fewer than two numbers.

    Example:
        >>> import torch, knotwork as kw
        >>> model = kw.MLP([2, 20, 1], seed=0)
        >>> model(torch.zeros(10, 2)).shape
        torch.Size([10, 1])
    """

    def __init__(
        self,
        width: Sequence[int],
        *,
        seed: int | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> None:
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
        if device is not None:
            self.to(device)

    def forward(self, x: Tensor) -> Tensor:
        """The outputs (..., out) for x (..., in), in the dtype of the parameters."""
        return self.layers(x.to(next(self.parameters()).dtype))
