"""Which optimiser a fit uses, and how wide its network is."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from knotwork.errors import TrainingError
from knotwork.estimators.settings import ESTIMATORS
from knotwork.model import Spec, is_whole, parse_width, why_too_many
from knotwork.training.row_samples import largest_sample


class Plan(NamedTuple):
    """Whether Gauss-Newton steps are taken, the reason for that, and the width of the network."""

    second_order: bool
    why: str
    width: list


def planned(hidden: Any, grid: int, k: int, optimizer: str, rows: int, n_in: int, n_out: int) -> Plan:
    """The plan for a table of `rows` rows, `n_in` columns and `n_out` outputs.

    Raises TrainingError or SpecError for `hidden`, `grid` and `k` that describe no network.
    """
    auto = isinstance(hidden, str) and hidden == "auto"
    one, several = is_whole(hidden), isinstance(hidden, Sequence | np.ndarray)
    if not (auto or one or several):
        raise TrainingError(f"hidden={hidden!r} is not known: give 'auto', a number, or one for each layer.")
    nodes: Any = [ESTIMATORS.hidden_nodes] if auto else [hidden] if one else list(hidden)
    spec = Spec(parse_width([n_in, *nodes, n_out]), grid, k)
    edges = sum(spec.nodes(l) * spec.sums(l + 1) for l in range(spec.depth))
    size = edges * (spec.grid + spec.k)
    quick = min(rows, largest_sample(size)) * n_out * size**2 + size**3 <= ESTIMATORS.most_multiplications
    why = f"{rows} rows, {n_out} outputs and {size} parameters are {'few enough' if quick else 'too many'}"
    second_order = optimizer == "gauss-newton" or (optimizer == "auto" and quick)
    if second_order and (too_many := why_too_many(size)):  # networks of the estimators have no base weights
        raise TrainingError(
            f"optimizer={optimizer!r} is not possible for this network: {too_many}. Use 'adam', fewer intervals or "
            "fewer nodes."
        )
    if auto and not second_order:
        nodes = [ESTIMATORS.hidden_nodes_of_batches]
    why = f"{why} for second-order steps" if optimizer == "auto" else "as asked"
    return Plan(second_order, why, [n_in, *nodes, n_out])
