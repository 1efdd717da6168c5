"""The constants of training, each with its unit and why it has this value."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingSettings:
    """Constants of `fit` and of what is built on it. "Chosen" means that no other value was measured."""

    # --- which optimiser ---

    most_products: float = 5e10
    """Multiplications in the normal equations of one Levenberg-Marquardt step up to which "auto" takes such steps: a
    few seconds a step on two cores. Chosen."""

    most_parameters: int = 3000
    """Parameters up to which "auto" takes second-order steps: above, factorising the matrix dominates. Chosen."""

    batch_rows: int = 1024
    """Rows of a mini-batch unless `batch_size` says otherwise. Chosen: matrix products fill two cores."""

    rows_without_batches: int = 4096
    """Training rows up to which gradient steps take all rows at once. Chosen: four batches."""

    rows_worth_evaluating: int = 1000
    """Rows whose loss can be evaluated after every gradient step, because it costs no more than the step. Chosen."""

    least_evaluations: int = 20
    """Evaluations of the losses in one fit by gradient steps, at least, so that its history is a curve. Chosen."""

    entries_worth_a_thread: float = 4e6
    """Entries of the Jacobian (rows times parameters) from which a second thread was measured to save time."""

    # --- when a fit ends, and which state is kept ---

    rounding_errors: float = 10.0
    """Root mean square error of rounding alone, in epsilons of the type times rms(y): networks add up a few. Chosen."""

    seconds_between_events: float = 0.25
    """Seconds after which callbacks are called again by a search that has no steps to report. Chosen."""

    better_than_mean: float = 1 - 1e-9
    """Ratio to the loss of the best constant below which a loss counts as lower. It allows for rounding."""

    already_fitted: float = 0.5
    """Ratio to the loss of the best constant below which the values of a network that was never fitted here are not
    random ones: it was trained elsewhere, and its outputs are in the unit of the targets. Chosen."""

    rows_to_judge: int = 10
    """Validation rows from which a fit is compared with the mean on them: the errors of fewer are chance. Chosen."""

    largest_share_of_range: float = 1e-3
    """Largest value of a column, as a share of the largest number of the type: sums of a thousand such values, and
    knots beyond them, stay finite. Chosen."""

    smallest_multiple_of_normal: float = 1e-8
    """Least spread of a target, in units of the smallest normal number of the type: eight digits of it are left above
    the smallest number of all in float64. Chosen."""

    knots_above_normal: float = 1e3
    """Least range of an input, in units of the smallest normal number of the type: distances of a thousand knots in it,
    and one over them, are still such numbers. Chosen."""

    digits_of_target: float = 100.0
    """Range of a target, in units of the type's epsilon times its largest value, below which a network of this type
    cannot give it to two digits. Chosen."""

    constant_input: float = 1e3
    """Range of an input, in units of the type's epsilon times its largest value, at or below which its values cannot
    be told apart reliably and the input counts as a constant. Chosen."""

    noise_free: float = 1e-8
    """Squared error relative to the variance of the targets below which it is taken for the splines' own error and not
    for noise. Chosen: no table of measurements has six digits."""

    bits_of_target: int = 30
    """Bits of a target, below its spread, that steps see at first: to 1e-9 of it. Chosen: targets whose unit is changed
    differ by 1e-16 of it, and after rounding one row in a million differs."""

    exact_targets: float = 1e-12
    """Squared error relative to the variance of the targets below which steps see all bits of them. Chosen: at an error
    of 1e-6 the rounding of 3e-10 changes the squared error by 1e-7 of it."""

    alike_losses: float = 1.1
    """Ratio to the lowest loss up to which a later state is kept in its place where rows hold no noise: the last steps
    run on the final grids, whose curves end better where there are no rows. Chosen."""

    # --- L-BFGS ---

    lbfgs_iterations: int = 20
    """Iterations of one step, as in torch and pykan."""

    lbfgs_history: int = 10
    """Steps that the approximate curvature remembers, as in pykan."""

    lbfgs_preconditioned: int = 2000
    """Parameters up to which the Gauss-Newton matrix is factorised before every step. Chosen: above, the factorisation
    costs more than the 20 iterations."""

    lbfgs_grid_steps: int = 20
    """Steps after which hidden grids stay. benchmarks/lbfgs_schedule.py compares schedules."""

    lbfgs_slow: float = 4e-3
    """Relative decrease of the loss in one step of 20 iterations at or below which it counts as slow; five slow steps
    in a row end the fit. benchmarks/lbfgs_schedule.py compares values."""

    lbfgs_damping: float = 1e-2
    """Share of its diagonal added to the Gauss-Newton matrix that preconditions. Chosen."""

    # --- hidden grids ---

    grid_beyond_rows: float = 2.0
    """Distance by which a first grid reaches beyond the outermost rows where the range of an input is not known, in
    mean distances of training rows: other rows of that range lie outside by one on average. Of 0, 2 and 5, 2 gave the
    smallest errors for J0(20x) and exp(sin πx + y²) from arrays (eight seeds)."""

    parts_of_column: int = 20
    """Parts of equally many distinct values into which a column is divided to see how it fills its range, at most.
    Chosen."""

    least_parts_of_column: int = 4
    """The same, at least: a column of fewer than five distinct values gets even knots. Chosen."""

    densest_values: float = 0.9
    """Share of the distinct values of a column, those that lie densest, that should fill a good part of its range.
    Chosen."""

    smallest_share_of_range: float = 0.3
    """Share of the range that they must fill, or knots follow the rows. Normal values fill 0.34 in a million rows and
    more in fewer, so they get even knots as uniform values do. Student's t with three degrees of freedom fills a tenth
    in a thousand rows, log-normal values a fifth."""

    longest_end: float = 4.0
    """Length of the first and last interval of a grid that follows the rows, in lengths of their neighbours, at most.
    Mean (worst) 1 - r² of `KANRegressor` on other rows of tables with log-normal, Student's t, Cauchy and Pareto
    inputs: for 2, 4, 8 and no limit 0.018 (0.13), 0.011 (0.08), 0.007 (0.04), 0.009 (0.09) with five intervals, for 2,
    4 and 6 0.020 (0.12), 0.016 (0.10), 0.015 (0.07) with three. Of three, the inner one has no freedom between much
    longer ones: with 8, Student's t inputs led to 0.04 where 2 led to 0.003."""

    rows_for_quantiles: int = 100_000
    """Rows from which the distribution of a column is seen, at most about. Chosen: sorting more takes longer than a
    step."""

    grid_margin: float = 0.01
    """Share of the range of a hidden node that its grid leaves free at both ends. Chosen."""

    grid_reach: float = 0.1
    """Share of the range of a hidden node by which its grid reaches beyond it at most, to where other rows of the same
    box of inputs may lead. Chosen."""

    inputs_near_corners: int = 10
    """Inputs of a layer up to which the range that other rows may reach is computed: with more, hardly any row comes
    near a corner of the box. Chosen."""

    grid_coverage: float = 0.6
    """Share of its grid that the values of a hidden node must fill, or the grid is fitted again. Chosen."""

    grid_ends: float = 0.003
    """Share of a hidden grid by which its ends may be off before the first step and for the last steps. Chosen."""

    ruined_by_grids: float = 2.0
    """Losses of the best constant above which no move of a hidden grid may lift a fit. Chosen."""

    final_steps: int = 10
    """Last steps, before which hidden grids are fitted to the values once more. Chosen."""

    # --- smoothness ---

    smoothness: float = 3e-5
    """Weight of squared differences of coefficients, relative to how much the outputs depend on the curve. It
    determines coefficients that no row determines, and leaves the error as it is. From benchmarks/training.py."""

    exact_order: int = 2
    """Orders by which the differences rise where rows are exact (`noise_free`). Chosen: continuation along a line."""

    exact_smoothness: float = 1e3
    """Factor of the weight where rows are exact. From benchmarks/training.py."""

    smoothness_together: float = 0.25
    """Power of the common factor by which every curve's weight falls at least when the rows ask for rougher curves.
    Chosen: between 0 (each curve alone) and 1 (all alike)."""

    most_roughness: float = 3.0
    """Largest part of the smoothness penalty in what is minimised, relative to the loss: rougher curves are what the
    rows require. Chosen."""

    fast_decrease: float = 1e-3
    """Ratio of the losses after and before a step below which the network may fit the rows exactly, and the smoothness
    weight for exact rows waits. Chosen."""

    # --- the race of starting points ---

    starts: int = 64
    """Starting points of a first fit. With 64, twenty of twenty seeds found every minimal shape of
    benchmarks/training.py."""

    starts_with_penalty: int = 4
    """Starting points of a first fit with a penalty. `race_consensus` hardly ever ends that race, as the objective
    includes the penalty. With 4, twenty of twenty seeds of the first example of README lead to its formula."""

    tolerances: tuple[float, float] = (1e-5, 1e-4)
    """Relative decrease of the loss that counts as progress of a step, without and with a penalty. With 1e-4 fits of
    three targets take half to all of the steps, and `prune` finds the same shape in all of 15 seeds."""

    race_grid: int = 5
    """Intervals on which starts race when the network's own grid is finer: poor minima show on coarse grids, and steps
    cost less there. Screening at G = 5 took less than half a second for 16 starts."""

    rows_compared: int = 1000
    """Training rows for which the outputs of a module, or the value of a loss, tell whether a file belongs to it."""

    race_rows: int = 1000
    """Training rows that the race uses at most. Chosen."""

    race_group: int = 8
    """Starts that race with each other before the next group begins. Chosen: two thirds of minimal shapes' starts fail,
    so one of eight succeeds in most cases."""

    race_rounds: tuple[tuple[int, int], ...] = ((12, 8), (12, 4), (12, 2), (24, 1))
    """(steps, starts that go on) of the rounds of one group: successive halving. Chosen."""

    race_rounds_with_penalty: tuple[tuple[int, int], ...] = ((18, 2), (12, 1))
    """The same with a penalty and at most `starts_with_penalty` starts. The rounds above, of which the first two drop
    none of four starts, found the shape of the first example of README in 18 of 19 seeds, these in 19, in two thirds
    of the time."""

    race_same_place: float = 1.1
    """Ratio to the lowest loss up to which two starts count as having reached the same minimum. Chosen."""

    race_consensus: tuple[tuple[int, float], ...] = ((1, 1e-4), (3, 0.05), (6, 0.9))
    """(starts in the same minimum, share of the targets' variance that its loss is below): any of these ends the race.
    One start is enough at a loss of 1e-4, where a poor minimum is unlikely. Chosen."""

    # --- coarse to fine ---

    level_gain: float = 0.9
    """Ratio to the lowest validation error so far that a finer grid must fall below to count as a gain. Chosen."""

    patience_near: int = 5
    """Levenberg-Marquardt steps in a row without progress that end the fit of a refined network, which begins near its
    minimum. With 10, as for other fits, levels of five targets took 1.6 times as long for errors within 5 %."""

    finest_doubling: int = 400
    """Intervals at which "auto" no longer doubles the grid. Chosen."""

    shape_steps: int = 30
    """Steps on the first grid in `fit_shapes`, where the error already shows which shapes are good. Chosen."""


