"""The numbers that decide what `discover` tries, and what it chooses."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DiscoverySettings:
    """Settings of the journey from a table to a formula. A share is between 0 and 1; rms(y) is the target's spread."""

    most_rows: int = 10_000
    """Training rows that are used. The curves tried have at most some hundred coefficients; chosen, not measured."""

    inputs_of_first_line: int = 20
    """Inputs up to which a straight line is shown before the search begins: of twenty it takes 0.4 s."""
    rows_of_search: int = 4_000
    """Rows among which formulas are searched for; the constants of the best are fitted to all rows that are used. The
    time of a search grows with them: 14,000 rows of knots took 72 s."""
    steps_on_all_rows: int = 20
    """Steps of that last fit, which starts near its end."""
    few_rows_below: int = 100
    """Training and validation rows below which none is kept aside: a fifth of them would judge formulas badly, and
    would be missed by the constants. Chosen, not measured."""

    fewest_rows: int = 4
    """Rows that a formula with one constant needs at least: more than three for each constant."""

    warn_below_rows: int = 10
    """Rows below which a warning says that little can be told, and below which r² is not given."""

    rows_for_curves: int = 20
    """Rows from which curves are tried, too: splines of one input have a handful of coefficients."""

    share_for_curves: float = 0.8
    """Share of few rows that curves are fitted to. The others rank structures of curves, whose formulas are then fitted
    to all rows."""

    symbols_of_plain_law: int = 11
    """Symbols up to which a formula of few rows is as plain as a law of textbooks; each more costs log2(rows) bits.
    Longer formulas are the best of thousands, which follow 30 rows by chance: a sum of sines of products did."""

    share_of_own_zero: float = 0.5
    """Share of the time budget after which temperatures in °C or °F are counted from absolute zero instead. Chosen."""

    bits_of_own_zero: float = 1.0
    """Bits that a law must save to count temperatures from absolute zero: straight lines have as many for any zero."""
    bits_of_absolute_zero: float = 3.0
    """Bits that it may cost if it has fewer constants: an eighth in probability. With the vapour pressure of mercury in
    view, where 19 rows leave a zero of 262.6 ± 3.4 half a bit ahead of absolute zero."""

    blocks_of_time: int = 10
    """Blocks of neighbouring rows that are left out together where few rows are split in time: a tenth of them, as in
    tenfold cross-validation. Chosen, not measured."""

    most_of_few_rows: int = 4
    """Candidates of few rows that become formulas, beside a straight line and a power law. Chosen for time."""

    digits_of_choices: int = 2
    """Digits of constants up to which plainer formulas must differ from those of the front: of 2*exp(-x) and
    2.0003*exp(-x), one is enough, and the simplest form makes both the same."""

    digits_of_equal_formulas: int = 5
    """Digits of constants up to which two formulas count as the same: fits end that near their optimum."""

    bits_of_logarithm: float = 1.5
    """Bits that a logarithm costs where rows are few: a + b·log(x) follows many curves that level off, but laws have
    logarithms of pure numbers only. With Michaelis and Menten's law on 12 rows in view."""

    bits_of_certainty: float = 3.0
    """Bits that a formula of few rows must save against a constant."""

    most_classes: int = 20
    """Different labels up to which the boundary of each class is searched; more are rather names of rows."""

    test_share: float = 0.2
    """Share of the different rows of every group that are test rows, as in `Dataset.from_arrays`."""

    few_rows: int = 1000
    """Training rows of the first fit where the time is limited. Importance needs no more (`benchmarks/feynman.py`)."""

    baseline_width: int = 5
    """Hidden nodes of the baseline network, as in the paper's first example [2, 5, 1] (section 2.1)."""

    baseline_sparsity: float = 1e-3
    """Weight of the penalty in the baseline's first fit, in units of rms(y). The paper's lamb lies near it; with it
    a column of noise keeps less than 2 % of the importance (tests/discovery)."""

    baseline_steps: int = 25
    """Steps of the baseline's first fit. Importance changes little after them; chosen, not measured."""

    grids: tuple[int, ...] = (5, 10, 20)
    """Grid intervals of networks, from coarse to fine. Twenty suffice to recognise a curve; chosen, not measured."""

    baseline_grids: tuple[int, ...] = (5, 10)
    """Grid intervals of the baseline. A wide network needs no finer ones, and takes a fifth less time without."""

    most_of_fine_baseline: int = 500
    """Coefficients of the baseline on its finest grid, at most: with 700 (ten inputs), a smooth fit takes ten
    seconds."""

    grid_steps: int = 40
    """Steps on each grid of a network of some shape; chosen, not measured."""

    baseline_grid_steps: int = 30
    """Steps on each grid of the baseline, and of the first, coarse fit of a shape; chosen, not measured."""

    tolerance: float = 1e-3
    """Relative change of the loss below which fits end: they compare shapes, and need no digits beyond that."""

    starts: int = 8
    """Starting points of every shape. Shapes are small, and most starts end in the same minimum; not measured."""

    rounding_of_columns: float = 1e-6
    """Share of its spread by which a column may differ from a linear combination of others and still count as one,
    where the rounding of its numbers explains that much: above the rounding of float32, 1e-7."""

    roundings_of_columns: float = 8.0
    """Spacings of floats of double precision at its largest number by which a column may be wrong: of the calculation
    of its numbers, of a change of its unit, and of the least-squares solution. Chosen, not measured."""

    growth_of_rounding: float = 10.0
    """Times the rounding of a dependent column by which a formula with it may differ from one without: squares and
    products double it, for example. Chosen, not measured."""

    decades_of_target: float = 4.0
    """Decades between the 2 % smallest and the 2 % largest targets from which errors are relative, if all targets have
    one sign. With additive noise, small targets would have both signs. Two of the 120 Feynman equations with their
    usual ranges reach it."""

    negligible_importance: float = 0.01
    """Share of the largest importance below which an input is negligible, and at first excluded."""

    exclusion_ratio: float = 1.2
    """Times the baseline's validation error that a network without negligible inputs may have; otherwise they stay in
    (a weak input that matters: tests/discovery)."""

    prune_ratio: float = 10.0
    """Times the baseline's error: a shape with a larger error on the coarse grid is not refined; not measured."""

    prune_error: float = 0.05
    """Share of rms(y): a shape with a smaller error on the coarse grid is always refined; chosen, not measured."""

    explained_error: float = 0.5
    """Share of rms(y): where the best formula is above it, the general network may have missed what shapes can see."""
    hardly_more: float = 0.95
    """Error of the general network, relative to that of the best formula, above which networks of other shapes are not
    tried: half of the search's time for 5 % of the error."""

    naming_ratio: float = 3.0
    """Times the best error so far: shapes within it get a formula at once; chosen, not measured."""

    naming_error: float = 0.01
    """Share of rms(y): shapes within it get a formula, too. A kink is hard for splines and easy for a formula."""

    front_ratio: float = 0.9
    """Times the error of a simpler candidate, which a longer one must reach to be kept; chosen, not measured."""

    most_candidates: int = 6
    """Candidates of one search that are turned into formulas with networks, which takes a second for each."""

    formula_share: float = 0.75
    """Share of the time budget for the search among structures of curves. Networks follow (`benchmarks/feynman.py`)."""

    share_of_common_terms: float = 0.1
    """Share of the time budget that is kept for terms which several targets share. Chosen, not measured."""

    groups_share: float = 0.67
    """Share of that for dimensionless groups, which come first (`benchmarks/feynman.py`, with units)."""

    rows_of_importance: int = 2000
    """Rows on which importance is measured, at most: the sampling error of a share is then about 2 %."""

    seed_of_importance: int = 0
    """Seed of the draws by which importance is measured, so that it is the same for the same formula."""

    draws_of_importance: int = 20
    """Draws of the constants of a formula for the spread of shares: it is then known to a sixth. Milliseconds each."""

    refits_of_importance: int = 4
    """Refits of the general network for the same. A second or so each, so the spread is known to a third only."""

    fewest_rows_compared: int = 10
    """Rows that were not fitted from which on the network may count as better than the formula."""

    errors_of_gain: float = 2.0
    """Standard errors by which its squared errors must be smaller: by chance in one of forty tables."""

    smallest_change: float = 1e-10
    """Change of predictions, relative to their size, below which an input has no share: above rounding in float64."""

    spread_shown: float = 5e-4
    """Spread from which it is shown beside a share: below, it would read as ± 0.0 %."""

    strong_correlation: float = 0.9
    """Rank correlation from which two inputs are said to move together: each then tells four fifths of the other's
    variance, and which of them matters is hard to say."""

    most_pairs_shown: int = 5
    """Pairs of such inputs that are named, at most."""

    small_importance: float = 0.3
    """Importance of inputs without a part in dimensionless groups up to which several groups are tried. The first fit
    may mistake one input for another (`benchmarks/feynman.py`, with units)."""

    disagreement_cost: int = 4
    """Symbols by which a formula counts as longer where units do not agree in it; 1 for each constant with a unit
    (`benchmarks/feynman.py`, with units)."""

    most_factors: int = 8
    """Largest number of splines that one product node multiplies. A product of more has values of any size between the
    training rows. Chosen, not measured."""

    places_within: int = 10_000
    """Places within the ranges of the rows where formulas are tested for being defined. Chosen for time."""

    most_corners: int = 64
    """Corners of the box of all rows that are tested, too: all those of six inputs, some of those of more."""

    surely_avoided: float = 7.0
    """Rows that a part of the box should hold, were they spread like their columns. If it holds none, rows avoid it:
    by chance in one table of 1,000."""

    bits_of_gaps: float = 0.5
    """Bits a row that a formula with gaps within the ranges of the rows must save against one without. Half a bit is
    twice the variance of the residuals: up to it the formula without gaps adds no more to them than the noise does, and
    it has a value for every new row."""

    largest_input: float = 1e4
    """Largest input that is explained in its own unit; larger ones, and smaller ones than one over it, are scaled.
    Constants of refits differ too much otherwise, at 1e12 for example. Chosen, not measured."""
    decades_of_units: int = 6
    """Inputs are scaled by powers of ten that are multiples of this one, so that inputs of about the same size, whose
    sums and differences may matter, have the same unit. Chosen, not measured."""
    largest_size: float = 1e100
    """Largest value of an input that can be used, and one over the smallest: squares and their sums then stay between
    1e-308 and 1e308."""

    largest_target: float = 1e12
    """Largest target that is fitted in its own unit; larger ones, and smaller ones than one over it, are scaled, so
    that constants are numbers of usual size. Chosen: 1e90*x/y was not found in its own unit."""

    least_outlier: float = 6.0
    """Residual of an outlier in standard deviations of most residuals at least. Normal noise exceeds four in one row of
    16,000, so that six leaves room for noise with longer tails."""
    most_noise: float = 4.0
    """Residual in these units that normal noise hardly exceeds."""
    gap_of_outliers: float = 1.5
    """Times the largest residual of other rows that outliers have: long tails of noise have no such gap."""
    gap_of_doubtful_outliers: float = 10.0
    """The same where a formula leaves something to explain, so that large residuals may be its own fault."""
    gap_of_test_outliers: float = 10.0
    """The same for test rows where no other row is an outlier. Leaving out rows there flatters a formula."""
    outliers_without_gap: int = 3
    """Outliers that need no gap, if hardly any row lies between them and the noise: rows with a wrong sign have
    residuals of any size. Chosen, not measured."""
    beside_range: float = 0.1
    """Share of the middle half of an input by which an outlier may lie beside the range of all other rows. Farther out,
    nothing tells what the target should be."""
    rows_beside_range: float = 4.0
    """The same for few rows, divided by their number: their ends are apart by chance."""
    chance_of_one_place: float = 1e-3
    """Level of the test whether outliers lie together along an input, as the rows of a narrow peak do."""
    bits_of_outlier: float = 5.0
    """Bits that an outlier costs beside those of its place in the table and of its size. Chosen, not measured."""

    rows_of_neighbours: int = 300
    """Rows on which formulas near a known one are compared; the best are fitted to all. Chosen for time."""
    steps_of_neighbours: int = 10
    """Gauss-Newton steps with which formulas near a known one are compared. Chosen for time."""
    steps_to_neighbours: int = 4
    """Steps from a known formula to a better neighbour at most. Chosen for time."""
    digits_of_curves: int = 4
    """Digits of the constants of a form's curves in words, as of formulas in reports."""

    most_outliers_shown: int = 10
    """Outliers that are shown one by one, so that the text stays short."""

    reweighting_steps: int = 30
    """Times that the weights of a loss and constants are computed in turn at most. Chosen, not measured."""
    least_expected_count: float = 0.01
    """Expected count below which rows count no more than at it, so that a formula near 0 is not decided by few rows."""
    same_weights: float = 1e-6
    """Change of a weight below which they count as the same: far below what moves a constant by its error."""

    shown_formulas: int = 5
    """Formulas that a front has where the rows allow it, from a constant and a line upwards. Chosen for readers."""
    most_plainer: int = 8
    """Plainer formulas that become entries at most, which takes some hundredths of a second for each."""
    rounds_of_parts: int = 3
    """Parts of a formula that are left out one after the other, the best way first, for plainer ones."""
    most_parts: int = 40
    """Formulas with a part less that are fitted in each round at most. Chosen for time."""

    level_of_comparisons: float = 0.05
    """Probability of the paired test below which rows are said to tell two formulas apart: the usual level."""
    fewest_compared_rows: int = 30
    """Test rows from which formulas are compared on these alone. Below, Student's t is not reliable for squares."""
    share_beyond: float = 0.2
    """Share of a range by which places beyond it lie outside at most: near enough for formulas to be defined."""
    certainty_of_places: float = 0.95
    """Probability with which the proposed measurements tell two formulas apart."""
    most_levels: int = 5
    """Different values of a column up to which it has no others, as a category or a setting of an instrument has."""
    rounds_of_places: int = 2
    """Rounds in which the best place of a measurement is improved along each input. Chosen for time."""
    places_along_a_line: int = 401
    """Places that are tried along an input: a four-hundredth of its range apart."""
    digits_of_places: int = 3
    """Digits of the range of an input to which proposed places are rounded, so that one can set them."""


DISCOVERY = DiscoverySettings()
