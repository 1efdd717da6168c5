"""Tables with many rows: most steps are made on samples of the rows, few on all of them."""

from collections.abc import Callable

import torch
from torch import Tensor

from knotwork.solvers import Ended, StopReason
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
    before: int | None = None,
    even: float = 1.0,
) -> Ended:
    """Fit to growing samples of the rows, then to all rows; the number of all steps and why the last ones ended.

    Args:
        rows: number of rows.
        parameters: number of parameters.
        steps: limit of steps together. The last ones of them are for all rows.
        generator: its seed determines the samples. None: all steps are on all rows.
        minimise: called as minimise(sample, taken, most, last) with the places of a sample (m,), the number of steps
            before and the limit of steps of this call. `last` is True for the call on all rows; then the sample is
            that of the second derivatives, None where these are of all rows.
        before: number of steps on samples that an earlier run has made, which goes on here on all rows.
        even: ratio of the effective number of rows to `rows`, 1 without weights. The less even weights are, the more
            rows a sample needs, and there is none where few rows of large weight decide.
    """
    counted = sample_sizes(int(even * rows), parameters) if steps > SAMPLES.steps_on_all_rows else []
    sizes = [round(size / even) for size in counted] if generator is not None else []
    seeded = torch.Generator().manual_seed(generator.initial_seed()) if generator is not None else None
    order = torch.randperm(rows if sizes else 0, generator=seeded, device="cpu")[: max(sizes, default=0)]
    taken = before or 0
    for size in sizes if before is None else []:
        ended = minimise(order[:size], taken, steps - SAMPLES.steps_on_all_rows - taken, False)
        taken += ended.steps
        if ended.reason.by_caller:
            return Ended(taken, ended.reason, ended.sentence)
    curved = order if sizes and largest_sample(parameters) in counted else None
    ended = minimise(curved, taken, steps - taken, True)
    limit = ended.reason is StopReason.STEP_LIMIT
    return Ended(
        taken + ended.steps, ended.reason, f"the limit of {steps} steps was reached" if limit else ended.sentence
    )


def pick(rows: Tensor, sample: Tensor | None) -> Tensor:
    """The rows of a sample; all rows without one."""
    return rows if sample is None else rows[sample.to(rows.device)]
