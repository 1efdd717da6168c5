"""Several shapes of network, coarse to fine: on every grid the better half goes on."""

from collections.abc import Sequence
from dataclasses import replace

from knotwork.data import as_dataset
from knotwork.errors import TrainingError
from knotwork.model import KANNetwork, is_whole
from knotwork.training.callbacks import Callback, reporting
from knotwork.training.loop import fit_with
from knotwork.training.result import INTERRUPTED, FitResult, held_out
from knotwork.training.settings import FitOptions

SCOUTING = 30  # steps on the first grid, where a shape shows what it is good for


def fit_shapes(
    models: Sequence[KANNetwork],
    data: object,
    grids: Sequence[int] = (5, 10, 20),
    *,
    max_parameters: int | None = None,
    progress: bool | None = None,
    callback: Callback | None = None,
    **settings: object,
) -> list[FitResult]:
    """Fit networks of several shapes; one result for each, on the grid where it predicts best, the best shape first.

        models = [kw.KAN(width, k=k) for width in ([2, 1, 1], [2, 5, 1], [2, (0, 3), 1]) for k in (3, 5)]
        best = kw.fit_shapes(models, data)[0].model

    All of `models` are fitted on the first grid, with a few steps each; on every finer grid the better half goes on,
    but at least two. What is best, of networks and of grids, is told by the RMSE on the validation rows (the training
    rows if there are none). None is fitted with more than `max_parameters` parameters in use, and one that is too large
    on the first grid has no result. `models` stay as they were, `settings` are those of `fit`, and steps, seconds and
    history those of the fit on that grid. Ctrl-C or the callback ends the race with what there is.

    Raises TrainingError for what is no KAN, for grids that are not whole numbers from coarse to fine, and if no network
    is small enough.
    """
    models = [models] if isinstance(models, KANNetwork) else list(models)
    other = next((type(m).__name__ for m in models if not isinstance(m, KANNetwork)), None)
    if other is not None or not models:
        raise TrainingError(
            f"fit_shapes() races KANs, but got {other or 'none'}: pass models such as [kw.KAN(...), ...]."
        )
    data = as_dataset(data)
    grids = [int(grids)] if is_whole(grids) else list(grids)  # type: ignore[call-overload]
    if not grids or any(not is_whole(g) or g < 1 for g in grids) or sorted(set(grids)) != grids:
        raise TrainingError(f"grids={grids!r} must be whole numbers from coarse to fine, such as (5, 10, 20).")
    best: dict[int, FitResult] = {}  # by number of the model
    networks = dict(enumerate(models))
    brief = FitOptions.of({"steps": SCOUTING, **settings})
    options = FitOptions.of(settings)
    with reporting(progress, callback) as reporter:
        try:
            for grid in grids:
                given = brief if grid == grids[0] != grids[-1] else options
                errors: dict[int, float] = {}
                for n, network in networks.items():
                    network = network.copy() if network.spec.grid == grid else network.refined(grid)
                    if max_parameters is not None and network.parameters_in_use() > max_parameters:
                        continue
                    result = fit_with(network, data, given, reporter)
                    networks[n], errors[n] = network, held_out(result)
                    if n not in best or errors[n] < held_out(best[n]):
                        best[n] = replace(result, model=network.copy())
                    if result.stopped_by_caller:
                        return _in_order(best)
                ahead = sorted(errors, key=errors.__getitem__)
                networks = {n: networks[n] for n in ahead[: max(2, (len(ahead) + 1) // 2)]}
        except KeyboardInterrupt:  # between two fits
            if not best:
                raise
            return [replace(result, stop_reason=INTERRUPTED) for result in _in_order(best)]
    if not best:
        raise TrainingError(
            f"none of {len(models)} networks has at most max_parameters={max_parameters} parameters at G={grids[0]}: "
            "pass smaller ones, or allow more."
        )
    return _in_order(best)


def _in_order(results: dict[int, FitResult]) -> list[FitResult]:
    return sorted(results.values(), key=held_out)
