"""A network with its derivatives: by its parameters, by its inputs, and of a squared error."""

from __future__ import annotations

from torch import Tensor

from knotwork.keywords import check_keywords
from knotwork.model.jacobian import jacobian, loss_and_grad
from knotwork.model.network import KANNetwork
from knotwork.model.taylor import derivatives


@check_keywords
class DifferentiableNetwork(KANNetwork):
    """The methods of a `KAN` that return derivatives."""

    def jacobian(self, x: Tensor) -> Tensor:
        """Derivatives of the outputs by the trainable parameters in use, (batch, outputs, P).

        Their order is that of `knotwork.model.FreeParameters`.

        Args:
            x: rows (batch, in_features).
        """
        return jacobian(self, x)[1]

    def derivatives(self, x: Tensor, order: int = 2, directions: Tensor | None = None) -> tuple[Tensor, ...]:
        """Outputs (batch, out) and their derivatives of each order up to `order`, each (batch, in, out).

        One forward sweep replaces nested calls of `torch.autograd.grad`. The results can be differentiated by the
        parameters, so networks can be trained on differential equations.

        Args:
            x: rows (batch, in_features).
            order: highest order, at least 1.
            directions: vectors (D, in_features) along which derivatives are taken; None: the axes of the inputs.

        Raises:
            SpecError: for wrong shapes and orders.

        Example:
            >>> import torch, knotwork as kw
            >>> u, u_x, u_xx = kw.KAN.from_expression("x**3").derivatives(torch.tensor([[2.0]]))
            >>> u.item(), u_x.item(), u_xx.item()
            (8.0, 12.0, 12.0)
        """
        return derivatives(self, x, order, directions)

    def loss_and_grad(self, x: Tensor, y: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Mean squared error and its gradients by all parameters, in the order and shapes of `parameters()`.

        A network of splines alone is evaluated by one compiled call, several times faster than `loss.backward()` on
        small networks. With named edges autograd is used. Gradients are zero where an edge was removed or frozen.
        Nothing is written to `.grad`.

        Args:
            x: rows (batch, in_features).
            y: targets (batch, outputs), or (batch,) for one output.

        Raises:
            SpecError: for wrong shapes.
        """
        return loss_and_grad(self, x, y)
