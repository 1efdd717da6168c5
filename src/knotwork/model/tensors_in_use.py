"""A module that holds as parameters only the tensors that have an effect on its output."""

from collections.abc import Mapping

from torch import Tensor, nn
from typing_extensions import Self

from knotwork.keywords import check_keywords


@check_keywords
class TensorsInUse(nn.Module):
    """A module whose tensors move between parameters, where they have an effect, and buffers, where they have none.

    Parameters without effect get no gradient: `DistributedDataParallel` stops at them, and they are counted for
    nothing. A tensor that is frozen (requires_grad=False) is frozen again when it comes back. One that becomes a
    parameter where all parameters are frozen is frozen too.
    """

    def __init__(self) -> None:
        super().__init__()
        self._frozen: set[str] = set()  # those that were frozen when they became buffers

    def hold(self, has_effect: Mapping[str, bool]) -> None:
        """Make parameters of the named tensors that have an effect, in this order, and buffers of the others."""
        present = [parameter for parameter in self._parameters.values() if parameter is not None]
        trained = not present or any(parameter.requires_grad for parameter in present)
        for name, effect in has_effect.items():
            old = self._parameters.pop(name, None)
            if effect:
                if old is None:
                    old = nn.Parameter(self._buffers.pop(name), trained and name not in self._frozen)  # type: ignore[arg-type]
                self._frozen.discard(name)
                self.register_parameter(name, old)
            elif old is not None:
                if not old.requires_grad:
                    self._frozen.add(name)
                self.register_buffer(name, old.detach())

    def replace(self, name: str, tensor: Tensor) -> None:
        """Hold another tensor under this name, as a parameter if the old one is."""
        old = self._parameters.get(name)
        setattr(self, name, tensor if old is None else nn.Parameter(tensor, old.requires_grad))

    def freeze_like(self, other: Self) -> None:
        """Freeze the tensors that are frozen in `other`, and no others."""
        frozen = other._frozen | {name for name, parameter in other.named_parameters() if not parameter.requires_grad}
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name not in frozen)
        self._frozen = frozen & self._buffers.keys()
