"""Constant targets: the network that gives them is known, so no step is needed."""

import math

import torch
from torch import Tensor

from knotwork.data import Stream
from knotwork.model import KANLayer, KANNetwork
from knotwork.solvers import Ended, StopReason
from knotwork.training.fit_result import state_of
from knotwork.training.objective import cross_entropy
from knotwork.training.optimizers import Task
from knotwork.training.settings import TRAINING


@torch.no_grad()
def fit_constants(task: Task) -> Ended | None:
    """Put a network that gives the constant targets into the task's; None, and nothing done, where that is no answer.

    Targets are constant where they differ by rounding errors only. The last layer then gives their means, and with a
    penalty the layers before it give zeros. For labels that are all the same it gives a probability of 1 but for
    rounding. It is no answer where the network gives anything else, as beyond the grids of splines that end there; nor
    with `patience` where the validation loss would rise. The first rows of a stream do not tell that all are equal.
    """
    model, watch = task.model, task.watch
    values = None if isinstance(task.data, Stream) else _constants(task)
    if values is None or not isinstance(model, KANNetwork):
        return None
    before = state_of(model)
    if _give(model, values):
        for layer in list(model.layers)[:-1] if task.objective.penalty else []:
            _clear(layer)
        largest = max(float(values.abs().max()), float(task.units.shift.abs().max()))
        most = TRAINING.rounding_errors * torch.finfo(values.dtype).eps * largest
        worse = watch.patience is not None and watch.judged() > watch.best + most
        if not worse and float((model(task.x) - values).abs().max()) <= most:
            watch.take(state_of(model), watch.history)
            watch.smoothness = "off: the targets are constant"
            watch.record(0)
            return Ended(0, StopReason.CONSTANT, StopReason.CONSTANT.value)
    model.load_state_dict(before)
    return None


def _constants(task: Task) -> Tensor | None:
    """The outputs (K,) that fit constant targets; None where targets are not constant."""
    if task.objective.loss is not cross_entropy:
        return None if bool(task.units.varies.any()) else task.watch.mean()
    labels, outputs = task.y[:, 0], sum(task.model.structure.width[-1]) if isinstance(task.model, KANNetwork) else 0
    if not bool((labels == labels[:1]).all()):
        return None
    certain = -math.log(torch.finfo(labels.dtype).eps)
    if outputs == 1:
        return certain * (2 * labels[:1] - 1)
    return certain * torch.nn.functional.one_hot(labels[0].long(), outputs).to(labels)


def _give(network: KANNetwork, values: Tensor) -> bool:
    """Make the outputs of a network the constants `values` (K,), in place; False where its last layer cannot.

    Each sum gets its constant from one edge, the others are zero. Of the factors of a product, all but one are 1.
    """
    layer, (n_sums, n_products) = network.layers[-1], network.structure.width[-1]
    if not all(parameter.requires_grad for parameter in layer.parameters()) or not all(e[3] for e in layer.named):
        return False
    factors = torch.ones(n_products, network.structure.arity, dtype=values.dtype, device=values.device)
    factors[:, 0] = values[n_sums:]
    _clear(layer)
    for target, value in enumerate(torch.cat([values[:n_sums], factors.flatten()]).tolist()):
        splines = (layer.mask[:, target] > 0).nonzero().flatten().tolist()
        named = [n for n, edge in enumerate(layer.named) if edge[1] == target]
        if splines:
            layer.coefficients[splines[0], :, target] = value
        elif named:
            layer.affine[named[0], 3] = value
        elif value:
            return False
    return True


def _clear(layer: KANLayer) -> None:
    """Make all edges of a layer zero that may move."""
    for tensor in (layer.coefficients, layer.base_weights):
        if tensor.requires_grad:
            tensor.zero_()
    trained = [n for n, edge in enumerate(layer.named) if edge[3] and layer.affine.requires_grad]
    layer.affine[trained, 2:] = 0
