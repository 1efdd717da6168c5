"""The numbers that decide how formulas are fitted, simplified and judged, each with its unit and its reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FormulaSettings:
    """Settings of candidates for a curve, of the constants of formulas, and of their errors and units."""

    # named functions for one sampled curve
    grid_rows: int = 128
    """Samples on which the grid of (a, b) is searched. The grid has some 1,000 points; chosen, not measured."""
    short_polish_rows: int = 300
    """Samples of the short polish, which only ranks functions. Chosen, not measured."""
    usual_exponent: int = 20
    """Values whose spread is within 2 to plus or minus this power, about a million, are explained in their own unit.
    Chosen, not measured."""
    polish_rows: int = 1000
    """Samples of the last polish. Errors of constants fall with the root of their number; chosen, not measured."""
    polished_starts: int = 2
    """Grid points of each function that Gauss-Newton steps improve: the best may lie beside a local minimum."""
    polished_together: int = 64
    """Starts of several functions that are polished in one batch at most. Larger tensors leave the cache."""
    finished_functions: int = 8
    """Functions that are polished to the end, the best after the short polish. Chosen, not measured."""
    short_polish_steps: int = 6
    """Gauss-Newton steps of the short polish. Chosen, not measured."""
    polish_steps: int = 40
    """Gauss-Newton steps of the last polish at most. Chosen, not measured."""
    inner_constants_bits: float = 2.0
    """Bits that the constants a and b inside a function cost; a straight line does not have them."""
    equal_fit_share: float = 1e-12
    """Share of the variance below which two fits count as equally good: rounding of squares in double precision."""

    # compositions of two named functions for one sampled curve
    outer_functions: tuple[str, ...] = (
        "exp", "log", "sqrt", "1/sqrt", "1/x", "1/x^2", "x^2", "sin", "tanh", "arctan",
    )  # fmt: skip
    """Functions of the library around another one. The rest hardly stands there in laws."""
    inner_functions: tuple[str, ...] = (
        "x^2", "x^3", "x^4", "1/x", "1/x^2", "sqrt", "1/sqrt", "exp", "log", "sin", "tanh", "arctan", "gaussian",
        "cosh",
    )  # fmt: skip
    """Functions of the library inside another one."""
    odd_functions: tuple[str, ...] = ("x^3", "1/x", "sin", "tanh", "arctan")
    """Functions with f(-x) = -f(x): a negative factor before them becomes one of x, one inside them one outside."""
    even_functions: tuple[str, ...] = ("x^2", "1/x^2")
    """Outer functions with f(-x) = f(x): the sign of a constant inside is free."""
    sizes_of_compositions: tuple[float, ...] = (0.4, 0.8, 1.6, 3.2, 6.4)
    """Half ranges of an argument at which a fit begins, an octave apart. Chosen, not measured."""
    distances_of_compositions: tuple[float, ...] = (1e-3, 0.03, 0.2, 0.7, 2.0)
    """Distances of an argument from a pole or the end of a domain, in units of half its range."""
    places_of_compositions: int = 7
    """Middles of an argument, a third of half the range apart."""
    frequencies_of_compositions: tuple[float, float, int] = (0.5, 20.0, 40)
    """Frequencies of an inner sine over half the range, to six periods: steps of 1/2 keep a phase within 1/4."""
    outer_sines: tuple[float, float, int] = (0.5, 8.0, 16)
    """Half ranges of the argument of an outer sine, half a radian apart, to two and a half periods."""
    phases_of_compositions: int = 6
    """Phases of these: steps of a sixth of a turn."""
    starts_of_composition: int = 6
    """Grid points of each pair of functions that are improved at most."""
    polished_compositions: int = 400
    """Starts that are improved by a few steps. Chosen for time."""
    finished_compositions: int = 36
    """Compositions that are improved to the end. Chosen for time."""
    fewest_rows_of_compositions: int = 18
    """Rows below which no composition is tried: three for each of its six constants."""
    near_simple: float = 0.1
    """Relative distance at which a whole number or a half is tried for a decimal inside a composition."""

    # constants of an expression
    fit_steps: int = 60
    """Gauss-Newton steps of a fit of constants at most. Chosen, not measured."""
    slow_gain: float = 1e-4
    """Relative fall of the mean squared error below which a step counts as slow. Chosen, not measured."""
    slow_steps: int = 3
    """Slow steps in a row that end a fit of constants. Chosen, not measured."""
    refit_steps: int = 20
    """Gauss-Newton steps after one constant became a simple number: the others start near their optimum."""
    smallest_residual: float = 1e-13
    """Residuals, relative to rms(y), at which a fit ends: they are rounding errors in double precision."""
    exact_error: float = 1e-9
    """Root mean squared error, relative to rms(y), below which a formula counts as exact: larger than the rounding
    errors of long expressions in double precision, where terms may cancel. Chosen, not measured."""
    sigmas: float = 3.0
    """Largest distance of a simple number from a constant, in standard errors. 0.3 % of true ones are missed."""
    chance: float = 0.25
    """Probability of lying so near a simple number by chance above which none is taken. Chosen, not measured."""
    equality_chance: float = 0.05
    """Added to the chance that two constants seem equal, so that simple numbers are tried first."""
    negligible_constant: float = 1e-5
    """Absolute value below which a constant may be zero. Chosen, not measured."""
    largest_multiple: int = 24
    """Largest multiple of 1, 1/2, 1/3, ..., pi that counts as a simple number. Chosen, not measured."""

    # boundaries between two classes
    first_spreads_of_log_odds: tuple[float, ...] = (1.0, 4.0, 16.0, 64.0, 256.0)
    """Root mean squares of the log-odds among which the start of a fit to labels is chosen: from labels that hardly
    depend on the inputs to those of which one in some hundred lies where both occur."""
    first_wrong_labels: tuple[float, ...] = (0.01, 0.1)
    """Shares of wrong labels among which the start is chosen, too."""
    spread_of_log_odds: float = 2.5
    """Scale of the Cauchy prior on that root mean square: the value of Gelman, Jakulin, Pittau and Su (2008) for the
    coefficients of logistic regression. With perfectly separated labels it leaves about two rows undecided."""
    usual_wrong_labels: float = 0.025
    """Most probable share of wrong labels before any row is seen: a few percent, as in tables checked by hand."""

    sigmas_of_exponents: float = 2.0
    """Largest distance of a simple exponent that is tried together with others, in standard errors. The description
    length decides between it and the free one. Chosen, not measured."""
    simple_exponents: tuple[tuple[int, int], ...] = ((1, 6), (2, 4), (3, 2), (4, 2))
    """Denominators of simple exponents, the simplest first, each with the largest exponent that has it."""
    most_ways_of_exponents: int = 8
    """Choices of simple exponents that are tried. Chosen for time."""

    surest_unit_factor: float = 0.25
    """Two standard errors of a factor up to which it may be 1: with larger ones, 1 is one value among many. The same
    probability of chance as for other simple numbers."""

    # constants of which nothing is known
    drawn_starts: int = 600
    """Random sets of constants that are compared. A frequency of ten periods is met by one in a hundred."""
    improved_starts: int = 24
    """The best of these, which Gauss-Newton steps improve. Chosen, not measured."""
    rows_of_starts: int = 300
    """Rows on which constants are searched for; then all rows are used. Chosen for time."""
    decades_of_starts: float = 2.5
    """Decades above and below 1 that random constants run over. Chosen, not measured."""
    ridge_of_starts: float = 1e-12
    """Share of the squared length of a column that is added for constants that no row determines: near rounding."""
    distinct_fits: float = 1.02
    """Ratio of mean squares up to which two fits count as one. Chosen, not measured."""

    # constants that differ by group
    groups_to_start_from: int = 3
    """Groups whose constants all others start from, too, the best fitted ones. Chosen, not measured."""
    likeness_rounding: float = 1e-7
    """Relative difference between groups that counts as none where rows are exact: fits end before rounding."""

    # simplification on the training rows
    judged_rows: int = 2000
    """Training rows on which shorter expressions are compared. Chosen, not measured."""
    rounds_of_forms: int = 4
    """Identities applied one after the other at most, where each makes a formula shorter. Chosen for time."""
    longest_form: int = 60
    """Symbols of a formula up to which identities are tried that take a tenth of a second. Chosen for time."""
    error_growth: float = 1.001
    """Factor by which simplification may increase the error on these rows. Chosen, not measured."""

    # errors and intervals
    unseen_direction: float = 1e-10
    """Share of the largest singular value below which the rows do not determine a direction of constants (rounding)."""
    open_share: float = 1e-6
    """Squared share of such directions from which a constant, or a value, counts as not determined."""
    rows_at_once: int = 65_536
    """Rows whose derivatives are computed together. Limits memory; results do not depend on it."""

    full_leverage: float = 1e-9
    """Share of its residual that a row must have at least, for the others to determine its value: rounding."""

    # units
    largest_denominator: int = 1000
    """Largest denominator of a power in a formula that is read as a fraction. Chosen, not measured."""
    largest_root: int = 12
    """Denominator of a power of something with a unit; powers with a larger one take pure numbers only."""
    same_factor: float = 1e-9
    """Difference of the logarithms of two factors between units below which they are the same (rounding)."""

    # functions of your own
    same_function: float = 1e-6
    """Relative difference up to which a function in torch counts as that of its expression: both may lose digits."""


FORMULAS = FormulaSettings()
