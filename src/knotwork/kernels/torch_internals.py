"""All that the package uses of torch's private names, in one place.

Tried with torch 2.7.0 and 2.13.0, the oldest that pyproject.toml allows and the one in constraints.txt. When a new
torch renames one of them, this is the only file to change; `make versions` tries the oldest and the newest.
"""

from typing import Any

import torch
from torch._C import (
    _are_functorch_transforms_active,
    _get_tracing_state,
    _has_storage,
    _len_torch_dispatch_stack,
    _will_engine_execute_node,
)
from torch.autograd import forward_ad
from torch.compiler import is_compiling

has_storage = _has_storage
"""Whether a tensor has memory of its own. Batched tensors of `torch.func.vmap` have none."""

unflatten: Any = torch._C._nn.unflatten_dense_tensors  # type: ignore[attr-defined]
"""One row of numbers, cut into tensors of the shapes of the given ones: `torch._utils._unflatten_dense_tensors`."""


def nothing_observes() -> bool:
    """Whether operations run as written: no transform, compiler, dispatch mode, tracer or forward-mode level is on."""
    return (
        not _are_functorch_transforms_active()
        and not is_compiling()
        and forward_ad._current_level < 0
        and _len_torch_dispatch_stack() == 0
        and _get_tracing_state() is None
    )


def will_execute(node: Any) -> bool:
    """Whether the running backward pass uses the gradient that goes to this node of the graph.

    The engine does not know about leaves; for them the answer is True.
    """
    return node.name() == "torch::autograd::AccumulateGrad" or _will_engine_execute_node(node)
