"""From an over-wide network to one of the right shape: fit with a penalty, prune, and again until nothing goes."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from numbers import Real

from knotwork.data import Dataset, as_dataset
from knotwork.errors import TrainingError
from knotwork.model import KANNetwork
from knotwork.simplify.attribution import attribute
from knotwork.simplify.pruning import prune, without_node
from knotwork.training import (
    INTERRUPTED,
    Callback,
    FitOptions,
    FitResult,
    Record,
    Reporter,
    fit_with,
    going_on,
    held_out,
    reporting,
)

WHOLE, NEXT = 60, 30  # steps of a fit with the penalty, of the whole network and after a pruning
RAISED = 3.0  # times the sparsity before
MOST = 0.3  # sparsity at which edges that are needed go too
STARTS = 8  # most wide networks train from any start, but not all
AS_WELL = 1.05  # times the error on held-out rows
FINER = 4  # times the grid, at most, on which the first smaller network may make up for the parameters it lost
HOPELESS = 30.0  # times the error on the same grid: a finer one is not tried for a network without some nodes


def fit_sparse(
    model: KANNetwork,
    data: object,
    sparsity: float = 1e-3,
    *,
    node_threshold: float = 1e-2,
    edge_threshold: float = 3e-2,
    progress: bool | None = None,
    callback: Callback | None = None,
    **settings: object,
) -> FitResult:
    """The smallest network in `model` that predicts as well: `result.model`, while `model` itself stays as it was.

    It is fitted, fitted with the penalty of eq. 2.20, pruned, and fitted and pruned again until nothing goes. This goes
    on with three times the sparsity up to 0.3, since noise keeps edges alive that a stronger penalty removes; then
    nodes that do the work of another are left out, one by one or several of a layer. A smaller network is kept if
    without the penalty it predicts held-out rows (training rows without them) as well within 5 %: on its own grid, or
    on a finer one with no more parameters than `model`, because on a coarse grid spare edges make up for what single
    curves cannot follow. `sparsity` weighs the penalty against the variance of the targets, so units make no difference
    (labels have none); the thresholds are those of `prune`, and other `settings` those of `fit`, except that 8 starts
    are enough. Ctrl-C or the callback ends it with the best so far.

    Raises TrainingError for a sparsity that is not positive.
    """
    taken = {"lamb", "lamb_entropy"} & settings.keys()
    if taken:
        raise TrainingError(f"{taken.pop()}= is what fit_sparse() chooses: pass sparsity= instead.")
    if isinstance(sparsity, bool) or not (isinstance(sparsity, Real) and 0 < float(sparsity) < float("inf")):
        raise TrainingError(f"sparsity={sparsity!r} is not possible: give a positive number, such as 1e-3.")
    thresholds = node_threshold, edge_threshold
    ended, began = {}, time.perf_counter()
    with reporting(progress, callback) as reporter:
        rows = as_dataset(data)
        search = _Search(
            rows, {"starts": STARTS, **settings}, reporter, model.parameters_in_use(), _unit(rows, settings)
        )
        try:
            network = search.first(model.copy())
            for strength in _strengths(float(sparsity)):
                network = search.sparsified(network, strength, thresholds)
                search.consider(network)
            search.drop_nodes()
        except _StoppedError as stop:
            ended = {"stop_reason": str(stop)}
        except KeyboardInterrupt:  # between two fits
            ended = {"stop_reason": INTERRUPTED}
            if search.best is None:
                raise
    assert search.best is not None
    steps = search.history[-1].step if search.history else 0
    seconds = time.perf_counter() - began
    return replace(search.best, **ended, steps=steps, seconds=seconds, history=tuple(search.history))


def _strengths(sparsity: float) -> Iterator[float]:
    """The sparsity, and three times as much as long as that is not too much."""
    yield sparsity
    while (sparsity := RAISED * sparsity) <= MOST:
        yield sparsity


class _StoppedError(Exception):
    """Ctrl-C or the callback ended a fit."""


@dataclass
class _Search:
    """The best network so far, and `lowest`: the held-out error that the next has to meet with `n_parameters`."""

    data: Dataset
    settings: dict[str, object]
    reporter: Reporter
    n_whole: int  # parameters of the whole network
    unit: float  # of the targets
    n_parameters: int = 0  # of the network on a finer grid that was kept last
    best: FitResult | None = None
    lowest: float = float("inf")
    history: list[Record] = field(default_factory=list)
    began: float = field(default_factory=time.perf_counter)

    def fitted(self, network: KANNetwork, steps: int | None = None, sparsity: float = 0.0) -> FitResult:
        """`fit` with a penalty in the units of the targets: norms of edges have that unit, and entropies none."""
        before, taken = time.perf_counter() - self.began, self.history[-1].step if self.history else 0
        given = {"lamb": sparsity * self.unit, "lamb_entropy": self.unit, "steps": steps, **self.settings}
        result = fit_with(network, self.data, FitOptions.of(given), self.reporter)
        self.history += [replace(r, step=r.step + taken, seconds=r.seconds + before) for r in result.history]
        if result.stopped_by_caller:
            self.best = self.best or result
            raise _StoppedError(result.stop_reason)
        return result

    def first(self, network: KANNetwork) -> KANNetwork:
        """Fit the whole network; a copy of it."""
        self.best = self.fitted(network)
        self.lowest = held_out(self.best)
        return network.copy()

    def sparsified(self, network: KANNetwork, sparsity: float, thresholds: tuple[float, float]) -> KANNetwork:
        """`network`, fitted with the penalty and pruned until nothing goes."""
        self.fitted(network, WHOLE if network.parameters_in_use() == self.n_whole else NEXT, sparsity)
        while True:
            with going_on(network):
                smaller = prune(network, self.data, *thresholds)
            if _edges(smaller) == _edges(network):
                return network
            network = smaller
            self.fitted(network, NEXT, sparsity)

    def consider(self, network: KANNetwork, hopeless: float = float("inf")) -> bool:
        """Make a copy of a network with fewer edges the best one, if it predicts as well; whether it does."""
        assert self.best is not None and isinstance(self.best.model, KANNetwork)
        if _edges(network) >= _edges(self.best.model):
            return False
        kept = network.copy()
        result = self.fitted(kept)
        error = held_out(result)
        at_first = min(self.n_whole, _parameters(kept, FINER * kept.spec.grid))
        finer = _with_parameters(kept, self.n_parameters or at_first)
        if error > AS_WELL * self.lowest and error <= hopeless * held_out(self.best) and finer is not None:
            error = held_out(self.fitted(finer))
            if error <= AS_WELL * self.lowest:
                self.n_parameters = finer.parameters_in_use()
        if error > AS_WELL * self.lowest:
            return False
        self.best, self.lowest = replace(result, model=kept), error
        return True

    def drop_nodes(self) -> None:
        """Leave out hidden nodes, the least important first, as long as others can do their work.

        Each is tried alone, and then with the next of its layer and so on, as two may need the grid that one can have.
        Those left race from new starts, for what they learned was a part of the work.
        """
        assert self.best is not None and isinstance(self.best.model, KANNetwork)
        network = self.best.model
        for l, n in self._by_importance(network, range(1, network.spec.depth)):
            smaller = self._without(network, l, n)
            while not self.consider(smaller, HOPELESS):
                rest = self._by_importance(smaller, [l]) if l < smaller.spec.depth else []
                if not rest:
                    break
                smaller = self._without(smaller, *rest[0])
            else:
                return self.drop_nodes()

    def _by_importance(self, network: KANNetwork, layers: Iterable[int]) -> list[tuple[int, int]]:
        """Layer and place of hidden nodes that have others beside them, the least important first."""
        with going_on(network):
            scores = attribute(network, self.data.X_train).nodes
        hidden = [(l, n) for l in layers for n in range(len(scores[l])) if len(scores[l]) > 1]
        return sorted(hidden, key=lambda place: float(scores[place[0]][place[1]]))

    def _without(self, network: KANNetwork, layer: int, node: int) -> KANNetwork:
        with going_on(network):
            smaller = without_node(network, self.data.X_train, layer, node)
        smaller.fitted.fill_(False)
        return smaller


def _unit(data: Dataset, settings: dict[str, object]) -> float:
    """The spread of the targets; 1 for labels, whose logits have no unit."""
    if settings.get("loss") == "cross_entropy":
        return 1.0
    return float((data.y_train - data.y_train.mean(0)).square().mean().sqrt())


def _with_parameters(network: KANNetwork, n_parameters: int) -> KANNetwork | None:
    """The same function on the finest multiple of its grid with no more than so many parameters in use, if there is."""
    grid, factor = network.spec.grid, 1
    while _parameters(network, (factor + 1) * grid) <= n_parameters:
        factor += 1
    return network.refined(factor * grid) if factor > 1 else None


def _parameters(network: KANNetwork, grid: int) -> int:
    """Parameters that the network would have in use on that grid."""
    return network.parameters_in_use() + _edges(network) * (grid - network.spec.grid)


def _edges(network: KANNetwork) -> int:
    return sum(int(layer.active().sum()) for layer in network.layers)
