"""How structures and ridges are fitted: when their descents end."""

from knotwork.regression.settings import REGRESSION
from knotwork.solvers import EachStep, Options, Stop, StopReason


def descent_options(attempts: int) -> Options:
    """How structures and ridges are fitted: at most this number of attempted steps."""
    settings = REGRESSION
    return Options(None, attempts, settings.least_progress, settings.patience, first_damping=settings.first_damping)


def exact_below(target: float) -> EachStep:
    """A callback of the solver that ends a fit after a step to a loss below the target."""
    stop = Stop(StopReason.ROUNDING, StopReason.ROUNDING.value)
    return lambda step, loss: stop if loss < target else None
