"""What a fit believes of its targets: the negative log-likelihood of a row, with its first two derivatives."""

from typing import Protocol

from torch import Tensor
from torch.nn.functional import log_softmax, softplus


class Likelihood(Protocol):
    """Rows are told apart by outputs and targets, both (n, K).

    `values` is the negative log-likelihood (n,), differentiable, and `slopes` its derivatives by the outputs (n, K).
    `curved` turns derivatives of the outputs (n, K, P) into rows (n, K, P) whose squares add up to its curvature by the
    P parameters, as far as the curvature of the outputs can be neglected.
    """

    def values(self, outputs: Tensor, targets: Tensor) -> Tensor: ...
    def slopes(self, outputs: Tensor, targets: Tensor) -> Tensor: ...
    def curved(self, outputs: Tensor, columns: Tensor) -> Tensor: ...


class Normal:
    """Targets scatter about the outputs with deviation 1."""

    def values(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return 0.5 * (outputs - targets).square().sum(1)

    def slopes(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return outputs - targets

    def curved(self, outputs: Tensor, columns: Tensor) -> Tensor:
        return columns


class Bernoulli:
    """Targets are 0 or 1, and the one output is the logit of 1."""

    def values(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (softplus(outputs) - targets * outputs).sum(1)

    def slopes(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return outputs.sigmoid() - targets

    def curved(self, outputs: Tensor, columns: Tensor) -> Tensor:
        return (outputs.sigmoid() * (-outputs).sigmoid()).sqrt().unsqueeze(-1) * columns


class Categorical:
    """Targets are one-hot rows, and the outputs the logits of their classes."""

    def values(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return -(targets * log_softmax(outputs, 1)).sum(1)

    def slopes(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return outputs.softmax(1) - targets

    def curved(self, outputs: Tensor, columns: Tensor) -> Tensor:
        p = outputs.softmax(1).unsqueeze(-1)
        return p.sqrt() * (columns - (p * columns).sum(1, keepdim=True))
