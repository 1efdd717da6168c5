"""The trainable parameters of any module as one vector, and the derivatives of its outputs by them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.func import functional_call, jacrev, vmap

from knotwork.model.jacobian import Residuals
from knotwork.model.layer import KANLayer
from knotwork.model.settings import MODEL
from knotwork.undisturbed import undisturbed


class ModuleParameters:
    """The parameters that second-order methods change in a module that maps (n, inputs) to (n, outputs).

    They are one vector of size P, in the order of `named_parameters()`. A parameter that several modules share is there
    once. Frozen parameters are not part of it, nor are removed edges and fixed constants of layers of a KAN. All values
    have one type, and the module is in evaluation mode.

    Args:
        module: the module, whose parameters are written in place.
        x: a few rows of inputs (n, inputs), on which it is tried.

    Attributes:
        why_slow: why `torch.func` cannot differentiate many rows together, so that it is done one by one; None if it
            can.
        rows_at_once: the number of rows whose Jacobian is held in memory at once.
    """

    def __init__(self, module: nn.Module, x: Tensor) -> None:
        self.module = module
        self.tensors = {name: p for name, p in module.named_parameters() if p.requires_grad and p.numel()}
        free = _free_entries(module)
        masks = [free.get(p, torch.ones_like(p, dtype=torch.bool)).flatten() for p in self.tensors.values()]
        every = torch.cat([torch.zeros(0, dtype=torch.bool, device=x.device), *masks])
        self.places = None if bool(every.all()) else every.nonzero().squeeze(1)
        self.size = int(every.sum())
        self.why_slow = why_not_together(module, x)
        entries, outputs = _entries_of_a_row(module, x[:1])
        self.rows_at_once = max(1, MODEL.jacobian_entries // max(1, outputs * (len(every) + entries)))

    def get(self) -> Tensor:
        """The current values: (P,)."""
        return self._chosen(self._whole())

    @torch.no_grad()
    def set(self, values: Tensor) -> None:
        """Write a vector (P,) into the module."""
        if self.places is not None:
            values = self._whole().index_copy(0, self.places, values)
        parts = values.split([p.numel() for p in self.tensors.values()])
        for p, part in zip(self.tensors.values(), parts, strict=True):
            p.copy_(part.view_as(p))

    @torch.no_grad()
    def outputs(self, x: Tensor) -> Tensor:
        """The outputs (n, out) for x (n, in), computed in chunks of rows."""
        return torch.cat([self.module(some) for some in x.split(self.rows_at_once)])

    def jacobian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (n, out) and their derivatives by the parameters (n, out, P), for all rows at once."""
        if self.why_slow is None:
            tensors = {name: p.detach() for name, p in self.tensors.items()}
            outputs, columns = _together(self.module, tensors, {}, x)
        else:
            found = [self._of_one_row(row) for row in x.split(1)]
            outputs, columns = (torch.stack(part) for part in zip(*found, strict=True))
        return outputs, self._chosen(columns)

    @torch.enable_grad()
    def _of_one_row(self, row: Tensor) -> tuple[Tensor, Tensor]:
        outputs, tensors = self.module(row)[0], list(self.tensors.values())
        slopes = [
            torch.autograd.grad(value, tensors, retain_graph=True, allow_unused=True, materialize_grads=True)
            for value in outputs
        ]
        return outputs.detach(), torch.stack([torch.cat([slope.flatten() for slope in each]) for each in slopes])

    @torch.no_grad()
    def normal_equations(self, x: Tensor, residuals: Residuals) -> tuple[Tensor, Tensor]:
        """JᵀJ (P, P) and Jᵀr (P,), computed in chunks of rows; `residuals` as in `model.jacobian.normal_equations`."""
        matrix, vector = x.new_zeros(self.size, self.size), x.new_zeros(self.size)
        for at in range(0, len(x), self.rows_at_once):
            rows = slice(at, at + self.rows_at_once)
            outputs, columns = self.jacobian(x[rows])
            r, directions = residuals(outputs, rows)
            columns = (columns if directions is None else directions @ columns).flatten(0, 1)
            matrix += columns.T @ columns
            vector += columns.T @ r.flatten()
        return matrix, vector

    def vjp(self, x: Tensor, by_outputs: Tensor) -> Tensor:
        """The gradient (P,) of a loss from its derivatives by the outputs (n, out), without building the Jacobian."""
        tensors, total = list(self.tensors.values()), 0.0
        for some, by in zip(x.split(self.rows_at_once), by_outputs.split(self.rows_at_once), strict=True):
            with torch.enable_grad():
                slopes = torch.autograd.grad(self.module(some), tensors, by, allow_unused=True, materialize_grads=True)
            total = total + torch.cat([slope.flatten() for slope in slopes])
        assert isinstance(total, Tensor)
        return self._chosen(total)

    def _whole(self) -> Tensor:
        """All entries of the trainable parameters, also those that are not free."""
        return torch.cat([p.detach().flatten() for p in self.tensors.values()] or [torch.zeros(0, device="cpu")])

    def _chosen(self, values: Tensor) -> Tensor:
        return values if self.places is None else values[..., self.places]


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Within, a module is in evaluation mode, where dropout and batch norm treat every row alone and the same."""
    training = [part for part in module.modules() if part.training]
    try:
        for part in training:
            part.__dict__["training"] = False  # nn.Module.__setattr__ takes ten times longer
        yield
    finally:
        for part in training:
            part.__dict__["training"] = True


def why_not_by_rows(module: nn.Module, x: Tensor) -> str | None:
    """Why second-order steps are not possible for a module, tried on rows x (n, in); None if they are.

    In float64 and in evaluation mode the outputs of a row must not depend on the other rows. The module itself is not
    changed.
    """
    if why := _why_not_its_parameters(module):
        return why
    wide, x = _in_float64(module), x.to(torch.float64)
    with evaluating(module), torch.no_grad():
        try:
            together = _called(module, wide, x)
        except Exception as error:
            return f"it does not compute rows of {x.shape[1]} values in float64 ({_first_line(error)})"
        if together.dtype != torch.float64:
            return f"its outputs are {str(together.dtype).removeprefix('torch.')} where its inputs are float64"
        try:
            alone = torch.cat([_called(module, wide, row) for row in x.split(1)])
        except Exception as error:
            return f"it does not compute one row alone ({_first_line(error)})"
    within = MODEL.rows_alike * float(together.abs().max())
    if alone.shape == together.shape and torch.allclose(alone, together, 0.0, within, equal_nan=True):
        return None
    return "its outputs for one row depend on the other rows"


def _why_not_its_parameters(module: nn.Module) -> str | None:
    free = {name: p for name, p in module.named_parameters() if p.requires_grad}
    if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return "it spreads rows over devices or processes, which model.module, the module in it, does not"
    if name := next((name for name, p in free.items() if p.is_complex()), None):
        return f"its parameter {name} holds complex numbers"
    return why_too_many(sum(p.numel() for p in free.values()))


def why_too_many(count: int) -> str | None:
    """Why second-order steps are not possible for a model with this number of free parameters; None if they are."""
    if count <= MODEL.second_order_parameters:
        return None
    return (
        f"it has {count:,} free parameters, whose matrix of second derivatives would take {8e-9 * count**2:,.1f} GB; "
        f"at most {MODEL.second_order_parameters:,} are possible"
    )


@undisturbed()
def why_not_together(module: nn.Module, x: Tensor) -> str | None:
    """Why `torch.func` cannot differentiate a module on all rows x (n, in) together; None if it can.

    It is tried in float64 and in evaluation mode; the module itself is not changed.
    """
    wide = _in_float64(module)
    moving = {name: wide[name] for name, p in module.named_parameters() if p.requires_grad and p.numel()}
    with evaluating(module), torch.no_grad():
        try:
            _together(module, moving, wide, x.to(torch.float64))
        except Exception as error:
            return _first_line(error)
    return None


def _together(
    module: nn.Module, moving: dict[str, Tensor], fixed: dict[str, Tensor], x: Tensor
) -> tuple[Tensor, Tensor]:
    """Outputs (n, out), and their derivatives (n, out, P) by the tensors `moving`; `fixed` are other tensors of it."""

    def of_row(tensors: dict[str, Tensor], row: Tensor) -> tuple[Tensor, Tensor]:
        outputs = _called(module, {**fixed, **tensors}, row.unsqueeze(0)).squeeze(0)
        return outputs, outputs

    if not moving:
        return _called(module, fixed, x), x.new_zeros(len(x), 0, 0)
    by_name, outputs = vmap(jacrev(of_row, has_aux=True), in_dims=(None, 0))(moving, x)
    return outputs, torch.cat([by_name[name].flatten(2) for name in moving], dim=2)


def _called(module: nn.Module, tensors: dict[str, Tensor], x: Tensor) -> Tensor:
    """The outputs with these tensors, by name, in place of the parameters and buffers of a module.

    A tensor that stands in several places is replaced in each of them, once: `functional_call` with `tie_weights` would
    leave a replaced one in a submodule that is used twice.
    """
    named = {id(own): tensors[name] for name, own in tensors_of(module) if name in tensors}
    places: dict[str, Tensor] = {}
    for prefix, part in module.named_modules():
        start = f"{prefix}." if prefix else ""
        for name, own in [*part._parameters.items(), *part._buffers.items()]:
            if id(own) in named:
                places[start + name] = named[id(own)]
    return functional_call(module, places, (x,), tie_weights=False)


def _in_float64(module: nn.Module) -> dict[str, Tensor]:
    return {name: t.detach().to(torch.float64) for name, t in tensors_of(module) if t.is_floating_point()}


def tensors_of(module: nn.Module) -> list[tuple[str, Tensor]]:
    """The parameters and buffers of a module by name."""
    return [*module.named_parameters(), *module.named_buffers()]


def _free_entries(module: nn.Module) -> dict[Tensor, Tensor]:
    """Which entries of the parameters of KAN layers are free: those of edges that exist and of constants that train."""
    free: dict[Tensor, Tensor] = {}
    for layer in module.modules():
        if isinstance(layer, KANLayer):
            edges, trains = (
                layer.mask > 0,
                torch.tensor([edge[3] for edge in layer.named], dtype=torch.bool, device="cpu"),
            )
            free[layer.coefficients] = edges.unsqueeze(1).expand_as(layer.coefficients)
            free[layer.base_weights] = edges & (layer.base != "zero")
            free[layer.affine] = trains.unsqueeze(1).expand(-1, 4)
    return free


def _entries_of_a_row(module: nn.Module, row: Tensor) -> tuple[int, int]:
    """The number of values that a backward pass of one row (1, in) keeps, and the number of outputs."""
    sizes: list[int] = []

    def keep(tensor: Tensor) -> Tensor:
        sizes.append(tensor.numel())
        return tensor

    with torch.enable_grad(), saved_tensors_hooks(keep, lambda tensor: tensor):
        outputs = module(row)
    return sum(sizes), outputs.numel()


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no message'}"