TRAINING = TrainingSettings()


@dataclass(frozen=True)
class SampleSettings:
    """Constants of fits to many rows, whose first steps are made on samples of the rows."""

    rows: int = 10_000
    """Rows of the largest sample, at least. Chosen: steps on fewer rows take less than a tenth of a second."""

    rows_per_parameter: int = 50
    """Rows of the largest sample for each parameter, at least. The relative error of second derivatives is
    2/√50 = 0.3 at most then (Marchenko and Pastur 1967), so that each step on all rows leaves at most that share of
    the distance to the minimum, and 0.14 on average."""

    worth_sampling: float = 2.0
    """Ratio of all rows to the largest sample from which steps on all rows are to be spared. Chosen."""

    growth: int = 5
    """Ratio of the sizes of two samples. Chosen: the steps on all smaller ones cost less than those on the largest."""

    smallest: int = 2000
    """Rows of the smallest sample, at least. Chosen."""

    least_rows_per_parameter: int = 5
    """Rows of the smallest sample for each parameter, at least. Chosen."""

    steps_on_all_rows: int = 10
    """Steps of the limit that are kept for all rows. Chosen."""

    patience: int = 1
    """Steps in a row that hardly move the outputs, which end smooth fits on a sample after the first, and on all rows.
    The start is the minimum on fewer rows, so the first step makes most of the progress. Chosen."""

    slow_steps: int = 3
    """Levenberg-Marquardt steps in a row without progress that end those on a sample, and those on all rows. Chosen."""

    tolerance: float = 1e-3
    """Relative decrease of the loss on a sample that counts as progress. Chosen below the share P/m of the loss, 0.02
    with 50 rows for each parameter, by which the minimum on a sample differs from that on all rows."""


