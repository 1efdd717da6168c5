"""The constants of `fit_sparse`, each with its unit and why it has this value."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SimplificationSettings:
    """Constants of the search for a smaller network. Where nothing else is said they are chosen, not measured."""

    first_steps: int = 60
    """Steps of the fit with the penalty of the whole network: edges that are not needed become small within them."""

    next_steps: int = 30
    """Steps of such a fit after pruning, which continues from a fitted network."""

    sparsity_growth: float = 3.0
    """Factor from one sparsity to the next."""

    most_sparsity: float = 0.3
    """Largest sparsity: above it, necessary edges are removed too."""

    starts: int = 8
    """Starting points of every fit: most wide networks train from any start."""

    as_accurate: float = 1.05
    """Ratio of validation errors up to which a smaller network predicts as well."""

    finer_grid: int = 4
    """Largest factor between the grids of the first smaller network and `model`, with at most as many parameters."""

    prune_ratio: float = 30.0
    """Ratio of errors on the same grid above which no finer grid is tried for a network without some nodes."""

    budget_steps: int = 10
    """Steps of the fit after each edge that is removed within an accuracy budget."""


SIMPLIFICATION = SimplificationSettings()
