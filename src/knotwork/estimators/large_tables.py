"""Mini-batches for tables too large for second-order steps."""

import torch

from knotwork.model import KANNetwork
from knotwork.solvers import EachStep, Ended, StopReason
from knotwork.training.evidence import noise_precision
from knotwork.training.likelihood import Normal
from knotwork.training.optimizers.gradient import minibatches
from knotwork.training.roughness import Roughness
from knotwork.training.rows import Rows
from knotwork.undisturbed import undisturbed


@torch.enable_grad()
def adam(
    network: KANNetwork,
    rows: Rows,
    roughness: Roughness,
    each_epoch: EachStep,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    generator: torch.Generator,
) -> Ended:
    """Lower precision·loss + roughness by Adam, in place; the number of epochs and why it ended.

    The learning rate falls to zero in a straight line. The precision, 1/σ² of normal targets and else 1, is taken from
    the last epoch. `each_epoch(epoch, loss per row)` may return a `Stop`.
    """
    with undisturbed():
        stepper = torch.optim.Adam(network.parameters(), lr=learning_rate)
    batches = minibatches(len(rows), batch_size, generator)
    steps = -(-len(rows) // batch_size)
    falling = torch.optim.lr_scheduler.LinearLR(stepper, 1.0, 0.0, epochs * steps)
    normal = isinstance(rows.likelihood, Normal)
    count, precision = rows.total * rows.targets.shape[1], 1.0
    for epoch in range(1, epochs + 1):
        seen = 0.0
        for _ in range(steps):
            batch = rows[next(batches)]
            loss = batch.loss(batch.outputs(network)) * (len(rows) / len(batch))
            coefficients = torch.cat([layer.coefficients.flatten() for layer in network.layers])
            stepper.zero_grad()
            ((precision * loss + roughness.value(coefficients)) / (precision * rows.total)).backward()
            stepper.step()
            falling.step()
            seen += float(loss.detach()) / steps
        if not seen < float("inf"):
            return Ended(epoch, StopReason.NOT_FINITE, f"the loss became {seen} in epoch {epoch}")
        if normal:
            precision = noise_precision(seen, 0.0, count)
        stop = each_epoch(epoch, seen / rows.total)
        if stop:
            return stop.after(epoch)
    return Ended(epochs, StopReason.STEP_LIMIT, f"the limit of {epochs} epochs was reached")
