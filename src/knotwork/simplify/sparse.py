"""From a network that is too wide to one of the right shape: fit with a penalty, prune, repeat."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from numbers import Real
from os import PathLike

from knotwork.data import Dataset, as_dataset
from knotwork.errors import TrainingError
from knotwork.journal import Journal, journal_in
from knotwork.keywords import explained_keywords
from knotwork.model import KANNetwork
from knotwork.simplify.attribution import attribute
from knotwork.simplify.pruning import prune, without_node
from knotwork.simplify.settings import SIMPLIFICATION
from knotwork.solvers import StopReason
from knotwork.training import (
    Callback,
    FitOptions,
    FitResult,
    OptimizerLike,
    Record,
    Reporter,
    fit_with,
    going_on,
    held_out,
    reporting,
)
from knotwork.training.objective import Loss
from knotwork.training.optimizers import optimizer_of
from knotwork.training.options import elsewhere
from knotwork.training.resuming import question
from knotwork.training.weights import weighs_pair


def _elsewhere(verb: str, name: str, value: object) -> str | None:
    if name in ("lamb", "lamb_entropy"):
        return f"{name}= is what {verb}() chooses: pass sparsity= instead."
    return elsewhere(verb, name, value)


@explained_keywords(_elsewhere)
def fit_sparse(
    model: KANNetwork,
    data: object,
    sparsity: float = 1e-3,
    *,
    node_threshold: float = 1e-2,
    edge_threshold: float = 3e-2,
    optimizer: OptimizerLike = "auto",
    steps: int | None = None,
    loss: str | Loss = "mse",
    lamb_l1: float = 1.0,
    update_grid: bool = True,
    grid_eps: float | None = None,
    patience: int | None = None,
    sample_weight: object = None,
    seed: int = 0,
    progress: bool | None = None,
    callback: Callback | None = None,
    checkpoint: str | PathLike[str] | None = None,
) -> FitResult:
    """Find the smallest part of `model` that predicts as well; `result.model` is a new model.

    The network is fitted, then fitted with the penalty of eq. 2.20 (Liu et al. 2024) and pruned, again and again until
    no edge is removed. This is repeated with three times the sparsity, up to 0.3, because a stronger penalty also
    removes edges that fit noise. Then redundant hidden nodes are removed, one by one or several of a layer.

    A smaller network is kept if without the penalty its error on validation rows (training rows if there are none) is
    at most 5 % larger. It may have its own grid, or a finer one with no more parameters than `model`: on a coarse grid,
    redundant edges compensate for curves that single splines cannot follow. `model` itself is not changed.

    Args:
        model: a KAN, preferably wider than necessary.
        data: as in `fit`; of a stream, the sample in memory.
        sparsity: first weight of the penalty, in units of the targets' standard deviation (`lamb` of `fit`).
        node_threshold, edge_threshold: those of `prune`.
        optimizer: as in `fit`; "auto" and "lm" use 8 starting points here, which is enough for wide networks.
        steps, loss, lamb_l1, update_grid, grid_eps, patience, sample_weight, seed: as in `fit`, for every fit.
        progress, callback: as in `fit`; a callback that returns True ends the search with the best network so far.
        checkpoint: as in `fit`: a file from which the same call goes on; every fit that is done is read from it.

    Returns:
        The `FitResult` of the network that was kept, with the steps, seconds and history of all fits.

    Raises:
        TrainingError: for a sparsity that is not positive, and as in `fit`.
        CheckpointError: as in `fit`.

    Example:
        >>> import knotwork as kw
        >>> data = kw.sample(lambda x, y: x.exp(), x=(-1, 1), y=(-1, 1), size=200, seed=0)
        >>> result = kw.fit_sparse(kw.KAN(width=[2, 1], seed=0), data)
        >>> result.model.spec.width, result.model.spec.inputs
        (((1, 0), (1, 0)), (0,))
    """
    if isinstance(sparsity, bool) or not (isinstance(sparsity, Real) and 0 < float(sparsity) < float("inf")):
        raise TrainingError(f"sparsity={sparsity!r} is not possible: give a positive number, such as 1e-3.")
    asked = optimizer_of(optimizer, starts=SIMPLIFICATION.starts)
    options = FitOptions(asked, steps, loss, 0.0, lamb_l1, 1.0, update_grid, grid_eps, patience, sample_weight, seed)
    ended, rows = {}, as_dataset(data)
    given = {"sparsity": sparsity, "node_threshold": node_threshold, "edge_threshold": edge_threshold}
    fitted_to = data if weighs_pair(data, sample_weight) else rows
    asked = partial(question, "fit_sparse", [model], fitted_to, options, **given)
    with reporting(progress, callback) as reporter, journal_in(checkpoint, asked) as journal:
        search = _Search(rows, fitted_to, options, reporter, journal, model.parameters_in_use())
        try:
            search.run(model.copy(), float(sparsity), (node_threshold, edge_threshold))
        except KeyboardInterrupt:  # between two fits
            ended = {"stop": StopReason.INTERRUPTED, "stop_reason": StopReason.INTERRUPTED.value}
            if search.best is None:
                raise
        if search.stopped is not None:
            ended = {"stop": search.stopped.stop, "stop_reason": search.stopped.stop_reason}
        if not ended:
            journal.finish(drop_parts=False)
    assert search.best is not None
    taken_steps = search.history[-1].step if search.history else 0
    return replace(search.best, **ended, steps=taken_steps, seconds=journal.seconds, history=tuple(search.history))


def _strengths(sparsity: float) -> Iterator[float]:
    """The sparsity, and three times as much as long as that is not too much."""
    yield sparsity
    while (sparsity := SIMPLIFICATION.sparsity_growth * sparsity) <= SIMPLIFICATION.most_sparsity:
        yield sparsity


@dataclass
class _Search:
    """The best network so far, and `lowest`: the validation error for the next one to reach with `n_parameters`.

    `data` are the rows that scores are computed on, `fitted_to` the data that fits take. `stopped` is the fit that
    Ctrl-C or a callback ended; nothing more is fitted then.
    """

    data: Dataset
    fitted_to: object
    options: FitOptions
    reporter: Reporter
    journal: Journal
    n_whole: int  # parameters of the whole network
    n_parameters: int = 0  # of the last network that was kept on a finer grid
    best: FitResult | None = None
    stopped: FitResult | None = None
    lowest: float = float("inf")
    history: list[Record] = field(default_factory=list)
    spent: float = 0.0  # seconds of all fits

    def run(self, network: KANNetwork, sparsity: float, thresholds: tuple[float, float]) -> None:
        """The whole search, as `fit_sparse` describes it."""
        self.best = self.fitted(network)
        self.lowest = held_out(self.best)
        network = network.copy()
        for strength in _strengths(sparsity):
            network = self.sparsified(network, strength, thresholds)
            if not self.stopped:
                self.consider(network)
        self.drop_nodes()

    def fitted(
        self, network: KANNetwork, steps: int | None = None, sparsity: float = 0.0, restart: bool = False
    ) -> FitResult:
        """`fit` with a penalty, with at most `steps` steps unless the user specified `steps`."""
        if self.stopped is not None:
            return self.stopped
        taken = self.history[-1].step if self.history else 0
        steps = steps if self.options.steps is None else self.options.steps
        options = replace(self.options, lamb=sparsity, steps=steps, restart=restart)
        result = fit_with(network, self.fitted_to, options, self.reporter, self.journal.part())
        self.history += [replace(r, step=r.step + taken, seconds=r.seconds + self.spent) for r in result.history]
        self.spent += result.seconds
        if result.stopped_by_caller:
            self.stopped = result
        return result

    def sparsified(self, network: KANNetwork, sparsity: float, thresholds: tuple[float, float]) -> KANNetwork:
        """`network`, fitted with the penalty and pruned until no edge is removed."""
        whole = network.parameters_in_use() == self.n_whole
        self.fitted(network, SIMPLIFICATION.first_steps if whole else SIMPLIFICATION.next_steps, sparsity)
        while not self.stopped:
            with going_on(network):
                smaller = prune(network, self.data, *thresholds)
            if _edges(smaller) == _edges(network):
                break
            network = smaller
            self.fitted(network, SIMPLIFICATION.next_steps, sparsity)
        return network

    def consider(self, network: KANNetwork, prune_ratio: float = float("inf"), restart: bool = False) -> bool:
        """Make a copy of a smaller network the best one, if it predicts as well; True if it does.

        A finer grid is not tried where the error is more than `prune_ratio` times that of the best so far. With
        `restart` its values race against new starting points.
        """
        assert self.best is not None and isinstance(self.best.model, KANNetwork)
        if _edges(network) >= _edges(self.best.model):
            return False
        kept = network.copy()
        result = self.fitted(kept, restart=restart)
        if self.stopped:
            return False
        error, enough = held_out(result), SIMPLIFICATION.as_accurate * self.lowest
        at_first = min(self.n_whole, _parameters(kept, SIMPLIFICATION.finer_grid * kept.spec.grid))
        finer = _with_parameters(kept, self.n_parameters or at_first)
        if error > enough and error <= prune_ratio * held_out(self.best) and finer is not None:
            error = held_out(self.fitted(finer))
            if self.stopped:
                return False
            if error <= enough:
                self.n_parameters = finer.parameters_in_use()
        if error > enough:
            return False
        self.best, self.lowest = replace(result, model=kept), error
        return True

    def drop_nodes(self) -> None:
        """Remove hidden nodes, the least important first, as long as the others are sufficient.

        Each is removed alone, and then together with the next ones of its layer, because two nodes may be needed only
        on a coarse grid. The other nodes are fitted from new starting points, because their curves were parts of a
        larger sum.
        """
        assert self.best is not None and isinstance(self.best.model, KANNetwork)
        network = self.best.model
        for l, n in [] if self.stopped else self._by_importance(network, range(1, network.spec.depth)):
            smaller = self._without(network, l, n)
            while not self.consider(smaller, SIMPLIFICATION.prune_ratio, restart=True):
                rest = self._by_importance(smaller, [l]) if l < smaller.spec.depth else []
                if not rest or self.stopped:
                    break
                smaller = self._without(smaller, *rest[0])
            else:
                return self.drop_nodes()
            if self.stopped:
                return None
        return None

    def _by_importance(self, network: KANNetwork, layers: Iterable[int]) -> list[tuple[int, int]]:
        """Layer and index of hidden nodes that are not alone in their layer, the least important first."""
        with going_on(network):
            scores = attribute(network, self.data.X_train).nodes
        hidden = [(l, n) for l in layers for n in range(len(scores[l])) if len(scores[l]) > 1]
        return sorted(hidden, key=lambda place: float(scores[place[0]][place[1]]))

    def _without(self, network: KANNetwork, layer: int, node: int) -> KANNetwork:
        with going_on(network):
            return without_node(network, self.data.X_train, layer, node)


def _with_parameters(network: KANNetwork, n_parameters: int) -> KANNetwork | None:
    """The same function on the finest multiple of its grid with at most this number of parameters, if there is one."""
    grid, factor = network.spec.grid, 1
    while _parameters(network, (factor + 1) * grid) <= n_parameters:
        factor += 1
    return network.refine(factor * grid) if factor > 1 else None


def _parameters(network: KANNetwork, grid: int) -> int:
    """Parameters that the network would have in use on that grid."""
    return network.parameters_in_use() + _edges(network) * (grid - network.spec.grid)


def _edges(network: KANNetwork) -> int:
    return sum(int(layer.active().sum()) for layer in network.layers)
