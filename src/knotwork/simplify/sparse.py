"""From an over-wide network to one of the right shape: fit with a penalty, prune, and again until nothing goes."""

import time
from dataclasses import replace

import torch

from knotwork.data import as_dataset
from knotwork.errors import TrainingError
from knotwork.model import KANNetwork
from knotwork.simplify.pruning import prune
from knotwork.training import INTERRUPTED, FitResult, Line, Record, fit, progress_line

FIRST, NEXT = 60, 30  # steps of the first fit with the penalty, and of those after a pruning


def fit_sparse(
    model: KANNetwork,
    data: object,
    sparsity: float = 1e-3,
    *,
    node_threshold: float = 1e-2,
    edge_threshold: float = 3e-2,
    rounds: int = 10,
    progress: bool | Line | None = None,
    **settings: object,
) -> FitResult:
    """Fit with the penalty of eq. 2.20, prune, and so on until nothing is pruned; then fit what is left without it.

    `result.model` is the small network, `model` itself is left as it was. `sparsity` weighs the penalty against the
    variance of the training targets, so that units make no difference; the thresholds are those of `prune`. There are
    at most `rounds` prunings; Ctrl-C or the callback ends it with the network of that moment. One start is enough, for
    wide networks train from any. Other `settings` are those of `fit`. Raises TrainingError for a sparsity that is not
    positive.
    """
    if not (isinstance(sparsity, (int, float)) and sparsity > 0):
        raise TrainingError(f"sparsity={sparsity!r} is not possible: give a positive number, such as 1e-3.")
    began = time.perf_counter()
    data = as_dataset(data)
    spread = float((data.y_train - data.y_train.mean(0)).square().mean().sqrt())
    lamb = sparsity * spread  # norms of edges have the unit of the targets, and entropies none
    settings = {"starts": 1, "lamb_entropy": spread, **settings}
    history: list[Record] = []
    network, taken = model.copy(), 0

    def fitted(steps: int | None, lamb: float) -> FitResult:
        nonlocal taken
        before = time.perf_counter() - began
        given = settings if steps is None or "steps" in settings else {**settings, "steps": steps}
        result = fit(network, data, lamb=lamb, progress=line, **given)  # type: ignore[arg-type]
        history.extend(replace(r, step=r.step + taken, seconds=r.seconds + before) for r in result.history)
        taken += result.steps
        return result

    with progress_line(progress) as line:
        result = fitted(FIRST, lamb)
        try:
            for _ in range(rounds):
                if result.stopped_by_caller:
                    break
                smaller = prune(network, data, node_threshold, edge_threshold)
                if _edges(smaller) == _edges(network):
                    break
                network = smaller
                result = fitted(NEXT, lamb)
            if not result.stopped_by_caller:
                result = fitted(None, 0.0)
        except KeyboardInterrupt:  # between two fits
            result = replace(result, stop_reason=INTERRUPTED)
    return replace(result, model=network, steps=taken, seconds=time.perf_counter() - began, history=tuple(history))


@torch.no_grad()
def _edges(network: KANNetwork) -> int:
    return sum(int(layer.active().sum()) for layer in network.layers)
