"""The constants of the solvers, and the options of one call."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class SolverSettings:
    """Constants of damped Gauss-Newton steps that all callers share."""

    first_damping: float = 1e-3
    """λ at the start, relative to the diagonal of JᵀJ. Madsen, Nielsen, Tingleff (2004), section 3.2, propose 1e-3 for
    a start that is believed to be good; chosen, not measured against other values."""

    least_damping: float = 1e-15
    """λ never falls below this, so that it can rise again within a few rejections. Near the rounding error of float64,
    relative to the diagonal: a smaller λ changes no digit of the matrix."""

    most_rejected: int = 25
    """Rejected steps in a row after which no step is assumed to lower the objective. With factors 2, 4, 8, ... λ has
    grown by 2^325 by then; chosen, not measured."""

    damping_growth: float = 2.0
    """Factor of λ at the first rejection; it doubles with every further rejection in a row (Madsen, Nielsen, Tingleff
    2004, section 3.2, ν = 2)."""

    largest_damping_decrease: float = 3.0
    """λ falls at most by this factor in one step, when the quadratic model predicted the decrease (Madsen, Nielsen,
    Tingleff 2004, section 3.2)."""

    diagonal_floor: float = 1e-8
    """Least entry of the scaling diagonal, relative to its largest: a parameter that no residual depends on must be
    damped, too. Chosen, not measured."""

    largest_acceleration: float = 0.75
    """Length of the geodesic acceleration relative to the step above which it is not used, as its series is then not
    to be trusted. The value α = 0.75 of Transtrum and Sethna (2012), section 4."""

    acceleration_probe: float = 0.1
    """Distance, relative to the step, of the central difference for second derivatives along it: the value h = 0.1 of
    Transtrum and Sethna (2012), section 4."""

    near_target: float = 100.0
    """Where the loss is below this multiple of the target, a loop that ends for any reason of its own says that only
    rounding errors are left: an error ten times as large as the target. There rounding decides which step is lower,
    so the last digits are not always reached."""


SOLVER = SolverSettings()


@dataclass(frozen=True)
class BatchedDamping:
    """How far each step goes, and when the steps end. Every problem of a batch has a damping of its own."""

    first: float = 1e-3
    """λ of the first step, in units of the diagonal of JᵀJ (Marquardt 1963). A usual value; not measured."""
    factor: float = 5.0
    """λ is divided by it after an accepted step and multiplied by it after a rejected one. Chosen, not measured."""
    smallest: float = 1e-12
    """Lower limit of λ, so that a long row of accepted steps can still be followed by a rejected one."""
    largest: float = 1e12
    """Upper limit of λ; steps are zero to rounding there."""
    floor: float = 1e-12
    """Share of the largest entry of the diagonal that is always added to it: a singular JᵀJ can be solved then. Small
    against everything that the data determine, above the rounding of float64."""
    least_gain: float = 1e-6
    """Relative decrease of a mean squared error that counts as progress. Chosen, not measured."""
    patience: int = 4
    """Steps in a row without progress of any problem, after which the batch ends. Chosen, not measured."""


DAMPING = BatchedDamping()


@dataclass(frozen=True)
class Options:
    """When one run of the loop ends, and how its damping starts.

    Args:
        steps: limit of accepted steps; None: no limit.
        attempts: limit of attempted steps, accepted or rejected; None: no limit.
        tolerance: relative decrease of the lowest loss so far that counts as progress.
        patience: accepted steps in a row without progress after which the loop has converged; None: never.
        target: loss at which only rounding errors are left.
        accept_equal: accept a step that leaves the objective equal.
        keep_best: end at the lowest loss that was reached (for problems whose `follow` may raise it), also on Ctrl-C.
        first_damping: λ at the start; None: that of `SOLVER`.
        least_damping: lower limit of λ; None: that of `SOLVER`.
        largest_damping: λ above which no step is assumed to lower the objective.
    """

    steps: int | None = 100
    attempts: int | None = None
    tolerance: float = 1e-5
    patience: int | None = 10
    target: float = 0.0
    accept_equal: bool = False
    keep_best: bool = False
    first_damping: float | None = None
    least_damping: float | None = None
    largest_damping: float = math.inf
