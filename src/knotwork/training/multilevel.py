"""Coarse to fine: fit, refine, fit again, and keep the grid that predicts held-out rows best (section 2.4)."""

import time
from collections.abc import Sequence
from dataclasses import replace

from knotwork.data import as_dataset, dataset_or_stream
from knotwork.errors import TrainingError
from knotwork.model import KANNetwork, is_whole
from knotwork.training.callbacks import Callback, Reporter, reporting
from knotwork.training.loop import fit_with
from knotwork.training.result import INTERRUPTED, FitResult, Record, held_out
from knotwork.training.settings import FitOptions

GAIN = 0.9  # a finer grid must bring the validation RMSE below this share of the best so far


def fit_multilevel(
    model: KANNetwork,
    data: object,
    grids: str | Sequence[int] = "auto",
    *,
    patience: int | None = None,
    progress: bool | None = None,
    callback: Callback | None = None,
    **settings: object,
) -> FitResult:
    """Fit on the first grid, then refine and fit again on each finer one; `result.model` is the best of them.

    The grid is chosen by the RMSE on the validation rows (the training rows if there are none). "auto" doubles the
    model's own grid while parameters are fewer than half the training rows, with patience 1; a list of grids is walked
    to its end unless `patience` is given. After `patience` + 1 levels in a row that bring no gain of a tenth the walk
    ends, and so it does when Ctrl-C or the callback stops a level. `model` itself is left as it was. `settings` are
    those of `fit`.
    """
    options = FitOptions.of(settings)
    with reporting(progress, callback) as reporter:
        return fit_levels(model, data, grids, options, reporter, patience)


def fit_levels(
    model: KANNetwork,
    data: object,
    grids: str | Sequence[int],
    options: FitOptions,
    reporter: Reporter,
    patience: int | None = None,
) -> FitResult:
    """`fit_multilevel` as a part of something larger, which reports through its `reporter`."""
    began = time.perf_counter()
    data = dataset_or_stream(data)
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
    waited = taken = 0
    ended = {}
    try:
        for grid in steps:
            level = level if grid == level.spec.grid else level.refined(grid)
            before = time.perf_counter() - began
            result = fit_with(level, data, options, reporter)
            history += [replace(r, step=r.step + taken, seconds=r.seconds + before) for r in result.history]
            taken += result.steps
            if best is None or held_out(result) < GAIN * held_out(best):
                best, waited = replace(result, model=level.copy()), 0
            else:
                waited += 1
            if result.stopped_by_caller:
                ended = {"stop_reason": result.stop_reason}
            if ended or (patience is not None and waited > patience):
                break
    except KeyboardInterrupt:  # between two fits
        if best is None:
            raise
        ended = {"stop_reason": INTERRUPTED}
    assert best is not None
    return replace(best, **ended, steps=taken, seconds=time.perf_counter() - began, history=tuple(history))


def _doubling(model: KANNetwork, residuals: int) -> list[int]:
    """The model's grid, doubled while parameters stay fewer than half the residuals."""
    grids = [model.spec.grid]
    per_interval = model.parameters_in_use() / (model.spec.grid + model.spec.k + 1)
    while 2 * per_interval * (2 * grids[-1] + model.spec.k + 1) < residuals and grids[-1] < 400:
        grids.append(2 * grids[-1])
    return grids
