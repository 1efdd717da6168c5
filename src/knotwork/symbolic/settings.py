"""Settings of names for edges and of relations between inputs, each with its unit and its reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SymbolicSettings:
    """Settings of the naming of edges and of the relations between inputs."""

    # names of edges
    edge_rows: int = 2000
    """Training rows on which the curve of an edge is sampled. Chosen, not measured."""
    rows_without_data: int = 500
    """Even samples over the grid of an edge where no data are given. Chosen, not measured."""
    alternatives: int = 4
    """Number of candidates that are tried for an edge in the context of the network. Chosen, not measured."""
    alternatives_of_compositions: int = 24
    """The same where compositions are tried: many look alike on a curve that is known to spline accuracy only."""
    most_swaps: int = 24
    """Largest number of such trials in one network. Each refits the network, so this limits time. Chosen."""
    rounding: float = 1e-10
    """Residuals, relative to rms(y), at which a formula counts as exact: below are rounding errors of refits."""

    steps_of_name: tuple[int, ...] = (10, 30)
    """Steps of the refit after an edge has got a name; labels that then are not as right as before get more. Chosen."""
    accuracy_lost: float = 0.01
    """Share of the rows whose labels names may lose. Chosen: the standard error of the accuracy on 100 to 1,000 rows
    is as large."""
    loss_gained: float = 0.1
    """Cross-entropy that names may add, a share of that of the best constant. Chosen."""
    labels_learned: float = 1e-3
    """Cross-entropy, a share of that of the best constant, at which refits end: nothing is left to learn from labels
    whose probabilities are above 0.999, and constants would grow without end."""
    steepest: float = 50.0
    """Largest half range of a·x + b inside a named function of labels: a step within a fiftieth of half the range, as
    fine as a hundred rows can show."""
    most_cancellation: float = 1000.0
    """Largest ratio of c·f to the range of the curve of an edge of labels: above it, the rest is a difference that
    labels do not determine. Chosen."""
    nearly_plain: tuple[float, ...] = (1e-2, 1e-4, 1e-6, 1e-8)
    """Shares of the variance of a curve that a line or a parabola may leave to be tried as its name, all such edges at
    once, from the boldest. The description length decides, so the steps are coarse."""

    steps_inside: int = 40
    """Steps of a refit that also moves decimals inside functions. They are near already; chosen for time."""

    usual_exponent: int = 10
    """Inputs whose half range is within 2 to plus or minus this power, about a thousand, are used in their own unit.
    Refits lose half of their digits at about a million; chosen, not measured."""
    far: float = 1000.0
    """Ratio of a middle to the half range above which values are taken relative to their middle. A slope and an offset
    are then hard to tell apart in refits; chosen, not measured."""

    # relations between inputs
    relation_threshold: float = 0.05
    """Share of the standard deviation of the output below which a relation holds, unless the call says otherwise.
    Chosen, not measured."""
    exchanged_rows: int = 1000
    """Training rows between which values are exchanged. Shares are then known to some 3 %; chosen, not measured."""
    factor_step: float = 0.35
    """Step between logarithms of c in x + c*y and x*y^c, with inputs in units of their standard deviations."""
    factor_steps: int = 6
    """Steps to both sides of c = 1: 6 steps of 0.35 are factors from 1/8 to 8."""
    not_measurable: float = 100.0
    """Residual of a combination where too few rows stay inside the range of the data: far above any threshold."""
    fewest_inside: float = 0.1
    """Share of the rows that must stay inside the range of the data along x + c*y. Chosen, not measured."""


SYMBOLIC = SymbolicSettings()
