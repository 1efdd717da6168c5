"""How much each column matters to the predictions of a fitted network."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from knotwork.estimators.settings import ESTIMATORS
from knotwork.kan import KAN
from knotwork.training.rows import Rows

MEASURED = "Mean squared change of predictions when one column alone is drawn anew from other rows."


def effects(
    network: KAN,
    respond: Callable[[Tensor], Tensor],
    rows: Rows,
    generator: torch.Generator,
    places: Sequence[Sequence[int]],
) -> np.ndarray:
    """The mean squared change of the responses when one column is drawn anew from other rows: (columns,).

    A column of the table stands at several `places` among the inputs, as indicators do, at one, or at none.

    `respond` maps outputs to responses (probabilities, for labels). Divided by twice the variance of the responses
    this is the total Sobol' index of the column (Jansen 1999). Attribution scores are not used: the contributions of a
    column to several hidden nodes may cancel at the output.
    """
    rows = rows[torch.randperm(len(rows), generator=generator)[: ESTIMATORS.rows_of_importance]]
    others = torch.multinomial(rows.weights, len(rows), replacement=True, generator=generator)
    before, found = respond(rows.outputs(network)), []
    for own in map(list, places):
        x = rows.x.clone()
        x[:, own] = rows.x[others][:, own]
        change = respond(replace(rows, x=x).outputs(network)) - before
        found.append(float(rows.weights @ change.square().sum(1)))
    return np.where(np.array(found) > ESTIMATORS.smallest_effect**2 * rows.total, found, 0.0)
