"""The numbers that decide how estimators are fitted and explained, each with its reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EstimatorSettings:
    """Numbers of `KANRegressor` and `KANClassifier`. Their one instance is `ESTIMATORS`."""

    most_multiplications: float = 2e10
    """Multiplications of one Gauss-Newton step on the largest sample of the rows up to which `optimizer="auto"` uses
    such steps: half a second on one core. On 50,000 rows with 20 columns (products and a sine, noise 0.1) such steps
    led to 0.1 times the noise where Adam, in the same time, led to 0.35; with 30 columns (4e10) they took four times
    as long as Adam and led to 1.07 times the noise, Adam to 0.86."""

    hidden_nodes: int = 5
    """Hidden nodes of `hidden="auto"` with Gauss-Newton steps. Chosen; the results in benchmarks/README.md
    ("Estimators") were obtained with it, other numbers were not compared."""

    hidden_nodes_of_batches: int = 64
    """Hidden nodes of `hidden="auto"` with mini-batches of Adam, where the table is large. Chosen, not measured."""

    rows_of_importance: int = 2000
    """Rows on which feature importances are estimated, at most. Chosen: the sampling error of a share is then about
    2 %; not measured."""

    rows_kept: int = 1000
    """Training rows that stay with a fitted estimator, at most, for figures, formulas and reports. Chosen, not
    measured."""

    curves_compared: int = 9
    """Curves of a report that are compared with named functions. Each takes about a second."""

    smallest_effect: float = 1e-10
    """Change of predictions, in units of the target scale, below which a column has importance zero. Chosen above the
    rounding errors of float64 predictions, not measured."""

    constant_target: float = 1e-14
    """Standard deviation of a target, relative to its largest absolute value, below which the target counts as
    constant: some 50 rounding errors of float64."""


ESTIMATORS = EstimatorSettings()
