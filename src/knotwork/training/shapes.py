"""Several shapes of networks, coarse to fine: on every finer grid the better half continues."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from os import PathLike

from knotwork.data import as_dataset
from knotwork.errors import TrainingError
from knotwork.journal import journal_in
from knotwork.keywords import explained_keywords
from knotwork.model import KANNetwork, is_whole
from knotwork.solvers import StopReason
from knotwork.training.callbacks import Callback, reporting
from knotwork.training.fit_result import FitResult, held_out
from knotwork.training.loop import fit_with
from knotwork.training.objective import Loss
from knotwork.training.optimizers import OptimizerLike
from knotwork.training.options import FitOptions, elsewhere
from knotwork.training.resuming import question
from knotwork.training.settings import TRAINING
from knotwork.training.weights import weighs_pair


@explained_keywords(elsewhere)
def fit_shapes(
    models: Sequence[KANNetwork],
    data: object,
    grids: Sequence[int] = (5, 10, 20),
    *,
    max_parameters: int | None = None,
    optimizer: OptimizerLike = "auto",
    steps: int | None = None,
    loss: str | Loss = "mse",
    lamb: float = 0.0,
    lamb_l1: float = 1.0,
    lamb_entropy: float = 1.0,
    update_grid: bool = True,
    grid_eps: float | None = None,
    patience: int | None = None,
    sample_weight: object = None,
    seed: int = 0,
    progress: bool | None = None,
    callback: Callback | None = None,
    checkpoint: str | PathLike[str] | None = None,
) -> list[FitResult]:
    """Fit copies of networks of several shapes; one new model for each, on its best grid, the best first.

    All of `models` are fitted on the first grid, with 30 steps each. On every finer grid the better half
    continues, at least two. Networks and grids are compared by the RMSE on the validation rows, or on the
    training rows if there are none. `models` themselves are not changed.

    Args:
        models: KANs of the shapes to try.
        data: as in `fit`; no stream.
        grids: numbers of intervals from coarse to fine.
        max_parameters: largest number of parameters in use; a network with more on the first grid has no result.
        optimizer, steps, loss, lamb, lamb_l1, lamb_entropy, update_grid, grid_eps, patience, sample_weight, seed: as in
            `fit`, for each fit; `steps` holds on the first grid too.
        progress, callback: as in `fit`; a callback that returns True ends the comparison and keeps its results, whose
            `stop` then says so.
        checkpoint: as in `fit`: a file from which the same call goes on; every fit that is done is read from it.

    Returns:
        One `FitResult` for each network, the best first, with the steps, seconds and history of the fit on that grid.

    Raises:
        TrainingError: for models that are no KAN, for grids that are not whole numbers from coarse to fine, and if no
            network is small enough.
        CheckpointError: as in `fit`.

    Example:
        >>> import knotwork as kw
        >>> data = kw.sample("exp(x)*y", x=(-1, 1), y=(-1, 1), size=200, seed=0)
        >>> models = [kw.KAN(width, grid=3, seed=0) for width in ([2, 1], [2, (0, 1)])]
        >>> best, *others = kw.fit_shapes(models, data, grids=(3, 6), optimizer=kw.LevenbergMarquardt(starts=2))
        >>> best.model.spec.width
        ((2, 0), (0, 1))
    """
    models = [models] if isinstance(models, KANNetwork) else list(models)
    other = next((type(m).__name__ for m in models if not isinstance(m, KANNetwork)), None)
    if other is not None or not models:
        raise TrainingError(
            f"fit_shapes() compares KANs, but got {other or 'none'}: pass models such as [kw.KAN(...), ...]."
        )
    data = data if weighs_pair(data, sample_weight) else as_dataset(data)
    grids = [int(grids)] if is_whole(grids) else list(grids)  # type: ignore[call-overload]
    if not grids or any(not is_whole(g) or g < 1 for g in grids) or sorted(set(grids)) != grids:
        raise TrainingError(f"grids={grids!r} must be whole numbers from coarse to fine, such as (5, 10, 20).")
    best: dict[int, FitResult] = {}  # by number of the model
    networks = dict(enumerate(models))
    options = FitOptions(
        optimizer, steps, loss, lamb, lamb_l1, lamb_entropy, update_grid, grid_eps, patience, sample_weight, seed
    )
    brief = replace(options, steps=TRAINING.shape_steps) if steps is None else options
    more = {"grids": grids, "max_parameters": max_parameters}
    asked = partial(question, "fit_shapes", models, data, options, **more)
    with reporting(progress, callback) as reporter, journal_in(checkpoint, asked) as journal:
        try:
            for grid in grids:
                given = brief if grid == grids[0] != grids[-1] else options
                errors: dict[int, float] = {}
                for n, network in networks.items():
                    network = network.copy() if network.spec.grid == grid else network.refine(grid)
                    if max_parameters is not None and network.parameters_in_use() > max_parameters:
                        continue
                    result = fit_with(network, data, given, reporter, journal.part())
                    networks[n], errors[n] = network, held_out(result)
                    if n not in best or errors[n] < held_out(best[n]):
                        best[n] = replace(result, model=network.copy())
                    if result.stopped_by_caller:
                        return _ended(best, result.stop)
                ahead = sorted(errors, key=errors.__getitem__)
                networks = {n: networks[n] for n in ahead[: max(2, (len(ahead) + 1) // 2)]}
            journal.finish(drop_parts=False)
        except KeyboardInterrupt:  # between two fits
            if not best:
                raise
            return _ended(best, StopReason.INTERRUPTED)
    if not best:
        raise TrainingError(
            f"none of {len(models)} networks has at most max_parameters={max_parameters} parameters at G={grids[0]}: "
            "pass smaller ones, or allow more."
        )
    return _in_order(best)


def _ended(results: dict[int, FitResult], reason: StopReason) -> list[FitResult]:
    """The results so far of a comparison that the caller ended, which all of them say."""
    return [replace(result, stop=reason, stop_reason=reason.value) for result in _in_order(results)]


def _in_order(results: dict[int, FitResult]) -> list[FitResult]:
    return sorted(results.values(), key=held_out)
