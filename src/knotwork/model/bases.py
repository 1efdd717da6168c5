"""Base functions b of an edge (eq. 2.10, 2.11), each with its derivative."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn.functional import silu


def _silu_slope(x: Tensor) -> Tensor:
    s = torch.sigmoid(x)
    return s * (1 + x * (1 - s))


BASES: Mapping[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "silu": (silu, _silu_slope),
    "identity": (lambda x: x, torch.ones_like),
    "sine": (torch.sin, torch.cos),
    "zero": (torch.zeros_like, torch.zeros_like),
}
