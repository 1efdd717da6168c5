"""The numbers that decide how sums and ratios of terms are searched for; chosen for time, not measured.

They are those of `smooth_targets.py`, `sparse_fits.py`, `term_search.py` and `term_table.py`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class TermSettings:
    """Settings of the search for sums and ratios of terms."""

    few_terms: int = 250
    """Products of powers, and terms with a function, of simple sums."""
    many_terms: int = 3000
    """The same of ratios and large sums."""
    most_columns: int = 400
    """Columns among which combinations are searched. Of more, those are taken that explain the target best, alone or
    beside one of the best single ones (sure independence screening, Fan and Lv 2008)."""
    singles_of_screening: int = 20
    """Best single columns beside which others are screened."""
    largest_term_below: int = 3
    """Cost of a term of a denominator."""
    least_variation_below: float = 0.1
    """Spread of a term of a denominator over its size at least: beside a constant the target explains itself."""
    largest_argument: float = 60.0
    """Largest size of an argument without a constant: ten periods."""
    least_bend: float = 1e-3
    """Share of a function's spread that no parabola follows. With less, as a sine from -0.15 to 0.15, powers take its
    place. Chosen."""
    largest_ratio_in_sums: float = 100.0
    """Ratio of the sizes of two inputs above which their sum is no argument: one is negligible."""
    rows_of_terms: int = 400
    """Training rows on which combinations of terms are compared. The best are fitted to all rows."""
    widths_of_simple_sums: tuple[int, ...] = (100, 100, 60, 30)
    """Combinations of 1, 2, ... simple terms that are extended by every other term."""
    largest_cost_of_simple_ratios: int = 2
    """Cost of the product in the denominator of a simple ratio: one or two inputs."""
    widths_of_simple_ratios: tuple[int, ...] = (30, 30, 10)
    """Combinations of 2, 3, ... terms of a simple ratio."""
    largest_cost_of_short_ratios: int = 2
    """Cost of the products in the numerator of a short ratio; with so few, nearly all combinations are tried."""
    widths_of_short_ratios: tuple[int, ...] = (60, 30, 10)
    """The same as for simple ratios."""
    widths_of_ratios: tuple[int, ...] = (300, 1000, 200, 60, 30)
    """The same for terms of a ratio."""
    widths_of_large_sums: tuple[int, ...] = (200, 60, 30, 20)
    """The same for terms of many kinds."""
    least_new_direction: float = 1e-9
    """Squared length of a term's part that others do not explain, below which it adds rounding errors only."""
    rounding_of_squares: float = 1e-14
    """Squared share of the target below which what a fit leaves is rounding errors of products of columns."""
    largest_weight_of_terms: float = 1e8
    """Times the median weight: larger ones are cut. Noisy targets over decades have their information in few rows."""
    rows_to_smooth: int = 80
    """Training rows from which a smooth network tells noise from the rest."""
    nodes_to_smooth: int = 5
    """Hidden nodes of that network."""
    wide_ratio_to_smooth: float = 20.0
    """Ratio of sizes above which it takes the logarithm of an input."""
    least_noise: float = 5e-3
    """What it leaves, relative to the spread of the targets, where terms are chosen by what it predicts; it has an
    error of its own. With 10 % noise it keeps a fifth to a third of it, with 1 % four tenths. Chosen."""
    steps_of_terms: int = 6
    """Gauss-Newton steps of a combination of terms under an outer function or with a denominator."""
    far_terms: float = 100.0
    """Ratio of mean squares to the best fit's above which no step follows the linear fit."""
    fits_of_each_size: int = 6
    """Combinations of each number of terms that are fitted to all rows."""
    term_fits_kept: int = 3
    """Fits in one frame that are kept, and tried without each of their terms; of each search that become formulas."""
    rows_per_term: int = 3
    """Training rows for each term at least."""
    rows_per_eliminated: int = 10
    """Rows for each column of a polynomial of degree two at least, of which one column after the other is left out."""
    ridge_of_elimination: float = 1e-12
    """Added to the products of its columns of length 1, which depend on each other where inputs do."""
    exact_terms: float = 1e-9
    """Validation error below which a fit is exact, and ends the search for terms."""
    most_signs: int = 4
    """Inputs of either sign at most whose product may have the signs of the target."""
    steps_to_product: int = 20
    """Gauss-Newton steps to the product of powers nearest to the targets at most; five to ten are made."""
    firm_power: float = 0.1
    """Distance of a logarithm's slope from a half up to which that power of the input is taken for a factor."""


TERMS = TermSettings()
