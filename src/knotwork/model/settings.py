"""The numbers that bound the memory of computations, and those of the trial of a module before second-order steps."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelSettings:
    """Each number with its unit and the reason for its value. Their one instance is `MODEL`."""

    jacobian_entries: int = 2**24
    """Entries of the Jacobian, or of what its rows are combined with, held at once: 128 MB in float64. Chosen, not
    measured."""

    most_intervals_of_bases: int = 200
    """Intervals up to which edges are computed from all functions of a basis at once, which takes memory for samples
    times intervals; above, input by input from the functions that are not zero. Chosen, not measured."""

    rows_of_gradient: int = 2**16
    """Rows whose outputs and residuals are held at once while a gradient is summed up. Chosen, not measured."""

    refitted_values: int = 2**20
    """Values of edges and basis functions held at once while curves are fitted on new knots: 8 MB in float64.
    Chosen, not measured."""

    rows_alike: float = 1e-9
    """Difference between the outputs of a row computed alone and together with others, relative to the largest, up to
    which they count as the same: far above rounding in float64, far below what batch statistics change. Chosen."""

    probed_rows: int = 4
    """Rows on which a module is tried before second-order steps. Chosen: a few, so that the trial costs nothing."""

    second_order_parameters: int = 10_000
    """Free parameters of a network or module up to which second-order steps are made. Their matrix takes 0.8 GB then,
    its factor and what is added to it as much again each, and one factorisation some ten seconds on two cores.
    Chosen."""

    rows_predicted_at_once: int = 16_384
    """Rows of a prediction that pass through the layers together. Bounds memory; results do not depend on it. Chosen,
    not measured."""

    far_beyond: float = 0.25
    """Distance beyond a grid, as a share of its length, from which one row is a reason to warn. Chosen: of five parts
    of a normal column, each predicted from the others, 2 % or fewer reach so far, of an exponential one 3 to 8 %."""

    many_beyond: float = 0.2
    """Share of the rows beyond the grid of one input, more than one of them, that is a reason to warn, however near
    they are. Chosen: of n new rows like those of the fit, two lie outside on average."""

    columns_listed: int = 5
    """Inputs that a warning of rows beyond those of the fit describes one by one. Chosen, not measured."""


MODEL = ModelSettings()
