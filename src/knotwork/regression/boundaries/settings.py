"""The numbers that decide how boundaries between classes are searched for, each with its unit and its reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class BoundarySettings:
    """Settings of the search for boundaries. What is not said to be measured was chosen for time."""

    # --- sums of terms, by logistic regression (label_terms.py) ---
    terms: int = 150
    """Products of powers, and terms with a function, that the log-odds may be sums of."""
    rows_of_terms: int = 2000
    """Rows on which sums are compared."""
    widths: tuple[int, ...] = (12, 12, 8, 5, 3)
    """Sums of 1, 2, ... terms that are kept and extended by every other term."""
    candidates_of_each: int = 2
    """Extended sums that are fitted, as a multiple of those kept."""
    newton_steps: int = 12
    """Newton steps of a logistic regression: it only ranks sums."""
    ridge: float = 1e-3
    """Penalty on squares of its coefficients, of terms of size 1: keeps them finite where labels are separated."""
    sums_named: int = 6
    """Sums that become formulas, and of each number of terms the best one."""
    least_new_direction: float = 1e-8
    """Share of a term's information that others must leave it: a term that is a sum of others explains nothing."""

    # --- the boundary of a smooth network (boundary_points.py) ---
    nodes: int = 5
    """Hidden nodes of the network, as of the baseline network."""
    least_rows: int = 40
    """Rows below which no network is fitted: its boundary would be anywhere between the rows."""
    networks: int = 4
    """Networks, each of half of the rows, whose boundaries are scattered about the true one."""
    points: int = 320
    """Points on the boundary that formulas of one input by the others are fitted to."""
    nearness: float = 0.3
    """Distance, in standard deviations of the inputs, within which most networks must change sides at a point."""
    bisections: int = 30
    """Halvings of the way between two rows of different classes: the ninth digit."""
    train_share: float = 0.8
    """Share of the points that curves are fitted to; the others choose between structures, as in `discover`."""
    most_scatter: float = 0.4
    """Share of the variance of an input on the boundary that neighbours in the other inputs may differ by. Where it is
    larger, the boundary has several values of the input, as a circle has, and no formula of the others gives them."""
    most_distance: float = 0.15
    """Root mean square distance of a named curve from the points, as a share of their spread, up to which it is fitted
    to the labels."""
    laws: int = 4
    """Constants of the plain laws that are tried first, at most."""
    after_good: int = 4
    """Formulas that are still tried after one that tells the labels as well as the networks."""
    explicit_named: int = 5
    """Formulas of each input by the others that are fitted to labels, the shortest first."""

    # --- which boundary is chosen (boundary_search.py) ---
    price_of_symbol: float = 0.5
    """Bits of a symbol of g in units of log2 of the rows. Half of it is what a constant costs by the Bayesian
    information criterion (Schwarz 1978): a label tells a bit at most, and a higher price hides true terms."""

    # --- when the search ends (boundary_search.py) ---
    deviations_of_wrong: float = 2.0
    """Standard deviations of the number of wrong rows by which a formula may have more of them than the network."""
    spare_wrong: float = 1.0
    """Rows more that it may have wrong in any case."""
    plain_complexity: int = 9
    """Symbols up to which a formula that is as good as the network ends the search: a circle with a radius."""


BOUNDARIES = BoundarySettings()
