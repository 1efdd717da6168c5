"""The numbers that decide how the formula of one curve is searched for, each with its unit and its reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CurveSettings:
    """Settings of the search. Rates and places are in units of half the range of the variable."""

    # --- terms (curve_terms.py) ---
    slowest_rate: float = 0.05
    """Slowest exponential of the grid: it is a parabola to 1e-4 of its size."""
    fastest_rate: float = 60.0
    """Fastest: it falls to 1/e in a hundredth of the range, where 100 rows have one row."""
    rates: int = 40
    """Rates between these, a fifth apart: Gauss-Newton steps converge from there."""
    powers: tuple[float, ...] = (
        -4.0, -3.0, -2.5, -2.0, -1.5, -1.0, -0.75, -0.5, -0.25, 0.25, 0.33, 0.5, 0.67, 0.75, 1.25, 1.5, 1.75, 2.0, 2.5,
        3.0, 4.0, 5.0,
    )  # fmt: skip
    """Exponents of the grid of powers. Chosen, not measured."""
    largest_exponent: float = 200.0
    """Exponent up to which exp(b·(t - m)) is written as exp(b·t) with a factor; others are no formula that floats can
    compute."""
    widest: float = 0.4
    """Least steepness b of f(b·(z - m)): a wider tanh is nearly a parabola over the range."""
    steepest: float = 25.0
    """Largest steepness: a step within a twentieth of the range."""
    widths: int = 12
    """Steepnesses between these, half an octave apart."""
    places: int = 21
    """Places m of such a step or bump, an eighth of half the range apart."""
    beyond: int = 25
    """Places outside the range at which a root, a logarithm or a pole is tried, on either side."""
    decays: tuple[float, ...] = (0.3, 0.7, 1.4, 2.5, 4.0, 7.0, 12.0)
    """Rates of the envelope of an oscillation, of either sign."""
    oversampling: int = 4
    """Frequencies of a periodogram per period in the range: between two of them 4 % of the power is lost at most."""
    warped_periods: int = 20
    """Periods up to which a sine of t², √t, 1/t or log t is tried. Chosen for time."""

    # --- fits (forms.py) ---
    first_damping: float = 1e-3
    """λ of the first Gauss-Newton step, relative to normalised columns: starts are near."""
    attempts: int = 6
    """Factors of ten that λ may grow in one step before the fit ends."""
    least_progress: float = 1e-3
    """Relative decrease of the error that counts as progress."""
    patience: int = 3
    """Steps without progress after which a fit ends."""

    # --- scans (scanning.py) ---
    scanned_rows: int = 400
    """Rows on which grids of smooth terms are compared: they have no detail that needs more."""
    largest_column: float = 1e100
    """Largest value of a term of size 1: squares of it are still floats."""
    rows_of_tail: int = 40
    """Scanned rows at either end of a curve whose logarithms give the rate of an exponential there: a tenth of them."""
    fall_of_tail: float = 20.0
    """Ratio of the values of such an end from which it has a rate of its own: a grid's rates are near enough before."""
    most_periods: float = 500.0
    """Periods in the range up to which frequencies are searched for."""
    pair_columns: int = 60
    """Columns of one kind among which pairs are searched for. Chosen for time."""

    least_left: float = 1e-3
    """Determinant of an oscillation beside fixed columns, relative to that alone, below which they are the same."""

    # --- views (views.py) ---
    undone_share: float = 0.9
    """Share of rows whose values an outer function must have: noise may take a few out of its range."""
    offsets: tuple[float, ...] = (0.005, 0.03, 0.1, 0.3, 1.0, 3.0)
    """Distances of an added constant B from the nearest value, in units of the span of the values. Chosen."""
    few_offsets: tuple[float, ...] = (0.03, 0.3, 2.0)
    """The same inside another outer function. Chosen for time."""
    plain_scales: tuple[float, ...] = (1.0, 0.5, 2.0)
    """Factors before a logarithm that laws often have."""
    scales: tuple[float, ...] = (0.04, 0.08, 0.15, 0.3, 0.6, 1.2, 2.5)
    """Other factors, in units of the span of the values. Chosen, not measured."""
    largest_log: float = 40.0
    """Largest argument of an exponential that undoes a logarithm: e^40 is 10^17, the digits of a float."""
    beyond_tanh: tuple[float, ...] = (1e-3, 0.02, 0.1, 0.4)
    """Shares by which the limits of a tanh lie beyond the values. Chosen, not measured."""
    steepest_view: float = 1e6
    """Largest weight relative to the median: a value next to a pole decides nothing more."""
    least_share: float = 1e-3
    """Least |t| relative to the largest one at which powers are divided out of places that have both signs or none."""
    powers_of_ratios: tuple[float, ...] = (2.0, 3.0)
    """Powers over a sum, as in t^3/(exp(t) - 1), beside 1 and -1."""

    # --- the search (search.py) ---
    most_rows: int = 1000
    """Rows that forms are fitted to: enough for hundreds of periods, at a bounded time."""
    peaks: int = 3
    """Peaks of a periodogram that are tried as frequencies."""
    low_degrees: int = 2
    """Degree of ratios that are tried before anything else."""
    degrees: int = 3
    """Degree of the polynomials of a ratio at most."""
    ratio_rounds: int = 4
    """Linear fits of a ratio, each weighted with the denominator before; they settle within three."""
    pairs: int = 12
    """Pairs of kinds of smooth terms that are fitted, of each number of constants. Chosen for time."""
    beside_trends: int = 8
    """Terms that are tried beside a line, and beside a parabola. Chosen for time."""
    beam: int = 4
    """Forms that get one more term. Chosen for time."""
    stages_under_outer: int = 4
    """Stages of the search for a sum under an outer function: single terms, ratios, pairs, sums of few terms."""
    sums_under_outer: int = 2
    """Sums under each outer function that are fitted to the curve itself."""
    extensions: int = 8
    """Terms that are tried as one more. Chosen for time."""
    most_terms: int = 4
    """Terms of a sum at most."""
    compositions: int = 12
    """Compositions of about the same length that are fitted, those closest before. Chosen for time."""
    more_compositions: int = 48
    """The same where none of these leaves residuals that look random: t/(exp(t) - 1) starts at place 44 on a grid of
    rates. Behind noise more of them only follow it."""
    starts_of_form: int = 2
    """Starts of one composition, from different constants of its outer function."""
    fits_inside: int = 12
    """Linear fits inside the layers of a composition for each of its θ, before the rough steps. Each takes 0.1 ms."""
    rough_steps: int = 6
    """Gauss-Newton steps on some rows after which a form is judged."""
    steps: int = 40
    """Steps on all rows."""
    far_behind: float = 3.0
    """Bits per row by which a form may be worse than the best after the rough steps: an eighth of the accuracy."""
    near_bits: float = 30.0
    """Bits by which a shorter form may be worse after rough steps and still be fitted to the end."""
    beyond_accuracy: float = 1e-3
    """Share of the accuracy at which a fit ends."""
    widest_values: float = 5.0
    """Values between the rows at most, in units of the span of the values: beyond lies a pole."""
    unwritten: int = 1_000_000
    """Symbols that a form counts as whose constants leave the range of floats: more than any other."""
    short: int = 24
    """Symbols up to which a form whose residuals look random ends the search; a longer one may have a shorter rival."""
    rows_of_test: int = 20
    """Rows below which nothing can be said about residuals."""
    neighbour_correlation: float = 3.0
    """Standard errors of the correlation of neighbouring residuals above which they are not random."""
    trend_degree: int = 4
    """Degree of the polynomial that residuals must not follow."""
    largest_trend: float = 16.0
    """Explained squares of that polynomial in units of the mean square: by chance in one of 150 tables."""
    trend_periods: int = 3
    """Periods above which residuals are tested for an oscillation; slower ones are trends."""
    chance_of_period: float = 0.01
    """Probability of chance of the highest peak of the periodogram at which residuals are not random."""
    results: int = 12
    """Forms that are returned."""


CURVES = CurveSettings()