SAMPLES = SampleSettings()


@dataclass(frozen=True)
class EvidenceSettings:
    """Constants of the roughness and of how its weights are chosen."""

    level_share: float = 1e-2
    """Weight of squared coefficients relative to that of squared slopes. It determines the constants that edges can
    pass to one another. Chosen, not measured."""

    least_weight: float = 1e-4
    """Lower limit of a weight. Chosen, not measured."""

    largest_weight: float = 1e6
    """Upper limit of a weight: curves are straight to many digits there. Chosen, not measured."""

    fastest_change: float = 10.0
    """Factor by which a weight or the noise precision changes in one step at most, because the fixed point assumes
    that the coefficients are optimal. Chosen, not measured."""

    moving: float = 0.1
    """Move of the outputs in one step, in units of their noise, above which the weights of all edges from one node
    change by a common factor: a weight that is chosen for one edge while the others are wrong can flatten a curve that
    is needed. Of 0.03, 0.1 and 0.3, 0.1 gave `KANRegressor` the smallest errors on seven noisy tables (eight seeds,
    geometric mean), by 1 to 2 %; with common factors only they were 8 % larger (three seeds)."""

    least_freedom: float = 0.05
    """Degrees of freedom of the noise, as a share of the number of targets, at least: with as many coefficients as
    targets the estimate of the noise would be zero. Chosen, not measured."""

    least_noise: float = 1e-24
    """Variance of the noise, in units of the targets' variance, that is added to the estimate: (1e-12)², rounding
    errors of predictions in float64."""

    first_damping: float = 1e-2
    """First λ of Gauss-Newton steps, relative to the diagonal. Larger than that of network training (1e-3), as the
    weights of the roughness are wrong at first. Chosen, not measured."""

    least_damping: float = 1e-12
    """Lower limit of λ: rounding errors of the Cholesky factor are larger below. Chosen, not measured."""

    largest_damping: float = 1e12
    """λ at which a step is a rounding error: then no step lowers the objective."""

    patience: int = 3
    """Steps in a row that move the outputs by less than the tolerance, after which the fit has converged.
    Chosen, not measured."""

    steps: int = 60
    """Steps of a smooth fit of a network, at most. As many as estimators take."""

    patience_on_validation: int = 5
    """Steps of a smooth fit in a row without a lower validation loss, after which it ends, from the first one that is
    no longer `moving`. In six fits of noisy tables 5 led to the states that 10 led to, within the spread of seeds, in
    three quarters of the steps."""

    tolerance: float = 1e-2
    """Change of the outputs in units of their noise below which a step of a smooth fit counts as no progress."""

    points_of_base: int = 201
    """Points at which slope and curvature of the base function are averaged over a grid: the mean is right to a
    percent."""

    looks_exact: float = 1e-6
    """Held-out loss relative to that of the best constant at or below which rows count as exact, so that no smooth fit
    is tried: an error of a thousandth is near what splines of five intervals reach. In twelve problems with exact rows
    a smooth fit from there gained nothing on average, and lost where rows are few."""

    rows_to_judge: int = 5
    """Validation rows from which they take part in the choice between a smooth fit and one that follows the rows.
    Chosen: fits that pass through noisy rows are wrong by many times the noise between them."""

    clearly: float = 2.0
    """Standard errors by which held-out losses of two fits differ before they decide between them. Chosen."""

    gain: float = 0.99
    """Ratio of the errors to expect, smooth to not smooth, below which the smooth fit is taken where held-out rows do
    not decide. For exact rows that no grid of this size can follow the two are equal to a thousandth."""

    overfits: float = 1.25
    """Ratio of the losses on held-out and on training rows above which a start of a fit, or a fit with a penalty, is
    compared with a smooth one. Chosen: 200 held-out rows determine the ratio to about a tenth."""

    alike: float = 1.25
    """Ratio of the held-out losses of two smooth fits from different straight lines up to which both have ended near
    the noise of the rows, and not in a poor minimum. For sin(3a)·b + c² + exp(d)·e with noise it was 1.2 at most."""

    lines: int = 3
    """Smooth fits from different straight lines where rows hold noise; the best one on held-out rows counts. With 800
    rows of that function, errors were 1.11 to 1.30 times those of an estimator on 1,000, 1.16 in the median."""

    same_noise: float = 0.7
    """Ratio of the standard deviations of noise found on all rows and on those of the race from which they count as the
    same: curves that few rows do not determine count as noise, too. Chosen."""

    few_rows: float = 0.8
    """Rows for each parameter up to which a matrix of the rows solves steps: both ways multiply as often at 0.96."""

    largest_condition: float = 1e10
    """Condition number of the prior precision of one curve above which that is not done: it is inverted then, and six
    digits are to be left."""

    ridges: tuple[float, ...] = (1e-13, 1e-11, 1e-9, 1e-7)
    """Shares of the diagonal that are added, one after the other, until the matrix has a Cholesky factor: from a
    thousand rounding errors of float64 upwards."""


EVIDENCE = EvidenceSettings()
