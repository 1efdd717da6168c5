"""Adam on mini-batches, for many parameters or rows, and for models that are no KAN."""

from dataclasses import dataclass

import torch
from torch import nn

from knotwork.data import Dataset, Stream
from knotwork.keywords import check_keywords
from knotwork.solvers import Ended
from knotwork.training.objective import Objective
from knotwork.training.optimizers.gradient import by_gradient, check_batches
from knotwork.training.optimizers.optimizer import Optimizer, Task, check_count, check_rate


@check_keywords
@dataclass(frozen=True)
class Adam(Optimizer):
    """Steps of Adam (Kingma and Ba 2015) on mini-batches of the training rows.

    Args:
        lr: the learning rate. 1e-2 suits KANs and small networks, ten times torch's default.
        batch_size: rows of a batch; None: all rows up to 4,096 of them, else 1,024.

    Raises:
        TrainingError: for values that are not possible.

    Example:
        >>> import knotwork as kw
        >>> kw.Adam(lr=1e-3)
        Adam(lr=0.001, batch_size=None)
    """

    lr: float = 1e-2
    batch_size: int | None = None

    def __post_init__(self) -> None:
        check_rate(self.lr)
        check_count(batch_size=self.batch_size)

    @property
    def name(self) -> str:
        return "adam"

    def check(self, model: nn.Module, data: Dataset | Stream, objective: Objective) -> None:
        check_batches(self.batch_size, data)

    def minimise(self, task: Task) -> Ended:
        return by_gradient(torch.optim.Adam, task, self.lr, self.batch_size)
