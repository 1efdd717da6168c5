"""One family of errors and warnings, so that `except knotwork.KnotworkError` catches all of ours."""


class KnotworkError(Exception):
    """Base of every error that knotwork raises on purpose. Its text says what came, what was wanted, what to do."""


class DataError(KnotworkError, ValueError):
    """A table, array or file that cannot be used as it is."""


class SpecError(KnotworkError, ValueError):
    """A network that cannot be built as asked, or an index that is not in it."""


class ExpressionError(KnotworkError, ValueError):
    """A formula that our safe parser does not accept."""


class TrainingError(KnotworkError, ValueError):
    """Settings of a fit that contradict each other or the model."""


class CheckpointError(KnotworkError, ValueError):
    """A file that is not a checkpoint of ours, or was changed after it was written."""


class KnotworkWarning(UserWarning):
    """Something that is probably not what you meant, but does no harm."""
