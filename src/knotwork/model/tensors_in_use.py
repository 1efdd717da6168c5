"""A module that holds as parameters only the tensors that have an effect on its output."""

from collections.abc import Mapping

from torch import Tensor, nn
from typing_extensions import Self

from knotwork.keywords import check_keywords


@check_keywords
class TensorsInUse(nn.Module):
    """A module whose tensors move between parameters, where they have an effect, and buffers, where they have none.

    Parameters without effect get no gradient: `DistributedDataParallel` stops at them, and they are counted for
    nothing. A tensor that was frozen (requires_grad=False) beside trained ones is frozen again when it comes back. If
    all were frozen, it is frozen as long as they are.
    """

    def __init__(self) -> None:
        super().__init__()
        self._frozen: set[str] = set()  # buffers that were frozen parameters beside trained ones
        self._trained = True  # whether any parameter was trained when there were some last

    def hold(self, has_effect: Mapping[str, bool]) -> None:
        """Make parameters of the named tensors that have an effect, in this order, and buffers of the others."""
        if [name for name, effect in has_effect.items() if effect] == list(self._parameters):
            return
        self._trained = self._trains()
        for name, effect in has_effect.items():
            old = self._parameters.pop(name, None)
            if effect:
                if old is None:
                    old = nn.Parameter(self._buffers.pop(name), self._trained and name not in self._frozen)  # type: ignore[arg-type]
                self._frozen.discard(name)
                self.register_parameter(name, old)
            elif old is not None:
                if self._trained and not old.requires_grad:
                    self._frozen.add(name)
                self.register_buffer(name, old.detach())

    def _trains(self) -> bool:
        """Whether any parameter is trained, or was when there were some last."""
        return any(p.requires_grad for p in self.parameters()) if self._parameters else self._trained

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze or thaw all tensors, in place; also those that have no effect now, once they have one again."""
        self._frozen, self._trained = set(), requires_grad
        return super().requires_grad_(requires_grad)

    def replace(self, name: str, tensor: Tensor) -> None:
        """Hold another tensor under this name, as a parameter if the old one is."""
        old = self._parameters.get(name)
        setattr(self, name, tensor if old is None else nn.Parameter(tensor, old.requires_grad))

    def freeze_like(self, other: Self) -> None:
        """Freeze the tensors that are frozen in `other`, or would be if they had an effect there, and no others."""
        self._trained = other._trains()
        of_other = {name: parameter.requires_grad for name, parameter in other.named_parameters()}
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(of_other.get(name, self._trained and name not in other._frozen))
        self._frozen = {name for name in self._buffers if name in other._frozen or not of_other.get(name, True)}
