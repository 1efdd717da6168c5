"""How many threads a fit uses: one where its tensors are too small for two to help."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from knotwork.training.settings import TRAINING


@contextmanager
def threads_for(entries: float) -> Iterator[None]:
    """One torch thread for work on fewer entries than pay for sharing; the caller's number comes back afterwards.

    Threads of OpenMP wait for each other by spinning, so on a busy machine two threads on tiny tensors can
    take ten times as long as one.
    """
    before = torch.get_num_threads()
    if before == 1 or entries >= TRAINING.entries_worth_a_thread:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
