"""Which calls the compiled kernels serve; every other call goes to the reference.

The C++ reads memory directly, so it takes ordinary float32 and float64 tensors on the CPU, in eager mode.
"""

import torch
from torch import Tensor
from torch.nn import Parameter

from knotwork.kernels import _compiled
from knotwork.kernels.torch_internals import has_storage, nothing_observes

HIGHEST_DERIVATIVE: int = _compiled.HIGHEST_DERIVATIVE
HIGHEST_ORDER: int = _compiled.HIGHEST_ORDER
_KNOTS_BELOW = 2**16  # of an input: the C++ numbers intervals by 16 bits
_DTYPES = (torch.float32, torch.float64)


def plain(dtype: torch.dtype, *tensors: Tensor) -> bool:
    """Whether these are ordinary CPU tensors of this dtype, with memory that can be read."""
    for t in tensors:  # a loop, since a generator in all() takes a microsecond
        if not (type(t) in (Tensor, Parameter) and t.dtype is dtype and t.is_cpu and not t.is_neg() and has_storage(t)):
            return False
    return True


def untransformed(*tensors: Tensor) -> bool:
    """Whether these are ordinary CPU tensors of one dtype and nothing observes or transforms the operations."""
    return nothing_observes() and plain(tensors[0].dtype, *tensors)


def readable(x: Tensor, knots: Tensor, k: int) -> bool:
    """Whether the compiled kernels serve samples x (batch, in) on these knots (in, G + 2k + 1)."""
    return (
        untransformed(x)
        and x.dtype in _DTYPES
        and x.dtype is knots.dtype
        and knots.is_cpu
        and k <= HIGHEST_ORDER
        and (knots.dim() != 2 or knots.shape[1] < _KNOTS_BELOW)
    )
