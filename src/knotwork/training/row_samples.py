"""Tables with many rows: most steps are made on samples of the rows, few on all of them."""

from collections.abc import Callable

import torch
from torch import Tensor

from knotwork.solvers import Ended, StagedKeeper, StopReason
from knotwork.training.settings import SAMPLES


def sample_sizes(rows: int, parameters: int) -> list[int]:
    """The sizes of the samples that a fit on `rows` rows begins with, smallest first; empty where rows are few."""
    if rows < SAMPLES.worth_sampling * SAMPLES.rows:
        return []
    largest = largest_sample(parameters)
    sizes = [largest] if rows >= SAMPLES.worth_sampling * largest else []
    size = min(rows, largest) // SAMPLES.growth
    while size >= max(SAMPLES.smallest, SAMPLES.least_rows_per_parameter * parameters):
        sizes.insert(0, size)
        size //= SAMPLES.growth
    return sizes


def largest_sample(parameters: int) -> int:
    """The number of rows that determine the second derivatives by this number of parameters well enough for steps.

    The second derivatives of steps on all rows are those on a sample of this size, where there are many more rows.
    """
    return max(SAMPLES.rows, SAMPLES.rows_per_parameter * parameters)


def on_growing_samples(
    rows: int,
    parameters: int,
    steps: int,
    generator: torch.Generator | None,
    minimise: Callable[..., Ended],
    keeper: StagedKeeper | None = None,
    even: float = 1.0,
    taken: int = 0,
) -> Ended:
    """Fit to growing samples of the rows, then to all rows; the number of all steps and why the last ones ended.

    Args:
        rows: number of rows.
        parameters: number of parameters.
        steps: limit of steps together. The last ones of them are for all rows.
        generator: its seed determines the samples. None: all steps are on all rows.
        minimise: called as minimise(sample, taken, most, last, keeper) with the places of a sample (m,), the number of
            steps before, the limit of steps of this call, and the keeper of its state. `last` is True for the call on
            all rows; then the sample is that of the second derivatives, None where these are of all rows.
        keeper: keeps the states of all stages. Those that ended in an earlier run are not made again.
        even: ratio of the effective number of rows to `rows`, 1 without weights. The less even weights are, the more
            rows a sample needs, and there is none where few rows of large weight decide.
        taken: number of steps that were made before.
    """
    few = generator is None or steps <= SAMPLES.steps_on_all_rows
    counted = [] if few else sample_sizes(int(even * rows), parameters)
    order = None
    if counted and generator is not None:
        seeded = torch.Generator().manual_seed(generator.initial_seed())
        order = torch.randperm(rows, generator=seeded, device="cpu")[: round(counted[-1] / even)]
        for size in counted:
            stage = None if keeper is None else keeper.stage()
            ended = None if stage is None else stage.ended
            if ended is None:
                most = steps - SAMPLES.steps_on_all_rows - taken
                ended = minimise(order[: round(size / even)], taken, most, False, stage)
                if stage:
                    stage.finish(ended)
            taken += ended.steps
            if ended.reason.by_caller:
                return Ended(taken, ended.reason, ended.sentence)
    curved = order if largest_sample(parameters) in counted else None
    ended = minimise(curved, taken, steps - taken, True, keeper)
    limit = ended.reason is StopReason.STEP_LIMIT
    return Ended(
        taken + ended.steps, ended.reason, f"the limit of {steps} steps was reached" if limit else ended.sentence
    )


def pick(rows: Tensor, sample: Tensor | None) -> Tensor:
    """The rows of a sample; all rows without one."""
    return rows if sample is None else rows[sample.to(rows.device)]
