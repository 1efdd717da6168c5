"""The evidence framework: the smoothness weights and the noise variance for which the data are most probable.

MacKay (1992) chooses the precisions of prior and noise by maximising the evidence, the probability of the data
integrated over the coefficients. Foresee and Hagan (1997) do so between Gauss-Newton steps. The degrees of
freedom that the data leave to each edge, (edges, 2), are those of `RegularisedSystem.freedom`.
"""

from torch import Tensor

from knotwork.training.roughness import Roughness
from knotwork.training.settings import EVIDENCE


def determined(roughness: Roughness, size: int, left: Tensor) -> float:
    """The number of `size` coefficients that the data determine, from the degrees of freedom that they leave."""
    return size - float((roughness.weights * left).sum())


def update_weights(roughness: Roughness, coefficients: Tensor, left: Tensor, together: bool = False) -> None:
    """Change the weights of a roughness, in place, towards those that maximise the evidence.

    A weight becomes (degrees of freedom of the prior - those left given the data) / squares. This is the fixed point of
    MacKay (1992), for several weights (Wood and Fasiolo 2017). It changes at most by `EVIDENCE.fastest_change`. With
    `together` the weights of all edges that begin at one node change by the same factor, for which both are summed.
    """
    weights = roughness.weights
    taken = weights * (roughness.prior_freedom() - left).clamp_min(1e-10)
    rough = weights * roughness.squares(coefficients)
    if together:
        taken, rough = roughness.of_node(taken), roughness.of_node(rough)
    fastest = EVIDENCE.fastest_change
    change = (taken / rough.clamp_min(1e-300)).clamp(1 / fastest, fastest)
    roughness.set_weights((weights * change).clamp(EVIDENCE.least_weight, EVIDENCE.largest_weight))


def noise_precision(loss: float, determined: float, count: float) -> float:
    """The noise precision 1/σ² of normal noise, from the residuals and the degrees of freedom of the residuals.

    Args:
        loss: half of the sum of squared residuals.
        determined: the number of coefficients that the data determine.
        count: the number of targets.
    """
    freedom = max(count - determined, EVIDENCE.least_freedom * count)
    return freedom / (2 * loss + EVIDENCE.least_noise * count)


def updated_precision(precision: float, loss: float, determined: float, count: float) -> float:
    """The noise precision, changed towards `noise_precision` at most by `EVIDENCE.fastest_change`."""
    wanted, fastest = noise_precision(loss, determined, count), EVIDENCE.fastest_change
    return min(max(wanted, precision / fastest), precision * fastest)
