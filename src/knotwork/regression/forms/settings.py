"""The numbers that decide how forms with unknown curves are fitted and named, each with its unit and its reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FormSettings:
    """Settings of fits of constants and curves together, and of names of the curves."""

    order: int = 3
    """Order of the splines, the library's usual one."""
    rows_per_curve: int = 5
    """Rows that a curve needs at least, beside one for each constant: as many as a parabola and two more."""
    coarse_grid: int = 5
    """Intervals of the curves while starts are compared, as of a network."""
    starts: int = 24
    """Starting points at most: constants over decades, random parabolas. As for constants alone."""
    bend_of_starts: float = 0.5
    """Size of the quadratic part of a random start of a curve, where line and offset have size 1. Chosen."""
    places_per_interval: int = 8
    """Places per interval at which a curve is sampled for another grid: twice what its cubic pieces need."""
    starts_that_agree: int = 3
    """Starts that end at the lowest error of all, after which no more are tried. Chosen, not measured."""
    as_good_as_exact: float = 1e-3
    """Share of the target's spread: coarse curves follow smooth ones no closer, so smaller errors count as equal."""
    worth_all_rows: float = 4.0
    """Times the lowest mean squared error of all starts, up to which an end is fitted to all rows. Chosen for time."""
    open_share: float = 1e-6
    """Squared share of undetermined directions from which a constant counts as not determined, as in formulas."""
    starts_on_all_rows: int = 2
    """The best different ends of these, which are fitted to all rows with fine curves. Chosen for time."""
    race_steps: int = 25
    """Gauss-Newton steps from each start. Chosen, not measured."""
    steps: int = 40
    """Gauss-Newton steps of each fit with one choice of roughness. Chosen, not measured."""
    gain_to_compare: float = 1e-8
    """Relative fall of the mean squared error below which a step counts as slow where two fits are compared that may be
    the same: below the share by which they may then differ."""
    same_fit: float = 1e-6
    """Share by which the mean squared errors of two equal fits may differ. Chosen, not measured."""
    same_smooth_fit: float = 1e-2
    """The same where curves are smoothed anew. Chosen, not measured."""
    rounds: int = 12
    """Times that roughness and curves are computed in turn at most. Chosen, not measured."""
    least_freedom: float = 1e-6
    """Coefficients that the roughness counts at least as not determined by the rows: rounding may leave none."""
    same_roughness: float = 0.2
    """Change of the logarithm of a weight of roughness below which it counts as the same: curves hardly change."""
    first_roughness: float = 1e-4
    """Weight of the squared fourth differences of a curve at first, in squares of the target's spread."""
    least_roughness: float = 1e-16
    """The same at least: coefficients that no row determines still continue the others."""
    largest_roughness: float = 1e6
    """The same at most: the curve is then a polynomial of third order."""
    undetermined: float = 1e-11
    """Share of the largest eigenvalue of scaled normal equations below which a direction is not determined: rounding of
    squares."""

    # --- names ---
    names_of_curve: int = 5
    """Names of a curve that are tried in the whole form at most, the best first. Chosen for time."""
    depth_of_names: int = 2
    """Functions inside each other in a name at most: a third takes most of the time of a search. Chosen for time."""
    longest_name: int = 25
    """Symbols of a name at most, its constants counted twice. Longer ones follow a curve as a spline does, and say no
    more than it. Chosen, not measured."""
    least_slope: float = 1e-3
    """Share of the largest derivative by a curve's values below which a row tells nothing about them."""
    chance_of_name: float = 3.0
    """Standard deviations of χ² by which the squared residuals of a named curve may exceed those of its spline."""
    accuracy_of_spline: float = 0.5
    """Share of the form's error up to which its curves are known, where there are several."""


FORMS = FormSettings()
