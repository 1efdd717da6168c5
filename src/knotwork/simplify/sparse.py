"""From an over-wide network to one of the right shape: fit with a penalty, prune, and again until nothing goes."""

import time
from dataclasses import replace
from numbers import Real

from knotwork.data import as_dataset
from knotwork.errors import TrainingError
from knotwork.model import KANNetwork
from knotwork.simplify.pruning import prune
from knotwork.training import INTERRUPTED, FitResult, Line, Record, fit, going_on, held_out, progress_line

FIRST, NEXT = 60, 30  # steps of the first fit with the penalty, and of those after a pruning
RAISED = 3.0  # times the sparsity before
MOST = 0.3  # sparsity at which edges that are needed go too
AS_WELL = 1.05  # times the error on held-out rows


def fit_sparse(
    model: KANNetwork,
    data: object,
    sparsity: float = 1e-3,
    *,
    node_threshold: float = 1e-2,
    edge_threshold: float = 3e-2,
    progress: bool | Line | None = None,
    **settings: object,
) -> FitResult:
    """The smallest network in `model` that predicts as well: `result.model`, while `model` itself stays as it was.

    It is fitted with the penalty of eq. 2.20, pruned, fitted and pruned again until nothing goes, and what is left is
    fitted without the penalty. Then all of this goes on with three times the sparsity, as long as held-out rows
    (training rows without them) are predicted as well as before within 5 %: noise keeps edges alive that a stronger
    penalty removes. `sparsity` weighs the penalty against the variance of the targets, so units make no difference;
    the thresholds are those of `prune`, and other `settings` those of `fit`, except that one start is enough, for wide
    networks train from any. Ctrl-C or the callback ends it with the best so far, or the network of that moment.

    Raises TrainingError for a sparsity that is not positive.
    """
    taken = {"lamb", "lamb_entropy"} & settings.keys()
    if taken:
        raise TrainingError(f"{taken.pop()}= is what fit_sparse() chooses: pass sparsity= instead.")
    if isinstance(sparsity, bool) or not (isinstance(sparsity, Real) and 0 < float(sparsity) < float("inf")):
        raise TrainingError(f"sparsity={sparsity!r} is not possible: give a positive number, such as 1e-3.")
    began = time.perf_counter()
    data = as_dataset(data)
    spread = float((data.y_train - data.y_train.mean(0)).square().mean().sqrt())
    settings = {"starts": 1, **settings}
    history: list[Record] = []
    best: FitResult | None = None
    ended = {}

    def fitted(network: KANNetwork, steps: int | None, sparsity: float) -> FitResult:
        before, taken = time.perf_counter() - began, history[-1].step if history else 0
        # Norms of edges have the unit of the targets, and entropies have none.
        given = {"lamb": sparsity * spread, "lamb_entropy": spread, "steps": steps, **settings}
        result = fit(network, data, progress=line, **given)  # type: ignore[arg-type]
        history.extend(replace(r, step=r.step + taken, seconds=r.seconds + before) for r in result.history)
        return result

    with progress_line(progress) as line:
        network = model.copy()
        try:
            while best is None or sparsity <= MOST:
                result = fitted(network, FIRST if best is None else NEXT, sparsity)
                while not result.stopped_by_caller:
                    with going_on(network):
                        smaller = prune(network, data, node_threshold, edge_threshold)
                    if _edges(smaller) == _edges(network):
                        break
                    network = smaller
                    result = fitted(network, NEXT, sparsity)
                if not result.stopped_by_caller:
                    result = fitted(network, None, 0.0)
                if result.stopped_by_caller:
                    ended = {"stop_reason": result.stop_reason}
                    best = best or replace(result, model=network)
                    break
                if best is not None and held_out(result) > AS_WELL * held_out(best):
                    break
                best = replace(result, model=network)
                network, sparsity = network.copy(), RAISED * sparsity
        except KeyboardInterrupt:  # between two fits
            if best is None:
                raise
            ended = {"stop_reason": INTERRUPTED}
    assert best is not None
    steps = history[-1].step if history else 0
    return replace(best, **ended, steps=steps, seconds=time.perf_counter() - began, history=tuple(history))


def _edges(network: KANNetwork) -> int:
    return sum(int(layer.active().sum()) for layer in network.layers)
