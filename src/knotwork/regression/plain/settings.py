"""The numbers that decide how plain laws are searched for in few rows, each with its unit and its reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PlainSettings:
    """Settings of the search for plain laws."""

    powers: tuple[float, ...] = (1.0, 2.0, 0.5, -1.0, -2.0, 3.0)
    """Powers of single inputs in sums of terms. Others are found as powers with a free exponent."""
    pairs: tuple[tuple[float, float], ...] = (
        (1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (2.0, 1.0), (1.0, 2.0), (2.0, -1.0), (-1.0, 2.0),
    )  # fmt: skip
    """Powers of two inputs in sums of terms: the products and ratios of textbooks."""
    powers_of_ratios: tuple[float, ...] = (1.0, -1.0, 2.0, -2.0)
    """Powers of single inputs in the sum that is one over the target."""
    pairs_of_ratios: tuple[tuple[float, float], ...] = ((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0))
    """Powers of two inputs in that sum."""
    rates: tuple[float, ...] = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
    """Rates of exponentials at which a fit begins, over one range of the input."""
    largest_exponent: float = 690.0
    """Logarithm of a factor at most: floats end at 709, and a formula multiplies some factors."""
    far_exponent: float = 30.0
    """Exponent from which an input is counted from its middle: no simple number stands before exponentials beyond."""
    shares: tuple[float, ...] = (0.03, 0.06, 0.12, 0.25, 0.5, 1.0, 2.0)
    """Places of half saturation at which a fit begins, as shares of the largest input."""
    exponents: tuple[float, ...] = (-3.0, -1.5, -0.75, 0.25, 0.75, 1.5, 2.5)
    """Exponents at which a fit begins, between those of `powers`."""
    middles: tuple[float, ...] = (0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9)
    """Middles of logistic curves at which a fit begins, as shares of the range."""
    slopes: tuple[float, ...] = (5.0, 10.0, 20.0)
    """Rates of logistic curves at which a fit begins, over one range of the input."""
    distances: tuple[float, ...] = (0.05, 0.15, 0.4, 1.0, 2.5)
    """Distances of a pole or of a shifted zero from the values at which a fit begins, as shares of their range."""
    most_inputs_of_poles: int = 4
    """Inputs up to which poles beside another input are tried. Chosen for time."""
    places_of_saturation: tuple[float, ...] = (0.06, 0.12, 0.25, 0.5, 1.0, 2.0)
    """Places θ of saturation at which a fit begins, as shares of the largest value of the input."""
    exponents_of_saturation: tuple[float, ...] = (0.6, 1.5, 2.5, 4.0)
    """Exponents of delayed growth and of Hill curves at which a fit begins; 1 is a kind of its own."""
    terms: int = 3
    """Features of a plain law at most."""
    beam: int = 12
    """Sets of features that are extended by one more. Chosen for time, not measured."""
    laws_of_size: int = 12
    """Laws of each kind and number of features that are fitted to the target itself. Chosen for time."""
    dependence: float = 1e-8
    """Share of a feature's square that others must leave over: less is rounding."""
    gap: float = 20.0
    """Bits behind the best law up to which laws are fitted to the target itself. Chosen, not measured."""
    gap_of_grid: float = 60.0
    """The same for laws with constants inside of functions, which are those of a coarse grid until they are fitted."""
    most_laws: int = 45
    """Laws that are fitted to the target itself at most. Chosen for time."""
    steps: int = 40
    """Gauss-Newton steps of these fits. They are near already; chosen for time."""
    least_of_ratio: float = 1e-3
    """Share of the largest target: smaller ones have no weight where one over the target is fitted."""
    bits_of_symbol: float = 1.0
    """Bits that a symbol of a law costs where rows are few, beside its constants."""


PLAIN = PlainSettings()
