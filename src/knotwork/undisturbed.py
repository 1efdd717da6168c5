"""Keeps what belongs to the whole process as it was while another library is loaded, and loads it in less time."""

import gc
import os
import random
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

COMPILER_FOLDER = "TORCHINDUCTOR_CACHE_DIR"  # set by torch._dynamo, which also makes this folder
# scikit-learn sets it, since on macOS it and torch each bring an OpenMP, and the second one would end the process
NEEDED = {"KMP_DUPLICATE_LIB_OK"} if sys.platform == "darwin" else set()


@contextmanager
def loading() -> Iterator[None]:
    """Within, libraries are loaded, and Python does not search their many new objects for garbage again and again.

    They are old objects at once: `gc.freeze` and `gc.unfreeze` move them there, unless a program has frozen its own.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            if not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()
            gc.enable()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Within, a library is loaded; environment variables, Python's random numbers and filters of warnings stay.

    scikit-learn and torch._dynamo, which every optimiser of torch and `torch.func` load at their first use, set
    environment variables; rich draws a random number; SymPy adds a filter. torch._dynamo also makes an empty folder for
    compiled code, which is removed; torch makes it again when it compiles.
    """
    environment, state = dict(os.environ), random.getstate()
    try:
        with warnings.catch_warnings():
            yield
    finally:
        random.setstate(state)
        new = os.environ.keys() - environment.keys() - NEEDED
        if COMPILER_FOLDER in new:
            with suppress(OSError):  # another process uses it
                os.rmdir(os.environ[COMPILER_FOLDER])
        for name in new:
            del os.environ[name]
        os.environ.update(environment)
