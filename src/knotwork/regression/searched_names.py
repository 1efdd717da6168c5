"""Names of one curve that are sums, ratios or compositions of functions, where no single function fits."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from knotwork.formulas.curves import CurveSearch, Found
from knotwork.functions import NamedFunction
from knotwork.journal import clock
from knotwork.regression.settings import REGRESSION
from knotwork.training import Reporter


@dataclass(frozen=True)
class SearchedName:
    """A form that a search of curves found, with the error and score of a `CurveName`."""

    search: CurveSearch
    found: Found
    error: float
    score: float

    def sum_term(self, t: Any, constant: Callable[[float], Any], times: float) -> tuple[Any, float]:
        """The curve multiplied by `times`, as an expression of `t`, and a constant to add to it."""
        return constant(times) * self.search.written(self.found, t, constant), 0.0

    def factor(self, t: Any, constant: Callable[[float], Any]) -> tuple[Any, float]:
        """An expression of `t` and a number: their product is the curve."""
        return self.search.written(self.found, t, constant), 1.0


def searched_names(
    t: Tensor, y: Tensor, functions: Sequence[NamedFunction], accuracy: float, offset: bool, reporter: Reporter
) -> list[SearchedName]:
    """The best forms of the curve through the points (t, y), each (n,), which is known to `accuracy` of its size.

    With `offset`, an added constant costs nothing. The `reporter` tells when the search ends, with what it has.
    """
    size = (y - y.mean() if offset else y).square().mean().sqrt().clamp_min(1e-300)
    search = CurveSearch(
        t.numpy(),
        y.numpy(),
        size.expand_as(y).numpy(),
        accuracy,
        [f.name for f in functions],
        reporter.before(clock() + REGRESSION.seconds_of_search),
        depth=2,
    )
    best = search.run()[: REGRESSION.searched_names]
    return [
        SearchedName(
            search, one, one.error, REGRESSION.cost_of_symbol * one.length + 2 * math.log2(one.error + accuracy)
        )
        for one in best
    ]
