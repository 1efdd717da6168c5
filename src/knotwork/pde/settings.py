"""Every number that decides how an equation is solved, with its unit and why it has this value.

"Measured" means by the cases of benchmarks/physics.py, whose table is in benchmarks/README.md.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class PDESettings:
    """The settings of `knotwork.pde`; arguments of `solve` are not among them."""

    # Points

    points_per_parameter: float = 3.0
    """Points of the equation for each parameter. With 225 points that stay while the grid becomes finer, residuals at
    other points were up to 29,000 times as large as at these (benchmarks/poisson.py, coarse-sample); with three points
    a parameter 1.1 to 1.9 times (docs/physics.md)."""
    points_per_product_parameter: float = 6.0
    """The same for a sum of products, whose parameters see one coordinate each. Chosen, not measured."""
    fewest_points: int = 600
    """Points of the equation at least, for small networks. Chosen, not measured."""
    fewest_face_points: int = 50
    """Points of a condition on each face at least. Chosen, not measured."""
    largest_face_share: float = 0.25
    """Share of a coordinate's length at each of its ends whose points are moved onto the face, at most. It matters in
    five dimensions and more, where a lattice has more points on its faces than inside. Chosen, not measured."""
    fewest_points_to_set_aside: int = 50
    """Points of the user's own from which on some are set aside to judge the solution; of fewer, each is needed.
    Chosen, not measured."""
    set_aside: int = 10
    """One of so many points of the user's own is set aside: a tenth. Chosen, not measured."""
    test_points: int = 4000
    """Points at which the solution is judged: enough for two digits of a root mean square. Chosen, not measured."""
    test_seed: int = 2**31 - 1
    """Seed of these points, far from the seeds of a solve, so that no solve uses the same points."""
    test_face_points: int = 400
    """Points of each face at which its condition is judged: as dense as a lattice of the points above in three
    dimensions. Chosen, not measured."""
    points_at_once: int = 2048
    """Points whose Jacobian is computed together; it bounds the memory. Chosen, not measured."""

    # Least squares

    starts: int = 6
    """Random starts where neither `starts` nor a value of `optimizer` says how many. Chosen, not measured."""
    tolerance: float = 1e-3
    """Share by which a step must lower the objective to count as progress, where neither `tolerance` nor a value of
    `optimizer` says it. A grid is followed by a finer one, so its objective need not be exact. Chosen, not measured."""
    patience: int = 8
    """Steps in a row that bring the objective no lower by the tolerance before a minimisation ends. Chosen, not
    measured."""
    smallest_row: float = 1e-4
    """Norm of a row of the Jacobian, as a share of the largest norm, below which row equilibration divides by no less.
    Without it a point where no parameter acts would have an infinite weight. Chosen, not measured."""
    inverse_ridge: float = 1e-13
    """Added to the diagonal of the scaled Gauss-Newton matrix before standard errors are computed from its inverse:
    some hundred times the rounding error of float64, so that directions without information are regular."""

    projection_ridge: float = 1e-11
    """Ridge of variable projection, as a share of the diagonal: far above rounding (1e-16), far below anything that
    the points determine. Chosen, not measured."""
    projection_floor: float = 1e-4
    """Entry of that diagonal, as a share of its largest, below which the ridge is no smaller: coefficients that hardly
    any point determines stay small. Chosen, not measured."""
    grid_increase: float = 1.5
    """Factor of the objective up to which hidden grids may follow their values after a step. Above, the grids stay, as
    values slightly outside of a grid do little harm. Chosen, not measured."""
    late_grid_increase: float = 1e3
    """The same factor once the grids have stayed for `early_grid_waits` steps. Chosen, not measured."""
    early_grid_waits: int = 10
    """Steps in a row after which a larger increase is accepted. Chosen, not measured."""

    # Whether it is solved

    largest_relative_residual: float = 1e-2
    """Residual of an equation or a condition, relative to its terms, up to which it counts as met. The cases of
    `tests/pde/test_verification.py` hold both sides: solutions with errors below a thousandth stay below it, and those
    that are wrong are found by it or by the estimated error. Chosen between the two, not measured more closely."""
    largest_error: float = 1e-2
    """Estimated error of a field of an ordinary differential equation, relative to its standard deviation, up to which
    it counts as solved: as for residuals."""
    constant_share: float = 1e-5
    """Size of a constant field, relative to its mean: an error of a millionth of a constant is a tenth of this. Chosen,
    not measured."""
    balance_share: float = 1e-3
    """Size of a zero field, relative to the values that would balance the other terms of an equation: a field that is
    smaller does not matter to them. Chosen, not measured."""
    start_size: float = 1.0
    """Size of the fields where nothing but zero is prescribed, so that zero is the solution: that of random starts."""
    homogeneous_share: float = 1e-6
    """Rest of a residual, relative to its other terms, below which it is rounding (1e-16) or the square of a field that
    is nearly zero."""
    smallest_size: float = 1e-300
    """Least divisor, so that nothing is divided by zero."""

    # Gradient methods, for comparison

    lbfgs_rate: float = 1.0
    """First trial step of L-BFGS in its line search; 1 is the quasi-Newton step (Nocedal and
    Wright 2006, section 6.1)."""
    adam_rate: float = 1e-3
    """Step size of Adam, the one of Kingma and Ba 2015."""
    line_search_evaluations: int = 30
    """Evaluations in one line search at most. torch's default allows one where a step is called as here, and then the
    search ends at a point that is not lower."""
    lbfgs_history: int = 50
    """Pairs of steps and gradients that L-BFGS keeps. Chosen, not measured."""
    steps_between_grid_updates: int = 10
    """Steps of L-BFGS or Adam between updates of the hidden grids, since an update discards what they know of the
    curvature. Chosen, not measured."""

    # Coarse to fine

    coarsest_grid: int = 5
    """Intervals of the first grid at least; the paper's experiments begin with G = 5 too (section 3.4)."""
    first_roughness: float = 0.3
    """Standard deviation of random coefficients around random straight lines of slope about one: rough enough that
    starts differ, smooth enough that second derivatives stay moderate. Chosen, not measured."""
    first_start_steps: int = 8
    """Steps of every random start before the worse half is dropped. Chosen, not measured."""
    further_start_steps: int = 15
    """Steps of the remaining starts before the worse half is dropped again. Chosen, not measured."""

    # Adaptive refinement

    candidates_per_point: int = 8
    """Points at which the residual is computed, for each point that is drawn in proportion to it. Chosen, not
    measured."""
    even_share: float = 0.5
    """Share of the points that stay evenly spread, so that no part of the domain is without points. Chosen, not
    measured."""
    corner_density: float = 1e3
    """Density of points at the corners, times the largest elsewhere: they are certain to be drawn, since splines that
    see no point beyond the last are free in the corners (docs/physics.md)."""
    most_parts: int = 6
    """Parts that one interval is cut into at once, so that neighbouring intervals stay comparable. Chosen, not
    measured."""
    equidistribution_samples: int = 32
    """Values of the other coordinates over which a derivative is averaged before knots are placed. Chosen, not
    measured."""
    length_weight: float = 0.1
    """Weight of an interval's length beside its share of the derivative, in units of the mean density, so that smooth
    regions keep some knots. Chosen, not measured."""

    # From the initial condition

    samples_per_interval: int = 40
    """Samples of a polynomial of time in each interval, when splines are fitted to it. Chosen, not measured."""
    initial_knot_updates: int = 5
    """Times that knots over space are placed anew for the initial condition before the first round; tests show that a
    layer of a hundredth of the domain is resolved by then."""
    most_rounds: int = 8
    """Rounds of solving and placing knots anew at most. Chosen, not measured."""
    enough_gain: float = 0.7
    """A round must bring the objective below this share of the lowest before; otherwise the next one starts from the
    initial condition again. Without that restart seed 1 of Burgers' equation ended at an error of 1.3e-4, with it at
    2.5e-6 or less (benchmarks/README.md)."""
    rough_tolerance: float = 1e-2
    """Tolerance of a round: its knots are replaced, so its objective need not be exact. Chosen, not measured."""
    rough_patience: int = 3
    """Patience of a round, for the same reason. Chosen, not measured."""

    # Hidden grids

    hidden_margin: float = 0.05
    """Distance of a hidden grid's ends from the values, as a share of their range, so that small changes of the values
    stay inside. Chosen, not measured."""
    least_hidden_margin: float = 0.01
    """The same distance below which the grid is moved. Hidden values that leave their grid stop the fit: with a grid
    that never moves 16 of 16 networks failed. The number itself is chosen, not measured."""
    hidden_coverage: float = 0.7
    """Share of a hidden grid that the values must cover; below it the grid is moved, because unused intervals cost
    accuracy. Chosen, not measured."""
    longest_interval: float = 2.0
    """Length of an outermost interval, in mean intervals, above which the whole hidden grid is placed evenly again.
    Chosen, not measured."""
    shortest_interval: float = 0.3
    """Length of an outermost interval, in mean intervals, below which the whole hidden grid is placed evenly again.
    Chosen, not measured."""

    # References of the library

    burgers_reach: float = 16.0
    """Half width of the Cole-Hopf integral in units of the heat kernel's width: beyond it exp(-z²) is below 1e-111."""
    burgers_nodes: int = 1200
    """Nodes of the trapezoidal rule; with twice as many the solution changes by less than 1e-12
    (tests/pde/test_library.py)."""
    allen_cahn_modes: int = 1024
    """Cosines of the series for Allen-Cahn's equation; half as many, with half as many steps, change the solution by
    less than 3e-6 of its norm (tests/pde/test_library.py)."""
    allen_cahn_steps: int = 1000
    """Steps in time of the same, measured together with the cosines."""
    allen_cahn_samples: int = 64
    """Samples of the initial condition, times twice the cosines, so that its kink at the ends aliases little. Chosen,
    not measured."""


PDE = PDESettings()
