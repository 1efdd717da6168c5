"""The number of threads of a fit: one where its tensors are too small for two threads to help."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from knotwork.training.settings import TRAINING


@contextmanager
def threads_for(entries: float) -> Iterator[None]:
    """One torch thread for work on few entries. The caller's number of threads is restored afterwards.

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
