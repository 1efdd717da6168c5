"""Errors and warnings. `except knotwork.KnotworkError` catches every error that knotwork raises on purpose."""

import sys
import warnings


class KnotworkError(Exception):
    """Base of every error that knotwork raises on purpose. Its text says what came, what was wanted and what to do.

    Example:
        >>> import knotwork as kw
        >>> try:
        ...     kw.KAN([2])
        ... except kw.KnotworkError as error:
        ...     print(type(error).__name__)
        SpecError
    """


class DataError(KnotworkError, ValueError):
    """A table, array or file that cannot be used as it is."""


class SpecError(KnotworkError, ValueError):
    """A network that cannot be built as specified, or an index that is not in it."""


class ExpressionError(KnotworkError, ValueError):
    """A text that is no formula, or holds something that the safe parser does not accept."""


class TrainingError(KnotworkError, ValueError):
    """Settings of a fit that contradict each other or the model."""


class ArgumentError(KnotworkError, TypeError):
    """A keyword argument that does not exist. The text names the one that was probably meant."""


class CheckpointError(KnotworkError, ValueError):
    """A file that is no checkpoint of knotwork, or was changed after it was written."""


class KnotworkWarning(UserWarning):
    """Something that is possible, but probably not intended.

    Example:
        >>> import warnings, numpy as np, knotwork as kw
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     data = kw.Dataset.from_arrays(np.ones((10, 1)), np.arange(10.0))
        >>> caught[0].category.__name__
        'KnotworkWarning'
    """


PASSED_OVER = frozenset({"knotwork", "torch", "sklearn", "contextlib", "functools"})
"""Packages between the user's line and the place of a warning: this one, and those that call or wrap its functions."""


def warn(text: str) -> None:
    """Give a `KnotworkWarning` at the user's line: the innermost one that is in none of `PASSED_OVER`."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in PASSED_OVER:
        frame, level = frame.f_back, level + 1
    warnings.warn(text, KnotworkWarning, level)
