"""Coarse to fine: fit, refine, fit again, and keep a finer grid only where it helps (section 2.4)."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from os import PathLike

from knotwork.data import as_dataset, dataset_or_stream
from knotwork.errors import TrainingError
from knotwork.journal import Journal, journal_in
from knotwork.keywords import explained_keywords
from knotwork.model import KANNetwork, is_whole
from knotwork.solvers import StopReason
from knotwork.training.callbacks import Callback, Reporter, reporting
from knotwork.training.fit_result import FitResult, Record, held_out
from knotwork.training.loop import fit_with
from knotwork.training.objective import Loss
from knotwork.training.optimizers import OptimizerLike
from knotwork.training.options import FitOptions, elsewhere
from knotwork.training.resuming import question
from knotwork.training.settings import TRAINING
from knotwork.training.weights import weighs_pair


@explained_keywords(elsewhere)
def fit_multilevel(
    model: KANNetwork,
    data: object,
    grids: str | Sequence[int] = "auto",
    *,
    patience: int | None = None,
    optimizer: OptimizerLike = "auto",
    steps: int | None = None,
    loss: str | Loss = "mse",
    lamb: float = 0.0,
    lamb_l1: float = 1.0,
    lamb_entropy: float = 1.0,
    update_grid: bool = True,
    grid_eps: float | None = None,
    sample_weight: object = None,
    seed: int = 0,
    progress: bool | None = None,
    callback: Callback | None = None,
    checkpoint: str | PathLike[str] | None = None,
) -> FitResult:
    """Fit copies of `model` on finer and finer grids; `result.model` is a new model, the best copy.

    A finer grid is kept only if the validation error (training error without validation rows) falls by more than a
    tenth (grid extension: section 2.4 of Liu et al. 2024). `model` itself is not changed.

    Args:
        model: the KAN to begin with.
        data: as in `fit`.
        grids: numbers of intervals from coarse to fine, all of which are tried unless `patience` is given; "auto"
            doubles the model's own grid while there are fewer parameters than half the training rows.
        patience: the series ends after more than this number of levels in a row that lower the error by less than a
            tenth; None: 1 with "auto", else all levels are tried.
        optimizer, steps, loss, lamb, lamb_l1, lamb_entropy, update_grid, grid_eps, sample_weight, seed: as in `fit`,
            for the fit on each level.
        progress, callback: as in `fit`; a callback that returns True ends the series.
        checkpoint: as in `fit`: a file from which the same call goes on; every level that is done is read from it.

    Returns:
        The `FitResult` of the best level, with the steps, seconds and history of all levels.

    Raises:
        TrainingError: for grids that are not whole numbers from coarse to fine, and as in `fit`.
        CheckpointError: as in `fit`.

    Example:
        >>> import knotwork as kw
        >>> data = kw.sample("exp(-8*x**2)", x=(-1, 1), size=300, seed=0)
        >>> result = kw.fit_multilevel(kw.KAN(width=[1, 1], grid=3, seed=0), data, grids=[3, 6, 12])
        >>> result.model.spec.grid
        12
    """
    options = FitOptions(
        optimizer, steps, loss, lamb, lamb_l1, lamb_entropy, update_grid, grid_eps, None, sample_weight, seed
    )
    data = data if weighs_pair(data, sample_weight) else dataset_or_stream(data)
    given = {"grids": grids, "patience": patience}
    asked = partial(question, "fit_multilevel", [model], data, options, **given)
    with reporting(progress, callback) as reporter, journal_in(checkpoint, asked) as journal:
        return fit_levels(model, data, grids, options, reporter, patience, journal)


def fit_levels(
    model: KANNetwork,
    data: object,
    grids: str | Sequence[int],
    options: FitOptions,
    reporter: Reporter,
    patience: int | None = None,
    journal: Journal | None = None,
) -> FitResult:
    """`fit_multilevel` as a part of a larger calculation with its `reporter`; its levels are parts of the `journal`."""
    journal = journal or Journal()
    data = data if weighs_pair(data, options.sample_weight) else dataset_or_stream(data)
    level = model.copy()
    if isinstance(grids, str):
        if grids != "auto":
            raise TrainingError(
                f"grids={grids!r} is not understood; pass 'auto' or a list of grids such as [5, 10, 20]."
            )
        steps = _doubling(level, as_dataset(data).y_train.numel())
        patience = 1 if patience is None else patience
    else:
        steps = list(grids) if isinstance(grids, Sequence) else []
        if not steps or any(not is_whole(g) or g < 1 for g in steps) or sorted(steps) != steps:
            raise TrainingError(f"grids={grids!r} must be whole numbers from coarse to fine, such as [5, 10, 20].")
    best: FitResult | None = None
    history: list[Record] = []
    waited, taken, spent = 0, 0, 0.0
    ended = {}
    try:
        for grid in steps:
            level = level if grid == level.spec.grid else level.refine(grid)
            result = fit_with(level, data, replace(options, near=best is not None), reporter, journal.part())
            history += [replace(r, step=r.step + taken, seconds=r.seconds + spent) for r in result.history]
            taken, spent = taken + result.steps, spent + result.seconds
            if best is None or held_out(result) < TRAINING.level_gain * held_out(best):
                best, waited = replace(result, model=level.copy()), 0
            else:
                waited += 1
            if result.stopped_by_caller:
                ended = {"stop": result.stop, "stop_reason": result.stop_reason}
            if ended or (patience is not None and waited > patience):
                break
    except KeyboardInterrupt:  # between two fits
        if best is None:
            raise
        ended = {"stop": StopReason.INTERRUPTED, "stop_reason": StopReason.INTERRUPTED.value}
    assert best is not None
    if not ended:
        journal.finish(drop_parts=False)
    return replace(best, **ended, steps=taken, seconds=journal.seconds, history=tuple(history))


def _doubling(model: KANNetwork, residuals: int) -> list[int]:
    """The model's grid, doubled while parameters stay fewer than half the residuals."""
    grids = [model.spec.grid]
    per_interval = model.parameters_in_use() / (model.spec.grid + model.spec.k + 1)
    while 2 * per_interval * (2 * grids[-1] + model.spec.k + 1) < residuals and grids[-1] < TRAINING.finest_doubling:
        grids.append(2 * grids[-1])
    return grids
