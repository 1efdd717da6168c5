"""The numbers that decide how terms with constants inside are searched for, each with its unit and its reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class InsideSettings:
    """Settings of the search. Rates and places are in units of half the range of an argument; chosen for time where
    nothing else is said."""

    # --- what is tried (scan_inside.py) ---
    factors: int = 20
    """Products of powers, the simplest, that functions are multiplied with."""
    same_factor: float = 0.02
    """Share of a factor that each simpler one leaves over at least: v and v·year are the same beside exp(year)."""
    monomials: int = 60
    """Products of powers, the simplest, that stand beside terms with functions."""
    most_inputs: int = 8
    """Inputs up to which the search is tried: arguments grow with their square."""
    most_inputs_of_pairs: int = 5
    """Inputs up to which sums of two features with free coefficients are arguments from the start."""
    most_inputs_of_frames: int = 3
    """Inputs up to which sums under an outer function are tried: each takes as long as a sum alone."""
    weights_of_sums: tuple[float, ...] = (0.08, 0.15, 0.25, 0.4, 0.63, 1.0, 1.6, 2.5, 4.0, 6.5, 12.0)
    """Ranges of the second feature of a sum as multiples of that of the first."""
    most_fine_sums: int = 6
    """Pairs of features up to which all of these weights are tried, and every second beyond."""
    slowest_rate: float = 0.1
    """Slowest exponential of the grid: a parabola to 1e-3 of its size."""
    fastest_rate: float = 40.0
    """Fastest: it falls to 1/e in an eightieth of the range."""
    rates: int = 20
    """Rates between these, a third apart: Gauss-Newton steps converge from there."""
    oversampling: int = 2
    """Frequencies for each period in the range."""
    most_periods: int = 100
    """Periods of a sine of a single input at most."""
    most_periods_of_pairs: int = 10
    """The same of products, ratios and sums."""
    widest: float = 0.5
    """Least steepness of a tanh or a bell: wider ones are parabolas."""
    steepest: float = 20.0
    """Largest: a step within a twentieth of the range."""
    widths: int = 7
    """Steepnesses between these, about half an octave apart."""
    places: int = 9
    """Places of a step or a bell, a third of half the range apart."""
    nearest_pole: float = 1e-3
    """Least distance of a pole, or the end of a root or logarithm, from the range."""
    farthest_pole: float = 20.0
    """Largest distance: beyond, the function is a parabola."""
    poles: int = 12
    """Distances between these, a factor of 2.5 apart."""
    squares: int = 13
    """Places, within one and a half times the range, of the square of a sum of two features and a constant."""
    corners: int = 19
    """Places of a corner, a tenth of half the range apart."""

    least_rows: int = 60
    """Training rows at least: ten for each constant of a sum of two functions."""

    # --- which are taken ---
    least_left: float = 1e-4
    """Squared share of a column that others must leave over, far above rounding in single precision."""
    tiny: float = 1e-9
    """Share of the largest value of a column below which values count as zero while grids are compared."""
    rounding: float = 1e-10
    """Unexplained share of squares below which all grid points count as equally good."""
    factors_of_block: int = 2
    """Factors of each function and argument that are proposed."""
    proposals: int = 14
    """Proposals whose constants are fitted."""
    proposals_of_kind: int = 4
    """Of these from one kind of function."""
    proposals_of_argument: int = 2
    """Of these from one function of one argument."""

    # --- fits and the search (search_inside.py) ---
    rows: int = 400
    """Training rows on which terms are compared and their constants fitted first."""
    equal_sizes: float = 0.1
    """Relative difference of two coefficients up to which tanh(u) + 1 is written as a logistic function."""
    largest_logarithm: float = 30.0
    """Logarithm of a factor inside a logarithm at most that replaces a constant outside."""
    largest_exponent: float = 600.0
    """Logarithm of a factor of an exponential at most: floats end at 709, and other factors are multiplied with it."""
    results: int = 3
    """Sums of each frame that are fitted to all training rows."""
    finest_grid: int = 16
    """Intervals of curves of single inputs, beside which functions of several inputs are searched for, at most."""
    coarsest_grid: int = 6
    """The same at least."""
    intervals_beside: int = 40
    """Intervals that the curves of all inputs have together."""
    exact: float = 1e-9
    """Unexplained share of the target's size that counts as none."""
    dependent: float = 1e-9
    """Share of a column that others must leave over in a fit: less is rounding."""
    attempts: int = 5
    """Factors of ten that the damping may grow in one step before the fit ends."""
    least_progress: float = 1e-3
    """Relative decrease of the error that counts as progress."""
    patience: int = 3
    """Steps without progress after which a fit ends."""
    rough_steps: int = 6
    """Gauss-Newton steps after which sums are compared."""
    steps: int = 40
    """Gauss-Newton steps of the best sums."""
    factors_beside: int = 10
    """Products of powers that functions of several inputs are multiplied with beside curves of single inputs."""
    mixed: int = 14
    """Functions of several inputs that are tried beside such curves."""
    products: int = 6
    """Functions that are tried as one more factor of a term."""
    features: int = 20
    """Products of powers that are tried as one more feature inside a function."""
    extended: int = 4
    """The best of these that are fitted."""
    most_features: int = 3
    """Features inside a function at most."""
    grown: int = 5
    """Sums that each sum of the beam is followed by."""
    filled: int = 12
    """Sums whose products of powers are chosen anew."""
    widths_of_fills: tuple[int, ...] = (30, 20, 12, 8)
    """Combinations of 1, 2, ... terms that are extended while these are chosen."""
    fills_of_size: int = 2
    """Combinations of each number of terms that are compared."""
    fills: int = 3
    """Choices that are kept."""
    polished: int = 6
    """Sums that are fitted to the end in every round."""
    beam: int = 4
    """Sums that grow by one more function."""
    most_functions: int = 3
    """Functions of a sum at most, beside those that stand in one term with another."""
    least_gain: float = 10.0
    """Bits that one more function must save for the search to go on."""


INSIDE = InsideSettings()
