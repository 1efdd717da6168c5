"""A device that does not exist: tensors of the CPU that say they are on a GPU and cannot be mixed with others."""

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

GPU = torch.device("cuda", 0)
CREATE = (
    torch.zeros, torch.ones, torch.empty, torch.full, torch.arange, torch.linspace, torch.logspace, torch.eye,
    torch.tensor, torch.as_tensor, torch.rand, torch.randn, torch.randint, torch.randperm, torch.scalar_tensor,
)  # fmt: skip


class PretendedDevice(TorchFunctionMode):
    """Within, `GPU` is a device, and what a GPU could not do, or would do on the CPU by an oversight, raises.

    A tensor is on it if it was created there, moved there or computed from one that is. Every creation of a tensor must
    say where, tensors of one and more entries do not meet those of the other device, and NumPy reads none of them.
    """

    def __init__(self, creations: bool = True) -> None:
        super().__init__()
        self.creations = creations  # whether those without device= are refused; False: they are on the CPU
        self.there: dict[int, object] = {}  # storages by address; kept, so that no address comes again

    def has(self, tensor: Tensor) -> bool:
        with torch._C.DisableTorchFunction():
            return tensor.untyped_storage()._cdata in self.there

    def mark(self, found: object) -> object:
        with torch._C.DisableTorchFunction():
            for tensor in tree_leaves(found):
                if isinstance(tensor, Tensor):
                    storage = tensor.untyped_storage()
                    self.there[storage._cdata] = storage
        return found

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        inside = [self.has(tensor) for tensor in tensors]
        if name == "__get__" and func.__self__ in (Tensor.device, Tensor.is_cpu, Tensor.is_cuda) and inside[0]:
            return {Tensor.device: GPU, Tensor.is_cpu: False, Tensor.is_cuda: True}[func.__self__]
        if self.creations and func in CREATE and "device" not in kwargs:
            raise AssertionError(f"torch.{name} was called without device=")
        if func is Tensor.numpy and any(inside):
            raise AssertionError("NumPy cannot read the memory of a GPU")
        asked = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, (torch.device, str))]
        devices = [torch.device(leaf) for leaf in asked if str(leaf).split(":")[0] in ("cpu", "cuda")]
        if func is Tensor.copy_:  # the values move; the tensor stays where it is
            return func(*args, **kwargs)
        if func is Tensor.cpu:
            return func(*args, **kwargs).clone()
        if func is Tensor.to and len(tensors) == 2:  # to where the other tensor is
            found = func(*args, **kwargs)
            found = found if inside[0] == inside[1] else found.clone()
            return self.mark(found) if inside[1] else found
        if len({there for tensor, there in zip(tensors, inside, strict=True) if tensor.ndim}) > 1 and (
            name != "__set__"
        ):
            raise AssertionError(f"{name} mixes tensors of two devices")
        if devices:
            args, kwargs = tree_map(lambda leaf: "cpu" if any(leaf is one for one in asked) else leaf, (args, kwargs))
            found = func(*args, **kwargs)
            if devices[0] == GPU or devices[0].type == "cuda":
                return self.mark(found if not tensors or inside[0] else found.clone())
            return found.clone() if any(inside) else found
        found = func(*args, **kwargs)
        return self.mark(found) if any(inside) else found
