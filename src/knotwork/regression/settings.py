"""The numbers that decide how formulas are searched for in a table, each with its unit and its reason.

"With the Feynman set in view" means: chosen while the 120 equations of `benchmarks/feynman.py` were run, for the whole
of the search rather than for this number alone (docs/choosing.md); what half or double of it does was not measured.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class RegressionSettings:
    """Settings of the search for formulas in a table. Errors are relative to the spread of the target where not
    stated."""

    # --- the order of the search (search.py) ---
    worst_validation_error: float = 0.98
    """Validation error, relative to that of a constant, above which curves of a structure are not named. It was 0.5;
    laws behind more noise than signal are found since it is close to 1."""
    largest_ratio_to_best: float = 2.0
    """Structures whose penalised error is larger than this multiple of the least one are not named. With the Feynman
    set in view."""
    most_structures_named: int = 10
    """Structures whose curves are named in one search: naming takes most of the time. With the Feynman set in view."""
    penalty_of_curve: float = 1.12
    """Factor on the validation error of a structure for each of its curves, so that of two structures that fit about as
    well the one with fewer curves is named first. With the Feynman set in view."""
    curves_of_unusual_outer: int = 3
    """Curves that an unusual outer function counts as: arcsin, tanh and log around a whole formula are rare in the
    Feynman set."""
    early_error_of_sums: float = 0.02
    """Validation error of a sum or product of curves at which it is named before other structures are fitted. Splines
    on exact data come below it where the structure is right. With the Feynman set in view."""
    early_error_of_ridges: float = 0.005
    """The same for ridges and sums with a common factor, which fit many targets approximately. With the Feynman set in
    view."""
    most_inputs_of_partitions: int = 4
    """Inputs up to which sums of products of different inputs are tried early: of four there are 13, of five 50."""
    explained_ratio: float = 1.3
    """Error of a formula, relative to the least of all structures, above which its residuals are not taken for noise:
    curves explained more. With the Feynman set and tables of pure noise in view."""
    short_formula: int = 8
    """Symbols, decimals twice, up to which a formula whose residuals look random has no shorter
    rival among ratios. Chosen."""
    ratios_of_second_look: int = 2
    """Ratios that are tried where it has more."""
    decimals_of_law: int = 1
    """Decimals up to which the best formula is taken for the law: a factor in front may be measured. With the Feynman
    set at 1 % noise in view."""
    structures_of_second_look: int = 2
    """Sums of curves, and ridges, that are named where it has more."""
    formulas_of_structure: int = 3
    """Formulas of each of them: those of the simplest powers. One takes a second. With the Feynman set at 1 % noise in
    view."""
    formulas_after_noise: int = 1
    """Formulas still tried after one whose residuals look random, as the next may be shorter. With the Feynman set at 1
    % noise in view."""
    rows_per_coefficient: int = 2
    """Training rows for each coefficient that a structure must have: with fewer, splines can fit noise. Chosen, not
    measured."""
    most_inputs_of_products: int = 12
    """Inputs up to which structures are fitted whose number of coefficients grows with products of inputs. Chosen for
    time, not measured."""
    negative_share: float = 0.9
    """Share of negative targets in the sum of sizes above which -y is searched: noise may make small ones positive."""
    positive_share: float = 0.95
    """The same share of positive targets above which outer functions are tried that need them."""
    refit_steps: int = 20
    """Gauss-Newton steps when the constants of a formula are fitted again, near by, after variables were replaced.
    Twenty converge from values that are nearly right; chosen, not measured."""

    # --- structures of curves (structures.py) ---
    spline_order: int = 3
    """Order of all splines: cubic, the order of Liu et al. (2024)."""
    finest_grid: int = 24
    """Intervals of a curve at most. With the Feynman set in view."""
    coarsest_grid: int = 6
    """Intervals of a curve at least, unless the rows are fewer. Chosen, not measured."""
    intervals_of_all_curves: int = 48
    """Intervals that the curves of a sum have together, so that many inputs do not need many rows. Chosen, not
    measured."""
    rows_per_interval: int = 2
    """Training rows for each interval of a sum at least. Chosen, not measured."""
    largest_logarithm: float = 30.0
    """Largest absolute logarithm of a curve at the start of a fit: exp(30) is 10¹³, the range of float64 in a
    product."""
    logarithmic_ratio: float = 1.5
    """Ratio of the largest to the least value above which a positive input is measured by its logarithm. Below, both
    scales are almost the same. Chosen, not measured."""
    wide_ratio: float = 50.0
    """Ratio above which the logarithm is not used, unless most values are small (`crowded_share`): near zero the curves
    of a logarithm are steep. Chosen, not measured."""
    crowded_share: float = 0.2
    """An input whose median is below this share of its largest value is measured by its logarithm at any ratio. Chosen,
    not measured."""
    pseudoinverse_cutoff: float = 1e-10
    """Singular values below this share of the largest count as zero in the projection of a curve on its basis: a
    hundred times the rounding of its normal equations."""
    linear_cutoff: float = 1e-11
    """The same in linear least squares of whole tables."""
    structure_ridge: float = 1e-9
    """Share of the largest diagonal entry that is added to JᵀJ: coefficients that no row determines stay small."""
    least_target: float = 1e-6
    """Share of rms(y): smaller targets are not transformed by an outer function, and have no weight, as its derivative
    is too large there."""
    noises_of_least_target: float = 4.0
    """The same in units of the noise that negative targets show: few of those above it are noise alone."""
    largest_weight: float = 10.0
    """Times the median weight: larger weights of an outer function are cut, so that no few rows decide the fit. Chosen,
    not measured."""
    structure_starts: int = 10
    """Random starts of a structure that is not linear. With the Feynman set in view."""
    structure_first_steps: int = 12
    """Steps after which the best start is chosen: as many as a round of the race between networks."""
    structure_steps: int = 60
    """Steps of the best start. Most fits have converged before; chosen, not measured."""
    first_damping: float = 1e-2
    """λ of the first step of structures and ridges, larger than in training since starts are random. Chosen, not
    measured."""
    least_progress: float = 0.01
    """Relative decrease of the loss that counts as progress: smaller ones change no order of structures."""
    patience: int = 4
    """Accepted steps without progress after which the fit of a structure or ridge ends. Chosen, not measured."""
    structure_target: float = 1e-20
    """Mean squared error at which the fit of a structure ends: relative errors of 10⁻¹⁰, below those of splines."""
    product_steps: int = 20
    """Steps when a product that was fitted through its logarithm is fitted to the target itself. They are near already.
    Chosen, not measured."""

    # --- ridges (ridges.py) ---
    ridge_first_grid: int = 6
    """Intervals of a ridge's curve while its direction is searched for. Coarse, so that the loss has few minima."""
    ridge_grid: int = 16
    """Intervals of a ridge's curve at the end. With the Feynman set in view."""
    small_target: float = 0.2
    """Share of rms(y) below which targets weigh less, in proportion: noise of the target is large in its logarithm."""
    ridge_starts: int = 12
    """Directions tried for each ridge. With the Feynman set in view."""
    ridge_first_steps: int = 6
    """Steps after which the best start is chosen. With the Feynman set in view."""
    ridge_steps: int = 40
    """Steps of the best start on each grid. Most have converged before; chosen, not measured."""
    ridge_target: float = 1e-18
    """Mean squared error of logarithms at which the fit of ridges ends: relative errors of 10⁻⁹."""
    ridge_ridge: float = 1e-10
    """Share of the largest diagonal entry that is added to JᵀJ of the directions: their length is undetermined."""
    design_floor: float = 1e-7
    """Length, relative to the largest column, of the rows that keep the linear design of full rank. Its square is near
    the rounding of float64."""
    sloping_share: float = 0.4
    """Share of random starts that are combinations of the directions of largest curvature; others are sums and
    differences of logarithms. Chosen, not measured."""
    inputs_of_direction: float = 0.35
    """Share of the inputs in a random direction, at least two. Groups of two or three inputs are the usual ones."""
    snap_distance: float = 0.4
    """Distance of a direction from one of small whole numbers, both of length 1, up to which the whole one is tried: 23
    degrees. The fit decides, this only saves time. Chosen, not measured."""
    allowed_growth: float = 15.0
    """Growth of the loss, times the number of rows over the loss, at which a whole direction is still taken: in a
    likelihood ratio 15 is 3.9 standard errors, for a direction that is simpler a priori."""
    most_whole_power: int = 4
    """Largest whole number in a direction that is tried."""
    whole_cuts: tuple[float, float] = (0.5, 0.35)
    """Components of a scaled direction below these are tried as zero: rounding, and a little less than rounding."""
    usual_powers: tuple[float, ...] = (
        0.0, 0.5, -0.5, 1.0, -1.0, 1.5, -1.5, 2.0, -2.0, 3.0, -3.0, 4.0, -4.0, 5.0, -5.0,
    )  # fmt: skip
    """Powers that the leading inputs of ridges may have, the simplest first. Chosen, not measured."""
    cost_of_power_size: float = 0.3
    """Cost of a unit of an exponent, where each input with a power costs 1. Chosen, not measured."""
    cost_of_odd_power: float = 20.0
    """Cost of the distance of an exponent from a half or whole number, in the same units. Chosen, not measured."""
    most_power_choices: int = 6
    """Choices of powers between which curves of ridges are named. With the Feynman set in view."""
    error_of_one_product: float = 0.01
    """Root mean square of the errors of log y up to which the target may be a curve of one product of powers: splines
    come below it on rows without noise."""
    gain_of_finer_grid: float = 0.25
    """Mean square on a grid twice as fine, relative to the former, above which it is no curve of that product: those
    of twelve products were below 0.005, those of five other targets above 0.9."""
    growth_of_one_product: float = 4.0
    """Growth of the mean square at which a product of whole powers is tried: the error of splines is not random."""
    off_powers: float = 0.05
    """Distance of the powers before that curve from multiples of 1/2, up to which they are taken for these."""
    ways_of_one_product: int = 2
    """Ways to share powers between the factor and the curve that are tried, with two searches for the curve each."""
    stages_of_one_product: tuple[int, ...] = (1, 5)
    """Stages of that search, first for all ways, then for all again: one term under simple functions, as in
    1/(exp(t) - 1), takes a second; all up to functions of one term three. Longer ones take more."""
    rows_of_one_product: int = 250
    """Rows of that search, which is for exact curves alone: as good as all, in half of the time."""
    first_stages_of_pairs: int = 5
    """Stages of the search with fewer variables for every such table, before one of them is searched to the end: those
    up to curves of one product, a second or two."""
    most_negative: float = 0.2
    """Share of targets that may be negative, by noise, where a target is taken to be a positive product of powers."""

    # --- powers of shifted inputs (shifted_powers.py) ---
    shifts_beyond: tuple[float, ...] = tuple(2.0**-k for k in range(4, 18))
    """Distances of the shift from the ends of an input's values, in units of their range. Farther away noise hides how
    a power of it differs from other smooth curves. Of a thousand rows the nearest to a pole lies at about 1/1000."""
    lengths_of_shift_steps: int = 12
    """Lengths of a step that are tried, each half of the one before: next to a pole values change at once."""
    error_of_shifted_powers: float = 0.05
    """Error of that formula, relative to the target's spread, above which it is dropped. Chosen."""

    # --- what a formula leaves (what_is_left.py) ---
    error_of_rest: float = 0.05
    """Error of a formula, relative to the target's spread, up to which a formula of its residuals is added to it."""
    progress_of_rest: float = 0.1
    """Share of that error that a formula must come below to be taken, and before this is tried again."""
    rests: int = 2
    """How often it is tried in one search. Chosen for time."""
    stages_of_rest: int = 5
    """Stages of the search of residuals: those up to curves of one product, a second or two."""
    error_of_shared: float = 0.3
    """Share of what is left that terms with functions of the formula may leave: without these terms its constants were
    a little off, and are right where all are fitted together."""
    parts_of_rest: int = 3
    """Functions of the formula that are inputs of what it leaves, as in a·cos(b·t) + c·cos(b·t)². Chosen for time."""

    # --- names of curves (curve_names.py) ---
    curve_points: int = 120
    """Points of a curve on which functions are fitted to it. The curves are smooth: a spline of at most 24
    intervals."""
    outer_cost: float = 1.5
    """Bits that an outer function costs, a little less than a function of the library (2 or more). Chosen, not
    measured."""
    inner_constants_cost: float = 2.0
    """Bits that the constants inside a function cost, as for the edges of networks."""
    offset_cost: float = 1.0
    """Bits that an added constant costs where it is not free anyway."""
    half_power_cost: float = 1.0
    """Bits that a power of a half or whole number costs, and a quarter for each unit of its size up to 4."""
    decimal_power_cost: float = 3.0
    """The same for any other power. With the Feynman set in view."""
    curve_accuracy: float = 1e-5
    """Share of its size that a spline may be off the true curve: functions that fit better than that are ranked by
    their cost. Chosen, not measured."""
    accuracy_of_fit: float = 0.5
    """The same as a share of the error of the fit that the curve comes from, where this is larger."""
    inner_functions: tuple[str, ...] = ("x", "x^2", "x^3", "exp", "sin", "cosh", "sqrt", "1/x", "tanh")
    """Functions that are tried under an outer function, beside those that the user added. Others would double one of
    the outer functions, or are rare there."""
    functions_finished: int = 3
    """Functions under each outer function whose constants are fitted to the end; eight where an edge is named alone."""
    inner_powers: tuple[float, ...] = (-4.0, -3.0, -2.0, -1.5, -1.0, -0.5, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0)
    """Powers that are tried under an outer function, of positive inputs."""
    inner_powers_of_any_sign: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0)
    """The same where an input has both signs."""
    steepest_outer: float = 1e12
    """Upper limit of the squared slope of an outer function as a weight: a curve next to a pole decides nothing
    more."""

    # --- names that a search of curves finds (searched_names.py) ---
    unnamed_error: float = 5.0
    """Error of the best single function, in units of the accuracy of the curve, above which sums and compositions are
    searched for: by chance or by splines it is at most two or three."""
    seconds_of_search: float = 10.0
    """Seconds after which the search for one curve ends with what it has. Most curves take less than two; a machine
    that does other work takes several times as long."""
    searched_names: int = 3
    """Forms that are tried as names in the formula."""
    cost_of_symbol: float = 0.4
    """Bits of a symbol of such a form, so that a composition costs about as much as an outer function around a function
    of the library with its constants."""

    # --- formulas of structures (candidate_formulas.py) ---
    names_of_curve: int = 10
    """Names of each curve that are tried in the formula. With the Feynman set in view."""
    most_combinations: int = 30
    """Other names tried in a structure, one at a time. Twenty were enough before constants that are equal by chance had
    a price of their own (`Template.doubt`); the results in benchmarks/results/feynman.jsonl are those of thirty."""
    combinations_when_fitting: int = 20
    """The same where the first names already fit as well as the curves. With the Feynman set in view."""
    rows_of_combinations: int = 400
    """Rows on which names are compared: enough to tell functions apart, at a fraction of the time. Chosen, not
    measured."""
    combination_steps: int = 25
    """Steps when the constants of a combination of names are fitted. Chosen, not measured."""
    largest_score_gap: float = 10.0
    """Bits by which a name may be worse than the best one of its curve and still be tried. Chosen, not measured."""
    largest_bits_gap: float = 60.0
    """Bits by which a formula may be longer than the shortest before constants are rounded: each constant that becomes
    simple saves log2 of the number of rows, ten where there are 1,000."""
    most_rounded: int = 4
    """Formulas of a structure whose constants are rounded, since rounding refits the others. Chosen, not measured."""
    most_terms_written_out: int = 12
    """Terms of a sum of products that are multiplied out: two products of a quadratic with a curve and a constant."""
    cancelled_term: float = 1e-9
    """Size of such a term, as a share of the whole, below which it has cancelled. The others are fitted, and tested."""
    equal_inside: float = 1e-4
    """Relative difference of constants inside its functions up to which they start as one: exp(0.05·t) in two curves of
    one input, which are known to about 1e-5. The fit that follows shows whether they are."""
    constant_variation: float = 2e-3
    """Relative variation of a factor below which it is a constant. Above the error of splines; the rows decide later
    about the constant."""
    variation_of_noise: float = 2.0
    """The same in units of the variation that least squares make of noise alone: two standard deviations."""
    as_good_as_curves: float = 1.02
    """Error of a formula, relative to that of the curves, at which its names are good enough. Chosen, not measured."""
    noisy_fit: float = 0.3
    """Error of the curves above which it is no measure for names, since they explain little."""
    negligible_power: float = 0.06
    """Powers that are smaller count as zero, and those as near to a half or whole number as that number. Chosen, not
    measured."""
    unlikely_error: float = 0.1
    """Relative error of the best name of a ridge's curve above which this choice of powers is tried last. Chosen, not
    measured."""

    # --- symmetries and random residuals (symmetry.py, randomness.py) ---
    symmetry_tolerance: float = 0.12
    """Share of two slopes by which they may differ for a pair to act by its difference or sum alone. Room for the error
    of the polynomial that the slopes come from. With the Feynman set in view."""
    wide_symmetry_tolerance: float = 0.3
    """The same where a formula with noise is known already: what a wrong pair costs is time."""
    power_tolerance: float = 0.05
    """Share by which a power may be off, in half of the rows, for an input to be a factor. Chosen, not measured."""
    least_slope: float = 1e-3
    """Slopes of a pair below this share of the largest show nothing."""
    polynomial_degrees: tuple[int, ...] = (3, 2)
    """Degrees of the polynomial whose slopes show symmetries; the first that has few enough terms."""
    terms_of_slopes: float = 0.3
    """Terms of that polynomial for each row at most: three rows determine a coefficient."""
    terms_of_test: float = 0.2
    """Terms of the polynomials that test residuals, for each row at most. The F test needs rows to spare."""
    test_degrees: tuple[int, ...] = (2, 3, 4)
    """Degrees of these; the highest with few enough terms is used."""
    neighbour_correlation: float = 4.0
    """Standard errors of the correlation of neighbours along an input above which residuals are not random: by chance
    in one of 30,000 inputs."""
    test_level: float = 0.01
    """Level of the F test: residuals that are random are said not to be in one table of a hundred."""
    least_variance_of_terms: float = 1e-12
    """Variance of a term of inputs mapped to [-1, 1] below which it is a constant, with rounding errors."""

    # --- dimensionless groups (dimensionless_groups.py, dimensionless_search.py) ---
    most_bases_kept: int = 400
    """Choices of dimensionless groups that are compared. Chosen for time, not measured."""
    most_bases_tried: int = 1000
    """Scaling bases (Buckingham's repeating variables) that are tried at most. Chosen for time, not measured."""
    largest_power: int = 6
    """Power of an input in a group at most, and its denominator. Physical laws have smaller ones."""
    cost_of_fraction: float = 2.0
    """How many units of a whole power a fractional power counts as, where the simplest groups are chosen. Chosen, not
    measured."""
    most_group_choices: int = 3
    """Choices of groups in which formulas are searched for, the simplest first. With `feynman.py --units` in view."""
    small_scale: float = 0.25
    """Rows whose target scale is below this share of the median are not used in groups: noise is large there."""
    time_of_choice: float = 0.67
    """Share of the remaining time that one choice of groups may take, so that the next has some."""
    group_formulas_after_noise: int = 6
    """Formulas still tried in groups after one whose residuals look random: with few variables many formulas fit, and
    the right one may not be the first. With `feynman.py --units` in view."""

    # --- rows that may be blunders (suspicious_rows.py) ---
    fewest_rows_for_blunders: int = 12
    """Rows below which no row counts as a blunder: fewer ones do not show what is usual. Chosen, not measured."""
    largest_share_of_blunders: float = 0.05
    """Share of the rows that may be blunders, one row at least. More of them are a part of the law, or its noise."""
    deviation_of_median: float = 1.4826
    """Standard deviation of normal residuals in units of the median of their sizes."""
    huber_limit: float = 1.345
    """Residual in standard deviations up to which Huber's loss is a square: 95 % efficient for normal ones."""
    tukey_limit: float = 6.0
    """Residual in standard deviations from which a row does not count for the robust polynomial at all. The usual 4.7
    would cut corners of a law that the polynomial does not follow."""
    robust_steps: int = 16
    """Fits of that polynomial with new weights: half of them by Huber's, half by Tukey's. Chosen, not measured."""
    robust_degree: int = 4
    """Degree of that polynomial at most. Chosen, not measured."""
    terms_of_robust: float = 0.17
    """Terms of that polynomial for each row at most, so that a row cannot make it follow itself."""
    long_tail: float = 12.0
    """Range of a column in units of the middle half of its values from which ranks stand for them: a uniform column has
    2, a normal one of a million rows 7."""
    suspicious_distance: float = 8.0
    """Distance from that polynomial in standard deviations of most rows from which a row is suspicious. A law is no
    polynomial, so rows may be farther off than normal noise is. Chosen, not measured."""
    suspicious_gap: float = 2.0
    """Times the distances of all other rows that a suspicious one has. Chosen, not measured."""
    # --- constraints (constraints.py) ---
    linear_tolerance: float = 1e-9
    """Share of the target's spread by which a formula may deviate from a straight line in a linear input: rounding."""
    linear_points: int = 9
    """Places of the input's range at which that is tested. Chosen, not measured."""

    # --- limits (limits.py) ---
    rounds_of_repair: int = 4
    """Times that constants out of range are set to its ends and the others fitted again. Chosen, not measured."""
    monotone_points: int = 33
    """Places of an input's range between which a formula must grow or fall. Chosen, not measured."""
    rows_of_limits: int = 1000
    """Other combinations of inputs, twice, on which signs and slopes are tested. Chosen, not measured."""
    corners_of_limits: int = 64
    """Corners of the box of all rows that are tested, too: most of those of five inputs."""


REGRESSION = RegressionSettings()
