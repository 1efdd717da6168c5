"""The call of each task for any torch module: the same code for our layers, the MLP and other libraries."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from knotwork.errors import KnotworkError

Call = Callable[[], object]


def prepare(module: nn.Module, x: Tensor, y: Tensor, task: str) -> Call:
    """One call of a task of `cases.TASKS` on rows x (batch, in) with targets y (batch, out)."""
    return _TASKS[task](module, x, y)


def _forward(module: nn.Module, x: Tensor, y: Tensor) -> Call:
    @torch.no_grad()
    def call() -> Tensor:
        return module(x)

    return call


def _step(module: nn.Module, x: Tensor, y: Tensor) -> Call:
    optimiser = torch.optim.Adam(_trainable(module), lr=1e-3, fused=True)

    def call() -> None:
        optimiser.zero_grad()
        mse_loss(module(x), y).backward()
        optimiser.step()

    return call


def _gradient(module: nn.Module, x: Tensor, y: Tensor) -> Call:
    parameters = _trainable(module)

    def call() -> object:
        loss = mse_loss(module(x), y)
        return loss, torch.autograd.grad(loss, parameters, allow_unused=True)

    return call


def _laplacian(module: nn.Module, x: Tensor, y: Tensor) -> Call:
    parameters = _trainable(module)

    def call() -> object:
        points = x.detach().requires_grad_()
        u = module(points)
        slope = torch.autograd.grad(u.sum(), points, create_graph=True)[0]
        residual = u[:, 0]
        for i in range(points.shape[1]):
            residual = residual + torch.autograd.grad(slope[:, i].sum(), points, create_graph=True)[0][:, i]
        loss = residual.square().mean()
        return loss, torch.autograd.grad(loss, parameters, allow_unused=True)

    return call


def _refit(module: nn.Module, x: Tensor, y: Tensor) -> Call:
    refit = getattr(module, "update_grid", None)
    if refit is None:
        raise KnotworkError("its grid cannot be set from samples")
    step = _step(module, x, y)

    def call() -> None:
        refit(x)
        step()

    return call


def _trainable(module: nn.Module) -> list[nn.Parameter]:
    return [p for p in module.parameters() if p.requires_grad and p.numel()]


_TASKS = {"forward": _forward, "step": _step, "gradient": _gradient, "laplacian": _laplacian, "refit": _refit}
