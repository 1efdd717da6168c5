"""Any optimiser of torch on mini-batches."""

from dataclasses import dataclass

import torch
from torch import nn

from knotwork.data import Dataset, Stream
from knotwork.errors import TrainingError
from knotwork.keywords import check_keywords
from knotwork.solvers import Ended
from knotwork.training.objective import Objective
from knotwork.training.optimizers.gradient import by_gradient, check_batches
from knotwork.training.optimizers.optimizer import Optimizer, Task, check_count, check_rate


@check_keywords
@dataclass(frozen=True)
class TorchOptimizer(Optimizer):
    """Steps of an optimiser class of torch, or of another class with its interface, on mini-batches.

    Args:
        cls: the class; it is called as cls(parameters, lr=lr). torch.optim.LBFGS needs all rows: use kw.LBFGS.
        lr: the learning rate.
        batch_size: rows of a batch; None: all rows up to 4,096 of them, else 1,024.

    Raises:
        TrainingError: for values that are not possible.

    Example:
        >>> import torch
        >>> import knotwork as kw
        >>> kw.TorchOptimizer(torch.optim.SGD, lr=0.1).name
        'SGD'
    """

    cls: type[torch.optim.Optimizer]
    lr: float = 1e-2
    batch_size: int | None = None

    def __post_init__(self) -> None:
        if not (isinstance(self.cls, type) and issubclass(self.cls, torch.optim.Optimizer)):
            raise TrainingError(f"{self.cls!r} is no class of optimisers: pass one such as torch.optim.AdamW.")
        if issubclass(self.cls, torch.optim.LBFGS):
            raise TrainingError("torch.optim.LBFGS searches along lines over all rows; pass optimizer='lbfgs'.")
        check_rate(self.lr)
        check_count(batch_size=self.batch_size)

    @property
    def name(self) -> str:
        return self.cls.__name__

    def check(self, model: nn.Module, data: Dataset | Stream, objective: Objective) -> None:
        check_batches(self.batch_size, data)

    def minimise(self, task: Task) -> Ended:
        return by_gradient(self.cls, task, self.lr, self.batch_size)
